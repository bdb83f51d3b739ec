// SPDX-License-Identifier: GPL-2.0-only
// For tests: moves are held at a step, on the node on which that is asked for. A step is a message
// of the commit protocol that is not sent, or not looked at when it comes: each time it is as good
// as lost, and who waits for it sends again. So a held move is one whose messages take long, which
// any move may be. When the hold is over the next repetition goes through.
#include "linuxserver/migration/move_private.h"

#include <linux/init.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

// /sys/module/migration/parameters/hold: the name of a step; empty: none.
#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "migration."

struct step {
    const char *name;
    u32 message;
    unsigned int action; // by which it is sent; 0: it is held where it comes
};

static const struct step steps[] = {
    {"check", PREPARED, SEND_PREPARED}, // target: it could take the process
    {"freeze", PREPARED, 0},            // source: the process runs yet
    {"frozen", STATE, SEND_STATE},      // source: it is written down
    {"build", STATE, 0},                // target: the state is there
    {"built", READY, SEND_READY},       // target: the process is there, suspended
    {"ready", READY, 0},                // source: it could commit
    {"committed", COMMIT, SEND_COMMIT}, // source: it has
    {"commit", COMMIT, 0},              // target: it could run the process
    {"running", RUNNING, SEND_RUNNING}, // target: it does, but for its first instruction
    {"settle", SETTLE, SEND_SETTLE},    // source: the process is its stub
};

static const struct step *held;
static u64 told; // number of the move that was told last

static void tell(const struct migration *migration)
{
    if (told == migration->move)
        return;
    told = migration->move;
    pr_notice("corvus: the move of process %d is held at %s\n", migration->tgid, held->name);
}

unsigned int move_hold_sends(const struct migration *migration, unsigned int actions)
{
    if (held == NULL || (actions & held->action) == 0)
        return actions;
    tell(migration);
    return actions & ~held->action;
}

bool move_holds(const struct migration *migration, u32 message)
{
    if (held == NULL || held->action != 0 || held->message != message)
        return false;
    tell(migration);
    return true;
}

bool move_holds_process(const struct migration *migration)
{
    return held != NULL && held->action == SEND_RUNNING;
}

// --- The parameter -----------------------------------------------------------------------

// What was held goes on at the next tick; processes at the gate at once.
static void let_go(void)
{
    struct migration *migration = NULL;

    list_for_each_entry(migration, &move_all, link)
    {
        migration->tick = jiffies;
        wake_up_all(&migration->wait);
    }
}

static int set(const char *text, const struct kernel_param *parameter)
{
    const struct step *wanted = NULL;

    for (unsigned int i = 0; i < ARRAY_SIZE(steps); i++)
        if (sysfs_streq(text, steps[i].name))
            wanted = &steps[i];
    if (wanted == NULL && !sysfs_streq(text, ""))
        return -EINVAL;
    held = wanted;
    told = 0;
    let_go();
    return 0;
}

static int get(char *text, const struct kernel_param *parameter)
{
    return sprintf(text, "%s\n", held != NULL ? held->name : "");
}

static const struct kernel_param_ops hold_ops = {.set = set, .get = get};
module_param_cb(hold, &hold_ops, NULL, 0644);
