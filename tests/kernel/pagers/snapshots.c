// SPDX-License-Identifier: BSD-2-Clause
// A snapshot as other cache managers see it, those of other nodes above all: by messages, page by
// page, while its source is written to. And a fault that cannot be served, as an exception.
#include "pagers_test.h"

#include "lib/thread.h"

#include <corvus/message.h>

#define PAGES 8u

static volatile uint64_t *word_at(uint64_t address)
{
    return (volatile uint64_t *)(uintptr_t)address;
}

// Asks for a page and takes the answer.
static struct said ask_for(port_name_t object, struct hand_pager *manager, uint64_t sequence,
                           uint64_t offset)
{
    (void)pager_data_request(object, manager->incarnation, sequence, offset, PAGE_BYTES,
                             ACCESS_READ, DEADLINE_NONE);
    return hand_receive(manager, 2000);
}

void test_snapshots(void)
{
    struct hand_pager manager = {.incarnation = 77};
    port_name_t snapshot = PORT_NULL;
    uint64_t at = 0;
    bool right = true;
    struct said said;

    (void)vm_allocate(map, 0, PAGES * PAGE_BYTES, VM_ANYWHERE, &at);
    for (uint64_t i = 0; i < PAGES; i++)
        *word_at(at + i * PAGE_BYTES) = 100 + i;
    ok(vm_snapshot(map, at, PAGES * PAGE_BYTES, &snapshot) == ERR_OK &&
           port_allocate_with_send(0, &manager.receive, &manager.send) == ERR_OK &&
           pager_init(snapshot, manager.incarnation, 2, copy_send(manager.send),
                      copy_send(manager.send), DEADLINE_NONE) == ERR_OK,
       "another cache manager maps a snapshot");
    for (uint64_t i = 0; i < PAGES; i++) {
        *word_at(at + i * PAGE_BYTES) = 200 + i;
        said = ask_for(snapshot, &manager, i + 1, i * PAGE_BYTES);
        right &= said.id == MESSAGE_pager_data_provided && said.words[1] == i + 1 &&
                 said.words[3] == ACCESS_WRITE && said.first_word == 100 + i;
    }
    ok(right, "it reads what was there, page by page, while the source is written to");
    said = ask_for(snapshot, &manager, PAGES + 1, PAGES * PAGE_BYTES);
    ok(said.id == MESSAGE_pager_data_error && said.words[4] == ERR_INVALID_RANGE,
       "behind its end there is nothing");
    (void)pager_data_unlock(snapshot, manager.incarnation, PAGES + 2, 0, PAGE_BYTES, ACCESS_WRITE,
                            DEADLINE_NONE);
    said = hand_receive(&manager, 2000);
    ok(said.id == MESSAGE_pager_data_error && said.words[4] == ERR_ACCESS_DENIED,
       "it cannot be written to");
    uint64_t maps = numbers().maps;
    (void)pager_terminate(snapshot, manager.incarnation, DEADLINE_NONE);
    (void)port_deallocate(snapshot);
    (void)numbers();
    ok(numbers().maps == maps - 1, "it ends with its last right");
    (void)port_deallocate(manager.receive);
    (void)port_deallocate(manager.send);
    (void)vm_deallocate(map, at, PAGES * PAGE_BYTES);
}

// --- Exceptions ----------------------------------------------------------------------------------

static port_name_t handler_send;
static uint64_t bad_address;

static void *touch_badly(void *argument)
{
    (void)thread_set_pager(thread_self(), copy_send(vm_pager));
    (void)thread_set_exception_port(thread_self(), copy_send(handler_send));
    (void)*word_at(bad_address);
    return argument;
}

void test_exception(void)
{
    struct message message;
    port_name_t handler = PORT_NULL;
    pthread_t thread;

    // Behind the end of the example's object.
    bad_address = map_object(example, 1, 1024 * PAGE_BYTES, 0, 0);
    bool started = port_allocate_with_send(0, &handler, &handler_send) == ERR_OK &&
                   pthread_create(&thread, NULL, touch_badly, NULL) == 0;
    ok(started, "a thread touches what its pager refuses");
    bool received = started && msg_receive(&message, handler, 5000 * 1000) == ERR_OK;
    ok(received && message.id == MESSAGE_ID_EXCEPTION && message.words[0] == 14 &&
           message.words[3] == bad_address && message.words[5] == ERR_INVALID_RANGE,
       "it gets an exception with the pager's reason");
    // Another object takes the place, and the access succeeds.
    uint64_t start;
    (void)vm_deallocate(map, bad_address, PAGE_BYTES);
    (void)vm_allocate(map, bad_address, PAGE_BYTES, 0, &start);
    message.tag = 1;
    message.words[0] = EXCEPTION_RESUME;
    ok(received && msg_reply(&message) == ERR_OK && pthread_join(thread, NULL) == 0,
       "whose handler repairs it and lets it go on");
    (void)vm_deallocate(map, bad_address, PAGE_BYTES);
    (void)port_deallocate(handler_send);
    (void)port_deallocate(handler);
}
