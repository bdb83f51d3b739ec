// SPDX-License-Identifier: BSD-2-Clause
// Names, console, entropy, time, what the privileges keep away, and messages
// that are no request.
#include "init_test.h"

#include <corvus/supervisor_stubs.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#define TEXT_BYTES 464
#define WORDS      32

// --- Names -----------------------------------------------------------------------

static corvus_error_t check_in(uint64_t name, struct message_right service)
{
    return bootstrap_check_in(NAME_BOOTSTRAP, name, 0, 0, 0, service);
}

static corvus_error_t look_up(uint64_t name, uint64_t wait, port_name_t *found)
{
    return bootstrap_look_up(NAME_BOOTSTRAP, name, 0, 0, 0, wait, found);
}

static bool reaches(port_name_t send, port_name_t receive)
{
    struct message message = {.tag = 1, .destination = send, .id = 5, .words = {77}};

    return msg_send(&message, 0) == ERR_OK && msg_receive(&message, receive, 0) == ERR_OK &&
           message.words[0] == 77;
}

void test_names(void)
{
    port_name_t port = PORT_NULL, send = PORT_NULL, found = PORT_NULL;

    ok(port_allocate_with_send(7, &port, &send) == ERR_OK, "names: a port");
    ok(look_up('x', 0, &found) == ERR_NOT_FOUND, "names: one nobody checked in");
    ok(check_in('x', copy_send(send)) == ERR_OK, "names: check in");
    ok(check_in('x', copy_send(send)) == ERR_IN_USE, "names: the same name again");
    ok(check_in(0, copy_send(send)) == ERR_INVALID_ARGUMENT, "names: no name");
    ok(check_in('y', make_send_once(port)) == ERR_INVALID_RIGHT, "names: a send-once right");
    ok(look_up(0, 0, &found) == ERR_INVALID_ARGUMENT, "names: look up no name");
    ok(look_up('x', 0, &found) == ERR_OK && reaches(found, port), "names: look up reaches it");
    ok(look_up('x', 1, &found) == ERR_OK, "names: nor does it wait when it is there");
    port_deallocate(port);
    ok(look_up('x', 0, &found) == ERR_NOT_FOUND, "names: gone with its port");
    ok(port_allocate_with_send(7, &port, &send) == ERR_OK &&
           check_in('x', copy_send(send)) == ERR_OK,
       "names: and free for another");
    port_deallocate(port);
}

// --- Console -----------------------------------------------------------------------

static void test_console(void)
{
    static char text[5000];
    uint64_t words[WORDS], count = 0;
    size_t room = WORDS;

    memset(text, 'a', sizeof text);
    ok(bootstrap_console_write(NAME_BOOTSTRAP, 0, (uint64_t *)text, 1) == ERR_INVALID_ARGUMENT,
       "console: no text");
    ok(bootstrap_console_write(NAME_BOOTSTRAP, 9, (uint64_t *)text, 1) == ERR_INVALID_ARGUMENT,
       "console: more bytes than came");
    ok(bootstrap_console_write_copy(NAME_BOOTSTRAP, text, sizeof text) != ERR_OK,
       "console: too much text");
    ok(bootstrap_console_write_copy(NAME_BOOTSTRAP, (void *)0xdead000, 50) != ERR_OK,
       "console: text that is not mapped");
    memset(text, 'b', 600);
    text[599] = '\n';
    ok(bootstrap_console_write_copy(NAME_BOOTSTRAP, text, 600) == ERR_OK, "console: a long line");
    // The runner sees to it that no line of the log begins so.
    printf("\rinit: a line that looks like init's own\033[2J\n");
    ok(bootstrap_console_read(NAME_BOOTSTRAP, 0, &count, words, &room) == ERR_INVALID_ARGUMENT,
       "console: read nothing");
    room = WORDS;
    ok(bootstrap_console_read(NAME_BOOTSTRAP, TEXT_BYTES + 1, &count, words, &room) ==
           ERR_INVALID_ARGUMENT,
       "console: read too much");
    ok(getchar() == EOF, "console: who has not the console reads the end of input");
}

// --- The rest ----------------------------------------------------------------------

static void test_entropy(void)
{
    uint64_t first[WORDS] = {0}, second[WORDS] = {0};
    size_t room = WORDS;

    ok(bootstrap_entropy(NAME_BOOTSTRAP, 256, first, &room) == ERR_OK && room == WORDS,
       "entropy: as much as one call may ask for");
    ok(bootstrap_entropy(NAME_BOOTSTRAP, 256, second, &room) == ERR_OK &&
           memcmp(first, second, sizeof first) != 0,
       "entropy: never the same");
    ok(bootstrap_entropy(NAME_BOOTSTRAP, 0, first, &room) == ERR_INVALID_ARGUMENT,
       "entropy: nothing");
    room = WORDS;
    ok(bootstrap_entropy(NAME_BOOTSTRAP, 257, first, &room) == ERR_INVALID_ARGUMENT,
       "entropy: too much");
}

static void test_time(void)
{
    const time_t year_2020 = 1577836800;
    uint64_t epoch = 0;

    ok(bootstrap_real_time(NAME_BOOTSTRAP, &epoch) == ERR_OK && time(NULL) > year_2020,
       "time: of the calendar");
}

static void test_privileges(void)
{
    uint64_t device, id, class, address, physical;

    ok(bootstrap_shut_down(NAME_BOOTSTRAP, 0, 0) == ERR_ACCESS_DENIED, "privileges: power");
    ok(supervisor_end_server(NAME_BOOTSTRAP, 'x', 0, 0, 0) == ERR_ACCESS_DENIED,
       "privileges: ending servers");
    ok(machine_find_device(NAME_BOOTSTRAP, 0, 0, 0, 0, &device, &id, &class, &address) ==
           ERR_ACCESS_DENIED,
       "privileges: finding devices");
    ok(machine_claim_device(NAME_BOOTSTRAP, 0) == ERR_ACCESS_DENIED, "privileges: devices");
    ok(machine_allocate_dma(NAME_BOOTSTRAP, AREA, PAGE, 0, &physical) == ERR_ACCESS_DENIED,
       "privileges: DMA memory");
}

static void test_no_requests(void)
{
    struct message message = {.tag = 1, .destination = NAME_BOOTSTRAP, .id = 0x7777};

    ok(msg_rpc(&message, TIMEOUT_NONE) == ERR_OK && message.words[0] == ERR_UNKNOWN_SERVICE,
       "messages: a service there is not");
    message =
        (struct message){.destination = NAME_BOOTSTRAP, .id = SERVICE_bootstrap_allocate_memory};
    ok(msg_rpc(&message, TIMEOUT_NONE) == ERR_OK && message.words[0] == ERR_INVALID_ARGUMENT,
       "messages: words missing");
    message = (struct message){.tag = 1, .destination = NAME_BOOTSTRAP, .id = 0x7777};
    ok(msg_send(&message, TIMEOUT_NONE) == ERR_OK, "messages: one that wants no answer");
}

void test_services(void)
{
    test_console();
    test_entropy();
    test_time();
    test_privileges();
    test_no_requests();
}
