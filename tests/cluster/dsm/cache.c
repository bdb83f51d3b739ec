// SPDX-License-Identifier: BSD-2-Clause
// A cache manager in a Linux program: it speaks pager.def with the DSM server as Linux itself and
// the VM server do, but has no memory management behind it.
#include "tests/cluster/dsm/dsm.h"

#include <corvus/pager.h>
#include <corvus/pager_dispatch.h>
#include <corvus/pager_stubs.h>
#include <corvus/segments_stubs.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FAULT_MICROSECONDS 40000000ull

struct page {
    bool present, write, changed;
    uint8_t data[CACHE_PAGE_BYTES];
};

static struct page pages[CACHE_PAGES];
static port_name_t object, requests, name;
static uint64_t incarnation, sequence;
static uint8_t buffer[PAGER_DATA_MAX];
static bool answered;
static corvus_error_t outcome;
unsigned cache_complaints;

static struct page *page_at(uint64_t offset)
{
    return &pages[offset / CACHE_PAGE_BYTES % CACHE_PAGES];
}

// --- What the pager says -------------------------------------------------------------------------

static void take(uint64_t number, uint64_t offset, uint64_t lock, const uint8_t *data, size_t bytes)
{
    if (number == sequence)
        answered = true;
    else
        cache_complaints++;
    outcome = ERR_OK;
    for (size_t at = 0; at < bytes; at += CACHE_PAGE_BYTES) {
        struct page *page = page_at(offset + at);
        page->present = true;
        page->changed = false;
        page->write = (lock & ACCESS_WRITE) == 0;
        if (data != NULL)
            memcpy(page->data, data + at, CACHE_PAGE_BYTES);
        else
            memset(page->data, 0, CACHE_PAGE_BYTES);
    }
}

static void provided(uint64_t label, uint64_t mine, uint64_t number, uint64_t offset, uint64_t lock,
                     uint64_t flags, const void *data, size_t bytes)
{
    (void)label;
    (void)mine;
    (void)flags;
    take(number, offset, lock, data, bytes);
}

static void unavailable(uint64_t label, uint64_t mine, uint64_t number, uint64_t offset,
                        uint64_t length, uint64_t lock, uint64_t flags)
{
    (void)label;
    (void)mine;
    (void)flags;
    take(number, offset, lock, NULL, length);
}

static void error(uint64_t label, uint64_t mine, uint64_t number, uint64_t offset, uint64_t length,
                  uint64_t reason)
{
    (void)label;
    (void)mine;
    (void)offset;
    (void)length;
    if (number == sequence || number == 0)
        answered = true;
    outcome = (corvus_error_t)reason;
}

static void write_back(uint64_t number, uint64_t offset, bool kept)
{
    struct page *page = page_at(offset);

    if (!page->present)
        return;
    if (pager_data_write(object, incarnation, number, offset, kept, page->changed, page->data,
                         CACHE_PAGE_BYTES, UINT64_MAX) != ERR_OK)
        cache_complaints++;
    page->changed = false;
    page->present = kept;
    page->write = false;
}

static void complete(uint64_t number, uint64_t offset, uint64_t length)
{
    uint64_t held = 0;

    for (uint64_t at = 0; at < length && at < 64 * CACHE_PAGE_BYTES; at += CACHE_PAGE_BYTES)
        held |= (uint64_t)page_at(offset + at)->present << at / CACHE_PAGE_BYTES;
    (void)pager_lock_completed(object, incarnation, number, offset, length, held, UINT64_MAX);
}

static void lock_pages(uint64_t label, uint64_t mine, uint64_t number, uint64_t offset,
                       uint64_t length, uint64_t lock, uint64_t flags)
{
    (void)label;
    (void)mine;
    if (number == sequence) {
        answered = true;
        outcome = ERR_OK;
    }
    for (uint64_t at = 0; at < length; at += CACHE_PAGE_BYTES) {
        if (flags & PAGER_RETURN)
            write_back(number, offset + at, true);
        page_at(offset + at)->write = (lock & ACCESS_WRITE) == 0;
    }
    if (flags & PAGER_COMPLETE)
        complete(number, offset, length);
}

static void flush(uint64_t label, uint64_t mine, uint64_t number, uint64_t offset, uint64_t length)
{
    (void)label;
    (void)mine;
    for (uint64_t at = 0; at < length; at += CACHE_PAGE_BYTES)
        write_back(number, offset + at, false);
    complete(number, offset, length);
}

// It keeps what it has until it ends.
static void may_keep(uint64_t label, uint64_t mine, uint64_t what)
{
    (void)label;
    (void)mine;
    (void)what;
}

static void refused(uint64_t label, uint32_t id)
{
    (void)label;
    (void)id;
    cache_complaints++;
}

static const struct memory_request_operations operations = {
    .pager_data_provided = provided,
    .pager_data_unavailable = unavailable,
    .pager_data_error = error,
    .pager_data_lock = lock_pages,
    .pager_flush_request = flush,
    .pager_cache = may_keep,
    .refused = refused,
};

static bool serve_one(uint64_t microseconds)
{
    struct message message, reply;

    utcb_self()->copy_buffers[0] = message_buffer(buffer, sizeof buffer);
    if (msg_receive(&message, requests, microseconds) != ERR_OK)
        return false;
    if (!memory_request_serve(&message, &reply, &operations))
        message_drop_rights(message.tag);
    return true;
}

static uint64_t now_us(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

void cache_serve(uint64_t microseconds)
{
    uint64_t end = now_us() + microseconds, now = now_us();

    for (; now < end; now = now_us())
        (void)serve_one(end - now);
}

corvus_error_t cache_get(uint64_t number, bool write, uint8_t **data)
{
    struct page *page = &pages[number];
    uint64_t offset = number * CACHE_PAGE_BYTES, access = write ? ACCESS_WRITE : ACCESS_READ;
    uint64_t end = now_us() + FAULT_MICROSECONDS;
    corvus_error_t sent;

    while (!page->present || (write && !page->write)) {
        answered = false;
        sequence++;
        sent = page->present ? pager_data_unlock(object, incarnation, sequence, offset,
                                                 CACHE_PAGE_BYTES, access, UINT64_MAX)
                             : pager_data_request(object, incarnation, sequence, offset,
                                                  CACHE_PAGE_BYTES, access, UINT64_MAX);
        if (sent != ERR_OK)
            return sent;
        while (!answered)
            if (now_us() >= end)
                return ERR_TIMED_OUT;
            else
                (void)serve_one(1000000);
        if (outcome != ERR_OK)
            return outcome;
    }
    page->changed = page->changed || write;
    *data = page->data;
    return ERR_OK;
}

corvus_error_t cache_open(uint64_t segment)
{
    port_name_t request_right, name_right;
    uint64_t size;
    corvus_error_t result = segment_open(server, segment, 0, &object, &size);

    if (result == ERR_OK)
        result = port_allocate_with_send(1, &requests, &request_right);
    if (result == ERR_OK)
        result = port_allocate_with_send(2, &name, &name_right);
    if (result == ERR_OK)
        result = port_set_backlog(requests, PORT_BACKLOG_MAX);
    incarnation = (uint64_t)getpid() << 32 | now_us() | 1;
    if (result == ERR_OK)
        result = pager_init(object, incarnation, 1, move_send(request_right), move_send(name_right),
                            UINT64_MAX);
    if (result != ERR_OK)
        (void)tell(result, "");
    return result;
}

void cache_close(void)
{
    for (uint64_t i = 0; i < CACHE_PAGES; i++)
        write_back(0, i * CACHE_PAGE_BYTES, false);
    (void)pager_terminate(object, incarnation, UINT64_MAX);
}

// --- By hand: `read PAGE`, `write PAGE WORD`, `end` from a named pipe ----------------------------

static void obey(char *line)
{
    uint64_t page = 0;
    char verb[16] = "", word[256] = "";
    uint8_t *data;

    if (sscanf(line, "%15s %lu %255s", verb, &page, word) < 1)
        return;
    bool write = strcmp(verb, "write") == 0;
    if (strcmp(verb, "end") == 0) {
        cache_close();
        printf("ended, %u complaints\n", cache_complaints);
        exit(0);
    }
    corvus_error_t result = page < CACHE_PAGES ? cache_get(page, write, &data) : ERR_INVALID_RANGE;
    if (result != ERR_OK) {
        printf("page %lu error %d\n", page, (int)result);
        return;
    }
    if (write)
        snprintf((char *)data, CACHE_PAGE_BYTES, "%s", word);
    printf("page %lu %s `%.255s`\n", page, write ? "written" : "is", (const char *)data);
}

int command_cache(char **words)
{
    FILE *input = fopen(words[1], "r+");
    char line[512];

    if (input == NULL || cache_open(number(words[0])) != ERR_OK)
        return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(input, NULL, _IONBF, 0);
    printf("open\n");
    for (;;) {
        fd_set set;
        struct timeval none = {0, 0};
        FD_ZERO(&set);
        FD_SET(fileno(input), &set);
        if (select(fileno(input) + 1, &set, NULL, NULL, &none) > 0 &&
            fgets(line, sizeof line, input) != NULL)
            obey(line);
        else
            cache_serve(20000);
    }
}
