// SPDX-License-Identifier: BSD-2-Clause
// The same program on each node sends messages to that of each other node, with rights of all kinds
// in all directions, and checks what it gets: each once, in order, whole, with the rights that it
// should have. Several sets of such programs may run at a time.
#include "ports.h"

#include <corvus/netname_stubs.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX  8u
#define COPY_BYTES 5000u

// Messages. Word 0: who sent it; word 1: its number, from 0; word 2: what is in it.
#define LOAD_MESSAGE 0x72001u
#define LOAD_ANSWER  0x72002u // to a send-once right: words 0 and 1 are those of its message
#define LOAD_END     0x72003u // word 1: how many messages there were
#define LOAD_DONE    0x72004u // the sender has got all that it waits for, and needs nobody's ports

enum label { LABEL_IN = 1, LABEL_ANSWERS, LABEL_GONE, LABEL_FRESH };

// What a message carries: its number modulo the count of these.
enum kind {
    KIND_WORDS,     // 64 words
    KIND_MINE,      // a right to the sender's own port
    KIND_THIRD,     // to that of a node that is neither
    KIND_YOURS,     // to the receiver's
    KIND_SEND_ONCE, // a right to answer once
    KIND_FRESH,     // the only right to a port that dies with it, and two others
    KIND_COPY,      // bytes
    KIND_NOTHING,
    KINDS
};

static unsigned self, nodes;
static uint64_t messages; // to each other node
static port_name_t set, in, answers, gone;
static port_name_t of_node[NODES_MAX + 1]; // rights to the ports of all nodes
static uint64_t number_of[NODES_MAX + 1];  // the kernel's numbers of these
static uint64_t expected[NODES_MAX + 1];   // number of the next message of a node
static uint8_t *answered[NODES_MAX + 1];   // by number of message
static uint64_t answers_got, fresh_gone, ends, done;
static uint8_t arrived[COPY_BYTES];

// --- The sender ------------------------------------------------------------------------------

static uint64_t pattern(unsigned node, uint64_t number, unsigned index)
{
    return node * 0x9e3779b97f4a7c15ull ^ number * 1000003 ^ index * 7919u;
}

static unsigned third(unsigned one, unsigned other)
{
    unsigned node = 1;

    while (nodes > 2 && (node == one || node == other))
        node++;
    return node;
}

// A port of which there is one right; it goes when that does.
static struct message_right fresh_right(void)
{
    port_name_t receive, send;

    need(port_allocate_with_send(LABEL_FRESH, &receive, &send), "making a port");
    // By another port: a right to this one would keep it.
    need(port_request_notification(receive, NOTIFY_NO_SENDERS, gone), "asking for a notice");
    return move_send(send);
}

static void fill(struct message *message, unsigned to, uint64_t number)
{
    static uint8_t bytes[COPY_BYTES]; // the sender's thread's alone
    struct message_right fresh_one;

    switch (number % KINDS) {
    case KIND_WORDS:
        message->tag = MESSAGE_WORDS;
        for (unsigned i = MESSAGE_REGISTER_WORDS; i < MESSAGE_WORDS; i++)
            utcb_self()->words[i] = pattern(self, number, i);
        break;
    case KIND_MINE:
        message->tag |= TAG_RIGHTS(1);
        utcb_self()->rights[0] = make_send(in);
        break;
    case KIND_THIRD:
        message->tag |= TAG_RIGHTS(1);
        utcb_self()->rights[0] = copy_send(of_node[third(self, to)]);
        break;
    case KIND_YOURS:
        message->tag |= TAG_RIGHTS(1);
        utcb_self()->rights[0] = copy_send(of_node[to]);
        break;
    case KIND_SEND_ONCE:
        message->tag |= TAG_RIGHTS(1);
        utcb_self()->rights[0] = make_send_once(answers);
        break;
    case KIND_FRESH:
        fresh_one = fresh_right();
        message->tag |= TAG_RIGHTS(3);
        utcb_self()->rights[0] = copy_send(of_node[to]);
        utcb_self()->rights[1] = fresh_one;
        utcb_self()->rights[2] = copy_send(of_node[third(self, to)]);
        break;
    case KIND_COPY:
        message->tag |= TAG_ITEMS(1);
        for (unsigned i = 0; i < COPY_BYTES; i++)
            bytes[i] = (uint8_t)pattern(self, number, i);
        utcb_self()->items[0] = message_copy_item(bytes, COPY_BYTES);
        break;
    default:
        break;
    }
}

static void *send_all(void *argument)
{
    struct message message;

    for (uint64_t number = 0; number <= messages; number++) {
        for (unsigned to = 1; to <= nodes; to++) {
            if (to == self)
                continue;
            message = (struct message){
                .tag = 3, .id = LOAD_MESSAGE, .words = {self, number, number % KINDS}};
            if (number == messages)
                message.id = LOAD_END;
            else
                fill(&message, to, number);
            message.destination = of_node[to];
            corvus_error_t error = msg_send(&message, TIMEOUT_NONE);
            if (error != ERR_OK)
                fail("message %llu to node %u: error %d", (unsigned long long)number, to, error);
        }
    }
    return argument;
}

// --- The receiver ----------------------------------------------------------------------------

static void expect_port(const struct message_right *right, unsigned node, uint64_t number)
{
    if (right->disposition != RIGHT_SEND || port_number(right->name) != number_of[node])
        fail("message %llu brought a right that is not node %u's", (unsigned long long)number,
             node);
}

static void answer_once(const struct message_right *right, unsigned from, uint64_t number)
{
    struct message message = {.tag = 2, .id = LOAD_ANSWER, .words = {self, number}};

    if (right->disposition != RIGHT_SEND_ONCE)
        fail("message %llu brought no send-once right", (unsigned long long)number);
    message.destination = right->name;
    corvus_error_t error = msg_send(&message, TIMEOUT_NONE);
    if (error != ERR_OK)
        fail("answering message %llu of node %u: error %d", (unsigned long long)number, from,
             error);
}

static void check_words(unsigned from, uint64_t number)
{
    for (unsigned i = MESSAGE_REGISTER_WORDS; i < MESSAGE_WORDS; i++)
        if (utcb_self()->words[i] != pattern(from, number, i))
            fail("message %llu of node %u: word %u is wrong", (unsigned long long)number, from, i);
}

static void check_copy(unsigned from, uint64_t number)
{
    if (utcb_self()->items[0].length != COPY_BYTES)
        fail("message %llu of node %u lacks bytes", (unsigned long long)number, from);
    for (unsigned i = 0; i < COPY_BYTES; i++)
        if (arrived[i] != (uint8_t)pattern(from, number, i))
            fail("message %llu of node %u: byte %u is wrong", (unsigned long long)number, from, i);
}

static void take_message(const struct message *message)
{
    static const unsigned rights_of[KINDS] = {[KIND_MINE] = 1,
                                              [KIND_THIRD] = 1,
                                              [KIND_YOURS] = 1,
                                              [KIND_SEND_ONCE] = 1,
                                              [KIND_FRESH] = 3};
    unsigned from = (unsigned)message->words[0];
    uint64_t number = message->words[1];
    unsigned count = (unsigned)((message->tag & TAG_RIGHTS_MASK) >> TAG_RIGHTS_SHIFT);
    unsigned kind = number % KINDS;
    struct message_right rights[MESSAGE_RIGHTS];

    memcpy(rights, utcb_self()->rights, sizeof rights);
    if (from == 0 || from > nodes || from == self || number != expected[from])
        fail("message %llu of node %u in the place of %llu", (unsigned long long)number, from,
             (unsigned long long)(from <= NODES_MAX ? expected[from] : 0));
    expected[from]++;
    if (message->words[2] != kind || count != rights_of[kind])
        fail("message %llu of node %u is not whole", (unsigned long long)number, from);
    if (kind == KIND_WORDS)
        check_words(from, number);
    else if (kind == KIND_COPY)
        check_copy(from, number);
    else if (kind == KIND_MINE)
        expect_port(&rights[0], from, number);
    else if (kind == KIND_THIRD)
        expect_port(&rights[0], third(from, self), number);
    else if (kind == KIND_YOURS || kind == KIND_FRESH)
        expect_port(&rights[0], self, number);
    if (kind == KIND_FRESH)
        expect_port(&rights[2], third(from, self), number);
    if (kind == KIND_SEND_ONCE)
        answer_once(&rights[0], from, number);
    else
        for (unsigned i = 0; i < count; i++)
            need(port_deallocate(rights[i].name), "dropping a right");
}

static void take_answer(const struct message *message)
{
    unsigned from = (unsigned)message->words[0];
    uint64_t number = message->words[1];

    if (message->id != LOAD_ANSWER || from == 0 || from > nodes || from == self ||
        number >= messages || number % KINDS != KIND_SEND_ONCE)
        fail("an answer to nothing: id %llx", (unsigned long long)message->id);
    if (answered[from][number]++ != 0)
        fail("message %llu to node %u was answered twice", (unsigned long long)number, from);
    answers_got++;
}

static void take_end(const struct message *message)
{
    unsigned from = (unsigned)message->words[0];

    if (from > nodes || message->words[1] != messages || expected[from] != messages)
        fail("node %u ended after %llu messages", from, (unsigned long long)message->words[1]);
    ends++;
}

static void take(const struct message *message)
{
    if (message->label == LABEL_IN && message->id == LOAD_MESSAGE)
        take_message(message);
    else if (message->label == LABEL_IN && message->id == LOAD_END)
        take_end(message);
    else if (message->label == LABEL_IN && message->id == LOAD_DONE)
        done++;
    else if (message->label == LABEL_ANSWERS)
        take_answer(message);
    else if (message->label == LABEL_GONE && message->id == MESSAGE_ID_NO_SENDERS &&
             message->words[0] == LABEL_FRESH)
        fresh_gone++; // its receive right goes with the file
    else
        fail("a message that nobody sent: id %llx", (unsigned long long)message->id);
}

static void receive_one(uint64_t deadline)
{
    uint64_t now = clock_now_ns();
    struct message message;

    utcb_self()->copy_buffers[0] = message_buffer(arrived, sizeof arrived);
    corvus_error_t error =
        now < deadline ? msg_receive(&message, set, (deadline - now) / 1000 + 1) : ERR_TIMED_OUT;
    if (error != ERR_OK)
        fail("error %d; %llu ended, %llu answers, %llu ports gone, %llu done; next of each: "
             "%llu %llu %llu",
             error, (unsigned long long)ends, (unsigned long long)answers_got,
             (unsigned long long)fresh_gone, (unsigned long long)done,
             (unsigned long long)expected[1], (unsigned long long)expected[2],
             (unsigned long long)expected[3]);
    take(&message);
}

// How many messages to all others there are of a kind.
static uint64_t sent_of(enum kind kind)
{
    return (nodes - 1) * ((messages + KINDS - 1 - kind) / KINDS);
}

static void receive_all(uint64_t deadline)
{
    while (ends < nodes - 1 || answers_got < sent_of(KIND_SEND_ONCE) ||
           fresh_gone < sent_of(KIND_FRESH))
        receive_one(deadline);
}

// A port that dies while rights to it are under way would come as a dead one.
static void wait_for_others(uint64_t deadline)
{
    for (unsigned to = 1; to <= nodes; to++) {
        struct message message = {.tag = 1, .destination = of_node[to], .id = LOAD_DONE};
        message.words[0] = self;
        if (to != self)
            need(msg_send(&message, TIMEOUT_NONE), "telling that all is done");
    }
    while (done < nodes - 1)
        receive_one(deadline);
}

// --- Both -----------------------------------------------------------------------------------

static void find_nodes(const char *set_name)
{
    uint64_t live, majority, incarnation, node = 0, size;
    port_name_t netname;
    char name[32];

    need(corvus_netname(&netname), "finding the network server");
    need(netname_cluster(netname, &node, &size, &live, &majority, &incarnation), "asking");
    self = (unsigned)node;
    if (self > nodes || nodes > NODES_MAX || nodes < 2)
        fail("2 to %u nodes", NODES_MAX);
    (void)snprintf(name, sizeof name, "load%u.%.16s", self, set_name);
    need(corvus_check_in(name, make_send(in), 0), "checking in");
    for (unsigned other = 1; other <= nodes; other++) {
        (void)snprintf(name, sizeof name, "load%u.%.16s", other, set_name);
        need(corvus_look_up(name, other, true, &of_node[other]), "looking up");
        number_of[other] = port_number(of_node[other]);
        answered[other] = calloc(messages + 1, 1);
        if (number_of[other] == 0 || answered[other] == NULL)
            fail("node %u cannot be used", other);
    }
}

int command_load(char **words)
{
    pthread_t sender;
    uint64_t begin, deadline;

    nodes = (unsigned)strtoul(words[0], NULL, 10);
    messages = strtoull(words[1], NULL, 10);
    need(port_set_allocate(&set), "making a set");
    need(port_allocate(LABEL_IN, &in), "making a port");
    need(port_allocate(LABEL_ANSWERS, &answers), "making a port");
    need(port_allocate(LABEL_GONE, &gone), "making a port");
    need(port_enable(gone, set), "putting a port into the set");
    need(port_enable(in, set), "putting a port into the set");
    need(port_enable(answers, set), "putting a port into the set");
    find_nodes(words[3]);
    say("begins");
    begin = clock_now_ns();
    if (pthread_create(&sender, NULL, send_all, NULL) != 0)
        fail("no thread");
    deadline = deadline_after(strtoull(words[2], NULL, 10) * NANOSECONDS_PER_SECOND);
    receive_all(deadline);
    (void)pthread_join(sender, NULL);
    wait_for_others(deadline);
    say("node %u: %llu messages to each, in %llu ms", self, (unsigned long long)messages,
        (unsigned long long)((clock_now_ns() - begin) / MILLISECOND_NS));
    return EXIT_SUCCESS;
}
