// SPDX-License-Identifier: BSD-2-Clause
// What the exec tests execute: one source, linked static, static-pie, dynamic and dynamic-pie. It
// looks at the state a program begins with and says what it found; status 0 when all was well.
#include <elf.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

static char zeros[1 << 20];             // must be all zero
static char initialised[4096] = {1, 2}; // must be what it says
static __thread int thread_local_word = 77;
static __thread char thread_local_zeros[256];
static int constructed;

__attribute__((constructor)) static void construct(void)
{
    constructed++;
}

static void check(int holds, const char *what)
{
    if (!holds) {
        printf("subject: not so: %s\n", what);
        exit(1);
    }
}

static void *look_from_thread(void *argument)
{
    check(thread_local_word == 77 && thread_local_zeros[255] == 0, "thread-local data of a thread");
    thread_local_word = 1;
    return argument;
}

static void check_memory(void)
{
    for (size_t i = 0; i < sizeof zeros; i++)
        check(zeros[i] == 0, "zeroed data");
    check(initialised[1] == 2 && initialised[4095] == 0, "initialised data");
    zeros[5] = initialised[4095] = 1;
    check(constructed == 1, "constructors run once");
    check(thread_local_word == 77 && thread_local_zeros[0] == 0, "thread-local data");
    pthread_t thread;
    check(pthread_create(&thread, NULL, look_from_thread, NULL) == 0, "a thread");
    pthread_join(thread, NULL);
    check(thread_local_word == 77, "thread-local data are the thread's own");
    volatile double two = 2;
    check(fabs(sqrt(two) * sqrt(two) - 2) < 1e-12, "the mathematics library");
}

// What the kernel has put on the stack; the C library's getauxval has AT_HWCAP of its own making.
static unsigned long vector_word(unsigned long kind)
{
    char **word = environ;
    while (*word != NULL)
        word++;
    for (Elf64_auxv_t *entry = (Elf64_auxv_t *)(word + 1); entry->a_type != AT_NULL; entry++)
        if (entry->a_type == kind)
            return entry->a_un.a_val;
    return 0;
}

static void check_vector(char **arguments)
{
    check(getauxval(AT_PAGESZ) == 4096, "AT_PAGESZ");
    check(getauxval(AT_CLKTCK) == 100, "AT_CLKTCK");
    check(getauxval(AT_PHENT) == sizeof(Elf64_Phdr), "AT_PHENT");
    check(getauxval(AT_PHDR) != 0 && getauxval(AT_PHNUM) > 2, "AT_PHDR and AT_PHNUM");
    check(getauxval(AT_ENTRY) != 0, "AT_ENTRY");
    check(getauxval(AT_UID) == getuid() && getauxval(AT_EGID) == getegid(), "AT_UID and AT_EGID");
    check(getauxval(AT_SECURE) == 0, "AT_SECURE");
    const char *platform = (const char *)getauxval(AT_PLATFORM);
    check(platform != NULL && strcmp(platform, "x86_64") == 0, "AT_PLATFORM");
    const char *name = (const char *)getauxval(AT_EXECFN);
    check(name != NULL && (strcmp(name, arguments[0]) == 0 || arguments[1] != NULL), "AT_EXECFN");
    const uint64_t *random = (const uint64_t *)getauxval(AT_RANDOM);
    check(random != NULL && (random[0] | random[1]) != 0, "AT_RANDOM");
    // CPUID's word of features: x87, TSC, CX8, FXSR, SSE and SSE2 at least.
    const unsigned long baseline = 1 | 1 << 4 | 1 << 8 | 7 << 24;
    check((vector_word(AT_HWCAP) & baseline) == baseline, "AT_HWCAP");
    check(getauxval(AT_SYSINFO_EHDR) != 0, "AT_SYSINFO_EHDR");
    const unsigned char *vdso = (const unsigned char *)getauxval(AT_SYSINFO_EHDR);
    check(memcmp(vdso, ELFMAG, SELFMAG) == 0, "the vDSO is ELF");
}

int main(int count, char **arguments)
{
    check_memory();
    check_vector(arguments);
    // Says its arguments and what descriptors it has.
    for (int i = 0; i < count; i++)
        printf("argument %d: %.200s\n", i, arguments[i]);
    const char *word = getenv("SUBJECT");
    printf("environment: %s\n", word == NULL ? "(none)" : word);
    for (int file = 3; file < 20; file++)
        if (fcntl(file, F_GETFD) >= 0)
            printf("file %d\n", file);
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    struct sigaction action;
    for (int signal = 1; signal < 32; signal++) {
        if (sigismember(&mask, signal))
            printf("blocked %d\n", signal);
        if (sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            printf("%s %d\n", action.sa_handler == SIG_IGN ? "ignored" : "handled", signal);
    }
    return 0;
}
