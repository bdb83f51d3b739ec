// SPDX-License-Identifier: GPL-2.0-only
// The server's start and its ends.
#include "vcpu_page.h"

#include "lib/call.h"

#include <corvus/init_stubs.h>
#include <corvus/stubs.h>

#include <init.h>
#include <kern_util.h>
#include <os.h>
#include <stdarg.h>
#include <stdio.h>

struct server_boot server_boot;
extern int linux_main(int argc, char **argv);
extern char server_entry[];
void server_main(const struct server_boot *boot) __attribute__((noreturn));

#define EXIT_PANIC 134 // as a process that has called abort

static void end(int status)
{
    (void)bootstrap_exit(NAME_BOOTSTRAP, (uint64_t)status);
    for (;;)
        (void)task_terminate(NAME_TASK_SELF);
}

void server_fatal(const char *format, ...)
{
    char text[256];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(text, sizeof text - 1, format, arguments);
    va_end(arguments);
    if (length < 0 || length > (int)sizeof text - 2)
        length = sizeof text - 2;
    text[length++] = '\n';
    console_write_bytes("linux server: ", 14);
    console_write_bytes(text, (unsigned long)length);
    end(EXIT_PANIC);
    __builtin_unreachable();
}

// Linux has paniced and said so.
void os_dump_core(void)
{
    server_fatal("Linux has stopped");
}

void exit(int status)
{
    end(status);
    __builtin_unreachable();
}

// Linux throws its own start away later, and wants to be told that this one may call it.
__attribute__((section(".ref.text"))) void server_main(const struct server_boot *boot)
{
    enum { POWER_OFF, RESET };
    corvus_error_t error;
    int again;

    server_boot = *boot;
    error = vcpu_attach(NAME_THREAD_MAIN, SERVER_VCPU_PAGE);
    if (error != ERR_OK)
        server_fatal("no vCPU: error %d", (int)error);
    vcpu->entry = (uint64_t)server_entry;
    vcpu->guest_events = 1;
    console_begin();
    again = linux_main(server_boot.argc, server_boot.argv);
    // Linux has been shut down from inside. Without the right to end the node, only Linux ends.
    (void)bootstrap_shut_down(NAME_BOOTSTRAP, again ? RESET : POWER_OFF, 0);
    end(0);
    __builtin_unreachable();
}
