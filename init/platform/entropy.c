// SPDX-License-Identifier: BSD-2-Clause
// A pool of 32 bytes. What comes in is hashed together with the pool; what goes
// out is a keyed hash of a counter, after which the key is replaced, so that a
// later look into memory tells nothing of earlier output ("fast key erasure",
// D. J. Bernstein, 2017, with BLAKE2s as the function).
#include "entropy.h"

#include "blake2s.h"

#include "lib/clock.h"

#include <cpuid.h>
#include <stdbool.h>
#include <string.h>

#define PROCESSOR_WORDS  8 // twice the pool
#define PROCESSOR_TRIES  100
#define TIMING_SAMPLES   4096
#define SECRET_BYTES_MIN 16 // of `entropy=` before it is called a secret

static uint8_t pool[BLAKE2S_BYTES];

void entropy_add(const void *bytes, size_t count)
{
    blake2s(pool, pool, sizeof pool, bytes, count);
}

void entropy_get(void *buffer, size_t count)
{
    static const uint8_t erase[] = "corvus: next key";
    uint8_t *to = buffer, block[BLAKE2S_BYTES];
    uint64_t time = processor_time();
    entropy_add(&time, sizeof time);
    for (uint64_t counter = 0; count > 0; counter++) {
        size_t part = count < sizeof block ? count : sizeof block;
        blake2s(block, pool, sizeof pool, &counter, sizeof counter);
        memcpy(to, block, part);
        to += part;
        count -= part;
    }
    blake2s(pool, pool, sizeof pool, erase, sizeof erase);
    explicit_bzero(block, sizeof block);
}

static bool rdseed(uint64_t *value)
{
    bool delivered;
    __asm__ volatile("rdseed %0" : "=r"(*value), "=@ccc"(delivered));
    return delivered;
}

static bool rdrand(uint64_t *value)
{
    bool delivered;
    __asm__ volatile("rdrand %0" : "=r"(*value), "=@ccc"(delivered));
    return delivered;
}

static bool read_processor(bool (*instruction)(uint64_t *))
{
    uint64_t words[PROCESSOR_WORDS];
    int got = 0;
    for (int tries = 0; got < PROCESSOR_WORDS && tries < PROCESSOR_TRIES; tries++)
        got += instruction(&words[got]);
    // Some processors answer all ones for ever after sleep.
    if (got < PROCESSOR_WORDS || words[0] == words[1])
        return false;
    entropy_add(words, sizeof words);
    explicit_bzero(words, sizeof words);
    return true;
}

static bool add_processor(void)
{
    unsigned a, b, c, d;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_RDSEED) && read_processor(rdseed))
        return true;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_RDRND) && read_processor(rdrand);
}

// How long the same few loads take: caches, interrupts and the host's load.
static void add_timing(void)
{
    static volatile uint8_t touched[65536];
    uint32_t samples[TIMING_SAMPLES / 16];
    for (int round = 0; round < 16; round++) {
        for (int i = 0; i < TIMING_SAMPLES / 16; i++) {
            touched[(uint32_t)(processor_time() * 2654435761u) % sizeof touched]++;
            samples[i] = (uint32_t)processor_time();
        }
        entropy_add(samples, sizeof samples);
    }
}

static bool has_secret(const char *command_line)
{
    const char *word = strstr(command_line, "entropy=");
    return word != NULL && strcspn(word + strlen("entropy="), " ") >= SECRET_BYTES_MIN;
}

enum entropy_source entropy_initialize(const char *command_line)
{
    uint64_t now = clock_now_ns();
    entropy_add(command_line, strlen(command_line));
    entropy_add(&now, sizeof now);
    add_timing();
    if (add_processor())
        return ENTROPY_PROCESSOR;
    return has_secret(command_line) ? ENTROPY_COMMAND_LINE : ENTROPY_TIMING;
}

const char *entropy_source_text(enum entropy_source source)
{
    switch (source) {
    case ENTROPY_PROCESSOR:
        return "processor";
    case ENTROPY_COMMAND_LINE:
        return "command line";
    default:
        return "timing only, weak";
    }
}
