// SPDX-License-Identifier: BSD-2-Clause
// The servers of other nodes. Each node looks up the others' port, and tells its life there
// (HELLO); a link is up when this node has the other's port and knows its life. It is down when the
// port dies, or when a HELLO comes although one had come: then the other side has begun anew, and
// so does this one. Everything said is marked with the lives of both, so that nothing of an earlier
// one is heard.
//
// What is short travels in words, which the kernel and the network server put into a queue; what is
// longer as a COPY item.
#include "dsm/server/server.h"

#include "lib/outbox.h"

#include <corvus/init_stubs.h>
#include <corvus/netname_stubs.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_PEER    0x3201u
#define HEAD_WORDS      3u // from | subject << 8 | bytes in words << 16; life; life of the other
#define SHORT_BYTES     ((OUTBOX_WORDS - HEAD_WORDS) * 8)
#define ASK_AGAIN_NS    150000000ull
#define ANSWER_LIMIT_NS 3000000000ull
#define SEND_LIMIT_NS   10000000000ull
// Until then changes wait for nodes that are about to be found.
#define BEGINNING_NS 2000000000ull

struct peer {
    struct source answers; // to look-ups; events: the outbox is broken
    struct outbox *outbox;
    port_name_t port;   // the outbox's own
    port_name_t notify; // send right to `answers`, for the outbox's thread
    uint64_t life;      // 0: no HELLO has come
    uint64_t asked_ns;  // when it was looked up; 0: it was not
    bool up;
};

static struct peer *peers[DIRECTORY_NODES_MAX + 1];
static struct source incoming, notices;
static struct directory_nodes members;
static uint64_t refused, next_look_ns, started_ns;
static port_name_t netname;
static bool checked_in, begun;

static const struct subject *const subjects[PEER_SUBJECTS] = {[PEER_DIRECTORY] = &directory_subject,
                                                              [PEER_PAGES] = &pages_subject,
                                                              [PEER_LOCKS] = &locks_subject};

uint64_t peers_refused(void)
{
    return refused;
}

// --- Sending ------------------------------------------------------------------------------------

static void transmit(struct peer *peer, enum peer_subject subject, const void *bytes, size_t count)
{
    bool in_words = count <= SHORT_BYTES;
    struct outbox_message message = {
        .id = MESSAGE_PEER,
        .word_count = HEAD_WORDS,
        .words = {this_node.number | (uint64_t)subject << 8, this_node.life, peer->life}};

    if (in_words) {
        message.words[0] |= (uint64_t)count << 16;
        message.word_count += (uint32_t)((count + 7) / 8);
        if (count != 0)
            memcpy(&message.words[HEAD_WORDS], bytes, count);
    } else {
        message.data = bytes;
        message.bytes = count;
    }
    // A broken outbox says so itself; want of memory is like a loss, which breaks the link, too.
    if (outbox_send(peer->outbox, &message) == ERR_NO_MEMORY)
        (void)msg_notify(peer->notify, 1);
}

void peer_send(unsigned node, enum peer_subject subject, const void *bytes, size_t count)
{
    struct peer *peer = node <= DIRECTORY_NODES_MAX ? peers[node] : NULL;

    if (peer != NULL && peer->up)
        transmit(peer, subject, bytes, count);
}

// --- Up and down ---------------------------------------------------------------------------------

static void tell_view(void)
{
    names_view(&members);
}

static void go_up(unsigned node)
{
    struct peer *peer = peers[node];

    if (peer->up || peer->outbox == NULL || peer->life == 0)
        return;
    peer->up = true;
    directory_add_node(&members, node);
    printf("dsm: node %u is there\n", node);
    for (unsigned i = PEER_DIRECTORY; i < PEER_SUBJECTS; i++)
        subjects[i]->node_up(node);
    if (begun)
        tell_view();
}

static void go_down(unsigned node)
{
    struct peer *peer = peers[node];
    bool was_up = peer->up;

    peer->up = false;
    peer->life = 0;
    peer->asked_ns = 0;
    if (peer->outbox != NULL)
        outbox_close(peer->outbox, false);
    peer->outbox = NULL;
    peer->port = PORT_NULL;
    next_look_ns = 0;
    if (!was_up)
        return;
    directory_remove_node(&members, node);
    printf("dsm: node %u is gone\n", node);
    for (unsigned i = PEER_DIRECTORY; i < PEER_SUBJECTS; i++)
        subjects[i]->node_down(node);
    if (begun)
        tell_view();
}

// --- What they say -------------------------------------------------------------------------------

static void hear_hello(unsigned node, uint64_t life)
{
    struct peer *peer = peers[node];

    if (peer->life != 0)
        go_down(node);
    peer->life = life;
    go_up(node);
}

static void hear(struct message *message)
{
    const struct utcb *page = utcb_self();
    uint64_t words[OUTBOX_WORDS];
    unsigned node = message->words[0] & 255, subject = message->words[0] >> 8 & 255;
    size_t bytes = message->words[0] >> 16, count = message_words(message->tag);
    const void *data = &words[HEAD_WORDS];
    struct peer *peer = peers[node];

    if (count < HEAD_WORDS || count > OUTBOX_WORDS || peer == NULL || subject >= PEER_SUBJECTS ||
        message->words[1] == 0 || bytes > (count - HEAD_WORDS) * 8) {
        refused++;
        return;
    }
    if (subject == PEER_HELLO) {
        hear_hello(node, message->words[1]);
        return;
    }
    if (!peer->up || message->words[1] != peer->life || message->words[2] != this_node.life) {
        refused++;
        return;
    }
    if (message->tag & TAG_ITEMS_MASK) {
        data = (const void *)page->items[0].address;
        bytes = page->items[0].length;
    } else {
        message_copy_words(words, message->words, MESSAGE_REGISTER_WORDS);
        if (count > MESSAGE_REGISTER_WORDS)
            message_copy_words(words + MESSAGE_REGISTER_WORDS, page->words + MESSAGE_REGISTER_WORDS,
                               count - MESSAGE_REGISTER_WORDS);
    }
    if (!subjects[subject]->received(node, data, bytes))
        refused++;
}

static void hear_message(struct source *source, struct message *message)
{
    (void)source;
    if (message->id != MESSAGE_PEER || (message->tag & TAG_RIGHTS_MASK) != 0)
        message_drop_rights(message->tag);
    else
        hear(message);
}

// --- Finding them --------------------------------------------------------------------------------

static unsigned node_of(const struct source *source)
{
    for (unsigned node = 1; node <= this_node.nodes; node++)
        if (peers[node] != NULL && &peers[node]->answers == source)
            return node;
    return 0;
}

static void broken(void *argument, corvus_error_t error)
{
    struct peer *peer = argument;

    (void)error;
    (void)msg_notify(peer->notify, 1);
}

static void found(unsigned node, port_name_t port)
{
    struct peer *peer = peers[node];

    if (peer->outbox == NULL &&
        port_request_notification(port, NOTIFY_DEAD_NAME, notices.receive) == ERR_OK)
        peer->outbox = outbox_open(port, SEND_LIMIT_NS, broken, peer);
    if (peer->outbox == NULL || peer->port != PORT_NULL) {
        (void)port_deallocate(port);
        return;
    }
    peer->port = port;
    transmit(peer, PEER_HELLO, NULL, 0);
    go_up(node);
}

static void hear_answer(struct source *source, struct message *message)
{
    unsigned node = node_of(source);

    if (message->id == MESSAGE_ID_EVENT) {
        go_down(node);
        return;
    }
    peers[node]->asked_ns = 0;
    if ((message->tag & TAG_RIGHTS_MASK) == TAG_RIGHTS(1) && message->words[0] == ERR_OK &&
        utcb_self()->rights[0].disposition == RIGHT_SEND)
        found(node, utcb_self()->rights[0].name);
    else
        message_drop_rights(message->tag);
}

static void hear_notice(struct source *source, struct message *message)
{
    port_name_t dead = (port_name_t)message->words[0];

    (void)source;
    message_drop_rights(message->tag);
    if (message->id != MESSAGE_ID_DEAD_NAME)
        return;
    if (dead == netname) {
        (void)port_deallocate(netname);
        netname = PORT_NULL;
        checked_in = false;
        next_look_ns = 0;
    }
    for (unsigned node = 1; node <= this_node.nodes; node++)
        if (peers[node] != NULL && peers[node]->port == dead)
            go_down(node);
}

static void name_words(const char *name, uint64_t words[4])
{
    char padded[32] = {0};

    strncpy(padded, name, sizeof padded - 1);
    memcpy(words, padded, sizeof padded);
}

// Asks for the other's port, without waiting for the answer.
static void look_up(struct peer *peer, unsigned node, uint64_t now)
{
    struct message message = {.tag = TAG_SEND | TAG_SEND_DEADLINE | TAG_REPLY_RIGHT | 6,
                              .destination = netname,
                              .id = SERVICE_netname_look_up};

    name_words("dsm-peer", message.words);
    message.words[4] = node;
    message.words[5] = 0;
    utcb_self()->reply = make_send_once(peer->answers.receive);
    utcb_self()->send_deadline = 0;
    message_trap(&message);
    if (TAG_ERROR(message.tag) == ERR_OK)
        peer->asked_ns = now;
}

static bool check_in(const char *name, port_name_t right)
{
    uint64_t words[4];

    name_words(name, words);
    return netname_check_in(netname, words[0], words[1], words[2], words[3], this_node.life,
                            move_send(right)) == ERR_OK;
}

static void publish(void)
{
    port_name_t right;
    uint64_t words[4];

    if (netname == PORT_NULL) {
        name_words("netname", words);
        if (bootstrap_look_up(NAME_BOOTSTRAP, words[0], words[1], words[2], words[3], 0,
                              &netname) != ERR_OK) {
            netname = PORT_NULL;
            return;
        }
        (void)port_request_notification(netname, NOTIFY_DEAD_NAME, notices.receive);
    }
    if (!checked_in)
        checked_in = names_right(&right) == ERR_OK && check_in("dsm", right) &&
                     port_make_send(incoming.receive, &right) == ERR_OK &&
                     check_in("dsm-peer", right);
}

static bool all_are_up(void)
{
    for (unsigned node = 1; node <= this_node.nodes; node++)
        if (peers[node] != NULL && !peers[node]->up)
            return false;
    return true;
}

static uint64_t look_around(uint64_t now)
{
    if (!begun && (all_are_up() || now - started_ns >= BEGINNING_NS)) {
        begun = true;
        tell_view();
    }
    if (now < next_look_ns)
        return next_look_ns;
    next_look_ns = now + ASK_AGAIN_NS;
    publish();
    for (unsigned node = 1; node <= this_node.nodes && netname != PORT_NULL; node++) {
        struct peer *peer = peers[node];
        if (peer != NULL && peer->outbox == NULL &&
            (peer->asked_ns == 0 || now - peer->asked_ns >= ANSWER_LIMIT_NS))
            look_up(peer, node, now);
    }
    return next_look_ns;
}

corvus_error_t peers_start(void)
{
    static struct step step = {.step = look_around};
    corvus_error_t error;

    incoming.message = hear_message;
    notices.message = hear_notice;
    error = source_open(&incoming);
    if (error == ERR_OK)
        error = source_open(&notices);
    for (unsigned node = 1; node <= this_node.nodes && error == ERR_OK; node++) {
        if (node == this_node.number)
            continue;
        peers[node] = calloc(1, sizeof *peers[node]);
        if (peers[node] == NULL)
            return ERR_NO_MEMORY;
        peers[node]->answers.message = hear_answer;
        error = source_open(&peers[node]->answers);
        if (error == ERR_OK)
            error = port_make_send(peers[node]->answers.receive, &peers[node]->notify);
    }
    directory_add_node(&members, this_node.number);
    started_ns = clock_now_ns();
    loop_add_step(&step);
    return error;
}
