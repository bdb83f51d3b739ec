// SPDX-License-Identifier: BSD-2-Clause
// The Linux system calls that musl makes, as calls of this library. What is
// not here is answered with ENOSYS and counted. Internal callers of musl reach
// this before thread-local storage is set up, and after it is gone: errno and
// all else that needs it is off limits.
#include "lib/console.h"
#include "lib/futex.h"
#include "lib/hooks.h"
#include "lib/lock.h"
#include "lib/memory.h"
#include "lib/port.h"
#include "lib/thread.h"
#include "lib/time.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

// linux/futex.h
#define FUTEX_WAIT         0
#define FUTEX_WAKE         1
#define FUTEX_REQUEUE      3
#define FUTEX_COMMAND_MASK 0x7f // without FUTEX_PRIVATE_FLAG

#define SIGNAL_CANCEL 33 // musl's SIGCANCEL

#define ENTROPY_PART_BYTES 256u // what the hook gives at once

uint64_t runtime_unsupported_calls;
uint64_t runtime_unsupported_last;

long __corvus_syscall(long number, long a, long b, long c, long d, long e, long f);

static long unsupported(long number)
{
    __atomic_fetch_add(&runtime_unsupported_calls, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&runtime_unsupported_last, (uint64_t)number, __ATOMIC_RELAXED);
    return -ENOSYS;
}

static long errno_of(corvus_error_t error)
{
    switch (error) {
    case ERR_OK:
        return 0;
    case ERR_INVALID_RANGE:
    case ERR_INVALID_ARGUMENT:
        return -EINVAL;
    case ERR_ACCESS_DENIED:
        return -EACCES;
    default:
        return -ENOMEM;
    }
}

// --- Memory ------------------------------------------------------------------

static uint64_t pages(long bytes)
{
    return ((uint64_t)bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

static uint64_t access_of(long protection)
{
    uint64_t access = 0;

    if ((protection & PROT_READ) != 0)
        access |= ACCESS_READ;
    if ((protection & PROT_WRITE) != 0)
        access |= ACCESS_READ | ACCESS_WRITE;
    if ((protection & PROT_EXEC) != 0)
        access |= ACCESS_READ | ACCESS_EXECUTE;
    return access;
}

// Anonymous memory at an address of the library's choice; a hint is ignored.
static long map(long length, long protection, long flags)
{
    uint64_t address;

    if ((flags & MAP_ANONYMOUS) == 0)
        return -ENODEV;
    if (length <= 0 || (flags & MAP_FIXED) != 0)
        return -EINVAL;
    if (memory_map_anywhere(pages(length), access_of(protection), &address) != ERR_OK)
        return -ENOMEM;
    return (long)address;
}

static long protect(long address, long length, long protection)
{
    if (length == 0)
        return 0;
    return errno_of(memory_protect_range((uint64_t)address, pages(length), access_of(protection)));
}

static long entropy(long buffer, long bytes)
{
    char *to = (char *)buffer;

    for (long done = 0; done < bytes;) {
        size_t part =
            bytes - done < ENTROPY_PART_BYTES ? (size_t)(bytes - done) : ENTROPY_PART_BYTES;
        if (runtime_hooks.entropy(to + done, part) != ERR_OK)
            return done > 0 ? done : -EIO;
        done += (long)part;
    }
    return bytes;
}

// --- Threads -----------------------------------------------------------------

static long futex(long address, long operation, long value, long timeout, long address2)
{
    const uint32_t *word = (const uint32_t *)address;
    const struct timespec *wait = (const struct timespec *)timeout;
    uint64_t nanoseconds;

    switch (operation & FUTEX_COMMAND_MASK) {
    case FUTEX_WAIT:
        if (wait == NULL)
            return futex_wait(word, (uint32_t)value, DEADLINE_NONE);
        if (!time_nanoseconds(wait, &nanoseconds))
            return -EINVAL;
        return futex_wait(word, (uint32_t)value, deadline_after(nanoseconds));
    case FUTEX_WAKE:
        return futex_wake(word, (uint32_t)value);
    case FUTEX_REQUEUE: // `timeout` holds how many to move
        return futex_requeue(word, (uint32_t)value, (uint32_t)timeout, (const uint32_t *)address2);
    default:
        return unsupported(SYS_futex);
    }
}

static long set_clear_id(long address)
{
    runtime_self()->clear_id = (uint32_t *)address;
    return runtime_thread_id();
}

static long set_tls(long base)
{
    return errno_of(thread_set_tls(thread_self(), (uint64_t)base));
}

static long process_id(void)
{
    uint64_t id = 0;

    (void)task_info(NAME_TASK_SELF, &id, NULL, NULL, NULL, NULL, NULL);
    return (long)(id & INT_MAX);
}

// There are no signals. One that a thread sends to itself ends the task, which
// is what abort() and raise() are for. pthread_cancel has set a flag before it
// sends one, which is looked at where the thread is next asked to wait.
static long send_signal(long thread, long signal)
{
    if (signal == SIGNAL_CANCEL)
        return 0;
    if (thread != runtime_thread_id())
        return -ENOSYS;
    if (signal != 0)
        runtime_hooks.exit(128 + (int)signal);
    return 0;
}

// --- The table, by what they are about -----------------------------------------

static long memory_call(long number, long a, long b, long c, long d)
{
    switch (number) {
    case SYS_mmap:
        return map(b, c, d);
    case SYS_munmap:
        return errno_of(memory_unmap_range((uint64_t)a, pages(b)));
    case SYS_mprotect:
        return protect(a, b, c);
    case SYS_mremap: // realloc copies instead
        return -ENOMEM;
    case SYS_madvise: // advice may be ignored
    case SYS_brk:     // 0 is never where it was asked to be, so malloc uses mmap
        return 0;
    case SYS_getrandom:
        return entropy(a, b);
    default:
        return unsupported(number);
    }
}

static long thread_call(long number, long a, long b, long c, long d, long e)
{
    switch (number) {
    case SYS_futex:
        return futex(a, b, c, d, e);
    case SYS_set_thread_area:
        return set_tls(a);
    case SYS_set_tid_address:
        return set_clear_id(a);
    case SYS_gettid:
        return runtime_thread_id();
    case SYS_getpid:
        return process_id();
    case SYS_exit:
        runtime_thread_exit();
    case SYS_exit_group:
        runtime_hooks.exit((int)a);
        runtime_thread_exit();
    case SYS_sched_yield:
        thread_pause();
        return 0;
    case SYS_tkill:
        return send_signal(a, b);
    case SYS_tgkill:
        return send_signal(b, c);
    case SYS_rt_sigprocmask: // without signals, every mask is as good as set
    case SYS_rt_sigaction:
    case SYS_set_robust_list: // nobody can die without the task
    case SYS_membarrier:      // one processor: a thread switch is a barrier
        return 0;
    default:
        return memory_call(number, a, b, c, d);
    }
}

static long time_call(long number, long a, long b, long c, long d, long e)
{
    switch (number) {
    case SYS_clock_gettime:
        return time_get(a, (struct timespec *)b);
    case SYS_clock_getres:
        return time_resolution(a, (struct timespec *)b);
    case SYS_nanosleep:
        return time_sleep(CLOCK_MONOTONIC, 0, (const struct timespec *)a);
    case SYS_clock_nanosleep:
        return time_sleep(a, (int)b, (const struct timespec *)c);
    default:
        return thread_call(number, a, b, c, d, e);
    }
}

static long file_call(long number, long a, long b, long c, long d, long e)
{
    switch (number) {
    case SYS_read:
        return console_read_file((int)a, (void *)b, (size_t)c);
    case SYS_readv:
        return console_read_vector((int)a, (const struct iovec *)b, (int)c);
    case SYS_write:
        return console_write_file((int)a, (const void *)b, (size_t)c);
    case SYS_writev:
        return console_write_vector((int)a, (const struct iovec *)b, (int)c);
    case SYS_ioctl:
        return console_control((int)a, b, (void *)c);
    case SYS_lseek:
        return -ESPIPE;
    case SYS_close:
        return 0;
    default:
        return time_call(number, a, b, c, d, e);
    }
}

long __corvus_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    (void)f; // only of calls that are not here
    return file_call(number, a, b, c, d, e);
}
