// SPDX-License-Identifier: BSD-2-Clause
// What a DSM server must bear: wrong names, sizes and numbers in calls of the directory, each with
// the error that it is to have; and a cache manager that says to the pager what no cache manager
// would, with offsets and lengths at every edge, and at random.
#include "tests/cluster/dsm/dsm.h"

#include <corvus/pager.h>
#include <corvus/pager_stubs.h>
#include <corvus/segments.h>
#include <corvus/segments_stubs.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SECOND 1000000ull // microseconds

static unsigned failures, checks;

static void expect(corvus_error_t got, corvus_error_t wanted, const char *what)
{
    checks++;
    if (got == wanted)
        return;
    failures++;
    printf("%s: error %d in place of %d\n", what, (int)got, (int)wanted);
}

// --- The directory -------------------------------------------------------------------------------

static void wrong_names(void)
{
    static char long_name[70000];
    uint64_t segment;

    memset(long_name, 'x', sizeof long_name);
    const struct {
        const char *name;
        size_t bytes;
        const char *what;
    } names[] = {{"", 0, "no name"},
                 {"a/b", 3, "a slash"},
                 {"/", 1, "only a slash"},
                 {"a\0b", 3, "a zero byte"},
                 {"\0", 1, "only a zero byte"},
                 {long_name, SEGMENT_NAME_MAX + 1, "a name of 256 bytes"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *name = names[i].name;
        size_t bytes = names[i].bytes;
        expect(segment_create(server, 0600, 0, 0, name, bytes, &segment), ERR_INVALID_ARGUMENT,
               names[i].what);
        expect(segment_link(server, 1, name, bytes), ERR_INVALID_ARGUMENT, names[i].what);
    }
    // More than the server has room for: refused, by whomever.
    checks++;
    failures += segment_create(server, 0600, 0, 0, long_name, sizeof long_name, &segment) == ERR_OK;
    expect(segment_look_up(server, long_name, SEGMENT_NAME_MAX, &segment), ERR_NOT_FOUND,
           "the longest name");
    expect(segment_rename(server, 0, "no zero", 7), ERR_INVALID_ARGUMENT, "one name to rename");
    expect(segment_rename(server, 99, "a\0b", 3), ERR_INVALID_ARGUMENT, "flags of rename");
    expect(segment_rename(server, 0, "a\0", 2), ERR_INVALID_ARGUMENT, "renamed to no name");
}

static void wrong_numbers(uint64_t segment)
{
    static const uint64_t strange[] = {0, 0x7fffffff, 1ull << 32, 1ull << 63, UINT64_MAX};
    uint64_t size, some;
    port_name_t object;

    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        expect(
            segment_get(server, strange[i], &size, &some, &some, &some, &some, &some, &some, &some),
            ERR_NOT_FOUND, "a strange segment");
        expect(segment_open(server, strange[i], 0, &object, &size), ERR_NOT_FOUND, "opened");
        expect(segment_set(server, strange[i], SEGMENT_SET_SIZE, 0, 0, 0, 4096, 0), ERR_NOT_FOUND,
               "given a size");
    }
    expect(segment_open(server, segment, 1, &object, &size), ERR_INVALID_ARGUMENT, "flags of open");
    expect(segment_set(server, segment, 0, 0, 0, 0, 0, 0), ERR_INVALID_ARGUMENT, "nothing to set");
    expect(segment_set(server, segment, UINT64_MAX, 0, 0, 0, 0, 0), ERR_INVALID_ARGUMENT,
           "all to set");
    expect(segment_set(server, segment, SEGMENT_SET_MODE, 010000, 0, 0, 0, 0), ERR_INVALID_ARGUMENT,
           "a mode that there is not");
    expect(segment_set(server, segment, SEGMENT_SET_SIZE, 0, 0, 0, SEGMENT_SIZE_MAX + 1, 0),
           ERR_TOO_LARGE, "a byte too large");
    expect(segment_set(server, segment, SEGMENT_SET_SIZE, 0, 0, 0, UINT64_MAX, 0), ERR_TOO_LARGE,
           "the largest number as a size");
    uint64_t values[58], last = UINT64_MAX;
    size_t count = 58;
    expect(segment_statistics(server, 0, UINT64_MAX, values, &count), ERR_OK, "no such counter");
    expect(count == 0 ? ERR_OK : ERR_STATE, ERR_OK, "which has no value");
    static uint8_t records[4096];
    size_t bytes = sizeof records;
    expect(segment_trace(server, UINT64_MAX, &last, records, &bytes), ERR_OK, "no such event");
}

// --- The pager -----------------------------------------------------------------------------------

static port_name_t object, requests;
static uint64_t incarnation;

// Takes what the pager says, and does nothing of it.
static void ignore_answers(void)
{
    static uint8_t buffer[PAGER_DATA_MAX];
    struct message message;

    for (;;) {
        utcb_self()->copy_buffers[0] = message_buffer(buffer, sizeof buffer);
        if (msg_receive(&message, requests, 0) != ERR_OK)
            return;
        message_drop_rights(message.tag);
    }
}

static corvus_error_t open_pager(uint64_t segment)
{
    port_name_t request_right, name, name_right;
    uint64_t size;
    corvus_error_t error = segment_open(server, segment, 0, &object, &size);

    if (error == ERR_OK)
        error = port_allocate_with_send(1, &requests, &request_right);
    if (error == ERR_OK)
        error = port_set_backlog(requests, PORT_BACKLOG_MAX);
    if (error == ERR_OK)
        error = port_allocate_with_send(2, &name, &name_right);
    incarnation = 0x1234567 + segment;
    if (error == ERR_OK)
        error = pager_init(object, incarnation, 1, move_send(request_right), move_send(name_right),
                           UINT64_MAX);
    return error;
}

static const uint64_t edges[] = {0,
                                 1,
                                 4095,
                                 4096,
                                 4097,
                                 16 * 4096,
                                 1ull << 20,
                                 1ull << 48,
                                 SEGMENT_SIZE_MAX,
                                 1ull << 63,
                                 UINT64_MAX - 4095,
                                 UINT64_MAX};
#define EDGES (sizeof edges / sizeof edges[0])

static uint64_t deadline(void)
{
    return deadline_of_timeout(SECOND);
}

// One message of each kind; what becomes of it is the server's affair. Data are of one page.
static void say(uint64_t mine, uint64_t sequence, uint64_t offset, uint64_t length, uint64_t word)
{
    static uint8_t data[2 * 4096];

    (void)pager_data_request(object, mine, sequence, offset, length, word, deadline());
    (void)pager_data_unlock(object, mine, sequence, offset, length, word, deadline());
    (void)pager_lock_completed(object, mine, sequence, offset, length, word, deadline());
    memset(data, 0xee, sizeof data);
    (void)pager_data_write(object, mine, sequence, offset, word & 1, word >> 1 & 1, data,
                           word % 3 == 0   ? 4096
                           : word % 3 == 1 ? 8192
                                           : 1 + word % 4096,
                           deadline());
}

static uint64_t random_number(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void wrong_pages(uint64_t seed, uint64_t count)
{
    uint64_t state = seed | 1;

    for (size_t i = 0; i < EDGES; i++)
        for (size_t j = 0; j < EDGES; j++) {
            say(incarnation, 1 + i * EDGES + j, edges[i], edges[j], j);
            ignore_answers();
        }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t a = random_number(&state), b = random_number(&state);
        say(a % 5 == 0 ? a : incarnation, b % 7 == 0 ? b : i, a % 3 == 0 ? edges[b % EDGES] : a,
            b % 3 == 0 ? edges[a % EDGES] : b, a ^ b);
        ignore_answers();
    }
    // Another manager by the same name, and the end of one that there is not.
    (void)pager_terminate(object, incarnation + 1, deadline());
}

// Messages of no kind, to the directory and to the object.
static void wrong_messages(uint64_t seed, uint64_t count)
{
    uint64_t state = seed | 1;

    for (uint64_t i = 0; i < count; i++) {
        uint64_t a = random_number(&state);
        struct message message = {.tag = a % 7,
                                  .destination = a & 8 ? object : server,
                                  .id = (uint32_t)(a & 16 ? 0x3000 + (a >> 8) % 0x140 : a >> 32)};
        for (unsigned word = 0; word < 6; word++)
            message.words[word] = random_number(&state);
        (void)msg_send(&message, SECOND);
        ignore_answers();
    }
}

int command_hostile(char **words)
{
    uint64_t segment = number(words[0]), seed = number(words[1]), count = number(words[2]);

    wrong_names();
    wrong_numbers(segment);
    corvus_error_t error = open_pager(segment);
    if (error != ERR_OK)
        return tell(error, "");
    wrong_pages(seed, count);
    wrong_messages(seed, count);
    printf("hostile: %u calls, %u not answered as they should\n", checks, failures);
    return failures == 0 ? 0 : 1;
}
