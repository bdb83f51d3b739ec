// SPDX-License-Identifier: GPL-2.0-only
// The node's console as Linux's descriptors 0 to 2. Output is handed to init at once. Input is
// asked for by a message whose answer comes whenever somebody types, so Linux never waits for it.
#include "vcpu_page.h"

#include "lib/call.h"
#include "lib/clock.h"

#include <corvus/init_stubs.h>
#include <corvus/stubs.h>

#include <errno.h>
#include <os.h>
#include <string.h>

#define OUTPUT_BYTES 464u // of one message
#define INPUT_BYTES  464u // likewise

static port_name_t port; // receive right: answers to console_read
static char input[INPUT_BYTES];
static unsigned int input_begin, input_end;
static int asked; // a question is out

long console_read_bytes(char *text, unsigned long bytes);

// --- Output --------------------------------------------------------------------------------------

// An event's handler uses the same message page, so none may come while it is filled or read.
static void write_words(const char *text, unsigned long bytes)
{
    uint64_t words[OUTPUT_BYTES / 8];
    int enabled = um_set_signals(0);

    words[(bytes - 1) / 8] = 0;
    memcpy(words, text, bytes);
    (void)bootstrap_console_write(NAME_BOOTSTRAP, bytes, words, (bytes + 7) / 8);
    um_set_signals(enabled);
}

// What Linux prints itself ends lines without a carriage return, which a terminal wants.
void console_write_bytes(const char *text, unsigned long bytes)
{
    char part[OUTPUT_BYTES];
    unsigned long used = 0;
    static char last;

    for (unsigned long i = 0; i < bytes; i++) {
        if (text[i] == '\n' && last != '\r')
            part[used++] = '\r';
        last = part[used++] = text[i];
        if (used >= sizeof part - 1) {
            write_words(part, used);
            used = 0;
        }
    }
    if (used != 0)
        write_words(part, used);
}

// --- Input ---------------------------------------------------------------------------------------

static void ask(void)
{
    struct message message = {
        .tag = TAG_SEND | TAG_SEND_DEADLINE | TAG_REPLY_RIGHT | 1,
        .destination = NAME_BOOTSTRAP,
        .id = SERVICE_bootstrap_console_read,
        .words = {INPUT_BYTES},
    };
    int enabled;

    if (asked || port == PORT_NULL || input_begin != input_end)
        return;
    enabled = um_set_signals(0);
    utcb_self()->reply = make_send_once(port);
    utcb_self()->send_deadline = 0;
    message_trap(&message);
    asked = TAG_ERROR(message.tag) == ERR_OK;
    um_set_signals(enabled);
}

void console_begin(void)
{
    uint64_t name;

    if (task_allocate_port(NAME_TASK_SELF, 0, &name) != ERR_OK ||
        vcpu_bind(NAME_THREAD_MAIN, name, EVENT_CONSOLE) != ERR_OK)
        return; // no input then; output goes on
    port = (port_name_t)name;
    ask();
}

void console_receive(void)
{
    struct message message = {.tag = TAG_RECEIVE | TAG_RECEIVE_DEADLINE, .receive_from = port};
    uint64_t count;

    if (port == PORT_NULL || input_begin != input_end)
        return;
    utcb_self()->receive_deadline = 0;
    message_trap(&message);
    if (TAG_ERROR(message.tag) != ERR_OK)
        return;
    asked = 0;
    count = message.words[1];
    // An error, or the end of all input: there is nothing to ask for any more.
    if (message.words[0] != ERR_OK || count == 0 || count > INPUT_BYTES)
        return;
    memcpy(input, &utcb_self()->words[6], count);
    input_begin = 0;
    input_end = (unsigned int)count;
}

int console_input_ready(void)
{
    return input_begin != input_end;
}

long console_read_bytes(char *text, unsigned long bytes)
{
    unsigned int there = input_end - input_begin;

    if (there == 0)
        return -EAGAIN;
    if (bytes > there)
        bytes = there;
    memcpy(text, input + input_begin, bytes);
    input_begin += (unsigned int)bytes;
    ask();
    return (long)bytes;
}
