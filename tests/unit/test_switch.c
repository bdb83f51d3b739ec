// SPDX-License-Identifier: BSD-2-Clause
// sources: netipc/switch.c netipc/frame.c
// The switch: who gets a frame, who may send it, rates, frames in pieces and holds.
#include "netipc/switch.h"
#include "tap.h"

#include <string.h>

#define SECOND 1000000000ull

struct end {
    struct switch_port port;
    unsigned frames;
    size_t bytes;
    uint8_t last[64];
    bool full;
    struct frame_hold *kept;
};

static struct network_switch network;
static struct end wire, net, lin;
static const uint8_t net_address[6] = {0x52, 0x54, 0, 0xc0, 0, 1};
static const uint8_t linux_address[6] = {0x52, 0x54, 0, 0xc1, 0, 1};
static const uint8_t far_address[6] = {0x52, 0x54, 0, 0xc0, 0, 2};
static const uint8_t farther_address[6] = {0x52, 0x54, 0, 0xc0, 0, 3};
static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t group[6] = {0x33, 0x33, 0, 0, 0, 1};

static bool take(struct switch_port *port, const struct frame_piece *pieces, unsigned count)
{
    struct end *end = port->context;

    if (end->full)
        return false;
    end->frames++;
    end->bytes = frame_bytes(pieces, count);
    (void)frame_copy(pieces, count, 0, end->last, sizeof end->last);
    return true;
}

static bool take_frame(struct switch_port *port, const struct frame *frame)
{
    struct end *end = port->context;

    if (frame->hold != NULL) {
        frame_keep(frame->hold);
        end->kept = frame->hold;
    }
    return take(port, frame->pieces, frame->count);
}

static void begin_end(struct end *end, const uint8_t *address)
{
    *end = (struct end){.port = {.transmit = take, .context = end}};
    if (address != NULL)
        memcpy(end->port.address, address, 6);
}

static void begin(void)
{
    network = (struct network_switch){.now = SECOND};
    begin_end(&wire, NULL);
    begin_end(&net, net_address);
    begin_end(&lin, linux_address);
    switch_add_port(&network, &net.port);
    switch_add_port(&network, &lin.port);
    switch_set_wire(&network, &wire.port);
}

static void send(struct end *from, const uint8_t *source, const uint8_t *destination, size_t bytes)
{
    static uint8_t frame[10000];
    struct frame_piece pieces[3] = {{frame, 3}, {frame + 3, 8}, {frame + 11, bytes - 11}};

    memcpy(frame, destination, 6);
    memcpy(frame + 6, source, 6);
    if (bytes < 12)
        switch_receive(&network, &from->port, &(struct frame_piece){frame, bytes}, 1);
    else
        switch_receive(&network, &from->port, pieces, 3);
}

// How many frames the ends have got since the last time: of the wire, of TCP/IP, of Linux.
static bool got(unsigned to_wire, unsigned to_net, unsigned to_linux)
{
    bool same = wire.frames == to_wire && net.frames == to_net && lin.frames == to_linux;

    wire.frames = net.frames = lin.frames = 0;
    return same;
}

static void test_ways(void)
{
    begin();
    send(&wire, far_address, net_address, 60);
    tap_ok(got(0, 1, 0) && net.bytes == 60 && memcmp(net.last, net_address, 6) == 0,
           "from the wire to TCP/IP");
    send(&wire, far_address, linux_address, 60);
    tap_ok(got(0, 0, 1), "from the wire to Linux");
    send(&wire, far_address, farther_address, 60);
    tap_ok(got(0, 0, 0) && wire.port.counters.not_for_us == 1, "from the wire to another node");
    send(&net, net_address, far_address, 60);
    send(&lin, linux_address, far_address, 60);
    tap_ok(got(2, 0, 0), "to another node");
    send(&net, net_address, linux_address, 60);
    tap_ok(got(0, 0, 1), "from TCP/IP to Linux");
    send(&lin, linux_address, net_address, 60);
    tap_ok(got(0, 1, 0), "from Linux to TCP/IP");
    send(&lin, linux_address, linux_address, 60);
    tap_ok(got(0, 0, 0), "to itself: to nobody");
    send(&wire, far_address, everybody, 60);
    tap_ok(got(0, 1, 1), "from the wire to all");
    send(&lin, linux_address, everybody, 60);
    tap_ok(got(1, 1, 0), "from Linux to all");
    send(&net, net_address, group, 60);
    tap_ok(got(1, 0, 1), "to a group");
    switch_remove_port(&network, &lin.port);
    send(&wire, far_address, linux_address, 60);
    send(&wire, far_address, everybody, 60);
    tap_ok(got(0, 1, 0), "a port that was removed gets nothing");
    switch_set_wire(&network, NULL);
    send(&net, net_address, far_address, 60);
    send(&net, net_address, everybody, 60);
    tap_ok(got(0, 0, 0) && net.port.counters.no_such_place == 1, "without a wire");
}

static void test_refused(void)
{
    begin();
    send(&lin, net_address, far_address, 60);
    tap_ok(got(0, 0, 0) && lin.port.counters.wrong_sender == 1, "Linux in another's name");
    send(&wire, net_address, linux_address, 60);
    tap_ok(got(0, 0, 0) && wire.port.counters.wrong_sender == 1, "the wire in ours");
    send(&net, net_address, far_address, 11);
    struct frame_piece none = {NULL, 0};
    switch_receive(&network, &net.port, &none, 1);
    switch_receive(&network, &net.port, NULL, 0);
    send(&net, net_address, far_address, FRAME_BYTES_MAX + 1);
    tap_ok(got(0, 0, 0) && net.port.counters.malformed == 4, "frames of impossible lengths");
    send(&net, net_address, far_address, FRAME_BYTES_MAX);
    send(&net, net_address, far_address, FRAME_HEADER_BYTES);
    tap_ok(got(2, 0, 0), "the longest and the shortest");
    wire.full = true;
    send(&net, net_address, far_address, 60);
    tap_ok(got(0, 0, 0) && wire.port.counters.no_room == 1 && wire.port.counters.frames_out == 2,
           "no room is counted");
}

static unsigned send_until_limited(struct end *from, const uint8_t *source, struct end *to)
{
    unsigned sent = 0;

    to->frames = 0;
    for (; sent < 100000; sent++) {
        unsigned before = to->frames;
        send(from, source, to->port.address, 1000);
        if (to->frames == before)
            break;
    }
    return sent;
}

static void test_rates(void)
{
    begin();
    switch_set_rate(&lin.port.to, 1256000, 20000, network.now);
    tap_ok(send_until_limited(&wire, far_address, &lin) == 20000 / 1256 &&
               lin.port.counters.limited_out == 1,
           "a burst, then no more");
    send(&wire, far_address, net_address, 60);
    tap_ok(net.frames == 1, "another port is not limited by it");
    network.now += SECOND / 100;
    tap_ok(send_until_limited(&wire, far_address, &lin) == 10, "a hundredth of the rate later");
    network.now += 1000 * SECOND;
    tap_ok(send_until_limited(&wire, far_address, &lin) == 20000 / 1256, "a pause fills the burst");
    unsigned sent = 0;
    for (unsigned i = 0; i < 10000; i++) {
        network.now += SECOND / 10000;
        sent += send_until_limited(&wire, far_address, &lin);
    }
    tap_ok(sent >= 995 && sent <= 1005, "the rate over a second in small steps");
    network.now -= SECOND;
    tap_ok(send_until_limited(&wire, far_address, &lin) <= 1,
           "a clock that goes back gives nothing");

    begin();
    switch_set_rate(&lin.port.from, 1256000, 1, network.now);
    tap_ok(lin.port.from.burst >= FRAME_BYTES_MAX, "a burst is at least a frame");
    tap_ok(send_until_limited(&lin, linux_address, &net) > 0 && lin.port.counters.limited_in == 1,
           "what a port sends is limited, too");
}

static unsigned released;

static void was_released(struct frame_hold *hold)
{
    (void)hold;
    released++;
}

static void test_holds(void)
{
    uint8_t bytes[60] = {0};
    struct frame_piece piece = {bytes, sizeof bytes};
    struct frame_hold hold = {.references = 1, .release = was_released};
    struct frame frame = {.pieces = &piece, .count = 1, .hold = &hold};

    begin();
    net.port.transmit_frame = take_frame;
    wire.port.transmit_frame = take_frame;
    memcpy(bytes, everybody, 6);
    memcpy(bytes + 6, linux_address, 6);
    switch_receive_frame(&network, &lin.port, &frame);
    tap_ok(got(1, 1, 0) && hold.references == 3, "two keep a frame");
    frame_release(&hold);
    frame_release(net.kept);
    tap_ok(released == 0, "it is held until");
    frame_release(wire.kept);
    tap_ok(released == 1, "the last has released it");
}

int main(void)
{
    test_ways();
    test_refused();
    test_rates();
    test_holds();
    return tap_end();
}
