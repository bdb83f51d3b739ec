// SPDX-License-Identifier: BSD-2-Clause
// sources: $(DSM_DIRECTORY)
// The directory of segments, and what may come from outside: a replica that leads or follows, and a
// member which says anything. The replica stays whole, and when that member is gone it serves
// again. Input: a byte, whose the lower number is; then messages: kind, fields, and the bytes
// behind.
#include "dsm/core/directory_order.h"

#include <stdlib.h>
#include <string.h>

#define ROOM 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    unsigned asked, done;
    struct directory *replica;
    uint8_t last[ROOM]; // that the replica sent
    size_t last_bytes;
} scene;

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void send(void *context, unsigned node, const void *bytes, size_t count)
{
    (void)context;
    must(node >= 1 && node <= DIRECTORY_NODES_MAX && count <= DIRECTORY_MESSAGE_MAX);
    scene.last_bytes = count < ROOM ? count : ROOM;
    memcpy(scene.last, bytes, scene.last_bytes);
}

static void done(void *context, void *token, corvus_error_t error, uint64_t segment)
{
    (void)context;
    (void)segment;
    must(token == &scene && (unsigned)error < ERR_COUNT);
    scene.done++;
}

static void changed(void *context, uint64_t segment)
{
    (void)context;
    (void)segment;
}

static void settled(void *context)
{
    (void)context;
}

static const struct directory_output output = {send, done, changed, settled};

static void ask(char letter)
{
    struct directory_change change = {.kind = DIRECTORY_CREATE, .name_bytes = 1, .mode = 0600};

    change.name[0] = letter;
    if (directory_ask(scene.replica, &change, &scene) == ERR_OK)
        scene.asked++;
}

// What is listed is what there is, by number and by name.
static void check(const struct directory *replica)
{
    const struct directory_segment *segment;
    const struct directory_name *name;
    uint64_t cookie = 0, names = 0, links = 0;

    for (name = directory_next(replica, 0); name != NULL; name = directory_next(replica, cookie)) {
        must(name->cookie > cookie && name->bytes >= 1 && name->bytes <= SEGMENT_NAME_MAX);
        must(directory_find(replica, name->text, name->bytes) == name);
        must(directory_segment(replica, name->segment->number) == name->segment);
        cookie = name->cookie;
        names++;
    }
    for (segment = directory_first_segment(replica); segment != NULL; segment = segment->next) {
        must(segment->number != 0 && segment->size <= SEGMENT_SIZE_MAX);
        links += segment->links;
    }
    must(names == links);
}

// Something that the replica said, altered, or the input's own bytes behind an envelope that fits.
static size_t make_message(uint8_t message[ROOM], const uint8_t *data, size_t bytes)
{
    struct directory_status status;
    struct envelope envelope = {.type = data[0] % 10, .origin = data[1] % 4};

    directory_status(scene.replica, &status);
    if (data[0] >= 192 && scene.last_bytes != 0) {
        size_t count = scene.last_bytes;
        memcpy(message, scene.last, count);
        message[0] = (uint8_t)envelope.type;
        for (size_t i = 4; i + 1 < bytes; i += 2)
            message[(data[i] * 7u + data[i + 1]) % count] ^= data[i + 1];
        return data[1] % 4 != 0 ? count : data[2] * count / 255;
    }
    envelope.epoch = status.epoch + (data[2] % 4 != 0 ? 0 : (uint64_t)data[2] * 64);
    envelope.sequence = status.sequence + data[3] % 3;
    envelope.request = data[3];
    memcpy(message, &envelope, sizeof envelope);
    memcpy(message + sizeof envelope, data + 4, bytes - 4);
    return sizeof envelope + bytes - 4;
}

static void receive(unsigned from, const uint8_t *message, size_t count)
{
    uint8_t *copy = malloc(count != 0 ? count : 1);

    must(copy != NULL);
    memcpy(copy, message, count);
    (void)directory_receive(scene.replica, from, copy, count);
    free(copy);
}

static void view(unsigned self, unsigned other)
{
    struct directory_nodes members = {{0}};

    directory_add_node(&members, self);
    if (other != 0)
        directory_add_node(&members, other);
    directory_view(scene.replica, &members, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t message[ROOM];
    unsigned self, other;

    if (size == 0)
        return 0;
    self = data[0] % 2 + 1;
    other = 3 - self;
    memset(&scene, 0, sizeof scene);
    scene.replica = directory_create(self, 1000000, &output, NULL);
    must(scene.replica != NULL);
    view(self, 0);
    ask('a');
    ask('b');
    view(self, other);
    data++;
    size--;
    for (unsigned round = 0; size > 5; round++) {
        size_t bytes = 4 + data[0] % 200;
        data++;
        size--;
        bytes = bytes < size ? bytes : size;
        if (bytes < 4)
            break;
        receive(round % 16 == 15 ? 3 : other, message, make_message(message, data, bytes));
        if (round % 4 == 0)
            directory_tick(scene.replica);
        if (round % 8 == 0)
            ask((char)('c' + round % 20));
        check(scene.replica);
        data += bytes;
        size -= bytes;
    }
    view(self, 0);
    for (unsigned i = 0; i < 16; i++)
        directory_tick(scene.replica);
    must(directory_serves(scene.replica) && directory_settled(scene.replica));
    must(scene.done == scene.asked);
    check(scene.replica);
    directory_destroy(scene.replica);
    return 0;
}
