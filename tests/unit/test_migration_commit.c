// SPDX-License-Identifier: BSD-2-Clause
// sources: linuxserver/migration/commit.c
// The commit protocol of a move as code: random events against two copies of it. What the table
// allows is for the model checker (tests/migration/commit.pml) to say; here, that the code is the
// table.
#include "linuxserver/migration/commit.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>

#define MOVES  200000u
#define EVENTS 60u

struct side {
    unsigned char state;
    bool frozen, copy;
};

// What is on the wire: of each message how many.
struct wire {
    unsigned count[BEGIN];
};

static unsigned long random_state = 88172645463325252ul;
static unsigned implausible, twice, stuck, ended_there, ended_here;

static unsigned choose(unsigned bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)((random_state >> 20) % bound);
}

static const struct {
    unsigned action, message;
} sends[] = {
    {SEND_PREPARE, PREPARE}, {SEND_STATE, STATE},   {SEND_COMMIT, COMMIT},
    {SEND_ABORT, ABORT},     {SEND_SETTLE, SETTLE}, {SEND_PREPARED, PREPARED},
    {SEND_REFUSED, REFUSED}, {SEND_READY, READY},   {SEND_RUNNING, RUNNING},
    {SEND_ABORTED, ABORTED},
};

static void happen(struct side *side, unsigned event, struct wire *wire)
{
    struct commit_step step;

    if (!commit_is_plausible(side->state, event))
        implausible++;
    if (!commit_step(side->state, event, &step))
        return;
    side->state = step.state;
    if ((step.actions & FREEZE) != 0)
        side->frozen = true;
    if ((step.actions & THAW) != 0)
        side->frozen = false;
    if ((step.actions & RUN) != 0)
        side->copy = true;
    if ((step.actions & KILL) != 0)
        side->copy = false;
    for (unsigned i = 0; i < sizeof sends / sizeof *sends; i++)
        wire->count[sends[i].message] += (step.actions & sends[i].action) != 0;
}

static bool has_local_work(const struct side *side)
{
    return side->state == SOURCE_FREEZING || side->state == TARGET_CHECKING ||
           side->state == TARGET_BUILDING;
}

// One message of the wire arrives; it may stay, to come again.
static void arrive(struct side sides[2], struct wire *wire, bool faulty)
{
    unsigned message = choose(BEGIN);

    while (wire->count[message] == 0) {
        message = (message + 1) % BEGIN;
        if (message == PREPARE && wire->count[message] == 0 && choose(4) == 0)
            return;
    }
    if (!faulty || choose(3) != 0)
        wire->count[message]--;
    if (!faulty || choose(5) != 0)
        happen(&sides[message > SETTLE], message, wire);
}

static void calm(struct side sides[2], struct wire *wire)
{
    for (unsigned i = 0; i < 400; i++) {
        arrive(sides, wire, false);
        for (unsigned side = 0; side < 2; side++) {
            if (has_local_work(&sides[side]))
                happen(&sides[side], CAN, wire);
            if (i % 16 == 0)
                happen(&sides[side], TICK, wire);
        }
    }
}

// sides[0] is the target, to which messages up to SETTLE go.
static void run_move(void)
{
    static const unsigned events[] = {TICK, TICK, CANCEL, PEER_DEAD};
    struct side sides[2] = {{.state = TARGET_NONE}, {.state = SOURCE_IDLE}};
    struct wire wire = {{0}};

    happen(&sides[1], BEGIN, &wire);
    for (unsigned i = choose(EVENTS); i > 0; i--) {
        struct side *side = &sides[choose(2)];
        if (has_local_work(side) && choose(3) == 0)
            happen(side, choose(8) == 0 ? CANNOT : CAN, &wire);
        else if (choose(6) == 0)
            happen(side, events[choose(4)], &wire);
        else
            arrive(sides, &wire, true);
        twice += !sides[1].frozen && sides[0].copy;
    }
    calm(sides, &wire);
    bool here = !sides[1].frozen, there = sides[0].copy;
    // A link that breaks when all is settled ends the process.
    bool lost = sides[1].state == SOURCE_LOST;
    stuck += (lost ? sides[0].state == TARGET_RUNNING : here == there) ||
             commit_runs(sides[1].state) != here || commit_runs(sides[0].state) != there;
    ended_here += here;
    ended_there += there;
}

static void test_names(void)
{
    bool good = strcmp(commit_state_name(COMMIT_STATES), "no state") == 0;

    for (unsigned char i = 0; i < COMMIT_STATES; i++) {
        for (unsigned char j = 0; j < i; j++)
            good = good && strcmp(commit_state_name(i), commit_state_name(j)) != 0;
    }
    tap_ok(good, "each state has a name of its own");
}

static void test_impossible(void)
{
    struct commit_step step = {0};

    tap_ok(!commit_is_plausible(TARGET_NONE, COMMIT) &&
               !commit_is_plausible(TARGET_PREPARED, COMMIT),
           "a commit to who is not ready is against the protocol");
    tap_ok(!commit_step(TARGET_PREPARED, COMMIT, &step) && step.state == TARGET_PREPARED &&
               step.actions == NOTHING,
           "and does nothing");
    tap_ok(!commit_is_plausible(SOURCE_PREPARING, RUNNING) &&
               !commit_step(SOURCE_FROZEN, RUNNING, &step),
           "nor does a process that runs before its commit");
    tap_ok(!commit_is_plausible(SOURCE_FROZEN, COMMIT) && !commit_is_plausible(TARGET_READY, READY),
           "messages of the wrong side");
    tap_ok(!commit_is_plausible(SOURCE_IDLE, COMMIT_EVENTS) &&
               !commit_is_plausible(COMMIT_STATES, TICK) &&
               !commit_step(COMMIT_STATES, TICK, &step) && !commit_step(0, 1u << 31, &step),
           "events and states that there are not");
}

int main(void)
{
    test_names();
    test_impossible();
    for (unsigned i = 0; i < MOVES; i++)
        run_move();
    printf("# %u ended here, %u there\n", ended_here, ended_there);
    tap_ok(twice == 0, "never two of a process");
    tap_ok(stuck == 0, "never none, when the wire is whole again");
    tap_ok(implausible == 0, "no message that may not be");
    tap_ok(ended_here > MOVES / 20 && ended_there > MOVES / 20, "and both ends are met");
    return tap_end();
}
