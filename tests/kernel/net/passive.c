// SPDX-License-Identifier: BSD-2-Clause
// Node 2: does what the first bytes of a link ask for.
#include "net_test.h"

#include "netipc/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNKS     8u
#define ECHO_BYTES 4096u

struct served {
    uint8_t request[REQUEST_BYTES];
    size_t request_bytes;
    uint64_t wanted, done;
    struct verdict verdict;
    unsigned in_flight;
    uint8_t *chunks;
};

static bool accepted(void *context, struct transport_link *link)
{
    struct served *served = calloc(1, sizeof *served);

    (void)context;
    if (served != NULL)
        served->chunks = network_memory_allocate((size_t)CHUNKS * STREAM_CHUNK);
    transport_set_context(link, served);
    return served != NULL && served->chunks != NULL;
}

static void generate(struct transport_link *link, struct served *served)
{
    while (served->in_flight < CHUNKS && served->done < served->wanted) {
        uint64_t left = served->wanted - served->done;
        size_t part = left < STREAM_CHUNK ? (size_t)left : STREAM_CHUNK;
        uint8_t *chunk = served->chunks + served->done / STREAM_CHUNK % CHUNKS * STREAM_CHUNK;
        if (served->request[0] == REQUEST_GENERATE)
            fill_pattern(chunk, served->done, part);
        if (transport_send(link, chunk, part, chunk) != TRANSPORT_OK)
            return;
        served->in_flight++;
        served->done += part;
    }
}

static void sink(struct transport_link *link, struct served *served)
{
    struct frame_piece pieces[16];
    unsigned count;

    while ((count = transport_peek(link, pieces, 16)) > 0) {
        size_t bytes = 0;
        for (unsigned i = 0; i < count; i++) {
            if (served->request[0] == REQUEST_SINK)
                served->verdict.good &= is_pattern(&pieces[i], served->done + bytes);
            bytes += pieces[i].bytes;
        }
        served->done += bytes;
        transport_consume(link, bytes);
    }
    if (served->done < served->wanted)
        return;
    served->verdict.bytes = served->done;
    (void)transport_send(link, &served->verdict, sizeof served->verdict, NULL);
}

// One echo at a time: it goes out from the first chunk.
static void echo(struct transport_link *link, struct served *served)
{
    struct frame_piece piece;

    if (served->in_flight > 0 || transport_peek(link, &piece, 1) == 0)
        return;
    if (piece.bytes > ECHO_BYTES)
        piece.bytes = ECHO_BYTES;
    memcpy(served->chunks, piece.data, piece.bytes);
    transport_consume(link, piece.bytes);
    if (transport_send(link, served->chunks, piece.bytes, served->chunks) == TRANSPORT_OK)
        served->in_flight++;
}

static void act(struct transport_link *link, struct served *served)
{
    switch (served->request[0]) {
    case REQUEST_SINK:
    case REQUEST_DISCARD:
        sink(link, served);
        break;
    case REQUEST_GENERATE:
    case REQUEST_ANYTHING:
        generate(link, served);
        break;
    case REQUEST_ECHO:
        echo(link, served);
        break;
    case REQUEST_CLOSE:
    case REQUEST_BREAK:
        transport_close(link, served->request[0] == REQUEST_CLOSE);
        break;
    default:
        printf("# an unknown request\n");
        exit(EXIT_FAILURE);
    }
}

static void received(void *context, struct transport_link *link)
{
    struct served *served = transport_context(link);
    struct frame_piece piece;

    (void)context;
    while (served->request_bytes < REQUEST_BYTES) {
        if (transport_peek(link, &piece, 1) == 0)
            return;
        size_t part = REQUEST_BYTES - served->request_bytes;
        if (part > piece.bytes)
            part = piece.bytes;
        memcpy(served->request + served->request_bytes, piece.data, part);
        transport_consume(link, part);
        served->request_bytes += part;
        if (served->request_bytes < REQUEST_BYTES)
            continue;
        uint32_t wanted;
        memcpy(&wanted, served->request + 4, 4);
        served->wanted = wanted;
        served->verdict.good = 1;
    }
    act(link, served);
}

static void sent(void *context, struct transport_link *link, void *cookie)
{
    struct served *served = transport_context(link);

    (void)context;
    if (cookie == NULL)
        return;
    served->in_flight--;
    if (served->request[0] != REQUEST_CLOSE && served->request[0] != REQUEST_BREAK)
        act(link, served);
}

static void connected(void *context, struct transport_link *link)
{
    (void)context, (void)link;
}

static void closed(void *context, struct transport_link *link, enum transport_error reason)
{
    (void)context;
    printf("# link closed: %s\n", transport_error_text(reason));
    free(transport_context(link));
}

const struct transport_events passive_events = {
    .accepted = accepted,
    .connected = connected,
    .received = received,
    .sent = sent,
    .closed = closed,
};
