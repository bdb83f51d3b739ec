// SPDX-License-Identifier: BSD-2-Clause
// A page fault that a pager in another address space answers with a mapping:
// from the instruction that touches the page until it is done. Tables of the
// region are warm but for one page in 512.
#include "rows.h"

#include "lib/message.h"

#include <corvus/host.h>

#define REGION 0x500000000000ull

// The page that the pager gives, again and again.
static char page[PAGE_BYTES] __attribute__((aligned(4096)));

static void serve_pages(uint64_t receive)
{
    struct message message;
    corvus_error_t error;

    page[0] = 1; // the pager has it
    error = msg_receive(&message, (port_name_t)receive, TIMEOUT_NONE);
    while (error == ERR_OK) {
        utcb_self()->items[0] = (struct message_item){
            .kind = ITEM_MAP,
            .access = ACCESS_READ | ACCESS_WRITE,
            .address = (uint64_t)page,
            .length = PAGE_BYTES,
            .offset = message.words[0] & ~(PAGE_BYTES - 1),
        };
        message.tag = TAG_ITEMS(1);
        error = msg_reply_receive(&message, (port_name_t)receive, TIMEOUT_NONE);
    }
}

static void touch_pages(struct row *row)
{
    for (unsigned round = 0; round < MEASURE_ALL_ROUNDS; round++) {
        volatile char *address = (volatile char *)(REGION + round * PAGE_BYTES);
        measure_before(row, round);
        uint64_t start = processor_time();
        *address = 2;
        uint64_t end = processor_time();
        measure_after(row, round, start, end);
    }
}

void rows_fault(void)
{
    struct row *row = measure_row("fault_pager_resume", "instructions", "seL4=1303");
    struct partner partner;
    corvus_error_t error = partner_start(&partner, partner_twin, serve_pages, BENCH_PRIORITY);

    if (error == ERR_OK)
        error = thread_set_pager(NAME_THREAD_MAIN, copy_send(partner.send));
    if (error == ERR_OK) {
        touch_pages(row);
        (void)measure_print(row);
        error = thread_set_pager(NAME_THREAD_MAIN, copy_send(NAME_BOOTSTRAP));
        (void)memory_unmap(NAME_TASK_SELF, REGION, MEASURE_ALL_ROUNDS * PAGE_BYTES,
                           ACCESS_ALL | MEMORY_SELF, NULL, NULL, NULL);
    }
    if (error != ERR_OK)
        measure_failed("fault_pager_resume", "pager", error);
    partner_stop(&partner);
}
