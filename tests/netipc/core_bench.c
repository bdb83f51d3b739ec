// SPDX-License-Identifier: BSD-2-Clause
// What an RPC between two nodes costs in the protocol core, both sides together, with
// few and with many ports and peers. Paired: the settings take turns, round after
// round; the median of each is printed. Instructions are counted by going through RPCs step by step
// in a process of their own, so they are the same in each run.
//
//   core_bench [CALLS] [ROUNDS]
//   core_bench --check     TAP: the instructions alone, and that ports and peers do not add to them
#include "netipc/core/internal.h"
#include "tests/netipc/world_private.h"
#include "tests/unit/tap.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SETTINGS      4u
#define ROUNDS_MAX    99u
#define STEPPED_CALLS 4u  // whose instructions are counted
#define STEPPED_WARM  20u // before them
#define MORE_PERMILLE 20u // so much is still the same: where an element lies in its bucket

static uint64_t nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// --- Scenes ---------------------------------------------------------------------------

struct scene {
    uint32_t ports, peers;
    struct world *world;
    struct port *port;
    struct right *right;
    double times[ROUNDS_MAX], ticks[ROUNDS_MAX];
    uint64_t instructions; // of an RPC; 0: they could not be counted
};

static bool star(struct world *world, uint32_t from, uint32_t to)
{
    (void)world;
    return from > 2 && to > 2;
}

static void hold_more(struct scene *scene, unsigned count, struct right *there,
                      struct port *meeting)
{
    struct letter letter = {.right_count = count};
    struct node *home = &scene->world->nodes[1];
    struct arrived *arrived;

    for (unsigned i = 0; i < count; i++)
        letter.rights[i] = right_make(port_make(home), CORE_SEND);
    if (world_send(there, &letter, NULL, NULL) != ERR_OK)
        abort();
    world_settle(scene->world);
    arrived = port_receive(meeting);
    // The last of them takes the calls.
    scene->right = arrived->rights[count - 1];
    scene->port = home->ports; // the newest
    arrived->right_count = 0;
    arrived_free(arrived);
}

static void scene_begin(struct scene *scene)
{
    scene->world = world_begin(scene->peers + 1, 1, SECURE_ENCRYPT);
    scene->world->cut = star;
    struct port *meeting = port_make(&scene->world->nodes[2]);
    (void)core_export_well_known(scene->world->nodes[2].core, 0, meeting->id,
                                 (uint64_t)right_make(meeting, CORE_SEND));
    world_connect(scene->world);
    struct core_import *import = core_import_well_known(scene->world->nodes[1].core, 2, 0);
    struct right *there = right_make(*core_import_owner(import), CORE_SEND);
    for (uint32_t left = scene->ports, count; left != 0; left -= count) {
        count = left < MESSAGE_RIGHTS ? left : MESSAGE_RIGHTS;
        hold_more(scene, count, there, meeting);
    }
}

static void call(struct scene *scene)
{
    static struct answer answer;
    const uint32_t room[MESSAGE_ITEMS] = {0};
    struct letter letter = {.word_count = 4};

    if (world_send(scene->right, &letter, &answer, room) != ERR_OK)
        abort();
    while (scene->port->first == NULL && world_step(scene->world))
        ;
    struct arrived *arrived = port_receive(scene->port);
    world_answer(arrived, &letter, ERR_OK);
    arrived_free(arrived);
    while (!answer.done && world_step(scene->world))
        ;
    arrived_free(answer.message);
}

static void measure(struct scene *scene, unsigned round, unsigned calls)
{
    uint64_t time = nanoseconds();

    for (unsigned i = 0; i < calls; i++)
        call(scene);
    scene->times[round] = (double)(nanoseconds() - time) / calls;
    // Time in which nothing is to be done for anybody.
    time = nanoseconds();
    for (unsigned i = 0; i < 100; i++)
        core_tick(scene->world->nodes[1].core, scene->world->now_ns);
    scene->ticks[round] = (double)(nanoseconds() - time) / 100;
}

// --- Instructions -------------------------------------------------------------------------

// The process that is stepped through: it stops before and behind what counts, and ends.
_Noreturn static void be_stepped(struct scene *scene)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(EXIT_FAILURE);
    for (unsigned i = 0; i < STEPPED_WARM; i++)
        call(scene);
    (void)raise(SIGSTOP);
    for (unsigned i = 0; i < STEPPED_CALLS; i++)
        call(scene);
    (void)raise(SIGSTOP);
    _exit(EXIT_SUCCESS);
}

static bool stops_by(pid_t child, int signal)
{
    int status;

    return waitpid(child, &status, 0) == child && WIFSTOPPED(status) && WSTOPSIG(status) == signal;
}

static void count_instructions(struct scene *scene)
{
    uint64_t steps = 0;
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0)
        be_stepped(scene);
    if (child < 0 || !stops_by(child, SIGSTOP)) {
        fprintf(stderr, "core_bench: no process that can be stepped through\n");
        exit(EXIT_FAILURE);
    }
    do {
        (void)ptrace(PTRACE_SINGLESTEP, child, NULL, NULL);
        steps++;
    } while (stops_by(child, SIGTRAP));
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    scene->instructions = steps / STEPPED_CALLS;
}

// --- The table ----------------------------------------------------------------------------

static int compare(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;

    return a < b ? -1 : a > b;
}

static double median(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static struct scene scenes[SETTINGS] = {{.ports = 10, .peers = 1},
                                        {.ports = 100000, .peers = 1},
                                        {.ports = 10, .peers = 999},
                                        {.ports = 100000, .peers = 999}};

static void begin_all(void)
{
    for (unsigned i = 0; i < SETTINGS; i++) {
        scene_begin(&scenes[i]);
        count_instructions(&scenes[i]);
    }
}

static int check(void)
{
    char text[100];

    begin_all();
    for (unsigned i = 0; i < SETTINGS; i++) {
        (void)snprintf(text, sizeof text, "%u ports, %u peers: %llu instructions an RPC",
                       scenes[i].ports, scenes[i].peers,
                       (unsigned long long)scenes[i].instructions);
        tap_ok(scenes[i].instructions > 1000 &&
                   scenes[i].instructions * 1000 <= scenes[0].instructions * (1000 + MORE_PERMILLE),
               text);
    }
    return tap_end();
}

static void print_table(unsigned rounds)
{
    double base = 0;

    printf("%8s %6s %12s %7s %14s %10s\n", "ports", "peers", "ns per RPC", "ratio", "instructions",
           "ns a tick");
    for (unsigned i = 0; i < SETTINGS; i++) {
        double time = median(scenes[i].times, rounds);
        if (i == 0)
            base = time;
        printf("%8u %6u %12.0f %7.3f %14llu %10.0f\n", scenes[i].ports, scenes[i].peers, time,
               time / base, (unsigned long long)scenes[i].instructions,
               median(scenes[i].ticks, rounds));
    }
}

int main(int argument_count, char **arguments)
{
    unsigned calls = argument_count > 1 ? (unsigned)atoi(arguments[1]) : 2000;
    unsigned rounds = argument_count > 2 ? (unsigned)atoi(arguments[2]) : 15;

    if (argument_count == 2 && strcmp(arguments[1], "--check") == 0)
        return check();
    if (calls == 0 || rounds == 0 || rounds > ROUNDS_MAX) {
        fprintf(stderr,
                "usage: core_bench [CALLS] [ROUNDS]   1 to %u rounds\n"
                "       core_bench --check\n",
                ROUNDS_MAX);
        return 2;
    }
    begin_all();
    for (unsigned i = 0; i < SETTINGS; i++)
        measure(&scenes[i], 0, calls); // warm
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned i = 0; i < SETTINGS; i++)
            measure(&scenes[i], round, calls);
    print_table(rounds);
    return EXIT_SUCCESS;
}
