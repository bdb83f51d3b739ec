// SPDX-License-Identifier: BSD-2-Clause
// What the kernel tests are written with. A test is a function; it makes one
// line of TAP, "ok" when none of its expectations failed and when it left the
// task's kernel memory and names as it found them. Expectations also work in
// helper threads and in other tasks, which share the program's memory.
#pragma once

#include "lib/clock.h"
#include "lib/port.h"

#include <corvus/host.h>

#include <stdbool.h>

struct test {
    const char *name;
    void (*run)(void);
    bool keeps_memory; // what it charges to the task may stay: not checked
};

struct test_group {
    const char *name;
    const struct test *tests; // the last one has no name
};

// One for each subject; main.c lists them.
extern const struct test_group message_tests, send_tests, reply_tests, reply_right_tests,
    right_tests, transfer_tests, notice_tests, port_set_tests, copy_tests, item_tests, map_tests,
    quota_tests, fault_tests, exception_tests, state_tests, wait_tests, schedule_tests, event_tests,
    vcpu_tests, vcpu_debug_tests, vcpu_server_tests, service_tests, middle_tests, hostile_tests,
    device_tests, limits_tests, latency_tests;

void expect(bool holds, const char *file, int line, const char *text);
void expect_equal(uint64_t actual, uint64_t expected, const char *file, int line, const char *text);
#define EXPECT(condition) expect((condition), __FILE__, __LINE__, #condition)
#define EXPECT_EQUAL(actual, expected)                                                             \
    expect_equal((uint64_t)(actual), (uint64_t)(expected), __FILE__, __LINE__, #actual)
#define EXPECT_OK(error) EXPECT_EQUAL(error, ERR_OK)

// Marks the running test as skipped, with a reason.
void test_skip(const char *reason);

// A line of commentary on the console.
__attribute__((format(printf, 1, 2))) void remark(const char *format, ...);

// --- Messages -----------------------------------------------------------------

#define MILLISECOND 1000000ull
#define SHORT_TIME  (2 * MILLISECOND)    // what a wait that must time out is given
#define LONG_TIME   (5000 * MILLISECOND) // what one that must not is given

// Every tag a test expects an error in: the error, and whether it happened in
// the receive phase.
#define IN_RECEIVE 0x100u
static inline unsigned outcome(uint64_t tag)
{
    return TAG_ERROR(tag) | (tag & TAG_ERROR_RECEIVE ? IN_RECEIVE : 0);
}

// One message system call, exactly as the tag says; returns outcome().
unsigned message_do(struct message *message, uint64_t tag);

// Likewise, with a deadline (relative nanoseconds; 0: do not wait) on both phases.
unsigned message_do_within(struct message *message, uint64_t tag, uint64_t nanoseconds);

// A port with one send right.
struct test_port {
    port_name_t receive;
    port_name_t send;
};
struct test_port port_make(uint64_t label);
void port_drop(struct test_port *port);

// What task_right_info says; RIGHT_NONE when there is no such name.
uint64_t right_kind(port_name_t name);
void right_drop(port_name_t name);

// Without giving up the reply slot. False when there is no memory for the port that it takes.
bool sleep_for(uint64_t nanoseconds);

uint64_t kernel_memory_used(void); // charged to this task
uint64_t kernel_memory_free(void); // of the node
uint64_t counter_read(unsigned index);

// --- Helper threads of this task ------------------------------------------------

#define HELPERS_MAX        8
#define HELPER_STACK_BYTES 16384

struct helper {
    port_name_t thread;
    void (*function)(void *);
    void *argument;
    volatile bool done;
    uint64_t id;
    struct utcb *utcb;
};

// The functions run without the C library's thread-local storage: no stdio, no
// malloc. Priorities are relative to the main thread's: 0 or below.
struct helper *helper_start(void (*function)(void *), void *argument);
struct helper *helper_start_priority(void (*function)(void *), void *argument, int priority);
struct helper *helper_create(int priority); // suspended, for a start by hand
uint64_t helper_stack(const struct helper *helper);
// For helper_create: what to give thread_start as ip, with the helper as argument.
void helper_begin(struct helper *helper);
void helper_join(struct helper *helper);                        // waits until it has ended
void helper_destroy(struct helper *helper);                     // ends it, whatever it does
bool helper_waits(const struct helper *helper, uint64_t state); // until it is in that state

// --- Other tasks -----------------------------------------------------------------

// A task that shares the program's memory, at the same addresses, and nothing
// else: what it can reach besides was mapped or inserted by the test.
struct child {
    port_name_t task;
    port_name_t thread;
    uint64_t task_id;
    uint64_t thread_id;
    void (*function)(void *);
    void *argument;
    volatile bool done;
};

#define CHILD_QUOTA  (512ull << 10)
#define CHILD_UTCB   0x700000000000ull
#define CHILD_AREA   0x100000000000ull // where tests map what only the child sees
#define CHILDREN_MAX 4

struct child *child_create(void);
struct child *child_create_with(uint64_t quota, uint64_t flags);
void child_start(struct child *child, void (*function)(void *), void *argument);
struct child *child_run(void (*function)(void *), void *argument);       // create and start
port_name_t child_give(struct child *child, struct message_right right); // returns its name there
bool child_waits(const struct child *child, uint64_t state);
void child_join(struct child *child); // waits until the function has returned
void child_destroy(struct child *child);

// --- A pager -----------------------------------------------------------------------

// A helper thread that answers the page faults of [base, base + length) of
// another task with its own pages, and remembers the last exception.
enum pager_policy { PAGER_MAP, PAGER_REFUSE, PAGER_SILENT, PAGER_WRONG };
struct test_pager {
    struct test_port port;
    struct helper *helper;
    char *pages;
    uint64_t base;
    uint64_t access;
    enum pager_policy policy;
    volatile unsigned faults;
    volatile unsigned exceptions;
    volatile uint64_t resume; // what exceptions are answered with: EXCEPTION_*
    uint64_t kept;            // reply right of the last fault that was not answered
    struct page_fault_message last_fault;
    struct exception_message last_exception;
    void (*on_exception)(struct test_pager *pager); // before the answer; may be NULL
};
#define PAGER_REASON ERR_NOT_FOUND // what PAGER_REFUSE answers

void pager_start(struct test_pager *pager, enum pager_policy policy, void *pages, uint64_t base);
void pager_serves(struct test_pager *pager, port_name_t thread); // faults and exceptions of it
void pager_stop(struct test_pager *pager);

// --- Pages -------------------------------------------------------------------------

// Pages of this task for mapping elsewhere: zeroed, read and write.
void *pages_allocate(uint64_t pages);
#define LARGE_PAGES 3
void *large_page(unsigned index); // one of a few 2 MiB pages that stay; NULL when they are not one
void pages_free(void *pages, uint64_t count);
// Two mebibytes of address space with nothing mapped in them, but page tables.
#define SCRATCH 0x180000000000ull
void scratch_prepare(void);
