// SPDX-License-Identifier: BSD-2-Clause
// A child waits, runs, pauses before it is started again, or has ended for good.
// Everything is decided in supervise_advance, from the table alone.
#include "supervise.h"

#include "boot.h"
#include "devices.h"
#include "events.h"
#include "loader.h"
#include "names.h"

#include "platform/power.h"
#include "platform/serial.h"

#include "lib/clock.h"
#include "lib/port.h"

#include <inttypes.h>
#include <string.h>

#define NS_PER_MS 1000000ull
// What a `testsuite` server's end tells the debug exit device.
#define TESTSUITE_PASSED 1u
#define TESTSUITE_FAILED 3u
// How long a server may wait for another's service before init says so.
#define COMPLAIN_NS (10 * NANOSECONDS_PER_SECOND)
// Who has run that long has recovered: earlier failures are forgotten.
#define RECOVERED_NS (60 * NANOSECONDS_PER_SECOND)

struct child children[CONFIG_SERVERS_MAX];
uint32_t child_count;

static port_name_t child_set, control_port;
static bool ready_said;
static uint64_t complain_at; // nanoseconds: when to say who still waits

void supervise_initialize(const struct config *config, port_name_t set, port_name_t control)
{
    child_set = set;
    control_port = control;
    child_count = config->count;
    complain_at = clock_now_ns() + COMPLAIN_NS;
    for (uint32_t i = 0; i < child_count; i++) {
        children[i] = (struct child){.server = &config->servers[i], .number = i};
        console_open(&children[i].output, config->servers[i].name,
                     child_has(&children[i], CONFIG_CONSOLE));
    }
}

// --- Starting ------------------------------------------------------------------

static corvus_error_t make_port(struct child *child)
{
    corvus_error_t error = port_allocate(LABEL_CHILD + child->number, &child->service);
    return error == ERR_OK ? port_enable(child->service, child_set) : error;
}

// A node that cannot even start its tests must not wait to be timed out.
static void give_up(struct child *child, const char *problem)
{
    child->state = CHILD_ENDED;
    report("%s cannot start: %s", child->server->name, problem);
    if (child_has(child, CONFIG_TESTSUITE))
        supervise_shut_down(false, TESTSUITE_FAILED, true);
}

static void start(struct child *child)
{
    child->memory = (struct memory_account){
        .owner = PAGE_OWNER_CHILD + child->number,
        .limit = child->server->memory,
    };
    child->started_at = clock_now_ns();
    child->starts++;
    const char *problem =
        make_port(child) == ERR_OK ? loader_start(child) : "no port for its requests";
    if (problem == NULL) {
        child->state = CHILD_RUNNING;
        child->started_well = true;
        events_watch(child->task);
        events_watch(child->thread);
        return;
    }
    // What is wrong with a program or a limit does not get better by waiting.
    loader_undo(child);
    give_up(child, problem);
}

static struct child *find(const char *name)
{
    for (uint32_t i = 0; i < child_count; i++) {
        if (strcmp(children[i].server->name, name) == 0)
            return &children[i];
    }
    return NULL;
}

// `started_well` stays when it has ended since.
static bool never_will(const struct child *child)
{
    return child == NULL || (child->state == CHILD_ENDED && !child->started_well);
}

// Whether all that the child starts after has started or ended, as asked.
static bool order_reached(struct child *child)
{
    const struct config_names *after = &child->server->after;
    const struct config_names *after_end = &child->server->after_end;
    for (uint32_t i = 0; i < after->count; i++) {
        const struct child *other = find(after->names[i]);
        if (never_will(other))
            give_up(child, "what it starts after cannot");
        if (child->state == CHILD_ENDED || !other->started_well)
            return false;
    }
    for (uint32_t i = 0; i < after_end->count; i++) {
        const struct child *other = find(after_end->names[i]);
        if (other == NULL || other->state != CHILD_ENDED)
            return false;
    }
    return true;
}

// The first service a child requires that is not there, or NULL.
static const char *missing_service(const struct child *child)
{
    const struct config_names *requires = &child->server->requires;
    for (uint32_t i = 0; i < requires->count; i++) {
        struct service_name name = {0};
        strcpy(name.text, requires->names[i]);
        if (names_find(&name) == PORT_NULL)
        return requires->names[i];
    }
    return NULL;
}

static bool due(struct child *child)
{
    if (child->state == CHILD_WAITING)
        return order_reached(child) && missing_service(child) == NULL;
    return child->state == CHILD_PAUSED && clock_now_ns() >= child->restart_at;
}

static void say_ready(void)
{
    for (uint32_t i = 0; i < child_count; i++) {
        if (children[i].state == CHILD_WAITING)
            return;
    }
    if (!ready_said)
        console_write_own("init: node ready\n", strlen("init: node ready\n"));
    ready_said = true;
}

// A server that waits in vain would else look like a node that hangs.
static void complain(void)
{
    if (clock_now_ns() < complain_at)
        return;
    complain_at = clock_now_ns() + COMPLAIN_NS;
    for (uint32_t i = 0; i < child_count; i++) {
        const char *service = missing_service(&children[i]);
        if (children[i].state == CHILD_WAITING)
            report("%s still waits for %s", children[i].server->name,
                   service != NULL ? service : "another server");
    }
}

static uint64_t next_time(const struct child *child)
{
    if (child->state == CHILD_PAUSED)
        return child->restart_at;
    return child->state == CHILD_WAITING ? complain_at : UINT64_MAX;
}

static void set_timer(void)
{
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < child_count; i++) {
        uint64_t time = next_time(&children[i]);
        if (time < next)
            next = time;
    }
    events_set_timer(next);
}

static void start_due(void)
{
    for (uint32_t i = 0; i < child_count; i++) {
        if (due(&children[i]))
            start(&children[i]);
    }
}

void supervise_advance(void)
{
    start_due();
    say_ready();
    complain();
    set_timer();
}

// --- Ending ------------------------------------------------------------------------

_Noreturn void supervise_shut_down(bool reset, uint32_t status, bool test)
{
    const char *how = boot_option("exit");
    bool debug = test || (how != NULL && strcmp(how, "debug") == 0);
    report("the node %s", reset ? "resets" : "powers off");
    serial_flush();
    if (debug && !reset)
        power_debug_exit(status);
    if (reset)
        power_reset();
    power_off();
    report("the machine does not go down");
    serial_flush();
    for (;;) {
        struct message nothing = {0};
        (void)msg_receive(&nothing, control_port, NANOSECONDS_PER_SECOND);
    }
}

static bool restarts(const struct child *child, bool failed)
{
    const struct config_server *server = child->server;
    if (server->restart == RESTART_NEVER || (server->restart == RESTART_ON_FAILURE && !failed))
        return false;
    return child->failures < server->restarts_max;
}

// Doubles with each failure in a row, up to a minute.
static uint64_t backoff_ms(const struct child *child)
{
    uint64_t wait = child->server->backoff_ms;
    for (uint32_t i = 0; i < child->failures && wait < CONFIG_BACKOFF_MAX_MS; i++)
        wait *= 2;
    return wait < CONFIG_BACKOFF_MAX_MS ? wait : CONFIG_BACKOFF_MAX_MS;
}

static void decide(struct child *child, bool failed, const char *how)
{
    const char *name = child->server->name;
    uint64_t now = clock_now_ns();
    if (now - child->started_at > RECOVERED_NS)
        child->failures = 0;
    if (!restarts(child, failed)) {
        bool gave_up = child->server->restart != RESTART_NEVER && child->failures != 0;
        child->state = CHILD_ENDED;
        report("%s ended (%s)%s", name, how, gave_up && failed ? ", given up" : "");
        return;
    }
    uint64_t wait = backoff_ms(child);
    child->failures++;
    child->state = CHILD_PAUSED;
    child->restart_at = now + wait * NS_PER_MS;
    report("%s ended (%s), restarting in %" PRIu64 " ms", name, how, wait);
}

void supervise_end(struct child *child, bool failed, const char *how)
{
    if (child->state != CHILD_RUNNING)
        return;
    child->state = CHILD_ENDED;
    devices_forget(child); // before memory that a device may write to is reused
    names_forget(child);
    if (child->reader != PORT_NULL)
        (void)port_deallocate(child->reader);
    child->reader = PORT_NULL;
    loader_undo(child);
    console_close(&child->output);
    decide(child, failed, how);
    if (child->state == CHILD_ENDED && child_has(child, CONFIG_TESTSUITE))
        supervise_shut_down(false, failed ? TESTSUITE_FAILED : TESTSUITE_PASSED, true);
    supervise_advance();
}

static bool threads_left(const struct child *child)
{
    uint64_t threads = 0;
    return task_info(child->task, NULL, NULL, NULL, &threads, NULL, NULL) == ERR_OK && threads != 0;
}

void supervise_died(port_name_t name)
{
    for (uint32_t i = 0; i < child_count; i++) {
        struct child *child = &children[i];
        if (child->state != CHILD_RUNNING)
            continue;
        if (child->task == name)
            supervise_end(child, true, "its task was terminated");
        else if (child->thread == name && !threads_left(child))
            supervise_end(child, true, "its last thread ended");
        else
            continue;
        return;
    }
}
