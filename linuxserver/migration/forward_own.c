// SPDX-License-Identifier: GPL-2.0-only
// System calls in which both nodes have a part (OWN in calls.def).
#include "linuxserver/migration/clocks.h"
#include "linuxserver/migration/forward_private.h"
#include "linuxserver/migration/interrupted.h"

#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>

#include <asm/syscall.h>
#include <asm/unistd.h>

extern const sys_call_ptr_t sys_call_table[];

static long here(unsigned int nr, const u64 a[6])
{
    return sys_call_table[nr](a[0], a[1], a[2], a[3], a[4], a[5]);
}

// --- Waiting for descriptors -------------------------------------------------------------

// `thread` is NULL for a process that has come home meanwhile.
static long poll_until(struct forward_thread *thread, u64 entries, u64 count, bool limited,
                       ktime_t end)
{
    s64 left = limited ? ktime_ms_delta(ktime_add_ns(end, NSEC_PER_MSEC - 1), ktime_get()) : -1;
    u64 arguments[6] = {entries, count, (u64)(limited ? max(left, 0ll) : -1)};
    struct restart_block *block = &current->restart_block;
    long result =
        thread != NULL ? forward_table(thread, __NR_poll, arguments) : here(__NR_poll, arguments);

    if (result != -ERESTART_RESTARTBLOCK && result != -ERESTARTNOHAND)
        return result;
    block->poll.ufds = (struct pollfd __user *)entries;
    block->poll.nfds = (int)count;
    block->poll.has_timeout = limited;
    block->poll.tv_sec = (unsigned long)(end / NSEC_PER_SEC);
    block->poll.tv_nsec = (unsigned long)(end % NSEC_PER_SEC);
    return set_restart_fn(block, forward_restart_poll);
}

long forward_restart_poll(struct restart_block *block)
{
    struct forward_thread *thread = forward_thread_of(current);
    ktime_t end = (s64)(block->poll.tv_sec * NSEC_PER_SEC + block->poll.tv_nsec);

    return poll_until(thread, (u64)block->poll.ufds, (u64)block->poll.nfds,
                      block->poll.has_timeout != 0, end);
}

static long poll_descriptors(struct forward_thread *thread, const u64 a[6])
{
    int limit = (int)a[2];

    return poll_until(thread, a[0], (u32)a[1], limit >= 0, ktime_add_ms(ktime_get(), limit));
}

// The mask holds here, for the time of the call, and goes home with it as any mask does.
static long with_mask(struct forward_thread *thread, unsigned int nr, const u64 arguments[6],
                      u64 mask, u64 mask_bytes)
{
    long result = set_user_sigmask((const sigset_t __user *)mask, mask_bytes);

    if (result != 0)
        return result;
    result = forward_table(thread, nr, arguments);
    restore_saved_sigmask_unless(result == -ERESTARTNOHAND || result == -EINTR ||
                                 result == -ERESTART_RESTARTBLOCK);
    return result;
}

static long wait_with_mask(struct forward_thread *thread, unsigned int nr, const u64 given[6])
{
    u64 a[6], pair[2] = {0, 0};

    memcpy(a, given, sizeof a);
    switch (nr) {
    case __NR_ppoll:
        a[3] = a[4] = 0;
        return with_mask(thread, nr, a, given[3], given[4]);
    case __NR_pselect6:
        if (given[5] != 0 && marshal_get(pair, given[5], sizeof pair) != 0)
            return -EFAULT;
        a[5] = 0;
        return with_mask(thread, nr, a, pair[0], pair[1]);
    default: // epoll_pwait, epoll_pwait2
        a[4] = a[5] = 0;
        return with_mask(thread, nr, a, given[4], given[5]);
    }
}

bool forward_is_waiting(unsigned int nr)
{
    return nr == __NR_epoll_wait || nr == __NR_epoll_pwait || nr == __NR_epoll_pwait2 ||
           nr == __NR_semtimedop;
}

// Home goes by a limit of its own, which is over when the call has been interrupted there.
long forward_waiting(struct forward_thread *thread, unsigned int nr, const u64 arguments[6])
{
    bool masked = nr == __NR_epoll_pwait || nr == __NR_epoll_pwait2;
    ktime_t end = 0;
    bool limited = interrupted_limit(nr, arguments, &end);
    long result =
        masked ? wait_with_mask(thread, nr, arguments) : forward_table(thread, nr, arguments);

    if (result == -ERESTART_RESTARTBLOCK)
        result = -EINTR;
    return limited ? interrupted_wait(nr, result, end) : result;
}

// --- Many socket messages ----------------------------------------------------------------

#define MESSAGE_STRIDE 64 // struct mmsghdr
#define MESSAGE_LENGTH 56
#define MESSAGES_MOST  1024u

// One by one: what is told is what Linux tells when the others come later.
static long many_messages(struct forward_thread *thread, unsigned int nr, const u64 a[6])
{
    bool receive = nr == __NR_recvmmsg;
    unsigned int count = min((unsigned int)a[2], MESSAGES_MOST), done = 0;
    u64 flags = a[3] & ~(u64)MSG_WAITFORONE;

    while (done < count) {
        u64 at = a[1] + (u64)done * MESSAGE_STRIDE;
        u64 one[6] = {a[0], at, flags};
        long result = forward_table(thread, receive ? __NR_recvmsg : __NR_sendmsg, one);
        u32 length = (u32)result;

        if (result < 0)
            return done != 0 ? done : result;
        if (marshal_put(at + MESSAGE_LENGTH, &length, sizeof length) != 0)
            return done != 0 ? done : -EFAULT;
        done++;
        // A time limit holds from message to message.
        if (receive && (a[3] & MSG_WAITFORONE || a[4] != 0))
            flags |= MSG_DONTWAIT;
    }
    return done;
}

// --- Memory ------------------------------------------------------------------------------

// A private map of a file is a copy of what the file is now: it is read, all of it.
static long fill(struct forward_thread *thread, u64 file, u64 address, u64 bytes, u64 offset)
{
    while (bytes > 0) {
        u64 one[6] = {file, address, min_t(u64, bytes, MARSHAL_BYTES), offset};
        long result = forward_table(thread, __NR_pread64, one);

        if (result <= 0)
            return result;
        address += (u64)result;
        offset += (u64)result;
        bytes -= (u64)result;
    }
    return 0;
}

// Shared maps of home's files would have to be home's memory.
static bool map_file(struct forward_thread *thread, const u64 a[6], long *result)
{
    u64 flags = a[3], length = PAGE_ALIGN(a[1]), local[6];
    u64 probe[6] = {a[4], 0, 0, a[5]};
    long address;

    if (flags & MAP_ANONYMOUS)
        return false;
    *result = forward_table(thread, __NR_pread64, probe);
    if (*result == -ESPIPE || *result == -EISDIR)
        *result = -ENODEV;
    if (*result == 0 && (flags & MAP_TYPE) != MAP_PRIVATE)
        *result = -ENODEV;
    if (*result == 0 && (length == 0 || !PAGE_ALIGNED(a[5])))
        *result = -EINVAL;
    if (*result != 0)
        return true;
    memcpy(local, a, sizeof local);
    local[2] = PROT_READ | PROT_WRITE;
    local[3] = (flags | MAP_ANONYMOUS) & ~(u64)(MAP_DENYWRITE | MAP_EXECUTABLE);
    local[4] = (u64)-1;
    local[5] = 0;
    address = here(__NR_mmap, local);
    if (IS_ERR_VALUE(address)) {
        *result = address;
        return true;
    }
    *result = fill(thread, a[4], (u64)address, length, a[5]);
    if (*result == 0) {
        u64 access[6] = {(u64)address, length, a[2]};

        *result = here(__NR_mprotect, access);
    }
    if (*result != 0)
        (void)vm_munmap((unsigned long)address, length);
    else
        *result = address;
    return true;
}

// --- What both nodes are asked for -------------------------------------------------------

// Dispositions are known at home, too: terminals and SIGCHLD ask for them.
static long action(struct forward_thread *thread, const u64 a[6])
{
    long result = here(__NR_rt_sigaction, a);
    struct sigaction now;

    if (result != 0 || a[1] == 0)
        return result;
    spin_lock_irq(&current->sighand->siglock);
    now = current->sighand->action[a[0] - 1].sa;
    spin_unlock_irq(&current->sighand->siglock);
    forward_tell(thread->process, FORWARD_ACTION, a[0], 0, &now, sizeof now);
    return 0;
}

static bool control(struct forward_thread *thread, const u64 a[6], long *result)
{
    static const struct call_argument string[6] = {{}, {.kind = ARGUMENT_PATH}};
    static const struct call_argument number[6] = {
        {}, {.kind = ARGUMENT_FIXED, .from = CALL_NOWHERE, .more = sizeof(int)}};
    static const struct call_argument values[6];
    const struct call_argument *kinds = values;
    struct marshal m;

    switch (a[0]) {
    case PR_SET_SECCOMP:
        *result = -EINVAL;
        return true;
    case PR_SET_NAME:
        kinds = string;
        break;
    case PR_GET_PDEATHSIG:
    case PR_GET_CHILD_SUBREAPER:
        kinds = number;
        break;
    case PR_SET_PDEATHSIG:
    case PR_SET_CHILD_SUBREAPER:
    case PR_SET_DUMPABLE:
    case PR_SET_NO_NEW_PRIVS:
    case PR_SET_KEEPCAPS:
    case PR_SET_SECUREBITS:
    case PR_CAPBSET_DROP:
    case PR_CAP_AMBIENT:
        break;
    default:
        return false;
    }
    *result = marshal_describe_as(&m, __NR_prctl, a, kinds);
    if (*result == 0)
        *result = forward_make(thread, &m);
    marshal_release(&m);
    // Parents are home's business alone.
    return *result < 0 || a[0] == PR_SET_PDEATHSIG || a[0] == PR_GET_PDEATHSIG ||
           a[0] == PR_SET_CHILD_SUBREAPER || a[0] == PR_GET_CHILD_SUBREAPER;
}

// One's own limits hold on both nodes, and are asked for here.
static bool limits(struct forward_thread *thread, const u64 a[6], long *result)
{
    bool self = (pid_t)a[0] == 0 || (pid_t)a[0] == thread->process->stub;

    if (self && a[2] == 0)
        return (pid_t)a[0] != 0 ? (*result = here(__NR_prlimit64, (u64[6]){0, a[1], 0, a[3]}), true)
                                : false;
    *result = forward_table(thread, __NR_prlimit64, a);
    if (self && *result == 0)
        *result = here(__NR_prlimit64, (u64[6]){0, a[1], a[2], 0});
    return true;
}

static long ticks_ahead(const struct forward_thread *thread)
{
    return (long)(clocks_ahead(thread->process->home, CLOCK_MONOTONIC) / (NSEC_PER_SEC / USER_HZ));
}

// Children's times are added up at home: struct tms has them behind one's own.
static long times(struct forward_thread *thread, const u64 a[6])
{
    u64 children[2];
    long result;

    if (a[0] == 0)
        return here(__NR_times, a) + ticks_ahead(thread);
    result = forward_table(thread, __NR_times, a);
    // Clock ticks since whenever: no error but this can be told from them.
    if (result == -EFAULT || marshal_get(children, a[0] + 16, sizeof children) != 0)
        return -EFAULT;
    result = here(__NR_times, a) + ticks_ahead(thread);
    return marshal_put(a[0] + 16, children, sizeof children) != 0 ? -EFAULT : result;
}

// Numbers are the same here and at home, but for tests on one node.
static bool number(struct forward_thread *thread, unsigned int nr, const u64 a[6], long *result)
{
    if (nr == __NR_set_tid_address) {
        (void)here(nr, a);
        *result = thread->stub;
        return true;
    }
    *result = nr == __NR_getpid ? thread->process->stub : thread->stub;
    return true;
}

// Descriptors and folders are home's; users and pids are both nodes'.
#define UNSHARED_AT_HOME                                                                           \
    (CLONE_FILES | CLONE_FS | CLONE_SYSVSEM | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS |          \
     CLONE_NEWIPC)

bool forward_own(struct forward_thread *thread, unsigned int nr, const u64 arguments[6],
                 long *result)
{
    switch (nr) {
    case __NR_getpid:
    case __NR_gettid:
    case __NR_set_tid_address:
        return number(thread, nr, arguments, result);
    case __NR_poll:
        *result = poll_descriptors(thread, arguments);
        return true;
    case __NR_ppoll:
    case __NR_pselect6:
        *result = wait_with_mask(thread, nr, arguments);
        return true;
    case __NR_epoll_wait:
    case __NR_epoll_pwait:
    case __NR_epoll_pwait2:
    case __NR_semtimedop:
        *result = forward_waiting(thread, nr, arguments);
        return true;
    case __NR_time:
    case __NR_gettimeofday:
    case __NR_clock_gettime:
    case __NR_clock_nanosleep:
    case __NR_futex:
    case __NR_futex_waitv:
    case __NR_timer_settime:
        return forward_time(thread, nr, arguments, result);
    case __NR_sendmmsg:
    case __NR_recvmmsg:
        *result = many_messages(thread, nr, arguments);
        return true;
    case __NR_fork:
    case __NR_vfork:
    case __NR_clone:
    case __NR_clone3:
        *result = forward_fork(thread, nr, arguments);
        return true;
    case __NR_execve:
    case __NR_execveat:
        *result = forward_execute(thread, nr, arguments);
        return true;
    case __NR_mmap:
        return map_file(thread, arguments, result);
    case __NR_times:
        *result = times(thread, arguments);
        return true;
    case __NR_getrusage:
        if ((int)arguments[0] != RUSAGE_CHILDREN)
            return false;
        *result = forward_table(thread, nr, arguments);
        return true;
    case __NR_unshare:
        *result = (arguments[0] & ~(u64)UNSHARED_AT_HOME) != 0
                      ? -EINVAL
                      : forward_table(thread, nr, arguments);
        return true;
    case __NR_rt_sigaction:
        *result = action(thread, arguments);
        return true;
    case __NR_prctl:
        return control(thread, arguments, result);
    case __NR_prlimit64:
        return limits(thread, arguments, result);
    }
    *result = -ENOSYS;
    return true;
}
