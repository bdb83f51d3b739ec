/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Watchpoints and breakpoints by the processor, of one thread each. They are in
 * arch_thread.debugregs, which a new thread has all zero:
 *
 *   0-3   addresses
 *   4     what the processor's DR7 is: enabled ones, kinds and lengths
 *   5     bit N: breakpoint N has been made
 *   6     DR6 as the debugger sees it, without the bits that are always one
 *   7     DR7 as the debugger wrote it
 */
#ifndef LINUXSERVER_BREAKPOINTS_H
#define LINUXSERVER_BREAKPOINTS_H

struct arch_thread;
struct uml_pt_regs;

/* PTRACE_PEEKUSER and PTRACE_POKEUSER of debug register 0 to 7: 0 or a negative error number. */
unsigned long debug_register_get(const struct arch_thread *thread, unsigned int number);
int debug_register_set(struct arch_thread *thread, unsigned int number, unsigned long value);

void breakpoints_clear(struct arch_thread *thread);

/* The thread runs next. */
void breakpoints_switch(const struct arch_thread *thread);

/* A debug exception of the current thread: becomes its SIGTRAP. */
void breakpoints_trap(struct arch_thread *thread, struct uml_pt_regs *regs);

#endif
