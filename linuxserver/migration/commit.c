// SPDX-License-Identifier: GPL-2.0-only
#include "linuxserver/migration/commit.h"

struct row {
    unsigned char state, event, next;
    unsigned actions;
};

static const struct row rows[] = {
#define ROW(state, event, next, actions) {state, event, next, actions},
#include "linuxserver/migration/commit.def"
#undef ROW
};

_Bool commit_step(unsigned char state, unsigned event, struct commit_step *step)
{
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].state == state && rows[i].event == event) {
            *step = (struct commit_step){.state = rows[i].next, .actions = rows[i].actions};
            return 1;
        }
    }
    *step = (struct commit_step){.state = state, .actions = NOTHING};
    return 0;
}

_Bool commit_is_plausible(unsigned char state, unsigned event)
{
    _Bool to_target = event <= SETTLE, to_source = event >= PREPARED && event <= ABORTED;
    _Bool source = state <= SOURCE_ABORTED;

    if ((to_target && source) || (to_source && !source))
        return 0;
    if (event == COMMIT) // is sent to who was ready, which stays so until it comes, or is killed
        return state == TARGET_READY || state == TARGET_RUNNING || state == TARGET_SETTLED ||
               state == TARGET_ENDED;
    if (event == SETTLE) // is the answer to RUNNING
        return state == TARGET_RUNNING || state == TARGET_SETTLED || state == TARGET_ENDED;
    if (event == RUNNING)
        return state == SOURCE_COMMITTED || state == SOURCE_AWAY || state == SOURCE_LOST;
    if (event == READY || event == PREPARED)
        return state != SOURCE_IDLE && (event == PREPARED || state != SOURCE_PREPARING);
    return event < COMMIT_EVENTS && state < COMMIT_STATES;
}

const char *commit_state_name(unsigned char state)
{
    static const char *const names[COMMIT_STATES] = {
        [SOURCE_IDLE] = "idle",           [SOURCE_PREPARING] = "preparing",
        [SOURCE_FREEZING] = "freezing",   [SOURCE_FROZEN] = "frozen",
        [SOURCE_COMMITTED] = "committed", [SOURCE_AWAY] = "away",
        [SOURCE_LOST] = "lost",           [SOURCE_ABORTING] = "aborting",
        [SOURCE_ABORTED] = "aborted",     [TARGET_NONE] = "none",
        [TARGET_CHECKING] = "checking",   [TARGET_PREPARED] = "prepared",
        [TARGET_BUILDING] = "building",   [TARGET_READY] = "ready",
        [TARGET_RUNNING] = "running",     [TARGET_SETTLED] = "settled",
        [TARGET_ENDED] = "ended",
    };
    return state < COMMIT_STATES ? names[state] : "no state";
}
