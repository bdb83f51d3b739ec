// SPDX-License-Identifier: BSD-2-Clause
// sources: init/elf.c
// A good program is taken; each way to spoil it is refused with its own words;
// and no file, cut or altered at random, is read outside its bytes.
#include "init/elf.h"
#include "tap.h"

#include <corvus/types.h>

#include <elf.h>
#include <stdlib.h>
#include <string.h>

struct image {
    Elf64_Ehdr header;
    Elf64_Phdr segments[3];
    char text[64];
    char data[64];
};

static struct elf_program program;

static struct image good(void)
{
    struct image image = {
        .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                               EV_CURRENT},
                   .e_type = ET_EXEC,
                   .e_machine = EM_X86_64,
                   .e_entry = 0x400000 + offsetof(struct image, text),
                   .e_phoff = offsetof(struct image, segments),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 3},
        .segments = {{.p_type = PT_LOAD,
                      .p_flags = PF_R | PF_X,
                      .p_vaddr = 0x400000,
                      .p_filesz = offsetof(struct image, data),
                      .p_memsz = offsetof(struct image, data)},
                     {.p_type = PT_LOAD,
                      .p_flags = PF_R | PF_W,
                      .p_offset = offsetof(struct image, data),
                      .p_vaddr = 0x401000 + offsetof(struct image, data),
                      .p_filesz = 64,
                      .p_memsz = 10000},
                     {.p_type = PT_TLS}},
    };
    return image;
}

static const char *read_image(const struct image *image)
{
    // A copy of just that size lets the sanitizer see every byte read outside.
    void *copy = malloc(sizeof *image);
    memcpy(copy, image, sizeof *image);
    const char *problem = elf_read(copy, sizeof *image, USER_MAP_END, &program);
    free(copy);
    return problem;
}

static void test_good(void)
{
    struct image image = good();
    tap_ok(read_image(&image) == NULL, "a good program");
    tap_ok(program.segment_count == 2 &&
               program.segments[0].access == (ACCESS_READ | ACCESS_EXECUTE) &&
               program.segments[1].access == (ACCESS_READ | ACCESS_WRITE),
           "its segments");
    tap_ok(program.entry == image.header.e_entry, "its entry");
    tap_ok(program.headers_address == 0x400000 + sizeof(Elf64_Ehdr) && program.header_count == 3,
           "its headers in memory");
}

#define REFUSES(change, words)                                                                     \
    do {                                                                                           \
        struct image image = good();                                                               \
        change;                                                                                    \
        const char *problem = read_image(&image);                                                  \
        tap_ok(problem != NULL && strcmp(problem, words) == 0, words);                             \
    } while (0)

static void test_headers(void)
{
    REFUSES(image.header.e_ident[0] = 0, "not an ELF file");
    REFUSES(image.header.e_machine = EM_386, "not an ELF file for x86-64");
    REFUSES(image.header.e_ident[EI_CLASS] = ELFCLASS32, "not an ELF file for x86-64");
    REFUSES(image.header.e_type = ET_DYN, "not a program linked at a fixed address");
    REFUSES(image.header.e_phentsize = 32, "program headers of an unknown size");
    REFUSES(image.header.e_phnum = 0, "no program headers, or more than 64");
    REFUSES(image.header.e_phnum = 65, "no program headers, or more than 64");
    REFUSES(image.header.e_phoff = UINT64_MAX, "program headers outside the file");
    REFUSES(image.header.e_phoff = sizeof image - 8, "program headers outside the file");
    REFUSES(image.header.e_entry = 0x400000 - 1, "an entry point outside its code");
    REFUSES(image.header.e_entry = image.segments[1].p_vaddr, "an entry point outside its code");
    tap_ok(elf_read("", 0, USER_MAP_END, &program) != NULL, "an empty file");
}

static void test_segments(void)
{
    REFUSES(image.segments[2].p_type = PT_INTERP, "a program that needs a dynamic linker");
    REFUSES(image.segments[1].p_filesz = 20000, "a segment larger in the file than in memory");
    REFUSES(image.segments[1].p_offset = UINT64_MAX - 8, "a segment outside the file");
    REFUSES(image.segments[1].p_offset = sizeof image - 63, "a segment outside the file");
    REFUSES(image.segments[0].p_vaddr = 0, "a segment at a forbidden address");
    REFUSES(image.segments[1].p_vaddr = USER_MAP_END - 1, "a segment at a forbidden address");
    REFUSES(image.segments[1].p_memsz = UINT64_MAX, "a segment at a forbidden address");
    REFUSES(image.segments[0].p_flags |= PF_W, "a segment both writable and executable");
    REFUSES(image.segments[1].p_vaddr = 0x400800, "segments out of order, or two in one page");
    REFUSES(image.segments[1].p_vaddr = 0x300000, "segments out of order, or two in one page");
}

static void test_random(void)
{
    int taken = 0;
    srand(1);
    for (int i = 0; i < 20000; i++) {
        struct image image = good();
        for (int j = rand() % 4; j >= 0; j--)
            ((unsigned char *)&image)[(size_t)rand() % offsetof(struct image, text)] =
                (unsigned char)rand();
        taken += read_image(&image) == NULL;
        for (uint32_t s = 0; s < program.segment_count; s++) {
            if (program.segments[s].offset + program.segments[s].file_bytes > sizeof image)
                taken = -1000000;
        }
    }
    tap_ok(taken > 0, "20000 altered programs: none reaches outside, some are still good");
}

int main(void)
{
    test_good();
    test_headers();
    test_segments();
    test_random();
    return tap_end();
}
