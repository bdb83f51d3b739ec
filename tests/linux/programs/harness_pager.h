// SPDX-License-Identifier: BSD-2-Clause
// A pager for tests of memory objects (include/corvus/pager.def): each step by hand, so that a test
// says what its pager does and when.
#pragma once

#include "harness_port.h"

#include <corvus/pager.h>
#include <corvus/pager_stubs.h>

#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define PAGE               ((size_t)PAGE_BYTES)
#define FIRST_OWN_SEQUENCE (PAGER_SEQUENCE_OWN | 1)

// A memory object of this process, and its file.
struct object {
    port_name_t receive, send, request;
    uint64_t incarnation;
    int file;
    size_t size;
    uint8_t *map;
    struct message message; // received last
    uint8_t data[PAGER_DATA_MAX];
    size_t data_bytes;
};

static inline int map_object(port_name_t right, uint64_t size)
{
    struct corvus_map_object map = {.size = size, .object = right};
    return ioctl(corvus_file(), CORVUS_MAP_OBJECT, &map);
}

static inline void object_map(struct object *object)
{
    object->map =
        SUCCEED(mmap(NULL, object->size, PROT_READ | PROT_WRITE, MAP_SHARED, object->file, 0));
}

// The next message to the pager, without waiting longer than that; false: there was none.
static inline bool object_receive(struct object *object, unsigned milliseconds)
{
    utcb_self()->copy_buffers[0] = message_buffer(object->data, sizeof object->data);
    if (msg_receive(&object->message, object->receive, milliseconds * 1000ull) != ERR_OK)
        return false;
    object->data_bytes = object->message.tag & TAG_ITEMS_MASK ? utcb_self()->items[0].length : 0;
    return true;
}

#define RECEIVE(object, id) require_message(object, id, __FILE__, __LINE__)
static inline const uint64_t *require_message(struct object *object, uint32_t id, const char *file,
                                              int line)
{
    if (!object_receive(object, 5000 * slowness()))
        fail_at(file, line, "no message 0x%x came", id);
    if (object->message.id != id)
        fail_at(file, line, "message 0x%x came, not 0x%x", (unsigned)object->message.id, id);
    if (id != MESSAGE_pager_init && object->message.words[0] != object->incarnation)
        fail_at(file, line, "message 0x%x has a wrong incarnation", id);
    return object->message.words;
}

static inline void take_init(struct object *object)
{
    RECEIVE(object, MESSAGE_pager_init);
    object->incarnation = object->message.words[0];
    REQUIRE(object->incarnation != 0);
    object->request = utcb_self()->rights[0].name;
    ZERO(port_deallocate(utcb_self()->rights[1].name));
}

// A new object, opened and mapped, of which the pager has heard.
static inline struct object *object_make(size_t pages)
{
    struct object *object = calloc(1, sizeof *object);
    REQUIRE(object != NULL);
    object->size = pages * PAGE;
    object->receive = make_port(1, &object->send);
    ZERO(port_set_backlog(object->receive, 1024));
    object->file = SUCCEED(map_object(object->send, object->size));
    object_map(object);
    take_init(object);
    return object;
}

static inline struct corvus_object_status status_of(const struct object *object)
{
    struct corvus_object_status status;
    SUCCEED(ioctl(object->file, CORVUS_OBJECT_STATUS, &status));
    return status;
}

// --- What a pager says --------------------------------------------------------------------------

static inline uint64_t soon(void)
{
    return now_ns() + 5000000000ull * slowness();
}

static inline void provide(struct object *object, uint64_t sequence, uint64_t offset, uint64_t lock,
                           uint64_t flags, const void *data, size_t bytes)
{
    ZERO(pager_data_provided(object->request, object->incarnation, sequence, offset, lock, flags,
                             data, bytes, soon()));
}

// A page that holds its number everywhere.
static inline void provide_number(struct object *object, uint64_t sequence, uint64_t offset,
                                  uint64_t lock, uint64_t number)
{
    uint64_t page[PAGE / 8];
    for (size_t i = 0; i < PAGE / 8; i++)
        page[i] = number;
    provide(object, sequence, offset, lock, 0, page, PAGE);
}

// Takes a request for the page, and answers it.
static inline void serve_page(struct object *object, size_t index, uint64_t lock, uint64_t number)
{
    const uint64_t *words = RECEIVE(object, MESSAGE_pager_data_request);
    REQUIRE_EQUAL(words[2], index * PAGE);
    provide_number(object, words[1], words[2], lock, number);
}

static inline void lock_page(struct object *object, uint64_t sequence, size_t index, uint64_t lock,
                             uint64_t flags)
{
    ZERO(pager_data_lock(object->request, object->incarnation, sequence, index * PAGE, PAGE, lock,
                         flags, soon()));
}

static inline void flush(struct object *object, uint64_t sequence, size_t first, size_t pages)
{
    ZERO(pager_flush_request(object->request, object->incarnation, sequence, first * PAGE,
                             pages * PAGE, soon()));
}

// --- Who uses the object ------------------------------------------------------------------------

static inline volatile uint64_t *word_of(struct object *object, size_t index)
{
    return (volatile uint64_t *)(object->map + index * PAGE);
}

// What another thread is to do with a word of the object.
struct use {
    struct object *object;
    size_t index;
    bool writes;
    uint64_t value; // written, or what was read
    pthread_t thread;
    volatile bool done;
};

static inline void *use_it(void *argument)
{
    struct use *use = argument;
    if (use->writes)
        *word_of(use->object, use->index) = use->value;
    else
        use->value = *word_of(use->object, use->index);
    use->done = true;
    return NULL;
}

static inline void use_begin(struct use *use)
{
    use->done = false;
    ZERO(pthread_create(&use->thread, NULL, use_it, use));
}

static inline uint64_t use_end(struct use *use)
{
    ZERO(pthread_join(use->thread, NULL));
    return use->value;
}

// Reads or writes a page of which the pager is asked once.
static inline void load(struct object *object, size_t index, uint64_t lock, uint64_t number)
{
    struct use use = {.object = object, .index = index};
    use_begin(&use);
    serve_page(object, index, lock, number);
    REQUIRE_EQUAL(use_end(&use), number);
}
