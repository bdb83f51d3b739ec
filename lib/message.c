// SPDX-License-Identifier: BSD-2-Clause
// The rare paths of message handling, out of line: messages that are not what
// was agreed on, and answers that are given late.
#include "lib/message.h"

#include <corvus/stubs.h>

void message_drop_rights(uint64_t tag)
{
    uint64_t count = (tag & TAG_RIGHTS_MASK) >> TAG_RIGHTS_SHIFT;
    port_name_t names[MESSAGE_RIGHTS];

    // Names first: the calls below use the same message page.
    for (uint64_t i = 0; i < count && i < MESSAGE_RIGHTS; i++)
        names[i] = utcb_self()->rights[i].name;
    for (uint64_t i = 0; i < count && i < MESSAGE_RIGHTS; i++)
        (void)task_deallocate_right(NAME_TASK_SELF, names[i]);
}

corvus_error_t message_refuse_reply(uint64_t tag, uint64_t word0)
{
    if ((tag & TAG_ERROR_MASK) != 0)
        return TAG_ERROR(tag);
    message_drop_rights(tag);
    if ((tag & TAG_WORDS_MASK) == 0 || word0 == ERR_OK || word0 >= ERR_COUNT)
        return ERR_PROTOCOL;
    return (corvus_error_t)word0;
}

corvus_error_t message_save_reply(port_name_t *reply)
{
    struct runtime_thread *self = runtime_self();
    uint64_t name = self->saved_reply;

    if (name == PORT_NULL) {
        corvus_error_t error = thread_save_reply(thread_self(), &name);
        if (error != ERR_OK)
            return error;
    }
    self->saved_reply = PORT_NULL;
    *reply = (port_name_t)name;
    return ERR_OK;
}

corvus_error_t message_reply_saved(struct message *message)
{
    port_name_t reply = runtime_self()->saved_reply;

    runtime_self()->saved_reply = PORT_NULL;
    message->destination = reply;
    corvus_error_t error = message_exchange(message, TAG_SEND, DEADLINE_NONE);
    // A right that was not used is still there.
    if (error != ERR_OK)
        (void)task_deallocate_right(NAME_TASK_SELF, reply);
    return error;
}
