// SPDX-License-Identifier: BSD-2-Clause
// Generated stubs against the generated dispatcher: a thread plays init on a
// port of its own, so that every kind of parameter goes through both.
#include "runtime_test.h"

#include "lib/port.h"
#include "lib/serve.h"

#include <corvus/init_dispatch.h>
#include <corvus/init_stubs.h>

#include <pthread.h>
#include <string.h>
#include <time.h>

#define SERVER_LABEL 0x1234u

static char copied[4096];
static port_name_t published;
static uint64_t last_label;

static corvus_error_t write_text(uint64_t label, uint64_t count, const uint64_t *text,
                                 size_t text_words)
{
    last_label = label;
    if (count > text_words * sizeof text[0])
        return ERR_INVALID_ARGUMENT;
    memcpy(copied, text, count);
    return ERR_OK;
}

static corvus_error_t write_copy(uint64_t label, const void *text, size_t text_bytes)
{
    (void)label;
    // It arrived in `copied` itself: that is the buffer the server declared.
    return text == copied && text_bytes > 0 ? ERR_OK : ERR_INVALID_ARGUMENT;
}

static corvus_error_t read_text(uint64_t label, uint64_t limit, uint64_t *count, uint64_t *text,
                                size_t *text_words)
{
    (void)label;
    if (limit < 16 || *text_words < 2)
        return ERR_TOO_LARGE;
    memcpy(text, "input of a user", 16);
    *count = 16;
    *text_words = 2;
    return ERR_OK;
}

static port_name_t late_reply;

// Answers when the next request comes.
static corvus_error_t shut_down(uint64_t label, uint64_t how, uint64_t status)
{
    (void)label, (void)status;
    return how == 0 && message_save_reply(&late_reply) == ERR_OK ? SERVE_LATER : ERR_ACCESS_DENIED;
}

static corvus_error_t real_time(uint64_t label, uint64_t *epoch)
{
    struct message answer = {.tag = 1, .destination = late_reply, .words = {ERR_NOT_SUPPORTED}};

    *epoch = label;
    return msg_send(&answer, 0);
}

static corvus_error_t check_in(uint64_t label, uint64_t name0, uint64_t name1, uint64_t name2,
                               uint64_t name3, struct message_right service)
{
    (void)label;
    if (name0 != 1 || name1 != 2 || name2 != 3 || name3 != 4 || service.disposition != RIGHT_SEND)
        return ERR_INVALID_ARGUMENT;
    published = service.name;
    return ERR_OK;
}

static void *sleep_shortly(void *argument)
{
    struct timespec pause = {.tv_nsec = 3000000};

    nanosleep(&pause, NULL);
    return argument;
}

static void wait_for_a_thread(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, sleep_shortly, NULL) == 0)
        pthread_join(thread, NULL);
}

static corvus_error_t look_up(uint64_t label, uint64_t name0, uint64_t name1, uint64_t name2,
                              uint64_t name3, uint64_t wait, struct message_right *service)
{
    struct timespec pause = {.tv_nsec = 1000000};

    (void)label, (void)name1, (void)name2, (void)name3, (void)wait;
    // Neither sleeping, nor waiting for a thread, nor asking the kernel costs a
    // server the right to answer.
    nanosleep(&pause, NULL);
    wait_for_a_thread();
    (void)task_info(NAME_TASK_SELF, NULL, NULL, NULL, NULL, NULL, NULL);
    if (name0 != 1)
        return ERR_NOT_FOUND;
    *service = copy_send(published);
    return ERR_OK;
}

static const struct bootstrap_operations operations = {
    .bootstrap_console_write = write_text,
    .bootstrap_console_write_copy = write_copy,
    .bootstrap_console_read = read_text,
    .bootstrap_check_in = check_in,
    .bootstrap_look_up = look_up,
    .bootstrap_shut_down = shut_down,
    .bootstrap_real_time = real_time,
};

static bool dispatch(const struct message *request, struct message *reply)
{
    return bootstrap_serve(request, reply, &operations);
}

static void *server(void *argument)
{
    static corvus_error_t result;

    utcb_self()->copy_buffers[0] = message_buffer(copied, sizeof copied);
    result = serve(*(port_name_t *)argument, dispatch);
    return &result;
}

static void test_words(port_name_t send)
{
    uint64_t words[58], count = 0, input[4] = {0};
    size_t arrived = 4;

    for (size_t i = 0; i < 58; i++)
        words[i] = i * 0x0101010101010101;
    ok(bootstrap_console_write(send, 464, words, 58) == ERR_OK &&
           memcmp(copied, words, sizeof words) == 0,
       "64 words reach the operation");
    ok(last_label == SERVER_LABEL, "with the label of the port");
    ok(bootstrap_console_write(send, 464, words, 59) == ERR_TOO_LARGE, "more do not fit");
    ok(bootstrap_console_write(send, 464, words, 57) == ERR_INVALID_ARGUMENT,
       "the operation's error comes back");
    ok(bootstrap_console_read(send, 16, &count, input, &arrived) == ERR_OK && count == 16 &&
           arrived == 2 && memcmp(input, "input of a user", 16) == 0,
       "an array comes back");
}

static void test_copy(port_name_t send)
{
    static char text[5000];

    memset(text, 'c', sizeof text);
    ok(bootstrap_console_write_copy(send, text, 4096) == ERR_OK && copied[4095] == 'c',
       "COPY reaches the server's buffer");
    ok(bootstrap_console_write_copy(send, text, 5000) == ERR_TOO_LARGE, "and not beyond it");
}

static void test_rights(port_name_t send)
{
    port_name_t found = PORT_NULL;
    uint64_t sent_id = 0, found_id = 1;

    ok(bootstrap_check_in(send, 1, 2, 3, 4, copy_send(send)) == ERR_OK, "a right goes there");
    ok(bootstrap_look_up(send, 1, 2, 3, 4, 0, &found) == ERR_OK, "and back");
    (void)task_right_info(NAME_TASK_SELF, send, NULL, &sent_id, NULL);
    (void)task_right_info(NAME_TASK_SELF, found, NULL, &found_id, NULL);
    ok(sent_id == found_id, "to the same port");
    ok(bootstrap_look_up(send, 9, 0, 0, 0, 0, &found) == ERR_NOT_FOUND, "an error has no right");
    ok(bootstrap_check_in(send, 9, 2, 3, 4, copy_send(send)) == ERR_INVALID_ARGUMENT,
       "a right can be refused");
}

static void test_refusals(port_name_t send)
{
    struct message message = {.tag = 1, .destination = send, .id = SERVICE_bootstrap_exit};

    ok(bootstrap_exit(send, 0) == ERR_UNKNOWN_SERVICE, "an operation that is left out");
    message.id = 0x9999;
    ok(msg_rpc(&message, TIMEOUT_NONE) == ERR_OK && message.words[0] == ERR_UNKNOWN_SERVICE,
       "a message that is none of the object's");
    message = (struct message){
        .tag = 1, .destination = send, .id = SERVICE_bootstrap_look_up, .words = {1}};
    ok(msg_rpc(&message, TIMEOUT_NONE) == ERR_OK && message.words[0] == ERR_INVALID_ARGUMENT,
       "too few words");
    message = (struct message){.tag = 1, .destination = send, .id = 0x9999};
    ok(msg_send(&message, TIMEOUT_NONE) == ERR_OK, "a message that wants no answer");
}

static void *call_and_wait(void *argument)
{
    static corvus_error_t result;

    result = bootstrap_shut_down(*(port_name_t *)argument, 0, 0);
    return &result;
}

static void test_late_answer(port_name_t send)
{
    struct timespec pause = {.tv_nsec = 5000000};
    uint64_t epoch = 0;
    pthread_t thread;
    void *result = NULL;

    (void)pthread_create(&thread, NULL, call_and_wait, &send);
    nanosleep(&pause, NULL);
    ok(bootstrap_real_time(send, &epoch) == ERR_OK && epoch == SERVER_LABEL,
       "while one caller waits another is served");
    ok(pthread_join(thread, &result) == 0 && *(corvus_error_t *)result == ERR_NOT_SUPPORTED,
       "and the first is answered through its saved reply right");
}

void test_server(void)
{
    port_name_t receive, send;
    pthread_t thread;
    void *result = NULL;

    if (port_allocate_with_send(SERVER_LABEL, &receive, &send) != ERR_OK ||
        pthread_create(&thread, NULL, server, &receive) != 0) {
        ok(0, "a server");
        return;
    }
    test_words(send);
    test_copy(send);
    test_rights(send);
    test_refusals(send);
    test_late_answer(send);
    ok(port_deallocate(receive) == ERR_OK && pthread_join(thread, &result) == 0 &&
           *(corvus_error_t *)result != ERR_OK,
       "ends when its port does");
}
