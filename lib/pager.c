// SPDX-License-Identifier: BSD-2-Clause
// The pager's loop. Faults are answered in order, on the caller's thread; a
// pager that has to wait for its data uses a server loop and saved reply
// rights instead.
#include "lib/pager.h"
#include "lib/serve.h"

void pager_answer_fault(const struct pager_operations *operations, const struct message *request,
                        struct message *reply)
{
    struct page_fault_message fault = {
        .address = request->words[0],
        .access = request->words[1],
        .ip = request->words[2],
        .thread = request->words[3],
    };
    struct pager_answer answer = {0};
    corvus_error_t error = operations->page(request->label, &fault, &answer);

    *reply = (struct message){.tag = 1, .words = {error}};
    if (error != ERR_OK)
        return;
    reply->tag |= TAG_ITEMS(1);
    utcb_self()->items[0] = (struct message_item){
        .kind = answer.kind,
        .access = (uint32_t)answer.access,
        .address = answer.source,
        .length = answer.length,
        .offset = answer.destination,
    };
}

static bool serve_other(const struct pager_operations *operations, const struct message *request,
                        struct message *reply)
{
    return operations->other != NULL && operations->other(request, reply);
}

corvus_error_t pager_serve(port_name_t from, const struct pager_operations *operations)
{
    struct message request = {0}, reply;
    bool answer = false;

    for (;;) {
        corvus_error_t error = answer ? msg_reply_receive(&request, from, TIMEOUT_NONE)
                                      : msg_receive(&request, from, TIMEOUT_NONE);
        bool received = error == ERR_OK;
        if (!received && !answer && error != ERR_ABORTED)
            return error;
        // A failed answer (the faulting thread was ended) has received nothing.
        answer = false;
        if (!received)
            continue;
        if (request.id == MESSAGE_ID_PAGE_FAULT)
            pager_answer_fault(operations, &request, &reply);
        else if (!serve_other(operations, &request, &reply))
            message_refuse(&request, &reply);
        answer = message_wants_reply(&request) && (reply.tag & TAG_WORDS_MASK) != 0;
        request = reply;
    }
}
