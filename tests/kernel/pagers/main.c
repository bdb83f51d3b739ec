// SPDX-License-Identifier: BSD-2-Clause
// Finds the servers, puts itself under the VM server, and runs the tests.
#include "pagers_test.h"

#include "lib/thread.h"

#include <corvus/files.h>
#include <corvus/init_stubs.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

port_name_t vm_server, map, vm_pager, example;

static unsigned tests, failures;
static uint64_t page_out[PAGE_BYTES / 8] __attribute__((aligned(4096)));
static uint8_t page_in[PAGER_DATA_MAX] __attribute__((aligned(4096)));

void ok(bool passed, const char *text)
{
    printf("%sok %u - %s\n", passed ? "" : "not ", ++tests, text);
    failures += !passed;
}

void note(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    printf("# ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
}

struct vm_numbers numbers(void)
{
    struct vm_numbers n = {0};

    (void)vm_server_statistics(vm_server, &n.frames, &n.free, &n.faults, &n.zero_filled, &n.copied,
                               &n.pushed, &n.paged_in, &n.paged_out, &n.evicted, &n.nonsense,
                               &n.timed_out, &n.objects, &n.maps, &n.unlocks);
    return n;
}

uint64_t map_object(port_name_t object, uint64_t pages, uint64_t offset, uint64_t flags,
                    uint64_t limit)
{
    uint64_t start = 0;
    corvus_error_t error =
        vm_allocate_with_pager(map, 0, pages * PAGE_BYTES, offset, flags | VM_ANYWHERE,
                               ACCESS_READ | ACCESS_WRITE, limit, copy_send(object), &start);

    if (error != ERR_OK)
        note("vm_allocate_with_pager: error %d", error);
    return error == ERR_OK ? start : 0;
}

corvus_error_t read_word(uint64_t address, uint64_t *value)
{
    size_t bytes = sizeof *value;

    return vm_read(map, address, sizeof *value, value, &bytes);
}

corvus_error_t write_word(uint64_t address, uint64_t value)
{
    return vm_write(map, address, &value, sizeof value);
}

// --- A pager played by hand ---------------------------------------------------------------------

struct said hand_receive(struct hand_pager *pager, uint64_t milliseconds)
{
    struct said said = {0};
    struct message message;

    utcb_self()->copy_buffers[0] = message_buffer(page_in, sizeof page_in);
    corvus_error_t error = msg_receive(&message, pager->receive, milliseconds * 1000);
    utcb_self()->copy_buffers[0].length = 0;
    if (error != ERR_OK)
        return said;
    said.id = (uint32_t)message.id;
    memcpy(said.words, message.words, sizeof said.words);
    memcpy(&said.first_word, page_in, sizeof said.first_word);
    if (said.id == MESSAGE_pager_init) {
        pager->request = utcb_self()->rights[0].name;
        pager->name = utcb_self()->rights[1].name;
        pager->incarnation = message.words[0];
    }
    return said;
}

bool hand_open(struct hand_pager *pager, uint64_t pages, uint64_t limit)
{
    *pager = (struct hand_pager){0};
    if (port_allocate_with_send(0, &pager->receive, &pager->send) != ERR_OK)
        return false;
    pager->address = map_object(pager->send, pages, 0, 0, limit);
    return pager->address != 0 && hand_receive(pager, 2000).id == MESSAGE_pager_init;
}

void hand_close(struct hand_pager *pager, uint64_t pages)
{
    (void)vm_deallocate(map, pager->address, pages * PAGE_BYTES);
    if (pager->receive != PORT_NULL)
        (void)port_deallocate(pager->receive);
    (void)port_deallocate(pager->send);
    (void)port_deallocate(pager->request);
    (void)port_deallocate(pager->name);
}

corvus_error_t hand_provide(struct hand_pager *pager, uint64_t sequence, uint64_t offset,
                            uint64_t value, uint64_t lock, uint64_t flags)
{
    page_out[0] = value;
    return pager_data_provided(pager->request, pager->incarnation, sequence, offset, lock, flags,
                               page_out, PAGE_BYTES, DEADLINE_NONE);
}

static void *do_access(void *argument)
{
    struct access *access = argument;

    access->error = access->write ? write_word(access->address, access->value)
                                  : read_word(access->address, &access->value);
    return NULL;
}

void access_start(struct access *access, uint64_t address, bool write, uint64_t value)
{
    *access = (struct access){.address = address, .write = write, .value = value};
    if (pthread_create(&access->thread, NULL, do_access, access) != 0)
        abort();
}

void access_end(struct access *access)
{
    (void)pthread_join(access->thread, NULL);
}

// --- Start ---------------------------------------------------------------------------------------

static bool look_up(const char *text, port_name_t *right)
{
    char name[32] = {0};
    uint64_t word[4];

    strncpy(name, text, sizeof name - 1);
    memcpy(word, name, sizeof word);
    return bootstrap_look_up(NAME_BOOTSTRAP, word[0], word[1], word[2], word[3], 1, right) ==
           ERR_OK;
}

int main(void)
{
    port_name_t files;

    if (!look_up(FILES_NAME, &files) || !look_up(VM_NAME, &vm_server) ||
        !look_up("example-pager", &example))
        return EXIT_FAILURE;
    ok(vm_attach(vm_server, copy_send(NAME_TASK_SELF), &map, &vm_pager) == ERR_OK,
       "the task puts itself under the VM server");
    ok(thread_set_pager(thread_self(), copy_send(vm_pager)) == ERR_OK, "and its thread");
    test_maps();
    test_calls();
    test_children();
    test_objects();
    test_copies();
    test_snapshots();
    test_exception();
    test_memory();
    test_files(files);
    test_protocol();
    test_nonsense();
    test_races();
    test_deaths();
    test_deadlocks();
    printf("1..%u\n", tests);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
