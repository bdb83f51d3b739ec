// SPDX-License-Identifier: BSD-2-Clause
// What children ask of init (include/corvus/init.def).
#pragma once

#include "child.h"

#include "lib/call.h"

// Serves one message of a child. False: it is none that init knows.
bool requests_serve(const struct message *request, struct message *reply);

// There is new input on the serial line.
void requests_input_arrived(void);

// The time of day was read: see rtc.h.
void requests_set_epoch(uint64_t epoch);
