// SPDX-License-Identifier: BSD-2-Clause
// Calls init with arguments by chance, mixed from plausible ones and nonsense.
// That init survives and gets everything back is seen by others.
#include "init_test.h"

#include "tests/kernel/guest/guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_BYTES (1u << 20)
#define BLANKS       0x2020202020202020ull

// Left out: exit, shut-down, waiting for input, writes to configuration space.
static const uint32_t services[] = {
    SERVICE_bootstrap_console_write,
    SERVICE_bootstrap_console_write_copy,
    SERVICE_bootstrap_allocate_memory,
    SERVICE_bootstrap_free_memory,
    SERVICE_bootstrap_protect_memory,
    SERVICE_bootstrap_entropy,
    SERVICE_bootstrap_real_time,
    SERVICE_bootstrap_check_in,
    SERVICE_bootstrap_look_up,
    SERVICE_machine_find_device,
    SERVICE_machine_claim_device,
    SERVICE_machine_release_device,
    SERVICE_machine_read_config,
    SERVICE_machine_bar_info,
    SERVICE_machine_map_bar,
    SERVICE_machine_allocate_dma,
    SERVICE_machine_physical_address,
    SERVICE_node_statistics,
    SERVICE_node_server,
    0x7777,
};

static const uint32_t allocator_services[] = {
    SERVICE_allocator_create_task, SERVICE_allocator_info,      SERVICE_task_memory_allocate,
    SERVICE_task_memory_free,      SERVICE_task_memory_protect, SERVICE_task_memory_write,
    SERVICE_task_memory_read,      SERVICE_task_memory_info,    MESSAGE_ID_PAGE_FAULT,
    MESSAGE_ID_EXCEPTION,          MESSAGE_ID_NO_SENDERS,       0x7777,
};

// Who is called, and for what.
static port_name_t targets[3] = {NAME_BOOTSTRAP};
static uint64_t target_count = 1;
static const uint32_t *ids = services;
static uint64_t id_count = sizeof services / sizeof services[0];

static uint64_t state = 88172645463325252ull;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t below(uint64_t limit)
{
    return next() % limit;
}

static uint64_t value(void)
{
    switch (below(8)) {
    case 0:
        return 0;
    case 1:
        return next();
    case 2:
        return PAGE * below(64);
    case 3:
        return AREA + PAGE * below(1024);
    case 4:
        return below(8);
    case 5:
        return UINT64_MAX - below(2 * PAGE);
    case 6:
        return 1ull << below(64);
    default:
        return AREA + LARGE * below(8);
    }
}

static bool is_memory_call(uint32_t id)
{
    return id == SERVICE_bootstrap_allocate_memory || id == SERVICE_bootstrap_free_memory ||
           id == SERVICE_bootstrap_protect_memory || id == SERVICE_task_memory_allocate ||
           id == SERVICE_task_memory_free || id == SERVICE_task_memory_protect;
}

static bool prints(uint32_t id)
{
    return id == SERVICE_bootstrap_console_write || id == SERVICE_bootstrap_console_write_copy;
}

// Most memory calls get arguments that can succeed.
static void make_plausible(struct message *message)
{
    message->words[0] = AREA + PAGE * below(4096);
    message->words[1] = PAGE * (1 + below(below(8) ? 32 : 1024));
    message->words[2] = below(2) ? ACCESS_READ | ACCESS_WRITE : ACCESS_READ;
    message->tag &= ~TAG_WORDS_MASK;
    message->tag |=
        message->id == SERVICE_bootstrap_free_memory || message->id == SERVICE_task_memory_free ? 2
                                                                                                : 3;
}

static struct message make_call(uint32_t id)
{
    uint64_t words = below(4) ? below(8) : below(65);
    uint64_t rights = below(6) ? 0 : below(3);
    uint64_t items = id == SERVICE_bootstrap_console_write_copy ||
                     id == SERVICE_task_memory_write || below(40) == 0;

    if (id == SERVICE_bootstrap_check_in && below(2)) {
        rights = 1;
        words = 4;
    }
    struct message message = {.tag = words | TAG_RIGHTS(rights) | TAG_ITEMS(items),
                              .destination = targets[below(target_count)],
                              .id = id};
    for (unsigned i = 0; i < MESSAGE_REGISTER_WORDS; i++)
        message.words[i] = value();
    // A look-up that waits would wait for ever; text stays short.
    if (id == SERVICE_bootstrap_look_up)
        message.words[4] = 0;
    if (id == SERVICE_bootstrap_console_write)
        message.words[0] %= 470;
    if (is_memory_call(id) && below(4))
        make_plausible(&message);
    return message;
}

static void fill_page(uint64_t tag, port_name_t port, port_name_t send, char *buffer)
{
    struct utcb *page = utcb_self();

    for (unsigned i = MESSAGE_REGISTER_WORDS; i < MESSAGE_WORDS; i++)
        page->words[i] = below(3) ? BLANKS : next();
    for (unsigned i = 0; i < 2; i++)
        page->rights[i] = below(2) ? copy_send(send) : make_send_once(port);
    if (tag & TAG_ITEMS_MASK)
        page->items[0] =
            message_copy_item(below(8) ? (const void *)buffer : (const void *)value(), below(5000));
    page->copy_buffers[0] = message_buffer(buffer, below(2) ? BUFFER_BYTES : 0);
}

int call_at_random(const char *seed, const char *calls)
{
    port_name_t port = PORT_NULL, send = PORT_NULL;
    uint64_t served = 0, refused = 0;
    static char buffer[BUFFER_BYTES];

    state ^= strtoull(seed, NULL, 0);
    if (port_allocate_with_send(1, &port, &send) != ERR_OK)
        return EXIT_FAILURE;
    for (uint64_t i = strtoull(calls, NULL, 0); i > 0; i--) {
        uint32_t id = ids[below(id_count)];
        if (prints(id) && below(50))
            continue;
        struct message message = make_call(id);
        fill_page(message.tag, port, send, buffer);
        corvus_error_t error = msg_rpc(&message, below(16) ? TIMEOUT_NONE : 1 + below(200));
        if (error == ERR_OK && message.words[0] == ERR_OK)
            served++;
        else
            refused++;
        if (error == ERR_OK)
            message_drop_rights(message.tag);
    }
    printf("%lu calls served, %lu refused\n", served, refused);
    return served != 0 && refused != 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int call_allocator_at_random(const char *seed, const char *calls)
{
    struct guest guest;
    port_name_t allocator;
    uint64_t words[4] = {0}, limit = 0, used;

    memcpy(words, "allocator", strlen("allocator"));
    if (bootstrap_look_up(NAME_BOOTSTRAP, words[0], words[1], words[2], words[3], 0, &allocator) !=
            ERR_OK ||
        guest_create(&guest, allocator, GUEST_QUOTA, GUEST_MEMORY) != ERR_OK)
        return EXIT_FAILURE;
    targets[0] = allocator;
    targets[1] = guest.memory;
    targets[2] = guest.pager;
    target_count = sizeof targets / sizeof targets[0];
    ids = allocator_services;
    id_count = sizeof allocator_services / sizeof allocator_services[0];
    int status = call_at_random(seed, calls);
    bool alive = task_memory_info(guest.memory, &limit, &used) == ERR_OK && limit == GUEST_MEMORY;
    return alive ? status : EXIT_FAILURE;
}
