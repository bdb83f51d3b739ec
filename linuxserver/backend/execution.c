// SPDX-License-Identifier: GPL-2.0-only
// Which pages of a process can be executed. The page tables of ARCH=um have no bit for it, but
// Linux's mappings have the right, and whatever reaches the process's task comes by one of its TLB
// flushes, which are told of which mapping.
#include <linux/binfmts.h>
#include <linux/mm.h>
#include <linux/personality.h>
#include <linux/sched.h>

#include <asm/tlbflush.h>

#include "../migration/cor.h"
#include "server.h"

#define FAULT_BY_FETCH 0x10 // of a page fault's error code

void fix_range_common(struct mm_struct *mm, unsigned long start, unsigned long end, int force);

int mapping_executable;

static void mapping_is(const struct vm_area_struct *vma)
{
    mapping_executable = (vma->vm_flags & VM_EXEC) != 0;
}

void __real_flush_tlb_page(struct vm_area_struct *vma, unsigned long address);
void __wrap_flush_tlb_page(struct vm_area_struct *vma, unsigned long address);
void __wrap_flush_tlb_page(struct vm_area_struct *vma, unsigned long address)
{
    mapping_is(vma);
    __real_flush_tlb_page(vma, address);
}

// After mprotect it comes for each mapping, with its new rights.
void __real_flush_tlb_range(struct vm_area_struct *vma, unsigned long start, unsigned long end);
void __wrap_flush_tlb_range(struct vm_area_struct *vma, unsigned long start, unsigned long end);
void __wrap_flush_tlb_range(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
    mapping_is(vma);
    __real_flush_tlb_range(vma, start, end);
}

void __wrap_flush_tlb_mm(struct mm_struct *mm);
void __wrap_flush_tlb_mm(struct mm_struct *mm)
{
    struct vm_area_struct *vma;
    VMA_ITERATOR(iterator, mm, 0);

    if (atomic_read(&mm->mm_users) == 0)
        return; // about to be destroyed
    for_each_vma(iterator, vma)
    {
        mapping_is(vma);
        fix_range_common(mm, vma->vm_start, vma->vm_end, 0);
    }
}

// ARCH=um takes a fetch for a read and would try it for ever. While Linux itself asks for a page,
// as copy_to_user does, the process's registers tell of no fault.
vm_fault_t __real_handle_mm_fault(struct vm_area_struct *vma, unsigned long address,
                                  unsigned int flags, struct pt_regs *regs);
vm_fault_t __wrap_handle_mm_fault(struct vm_area_struct *vma, unsigned long address,
                                  unsigned int flags, struct pt_regs *regs);
vm_fault_t __wrap_handle_mm_fault(struct vm_area_struct *vma, unsigned long address,
                                  unsigned int flags, struct pt_regs *regs)
{
    if (flags & FAULT_FLAG_USER && !(vma->vm_flags & VM_EXEC) &&
        current->thread.regs.regs.faultinfo.error_code & FAULT_BY_FETCH)
        return VM_FAULT_SIGSEGV;
    // Memory of which only another node knows what there is.
    if (test_bit(COR_MM_FLAG, &vma->vm_mm->flags)) {
        vm_fault_t fault = cor_fault(vma, address, flags);
        if (fault != 0)
            return fault;
    }
    return __real_handle_mm_fault(vma, address, flags, regs);
}

// A program that says nothing of its stack (PT_GNU_STACK) gets one without execution, and starts
// without READ_IMPLIES_EXEC: so do 64-bit programs on x86 (elf_read_implies_exec, and
// set_personality_64bit).
int __real_setup_arg_pages(struct linux_binprm *bprm, unsigned long stack_top,
                           int executable_stack);
int __wrap_setup_arg_pages(struct linux_binprm *bprm, unsigned long stack_top,
                           int executable_stack);
int __wrap_setup_arg_pages(struct linux_binprm *bprm, unsigned long stack_top, int executable_stack)
{
    current->personality &= ~READ_IMPLIES_EXEC;
    if (executable_stack == EXSTACK_DEFAULT)
        executable_stack = EXSTACK_DISABLE_X;
    return __real_setup_arg_pages(bprm, stack_top, executable_stack);
}
