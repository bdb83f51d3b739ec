// SPDX-License-Identifier: BSD-2-Clause
// sources: linuxserver/migration/package.c linuxserver/migration/package_check.c
// The state package of a moving process: what was written is read, and nothing is that was changed
// on the way or says what no process can have.
#include "package_scene.h"
#include "tap.h"

static struct package_room records;

// What reading says when `change` has been made to a good package.
static const char *read_after(void (*change)(void))
{
    void *room = package_scene(&records);
    struct migration_package package;
    const char *wrong;

    change();
    package_seal(room, package_scene_counts);
    wrong = package_read(&package, room, package_bytes(package_scene_counts));
    free(room);
    return wrong;
}

// --- Whole packages ------------------------------------------------------------------------------

static void test_good(void)
{
    void *room = package_scene(&records);
    struct migration_package package;
    const char *wrong;

    package_seal(room, package_scene_counts);
    wrong = package_read(&package, room, package_bytes(package_scene_counts));
    tap_ok(wrong == NULL, wrong ? wrong : "a good package is read");
    tap_ok(package.threads_count == 3 && package.threads == records.threads &&
               package.threads[1].tid == 650 && package.text == records.text,
           "where it lies");
    tap_ok(package_vma_at(&package, 0x400000) == &package.vmas[0] &&
               package_vma_at(&package, 0x401fff) == &package.vmas[0] &&
               package_vma_at(&package, 0x402000) == NULL &&
               package_vma_at(&package, 0x503000) == &package.vmas[2] &&
               package_vma_at(&package, 0) == NULL && package_vma_at(&package, -1ul) == NULL,
           "an address finds its mapping");
    free(room);
}

static void test_changed_on_the_way(void)
{
    void *room = package_scene(&records);
    size_t bytes = package_bytes(package_scene_counts), missed = 0;
    struct migration_package package;

    package_seal(room, package_scene_counts);
    for (size_t bit = 0; bit < 8 * bytes; bit += bit < 4096 ? 1 : 101) {
        ((unsigned char *)room)[bit / 8] ^= (unsigned char)(1 << bit % 8);
        missed += package_read(&package, room, bytes) == NULL;
        ((unsigned char *)room)[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    tap_ok(missed == 0, "any bit changed is noticed");
    for (size_t length = 0; length < bytes; length++)
        missed += package_read(&package, room, length) == NULL;
    tap_ok(missed == 0, "and any part missing");
    tap_ok(package_read(&package, (char *)room + 4, bytes - 8) != NULL, "and a wrong alignment");
    free(room);
}

// Lengths in it that are not those of the bytes, with a right sum.
static void test_lengths(void)
{
    size_t bytes = package_bytes(package_scene_counts), missed = 0;
    static const uint64_t counts[] = {0, 2, 4, 5000, 1ul << 32, 1ul << 61, -1ul};

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        void *room = package_scene(&records);
        struct migration_package package;
        struct package_header *header = room;

        package_seal(room, package_scene_counts);
        ((struct package_section *)records.threads - 1)->count = counts[i];
        header->sum = package_sum(header + 1, bytes - sizeof *header);
        missed += package_read(&package, room, bytes) == NULL;
        free(room);
    }
    tap_ok(missed == 0, "and counts of records that are not there");
}

static void test_bounds(void)
{
    size_t counts[PACKAGE_SECTIONS];

    memcpy(counts, package_scene_counts, sizeof counts);
    counts[PACKAGE_SECTION_threads] = 5000;
    tap_ok(package_bytes(counts) == 0, "there are not so many threads");
    counts[PACKAGE_SECTION_threads] = 0;
    tap_ok(package_bytes(counts) == 0, "but one at least");
}

static void test_processor(void)
{
    struct package_process process = {.features = {1, 2}, .xcr0 = 3};
    const uint32_t same[PACKAGE_FEATURES] = {1, 2}, more[PACKAGE_FEATURES] = {5, 3, 1};
    const uint32_t less[PACKAGE_FEATURES] = {1, 0, 7};

    tap_ok(package_fits_processor(&process, same, 3) && package_fits_processor(&process, more, 7),
           "a processor that has it all");
    tap_ok(!package_fits_processor(&process, less, 3) && !package_fits_processor(&process, same, 1),
           "and one that has not");
}

// --- Fields --------------------------------------------------------------------------------------

static void nothing(void)
{
}

#define CASE(name, statement)                                                                      \
    static void name(void)                                                                         \
    {                                                                                              \
        statement;                                                                                 \
    }
#include "package_cases.def"
#undef CASE

static const struct {
    const char *name;
    void (*change)(void);
} cases[] = {
#define CASE(name, statement) {#name, name},
#include "package_cases.def"
#undef CASE
};

static void test_fields(void)
{
    tap_ok(read_after(nothing) == NULL, "a good package, once more");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        tap_ok(read_after(cases[i].change) != NULL, cases[i].name);
}

int main(void)
{
    test_good();
    test_changed_on_the_way();
    test_lengths();
    test_bounds();
    test_processor();
    test_fields();
    return tap_end();
}
