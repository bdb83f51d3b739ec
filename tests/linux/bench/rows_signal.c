// SPDX-License-Identifier: BSD-2-Clause
// Signals: naming a handler, one sent to oneself, and one that a forbidden write raises, whose
// handler allows it.
#include "bench.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_SIZE 4096u

static volatile char *page;
static pid_t self;

static void ignore(int signal)
{
    (void)signal;
}

static void allow_writing(int signal)
{
    (void)signal;
    if (mprotect((void *)page, PAGE_SIZE, PROT_READ | PROT_WRITE) != 0)
        _exit(3);
}

static void handle_with(int signal, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    MUST(sigaction(signal, &action, NULL));
}

static void install(void)
{
    handle_with(SIGUSR1, ignore);
}

static void prepare_delivery(void)
{
    self = getpid();
    install();
}

static void deliver(void)
{
    MUST(kill(self, SIGUSR1));
}

static void protect(void)
{
    MUST(mprotect((void *)page, PAGE_SIZE, PROT_READ));
}

static void prepare_fault(void)
{
    page = MUST(mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    *page = 1;
    protect();
    handle_with(SIGSEGV, allow_writing);
}

static void fault(void)
{
    *page = 2;
    protect();
}

const struct row rows_signal[] = {
    {"signal_install", "instructions", 100, 1001, NULL, install, 1, NULL},
    {"signal_deliver", "instructions", 100, 1001, prepare_delivery, deliver, 1, NULL},
    {"fault_mprotect", "instructions", 100, 501, prepare_fault, fault, 1, NULL},
    {0},
};
