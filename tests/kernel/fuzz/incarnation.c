// SPDX-License-Identifier: BSD-2-Clause
// See incarnation.h. Calls that wait for ever are aborted; a caller that was
// suspended is resumed; a thread that has ended stays so.
#include "incarnation.h"

#include "caller.h"
#include "fuzz.h"
#include "material.h"

#include "lib/memory.h"
#include "lib/message.h"
#include "tests/kernel/bench/twin.h"

#include <unistd.h>

#define TASK_QUOTA     (2u << 20)
#define WATCH_US       4000u
#define PATIENCE       3u    // looks without progress before a caller is aborted
#define LOOKS_MAX      2000u // of one incarnation
#define POOL_PAGES     64u
#define PAGER_NUMBER   40u
#define PAGER_PRIORITY 115u

static uint64_t pool;
static uint64_t fault_receive;
static port_name_t fault_send;
static struct twin_stack caller_stacks[FUZZ_CALLERS];
static struct twin_stack pager_stack;

// The fuzzed task has a send right to the faults' port, and sends rights too.
static void give_up_rights(const struct message *message)
{
    struct message_right rights[MESSAGE_RIGHTS];
    uint64_t count = (message->tag & TAG_RIGHTS_MASK) >> TAG_RIGHTS_SHIFT;

    for (uint64_t i = 0; TAG_ERROR(message->tag) == ERR_OK && i < count; i++)
        rights[i] = utcb_self()->rights[i];
    for (uint64_t i = 0; TAG_ERROR(message->tag) == ERR_OK && i < count; i++)
        (void)task_deallocate_right(NAME_TASK_SELF, rights[i].name);
}

// Pages of the pool, in no order, for the paged half of the arena; everything
// else is refused, and exceptions end their thread. Now and then no answer.
static void serve_faults(uint64_t receive)
{
    struct random random = {.state = 4711};
    struct message message;
    corvus_error_t error = msg_receive(&message, (port_name_t)receive, TIMEOUT_NONE);

    for (;;) {
        uint64_t address = message.words[0] & ~(PAGE_BYTES - 1);
        give_up_rights(&message);
        bool paged = message.id == MESSAGE_ID_PAGE_FAULT && address >= ARENA_START &&
                     address < ARENA_START + ARENA_PAGED * PAGE_BYTES;

        if (error != ERR_OK || random_one_in(&random, 64)) {
            error = msg_receive(&message, (port_name_t)receive, TIMEOUT_NONE);
            continue;
        }
        message.tag = 1;
        message.words[0] =
            message.id == MESSAGE_ID_PAGE_FAULT ? ERR_NOT_MAPPED : EXCEPTION_TERMINATE;
        if (paged) {
            message.tag = TAG_ITEMS(1);
            utcb_self()->items[0] = (struct message_item){
                .kind = ITEM_MAP,
                .access = ACCESS_READ | ACCESS_WRITE,
                .address = pool + random_below(&random, POOL_PAGES) * PAGE_BYTES,
                .length = PAGE_BYTES,
                .offset = address,
            };
        }
        error = msg_reply_receive(&message, (port_name_t)receive, TIMEOUT_NONE);
    }
}

corvus_error_t incarnation_prepare(void)
{
    port_name_t thread;
    corvus_error_t error =
        memory_map_anywhere(POOL_PAGES * PAGE_BYTES, ACCESS_READ | ACCESS_WRITE, &pool);

    for (unsigned i = 0; error == ERR_OK && i < POOL_PAGES; i++)
        *(volatile char *)(pool + i * PAGE_BYTES) = (char)i;
    if (error == ERR_OK)
        error = task_allocate_port(NAME_TASK_SELF, 0, &fault_receive);
    if (error == ERR_OK)
        error =
            task_extract_right(NAME_TASK_SELF, (port_name_t)fault_receive, MAKE_SEND, &fault_send);
    if (error == ERR_OK)
        error = twin_make_thread(NAME_TASK_SELF, PAGER_NUMBER, PAGER_PRIORITY, &thread);
    return error == ERR_OK ? twin_start(thread, &pager_stack, serve_faults, fault_receive) : error;
}

void incarnation_settle(void)
{
    (void)msg_notify(fault_send, 1);
}

// --- Making --------------------------------------------------------------------

static corvus_error_t make_callers(port_name_t task, port_name_t *threads)
{
    corvus_error_t error = ERR_OK;

    for (unsigned i = 0; i < FUZZ_CALLERS && error == ERR_OK; i++) {
        error = twin_make_thread(task, i, FUZZ_PRIORITY, &threads[i]);
        if (error == ERR_OK)
            error = thread_set_pager(threads[i], copy_send(fault_send));
        if (error == ERR_OK)
            error = thread_set_exception_port(threads[i], copy_send(fault_send));
    }
    return error;
}

static corvus_error_t make(port_name_t *task, port_name_t *threads)
{
    corvus_error_t error = twin_make_task(TASK_QUOTA, task);

    if (error == ERR_OK)
        error = memory_map(*task, pool, ARENA_START + ARENA_PAGED * PAGE_BYTES,
                           POOL_PAGES * PAGE_BYTES, ACCESS_READ | ACCESS_WRITE, NULL);
    if (error == ERR_OK)
        error = make_callers(*task, threads);
    // In place of a bootstrap port: one that nobody serves but the pager.
    if (error == ERR_OK)
        error = twin_insert_rights(*task, fault_send, threads[0]);
    for (unsigned i = 0; i < FUZZ_CALLERS && error == ERR_OK; i++)
        error = twin_start(threads[i], &caller_stacks[i], caller_main, i);
    return error;
}

// --- Watching ------------------------------------------------------------------

static bool is_alive(port_name_t thread)
{
    uint64_t id;

    return thread_info(thread, &id, NULL, NULL, NULL, NULL, NULL) == ERR_OK;
}

static void push_on(port_name_t thread)
{
    while (thread_resume(thread) == ERR_OK)
        ;
    (void)thread_abort(thread);
}

static void watch(const port_name_t *threads, uint64_t calls)
{
    uint64_t first = fuzz_shared->calls;
    uint64_t last[FUZZ_CALLERS] = {0};
    unsigned idle[FUZZ_CALLERS] = {0};

    for (unsigned look = 0; look < LOOKS_MAX && fuzz_shared->calls - first < calls; look++) {
        unsigned alive = 0;

        usleep(WATCH_US);
        for (unsigned i = 0; i < FUZZ_CALLERS; i++) {
            uint64_t made = fuzz_shared->callers[i].calls;

            if (!is_alive(threads[i]))
                continue;
            alive++;
            idle[i] = made == last[i] ? idle[i] + 1 : 0;
            last[i] = made;
            if (idle[i] >= PATIENCE)
                push_on(threads[i]);
        }
        if (alive == 0)
            return;
    }
}

corvus_error_t incarnation_run(uint64_t seed, uint64_t calls)
{
    port_name_t task = PORT_NULL;
    port_name_t threads[FUZZ_CALLERS] = {PORT_NULL};
    corvus_error_t error;

    material_forget();
    fuzz_shared->seed = seed;
    error = make(&task, threads);
    if (error == ERR_OK)
        watch(threads, calls);
    corvus_error_t ended = task_terminate(task);
    for (unsigned i = 0; i < FUZZ_CALLERS; i++)
        (void)task_deallocate_right(NAME_TASK_SELF, threads[i]);
    (void)task_deallocate_right(NAME_TASK_SELF, task);
    // It may have ended itself.
    return error != ERR_OK                                     ? error
           : ended == ERR_PEER_DIED || ended == ERR_TERMINATED ? ERR_OK
                                                               : ended;
}
