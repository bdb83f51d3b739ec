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
#define EVENT_TIMER   0
#define EVENT_CONSOLE 1
#define EVENT_DEVICE  2 /* and all above: devices, in the order in which they attached */

/* --- events.c ---------------------------------------------------------------------------------*/

struct uml_pt_regs;

/* Lets Linux handle what is pending. Events are off at the call and at the return. */
void events_deliver(struct uml_pt_regs *regs);

/* --- space.c ----------------------------------------------------------------------------------*/

/* Ends with a line on the console; Linux cannot go on. */
void server_fatal(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

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

/* Trace records from *sequence on, which becomes the number of the first one there still is.
 * Returns their bytes, 0 when there are no more, or a negative error number. */
long host_trace_records(unsigned long *sequence, void *to, unsigned long room);

int host_trace_enable(int on);

/* --- fpu.c ------------------------------------------------------------------------------------*/

/* Makes memory at a thread's vector save area current, if the processor holds something newer, and
 * lets the server read and change it there. */
void fpu_release(const void *area);

/* --- exceptions.c (Linux side) ----------------------------------------------------------------*/

/* The register file of the process in whose system call Linux is. */
struct uml_pt_regs *current_registers(void);

/* Whether interrupt_end has something to do. */
int process_has_work(void);

/* A processor exception of the current process becomes the signal that Linux on x86 sends. */
void guest_exception(struct uml_pt_regs *regs, unsigned int vector, unsigned long error_code);

#endif
