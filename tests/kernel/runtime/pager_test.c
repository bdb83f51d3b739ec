// SPDX-License-Identifier: BSD-2-Clause
// The pager skeleton: one thread of the task pages for another. Pages show up
// at the addresses that were touched; what the pager refuses ends the thread.
#include "runtime_test.h"

#include "lib/pager.h"
#include "lib/port.h"
#include "lib/thread.h"

#include <corvus/host.h>

#include <pthread.h>
#include <string.h>

#define PAGED_START 0x1000000000ull // nobody else's
#define PAGED_PAGES 4u
#define PAGER_LABEL 77u

static char pages[PAGED_PAGES][PAGE_BYTES] __attribute__((aligned(4096)));
static unsigned faults;
static bool label_was_right = true;

static corvus_error_t page(uint64_t label, const struct page_fault_message *fault,
                           struct pager_answer *answer)
{
    uint64_t address = fault->address & ~(PAGE_BYTES - 1);
    uint64_t number = (address - PAGED_START) / PAGE_BYTES;

    faults++;
    label_was_right &= label == PAGER_LABEL;
    if (address < PAGED_START || number >= PAGED_PAGES)
        return ERR_NOT_MAPPED;
    *answer = (struct pager_answer){
        .source = (uint64_t)pages[number],
        .destination = address,
        .length = PAGE_BYTES,
        .access = ACCESS_READ | ACCESS_WRITE,
        .kind = ITEM_MAP,
    };
    return ERR_OK;
}

static const struct pager_operations operations = {.page = page};

static void *pager(void *argument)
{
    static corvus_error_t result;

    result = pager_serve(*(port_name_t *)argument, &operations);
    return &result;
}

static void *touch(void *argument)
{
    volatile char *paged = (volatile char *)PAGED_START;

    if (thread_set_pager(thread_self(), copy_send(*(port_name_t *)argument)) != ERR_OK)
        return NULL;
    for (unsigned i = 0; i < PAGED_PAGES; i++) {
        if (paged[i * PAGE_BYTES] != (char)('a' + i))
            return NULL;
        paged[i * PAGE_BYTES + 1] = (char)('A' + i);
    }
    return argument;
}

static bool pages_were_written(void)
{
    for (unsigned i = 0; i < PAGED_PAGES; i++)
        if (pages[i][1] != (char)('A' + i))
            return false;
    return true;
}

void test_pager(void)
{
    port_name_t receive, send;
    pthread_t server, client;
    void *result = NULL;

    for (unsigned i = 0; i < PAGED_PAGES; i++)
        memset(pages[i], 'a' + (int)i, PAGE_BYTES);
    if (port_allocate_with_send(PAGER_LABEL, &receive, &send) != ERR_OK ||
        pthread_create(&server, NULL, pager, &receive) != 0 ||
        pthread_create(&client, NULL, touch, &send) != 0) {
        ok(0, "a pager");
        return;
    }
    pthread_join(client, &result);
    ok(result == &send, "a thread finds what its pager has");
    ok(faults == PAGED_PAGES && label_was_right, "one fault a page");
    ok(pages_were_written(), "and writes into the pager's own pages");
    (void)memory_unmap(NAME_TASK_SELF, PAGED_START, PAGED_PAGES * PAGE_BYTES,
                       ACCESS_ALL | MEMORY_SELF, NULL, NULL, NULL);
    ok(port_deallocate(receive) == ERR_OK && pthread_join(server, &result) == 0 &&
           *(corvus_error_t *)result != ERR_OK,
       "the pager ends with its port");
    (void)port_deallocate(send);
}
