// SPDX-License-Identifier: GPL-2.0-only
// RPCs of Linux itself: a worker sends and waits, the process sleeps until it is done or is to die.
#include "memobj_segments.h"

#include <corvus/services.h>

#include <linux/completion.h>
#include <linux/slab.h>

#include <os.h>

struct operation {
    struct message_work work;
    struct completion done;
    u64 page_bytes[CORVUS_PAGE_BYTES / sizeof(u64)];
};

static void work_finished(struct message_work *work)
{
    complete(&container_of(work, struct operation, work)->done);
}

static void prepare(struct operation *operation, u32 port, const struct memobj_call *call)
{
    struct utcb *page = (struct utcb *)operation->page_bytes;
    u64 deadline = os_nsecs() + PAGER_REQUEST_LIMIT;

    operation->work.exchange = (struct message_exchange){
        .tag = TAG_CALL | TAG_FOREIGN | TAG_SEND_DEADLINE | TAG_RECEIVE_DEADLINE | call->words |
               TAG_ITEMS(call->data != NULL) | TAG_RIGHTS(call->give.name != PORT_NULL),
        .destination = port,
        .id = call->id,
        .page = page,
    };
    for (unsigned int i = 0; i < call->words; i++)
        *(i < MESSAGE_REGISTER_WORDS ? &operation->work.exchange.words[i] : &page->words[i]) =
            call->word[i];
    page->send_deadline = page->receive_deadline = deadline;
    page->rights[0] = call->give;
    if (call->data != NULL)
        page->items[0] = (struct message_item){
            .kind = ITEM_COPY, .address = (u64)call->data, .length = call->bytes};
    if (call->room != NULL)
        page->copy_buffers[0] = (struct message_buffer){(u64)call->room, call->room_bytes};
}

static int work(struct operation *operation)
{
    int error;

    init_completion(&operation->done);
    operation->work.finished = work_finished;
    error = messages_start(&operation->work);
    if (error != 0)
        return -ENOMEM;
    corvus_reap(); // it may have been done at once
    if (wait_for_completion_killable(&operation->done) == 0)
        return 0;
    messages_abort(&operation->work);
    corvus_reap();
    wait_for_completion(&operation->done);
    return -EINTR;
}

// What came: rights that nobody expects are given back.
static int take_answer(const struct operation *operation, struct memobj_call *call)
{
    const struct message_exchange *exchange = &operation->work.exchange;
    unsigned int words = exchange->tag & TAG_WORDS_MASK;
    unsigned int rights = (exchange->tag & TAG_RIGHTS_MASK) >> TAG_RIGHTS_SHIFT;

    if (TAG_ERROR(exchange->tag) != ERR_OK)
        return TAG_ERROR(exchange->tag);
    call->answered = true;
    call->right = rights != 0 ? exchange->page->rights[0].name : PORT_NULL;
    for (unsigned int i = 1; i < rights; i++)
        memobj_deallocate(exchange->page->rights[i].name);
    if ((exchange->tag & TAG_ITEMS_MASK) != 0)
        call->came_bytes = exchange->page->items[0].length;
    memset(call->word, 0, sizeof call->word);
    for (unsigned int i = 1; i < words && i <= MEMOBJ_CALL_WORDS; i++)
        call->word[i - 1] =
            i < MESSAGE_REGISTER_WORDS ? exchange->words[i] : exchange->page->words[i];
    if (words == 0)
        return ERR_PROTOCOL;
    return exchange->words[0] < ERR_COUNT ? (int)exchange->words[0] : ERR_PROTOCOL;
}

int memobj_call(u32 port, struct memobj_call *call)
{
    struct operation *operation = kzalloc(sizeof *operation, GFP_KERNEL);
    int error;

    call->answered = false;
    call->right = PORT_NULL;
    call->came_bytes = 0;
    if (operation == NULL)
        return -ENOMEM;
    prepare(operation, port, call);
    error = work(operation);
    if (error != -ENOMEM) {
        int answer = take_answer(operation, call);

        error = error != 0 ? error : answer;
    }
    // An answer that says no brings nothing.
    if (error != ERR_OK) {
        memobj_deallocate(call->right);
        call->right = PORT_NULL;
    }
    kfree(operation);
    return error;
}
