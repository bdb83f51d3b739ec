// SPDX-License-Identifier: BSD-2-Clause
// `calls NODE HOME`: processes that are moved while they are in a system call, each of another
// kind, to the node and back (main.c). Each is a *scene* of two rounds: its *subject*, a child of
// the *partner* that stays at home, begins to wait; it is moved; its partner ends the wait.
#pragma once

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

struct scene {
    const char *name;
    const char *what;                         // in words
    void (*prepare)(void);                    // in the partner, before there is a subject; NULL
    void (*before)(int);                      // in the subject, at the start of a round; NULL
    void (*call)(int round);                  // in the subject
    void (*end_it)(pid_t subject, int round); // in the partner, when it has moved; NULL: by itself
    void (*meanwhile)(pid_t subject, int round); // in a child of the partner, from before the move
    bool timed;                                  // the call ends after `span_ms`
    bool awake;                                  // it computes instead of waiting
};

// The parts of the table.
extern const struct scene file_scenes[], time_scenes[], signal_scenes[], task_scenes[],
    memory_scenes[];

// Of the round, in the subject and in the partner: how long timed calls take, and the longest that
// they may take more (milliseconds).
extern int span_ms, late_ms;

// Tells what is wrong, and ends the subject, or its partner.
__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);

#define NEED(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail("line %d of %s: not %s (%s)", __LINE__, strrchr(__FILE__, '/') + 1, #condition,   \
                 strerror(errno));                                                                 \
    } while (0)

// What must succeed: not -1.
#define DO(call) NEED((call) != -1)

int64_t now_ms(void);
struct timespec timespec_of(int64_t milliseconds);

// The subject: `span_ms` have passed since then, and not much more.
void need_passed(int64_t since);
