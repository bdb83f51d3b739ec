// SPDX-License-Identifier: BSD-2-Clause
// See values.h.
#include "values.h"

#include "fuzz.h"
#include "helpers.h"

#include "lib/clock.h"
#include "tests/kernel/bench/twin.h"

#include <corvus/host.h>

#define TIME_AHEAD_NS 300000u // a deadline is at most that far away

static uint64_t one_of(const uint64_t *values, size_t count, struct random *random)
{
    return values[random_below(random, count)];
}
#define ONE_OF(random, ...)                                                                        \
    one_of((const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8, random)

uint64_t value_arena_page(struct random *random)
{
    // Few places, so that calls meet each other.
    uint64_t page = random_one_in(random, 4)
                        ? random_below(random, ARENA_PAGES)
                        : random_below(random, 2) * ARENA_PAGED + random_below(random, 24);
    if (random_one_in(random, 16))
        page &= ~(LARGE_PAGE_BYTES / PAGE_BYTES - 1);
    return ARENA_START + page * PAGE_BYTES;
}

static uint64_t good_length(struct random *random)
{
    if (random_one_in(random, 24))
        return LARGE_PAGE_BYTES;
    return PAGE_BYTES * (1 + random_below(random, random_one_in(random, 4) ? 40 : 4));
}

static uint64_t good_access(struct random *random)
{
    return ONE_OF(random, ACCESS_READ, ACCESS_READ | ACCESS_WRITE, ACCESS_READ | ACCESS_WRITE,
                  ACCESS_ALL, ACCESS_ALL | MEMORY_SELF, ACCESS_READ | ACCESS_WRITE | MEMORY_GRANT,
                  ACCESS_READ | ACCESS_EXECUTE, ACCESS_WRITE | MEMORY_SELF, MEMORY_SELF,
                  ACCESS_READ | MEMORY_SELF);
}

static uint64_t good_code(struct random *random)
{
    return ONE_OF(random, (uint64_t)helper_server, (uint64_t)helper_server,
                  (uint64_t)helper_worker);
}

static uint64_t good_name(enum material kind, bool own, struct random *random)
{
    if (own)
        return random_one_in(random, 4) ? material_any(random) : material_pick(kind, random);
    port_name_t name = material_pick(MATERIAL_FOREIGN, random);
    return name != PORT_NULL ? name : NAME_AT(1 + random_below(random, 6));
}

static uint64_t any_name(bool own, struct random *random)
{
    return good_name((enum material)random_below(random, MATERIAL_FOREIGN), own, random);
}

uint64_t value_good(enum word_kind kind, bool own, struct random *random)
{
    switch (kind) {
    case WORD_ADDRESS:
        return value_arena_page(random);
    case WORD_LENGTH:
        return good_length(random);
    case WORD_ACCESS:
        return good_access(random);
    case WORD_PAGES:
        return 1 + random_below(random, 8);
    case WORD_PAGE_OF_KERNEL:
        return TWIN_UTCB(16 + random_below(random, 200));
    case WORD_QUOTA:
        return ONE_OF(random, 0, 4096, 65536, 98304, 131072);
    case WORD_PRIORITY:
        return FUZZ_PRIORITY - random_below(random, 3);
    case WORD_NAME:
        return any_name(own, random);
    case WORD_PORT:
        return good_name(MATERIAL_RECEIVE, own, random);
    case WORD_SET:
        return good_name(MATERIAL_SET, own, random);
    case WORD_SEND_ONCE:
        return good_name(MATERIAL_SEND_ONCE, own, random);
    case WORD_ERROR:
        return 1 + random_below(random, ERR_COUNT - 1);
    case WORD_DISPOSITION:
        return MOVE_SEND + random_below(random, MOVE_RECEIVE);
    case WORD_BACKLOG:
        return ONE_OF(random, 0, 1, 4, 16, PORT_BACKLOG_MAX);
    case WORD_NOTIFICATION:
        return NOTIFY_DEAD_NAME + random_below(random, NOTIFY_SEND_POSSIBLE);
    case WORD_BIT:
        return random_below(random, 65);
    case WORD_BITS:
        return 1ull << random_below(random, 64);
    case WORD_CODE:
        return good_code(random);
    case WORD_TIME:
        return clock_now_ns() + random_below(random, TIME_AHEAD_NS);
    case WORD_PERIOD:
        return ONE_OF(random, 0, 0, 0, 100000, 1000000);
    case WORD_MASK: // tracing keeps the fast paths from being taken
        return random_one_in(random, 8) ? random_below(random, 0x7ff) : 0;
    case WORD_SMALL:
        return random_below(random, 2);
    default:
        return random_next(random);
    }
}

uint64_t value_bad(enum word_kind kind, struct random *random)
{
    switch (kind) {
    case WORD_NAME:
    case WORD_PORT:
    case WORD_SET:
    case WORD_SEND_ONCE:
        return material_bad(random);
    case WORD_ADDRESS:
    case WORD_CODE:
    case WORD_PAGE_OF_KERNEL:
        return ONE_OF(random, 0, 1, value_arena_page(random) + 8, USER_END, USER_END - PAGE_BYTES,
                      BOOT_INFO_ADDRESS, CLOCK_PAGE_ADDRESS, 1ull << 47, ~0ull << 47, ~0ull << 12,
                      random_next(random), random_next(random) & ~0xfffull);
    case WORD_LENGTH:
    case WORD_PAGES:
        return ONE_OF(random, 0, 1, PAGE_BYTES + 1, 512, 513, USER_END, 1ull << 63, ~0ull << 12,
                      ~0ull, random_next(random), 1ull << 30);
    case WORD_PRIORITY:
        return ONE_OF(random, FUZZ_PRIORITY + 1, 255, 256, ~0ull, 0);
    case WORD_QUOTA:
        return ONE_OF(random, 1, 1ull << 30, ~0ull, 1ull << 63, random_next(random));
    case WORD_ACCESS:
        return ONE_OF(random, 0, ACCESS_WRITE, ACCESS_EXECUTE, 8, ACCESS_READ | MEMORY_IO, 0x40,
                      0x80, ~0ull, random_next(random), ACCESS_READ | ACCESS_WRITE | MEMORY_IO);
    case WORD_BACKLOG:
    case WORD_BIT:
    case WORD_DISPOSITION:
    case WORD_NOTIFICATION:
        return ONE_OF(random, 0, 7, 65, 255, PORT_BACKLOG_MAX + 1, ~0ull, random_next(random));
    case WORD_TIME:
    case WORD_PERIOD:
        return ONE_OF(random, 0, 1, 9999, ~0ull, 1ull << 63, random_next(random));
    case WORD_MASK:
        return ONE_OF(random, ~0ull, 1ull << 40, 0, 0);
    default:
        return ONE_OF(random, 0, ~0ull, 1ull << 63, random_next(random), 1ull << 32);
    }
}

// --- Rights --------------------------------------------------------------------

struct message_right value_send_right(struct random *random)
{
    if (random_one_in(random, 3))
        return copy_send(material_pick(MATERIAL_SEND, random));
    return make_send(material_pick(MATERIAL_RECEIVE, random));
}

struct message_right value_send_once_right(struct random *random)
{
    if (random_one_in(random, 3))
        return move_send_once(material_pick(MATERIAL_SEND_ONCE, random));
    return make_send_once(material_pick(MATERIAL_RECEIVE, random));
}

static struct message_right good_right(struct random *random)
{
    switch (random_below(random, 8)) {
    case 0:
        return move_send(material_pick(MATERIAL_SEND, random));
    case 1:
        return move_receive(material_pick(MATERIAL_RECEIVE, random));
    case 2:
        return copy_send(material_pick(MATERIAL_TASK, random));
    case 3:
        return copy_send(material_pick(MATERIAL_THREAD, random));
    case 4:
    case 5:
        return value_send_once_right(random);
    default:
        return value_send_right(random);
    }
}

struct message_right value_right(bool good, struct random *random)
{
    if (good)
        return good_right(random);
    return message_right(
        (uint32_t)(random_one_in(random, 2) ? material_bad(random) : material_any(random)),
        (uint32_t)(random_one_in(random, 8) ? random_next(random) : random_below(random, 8)));
}
