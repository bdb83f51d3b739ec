// SPDX-License-Identifier: GPL-2.0-only
// What Linux asks about the machine under it.
#include "vcpu_page.h"

#include "lib/call.h"
#include "lib/entropy.h"

#include <corvus/init_stubs.h>

#include <cpuid.h>
#include <errno.h>
#include <kern_util.h>
#include <os.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define USER_ADDRESS_TOP 0x7fc0002000ul // as on other hosts: 511 GiB and the two stub pages

long elf_aux_hwcap;

unsigned long os_get_top_address(void)
{
    return USER_ADDRESS_TOP;
}

void os_early_checks(void)
{
    unsigned int eax, ebx, ecx, edx = 0;

    (void)__get_cpuid(1, &eax, &ebx, &ecx, &edx);
    elf_aux_hwcap = edx;
}

void os_check_bugs(void)
{
}

void setup_machinename(char *machine_out)
{
    strcpy(machine_out, "x86_64");
}

void setup_hostinfo(char *buf, int len)
{
    strncpy(buf, "Corvus", (size_t)len);
}

ssize_t os_getrandom(void *buf, size_t len, unsigned int flags)
{
    uint64_t words[32];
    size_t count = sizeof words / sizeof words[0];

    (void)flags;
    if (entropy_from_processor(buf, len))
        return (ssize_t)len;
    if (len > sizeof words)
        return -EAGAIN;
    int enabled = um_set_signals(0); // the message page is in use
    corvus_error_t error = bootstrap_entropy(NAME_BOOTSTRAP, len, words, &count);
    um_set_signals(enabled);
    if (error != ERR_OK || count * sizeof words[0] < len)
        return -EAGAIN;
    memcpy(buf, words, len);
    return (ssize_t)len;
}

// --- Text before there is a console driver -------------------------------------------------------

void um_early_printk(const char *s, unsigned int n)
{
    console_write_bytes(s, n);
}

static void print(const char *format, va_list arguments)
{
    char text[256];
    int length = vsnprintf(text, sizeof text, format, arguments);

    if (length > 0)
        console_write_bytes(text,
                            length < (int)sizeof text ? (unsigned long)length : sizeof text - 1);
}

void os_info(const char *fmt, ...)
{
    va_list arguments;

    va_start(arguments, fmt);
    print(fmt, arguments);
    va_end(arguments);
}

void os_warn(const char *fmt, ...)
{
    va_list arguments;

    va_start(arguments, fmt);
    print(fmt, arguments);
    va_end(arguments);
}

int printf(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print(format, arguments);
    va_end(arguments);
    return 0;
}

// --- Processes of the host: there are none -------------------------------------------------------

int os_getpid(void)
{
    return 1;
}

int os_getpgrp(void)
{
    return 1;
}

void os_alarm_process(int pid)
{
    (void)pid;
}

void os_kill_process(int pid, int reap_child)
{
    (void)pid;
    (void)reap_child;
}

void stack_protections(unsigned long address)
{
    (void)address;
}

int set_umid(char *name)
{
    (void)name;
    return 0;
}

char *get_umid(void)
{
    static char none[] = "";

    return none;
}
