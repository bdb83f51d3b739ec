// SPDX-License-Identifier: BSD-2-Clause
// What a program does: makes ports and lets them die, sends, calls, answers, takes
// rights, passes them on and drops them, each by chance.
#include "netipc/core/internal.h"
#include "tests/netipc/world_private.h"
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

#define ITEM_MAX (1u << 20)

// An answer that is waited for.
struct call_made {
    struct call_made *next;
    struct answer answer;
    struct ground ground;
    uint64_t port; // it was made to; 0: dead already
};

static uint8_t item_memory[MESSAGE_ITEMS][ITEM_MAX];

// --- Ports and rights ----------------------------------------------------------------------

static struct port *own_port(struct program *program)
{
    return program->ports[sim_random(program->port_count)];
}

static void make_port(struct program *program)
{
    if (program->port_count < SIM_PORTS)
        program->ports[program->port_count++] = port_make(program->node);
}

// Not the well-known one.
static void kill_port(struct program *program)
{
    if (program->port_count < 3)
        return;
    unsigned at = 1 + sim_random(program->port_count - 1);
    struct port *port = program->ports[at];
    program->ports[at] = program->ports[--program->port_count];
    port_died(port->id);
    port_kill(port);
}

static void keep_right(struct program *program, struct right *right)
{
    if (program->right_count == SIM_RIGHTS) {
        unsigned at = sim_random(SIM_RIGHTS);
        right_drop(program->rights[at]);
        program->rights[at] = right;
    } else {
        program->rights[program->right_count++] = right;
    }
}

static struct right *take_right(struct program *program, unsigned at)
{
    struct right *right = program->rights[at];

    program->rights[at] = program->rights[--program->right_count];
    return right;
}

static void drop_right(struct program *program)
{
    if (program->right_count != 0)
        right_drop(take_right(program, sim_random(program->right_count)));
}

void program_drop_rights(struct program *program)
{
    while (program->right_count != 0)
        right_drop(take_right(program, program->right_count - 1));
}

// A right to another node's well-known port.
static void look_up(struct program *program)
{
    uint32_t count = sim.world->count, node = 1 + sim_random(count);

    if (count > 32) // neighbours only
        node = 1 + (program->node->number + count - 5 + sim_random(9)) % count;
    struct core_import *import = core_import_well_known(program->node->core, node, 0);

    if (import != NULL)
        keep_right(program, right_make(*core_import_owner(import), CORE_SEND));
}

// --- Letters ---------------------------------------------------------------------------------

static struct right *some_right(struct program *program)
{
    uint32_t what = sim_random(10);

    if (what == 0)
        return right_make(own_port(program), CORE_SEND_ONCE);
    if (what < 4 || program->right_count == 0)
        return right_make(own_port(program), CORE_SEND);
    unsigned at = sim_random(program->right_count);
    const struct right *held = program->rights[at];
    if (what < 8 && held->kind == CORE_SEND && !held->port->dead)
        return right_copy(held);
    return take_right(program, at);
}

static void write_letter(struct program *program, struct letter *letter, uint32_t items_max)
{
    *letter = (struct letter){0};
    letter->right_count = sim_random(3) == 0 ? sim_random(MESSAGE_RIGHTS + 1) : sim_random(2);
    for (unsigned i = 0; i < letter->right_count; i++)
        letter->rights[i] = some_right(program);
    if (items_max == 0 || sim_random(4) != 0)
        return;
    uint32_t most = sim_random(50) == 0 ? ITEM_MAX : items_max;
    letter->item_count = 1 + sim_random(MESSAGE_ITEMS);
    for (unsigned i = 0; i < letter->item_count; i++) {
        letter->items[i] = item_memory[i];
        letter->item_bytes[i] = sim_random(most / letter->item_count);
    }
}

static bool is_usable(const struct right *right)
{
    return right->kind != CORE_DEAD && right->port != NULL && !right->port->dead;
}

static void send_letter(struct program *program, struct right *to, struct letter *letter)
{
    uint32_t room[MESSAGE_ITEMS] = {65536, 65536, 65536, 65536};
    bool call = to->kind == CORE_SEND && to->port->import != NULL &&
                program->call_count < SIM_CALLS && sim_random(3) == 0;
    struct way way;
    const struct port *target = way_of_right(to, &way);
    uint64_t refusals = sim.world->refusals;
    struct call_made *made = NULL;

    letter_sign(program, letter, to, NULL);
    if (call) {
        made = world_obtain(sizeof *made);
        ground_lay(&made->ground, &way, 0);
        made->ground.firm = made->ground.firm && !right_is_doubtful(to);
        made->port = target != NULL ? target->id : 0;
    }
    corvus_error_t error = world_send(to, letter, call ? &made->answer : NULL, room);
    must(error == ERR_OK || refusals != sim.world->refusals,
         "a message to a living proxy was refused");
    if (error != ERR_OK) {
        letter_unsent(letter);
        free(made);
        return;
    }
    sim.sent++;
    if (made != NULL) {
        sim.calls++;
        made->next = program->calls;
        program->calls = made;
        program->call_count++;
    }
}

static void send_something(struct program *program, uint32_t items_max)
{
    struct letter letter;

    if (program->right_count == 0)
        return;
    unsigned at = sim_random(program->right_count);
    struct right *to = program->rights[at];
    if (!is_usable(to)) {
        right_drop(take_right(program, at));
        return;
    }
    if (to->port->paused) {
        sim.blocked++;
        return;
    }
    // It stays out of the letter's rights.
    (void)take_right(program, at);
    write_letter(program, &letter, items_max);
    bool once = to->kind == CORE_SEND_ONCE;
    send_letter(program, to, &letter); // uses up a send-once right
    if (!once)
        keep_right(program, to);
}

// --- What comes ----------------------------------------------------------------------------------

static void keep_rights(struct program *program, struct arrived *arrived)
{
    for (unsigned i = 0; i < arrived->right_count; i++)
        keep_right(program, arrived->rights[i]);
    arrived->right_count = 0;
}

static void answer(struct program *program, struct arrived *request, uint32_t items_max)
{
    const struct delivery *call = (const struct delivery *)request->call;
    struct way way = {.count = 1, .nodes = {program->node->number}};
    struct letter letter;

    if (call->peer != NULL) // else nobody waits for it
        way.nodes[way.count++] = call->peer->node;
    if (sim_random(8) == 0) {
        world_answer(request, NULL, ERR_NO_REPLY);
    } else {
        write_letter(program, &letter, items_max);
        letter_sign(program, &letter, NULL, &way);
        world_answer(request, &letter, ERR_OK);
        sim.sent++;
    }
    arrived_free(request);
}

static bool receive(struct program *program, struct port *port)
{
    struct arrived *arrived = port_receive(port);

    if (arrived == NULL)
        return false;
    arrived_judge(arrived, port);
    keep_rights(program, arrived);
    if (arrived->call == NULL) {
        arrived_free(arrived);
        return true;
    }
    if (program->request_count == SIM_REQUESTS)
        answer(program, program->requests[--program->request_count], 0);
    program->requests[program->request_count++] = arrived;
    return true;
}

static void judge_answer(struct program *program, struct call_made *made)
{
    must(made->answer.times == 1, "a call was completed twice");
    if (made->answer.error == ERR_OK) {
        arrived_judge(made->answer.message, NULL);
        keep_rights(program, made->answer.message);
        arrived_free(made->answer.message);
        return;
    }
    if (made->answer.error == ERR_NO_REPLY || made->port == 0 || port_is_dead(made->port))
        return;
    must(!ground_holds(&made->ground), "a call to a living port failed");
    sim.excused++;
}

static bool take_answers(struct program *program)
{
    bool some = false;

    for (struct call_made **place = &program->calls; *place != NULL;) {
        struct call_made *made = *place;
        if (!made->answer.done) {
            place = &made->next;
            continue;
        }
        *place = made->next;
        program->call_count--;
        judge_answer(program, made);
        free(made);
        some = true;
    }
    return some;
}

// --- Life ----------------------------------------------------------------------------------------

void program_begin(struct node *node)
{
    struct program *program = &sim.programs[node->number];

    *program = (struct program){.id = ++sim.next_program, .node = node};
    make_port(program);
    make_port(program);
    world_own_memory++;
    corvus_error_t error = core_export_well_known(
        node->core, 0, program->ports[0]->id, (uint64_t)right_make(program->ports[0], CORE_SEND));
    world_own_memory--;
    must(error == ERR_OK, "a well-known port");
}

void program_end(struct program *program)
{
    program_drop_rights(program);
    while (program->request_count != 0) {
        struct arrived *request = program->requests[--program->request_count];
        world_answer(request, NULL, ERR_PEER_DIED);
        arrived_free(request);
    }
    for (unsigned i = 0; i < program->port_count; i++)
        port_died(program->ports[i]->id);
}

void program_forget_calls(struct program *program)
{
    while (program->calls != NULL) {
        struct call_made *made = program->calls;
        program->calls = made->next;
        program->call_count--;
        must(made->answer.times == 1, "a call of a node that ended was not completed");
        if (made->answer.message != NULL) {
            for (unsigned i = 0; i < made->answer.message->right_count; i++)
                free(made->answer.message->rights[i]);
            made->answer.message->right_count = 0;
            arrived_free(made->answer.message);
        }
        free(made);
    }
}

void program_act(struct program *program, uint32_t items_max)
{
    uint32_t what = sim_random(100);

    if (what < 4)
        make_port(program);
    else if (what < 6)
        kill_port(program);
    else if (what < 9 || program->right_count == 0)
        look_up(program);
    else if (what < 15)
        drop_right(program);
    else if (what < 50)
        send_something(program, items_max);
    else if (what < 85)
        (void)receive(program, own_port(program));
    else if (what < 93)
        (void)take_answers(program);
    else if (program->request_count != 0)
        answer(program, program->requests[--program->request_count], items_max);
}

bool program_drain(struct program *program)
{
    bool some = take_answers(program);

    for (unsigned i = 0; i < program->port_count; i++)
        while (receive(program, program->ports[i]))
            some = true;
    for (; program->request_count != 0; some = true)
        answer(program, program->requests[--program->request_count], 0);
    return some;
}
