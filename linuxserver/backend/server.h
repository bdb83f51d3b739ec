/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the backend share, in plain C: the files that speak to the microkernel are
 * compiled without Linux's headers and those that speak to Linux without the microkernel's, and
 * both include this one.
 */
#ifndef LINUXSERVER_SERVER_H
#define LINUXSERVER_SERVER_H

/* Linux's physical memory is mapped from here on, page 0 first; its image is at the start. */
#define SERVER_MEMORY_BASE 0x60000000ul

/* Below it: the vCPU's state page and the boot modules while they are read. The linker is told the
 * address of vcpu_state.events_enabled as Linux's variable `signals_enabled`. */
#define SERVER_VCPU_PAGE   0x5ff00000ul
#define SERVER_MODULE_BASE 0x40000000ul
/* Shared with the network server, 2 MiB. */
#define SERVER_ETHERNET_BASE 0x5fc00000ul
/* Message pages of the workers, up to the vCPU's. */
#define SERVER_WORKERS_BASE 0x5fe00000ul

/* What the loader (linuxserver/loader) tells. It stays valid. */
struct server_boot {
    unsigned long memory_bytes; /* mapped at SERVER_MEMORY_BASE */
    unsigned long image_end;    /* address behind the image, page aligned */
    const void *initramfs;      /* mapped read-only; 0: none */
    unsigned long initramfs_bytes;
    int argc;
    char **argv;
};

extern struct server_boot server_boot;

/* Pending bits of the vCPU. */
#define EVENT_TIMER    0
#define EVENT_CONSOLE  1
#define EVENT_DEVICE   2  /* and above: devices, in the order in which they attached */
#define EVENT_MESSAGES 32 /* and above: arrivals for processes (messages.h) */

/* --- events.c ---------------------------------------------------------------------------------*/

struct uml_pt_regs;

/* Lets Linux handle what is pending. Events are off at the call and at the return. */
void events_deliver(struct uml_pt_regs *regs);

/* --- space.c ----------------------------------------------------------------------------------*/

/* Ends with a line on the console; Linux cannot go on. */
void server_fatal(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* --- ethernet.c -------------------------------------------------------------------------------*/

/* Linux has met a missing page there. Not zero: there is one now, and it can go on. */
int ethernet_fault(unsigned long address);

/* --- messages.c -------------------------------------------------------------------------------*/

/* Something has come for processes, in these bins. */
void messages_event(unsigned long bins, struct uml_pt_regs *regs);

/* --- console.c --------------------------------------------------------------------------------*/

void console_begin(void);
void console_receive(void); /* something arrived on its port */
int console_input_ready(void);
void console_write_bytes(const char *text, unsigned long bytes);

/* --- time.c -----------------------------------------------------------------------------------*/

/* The microkernel's clock: nanoseconds = (counter - base) * multiplier >> shift. */
void server_clock(unsigned long *base, unsigned int *multiplier, unsigned int *shift);

/* --- host_state.c -----------------------------------------------------------------------------*/

/* The microkernel's counters as text; returns its length. */
unsigned long host_counters_text(char *text, unsigned long room);

/* Trace records from *sequence on, which becomes the number of the first one there still is, made
 * until then (ticks of the processor). Returns their bytes, 0 when there are no more, or a negative
 * error number. */
long host_trace_records(unsigned long *sequence, unsigned long until, void *to, unsigned long room);

int host_trace_enable(int on);

/* --- fpu.c ------------------------------------------------------------------------------------*/

/* Makes memory at a thread's vector save area current, if the processor holds something newer, and
 * lets the server read and change it there. */
void fpu_release(const void *area);

/* --- execution.c (Linux side) -----------------------------------------------------------------*/

/* Whether the process's pages that Linux is giving to space.c may be executed. */
extern int mapping_executable;

/* --- calls.c, regset.c (Linux side) -----------------------------------------------------------*/

struct task_struct;
struct _xstate;

/* The thread's system calls are made, whatever its debugger wanted (PTRACE_SYSEMU). */
void calls_not_emulated(struct task_struct *t);

/* A thread's vector state as debuggers and core dumps have it (NT_X86_XSTATE). */
void vector_image(struct task_struct *t, struct _xstate *image);

/* --- debug.c ----------------------------------------------------------------------------------*/

/* What processes run with from now on: DR0 to DR3, and DR7, which is 0 for none. */
void debug_load(const unsigned long *addresses, unsigned long control);

/* Of the debug exception just taken: bits of DR6. */
unsigned long debug_status(void);

/* --- exceptions.c (Linux side) ----------------------------------------------------------------*/

/* The register file of the process in whose system call Linux is. */
struct uml_pt_regs *current_registers(void);

/* Whether interrupt_end has something to do. */
int process_has_work(void);

/* The current process has faulted at an address: if Linux has a page there, its guest has not, or
 * with less access. */
void guest_page_missing(unsigned long address);

/* A processor exception of the current process becomes the signal that Linux on x86 sends. */
void guest_exception(struct uml_pt_regs *regs, unsigned int vector, unsigned long error_code);

#endif
