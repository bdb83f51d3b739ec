// SPDX-License-Identifier: BSD-2-Clause
// A pager and exception handler for the tests, as well-behaved or as hostile as
// its policy says.
#include "harness.h"

static void answer_fault(struct test_pager *pager, struct message *message)
{
    uint64_t page = message->words[0] & ~(PAGE_BYTES - 1);
    struct message_item *item = &utcb_self()->items[0];

    *item = (struct message_item){.kind = ITEM_MAP,
                                  .access = (uint32_t)pager->access,
                                  .address = (uint64_t)pager->pages + (page - pager->base),
                                  .length = PAGE_BYTES,
                                  .offset = page};
    message->tag = TAG_ITEMS(1);
    if (pager->policy == PAGER_WRONG)
        message->tag = 0; // no item: the same fault will come again
    if (pager->policy == PAGER_REFUSE) {
        message->words[0] = PAGER_REASON;
        message->tag = 1;
    }
}

static void pager_loop(void *argument)
{
    struct test_pager *pager = argument;
    struct message message = {.receive_from = pager->port.receive};
    unsigned result = message_do(&message, TAG_RECEIVE);

    while (result == ERR_OK) {
        if (message.id == MESSAGE_ID_EXCEPTION) {
            pager->last_exception = *(struct exception_message *)message.words;
            pager->exceptions++;
            if (pager->on_exception)
                pager->on_exception(pager);
            message.words[0] = pager->resume;
            message.tag = 1;
        } else {
            EXPECT_EQUAL(message.id, MESSAGE_ID_PAGE_FAULT);
            EXPECT_EQUAL(message.tag, 4 | TAG_REPLY);
            pager->last_fault = *(struct page_fault_message *)message.words;
            pager->faults++;
            if (pager->policy == PAGER_SILENT) {
                (void)thread_save_reply(pager->helper->thread, &pager->kept);
                message.tag = 0;
            } else {
                answer_fault(pager, &message);
            }
        }
        uint64_t counts = message.tag;
        bool silent = message.id == MESSAGE_ID_PAGE_FAULT && pager->policy == PAGER_SILENT;
        message.receive_from = pager->port.receive;
        result = message_do(&message, silent ? TAG_RECEIVE : TAG_REPLY_RECEIVE | counts);
        if (result == ERR_PEER_DIED) {
            // Who faulted has given up or was ended.
            message.receive_from = pager->port.receive;
            result = message_do(&message, TAG_RECEIVE);
        }
    }
    // Its port has gone, under it or before it came back to it.
    EXPECT(result == (ERR_PEER_DIED | IN_RECEIVE) || result == (ERR_INVALID_NAME | IN_RECEIVE));
}

void pager_start(struct test_pager *pager, enum pager_policy policy, void *pages, uint64_t base)
{
    *pager = (struct test_pager){.port = port_make(0xfa),
                                 .pages = pages,
                                 .base = base,
                                 .access = ACCESS_READ | ACCESS_WRITE,
                                 .policy = policy};
    pager->helper = helper_create(0);
    pager->helper->function = pager_loop;
    pager->helper->argument = pager;
    EXPECT_OK(thread_start(pager->helper->thread, (uint64_t)helper_begin,
                           helper_stack(pager->helper), (uint64_t)pager->helper, 0));
    EXPECT(helper_waits(pager->helper, THREAD_RECEIVING));
}

void pager_serves(struct test_pager *pager, port_name_t thread)
{
    EXPECT_OK(thread_set_pager(thread, copy_send(pager->port.send)));
    EXPECT_OK(thread_set_exception_port(thread, copy_send(pager->port.send)));
}

void pager_stop(struct test_pager *pager)
{
    right_drop(pager->port.receive);
    helper_join(pager->helper);
    right_drop(pager->port.send);
    if (pager->kept != PORT_NULL)
        right_drop((port_name_t)pager->kept);
}
