// SPDX-License-Identifier: BSD-2-Clause
// Loading and storing the vector and x87 state around a system call, a loop or a trap. Written as
// whole functions in assembly: nothing the compiler does can come between.
#include "harness_vector.h"

#include "harness.h"

#include <cpuid.h>

_Static_assert(offsetof(struct vector_state, x87) == 512, "known to the assembly below");
_Static_assert(offsetof(struct vector_state, mxcsr) == 544, "known to the assembly below");
_Static_assert(offsetof(struct vector_state, fcw) == 548, "known to the assembly below");

// rdi: load from. rsi: store to.
__asm__(".macro each_ymm instruction:req\n"
        "    \\instruction 0, 0\n\t\\instruction 1, 32\n\t\\instruction 2, 64\n"
        "    \\instruction 3, 96\n\t\\instruction 4, 128\n\t\\instruction 5, 160\n"
        "    \\instruction 6, 192\n\t\\instruction 7, 224\n\t\\instruction 8, 256\n"
        "    \\instruction 9, 288\n\t\\instruction 10, 320\n\t\\instruction 11, 352\n"
        "    \\instruction 12, 384\n\t\\instruction 13, 416\n\t\\instruction 14, 448\n"
        "    \\instruction 15, 480\n"
        ".endm\n"
        ".macro load_ymm number:req, offset:req\n"
        "    vmovdqu \\offset(%rdi), %ymm\\number\n"
        ".endm\n"
        ".macro store_ymm number:req, offset:req\n"
        "    vmovdqu %ymm\\number, \\offset(%rsi)\n"
        ".endm\n"
        ".macro load_state\n"
        "    fninit\n\tfldcw 548(%rdi)\n\tldmxcsr 544(%rdi)\n"
        "    fldl 536(%rdi)\n\tfldl 528(%rdi)\n\tfldl 520(%rdi)\n\tfldl 512(%rdi)\n"
        "    each_ymm load_ymm\n"
        ".endm\n"
        // Leaves the state that C code expects.
        ".macro store_state\n"
        "    each_ymm store_ymm\n"
        "    stmxcsr 544(%rsi)\n\tfnstcw 548(%rsi)\n"
        "    fstpl 512(%rsi)\n\tfstpl 520(%rsi)\n\tfstpl 528(%rsi)\n\tfstpl 536(%rsi)\n"
        "    fninit\n\tvzeroupper\n"
        "    movl $0x1f80, -4(%rsp)\n\tldmxcsr -4(%rsp)\n"
        ".endm\n"

        ".text\n.globl vector_around_call\nvector_around_call:\n"
        "    push %rbx\n\tmov %rsi, %rbx\n"
        "    mov %rdx, %rax\n\tmov %rcx, %r11\n\tmov %r9, %rdx\n\tmov 16(%rsp), %r10\n"
        "    load_state\n"
        "    mov %r11, %rdi\n\tmov %r8, %rsi\n\tsyscall\n"
        "    mov %rbx, %rsi\n\tstore_state\n\tpop %rbx\n\tret\n"

        ".globl vector_around_spin\nvector_around_spin:\n"
        "    load_state\n"
        "1:  dec %rdx\n\tjnz 1b\n"
        "    store_state\n\tret\n"

        ".globl vector_around_ud2\nvector_around_ud2:\n"
        "    load_state\n\tud2\n\tstore_state\n\tret\n"

        ".globl vector_load\nvector_load:\n\tload_state\n\tret\n"
        ".globl vector_store\nvector_store:\n\tmov %rdi, %rsi\n\tstore_state\n\tret\n");

bool have_avx(void)
{
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_AVX) || !(ecx & bit_OSXSAVE))
        return false;
    __asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return (eax & 6) == 6;
}

void vector_make(struct vector_state *state, unsigned seed)
{
    if (!have_avx())
        skip("this processor has no AVX");
    memset(state, 0, sizeof *state);
    fill_pattern(state->ymm, sizeof state->ymm, seed);
    for (int i = 0; i < 4; i++)
        state->x87[i] = seed * 8.5 + i;
    // All exceptions masked; each rounding mode in turn, and for x87 each precision that can hold
    // the numbers above.
    state->mxcsr = 0x1f80 | (seed % 4) << 13;
    state->fcw = (uint16_t)(0x037f & ~0xc00u) | (uint16_t)((seed + 1) % 4 << 10);
}

bool vector_same(const struct vector_state *actual, const struct vector_state *expected)
{
    for (int i = 0; i < 16; i++) {
        if (memcmp(actual->ymm[i], expected->ymm[i], 32) != 0) {
            remark("ymm%d: %016llx… is not %016llx…", i,
                   *(const unsigned long long *)actual->ymm[i],
                   *(const unsigned long long *)expected->ymm[i]);
            return false;
        }
    }
    for (int i = 0; i < 4; i++) {
        if (actual->x87[i] != expected->x87[i]) {
            remark("st%d: %g is not %g", i, actual->x87[i], expected->x87[i]);
            return false;
        }
    }
    if (actual->mxcsr != expected->mxcsr || actual->fcw != expected->fcw) {
        remark("mxcsr %#x, fcw %#x are not %#x, %#x", actual->mxcsr, actual->fcw, expected->mxcsr,
               expected->fcw);
        return false;
    }
    return true;
}
