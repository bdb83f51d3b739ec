// SPDX-License-Identifier: GPL-2.0-only
// What the processor says of itself, from CPUID (Intel SDM 2A, CPUID; AMD APM 3, appendix E).
#include "processor.h"

#include "server.h"

#include <cpuid.h>
#include <os.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LEAF_EXTENDED  0x80000001u
#define LEAF_NAME      0x80000002u // and the two after it
#define LEAF_CACHES    0x80000006u
#define LEAF_ADDRESSES 0x80000008u

struct leaf {
    unsigned int eax, ebx, ecx, edx;
};

// Zeros when the processor does not have it.
static struct leaf leaf(unsigned int number, unsigned int subleaf)
{
    struct leaf l = {0};

    if (!__get_cpuid_count(number, subleaf, &l.eax, &l.ebx, &l.ecx, &l.edx))
        return (struct leaf){0};
    return l;
}

// --- Flags ---------------------------------------------------------------------------------------
// The names are Linux's. Only what a process can use: the vector unit up to AVX2.

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
    struct leaf l = leaf(feature->leaf == 0x81 ? LEAF_EXTENDED : feature->leaf, 0);
    unsigned int value = feature->in == 'b' ? l.ebx : feature->in == 'c' ? l.ecx : l.edx;

    return value >> feature->bit & 1;
}

unsigned long processor_flags_text(char *text, unsigned long room)
{
    unsigned long used = 0;

    for (size_t i = 0; i < sizeof features / sizeof features[0] && room - used > 16; i++)
        if (has_feature(&features[i]))
            used += (unsigned long)snprintf(text + used, room - used, " %s", features[i].name);
    return used;
}

// For Linux itself.
void get_host_cpu_features(void (*flags_helper_func)(char *line),
                           void (*cache_helper_func)(char *line))
{
    char line[32];
    char cache[] = "cache_alignment : 64";

    // One flag a call: Linux looks for its names anywhere in the line, so it takes `sse` for `ss`,
    // too.
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        if (!has_feature(&features[i]))
            continue;
        strcpy(line, features[i].name);
        flags_helper_func(line);
    }
    cache_helper_func(cache);
}

// --- The rest ------------------------------------------------------------------------------------

static void read_name(struct processor *p)
{
    unsigned int words[12];
    const char *from = (const char *)words;

    for (unsigned int i = 0; i < 3; i++) {
        struct leaf l = leaf(LEAF_NAME + i, 0);

        memcpy(&words[4 * i], (unsigned int[]){l.eax, l.ebx, l.ecx, l.edx}, 16);
    }
    for (size_t i = 0; i < sizeof words && *from == ' '; i++)
        from++;
    memset(p->name, 0, sizeof p->name);
    memcpy(p->name, from, sizeof words - (size_t)(from - (const char *)words));
}

// Intel lists its caches by level, the largest last; others tell the second level's size.
static unsigned int cache_kib(bool listed)
{
    unsigned int bytes = 0;

    for (unsigned int i = 0; listed && i < 16; i++) {
        struct leaf l = leaf(4, i);

        if ((l.eax & 0x1f) == 0)
            break;
        bytes =
            ((l.ebx >> 22) + 1) * ((l.ebx >> 12 & 0x3ff) + 1) * ((l.ebx & 0xfff) + 1) * (l.ecx + 1);
    }
    return bytes != 0 ? bytes >> 10 : leaf(LEAF_CACHES, 0).ecx >> 16;
}

static void read_signature(struct processor *p)
{
    struct leaf l = leaf(1, 0);

    p->family = l.eax >> 8 & 0xf;
    p->model = l.eax >> 4 & 0xf;
    p->stepping = l.eax & 0xf;
    if (p->family >= 6)
        p->model += (l.eax >> 16 & 0xf) << 4;
    if (p->family == 0xf)
        p->family += l.eax >> 20 & 0xff;
    p->line_bytes = (l.ebx >> 8 & 0xff) * 8;
    p->apic = l.ebx >> 24;
}

void processor_read(struct processor *p)
{
    struct leaf l = leaf(0, 0);
    unsigned int multiplier, shift;
    unsigned long base;

    *p = (struct processor){.level = l.eax};
    memcpy(p->vendor, (unsigned int[]){l.ebx, l.edx, l.ecx}, 12);
    read_signature(p);
    read_name(p);
    p->cache_kib = cache_kib(strcmp(p->vendor, "GenuineIntel") == 0);
    l = leaf(LEAF_CACHES, 0);
    p->tlb_pages = (l.ebx >> 16 & 0xfff) + (l.ebx & 0xfff);
    l = leaf(LEAF_ADDRESSES, 0);
    p->physical_bits = l.eax & 0xff;
    p->virtual_bits = l.eax >> 8 & 0xff;
    server_clock(&base, &multiplier, &shift);
    p->khz = (unsigned int)((1000000ul << shift) / multiplier);
}
