// SPDX-License-Identifier: GPL-2.0-only
// What the parts of forwarding share: messages between a process and its stub, and their records.
#pragma once

#include "linuxserver/migration/forward.h"
#include "linuxserver/migration/marshal.h"
#include "linuxserver/migration/messages.h"
#include "linuxserver/migration/migration.h"
#include "linuxserver/migration/peer.h"

#include <linux/hashtable.h>
#include <linux/list.h>
#include <linux/signal.h>
#include <linux/wait.h>

// Ids, and their words. Numbers of threads and processes are those of home.
enum forward_message {
    // to home
    FORWARD_CALL =
        MESSAGES_FORWARD_FIRST,       // tid, sequence, signal mask, interrupted; head and block
    FORWARD_CANCEL,                   // tid, sequence
    FORWARD_ACTION,                   // tgid, signal; struct sigaction
    FORWARD_STATUS,                   // tgid, status of waitpid, continuations heard of
    FORWARD_END,                      // tid: this thread has ended
    FORWARD_BEGUN,                    // tgid: the process that was forked is there
    FORWARD_HERE,                     // tgid: the process goes on on the node that says so
    FORWARD_STRAY,                    // tgid, tid or 0; struct kernel_siginfo: it came too late
    FORWARD_LEFT,                     // tgid, node: it has gone on to that one
    FORWARD_TO_HOME,                  // from here on they come from home
    FORWARD_RESULT = FORWARD_TO_HOME, // sequence, result, enum forward_outcome; what came back
    FORWARD_SIGNAL,                   // tgid, tid or 0, continuations sent; struct kernel_siginfo
    FORWARD_KILL,                     // tgid
};

enum forward_outcome {
    FORWARD_DONE,
    FORWARD_GONE, // the process has executed a program at home and goes on there
};

// clone and execve have heads of their own: arguments by meaning.
enum { CLONE_ARGUMENT_FLAGS, CLONE_ARGUMENT_SIGNAL };
// The block: the path, then the strings, each with its zero.
enum {
    EXEC_ARGUMENT_FOLDER,
    EXEC_ARGUMENT_FLAGS,
    EXEC_ARGUMENT_WORDS,
    EXEC_ARGUMENT_VARIABLES,
};

// What a fork or clone hands on to the child; more is refused.
#define CLONE_AT_HOME                                                                              \
    (CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_PARENT |        \
     CLONE_IO | CLONE_CLEAR_SIGHAND)

// --- The node where it runs --------------------------------------------------------------

struct forward {
    struct list_head link;
    unsigned int home, threads;
    pid_t tgid, stub;
    bool local; // a test on one node
    bool gone;  // goes on at home
    u64 continued;
    u64 user_ns, system_ns, runtime_ns; // of its threads that have ended
};

struct forward_thread {
    struct hlist_node link; // by task
    struct task_struct *task;
    struct forward *process;
    pid_t stub;
    pid_t child; // the stub of what it is cloning
};

struct forward_thread *forward_thread_of(const struct task_struct *task);
struct forward *forward_find(unsigned int home, pid_t stub);
void forward_from_home(unsigned int node, u32 id, const u64 words[MIGRATION_WORDS],
                       const void *data, size_t bytes);
void forward_result(unsigned int node, const u64 words[MIGRATION_WORDS], const void *data,
                    size_t bytes);
void forward_home_gone(unsigned int node, bool for_good);
// Calls that were under way to that node are made again, by processes that go on.
void forward_again(unsigned int node);

// Makes the call at home, with a block of the process's or the caller's, and spreads what comes
// back. *outcome may be NULL.
long forward_make(struct forward_thread *thread, struct marshal *m);
long forward_table(struct forward_thread *thread, unsigned int nr, const u64 arguments[6]);
long forward_block(struct forward_thread *thread, const struct marshal_head *head,
                   const void *block, unsigned int *outcome);
void forward_tell(const struct forward *process, u32 id, u64 second, u64 third, const void *data,
                  size_t bytes);

// True: made; *result is what it is. False: to be made here.
bool forward_own(struct forward_thread *thread, unsigned int nr, const u64 arguments[6],
                 long *result);
long forward_fork(struct forward_thread *thread, unsigned int nr, const u64 arguments[6]);
long forward_execute(struct forward_thread *thread, unsigned int nr, const u64 arguments[6]);
// forward_time.c: calls with times in them; as forward_own.
bool forward_time(struct forward_thread *thread, unsigned int nr, const u64 arguments[6],
                  long *result);
// Waits at home that may have a limit and end with EINTR (interrupted.h).
bool forward_is_waiting(unsigned int nr);
long forward_waiting(struct forward_thread *thread, unsigned int nr, const u64 arguments[6]);
// Makes the call, wherever it is to be made, with an argument that points to these bytes.
long forward_with_memory(unsigned int nr, const u64 arguments[6], unsigned int argument,
                         const void *bytes, size_t count);

// --- Home --------------------------------------------------------------------------------

struct stub {
    struct list_head link, threads;
    pid_t tgid;
    unsigned int node;
    bool begun;    // the process is there
    bool ended;    // `status` says how
    bool leaving;  // a thread executes a program
    bool released; // goes on here
    bool told;     // the process has been told to die
    int status;
    u64 user_ns, system_ns, runtime_ns; // that the process took where it ran
    int stop;                           // signal that stopped it; 0
    u64 continued;                      // SIGCONTs sent
    sigset_t claimed;                   // which descriptors wait for (signalfd)
    struct homecoming *home;            // the process is coming back; NULL: it is not
};

struct stub_call {
    u64 sequence;
    sigset_t mask;
    bool interrupted;
    size_t bytes; // of the block
    struct marshal_head head;
    u8 block[];
};

struct stub_thread {
    struct hlist_node hash; // by tid
    struct list_head link;  // of the process's
    struct stub *stub;
    struct task_struct *task;
    pid_t tid;
    wait_queue_head_t wait;
    struct stub_call *call; // to be made
    u64 sequence;           // of the one that is being made; 0
    bool ending, woken;
    unsigned long area; // where blocks lie in its memory; 0
    size_t area_bytes;
    sigset_t real_blocked; // of before
};

extern struct list_head stubs;

struct stub *stub_find(pid_t tgid);
struct stub_thread *stub_thread_find(pid_t tid);
struct stub_thread *stub_thread_new(struct stub *stub);
void stub_thread_known(struct stub_thread *thread, pid_t tid);
void stub_thread_free(struct stub_thread *thread);
struct stub *stub_new(unsigned int node, bool begun);
void stub_loop(struct stub_thread *thread);
// The thread goes on to user mode.
void stub_leave(struct stub_thread *thread);
void stub_kick(struct stub *stub);
void stub_exits(struct task_struct *task);
void stub_send_signals(struct stub_thread *thread);
void stub_idle_mask(const struct stub_thread *thread);

// Makes thread->call and sends its result. True: the thread goes on to user mode.
bool stub_make(struct stub_thread *thread);
void stub_area_free(struct stub_thread *thread);

// Which signals the process's descriptors wait for.
void stub_claims(struct stub *stub);

void stub_from_process(unsigned int node, u32 id, const u64 words[MIGRATION_WORDS],
                       const void *data, size_t bytes);
void stub_node_gone(unsigned int node);

// home.c. Whether the thread is to make its process's memory; makes it.
bool home_has_work(const struct stub_thread *thread);
void home_build(struct stub_thread *thread);
// The stub's thread becomes the process's, and is none of the stub's any more.
void home_go_on(struct stub_thread *thread);
// A signal that met the process where it was when it had been written down: it comes before those
// that are kept here since. False: it has not begun to come back.
bool home_keeps(const struct stub *stub, pid_t tid, const kernel_siginfo_t *info);
// The stub has no homecoming any more.
void home_forget(struct stub *stub);
