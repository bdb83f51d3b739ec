// SPDX-License-Identifier: GPL-2.0-only
// The state of a process that moves, as bytes: what its source writes (capture.c) and its target
// builds it from (build.c). No I/O, and no allocation: what is read is checked where it lies, and
// used there. Linux and the host's tests compile the same file.
//
// A package is a header and the sections of package.def, each a head and records of fixed size, all
// of it little-endian and aligned to 8 bytes. A package of another version is refused: both nodes
// of a cluster run the same release, or do not move processes to each other.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PACKAGE_MAGIC   0x65766f4d73767243ul // "CrvsMove"
#define PACKAGE_VERSION 2u

#define PACKAGE_PAGE_BYTES   4096ul
#define PACKAGE_ADDRESS_END  0x7ffffffff000ul // of what a process can map
#define PACKAGE_PID_END      (1u << 22)
#define PACKAGE_VECTOR_BYTES 832u // XSAVE's standard form with x87, SSE and AVX
#define PACKAGE_VECTOR_ALL   7ul  // of the features in its header
#define PACKAGE_SIGNALS      64u
#define PACKAGE_AUXV_WORDS   64u
#define PACKAGE_FEATURES     8u
#define PACKAGE_COMM_BYTES   16u
#define PACKAGE_INFO_BYTES   48u // Linux's kernel_siginfo

// Times are nanoseconds of the source's own clocks; the target adds the difference (build.h).
enum package_clock {
    PACKAGE_REAL = 0, // CLOCK_REALTIME and so on, by Linux's numbers
    PACKAGE_MONOTONIC = 1,
    PACKAGE_BOOT = 7,
    PACKAGE_TAI = 11,
    PACKAGE_CPU_TIME = 255, // not a time but what is left, of processor time
};

struct package_header {
    uint64_t magic;
    uint32_t version;
    uint32_t sections;
    uint64_t bytes; // of the whole package
    uint64_t sum;   // package_sum over all that comes after the header
};

struct package_section {
    uint32_t number; // in package.def, from 0
    uint32_t record_bytes;
    uint64_t count;
};

// 0: not armed. `value` is absolute, of `clock`; PACKAGE_CPU_TIME: what is left.
struct package_alarm {
    uint64_t value;
    uint64_t interval;
};

enum package_process_flags {
    PACKAGE_STOPPED = 1 << 0, // by job control
};

struct package_process {
    uint32_t tgid;
    uint32_t flags;    // enum package_process_flags
    uint32_t umask;    // 0 to 0777
    uint32_t name;     // of the program: where in the text its path is
    uint64_t resident; // pages that it has at the source
    uint64_t clock_real, clock_monotonic, clock_boot; // when it was written
    int32_t oom_score_adj;                            // -1000 to 1000
    uint32_t membarrier;                              // Linux's mm->membarrier_state
    uint32_t mm_flags;                                // Linux's MMF_INIT_MASK of mm->flags
    uint32_t lock_future; // mlockall(MCL_FUTURE): 0 no, 1 yes, 2 on fault
    // The bounds that Linux keeps; only /proc and brk look at them.
    uint64_t mmap_base;
    uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack;
    uint64_t arg_start, arg_end, env_start, env_end;
    uint64_t auxv[PACKAGE_AUXV_WORDS];
    // ITIMER_REAL (monotonic), _VIRTUAL and _PROF (processor time).
    struct package_alarm alarms[3];
    // What threads that are over and children have used, in nanoseconds and counts.
    uint64_t user_time, system_time, children_user_time, children_system_time;
    // The processor as programs see it: what they have found there they go on using.
    uint32_t features[PACKAGE_FEATURES];
    uint64_t xcr0;
};

// System calls that restart_syscall continues.
enum package_restart {
    PACKAGE_RESTART_NONE,
    PACKAGE_RESTART_SLEEP,
    PACKAGE_RESTART_CPU_SLEEP,
    PACKAGE_RESTART_FUTEX,
    PACKAGE_RESTART_POLL,
    PACKAGE_RESTART_WAIT, // of interrupted.h
    PACKAGE_RESTARTS,
};

struct package_credentials {
    uint32_t uid, gid, suid, sgid, euid, egid, fsuid, fsgid;
    uint32_t securebits, no_new_privileges;
    uint64_t inheritable, permitted, effective, bounding, ambient;
    uint32_t first_group, groups; // a range of the section
};

enum package_thread_flags {
    PACKAGE_SAVED_MASK = 1 << 0, // saved_mask comes back when no signal is delivered (sigsuspend)
    PACKAGE_RESET_ON_FORK = 1 << 1,
};

// The first is the group's leader. Of each there is a record of vectors at the same place.
struct package_thread {
    uint32_t tid;
    uint32_t flags;         // enum package_thread_flags
    uint64_t registers[15]; // r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi
    uint64_t rip, rflags, rsp, fs_base, gs_base;
    int64_t call; // the system call that it is in, -1: none; with rax an -ERESTART of Linux's
    uint64_t blocked, saved_mask;
    uint64_t alternate_stack, alternate_bytes;
    uint32_t alternate_flags;
    uint32_t restart;       // enum package_restart
    uint32_t restart_clock; // of restart_time
    // sleep: Linux's clock, type of the address; futex: value, flags, bitset; poll: descriptors,
    // has a time; wait: number of the call
    uint32_t restart_word[3];
    uint64_t restart_address; // futex, pollfd array, remaining time
    uint64_t restart_time;
    uint64_t clear_child_tid, robust_list;
    uint64_t timer_slack, default_timer_slack;
    uint32_t personality;
    uint32_t death_signal; // PR_SET_PDEATHSIG
    int32_t nice;          // -20 to 19
    uint32_t policy, priority, padding;
    uint64_t user_time, system_time, run_time; // nanoseconds
    uint64_t minor_faults, major_faults, voluntary_switches, involuntary_switches;
    struct package_credentials credentials;
    char comm[PACKAGE_COMM_BYTES];
};

struct package_vector {
    uint8_t bytes[PACKAGE_VECTOR_BYTES];
};

struct package_handler {
    uint64_t handler, flags, restorer, mask;
};

struct package_limit {
    uint64_t now, most;
};

#define PACKAGE_SHARED 0xffffffffu

// A pending signal, in the order of arrival.
struct package_signal {
    uint32_t thread; // its place in the section, PACKAGE_SHARED: of the process
    uint32_t number; // 1 to 64, never SIGKILL
    uint8_t info[PACKAGE_INFO_BYTES];
};

enum package_notify {
    PACKAGE_NOTIFY_SIGNAL = 0,
    PACKAGE_NOTIFY_NONE = 1,
    PACKAGE_NOTIFY_THREAD = 4
};

// Of timer_create. In ascending order of the numbers.
struct package_timer {
    uint32_t number;
    int32_t clock;        // Linux's, as the program named it
    uint32_t notify;      // enum package_notify
    uint32_t signal;      // 1 to 64
    uint64_t value;       // that the signal brings
    uint32_t thread;      // tid, of PACKAGE_NOTIFY_THREAD
    uint32_t alarm_clock; // enum package_clock
    struct package_alarm alarm;
    uint64_t overrun;
};

struct package_group {
    uint32_t gid, padding;
};

enum package_vma_kind {
    PACKAGE_ANONYMOUS,
    PACKAGE_STACK, // grows downwards
    PACKAGE_HEAP,
    PACKAGE_FILE,    // private, or for reading only: its pages come with the process
    PACKAGE_SEGMENT, // of distributed shared memory: the target maps it again by its name
    PACKAGE_VDSO,    // the target's own
    PACKAGE_VVAR,
    PACKAGE_VMA_KINDS,
};

enum package_vma_flags {
    PACKAGE_READ = 1 << 0,
    PACKAGE_WRITE = 1 << 1,
    PACKAGE_EXECUTE = 1 << 2,
    PACKAGE_LOCKED = 1 << 3,
    PACKAGE_LOCKED_ON_FAULT = 1 << 4,
    PACKAGE_NO_RESERVE = 1 << 5,
    PACKAGE_NOT_TO_CHILDREN = 1 << 6,
    PACKAGE_NOT_DUMPED = 1 << 7,
    PACKAGE_WIPED_ON_FORK = 1 << 8,
    PACKAGE_SEQUENTIAL = 1 << 9,
    PACKAGE_RANDOM = 1 << 10,
    PACKAGE_VMA_FLAGS = (1 << 11) - 1,
};

// In ascending order, not overlapping.
struct package_vma {
    uint64_t start, end;
    uint32_t kind;    // enum package_vma_kind
    uint32_t flags;   // enum package_vma_flags
    uint64_t offset;  // bytes, of a file or segment
    uint64_t segment; // number of a segment, the same on all nodes; else 0
    uint32_t name;    // of a file or segment: where in the text its path is
    uint32_t padding;
};

// The contents of a page that comes along: what the next instructions need, or all (DUMP). In
// ascending order.
struct package_page {
    uint64_t address;
    uint8_t bytes[PACKAGE_PAGE_BYTES];
};

// Strings, each ended by a zero byte; the first is empty.
struct package_text {
    char byte;
};

enum package_sections {
#define SECTION(name, record, least, most) PACKAGE_SECTION_##name,
#include "linuxserver/migration/package.def"
#undef SECTION
    PACKAGE_SECTIONS
};

// What a package says. All points into the bytes that were read, which must stay.
struct migration_package {
#define SECTION(name, record, least, most)                                                         \
    const struct record *name;                                                                     \
    size_t name##_count;
#include "linuxserver/migration/package.def"
#undef SECTION
};

// --- Reading -------------------------------------------------------------------------------------

// Checks every field and fills `package`. `bytes` is aligned to 8. Returns NULL, or what is wrong
// with it, in a few words.
const char *package_read(struct migration_package *package, const void *bytes, size_t count);

// Whether a processor with these features runs what has run on the package's.
_Bool package_fits_processor(const struct package_process *process,
                             const uint32_t features[PACKAGE_FEATURES], uint64_t xcr0);

// The mapping that the address belongs to, NULL: none.
const struct package_vma *package_vma_at(const struct migration_package *package, uint64_t address);

// Whether the mapping's pages come with the process.
static inline _Bool package_vma_has_pages(const struct package_vma *vma)
{
    return vma->kind <= PACKAGE_FILE;
}

// --- Writing -------------------------------------------------------------------------------------

// The bytes of a package with that many records in its sections; 0: there may not be so many.
size_t package_bytes(const size_t counts[PACKAGE_SECTIONS]);

// Where the records are to be written: zeroed, in sections as counted. `room` is aligned to 8 and
// has package_bytes(counts) bytes.
struct package_room {
#define SECTION(name, record, least, most) struct record *name;
#include "linuxserver/migration/package.def"
#undef SECTION
};
void package_lay_out(struct package_room *records, void *room,
                     const size_t counts[PACKAGE_SECTIONS]);

// When all is written.
void package_seal(void *room, const size_t counts[PACKAGE_SECTIONS]);

// Finds any one changed bit; not made to withstand an adversary (sessions between nodes are
// sealed).
uint64_t package_sum(const void *bytes, size_t count);
