// SPDX-License-Identifier: BSD-2-Clause
// A native task: the clock page, init's entropy, memory that cards can reach.
#include "netipc/platform.h"

#include "netipc/memory.h"

#include "lib/clock.h"
#include "lib/virtio/native.h"

#include <corvus/init_stubs.h>

#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RANDOM_WORDS 32 // that init gives at once
// Where hypervisors say who they are, if CPUID's leaf 1 says that there is one.
#define HYPERVISOR_LEAF 0x40000000u
#define HYPERVISOR_BIT  (1u << 31)

uint64_t network_now(void)
{
    return clock_now_ns();
}

uint32_t network_random(void)
{
    static uint64_t words[RANDOM_WORDS];
    static size_t used = 2 * RANDOM_WORDS;

    if (used == 2 * RANDOM_WORDS) {
        size_t count = RANDOM_WORDS;
        corvus_error_t error = bootstrap_entropy(NAME_BOOTSTRAP, sizeof words, words, &count);
        if (error != ERR_OK || count != RANDOM_WORDS) {
            printf("net: init gives no random numbers (error %d)\n", error);
            exit(EXIT_FAILURE);
        }
        used = 0;
    }
    uint64_t word = words[used / 2] >> 32 * (used % 2);
    used++;
    return (uint32_t)word;
}

static bool is_emulated(void)
{
    unsigned eax, name[3];

    __cpuid(HYPERVISOR_LEAF, eax, name[0], name[1], name[2]);
    return memcmp(name, "TCGTCGTCGTCG", sizeof name) == 0;
}

bool network_has_fast_vectors(void)
{
    unsigned eax, ebx, ecx, edx;

    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_SSSE3))
        return false;
    return !(ecx & HYPERVISOR_BIT) || !is_emulated();
}

void *network_memory_allocate(size_t bytes)
{
    struct virtio_memory memory;

    if (virtio_native_allocate(bytes, 1, &memory) != ERR_OK)
        return NULL;
    if (network_memory_add(memory.shared, memory.shared_bus, memory.shared_bytes))
        return memory.shared;
    virtio_native_free(&memory);
    return NULL;
}
