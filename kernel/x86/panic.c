// SPDX-License-Identifier: BSD-2-Clause
// panic() uses nothing but the serial line, the kernel image and the stack, each
// access checked, so that a broken kernel can still say where it broke.
#include "x86/panic.h"

#include <stddef.h>

#include "x86/boot.h"
#include "x86/instructions.h"
#include "x86/print.h"

enum {
    BACKTRACE_MAX = 32,
    // QEMU's isa-debug-exit device; its process then exits with 2 * value + 1.
    QEMU_EXIT_PORT = 0xf4,
    QEMU_EXIT_PANIC = 1,
};

const struct frame *panic_frame;
void (*panic_trace_hook)(void);

static bool panic_exits;
static bool panicking;

// What the prologue of a function built with frame pointers leaves on the stack.
struct stack_frame {
    const struct stack_frame *caller;
    uint64_t return_address;
};

static void print_location(uint64_t address)
{
    uint64_t offset;
    const char *name = symbol_find(address, &offset);

    if (name)
        kprintf("  %016lx %s+0x%lx\n", address, name, offset);
    else
        kprintf("  %016lx\n", address);
}

static bool in_text(uint64_t address)
{
    return address >= (uint64_t)kernel_text_start && address < (uint64_t)kernel_text_end;
}

// All kernel stacks lie in the image's writable part.
static bool frame_readable(const struct stack_frame *frame)
{
    uint64_t address = (uint64_t)frame;

    return address % sizeof(uint64_t) == 0 && address >= (uint64_t)kernel_rodata_end &&
           address <= (uint64_t)kernel_end - sizeof(struct stack_frame) &&
           (address < (uint64_t)cpu_stack_guard || address >= (uint64_t)cpu_stack_bottom);
}

static void print_backtrace(const struct stack_frame *frame)
{
    for (int depth = 0; depth < BACKTRACE_MAX && frame_readable(frame); depth++) {
        // The outermost function has 0 here, code that keeps no frame anything.
        if (!in_text(frame->return_address))
            return;
        print_location(frame->return_address);
        if (frame->caller <= frame) // stacks grow down, so callers lie above
            return;
        frame = frame->caller;
    }
}

static void print_frame(const struct frame *f)
{
    kprintf("vector %lu error %lx\n", f->vector, f->error_code);
    kprintf("rip %04lx:%016lx rflags %016lx\n", f->cs, f->rip, f->rflags);
    kprintf("rsp %04lx:%016lx rbp %016lx\n", f->ss, f->rsp, f->rbp);
    kprintf("rax %016lx rbx %016lx rcx %016lx\n", f->rax, f->rbx, f->rcx);
    kprintf("rdx %016lx rsi %016lx rdi %016lx\n", f->rdx, f->rsi, f->rdi);
    kprintf("r8  %016lx r9  %016lx r10 %016lx\n", f->words[0], f->words[1], f->words[2]);
    kprintf("r11 %016lx r12 %016lx r13 %016lx\n", f->r11, f->words[3], f->words[4]);
    kprintf("r14 %016lx r15 %016lx\n", f->words[5], f->r15);
}

static void print_state(const struct stack_frame *caller)
{
    const struct frame *frame = panic_frame;

    if (frame)
        print_frame(frame);
    kprintf("cr0 %016lx cr2 %016lx\n", read_cr0(), read_cr2());
    kprintf("cr3 %016lx cr4 %016lx\n", read_cr3(), read_cr4());
    kprintf("backtrace:\n");
    if (frame) {
        print_location(frame->rip);
        print_backtrace((const struct stack_frame *)frame->rbp);
    } else {
        print_backtrace(caller);
    }
}

void panic(const char *format, ...)
{
    va_list arguments;

    interrupts_disable();
    // A fault while we print must not start all over again.
    if (panicking) {
        kprintf("\nPANIC: again, while printing\n");
        panic_stop();
    }
    panicking = true;

    kprintf("\nPANIC: ");
    va_start(arguments, format);
    kvprintf(format, arguments);
    va_end(arguments);
    kprintf("\n");
    print_state(__builtin_frame_address(0));
    if (panic_trace_hook)
        panic_trace_hook();
    kprintf("PANIC: halted\n");
    panic_stop();
}

void panic_stop(void)
{
    if (panic_exits)
        outb(QEMU_EXIT_PORT, QEMU_EXIT_PANIC);
    for (;;) {
        interrupts_disable();
        cpu_halt();
    }
}

// Whether text starts with the word, and the word ends there.
static bool word_at(const char *text, const char *word)
{
    while (*word && *text == *word) {
        text++;
        word++;
    }
    return *word == 0 && (*text == 0 || *text == ' ');
}

void panic_configure(const char *command)
{
    for (const char *at = command; *at; at++) {
        if ((at == command || at[-1] == ' ') && word_at(at, "panic=exit"))
            panic_exits = true;
    }
}
