// SPDX-License-Identifier: BSD-2-Clause
// What differs between Linux programs and native tasks: how they find the node's DSM server.
#pragma once

#include "lib/call.h"

// A send right to it.
corvus_error_t dsm_find_server(port_name_t *server);
corvus_error_t dsm_drop_right(port_name_t right);
