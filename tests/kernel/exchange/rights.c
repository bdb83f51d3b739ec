// SPDX-License-Identifier: BSD-2-Clause
// Rights that travel, and what is left of them.
#include "exchange_test.h"

#include <stdio.h>
#include <unistd.h>

#define SOON       10000000u // microseconds
#define CIRCLERS   8u        // threads, all with the same ports
#define CIRCLES    2500u     // of messages with four rights each
#define SEND_WORDS 0x72001u

static void test_send_once(void)
{
    struct message message = {.tag = TAG_RIGHTS(1) | 2, .id = ECHO_SEND, .destination = echo};
    struct port_status status = {0};
    port_name_t receive, send;

    (void)port_allocate_with_send(7, &receive, &send);
    message.words[0] = 55;
    message.words[1] = SEND_WORDS;
    utcb_self()->rights[0] = make_send_once(receive);
    equal(msg_send(&message, SOON), ERR_OK, "a send-once right goes there");
    ok(msg_receive(&message, receive, SOON) == ERR_OK && message.id == SEND_WORDS &&
           message.words[0] == 55,
       "and a message by it comes back");
    (void)port_status(receive, &status);
    equal(status.send_once_rights, 0, "with which it is used up");

    message = (struct message){.tag = TAG_RIGHTS(1), .id = ECHO_KEEP};
    utcb_self()->rights[0] = make_send_once(receive);
    ok(echo_call(&message) == ERR_OK && echo_ask(ECHO_DROP, 0, NULL) == ERR_OK,
       "one is kept there and dropped");
    for (int i = 0; i < 200; i++) {
        (void)port_status(receive, &status);
        if (status.send_once_rights == 0)
            break;
        usleep(10000);
    }
    equal(status.send_once_rights, 0, "so it is gone here");
    (void)port_deallocate(receive);
    (void)port_deallocate(send);
}

static void test_dead_names(void)
{
    struct message message = {.tag = TAG_RIGHTS(1), .id = ECHO_RIGHTS};
    port_name_t receive, send;
    uint64_t kind = 0;

    (void)port_allocate_with_send(7, &receive, &send);
    (void)port_deallocate(receive);
    utcb_self()->rights[0] = move_send(send);
    ok(echo_call(&message) == ERR_OK && right_kind(utcb_self()->rights[0].name) == RIGHT_DEAD,
       "a dead name goes there and comes back dead");
    (void)port_deallocate(utcb_self()->rights[0].name);

    (void)port_allocate_with_send(7, &receive, &send);
    message = (struct message){.tag = TAG_RIGHTS(1), .id = ECHO_KEEP};
    utcb_self()->rights[0] = copy_send(send);
    ok(echo_call(&message) == ERR_OK && echo_ask(ECHO_KIND, 0, &kind) == ERR_OK &&
           kind == RIGHT_SEND,
       "a right to a port of node 1 is kept there");
    (void)port_deallocate(receive);
    for (int i = 0; i < 500 && kind == RIGHT_SEND; i++) {
        usleep(10000);
        (void)echo_ask(ECHO_KIND, 0, &kind);
    }
    equal(kind, RIGHT_DEAD, "the port dies: so does the right");
    (void)echo_ask(ECHO_DROP, 0, NULL);
    (void)port_deallocate(send);
}

// --- Credits -----------------------------------------------------------------------------

struct books {
    uint64_t imports, exports;             // of node 1
    uint64_t there_imports, there_exports; // of node 2
    uint64_t rights;                       // this task's
};

static void read_books(struct books *books)
{
    struct message message = {.tag = 0, .id = ECHO_NODE};
    uint64_t state, incarnation, sessions;

    (void)netname_node(netname, 2, &state, &incarnation, &sessions, &books->imports,
                       &books->exports);
    (void)echo_call(&message);
    books->there_imports = message.words[0];
    books->there_exports = message.words[1];
    (void)task_info(NAME_TASK_SELF, NULL, NULL, NULL, NULL, &books->rights, NULL);
}

static bool same_books(const struct books *one, const struct books *other)
{
    return one->imports == other->imports && one->exports == other->exports &&
           one->there_imports == other->there_imports &&
           one->there_exports == other->there_exports && one->rights == other->rights;
}

static void print_books(const char *when, const struct books *books)
{
    printf("#   %s: imports %llu, exports %llu; there %llu and %llu; %llu rights\n", when,
           (unsigned long long)books->imports, (unsigned long long)books->exports,
           (unsigned long long)books->there_imports, (unsigned long long)books->there_exports,
           (unsigned long long)books->rights);
}

// A port of one's own by send and send-once right, one of node 2 and a new one of one's own.
static bool circle(port_name_t receive, port_name_t send)
{
    struct message message = {.tag = TAG_RIGHTS(4), .id = ECHO_RIGHTS};
    port_name_t fresh, fresh_send;
    bool good = port_allocate_with_send(9, &fresh, &fresh_send) == ERR_OK;

    utcb_self()->rights[0] = copy_send(send);
    utcb_self()->rights[1] = make_send_once(receive);
    utcb_self()->rights[2] = copy_send(echo);
    utcb_self()->rights[3] = move_send(fresh_send);
    good =
        good && echo_call(&message) == ERR_OK && (message.tag & TAG_RIGHTS_MASK) == TAG_RIGHTS(4);
    if (!good)
        return false;
    struct message_right rights[4];
    for (unsigned i = 0; i < 4; i++)
        rights[i] = utcb_self()->rights[i];
    for (unsigned i = 0; i < 4; i++) {
        uint32_t kind = i == 1 ? RIGHT_SEND_ONCE : RIGHT_SEND;
        good = good && rights[i].disposition == kind;
        (void)port_deallocate(rights[i].name);
    }
    (void)port_deallocate(fresh);
    return good;
}

static port_name_t circled_receive, circled_send;

static void circle_often(struct member *member)
{
    for (unsigned i = member->number; i < CIRCLES; i += CIRCLERS)
        member->done += circle(circled_receive, circled_send);
    member->error = ERR_OK;
}

static void test_circles(void)
{
    struct books before = {0}, after = {0};
    uint64_t good = 0;

    read_books(&before);
    (void)port_allocate_with_send(7, &circled_receive, &circled_send);
    uint64_t begin = clock_now_ns();
    ok(crowd_start(CIRCLERS, circle_often) && crowd_ended(CIRCLERS, 100),
       "eight threads send the same ports at once");
    for (unsigned i = 0; i < CIRCLERS; i++)
        good += crowd[i].done;
    printf("#   %llu messages with four rights in %llu ms\n", (unsigned long long)good,
           (unsigned long long)((clock_now_ns() - begin) / 1000000));
    equal(good, CIRCLES, "10,000 rights go there and come back");
    (void)port_deallocate(circled_receive);
    (void)port_deallocate(circled_send);
    for (int i = 0; i < 300; i++) {
        read_books(&after);
        if (same_books(&before, &after))
            break;
        usleep(20000);
    }
    ok(same_books(&before, &after), "then both nodes have as many imports and exports as before");
    print_books("before", &before);
    print_books("after", &after);
}

void judge_rights(void)
{
    test_send_once();
    test_dead_names();
    test_circles();
}
