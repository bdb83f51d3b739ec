// SPDX-License-Identifier: BSD-2-Clause
#include "dsm/lib/server.h"

#include "lib/linux/corvus.h"

// This node's name is found first.
corvus_error_t dsm_find_server(port_name_t *server)
{
    return corvus_look_up("dsm", 0, false, server);
}

corvus_error_t dsm_drop_right(port_name_t right)
{
    return port_deallocate(right);
}
