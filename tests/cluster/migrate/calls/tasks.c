// SPDX-License-Identifier: BSD-2-Clause
// Children, threads, programs, vector registers.
#include "calls.h"

#include <corvus/linux.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int mine, partners;

static void make_pipe(void)
{
    int ends[2];

    DO(pipe(ends));
    mine = ends[0];
    partners = ends[1];
}

static void put_byte(pid_t subject, int round)
{
    char byte = (char)('a' + round);

    (void)subject;
    NEED(write(partners, &byte, 1) == 1);
}

static bool has_byte(void)
{
    struct pollfd file = {.fd = mine, .events = POLLIN};
    int count;

    DO(count = poll(&file, 1, 0));
    return count == 1;
}

static void need_byte(int round)
{
    char byte = 0;

    NEED(read(mine, &byte, 1) == 1 && byte == 'a' + round);
}

// --- Children ----------------------------------------------------------------------------

static pid_t child;

// In the second round it is made on the other node.
static void make_child(int round)
{
    DO(child = fork());
    if (child != 0)
        return;
    need_byte(round);
    _exit(7 + round);
}

static void wait_for_child(int round)
{
    struct rusage usage = {.ru_nvcsw = -1};
    int status = 0;

    NEED(wait4(child, &status, 0, &usage) == child);
    NEED(WIFEXITED(status) && WEXITSTATUS(status) == 7 + round && usage.ru_nvcsw >= 0);
    NEED(wait4(-1, &status, 0, NULL) == -1 && errno == ECHILD);
}

static void wait_by_waitid(int round)
{
    siginfo_t info = {};

    DO(waitid(P_PID, (id_t)child, &info, WEXITED));
    NEED(info.si_pid == child && info.si_code == CLD_EXITED && info.si_status == 7 + round);
}

// After the move: programs are executed, as fork and exec do and as posix_spawn does.
static void run_programs(int round)
{
    char text[64] = "";
    FILE *from;
    int status = 0;

    need_byte(round);
    DO(child = fork());
    if (child == 0) {
        (void)execl("/bin/sh", "sh", "-c", "exit 5", (char *)NULL);
        _exit(99);
    }
    NEED(waitpid(child, &status, 0) == child);
    NEED(WIFEXITED(status) && WEXITSTATUS(status) == 5);
    NEED((from = popen("echo it runs; exit 6", "r")) != NULL);
    NEED(fgets(text, sizeof text, from) != NULL && strcmp(text, "it runs\n") == 0);
    status = pclose(from);
    NEED(WIFEXITED(status) && WEXITSTATUS(status) == 6);
}

// --- Threads -----------------------------------------------------------------------------

static void *wait_for_byte(void *round)
{
    need_byte(*(int *)round);
    return round;
}

// In the second round the thread is made on the other node.
static void join_thread(int round)
{
    void *result = NULL;
    pthread_t thread;

    NEED(pthread_create(&thread, NULL, wait_for_byte, &round) == 0);
    NEED(pthread_join(thread, &result) == 0 && result == &round);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool over;
static unsigned long turns;
static int turn;

#define THREADS 4

// Each in its turn, by one condition.
static void *take_turns(void *argument)
{
    int number = (int)(intptr_t)argument;

    NEED(pthread_mutex_lock(&mutex) == 0);
    while (!over) {
        if (turn != number) {
            NEED(pthread_cond_wait(&changed, &mutex) == 0);
            continue;
        }
        turns++;
        turn = (turn + 1) % THREADS;
        NEED(pthread_cond_broadcast(&changed) == 0);
    }
    NEED(pthread_mutex_unlock(&mutex) == 0);
    return NULL;
}

static void run_threads(int round)
{
    pthread_t threads[THREADS];

    over = false;
    turn = 0;
    turns = 0;
    for (intptr_t i = 0; i < THREADS; i++)
        NEED(pthread_create(&threads[i], NULL, take_turns, (void *)i) == 0);
    need_byte(round);
    unsigned long before = __atomic_load_n(&turns, __ATOMIC_RELAXED);
    DO(usleep(200000));
    NEED(pthread_mutex_lock(&mutex) == 0);
    NEED(turns > before + 10); // they go on after the move
    over = true;
    NEED(pthread_cond_broadcast(&changed) == 0);
    NEED(pthread_mutex_unlock(&mutex) == 0);
    for (int i = 0; i < THREADS; i++)
        NEED(pthread_join(threads[i], NULL) == 0);
}

// --- Vector registers --------------------------------------------------------------------

// A long loop in which eight whole registers must stay: no call, no memory between.
static void keep_registers(int rounds)
{
    uint64_t kept[8][4], now[8][4];

    for (uint64_t i = 0; i < 8; i++)
        for (uint64_t j = 0; j < 4; j++)
            kept[i][j] = i * 1000003 + j + 1;
    for (int n = 0; n < rounds; n++) {
        __asm__ volatile("vmovdqu (%0), %%ymm4\n\tvmovdqu 32(%0), %%ymm5\n\t"
                         "vmovdqu 64(%0), %%ymm6\n\tvmovdqu 96(%0), %%ymm7\n\t"
                         "vmovdqu 128(%0), %%ymm8\n\tvmovdqu 160(%0), %%ymm9\n\t"
                         "vmovdqu 192(%0), %%ymm14\n\tvmovdqu 224(%0), %%ymm15\n\t"
                         "mov $100000, %%ecx\n1:\tdec %%ecx\n\tjnz 1b\n\t"
                         "vmovdqu %%ymm4, (%1)\n\tvmovdqu %%ymm5, 32(%1)\n\t"
                         "vmovdqu %%ymm6, 64(%1)\n\tvmovdqu %%ymm7, 96(%1)\n\t"
                         "vmovdqu %%ymm8, 128(%1)\n\tvmovdqu %%ymm9, 160(%1)\n\t"
                         "vmovdqu %%ymm14, 192(%1)\n\tvmovdqu %%ymm15, 224(%1)\n\t"
                         :
                         : "r"(kept), "r"(now)
                         : "ecx", "memory", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm14",
                           "xmm15");
        NEED(memcmp(kept, now, sizeof kept) == 0);
    }
}

static void keep_vectors(int round)
{
    NEED(__builtin_cpu_supports("avx2"));
    while (!has_byte())
        keep_registers(200);
    need_byte(round);
}

// They are in the frame on the stack while the handler, in which it moves, uses others; and come
// back from it on the other node.
__attribute__((target("avx2"))) static void handler(int number)
{
    char byte;

    __asm__ volatile("vpcmpeqd %%ymm4, %%ymm4, %%ymm4\n\tvpxor %%ymm9, %%ymm9, %%ymm9\n\t"
                     "vpcmpeqd %%ymm15, %%ymm15, %%ymm15"
                     :
                     :
                     : "xmm4", "xmm9", "xmm15");
    NEED(number == SIGUSR1 && read(mine, &byte, 1) == 1);
}

static void *signal_main(void *thread)
{
    DO(usleep(50000));
    NEED(pthread_kill(*(pthread_t *)thread, SIGUSR1) == 0);
    return NULL;
}

static void keep_vectors_in_handler(int round)
{
    struct sigaction action = {.sa_handler = handler};
    pthread_t self = pthread_self(), thread;

    (void)round;
    NEED(__builtin_cpu_supports("avx2"));
    DO(sigaction(SIGUSR1, &action, NULL));
    NEED(pthread_create(&thread, NULL, signal_main, &self) == 0);
    keep_registers(1000);
    NEED(pthread_join(thread, NULL) == 0);
}

// --- Ports -------------------------------------------------------------------------------

// Which it has only at home: where it is away, messages would be read from the wrong memory.
static void use_ports(int round)
{
    static struct utcb page;
    struct corvus_call call = {.page = (uintptr_t)&page};
    int file, result;

    need_byte(round);
    DO(file = open(CORVUS_DEVICE, O_RDWR | O_CLOEXEC));
    result = ioctl(file, CORVUS_MESSAGE, &call);
    NEED((result == -1 && errno == ENOTTY) == (round == 0));
    DO(close(file));
}

const struct scene task_scenes[] = {
    {"wait4", "wait4 for a child", make_pipe, make_child, wait_for_child, put_byte},
    {"waitid", "waitid for a child", make_pipe, make_child, wait_by_waitid, put_byte},
    {"programs", "fork, exec and posix_spawn after the move", make_pipe, NULL, run_programs,
     put_byte},
    {"join", "a futex that another thread wakes", make_pipe, NULL, join_thread, put_byte},
    {"threads", "threads with a mutex and a condition", make_pipe, NULL, run_threads, put_byte},
    {"ports", "ports, which it has at home only", make_pipe, NULL, use_ports, put_byte},
    {"vectors", "whole vector registers", make_pipe, NULL, keep_vectors, put_byte, .awake = true},
    {"vector-frame", "vector registers in a signal's frame", make_pipe, NULL,
     keep_vectors_in_handler, put_byte},
    {},
};
