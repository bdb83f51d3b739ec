// SPDX-License-Identifier: GPL-2.0-only
// Every field of a package, against what Linux could have written there. What is built from it
// (build.c) is put past Linux's own checks of system calls' arguments, so this takes their place.
#include "linuxserver/migration/package.h"
#include "linuxserver/migration/package_check.h"

#define SIGNAL_BIT(number) (1ul << ((number)-1))
#define SIGNAL_KILL        9u
#define SIGNAL_STOP        19u
#define UNMASKABLE         (SIGNAL_BIT(SIGNAL_KILL) | SIGNAL_BIT(SIGNAL_STOP))
#define TIME_END           (1ul << 63) // of Linux's ktime_t
#define CAPABILITIES       ((1ul << 41) - 1)
#define MXCSR_MASK         0xffffu
#define PERSONALITY_MAX    0x7ffffffu
#define CALLS_MAX          1024
#define NO_ID              0xffffffffu
#define COUNT_MAX          0x7fffffffu
#define POLL_MAX           (1u << 20)
#define CALL_SIGTIMEDWAIT  128u
#define CALL_SEMTIMEDOP    220u
#define CALL_EPOLL_WAIT    232u
#define CALL_EPOLL_PWAIT   281u
#define CALL_EPOLL_PWAIT2  441u
#define FUTEX_FLAGS        7u // of kernel/futex/futex.h: shared, real time, with a time limit

// Scheduling policies (include/uapi/linux/sched.h); SCHED_DEADLINE is not moved.
#define POLICY_FIFO  1u
#define POLICY_RR    2u
#define POLICY_BATCH 3u
#define POLICY_IDLE  5u

// Offsets in XSAVE's area (Intel's manual, volume 1, 13.4).
#define XSAVE_MXCSR       24
#define XSAVE_HEADER      512
#define XSAVE_HEADER_REST 520
#define XSAVE_HEADER_END  576

#define RETURN_IF_WRONG(call)                                                                      \
    do {                                                                                           \
        const char *wrong_ = (call);                                                               \
        if (wrong_ != NULL)                                                                        \
            return wrong_;                                                                         \
    } while (0)

static _Bool is_text(const struct migration_package *package, uint32_t at)
{
    return at < package->text_count;
}

static _Bool is_id(uint32_t id)
{
    return id != NO_ID;
}

static _Bool is_address(uint64_t address)
{
    return address <= PACKAGE_ADDRESS_END;
}

static _Bool is_alarm(const struct package_alarm *alarm)
{
    return alarm->value < TIME_END && alarm->interval < TIME_END;
}

static _Bool is_clock(uint32_t clock)
{
    return clock == PACKAGE_REAL || clock == PACKAGE_MONOTONIC || clock == PACKAGE_BOOT ||
           clock == PACKAGE_TAI || clock == PACKAGE_CPU_TIME;
}

static const struct package_thread *thread_of(const struct migration_package *package, uint32_t tid)
{
    for (size_t i = 0; i < package->threads_count; i++) {
        if (package->threads[i].tid == tid)
            return &package->threads[i];
    }
    return NULL;
}

// --- The process ---------------------------------------------------------------------------------

static const char *check_bounds(const struct package_process *process)
{
    const uint64_t ranges[][2] = {
        {process->start_code, process->end_code}, {process->start_data, process->end_data},
        {process->start_brk, process->brk},       {process->arg_start, process->arg_end},
        {process->env_start, process->env_end},   {process->start_stack, process->start_stack},
        {process->mmap_base, process->mmap_base},
    };

    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        if (ranges[i][0] > ranges[i][1] || !is_address(ranges[i][1]))
            return "with impossible bounds of its memory";
    }
    return NULL;
}

static const char *check_process(const struct migration_package *package)
{
    const struct package_process *process = package->process;

    if (process->tgid != package->threads[0].tid)
        return "whose first thread is not the leader";
    if ((process->flags & ~(uint32_t)PACKAGE_STOPPED) != 0 || process->umask > 0777 ||
        process->lock_future > 2 || !is_text(package, process->name))
        return "with an impossible process";
    if (process->oom_score_adj < -1000 || process->oom_score_adj > 1000)
        return "with an impossible oom_score_adj";
    if (process->clock_real >= TIME_END || process->clock_monotonic >= TIME_END ||
        process->clock_boot >= TIME_END)
        return "with impossible clocks";
    for (unsigned int i = 0; i < 3; i++) {
        if (!is_alarm(&process->alarms[i]))
            return "with an impossible interval timer";
    }
    if ((process->auxv[PACKAGE_AUXV_WORDS - 2] | process->auxv[PACKAGE_AUXV_WORDS - 1]) != 0)
        return "with an auxiliary vector that has no end";
    return check_bounds(process);
}

static const char *check_handlers(const struct migration_package *package)
{
    for (size_t i = 0; i < package->handlers_count; i++) {
        const struct package_handler *handler = &package->handlers[i];
        _Bool fixed = i + 1 == SIGNAL_KILL || i + 1 == SIGNAL_STOP;

        if (fixed && handler->handler != 0)
            return "that handles what cannot be handled";
        if ((handler->mask & UNMASKABLE) != 0)
            return "with an impossible mask of a handler";
    }
    return NULL;
}

static const char *check_limits(const struct migration_package *package)
{
    for (size_t i = 0; i < package->limits_count; i++) {
        if (package->limits[i].now > package->limits[i].most)
            return "with a limit above its maximum";
    }
    return NULL;
}

// --- Threads -------------------------------------------------------------------------------------

static const char *check_credentials(const struct migration_package *package,
                                     const struct package_credentials *credentials)
{
    const uint32_t *ids = &credentials->uid;

    for (unsigned int i = 0; i < 8; i++) {
        if (!is_id(ids[i]))
            return "with an impossible user or group";
    }
    if (((credentials->inheritable | credentials->permitted | credentials->effective |
          credentials->bounding | credentials->ambient) &
         ~CAPABILITIES) != 0 ||
        (credentials->effective & ~credentials->permitted) != 0)
        return "with impossible capabilities";
    if (credentials->securebits > 0xff || credentials->no_new_privileges > 1)
        return "with impossible securebits";
    if (credentials->first_group > package->groups_count ||
        credentials->groups > package->groups_count - credentials->first_group ||
        credentials->groups > 65536)
        return "with groups that are not there";
    return NULL;
}

static const char *check_scheduling(const struct package_thread *thread)
{
    _Bool real_time = thread->policy == POLICY_FIFO || thread->policy == POLICY_RR;

    if (thread->policy > POLICY_BATCH && thread->policy != POLICY_IDLE)
        return "with a scheduling policy that is not known";
    if (real_time ? thread->priority < 1 || thread->priority > 99 : thread->priority != 0)
        return "with an impossible priority";
    return thread->nice >= -20 && thread->nice <= 19 ? NULL : "with an impossible niceness";
}

// Those of interrupted.c.
static _Bool is_wait(uint32_t call)
{
    return call == CALL_SIGTIMEDWAIT || call == CALL_SEMTIMEDOP || call == CALL_EPOLL_WAIT ||
           call == CALL_EPOLL_PWAIT || call == CALL_EPOLL_PWAIT2;
}

static const char *check_restart(const struct package_thread *thread)
{
    if (thread->restart >= PACKAGE_RESTARTS || thread->restart_time >= TIME_END ||
        !is_clock(thread->restart_clock) || !is_address(thread->restart_address))
        return "with a call that cannot be gone on with";
    if (thread->restart == PACKAGE_RESTART_SLEEP &&
        (thread->restart_clock == PACKAGE_CPU_TIME ||
         thread->restart_clock != thread->restart_word[0]))
        return "asleep by no clock";
    if (thread->restart == PACKAGE_RESTART_FUTEX && thread->restart_word[1] > FUTEX_FLAGS)
        return "with an impossible wait for a futex";
    if (thread->restart == PACKAGE_RESTART_POLL &&
        (thread->restart_word[0] > POLL_MAX || thread->restart_word[1] > 1))
        return "with an impossible poll";
    if (thread->restart == PACKAGE_RESTART_WAIT &&
        (thread->restart_clock != PACKAGE_MONOTONIC || !is_wait(thread->restart_word[0])))
        return "with an impossible wait";
    return NULL;
}

static const char *check_thread(const struct migration_package *package,
                                const struct package_thread *thread)
{
    if (thread->tid == 0 || thread->tid >= PACKAGE_PID_END)
        return "with an impossible thread number";
    if ((thread->flags & ~(uint32_t)(PACKAGE_SAVED_MASK | PACKAGE_RESET_ON_FORK)) != 0 ||
        ((thread->blocked | thread->saved_mask) & UNMASKABLE) != 0)
        return "with an impossible signal mask";
    if (thread->call < -1 || thread->call >= CALLS_MAX)
        return "in a system call that there is not";
    if (!is_address(thread->alternate_stack) || !is_address(thread->alternate_bytes) ||
        !is_address(thread->clear_child_tid) || !is_address(thread->robust_list))
        return "with an address outside its memory";
    if (thread->death_signal > PACKAGE_SIGNALS || thread->personality > PERSONALITY_MAX)
        return "with an impossible personality";
    if (thread->comm[PACKAGE_COMM_BYTES - 1] != 0)
        return "with a name that has no end";
    RETURN_IF_WRONG(check_restart(thread));
    RETURN_IF_WRONG(check_scheduling(thread));
    return check_credentials(package, &thread->credentials);
}

static const char *check_vector(const struct package_vector *vector)
{
    uint32_t mxcsr;
    uint64_t features;

    __builtin_memcpy(&mxcsr, vector->bytes + XSAVE_MXCSR, sizeof mxcsr);
    __builtin_memcpy(&features, vector->bytes + XSAVE_HEADER, sizeof features);
    if ((mxcsr & ~MXCSR_MASK) != 0 || (features & ~PACKAGE_VECTOR_ALL) != 0)
        return "with impossible vector registers";
    for (unsigned int i = XSAVE_HEADER_REST; i < XSAVE_HEADER_END; i++) {
        if (vector->bytes[i] != 0)
            return "with vector registers in another form";
    }
    return NULL;
}

// The leader first, the others in ascending order, so that none comes twice.
static const char *check_threads(const struct migration_package *package)
{
    if (package->vectors_count != package->threads_count)
        return "with threads that lack vector registers";
    for (size_t i = 0; i < package->threads_count; i++) {
        const struct package_thread *thread = &package->threads[i];

        RETURN_IF_WRONG(check_thread(package, thread));
        RETURN_IF_WRONG(check_vector(&package->vectors[i]));
        if (i > 0 && (thread->tid == package->threads[0].tid ||
                      (i > 1 && thread->tid <= package->threads[i - 1].tid)))
            return "with threads out of order";
    }
    return NULL;
}

// --- Signals and timers --------------------------------------------------------------------------

static const char *check_signals(const struct migration_package *package)
{
    for (size_t i = 0; i < package->signals_count; i++) {
        const struct package_signal *signal = &package->signals[i];
        int32_t inside;

        __builtin_memcpy(&inside, signal->info, sizeof inside);
        if (signal->number == 0 || signal->number > PACKAGE_SIGNALS ||
            signal->number == SIGNAL_KILL || inside != (int32_t)signal->number)
            return "with an impossible signal";
        if (signal->thread != PACKAGE_SHARED && signal->thread >= package->threads_count)
            return "with a signal for nobody";
    }
    return NULL;
}

static const char *check_timer(const struct migration_package *package,
                               const struct package_timer *timer)
{
    if (timer->number > COUNT_MAX || timer->signal == 0 || timer->signal > PACKAGE_SIGNALS ||
        timer->overrun > COUNT_MAX || !is_clock(timer->alarm_clock) || !is_alarm(&timer->alarm))
        return "with an impossible timer";
    if (timer->notify == PACKAGE_NOTIFY_THREAD)
        return thread_of(package, timer->thread) ? NULL : "with a timer for nobody";
    return timer->notify <= PACKAGE_NOTIFY_NONE ? NULL : "with a timer that tells in no known way";
}

static const char *check_timers(const struct migration_package *package)
{
    for (size_t i = 0; i < package->timers_count; i++) {
        RETURN_IF_WRONG(check_timer(package, &package->timers[i]));
        if (i > 0 && package->timers[i].number <= package->timers[i - 1].number)
            return "with timers out of order";
    }
    return NULL;
}

static const char *check_groups(const struct migration_package *package)
{
    for (size_t i = 0; i < package->groups_count; i++) {
        if (!is_id(package->groups[i].gid))
            return "with an impossible group";
    }
    return NULL;
}

// --- Memory --------------------------------------------------------------------------------------

static const char *check_vma(const struct migration_package *package, const struct package_vma *vma)
{
    if (vma->start >= vma->end || !is_address(vma->end) ||
        (vma->start | vma->end | vma->offset) % PACKAGE_PAGE_BYTES != 0)
        return "with an impossible mapping";
    if (vma->kind >= PACKAGE_VMA_KINDS || (vma->flags & ~(uint32_t)PACKAGE_VMA_FLAGS) != 0)
        return "with a mapping of no known kind";
    if (!is_text(package, vma->name) || vma->offset >= TIME_END - (vma->end - vma->start))
        return "with a mapping of an impossible file";
    return NULL;
}

static const char *check_vmas(const struct migration_package *package)
{
    for (size_t i = 0; i < package->vmas_count; i++) {
        RETURN_IF_WRONG(check_vma(package, &package->vmas[i]));
        if (i > 0 && package->vmas[i].start < package->vmas[i - 1].end)
            return "with mappings out of order";
    }
    return NULL;
}

static const char *check_pages(const struct migration_package *package)
{
    for (size_t i = 0; i < package->pages_count; i++) {
        uint64_t address = package->pages[i].address;
        const struct package_vma *vma = package_vma_at(package, address);

        if (address % PACKAGE_PAGE_BYTES != 0 || vma == NULL || !package_vma_has_pages(vma))
            return "with a page that belongs nowhere";
        if (i > 0 && address <= package->pages[i - 1].address)
            return "with pages out of order";
    }
    return NULL;
}

static const char *check_text(const struct migration_package *package)
{
    if (package->text[0].byte != 0 || package->text[package->text_count - 1].byte != 0)
        return "with text that has no end";
    return NULL;
}

const char *package_check(const struct migration_package *package)
{
    RETURN_IF_WRONG(check_text(package));
    RETURN_IF_WRONG(check_groups(package));
    RETURN_IF_WRONG(check_threads(package));
    RETURN_IF_WRONG(check_process(package));
    RETURN_IF_WRONG(check_handlers(package));
    RETURN_IF_WRONG(check_limits(package));
    RETURN_IF_WRONG(check_signals(package));
    RETURN_IF_WRONG(check_timers(package));
    RETURN_IF_WRONG(check_vmas(package));
    return check_pages(package);
}
