// SPDX-License-Identifier: BSD-2-Clause
// Servers that end in every way there is, so that init has something to clean
// up, report and start again; and two that read the console. A role is a word of
// init.conf or console.conf.
#include "init_test.h"

#include <corvus/host.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void page_fault(void)
{
    // Reaches the log though it has no end.
    printf("about to fault");
    fflush(stdout);
    *(volatile int *)0x123456 = 1;
    exit(EXIT_SUCCESS);
}

static _Noreturn void invalid_instruction(void)
{
    __asm__ volatile("ud2");
    exit(EXIT_SUCCESS);
}

static void *jump_away(void *address)
{
    ((void (*)(void))address)();
    return NULL;
}

static _Noreturn void fault_of_a_thread(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, jump_away, (void *)0x99999);
    sleep(60);
    exit(EXIT_SUCCESS);
}

static _Noreturn void terminate_itself(void)
{
    task_terminate(NAME_TASK_SELF);
    exit(EXIT_SUCCESS);
}

static _Noreturn void spin(void)
{
    for (;;)
        ;
}

static _Noreturn void fail(void)
{
    exit(3);
}

static _Noreturn void succeed(void)
{
    exit(EXIT_SUCCESS);
}

// What init mapped, taken away behind its back: the next access faults, and
// init maps the page again, as it was.
static _Noreturn void unmap_own_memory(void)
{
    bool mapped = bootstrap_allocate_memory(NAME_BOOTSTRAP, AREA, 2 * PAGE,
                                            ACCESS_READ | ACCESS_WRITE) == ERR_OK;

    memset((void *)AREA, 1, 2 * PAGE);
    memory_unmap(NAME_TASK_SELF, AREA, PAGE,
                 ACCESS_READ | ACCESS_WRITE | ACCESS_EXECUTE | MEMORY_SELF, NULL, NULL, NULL);
    exit(mapped && *(volatile char *)AREA == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
}

// Another server checks the name in later.
static _Noreturn void wait_for_name(void)
{
    port_name_t found = PORT_NULL;

    exit(bootstrap_look_up(NAME_BOOTSTRAP, 'z', 0, 0, 0, 1, &found));
}

static _Noreturn void check_name_in(void)
{
    port_name_t port = PORT_NULL, send = PORT_NULL;

    usleep(200000);
    port_allocate_with_send(7, &port, &send);
    corvus_error_t error = bootstrap_check_in(NAME_BOOTSTRAP, 'z', 0, 0, 0, copy_send(send));
    sleep(2);
    exit(error);
}

// With the console: reads lines up to one that begins with q, then ends the node.
static _Noreturn void echo(void)
{
    char line[100];

    printf("type: ");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        printf("got %s", line);
        fflush(stdout);
        if (line[0] == 'q')
            bootstrap_shut_down(NAME_BOOTSTRAP, 0, 42);
    }
    exit(EXIT_FAILURE);
}

static _Noreturn void deaf(void)
{
    printf("%s\n", getchar() == EOF ? "end of input" : "input");
    exit(EXIT_SUCCESS);
}

static const struct {
    const char *name;
    void (*play)(void);
} roles[] = {
    {"page-fault", page_fault},
    {"invalid-instruction", invalid_instruction},
    {"thread-fault", fault_of_a_thread},
    {"terminate", terminate_itself},
    {"spin", spin},
    {"fail", fail},
    {"succeed", succeed},
    {"unmap", unmap_own_memory},
    {"wait", wait_for_name},
    {"serve", check_name_in},
    {"echo", echo},
    {"deaf", deaf},
};

void misbehave(const char *role)
{
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (strcmp(roles[i].name, role) == 0)
            roles[i].play();
}
