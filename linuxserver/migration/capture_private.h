// SPDX-License-Identifier: GPL-2.0-only
// What the files of capturing share. A package has its sections one behind the other, so all is
// counted, or gathered in arrays that grow, before it is laid out.
#pragma once

#include "linuxserver/migration/capture.h"
#include "linuxserver/migration/package.h"

#include <linux/types.h>

// An array that grows. kvfree(items).
struct gathered {
    void *items;
    size_t count, room; // of items
};

// Room for one more, zeroed. NULL: there is no memory.
void *gather(struct gathered *gathered, size_t item_bytes);

struct mm_struct;
struct task_struct;
struct vm_area_struct;

enum capture_flags {
    CAPTURE_ALL_PAGES = 1 << 0, // else only those that the next instructions need
    CAPTURE_BY_STOP = 1 << 1,   // SIGSTOP is what stopped it: it is written down as running
};

struct capture {
    struct task_struct *leader;
    struct mm_struct *mm;
    unsigned int flags;
    char *reason;
    struct gathered threads; // struct task_struct *, counted; the leader first, then by number
    struct gathered signals, timers, groups, vmas, text;
    struct gathered pages; // addresses, u64
    struct package_room records;
};

// -EOPNOTSUPP, with a reason.
__printf(2, 3) int capture_refuse(char *reason, const char *format, ...);

static inline struct task_struct **capture_threads(const struct capture *capture)
{
    return capture->threads.items;
}

// Where in the text the string is from now on; 0 for the empty one. Negative: -ENOMEM.
int capture_text(struct capture *capture, const char *string);

// --- capture_check.c -----------------------------------------------------------------------------

// Whether the process can move. -EOPNOTSUPP, with the reason; -EINTR.
int capture_check_all(struct task_struct *leader, char *reason);

// One mapping; the address space is locked for reading.
int capture_check_vma(const struct vm_area_struct *vma, char *reason);

// --- capture_thread.c ----------------------------------------------------------------------------

int capture_gather_groups(struct capture *capture);
int capture_thread(struct capture *capture, size_t index);

// --- capture_memory.c ----------------------------------------------------------------------------

// Gathers mappings, their names, and which pages come along.
int capture_gather_memory(struct capture *capture);
void capture_bounds(struct capture *capture);
int capture_pages(struct capture *capture);

// --- capture_signals.c, capture_timers.c ---------------------------------------------------------

int capture_gather_signals(struct capture *capture);
int capture_gather_timers(struct capture *capture);
// How many signals of the timer wait. Interrupts are off.
size_t capture_signals_of(const struct capture *capture, int timer);
void capture_handlers(struct capture *capture);
void capture_alarms(struct capture *capture);
// The last: all times of clocks become those of home's clocks.
void capture_times(struct capture *capture);

// Their end, when the process has moved.
void capture_drop_signals(struct task_struct *leader, const struct migration_package *package);
void capture_drop_timers(struct task_struct *leader);
