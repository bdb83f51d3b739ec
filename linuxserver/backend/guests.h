// SPDX-License-Identifier: GPL-2.0-only
// The guests of processes' address spaces: which of them there are at present. For the files that
// speak to the microkernel.
//
// A guest (a task with its page tables and mappings) is nothing but a copy of what Linux's page
// tables say, made as the process touches its pages. So when kernel memory is used up the guest
// that has not run for longest is ended; its address space gets another when it runs next, and its
// pages come back by faults. The number of processes is bounded by Linux's memory alone.
#pragma once

#include <corvus/error.h>
#include <corvus/types.h>

#include <stdbool.h>

// One for each address space, in the page that Linux gives it for a stub's stack (mm_id.stack),
// zeroed at first. Linux knows it as a "pid": the number of that page in its memory.
struct guest {
    struct guest *newer, *older; // in the order in which they ran last; only while there is a task
    port_name_t task;            // PORT_NULL: none at present
    bool mapped;                 // it has had a page
};

// That of the address space to which Linux switched last; NULL when that one is gone.
extern struct guest *guest_running;

// How many there are; how many were made, and of them ended to make room for others, and for want
// of memory with no other left.
struct guest_counts {
    unsigned long present, made, ended_for_room, begun_anew;
};
extern struct guest_counts guest_counts;

struct guest *guest_of_pid(int pid);
int guest_pid(unsigned long stack);

// Sees to it that it has a task. Ends others when memory is short; what the microkernel says
// otherwise.
corvus_error_t guest_begin(struct guest *guest);

// Ends its task, if it has one: with it goes all that was mapped there.
void guest_end(struct guest *guest);

// Linux has switched to its address space.
void guest_run_next(struct guest *guest);

// More kernel memory for it. NO_MEMORY: there is none and no other guest that could be ended.
corvus_error_t guest_grow(struct guest *guest);

// Gives the memory of the one that has not run for longest to the server itself. False: there is
// none.
bool guest_end_oldest(void);
