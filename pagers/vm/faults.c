// SPDX-License-Identifier: BSD-2-Clause
// Page faults of clients' threads. One whose page is there is answered by the call that receives
// the next message; the right to answer any other is kept.
#include "pagers/vm/server.h"

#include "lib/message.h"

#include <stdlib.h>

// A fault of a thread.
struct thread_fault {
    struct vm_fault fault;
    bool now, over; // while the request is served; and it has an outcome
    corvus_error_t error;
    struct vm_page *page; // stays until the answer is made
    uint64_t access;
    port_name_t saved; // right to answer, when it was not over at once
};

static void fill(struct message *reply, const struct vm_fault *fault, corvus_error_t error,
                 const struct vm_page *page, uint64_t access)
{
    *reply = (struct message){.tag = 1, .words = {error}};
    if (error != ERR_OK)
        return;
    reply->tag |= TAG_ITEMS(1);
    utcb_self()->items[0] = (struct message_item){
        .kind = ITEM_MAP,
        .access = (uint32_t)access,
        .address = frame_address(page->frame),
        .length = PAGE_BYTES,
        .offset = fault->address & ~(PAGE_BYTES - 1),
    };
}

// Sends the answer by its saved right. Pages that cannot be mapped become an exception.
static void answer_later(struct thread_fault *f, struct message *reply)
{
    reply->destination = f->saved;
    corvus_error_t error = message_exchange(reply, TAG_SEND, DEADLINE_NONE);
    if (error == ERR_OK)
        return;
    *reply = (struct message){.tag = 1, .destination = f->saved, .words = {error}};
    if (message_exchange(reply, TAG_SEND, DEADLINE_NONE) != ERR_OK)
        (void)port_deallocate(f->saved); // who faulted is no more
}

static void done(struct vm_core *vm, struct vm_fault *fault, corvus_error_t error,
                 struct vm_page *page, uint64_t access)
{
    struct thread_fault *f = fault->argument;

    (void)vm;
    if (f->now) {
        f->over = true;
        f->error = error;
        f->page = page;
        f->access = access;
        if (error == ERR_OK)
            page->wired++;
        return;
    }
    struct message reply;
    fill(&reply, fault, error, page, access);
    answer_later(f, &reply);
    free(f);
}

void fault_serve(struct client *client, const struct message *request, struct message *reply)
{
    struct thread_fault *f = malloc(sizeof *f);

    if (f == NULL) {
        *reply = (struct message){.tag = 1, .words = {ERR_NO_MEMORY}};
        return;
    }
    *f = (struct thread_fault){
        .fault = {.map = client->map,
                  .address = request->words[0],
                  .access = request->words[1],
                  .done = done,
                  .argument = f},
        .now = true,
    };
    vm_fault_start(&core, &f->fault);
    f->now = false;
    if (f->over) {
        // Last of all, since what the core does uses the message page.
        if (f->error == ERR_OK)
            f->page->wired--;
        fill(reply, &f->fault, f->error, f->page, f->access);
        free(f);
    } else if (message_save_reply(&f->saved) != ERR_OK) {
        // Others may send while it waits, so it cannot without a name.
        f->saved = PORT_NULL;
        vm_fault_cancel(&core, &f->fault, ERR_NO_MEMORY);
    }
}
