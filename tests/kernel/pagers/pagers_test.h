// SPDX-License-Identifier: BSD-2-Clause
// The tests of memory objects: a task that is a client of the VM server, and now and then a pager.
#pragma once

#include "lib/clock.h"
#include "lib/port.h"

#include <corvus/pager.h>
#include <corvus/pager_stubs.h>
#include <corvus/vm.h>
#include <corvus/vm_stubs.h>

#include <pthread.h>
#include <stdbool.h>

extern port_name_t vm_server, map, vm_pager; // the server's port, this task's map, its pager port
extern port_name_t example;                  // the example pager's object

void ok(bool passed, const char *text);
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct vm_numbers {
    uint64_t frames, free, faults, zero_filled, copied, pushed, paged_in, paged_out, evicted;
    uint64_t nonsense, timed_out, objects, maps, unlocks;
};
struct vm_numbers numbers(void);

// Maps an object anywhere; 0: it cannot.
uint64_t map_object(port_name_t object, uint64_t pages, uint64_t offset, uint64_t flags,
                    uint64_t limit);
// The first word of a page, by vm_read and vm_write.
corvus_error_t read_word(uint64_t address, uint64_t *value);
corvus_error_t write_word(uint64_t address, uint64_t value);

// --- A pager played by hand ---------------------------------------------------------------------

struct hand_pager {
    port_name_t receive, send;
    port_name_t request, name; // what came with pager_init
    uint64_t incarnation;
    uint64_t address; // where the object is mapped
};

// What a cache manager said.
struct said {
    uint32_t id; // 0: nothing within the time
    uint64_t words[MESSAGE_REGISTER_WORDS];
    uint64_t first_word; // of the data
};

// Makes an object, maps it, and takes the pager_init.
bool hand_open(struct hand_pager *pager, uint64_t pages, uint64_t limit);
void hand_close(struct hand_pager *pager, uint64_t pages);
struct said hand_receive(struct hand_pager *pager, uint64_t milliseconds);
// A page that begins with this value.
corvus_error_t hand_provide(struct hand_pager *pager, uint64_t sequence, uint64_t offset,
                            uint64_t value, uint64_t lock, uint64_t flags);

// An access by another thread, so that the pager can be played meanwhile.
struct access {
    pthread_t thread;
    uint64_t address, value;
    bool write;
    corvus_error_t error;
};
void access_start(struct access *access, uint64_t address, bool write, uint64_t value);
void access_end(struct access *access);

void test_files(port_name_t files);
void test_snapshots(void);
void test_exception(void);
void test_maps(void);
void test_calls(void);
void test_children(void);
void test_races(void);
void test_objects(void);
void test_copies(void);
void test_memory(void);
void test_protocol(void);
void test_nonsense(void);
void test_deaths(void);
void test_deadlocks(void);
