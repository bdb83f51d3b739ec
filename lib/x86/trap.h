// SPDX-License-Identifier: BSD-2-Clause
// The two system calls as inline assembly, and the registers that user level
// reads without a trap. The register assignment is that of corvus/message.h.
#pragma once

#include <corvus/message.h>
#include <corvus/vcpu.h>

// What travels in registers. Words 6.., rights, items, buffers and deadlines
// are in the message page (utcb_self()).
struct message {
    uint64_t tag; // to send: counts and options; received: counts and error
    union {
        uint64_t destination; // to send: a name
        uint64_t label;       // received: label of the port, 0 for a reply
    };
    uint64_t receive_from; // name of a port or port set
    uint64_t id;
    uint64_t words[MESSAGE_REGISTER_WORDS];
};

#define always_inline static inline __attribute__((always_inline))

// The calling thread's message page. Not volatile: it never changes while a
// thread runs, so one load serves a whole function.
always_inline struct utcb *utcb_self(void)
{
    struct utcb *page;
    __asm__("mov %%gs:%c1, %0" : "=r"(page) : "i"(UTCB_SELF_OFFSET));
    return page;
}

// One message system call with all register words. Inlined into a caller whose
// message is a local variable, it leaves nothing in memory.
always_inline void message_trap(struct message *message)
{
    register uint64_t word0 __asm__("r8");
    register uint64_t word1 __asm__("r9");
    register uint64_t word2 __asm__("r10");
    register uint64_t word3 __asm__("r12");
    register uint64_t word4 __asm__("r13");
    register uint64_t word5 __asm__("r14");
    uint64_t tag = message->tag;
    uint64_t destination = message->destination;
    uint64_t receive_from = message->receive_from;
    uint64_t id = message->id;

    word0 = message->words[0];
    word1 = message->words[1];
    word2 = message->words[2];
    word3 = message->words[3];
    word4 = message->words[4];
    word5 = message->words[5];
    __asm__ volatile("syscall"
                     : "+a"(tag), "+D"(destination), "+S"(receive_from), "+d"(id), "+r"(word0),
                       "+r"(word1), "+r"(word2), "+r"(word3), "+r"(word4), "+r"(word5)
                     :
                     : "rcx", "r11", "memory", "cc");
    message->tag = tag;
    message->label = destination;
    message->receive_from = receive_from;
    message->id = id;
    message->words[0] = word0;
    message->words[1] = word1;
    message->words[2] = word2;
    message->words[3] = word3;
    message->words[4] = word4;
    message->words[5] = word5;
}

// The shortest RPC: no words there, and of the answer only word 0. Returns the
// tag. The word registers are not cleared first, so a receiver that looks
// beyond the word count sees what was in them.
always_inline uint64_t message_call_null(port_name_t destination, uint32_t id, uint64_t *word0)
{
    uint64_t tag = TAG_CALL;
    uint64_t to = destination;
    uint64_t message_id = id;
    register uint64_t answer __asm__("r8");

    __asm__ volatile("syscall"
                     : "+a"(tag), "+D"(to), "+d"(message_id), "=r"(answer)
                     :
                     : "rsi", "rcx", "r9", "r10", "r11", "r12", "r13", "r14", "memory", "cc");
    *word0 = answer;
    return tag;
}

// The second system call (corvus/vcpu.h): runs the guest task, or waits for an
// event with PORT_NULL. Returns a VCPU_EXIT_* or an error, negated. The kernel
// keeps nothing but the stack pointer, so what the compiler needs afterwards it
// puts by itself; but for rbp, which it may not be told of, and which goes below
// the red zone.
static inline int64_t vcpu_run(port_name_t guest)
{
    int64_t reason = TAG_VCPU_RUN;
    uint64_t to = guest;

    __asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
                     "push %%rbp\n\t"
                     "syscall\n\t"
                     "pop %%rbp\n\t"
                     "lea 128(%%rsp), %%rsp"
                     : "+a"(reason), "+D"(to)
                     :
                     : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "cc", "memory");
    return reason;
}

always_inline uint64_t processor_time(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

always_inline void processor_relax(void)
{
    __asm__ volatile("pause" ::: "memory");
}

// Goes on in `function` on another stack and never comes back: for a thread
// that gives up the stack it is on. `top` is 16-byte aligned.
_Noreturn always_inline void stack_leave(void *top, void (*function)(void *), void *argument)
{
    __asm__ volatile("mov %0, %%rsp\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "push %%rbp\n\t" // a return address of zero ends backtraces
                     "jmp *%1"
                     :
                     : "r"(top), "r"(function), "D"(argument)
                     : "memory");
    __builtin_unreachable();
}
