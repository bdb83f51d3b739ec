// SPDX-License-Identifier: BSD-2-Clause
// musl's system calls as calls of Corvus' runtime (lib/syscall.c). In place of
// musl's arch/x86_64/syscall_arch.h; included inside musl only.
#define __SYSCALL_LL_E(x) (x)
#define __SYSCALL_LL_O(x) (x)

__attribute__((__visibility__("hidden"))) long __corvus_syscall(long number, long a, long b, long c,
                                                                long d, long e, long f);

static inline long __syscall0(long n)
{
    return __corvus_syscall(n, 0, 0, 0, 0, 0, 0);
}

static inline long __syscall1(long n, long a)
{
    return __corvus_syscall(n, a, 0, 0, 0, 0, 0);
}

static inline long __syscall2(long n, long a, long b)
{
    return __corvus_syscall(n, a, b, 0, 0, 0, 0);
}

static inline long __syscall3(long n, long a, long b, long c)
{
    return __corvus_syscall(n, a, b, c, 0, 0, 0);
}

static inline long __syscall4(long n, long a, long b, long c, long d)
{
    return __corvus_syscall(n, a, b, c, d, 0, 0);
}

static inline long __syscall5(long n, long a, long b, long c, long d, long e)
{
    return __corvus_syscall(n, a, b, c, d, e, 0);
}

static inline long __syscall6(long n, long a, long b, long c, long d, long e, long f)
{
    return __corvus_syscall(n, a, b, c, d, e, f);
}

#define IPC_64 0
