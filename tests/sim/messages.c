// SPDX-License-Identifier: BSD-2-Clause
// What is said of each message and each right in it by who sends it, and judged by
// who receives it: order, once only, nothing lost, each right to what it was.
#include "netipc/core/internal.h"
#include "tests/netipc/world_private.h"
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

// Words of a letter.
enum {
    WORD_UID,
    WORD_FLOW, // 0: through a send-once right
    WORD_SEQUENCE,
    WORD_FIRST,    // sequence of the first of its session
    WORD_DOUBTFUL, // and of the last one before it that may get lost in that
    WORD_NOTE,     // the grounds of its rights
    WORD_RIGHTS,   // for each: kind, port
    WORD_COUNT = WORD_RIGHTS + 2 * MESSAGE_RIGHTS,
};
_Static_assert((unsigned)WORD_COUNT <= MESSAGE_WORDS, "a message has so many words");

// All messages of one program to one port.
struct flow {
    struct table_link by_key;
    struct flow *next;
    struct program *program;
    uint32_t program_id, home;
    uint64_t port;
    uint64_t sent, received;
    uint32_t session;
    uint64_t first;    // of that session
    uint64_t doubtful; // of that session the last one that was: see right_is_doubtful
};

static struct flow *flows;
static struct table flow_table;

// What nobody would find room for in a message.
struct note {
    struct note *next;
    struct ground rights[MESSAGE_RIGHTS];
};

static struct note *notes; // since the last rest

// --- Ports -----------------------------------------------------------------------------

static uint8_t *mark_of(uint8_t **marks, size_t *room, uint64_t at)
{
    if (at >= *room) {
        size_t larger = 2 * at + 1024;
        *marks = world_enlarge(*marks, larger);
        memset(*marks + *room, 0, larger - *room);
        *room = larger;
    }
    return &(*marks)[at];
}

void port_died(uint64_t id)
{
    *mark_of(&sim.dead, &sim.dead_room, id) = 1;
}

bool port_is_dead(uint64_t id)
{
    return *mark_of(&sim.dead, &sim.dead_room, id) != 0;
}

// --- Flows ------------------------------------------------------------------------------

static struct flow *flow_of(struct program *program, const struct port *port)
{
    uint64_t key = port->id << 24 | program->id;

    if (flow_table.buckets == NULL) {
        world_own_memory++;
        must(table_create(&flow_table), "memory for the simulator");
        world_own_memory--;
    }
    struct table_link *link = table_find(&flow_table, key);
    if (link != NULL)
        return table_element(link, struct flow, by_key);
    struct flow *flow = world_obtain(sizeof *flow);
    *flow = (struct flow){.next = flows,
                          .program = program,
                          .program_id = program->id,
                          .home = port->node->number,
                          .port = port->id};
    flows = flow;
    world_own_memory++;
    table_insert(&flow_table, &flow->by_key, key);
    world_own_memory--;
    return flow;
}

static uint32_t session_with(const struct node *node, uint32_t other)
{
    const struct peer *peer = node->core->peers[other];

    return node->number == other || peer == NULL ? 0 : peer->sessions;
}

static void flow_check(const struct flow *flow)
{
    const struct program *program = flow->program;

    if (flow->home != program->node->number && core_peer(program->node->core, flow->home) == NULL)
        return;
    if (session_with(program->node, flow->home) == flow->session && flow->first <= flow->sent)
        must(flow->received == flow->sent || flow->doubtful == flow->sent,
             "a message is lost, though its session lives");
}

static bool flow_is_over(const struct flow *flow)
{
    return flow->program->id != flow->program_id || flow->program->node->core == NULL ||
           port_is_dead(flow->port);
}

static void notes_free(void)
{
    while (notes != NULL) {
        struct note *next = notes->next;
        free(notes);
        notes = next;
    }
}

void flows_check(void)
{
    for (struct flow **place = &flows; *place != NULL;) {
        struct flow *flow = *place;
        if (!flow_is_over(flow)) {
            flow_check(flow);
            place = &flow->next;
            continue;
        }
        *place = flow->next;
        table_remove(&flow_table, &flow->by_key);
        free(flow);
    }
    notes_free();
}

void flows_free(void)
{
    notes_free();
    table_destroy(&flow_table);
    while (flows != NULL) {
        struct flow *next = flows->next;
        free(flows);
        flows = next;
    }
}

// --- Letters --------------------------------------------------------------------------------

static struct note *sign_rights(struct letter *letter, const struct way *way)
{
    struct note *note;

    if (letter->right_count == 0)
        return NULL;
    note = world_obtain(sizeof *note);
    note->next = notes;
    notes = note;
    for (unsigned i = 0; i < letter->right_count; i++) {
        const struct right *right = letter->rights[i];
        struct way own;
        const struct port *port = way_of_right(right, &own);
        bool dead = right->port == NULL || right->port->dead;
        uint64_t *words = &letter->words[WORD_RIGHTS + 2 * i];

        words[0] = dead ? CORE_DEAD : right->kind;
        words[1] = port != NULL ? port->id : 0;
        // A send-once right stays where it was made, and each node on the way is one more for it.
        struct ground *ground = &note->rights[i];
        if (port == NULL)
            continue;
        if (right->kind == CORE_SEND) {
            ground_lay(ground, way, port->node->number);
        } else {
            way_join(&own, way);
            ground_lay(ground, &own, 0);
        }
        ground->firm = ground->firm && !right_is_doubtful(right);
    }
    return note;
}

static uint8_t item_byte(uint64_t seed, size_t at)
{
    return (uint8_t)((seed + at) * 2654435761u >> 11);
}

void letter_sign(struct program *program, struct letter *letter, const struct right *to,
                 const struct way *way)
{
    struct way own;
    const struct port *port = to != NULL ? way_of_right(to, &own) : NULL;

    letter->word_count = WORD_COUNT;
    letter->id = letter->word_count * 7;
    letter->words[WORD_UID] = ++sim.next_uid;
    letter->words[WORD_FLOW] = 0;
    if (port != NULL && to->kind == CORE_SEND) {
        struct flow *flow = flow_of(program, port);
        uint32_t session = session_with(program->node, port->node->number);
        flow->sent++;
        if (flow->session != session || flow->sent == 1) {
            flow->first = flow->sent;
            flow->doubtful = 0;
        }
        if (right_is_doubtful(to))
            flow->doubtful = flow->sent;
        flow->session = session;
        letter->words[WORD_FLOW] = (uint64_t)flow;
        letter->words[WORD_SEQUENCE] = flow->sent;
        letter->words[WORD_FIRST] = flow->first;
        letter->words[WORD_DOUBTFUL] = flow->doubtful;
    }
    letter->words[WORD_NOTE] = (uint64_t)sign_rights(letter, to != NULL ? &own : way);
    for (unsigned i = 0; i < letter->item_count; i++) {
        uint8_t *item = (uint8_t *)letter->items[i];
        for (size_t at = 0; at < letter->item_bytes[i]; at += 97)
            item[at] = item_byte(letter->words[WORD_UID], at);
    }
}

void letter_unsent(const struct letter *letter)
{
    struct flow *flow = (struct flow *)letter->words[WORD_FLOW];

    if (flow != NULL)
        flow->sent--;
}

// --- Judging -------------------------------------------------------------------------------------

static void judge_flow(const struct arrived *arrived, const struct port *port)
{
    struct flow *flow = (struct flow *)arrived->words[WORD_FLOW];
    uint64_t sequence = arrived->words[WORD_SEQUENCE], first = arrived->words[WORD_FIRST];

    must(port != NULL && flow->port == port->id, "a message came to another port");
    must(sequence > flow->received, "a message came twice, or behind a later one");
    // Missing may be only what was sent in earlier sessions, or through what was not yet its own.
    must(sequence == flow->received + 1 || sequence <= first ||
             sequence - 1 <= arrived->words[WORD_DOUBTFUL],
         "a message is missing before this one");
    flow->received = sequence;
}

static void judge_right(const struct arrived *arrived, unsigned i)
{
    const uint64_t *words = &arrived->words[WORD_RIGHTS + 2 * i];
    const struct note *note = (const struct note *)arrived->words[WORD_NOTE];
    const struct right *right = arrived->rights[i];
    struct way way;
    const struct port *port = way_of_right(right, &way);

    sim.rights++;
    if (right->kind != CORE_DEAD && right->port != NULL && !right->port->dead) {
        must(right->kind == words[0], "a right became another kind");
        must(port == NULL || words[1] == 0 || port->id == words[1],
             "a right became another port's");
        return;
    }
    sim.dead_rights++;
    if (words[0] == CORE_DEAD || words[1] == 0 || port_is_dead(words[1]))
        return;
    must(!ground_holds(&note->rights[i]), "a right to a living port came as a dead name");
    sim.excused++;
}

void arrived_judge(const struct arrived *arrived, const struct port *port)
{
    uint64_t uid = arrived->words[WORD_UID];
    uint8_t *seen = mark_of(&sim.seen, &sim.seen_room, uid);

    must(arrived->word_count == WORD_COUNT && arrived->id == WORD_COUNT * 7 && uid != 0 &&
             uid <= sim.next_uid,
         "a message has other words than were sent");
    must(*seen == 0, "a message came twice");
    *seen = 1;
    sim.received++;
    if (arrived->words[WORD_FLOW] != 0)
        judge_flow(arrived, port);
    for (unsigned i = 0; i < arrived->right_count; i++)
        judge_right(arrived, i);
    for (unsigned i = 0; i < arrived->item_count; i++)
        for (size_t at = 0; at < arrived->item_bytes[i]; at += 97)
            must(arrived->items[i][at] == item_byte(uid, at), "bytes came as others");
}
