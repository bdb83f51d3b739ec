// SPDX-License-Identifier: BSD-2-Clause
// Tasks that the VM server makes, and that run: one made empty, one forked. Their program is a few
// instructions in memory of their map.
#include "pagers_test.h"

#include "lib/thread.h"

#include <corvus/stubs.h>

#define RW        (ACCESS_READ | ACCESS_WRITE)
#define QUOTA     (256ull << 10)
#define CODE      0x090000000000ull
#define CODE_DATA (CODE + PAGE_BYTES)
#define UTCB      0x600000000000ull
#define PRIORITY  20u // below this task's, so that it is there to see what they do

struct child {
    port_name_t task, map, pager, thread;
};

// rdi: an address. Adds 100 to the word there and writes the sum behind it; for ever after it
// waits.
static const uint8_t program[] = {
    0x48, 0x8b, 0x07,       // mov rax, [rdi]
    0x48, 0x83, 0xc0, 0x64, // add rax, 100
    0x48, 0x89, 0x47, 0x08, // mov [rdi + 8], rax
    0xf3, 0x90,             // pause
    0xeb, 0xfc,             // jmp to the pause
};

static bool start(struct child *child)
{
    corvus_error_t error = task_create_thread(child->task, UTCB, PRIORITY, &child->thread, NULL);

    if (error == ERR_OK)
        error = thread_set_pager(child->thread, copy_send(child->pager));
    if (error == ERR_OK)
        error = thread_start(child->thread, CODE, 0, CODE_DATA, 0);
    if (error != ERR_OK)
        note("its thread: error %d", error);
    return error == ERR_OK;
}

// Waits until the child's word is that; false: it is not within two seconds.
static bool becomes(port_name_t child_map, uint64_t value)
{
    uint64_t seen = 0, end = clock_now_ns() + 2 * NANOSECONDS_PER_SECOND;
    struct message none;
    port_name_t never;

    if (port_allocate(0, &never) != ERR_OK)
        return false;
    while (seen != value && clock_now_ns() < end) {
        size_t bytes = sizeof seen;
        (void)msg_receive(&none, never, 10000); // the child runs meanwhile
        if (vm_read(child_map, CODE_DATA + 8, sizeof seen, &seen, &bytes) != ERR_OK)
            break;
    }
    (void)port_deallocate(never);
    if (seen != value)
        note("its word is %llu", (unsigned long long)seen);
    return seen == value;
}

// It ends when nobody has its map.
static bool end(struct child *child, uint64_t maps)
{
    uint64_t id;

    (void)port_deallocate(child->map);
    (void)port_deallocate(child->pager);
    (void)numbers();
    bool ended = numbers().maps == maps &&
                 task_info(child->task, &id, NULL, NULL, NULL, NULL, NULL) != ERR_OK;
    (void)port_deallocate(child->thread);
    (void)port_deallocate(child->task);
    return ended;
}

static void created(void)
{
    struct child child = {0};
    uint64_t at, value = 7, maps = numbers().maps;

    ok(vm_create(vm_server, 1, &child.task, &child.map, &child.pager) != ERR_OK &&
           vm_create(vm_server, 1ull << 50, &child.task, &child.map, &child.pager) != ERR_OK &&
           numbers().maps == maps,
       "vm_create: a quota that cannot be");
    ok(vm_create(vm_server, QUOTA, &child.task, &child.map, &child.pager) == ERR_OK, "vm_create");
    ok(vm_allocate(child.map, CODE, PAGE_BYTES, 0, &at) == ERR_OK &&
           vm_protect(child.map, CODE, PAGE_BYTES, 0, ACCESS_ALL) == ERR_OK &&
           vm_allocate(child.map, CODE_DATA, PAGE_BYTES, 0, &at) == ERR_OK &&
           vm_write(child.map, CODE, program, sizeof program) == ERR_OK &&
           vm_write(child.map, CODE_DATA, &value, sizeof value) == ERR_OK,
       "its memory is made and written");
    ok(start(&child) && becomes(child.map, 107), "it runs there, by faults of its own");
    ok(end(&child, maps), "it ends when nobody has its map");
}

static void forked(void)
{
    struct child child = {0};
    volatile uint64_t *data = (volatile uint64_t *)(uintptr_t)CODE_DATA;
    uint64_t at, maps = numbers().maps;

    ok(vm_allocate(map, CODE, PAGE_BYTES, 0, &at) == ERR_OK &&
           vm_write(map, CODE, program, sizeof program) == ERR_OK &&
           vm_protect(map, CODE, PAGE_BYTES, 0, ACCESS_READ | ACCESS_EXECUTE) == ERR_OK &&
           vm_allocate(map, CODE_DATA, PAGE_BYTES, 0, &at) == ERR_OK,
       "a program in memory");
    data[0] = 1000;
    ok(vm_fork(map, 1ull << 50, &child.task, &child.map, &child.pager) != ERR_OK &&
           numbers().maps == maps,
       "vm_fork: a quota that cannot be");
    ok(vm_fork(map, QUOTA, &child.task, &child.map, &child.pager) == ERR_OK, "vm_fork");
    data[0] = 1;
    ok(start(&child) && becomes(child.map, 1100), "the child runs with what was there");
    ok(data[0] == 1 && data[1] == 0, "the parent's memory is its own");
    ok(end(&child, maps), "the child ends when nobody has its map");
    (void)vm_deallocate(map, CODE, 2 * PAGE_BYTES);
}

void test_children(void)
{
    created();
    forked();
}
