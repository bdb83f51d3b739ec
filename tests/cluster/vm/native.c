// SPDX-License-Identifier: BSD-2-Clause
// The native task of tests/cluster/vm.sh: a client of its node's VM server, which does with its
// memory what orders.h says. When its VM server has died, so has its memory: it ends, and init
// starts it again.
#include "orders.h"

#include "lib/port.h"
#include "lib/serve.h"

#include <corvus/init_stubs.h>
#include <corvus/netname_stubs.h>
#include <corvus/segments_stubs.h>
#include <corvus/vm.h>
#include <corvus/vm_stubs.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_KEY   78u
#define PAGE_WORDS (PAGE_BYTES / sizeof(uint64_t))
#define SEND_US    20000000u

// Counters of vm_server_statistics.
#define COUNTERS 14u

static struct {
    uint64_t at, pages;
} regions[REGIONS];

static port_name_t receive, netname, vm_server, map, pager;

// The thread that writes a region anew.
static pthread_t churner;
static bool churning;
static uint64_t rounds;

// --- Names ---------------------------------------------------------------------------------------

static void name_words(const char *name, uint64_t words[4])
{
    char text[32] = {0};

    strncpy(text, name, sizeof text - 1);
    memcpy(words, text, sizeof text);
}

static port_name_t find(const char *name)
{
    port_name_t right;
    uint64_t w[4];

    name_words(name, w);
    corvus_error_t error = bootstrap_look_up(NAME_BOOTSTRAP, w[0], w[1], w[2], w[3], 1, &right);
    if (error == ERR_OK)
        return right;
    printf("no %s: error %d\n", name, error);
    exit(EXIT_FAILURE);
}

// --- Regions -------------------------------------------------------------------------------------

static volatile uint64_t *page_at(uint64_t region, uint64_t page)
{
    return (volatile uint64_t *)(uintptr_t)(regions[region].at + page * PAGE_BYTES);
}

static corvus_error_t map_region(enum vm_test_region region, port_name_t object, uint64_t pages,
                                 uint64_t flags, uint64_t access)
{
    uint64_t bytes = pages * PAGE_BYTES;
    corvus_error_t error;

    if (regions[region].at != 0) {
        if (object != PORT_NULL)
            (void)port_deallocate(object);
        return ERR_IN_USE;
    }
    if (object == PORT_NULL)
        error = vm_allocate(map, 0, bytes, VM_ANYWHERE, &regions[region].at);
    else
        error = vm_allocate_with_pager(map, 0, bytes, 0, flags | VM_ANYWHERE, access, 0,
                                       move_send(object), &regions[region].at);
    regions[region].pages = error == ERR_OK ? pages : 0;
    return error;
}

static corvus_error_t map_segment(uint64_t pages, uint64_t number)
{
    port_name_t object, dsm = find("dsm");
    uint64_t size;
    corvus_error_t error = segment_open(dsm, number, 0, &object, &size);

    (void)port_deallocate(dsm);
    return error != ERR_OK
               ? error
               : map_region(REGION_SEGMENT, object, pages, 0, ACCESS_READ | ACCESS_WRITE);
}

static corvus_error_t drop(uint64_t region)
{
    corvus_error_t error =
        vm_deallocate(map, regions[region].at, regions[region].pages * PAGE_BYTES);

    regions[region].at = 0;
    regions[region].pages = 0;
    return error;
}

// --- Snapshots -----------------------------------------------------------------------------------

static corvus_error_t send_snapshot(uint64_t node, uint64_t pages)
{
    struct message message = {.tag = VM_TEST_WORDS | TAG_RIGHTS(1), .id = ORDER_TAKE};
    port_name_t snapshot, other;
    uint64_t w[4];
    corvus_error_t error = vm_snapshot(map, regions[REGION_OWN].at, pages * PAGE_BYTES, &snapshot);

    if (error != ERR_OK)
        return error;
    name_words(VM_TEST_NAME, w);
    error = netname_look_up(netname, w[0], w[1], w[2], w[3], node, 1, &other);
    if (error == ERR_OK) {
        message.destination = other;
        message.words[0] = pages;
        utcb_self()->rights[0] = copy_send(snapshot);
        error = msg_rpc(&message, SEND_US);
        (void)port_deallocate(other);
    }
    (void)port_deallocate(snapshot);
    return error != ERR_OK ? error : (corvus_error_t)message.words[0];
}

// Maps it twice.
static corvus_error_t take_snapshot(uint64_t pages, port_name_t object)
{
    port_name_t again;
    uint64_t name = 0;
    corvus_error_t error = task_insert_right(NAME_TASK_SELF, copy_send(object), &name);

    again = (port_name_t)name;
    if (error == ERR_OK)
        error = map_region(REGION_TAKEN, object, pages, 0, ACCESS_READ);
    else
        (void)port_deallocate(object);
    return error != ERR_OK
               ? error
               : map_region(REGION_COPY, again, pages, VM_PRIVATE, ACCESS_READ | ACCESS_WRITE);
}

// --- Contents ------------------------------------------------------------------------------------

static void fill(uint64_t region, uint64_t number)
{
    for (uint64_t page = 0; page < regions[region].pages; page++)
        for (uint64_t i = 0; i < PAGE_WORDS; i++)
            page_at(region, page)[i] = number + page;
}

static uint64_t count_wrong(uint64_t region, uint64_t number)
{
    uint64_t wrong = 0;

    for (uint64_t page = 0; page < regions[region].pages; page++) {
        uint64_t i = 0;
        while (i < PAGE_WORDS && page_at(region, page)[i] == number + page)
            i++;
        wrong += i != PAGE_WORDS;
    }
    return wrong;
}

static void *churn(void *argument)
{
    (void)thread_set_pager(thread_self(), copy_send(pager));
    while (__atomic_load_n(&churning, __ATOMIC_ACQUIRE))
        fill((uintptr_t)argument, 1000000 + rounds++);
    return NULL;
}

static corvus_error_t start_churn(uint64_t region)
{
    if (churning)
        return ERR_IN_USE;
    churning = true;
    rounds = 0;
    churning = pthread_create(&churner, NULL, churn, (void *)(uintptr_t)region) == 0; // a number
    return churning ? ERR_OK : ERR_NO_MEMORY;
}

static corvus_error_t stop_churn(uint64_t *value)
{
    if (!churning)
        return ERR_STATE;
    __atomic_store_n(&churning, false, __ATOMIC_RELEASE);
    (void)pthread_join(churner, NULL);
    *value = rounds;
    return ERR_OK;
}

static corvus_error_t counter(uint64_t number, uint64_t *value)
{
    uint64_t n[COUNTERS];
    corvus_error_t error =
        vm_server_statistics(vm_server, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7],
                             &n[8], &n[9], &n[10], &n[11], &n[12], &n[13]);

    *value = error == ERR_OK && number < COUNTERS ? n[number] : 0;
    return error;
}

static corvus_error_t unused_memory(uint64_t *bytes)
{
    uint64_t servers, total, lost;

    return node_statistics(NAME_BOOTSTRAP, &servers, &total, bytes, &lost);
}

// --- Orders --------------------------------------------------------------------------------------

// Orders about a page or all of a region.
static corvus_error_t use(uint32_t id, const uint64_t *words, uint64_t *value)
{
    uint64_t region = words[0], page = words[1];
    bool one_page = id == ORDER_READ || id == ORDER_WRITE || id == ORDER_TRY;
    size_t bytes = sizeof *value;

    if (region >= REGIONS || regions[region].at == 0 || (one_page && page >= regions[region].pages))
        return ERR_INVALID_ARGUMENT;
    switch (id) {
    case ORDER_DROP:
        return drop(region);
    case ORDER_FILL:
        fill(region, words[1]);
        break;
    case ORDER_CHECK:
        *value = count_wrong(region, words[1]);
        break;
    case ORDER_CHURN:
        return start_churn(region);
    case ORDER_READ:
        *value = *page_at(region, page);
        break;
    case ORDER_WRITE:
        *page_at(region, page) = words[2];
        break;
    case ORDER_TRY:
        return vm_read(map, regions[region].at + page * PAGE_BYTES, bytes, value, &bytes);
    case ORDER_ADD:
        for (uint64_t i = 0; i < words[1]; i++)
            __atomic_fetch_add(page_at(region, 0), 1, __ATOMIC_SEQ_CST);
        break;
    default:
        return ERR_UNKNOWN_SERVICE;
    }
    return ERR_OK;
}

static corvus_error_t obey(const struct message *order, uint64_t *value)
{
    const uint64_t *words = order->words;
    bool with_right = order->id == ORDER_TAKE;

    if (!message_fits(order, VM_TEST_WORDS, TAG_RIGHTS(with_right ? 1 : 0))) {
        message_drop_rights(order->tag);
        return ERR_INVALID_ARGUMENT;
    }
    switch (order->id) {
    case ORDER_SEGMENT:
        return map_segment(words[0], words[1]);
    case ORDER_OWN:
        return map_region(REGION_OWN, PORT_NULL, words[0], 0, 0);
    case ORDER_SEND:
        return send_snapshot(words[0], words[1]);
    case ORDER_TAKE:
        return take_snapshot(words[0], utcb_self()->rights[0].name);
    case ORDER_STILL:
        return stop_churn(value);
    case ORDER_COUNTER:
        return counter(words[0], value);
    case ORDER_MEMORY:
        return unused_memory(value);
    default:
        return use((uint32_t)order->id, words, value);
    }
}

static corvus_error_t begin(void)
{
    uint64_t w[4];
    corvus_error_t error;

    netname = find("netname");
    vm_server = find(VM_NAME);
    error = vm_attach(vm_server, copy_send(NAME_TASK_SELF), &map, &pager);
    if (error == ERR_OK)
        error = thread_set_pager(thread_self(), copy_send(pager));
    if (error == ERR_OK)
        error = port_allocate(0, &receive);
    name_words(VM_TEST_NAME, w);
    if (error == ERR_OK)
        error = netname_check_in(netname, w[0], w[1], w[2], w[3], NAME_KEY, make_send(receive));
    return error;
}

int main(void)
{
    struct message message;
    corvus_error_t error = begin();

    while (error == ERR_OK) {
        error = msg_receive(&message, receive, TIMEOUT_NONE);
        if (error != ERR_OK)
            break;
        uint64_t value = 0;
        corvus_error_t outcome = obey(&message, &value);
        message = (struct message){.tag = 2, .words = {outcome, value}};
        (void)msg_reply(&message); // who asked may be gone
        error = vm_statistics(map, &value, &value, &value);
    }
    printf("ends: error %d\n", error);
    return EXIT_FAILURE;
}
