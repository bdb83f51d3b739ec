// SPDX-License-Identifier: BSD-2-Clause
// Answers that are given later, through a reply right that message_save_reply
// has put under a name.
#pragma once

#include "lib/call.h"

// Sends an answer and gives the right up; it is PORT_NULL then. Never waits; a
// caller that has gone is no error.
void reply_send(port_name_t *reply, struct message *message);
void reply_error(port_name_t *reply, corvus_error_t error);
