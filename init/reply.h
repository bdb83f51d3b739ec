// SPDX-License-Identifier: BSD-2-Clause
// Answers that are given later, through a saved reply right.
#pragma once

#include "lib/call.h"

// Takes the reply right of the request being served out of the thread's slot.
corvus_error_t reply_save(port_name_t *reply);

// Sends an answer and gives the right up; it is PORT_NULL then. Never waits; a
// caller that has gone is no error.
void reply_send(port_name_t *reply, struct message *message);
void reply_error(port_name_t *reply, corvus_error_t error);
