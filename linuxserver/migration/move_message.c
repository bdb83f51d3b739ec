// SPDX-License-Identifier: GPL-2.0-only
// The messages of the commit protocol. Their ids are the events of names.h; words:
//
//   all        0 number of the move
//   PREPARE    1 tgid, 2 home, 3 and 5 clocks of home, 4 flags; data: struct move_outline
//   STATE      1 where the data belong in the package, 2 bytes of the package, 3 and 5 clocks of
//              home; data
//   REFUSED    1 a positive error number; data: why, in words
//
// A package that is longer than a message goes in several, in order; the event is the last one.
#include "linuxserver/migration/clocks.h"
#include "linuxserver/migration/forward.h"
#include "linuxserver/migration/move_private.h"

#include <linux/init.h>
#include <linux/mm.h>
#include <linux/sched.h>

#define FLAG_EAGER 1ul

// Of the process, for what the target checks.
struct move_outline {
    char comm[TASK_COMM_LEN];
    struct package_process process;
};

static u64 highest_over[256]; // by source

void move_remember_over(unsigned int source, u64 number)
{
    u64 *highest = &highest_over[source % ARRAY_SIZE(highest_over)];

    *highest = max(*highest, number);
}

void move_forget_over(unsigned int source)
{
    highest_over[source % ARRAY_SIZE(highest_over)] = 0;
}

// --- Sending -----------------------------------------------------------------------------
// What is not sent for want of memory or of a link is sent again in time.

static void send_prepare(struct migration *migration)
{
    struct move_outline outline = {.process = *(struct package_process *)migration->outline};
    struct clocks clocks = clocks_tell(migration->home);
    const u64 words[MIGRATION_WORDS] = {migration->move,
                                        migration->tgid,
                                        migration->home,
                                        clocks.monotonic,
                                        migration->eager ? FLAG_EAGER : 0,
                                        (u64)clocks.real};

    memcpy(outline.comm, migration->comm, sizeof outline.comm);
    (void)migration_send(migration->target, PREPARE, words, &outline, sizeof outline);
}

static void send_state(struct migration *migration)
{
    for (size_t at = 0; at < migration->length; at += MIGRATION_DATA_MAX) {
        struct clocks clocks = clocks_tell(migration->home);
        const u64 words[MIGRATION_WORDS] = {migration->move,  at, migration->length,
                                            clocks.monotonic, 0,  (u64)clocks.real};

        if (migration_send(migration->target, STATE, words, (u8 *)migration->bytes + at,
                           min_t(size_t, MIGRATION_DATA_MAX, migration->length - at)) != 0)
            return;
    }
}

static void send_plain(unsigned int node, u32 id, u64 move)
{
    const u64 words[MIGRATION_WORDS] = {move};

    (void)migration_send(node, id, words, NULL, 0);
}

static void send_refused(unsigned int node, u64 move, int error, const char *reason)
{
    const u64 words[MIGRATION_WORDS] = {move, (u64)-error};

    (void)migration_send(node, REFUSED, words, reason, strlen(reason));
}

static void send_by(unsigned int node, u64 move, unsigned int actions)
{
    static const struct {
        unsigned int action;
        u32 id;
    } plain[] = {
        {SEND_COMMIT, COMMIT},     {SEND_ABORT, ABORT}, {SEND_SETTLE, SETTLE},
        {SEND_PREPARED, PREPARED}, {SEND_READY, READY}, {SEND_RUNNING, RUNNING},
        {SEND_ABORTED, ABORTED},
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(plain); i++)
        if (actions & plain[i].action)
            send_plain(node, plain[i].id, move);
}

void move_send(struct migration *migration, unsigned int actions)
{
    actions = move_hold_sends(migration, actions);
    if (actions & SEND_PREPARE)
        send_prepare(migration);
    if (actions & SEND_STATE)
        send_state(migration);
    if (actions & SEND_REFUSED)
        send_refused(migration->source, migration->move, migration->error, migration->reason);
    if (actions & SEND_COMMIT)
        move_send_signals(migration);
    send_by(move_is_source(migration) ? migration->target : migration->source, migration->move,
            actions);
}

// --- Receiving ---------------------------------------------------------------------------

// Of a move that is not known.
static void unknown(unsigned int node, u32 id, u64 move, unsigned char state)
{
    struct commit_step step;

    (void)commit_step(state, id, &step);
    if (id == ABORT) // a PREPARE that comes later is refused
        move_remember_over(node, move);
    if (step.actions & SEND_REFUSED)
        send_refused(node, move, -ESTALE, "that move is over");
    send_by(node, move, step.actions);
}

// Whether a process of that home is here, or comes by another move.
static bool sees_clocks(const struct migration *migration)
{
    const struct migration *other = NULL;

    list_for_each_entry(other, &move_all, link)
    {
        if (other != migration && other->home == migration->home && !move_is_source(other))
            return true;
    }
    return forward_is_any_of(migration->home);
}

static int hear_clocks(const struct migration *migration, const u64 *words)
{
    const struct clocks told = {.monotonic = words[3], .real = (s64)words[5]};
    bool anew = migration->state < TARGET_PREPARED && !sees_clocks(migration);

    return clocks_hear(migration->home, &told, anew);
}

static void prepare(unsigned int node, const u64 *words, const void *data, size_t bytes)
{
    const struct move_outline *outline = data;
    struct migration *migration = move_find(node, words[0]);
    int error;

    if (migration != NULL) {
        move_event(migration, PREPARE);
        return;
    }
    if (commit_is_over(highest_over[node], words[0])) {
        unknown(node, PREPARE, words[0], TARGET_ENDED);
        return;
    }
    if (bytes != sizeof *outline || words[1] == 0 || words[1] > PID_MAX_LIMIT) {
        send_refused(node, words[0], -EPROTO, "it asks what this node does not understand");
        return;
    }
    migration = move_make(node, words[0], (pid_t)words[1]);
    if (migration == NULL) {
        send_refused(node, words[0], -ENOMEM, "no memory there");
        return;
    }
    migration->state = TARGET_NONE;
    migration->target = migration_self();
    migration->home = (unsigned int)words[2];
    migration->resident = !move_is_home(migration);
    migration->eager = (words[4] & FLAG_EAGER) != 0;
    memcpy(migration->comm, outline->comm, sizeof migration->comm - 1);
    move_event(migration, PREPARE);
    error = hear_clocks(migration, words);
    if (error == 0) {
        move_check(migration, &outline->process);
    } else {
        move_fails(migration, error, "no memory there for the clocks of its home");
        move_event(migration, CANNOT);
    }
    migration_put(migration);
}

// A part of the package. True: that was the last one.
static bool take_state(struct migration *migration, const u64 *words, const void *data,
                       size_t bytes)
{
    u64 at = words[1], length = words[2];

    if (migration->state != TARGET_PREPARED)
        return migration->state > TARGET_PREPARED; // again: it is answered
    if (at == 0 && migration->bytes == NULL && length != 0 && length <= MOVE_BYTES_MOST) {
        migration->bytes = kvmalloc(length, GFP_KERNEL);
        migration->length = migration->bytes == NULL ? 0 : length;
    }
    if (at == 0)
        migration->came = 0;
    if (migration->bytes == NULL || length != migration->length || at != migration->came ||
        bytes > length - at)
        return false;
    memcpy((u8 *)migration->bytes + at, data, bytes);
    migration->came += bytes;
    return migration->came == length;
}

static void refused(struct migration *migration, const u64 *words, const char *text, size_t bytes)
{
    int error = words[1] != 0 && words[1] < MAX_ERRNO ? -(int)words[1] : -EREMOTEIO;

    if (migration->state >= SOURCE_COMMITTED)
        return;
    move_fails(migration, error, "node %u: %.*s", migration->target, (int)min(bytes, (size_t)96),
               text);
}

// Of a process that comes from elsewhere its home has to know before it runs. While home cannot be
// told COMMIT is not heard, which the source repeats.
static bool home_knows(const struct migration *migration)
{
    return migration->state != TARGET_READY || move_is_home(migration) ||
           migration->home == migration->source ||
           forward_here(migration->home, migration->tgid) == 0;
}

static void hear(unsigned int node, u64 call, u32 id, const u64 words[MIGRATION_WORDS],
                 const void *data, size_t bytes)
{
    bool to_target = id <= SETTLE;
    struct migration *migration;

    if (id == PREPARE) {
        prepare(node, words, data, bytes);
        return;
    }
    migration = move_find(to_target ? node : migration_self(), words[0]);
    if (migration == NULL) {
        unsigned char target =
            commit_is_over(highest_over[node], words[0]) ? TARGET_ENDED : TARGET_NONE;

        // One that runs was committed.
        unknown(node, id, words[0],
                to_target       ? target
                : id == RUNNING ? SOURCE_LOST
                                : SOURCE_ABORTED);
        return;
    }
    // Only home gives a process up; another source that has forgotten the move has heard enough.
    if (id == ABORT && migration->state == TARGET_RUNNING && migration->home != node)
        id = SETTLE;
    // By loopback, or with the other direction's numbers: the ends have to be who they say.
    if (move_is_source(migration) == to_target || (!to_target && migration->target != node) ||
        !commit_is_plausible(migration->state, id)) {
        migration_peer_counts.refused++;
        return;
    }
    if (move_holds(migration, id) || (id == COMMIT && !home_knows(migration)))
        return;
    if (id == STATE) {
        // They are known since PREPARE, and can be heard of again.
        (void)hear_clocks(migration, words);
        if (!take_state(migration, words, data, bytes))
            return;
    }
    if (id == REFUSED)
        refused(migration, words, data, bytes);
    move_event(migration, id);
}

static int __init begin(void)
{
    migration_handle(MESSAGES_COMMIT_FIRST, MESSAGES_COMMIT_LAST, hear);
    return 0;
}
device_initcall(begin);
