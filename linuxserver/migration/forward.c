// SPDX-License-Identifier: GPL-2.0-only
// System calls of a process that has moved which are made at home (forward.h): the block goes
// there, and the thread waits for what comes back. A signal meanwhile interrupts the call there, as
// it would here.
#include "linuxserver/migration/forward_private.h"
#include "linuxserver/migration/interrupted.h"

#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/ptrace.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <asm/syscall.h>
#include <asm/unistd.h>

// --- For marshal.h -----------------------------------------------------------------------

int marshal_get(void *to, u64 from, u64 bytes)
{
    return copy_from_user(to, (const void __user *)from, bytes) != 0 ? -EFAULT : 0;
}

int marshal_put(u64 to, const void *from, u64 bytes)
{
    return copy_to_user((void __user *)to, from, bytes) != 0 ? -EFAULT : 0;
}

int marshal_string(u64 from, u64 bytes)
{
    long length = strnlen_user((const char __user *)from, (long)bytes);

    return length == 0 ? -EFAULT : length > (long)bytes ? -ENAMETOOLONG : (int)length;
}

void *marshal_allocate(u64 bytes)
{
    return kvmalloc(bytes, GFP_KERNEL);
}

void marshal_free(void *memory)
{
    kvfree(memory);
}

// --- A call that waits for home ----------------------------------------------------------

struct waiter {
    struct list_head link;
    unsigned int node;
    u64 sequence;
    wait_queue_head_t wait;
    bool done;
    bool again; // the link broke
    long result;
    unsigned int outcome;
    void *back;
    size_t bytes;
};

static LIST_HEAD(waiters);
static u64 last_sequence;

// In the daemon's thread. Allocating may sleep: the waiter is looked up afterwards.
void forward_result(unsigned int node, const u64 words[MIGRATION_WORDS], const void *data,
                    size_t bytes)
{
    void *back = bytes != 0 ? kvmalloc(bytes, GFP_KERNEL) : NULL;
    struct waiter *waiter = NULL;

    list_for_each_entry(waiter, &waiters, link)
    {
        if (waiter->node != node || waiter->sequence != words[0] || waiter->done)
            continue;
        waiter->result = (long)words[1];
        waiter->outcome = (unsigned int)words[2];
        if (bytes != 0 && back == NULL) {
            waiter->result = -ENOMEM;
            bytes = 0;
        } else if (bytes != 0) {
            memcpy(back, data, bytes);
        }
        waiter->back = back;
        waiter->bytes = bytes;
        waiter->done = true;
        wake_up(&waiter->wait);
        return;
    }
    // It did not wait for it any more: it was killed.
    kvfree(back);
}

// Home is unreachable: that passes, or home is gone and the process dies.
static int send(const struct forward *process, u32 id, const u64 words[MIGRATION_WORDS],
                const void *data, size_t bytes)
{
    int error = migration_send(process->home, id, words, data, bytes);

    while (error == -EHOSTDOWN && !fatal_signal_pending(current)) {
        error = migration_connect(process->home);
        if (error == -EINTR)
            return error;
        error = migration_send(process->home, id, words, data, bytes);
    }
    return error;
}

static void await(struct forward_thread *thread, struct waiter *waiter, bool interrupted)
{
    u64 words[MIGRATION_WORDS] = {(u64)thread->stub, waiter->sequence};

    if (!interrupted && wait_event_interruptible(waiter->wait, waiter->done || waiter->again) != 0)
        (void)send(thread->process, FORWARD_CANCEL, words, NULL, 0);
    (void)wait_event_killable(waiter->wait, waiter->done || waiter->again);
}

void forward_again(unsigned int node)
{
    struct waiter *waiter = NULL;

    list_for_each_entry(waiter, &waiters, link)
    {
        if (waiter->node != node)
            continue;
        waiter->again = true;
        wake_up(&waiter->wait);
    }
}

// A link that breaks takes the call with it. A process that outlives that (move_is_unsettled) is
// one of which home has heard nothing, and it makes its call again.
static int ask(struct forward_thread *thread, struct waiter *waiter, u64 *words,
               const void *message, size_t bytes)
{
    int error = 0;

    do {
        bool interrupted = signal_pending(current);

        words[3] = interrupted;
        waiter->again = false;
        error = send(thread->process, FORWARD_CALL, words, message, bytes);
        if (error == 0)
            await(thread, waiter, interrupted);
    } while (error == 0 && !waiter->done && waiter->again && !fatal_signal_pending(current));
    return error;
}

// The block goes, and the result comes. The process's mask goes with it: what is blocked there must
// not interrupt the call.
static long exchange(struct forward_thread *thread, const struct marshal_head *head,
                     const void *block, struct waiter *waiter)
{
    u64 words[MIGRATION_WORDS] = {(u64)thread->stub, ++last_sequence, current->blocked.sig[0]};
    size_t bytes = sizeof *head + head->in_bytes;
    u8 *message = kvmalloc(bytes, GFP_KERNEL);
    int error;

    if (message == NULL)
        return -ENOMEM;
    memcpy(message, head, sizeof *head);
    memcpy(message + sizeof *head, block, head->in_bytes);
    *waiter = (struct waiter){.node = thread->process->home, .sequence = words[1]};
    init_waitqueue_head(&waiter->wait);
    list_add_tail(&waiter->link, &waiters);
    error = ask(thread, waiter, words, message, bytes);
    kvfree(message);
    list_del(&waiter->link);
    if (error == 0 && !waiter->done)
        error = -EINTR; // killed
    return error;
}

long forward_block(struct forward_thread *thread, const struct marshal_head *head,
                   const void *block, unsigned int *outcome)
{
    struct waiter waiter = {};
    long error = exchange(thread, head, block, &waiter);

    kvfree(waiter.back);
    if (error != 0)
        return error;
    *outcome = waiter.outcome;
    return waiter.result;
}

long forward_make(struct forward_thread *thread, struct marshal *m)
{
    struct waiter waiter = {};
    u8 *block = kvmalloc(m->head.in_bytes + 1, GFP_KERNEL);
    long result = block == NULL ? -ENOMEM : marshal_collect(m, block);

    if (result == 0)
        result = exchange(thread, &m->head, block, &waiter);
    kvfree(block);
    if (result == 0) {
        int error = marshal_spread(m, waiter.result, waiter.back, (u32)waiter.bytes);

        result = error != 0 ? error : waiter.result;
    }
    kvfree(waiter.back);
    return result;
}

// --- Calls -------------------------------------------------------------------------------

long forward_table(struct forward_thread *thread, unsigned int nr, const u64 arguments[6])
{
    struct marshal m;
    long result = marshal_describe(&m, nr, arguments);

    if (result == 0)
        result = forward_make(thread, &m);
    marshal_release(&m);
    return result;
}

// Whether a read of that descriptor would give something now.
static bool is_readable(struct forward_thread *thread, u64 descriptor)
{
    struct pollfd entry = {.fd = (int)descriptor, .events = POLLIN};
    struct marshal_head head = {
        .nr = __NR_poll,
        .in_bytes = sizeof entry,
        .result_from = sizeof entry,
        .total = sizeof entry,
        .pointers = 1,
        .arguments = {0, 1, 0},
    };
    unsigned int outcome;

    return forward_block(thread, &head, &entry, &outcome) == 1;
}

// A read or write of more than goes at once goes on while all is taken, as one call would; a read
// only while it need not wait.
static long transfer_all(struct forward_thread *thread, unsigned int nr, const u64 arguments[6])
{
    u64 part[6];
    long done = 0, result;

    memcpy(part, arguments, sizeof part);
    for (;;) {
        result = forward_table(thread, nr, part);
        if (result <= 0)
            return done != 0 ? done : result;
        done += result;
        part[1] += (u64)result;
        part[2] -= (u64)result;
        part[3] += (u64)result; // the place, of pread64 and pwrite64
        if (part[2] == 0 || result != MARSHAL_BYTES ||
            (nr == __NR_read && !is_readable(thread, part[0])))
            return done;
    }
}

static bool is_transfer(unsigned int nr)
{
    return nr == __NR_read || nr == __NR_write || nr == __NR_pread64 || nr == __NR_pwrite64;
}

static bool forward(struct forward_thread *thread, const struct call_description *call,
                    unsigned int nr, const u64 arguments[6], long *result)
{
    switch ((enum call_where)call->where) {
    case CALL_LOCAL:
        return false;
    case CALL_HOME:
        *result = is_transfer(nr) ? transfer_all(thread, nr, arguments)
                                  : forward_table(thread, nr, arguments);
        return true;
    case CALL_BOTH:
        *result = forward_table(thread, nr, arguments);
        return *result < 0;
    case CALL_OWN:
        return forward_own(thread, nr, arguments, result);
    case CALL_REFUSED:
        break;
    }
    *result = -ENOSYS;
    return true;
}

bool forward_call(struct pt_regs *regs)
{
    struct forward_thread *thread = forward_thread_of(current);
    long nr = PT_REGS_SYSCALL_NR(regs), result = -ENOSYS;
    const struct call_description *call = call_description((u64)nr);
    const u64 arguments[6] = {
        UPT_SYSCALL_ARG1(&regs->regs), UPT_SYSCALL_ARG2(&regs->regs), UPT_SYSCALL_ARG3(&regs->regs),
        UPT_SYSCALL_ARG4(&regs->regs), UPT_SYSCALL_ARG5(&regs->regs), UPT_SYSCALL_ARG6(&regs->regs),
    };

    if (thread == NULL)
        return false;
    if (call != NULL && !forward(thread, call, (unsigned int)nr, arguments, &result))
        return false;
    result = interrupted_call((unsigned int)nr, arguments, result);
    // It is restarted where signals are looked at, also when it was a signal of home's that nobody
    // here wants to hear of.
    if (result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK)
        set_thread_flag(TIF_SIGPENDING);
    PT_REGS_SET_SYSCALL_RETURN(regs, result);
    return true;
}
