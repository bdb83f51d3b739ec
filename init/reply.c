// SPDX-License-Identifier: BSD-2-Clause
// Saved reply rights.
#include "reply.h"

#include "lib/port.h"

void reply_send(port_name_t *reply, struct message *message)
{
    message->destination = *reply;
    if (msg_send(message, 0) != ERR_OK)
        (void)port_deallocate(*reply);
    *reply = PORT_NULL;
}

void reply_error(port_name_t *reply, corvus_error_t error)
{
    struct message message = {.tag = 1, .words = {error}};
    reply_send(reply, &message);
}
