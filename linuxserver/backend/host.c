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

// --- /proc/cpuinfo's flags
// ------------------------------------------------------------------------ The names are Linux's.
// Only what a process can use: the vector unit up to AVX2.

struct feature {
    uint8_t leaf; // 1; 7: subleaf 0; 0x81: extended leaf 1
    uint8_t in;   // 'b', 'c' or 'd': the register
    uint8_t bit;
    const char *name;
};

static const struct feature features[] = {
    {1, 'd', 0, "fpu"},         {1, 'd', 4, "tsc"},         {1, 'd', 8, "cx8"},
    {1, 'd', 15, "cmov"},       {1, 'd', 19, "clflush"},    {1, 'd', 23, "mmx"},
    {1, 'd', 24, "fxsr"},       {1, 'd', 25, "sse"},        {1, 'd', 26, "sse2"},
    {0x81, 'd', 11, "syscall"}, {0x81, 'd', 20, "nx"},      {0x81, 'd', 27, "rdtscp"},
    {0x81, 'd', 29, "lm"},      {1, 'c', 0, "pni"},         {1, 'c', 1, "pclmulqdq"},
    {1, 'c', 9, "ssse3"},       {1, 'c', 12, "fma"},        {1, 'c', 13, "cx16"},
    {1, 'c', 19, "sse4_1"},     {1, 'c', 20, "sse4_2"},     {1, 'c', 22, "movbe"},
    {1, 'c', 23, "popcnt"},     {1, 'c', 25, "aes"},        {1, 'c', 26, "xsave"},
    {1, 'c', 28, "avx"},        {1, 'c', 29, "f16c"},       {1, 'c', 30, "rdrand"},
    {0x81, 'c', 0, "lahf_lm"},  {0x81, 'c', 5, "abm"},      {0x81, 'c', 6, "sse4a"},
    {7, 'b', 0, "fsgsbase"},    {7, 'b', 3, "bmi1"},        {7, 'b', 5, "avx2"},
    {7, 'b', 8, "bmi2"},        {7, 'b', 9, "erms"},        {7, 'b', 18, "rdseed"},
    {7, 'b', 19, "adx"},        {7, 'b', 23, "clflushopt"}, {7, 'b', 29, "sha_ni"},
};

static bool has_feature(const struct feature *feature)
{
    unsigned int leaf = feature->leaf == 0x81 ? 0x80000001u : feature->leaf;
    unsigned int eax = 0, ebx = 0, ecx = 0, edx = 0, value;

    if (!__get_cpuid_count(leaf, 0, &eax, &ebx, &ecx, &edx))
        return false;
    value = feature->in == 'b' ? ebx : feature->in == 'c' ? ecx : edx;
    return value >> feature->bit & 1;
}

void get_host_cpu_features(void (*flags_helper_func)(char *line),
                           void (*cache_helper_func)(char *line))
{
    char line[32];
    char cache[] = "cache_alignment : 64";

    // One flag a call: Linux looks for its names anywhere in the line.
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        if (!has_feature(&features[i]))
            continue;
        strcpy(line, features[i].name);
        flags_helper_func(line);
    }
    cache_helper_func(cache);
}

// --- Text before there is a console driver
// ---------------------------------------------------------

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

// --- Processes of the host: there are none
// -----------------------------------------------------------

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
