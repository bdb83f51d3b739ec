// SPDX-License-Identifier: BSD-2-Clause
// The first task at its limits: without quota, vectors and names.
#include "first.h"

#define QUOTA_AT    0x50000000000ull // where nothing is, page tables neither
#define PORTS_MAX   64               // more than a page of kernel memory holds
#define VECTORS_MAX 256              // more than the processor has

static port_name_t bank; // a task that holds our quota for a while
static uint64_t ports[PORTS_MAX];
static port_name_t interrupts[VECTORS_MAX];

static corvus_error_t attach(port_name_t port)
{
    port_name_t line;

    return host_attach_interrupt(NAME_HOST_PRIVILEGED, 7, HOST_IRQ_ISA, 1, make_send(port), &line);
}

static corvus_error_t allocate_msi(port_name_t port, port_name_t *msi)
{
    uint64_t address, data;

    return host_allocate_msi(NAME_HOST_PRIVILEGED, 1, make_send(port), msi, &address, &data);
}

static uint64_t used_by(port_name_t task)
{
    uint64_t used = 0;

    (void)task_info(task, NULL, NULL, &used, NULL, NULL, NULL);
    return used;
}

// Leaves no page of quota, and no room for another port in the last one.
static void spend_quota(void)
{
    unsigned count = 0;

    (void)task_move_quota(NAME_TASK_SELF, quota_of(NAME_TASK_SELF) - used_by(NAME_TASK_SELF),
                          copy_send(bank));
    while (count < PORTS_MAX && task_allocate_port(NAME_TASK_SELF, 0, &ports[count]) == ERR_OK)
        count++;
    ok(count < PORTS_MAX, "the quota is spent");
}

static void get_quota_back(void)
{
    (void)task_move_quota(bank, quota_of(bank) - CHILD_QUOTA - PAGES * PAGE_BYTES,
                          copy_send(NAME_TASK_SELF));
    for (unsigned i = 0; i < PORTS_MAX && ports[i] != PORT_NULL; i++)
        (void)task_deallocate_right(NAME_TASK_SELF, ports[i]);
}

static void test_spent_quota(uint64_t memory)
{
    port_name_t port = new_port(), msi;
    uint64_t used, quota, reclaimed = 0;

    memory += 3 * LARGE_PAGE_BYTES;
    (void)memory_unmap(NAME_TASK_SELF, memory + LARGE_PAGE_BYTES - PAGE_BYTES, PAGE_BYTES,
                       ACCESS_ALL | MEMORY_SELF, NULL, NULL, NULL);
    (void)task_create(NAME_TASK_SELF, CHILD_QUOTA, 0, &bank, NULL);
    ok(task_donate(bank, memory, PAGES) == ERR_OK, "pages for later");
    spend_quota();
    used = used_by(NAME_TASK_SELF);
    quota = quota_of(bank);
    ok(host_map_io(NAME_HOST_PRIVILEGED) == ERR_NO_MEMORY, "then there are no I/O ports");
    ok(map_device(DEVICE_HOLE, QUOTA_AT, PAGE_BYTES) == ERR_NO_MEMORY, "no device");
    ok(attach(port) == ERR_NO_MEMORY, "no interrupt line");
    ok(allocate_msi(port, &msi) == ERR_NO_MEMORY, "no message-signalled interrupt");
    ok(task_reclaim(bank, QUOTA_AT, 1, &reclaimed) == ERR_NO_MEMORY && quota_of(bank) == quota,
       "and nothing can be reclaimed, nor is it lost");
    ok(used_by(NAME_TASK_SELF) == used, "all that failed has cost nothing");
    get_quota_back();
    ok(task_reclaim(bank, QUOTA_AT, PAGES, &reclaimed) == ERR_OK && reclaimed == PAGES,
       "with quota it can");
    (void)task_terminate(bank);
    (void)task_deallocate_right(NAME_TASK_SELF, port);
}

static void test_spent_vectors(void)
{
    port_name_t port = new_port();
    corvus_error_t error = ERR_OK;
    unsigned count = 0;

    while (count < VECTORS_MAX && error == ERR_OK)
        error = allocate_msi(port, &interrupts[count++]);
    ok(error == ERR_NO_MEMORY && count > 100, "interrupts end with the processor's vectors");
    ok(attach(port) == ERR_NO_MEMORY, "lines, too");
    for (unsigned i = 0; i + 1 < count; i++)
        (void)task_deallocate_right(NAME_TASK_SELF, interrupts[i]);
    ok(allocate_msi(port, &interrupts[0]) == ERR_OK &&
           task_deallocate_right(NAME_TASK_SELF, interrupts[0]) == ERR_OK,
       "vectors given back are used again");
    (void)task_deallocate_right(NAME_TASK_SELF, port);
}

// The table stays full.
static void test_full_table(void)
{
    port_name_t port = new_port(), msi;
    corvus_error_t error = ERR_OK;

    for (unsigned i = 0; i < RIGHTS_MAX && error == ERR_OK; i++)
        error = task_insert_right(NAME_TASK_SELF, copy_send(NAME_TASK_SELF), NULL);
    ok(error == ERR_RIGHTS_FULL, "all names are in use");
    ok(attach(port) == ERR_RIGHTS_FULL && allocate_msi(port, &msi) == ERR_RIGHTS_FULL,
       "then there is none for an interrupt");
}

void test_limits(uint64_t memory)
{
    test_spent_quota(memory);
    test_spent_vectors();
    test_full_table();
}
