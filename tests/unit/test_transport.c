// SPDX-License-Identifier: BSD-2-Clause
// sources: netipc/transport.c netipc/transport_link.c netipc/transport_beacon.c
// sources: netipc/transport_admission.c netipc/interface.c netipc/heap.c netipc/frame.c
// sources: netipc/acknowledgement.c netipc/switch.c netipc/memory.c netipc/checksum.c
// sources: build/lwiphost/liblwip.a
//
// Transport, lwIP and interface as two processes with a wire between them that loses,
// doubles and reorders frames. All that is lent is an allocation of its own, freed when
// it is given back, so that a use behind that is noticed.
//
//   test_transport [SEED]
#include "shim/network_node.h"
#include "tap.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define STREAM_BYTES 3000000u
#define LINKS        60u
#define SEND_MAX     20000u
#define GARBAGE      30000u

// --- Node 2: sends back what comes -------------------------------------------------

static bool accepted(void *context, struct transport_link *link)
{
    (void)context;
    return transport_address(link) == 0x0a430001u;
}

static void echo(void *context, struct transport_link *link)
{
    struct frame_piece piece;

    (void)context;
    while (transport_room(link) > 0 && transport_peek(link, &piece, 1) > 0) {
        uint8_t *copy = malloc(piece.bytes);
        if (copy == NULL)
            abort();
        memcpy(copy, piece.data, piece.bytes);
        transport_consume(link, piece.bytes);
        // "quit" closes, "stop" breaks off: by the first byte, which the pattern never has.
        if (copy[0] == 0xf1 || copy[0] == 0xf2) {
            bool orderly = copy[0] == 0xf1;
            free(copy);
            transport_close(link, orderly);
            return;
        }
        if (transport_send(link, copy, piece.bytes, copy) != TRANSPORT_OK)
            abort();
    }
}

static void echo_sent(void *context, struct transport_link *link, void *cookie)
{
    free(cookie);
    // There is room again for what has waited.
    if (transport_available(link) > 0)
        echo(context, link);
}

static void ignore(void *context, struct transport_link *link)
{
    (void)context, (void)link;
}

static void ignore_end(void *context, struct transport_link *link, enum transport_error reason)
{
    (void)context, (void)link, (void)reason;
}

static void answer_beacon(void *context, uint32_t address, const void *data, size_t bytes)
{
    (void)context;
    // One that says so has the node fall silent.
    if (bytes == 6 && memcmp(data, "silent", 6) == 0)
        quiet = true;
    (void)transport_beacon(transport, address, data, bytes);
}

_Noreturn static void run_node_2(void)
{
    static const struct transport_events events = {
        .accepted = accepted,
        .connected = ignore,
        .received = echo,
        .sent = echo_sent,
        .closed = ignore_end,
        .beacon = answer_beacon,
    };

    open_all(2, &events);
    for (;;)
        run_round();
}

// --- Node 1 ------------------------------------------------------------------------

struct stream {
    struct transport_link *link;
    uint64_t wanted, sent, back, returned; // bytes; sends that came back
    uint64_t sends;
    bool connected, good, over, closed, echoed, all_back;
    enum transport_error reason;
};

static uint8_t byte_at(uint64_t place)
{
    return (uint8_t)((place * 13 + place / 251) % 0xf0);
}

static void send_more(struct stream *stream)
{
    while (stream->sent < stream->wanted && transport_room(stream->link) > 0 &&
           transport_unacknowledged(stream->link) < 400000) {
        size_t count = 1 + network_random() % (network_random() % 4 == 0 ? SEND_MAX : 200);
        if (count > stream->wanted - stream->sent)
            count = (size_t)(stream->wanted - stream->sent);
        uint8_t *bytes = malloc(count);
        if (bytes == NULL)
            abort();
        for (size_t i = 0; i < count; i++)
            bytes[i] = byte_at(stream->sent + i);
        stream->good &= transport_send(stream->link, bytes, count, bytes) == TRANSPORT_OK;
        stream->sent += count;
        stream->sends++;
    }
}

static void was_connected(void *context, struct transport_link *link)
{
    struct stream *stream = transport_context(link);

    (void)context;
    stream->connected = true;
    send_more(stream);
}

static void was_received(void *context, struct transport_link *link)
{
    struct stream *stream = transport_context(link);
    struct frame_piece pieces[4];
    unsigned count;

    (void)context;
    while ((count = transport_peek(link, pieces, 4)) > 0) {
        size_t bytes = 0;
        for (unsigned i = 0; i < count; i++) {
            const uint8_t *data = pieces[i].data;
            for (size_t j = 0; j < pieces[i].bytes; j++)
                stream->good = stream->good && data[j] == byte_at(stream->back + bytes + j);
            bytes += pieces[i].bytes;
        }
        // In parts, so that pieces are consumed in the middle.
        transport_consume(link, bytes / 3);
        transport_consume(link, bytes - bytes / 3);
        stream->back += bytes;
    }
    stream->echoed = stream->back >= stream->wanted;
}

static void was_sent(void *context, struct transport_link *link, void *cookie)
{
    struct stream *stream = transport_context(link);

    (void)context;
    free(cookie);
    stream->returned++;
    stream->all_back = stream->returned == stream->sends && stream->sent == stream->wanted;
    if (!stream->closed && !stream->over)
        send_more(stream);
}

static void was_closed(void *context, struct transport_link *link, enum transport_error reason)
{
    struct stream *stream = transport_context(link);

    (void)context;
    stream->over = true;
    stream->good = stream->good && stream->returned == stream->sends;
    stream->reason = reason;
}

static char heard[TRANSPORT_BEACON_BYTES_MAX + 1];
static size_t heard_bytes;
static bool has_heard;

static void beacon(void *context, uint32_t address, const void *data, size_t bytes)
{
    (void)context;
    memcpy(heard, data, bytes);
    heard_bytes = bytes;
    has_heard = address == 0x0a430002u;
}

static struct stream begin(uint64_t bytes)
{
    (void)bytes;
    return (struct stream){.wanted = bytes, .good = true};
}

static bool connect_stream(struct stream *stream, unsigned node)
{
    return transport_connect(transport, 0x0a430000u | node, stream, &stream->link) == TRANSPORT_OK;
}

static void test_stream(uint64_t bytes, unsigned losses, const char *text)
{
    struct stream stream = begin(bytes);
    uint64_t began = network_now();

    loss = losses;
    tap_ok(connect_stream(&stream, 2) && run_until(&stream.echoed) && stream.good, text);
    tap_ok(run_until(&stream.all_back), "each send has come back");
    printf("# %lu ms\n", (unsigned long)((network_now() - began) / 1000000));
    loss = 0;
    stream.closed = true;
    transport_close(stream.link, true);
}

static void test_many(void)
{
    static struct stream streams[LINKS];
    bool good = true;

    for (unsigned i = 0; i < LINKS; i++) {
        streams[i] = begin(5000 + i * 100);
        good = good && connect_stream(&streams[i], 2);
    }
    for (unsigned i = 0; i < LINKS; i++)
        good = good && run_until(&streams[i].echoed) && streams[i].good && !streams[i].over;
    for (unsigned i = 0; i < LINKS; i++) {
        if (streams[i].over)
            printf("# link %u: %s\n", i, transport_error_text(streams[i].reason));
    }
    tap_ok(good, "many links at once");
    for (unsigned i = 0; i < LINKS; i++) {
        streams[i].closed = true;
        if (!streams[i].over)
            transport_close(streams[i].link, i % 2 == 0);
    }
    for (unsigned i = 0; i < 50; i++)
        run_round();
}

static void ask_for_end(uint8_t how, enum transport_error expected, const char *text)
{
    struct stream stream = begin(1);
    uint8_t *request = malloc(1);

    *request = how;
    stream.wanted = 0;
    bool good = connect_stream(&stream, 2) && run_until(&stream.connected) &&
                transport_send(stream.link, request, 1, request) == TRANSPORT_OK;
    stream.sends++;
    tap_ok(good && run_until(&stream.over) && stream.reason == expected && stream.good, text);
}

static void test_ends(void)
{
    ask_for_end(0xf1, TRANSPORT_ENDED, "the other side closes");
    ask_for_end(0xf2, TRANSPORT_RESET, "the other side breaks off");
    struct stream absent = begin(1);
    tap_ok(connect_stream(&absent, 9) && run_until(&absent.over) &&
               absent.reason == TRANSPORT_TIMED_OUT && !absent.connected,
           "nobody there");
    // All of it is under way when the link is broken off here.
    struct stream broken = begin(300000);
    tap_ok(connect_stream(&broken, 2) && run_until(&broken.connected), "a link");
    tap_ok(transport_unacknowledged(broken.link) > 100000, "with much under way");
    broken.closed = true;
    transport_close(broken.link, false);
    for (unsigned i = 0; i < 5; i++)
        run_round();
    tap_ok(broken.returned == broken.sends && !broken.over,
           "broken off here: sends come back, nothing else is said");
}

static void test_arguments(void)
{
    static uint8_t bytes[TRANSPORT_BEACON_BYTES_MAX + 1];
    struct stream stream = begin(0);
    struct transport_link *link;

    tap_ok(transport_beacon(transport, TRANSPORT_BROADCAST, bytes, 0) == TRANSPORT_INVALID &&
               transport_beacon(transport, TRANSPORT_BROADCAST, bytes, sizeof bytes) ==
                   TRANSPORT_INVALID,
           "beacons of no bytes or too many");
    tap_ok(connect_stream(&stream, 2) &&
               transport_send(stream.link, bytes, 1, bytes) == TRANSPORT_NOT_CONNECTED &&
               transport_room(stream.link) == 0,
           "no send before it is connected");
    tap_ok(run_until(&stream.connected) &&
               transport_send(stream.link, bytes, 0, bytes) == TRANSPORT_INVALID,
           "no send of nothing");
    unsigned count = 0;
    while (transport_send(stream.link, bytes, 1, NULL) == TRANSPORT_OK)
        count++;
    tap_ok(count == TRANSPORT_SENDS_MAX && transport_room(stream.link) == 0 &&
               transport_counters(transport)->sends_full == 1,
           "no more sends than there may be");
    stream.closed = true;
    transport_close(stream.link, false);
    for (count = 0; transport_connect(transport, 0x0a430009u, &stream, &link) == TRANSPORT_OK;
         count++)
        transport_close(link, true);
    printf("# %u links begun\n", count);
    tap_ok(count > 100 && count <= TRANSPORT_LINKS_MAX &&
               transport_counters(transport)->links_full == 1,
           "no more links than there may be");
    for (count = 0; count < 5; count++)
        run_round();
}

static void test_beacons(void)
{
    tap_ok(transport_beacon(transport, TRANSPORT_BROADCAST, "to all", 7) == TRANSPORT_OK &&
               run_until(&has_heard) && heard_bytes == 7 && strcmp(heard, "to all") == 0,
           "a beacon to all is heard, and answered to one");
}

// A frame of any contents, that looks the more right the luckier it is.
static size_t make_garbage(uint8_t *frame)
{
    static const uint8_t head[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 77, 8, 0, 0x45, 0};
    static const uint8_t protocols[] = {1, 6, 6, 6, 17, 2};
    size_t bytes = 14 + network_random() % (network_random() % 8 == 0 ? 1500 : 80);
    uint32_t luck = network_random();

    for (size_t i = 0; i < bytes; i++)
        frame[i] = (uint8_t)network_random();
    if (bytes < 60)
        bytes = 60;
    memcpy(frame, head, luck % 8 == 0 ? 6 : sizeof head);
    if (luck % 16 == 1)
        frame[13] = 6; // ARP
    if (luck % 4 == 0)
        return bytes;
    frame[16] = (uint8_t)((bytes - 14) >> 8);
    frame[17] = (uint8_t)(bytes - 14);
    frame[20] = frame[21] = 0;
    frame[23] = protocols[luck / 16 % sizeof protocols];
    frame[24] = frame[25] = 0;
    memcpy(frame + 26, (const uint8_t[]){10, 67, 0, 77, 10, 67, 0, 1}, 8);
    uint16_t sum = (uint16_t)~network_checksum(frame + 14, 20);
    memcpy(frame + 24, &sum, 2);
    // From few ports, so that some meet the connection of others.
    memcpy(frame + 34, (const uint8_t[]){40, (uint8_t)(luck >> 8 & 3), 0x1a, 0x4a}, 4);
    if (luck % 3 == 0)
        frame[46] = 0x50;
    if (frame[23] == 6 && luck % 5 != 0) {
        uint32_t pseudo = network_checksum(frame + 26, 8) + 0x0600u;
        uint16_t length = (uint16_t)(bytes - 34);
        frame[50] = frame[51] = 0;
        pseudo += (uint32_t)((length & 255) << 8 | length >> 8);
        pseudo += network_checksum(frame + 34, length);
        pseudo = (pseudo & 0xffff) + (pseudo >> 16);
        sum = (uint16_t) ~((pseudo & 0xffff) + (pseudo >> 16));
        memcpy(frame + 50, &sum, 2);
    }
    return bytes;
}

// A failed assertion of lwIP, or a byte touched that is another's, ends the test.
static void test_garbage(void)
{
    uint8_t frame[2048] = {0};
    // The node that it comes from, so that there is somebody to answer.
    static const uint8_t introduction[60] = {2,  0,  0, 0,  0, 1, 2, 0, 0, 0, 0,  77, 8, 6,
                                             0,  1,  8, 0,  6, 4, 0, 1, 2, 0, 0,  0,  0, 77,
                                             10, 67, 0, 77, 0, 0, 0, 0, 0, 0, 10, 67, 0, 1};

    arrive(introduction, sizeof introduction);
    uint64_t before = interface_counters()->received, answered = interface_counters()->sent;

    for (unsigned i = 0; i < GARBAGE; i++) {
        arrive(frame, make_garbage(frame));
        if (i % 64 == 0)
            run_round();
    }
    tap_ok(interface_counters()->received - before > GARBAGE / 2, "frames of any contents");
    uint64_t answers = interface_counters()->sent - answered;
    printf("# %lu answers\n", (unsigned long)answers);
    tap_ok(answers > GARBAGE / 50, "some of which ask for an answer");
}

static void test_silence(void)
{
    struct stream stream = begin(20);

    tap_ok(connect_stream(&stream, 2) && run_until(&stream.all_back), "a link");
    has_heard = false;
    (void)transport_beacon(transport, 0x0a430002u, "silent", 6);
    for (unsigned i = 0; i < 20; i++)
        run_round();
    stream.wanted += 1000;
    uint64_t began = network_now();
    send_more(&stream);
    tap_ok(run_until(&stream.over) && stream.reason == TRANSPORT_TIMED_OUT && stream.good,
           "a node that falls silent is noticed");
    uint64_t ms = (network_now() - began) / 1000000;
    printf("# after %lu ms\n", (unsigned long)ms);
    tap_ok(ms >= PATIENCE_MS - 200 && ms < PATIENCE_MS + 2000, "in time");
}

int main(int count, char **arguments)
{
    static const struct transport_events events = {
        .accepted = accepted,
        .connected = was_connected,
        .received = was_received,
        .sent = was_sent,
        .closed = was_closed,
        .beacon = beacon,
    };
    int ends[2];

    setvbuf(stdout, NULL, _IOLBF, 0);
    random_state = count > 1 ? strtoull(arguments[1], NULL, 0) : 1;
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) != 0)
        return 1;
    pid_t other = fork();
    wire_fd = ends[other == 0];
    close(ends[other != 0]);
    if (other == 0) {
        random_state += 1000;
        loss = 5;
        run_node_2();
    }
    open_all(1, &events);
    test_beacons();
    test_stream(STREAM_BYTES, 0, "a stream, there and back");
    test_stream(STREAM_BYTES / 8, 10, "a stream by a wire that loses, doubles and reorders");
    test_many();
    tap_ok(interface_counters()->sent_saved > 0, "acknowledgements were saved");
    test_ends();
    test_garbage();
    test_arguments();
    test_silence();
    kill(other, SIGKILL);
    (void)waitpid(other, NULL, 0);
    return tap_end();
}
