// SPDX-License-Identifier: GPL-2.0-only
// Memory on reference: a moved process's pages stay where they are until they are touched, or until
// the drain has brought them over. What the other parts of migration use of it.
//
// Where the process comes from (cor_serve*.c) its address space is frozen, and its pages are
// *served* under a number. Where it goes (the other cor*.c) ranges of an address space are *mapped*
// onto those. Which pages are there at all is asked when it already runs; those become entries of
// swap areas that only this driver gives out, so that from then on fork, munmap, mremap, madvise,
// reclaim and the end of the process are Linux's own, unchanged. A page that cannot be had is a
// SIGBUS, by Linux's own path.
#pragma once

#include <linux/mm_types.h>
#include <linux/types.h>

struct cor_source;

// --- Where the process is now -------------------------------------------------------------

// [start, end), page-aligned, of an address space, becomes the same range of what `node` serves as
// `number`. Pages that are there already stay, and are not asked for: so those that came with the
// package are written before. The mappings in it are private, and anonymous here. Nothing is said
// to the node before cor_start, and nothing of the range may be touched until then. Sleeps; under
// mmap_write_lock. 0; -ENOMEM; -EINVAL.
int cor_map(struct mm_struct *mm, unsigned long start, unsigned long end, unsigned int node,
            u64 number);

// The process may run: what is not there is asked for from now on. At RUN, once a move, also when
// nothing was mapped. `eager`: the drain does not wait for anything.
void cor_start(unsigned int node, u64 number, bool eager);

// The move has come to nothing before cor_start. The address space's own end does the rest.
void cor_discard(unsigned int node, u64 number);

// Waits until nothing of it is on reference any more, whatever /sys/module/cor/parameters/drain
// says. 0; -EINTR: the waiting process is to die; -EHOSTDOWN: its pages are lost.
int cor_wait_drained(unsigned int node, u64 number);

// All that is on reference in the address space comes over: before it is moved onward or back. As
// cor_wait_drained.
int cor_settle(struct mm_struct *mm);

// Pages that are on reference yet and known; regions of 2 MiB of which nothing is known.
struct cor_remaining {
    u64 pages, regions;
};
void cor_remaining(unsigned int node, u64 number, struct cor_remaining *remaining);

// --- Where it was ---------------------------------------------------------------------------

// The frozen address space is served to `node` (0: to any) as `number`, by cor_serve_range what is
// in the package. At SERVE, before COMMIT is sent. It ends by itself when the other node has all it
// wants, or when the address space ends: its pages have gone then. 0; -ENOMEM; -EEXIST.
int cor_serve(struct mm_struct *mm, u64 number, unsigned int node);
int cor_serve_range(u64 number, unsigned long start, unsigned long end);

// The address space stays until the other node has all it wants, whoever else has it. Once a
// number.
void cor_serve_keep(u64 number);

// Whether it is served yet.
bool cor_serves(u64 number);

// The other node will ask no more. Nothing is freed.
void cor_serve_end(u64 number);

// Pages it still has for the other node at most; 0: it serves it no more.
u64 cor_serve_remaining(u64 number);

// --- For the backend --------------------------------------------------------------------------

// Bit of mm->flags; not copied by fork.
#define COR_MM_FLAG 40

struct vm_area_struct;

// Before Linux's own handle_mm_fault, of an address space with COR_MM_FLAG: 0, or what is to be
// returned instead.
vm_fault_t cor_fault(struct vm_area_struct *vma, unsigned long address, unsigned int flags);
