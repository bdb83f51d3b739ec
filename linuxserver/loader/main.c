// SPDX-License-Identifier: GPL-2.0-only
// Starts Linux: takes the memory it is to have, in 2 MiB pages where they are to be had, unpacks
// the image of its boot module (compressed, for init keeps it) at the beginning, and enters it.
// Linux shares its pages with its processes, so it must hold all of them with all access, which no
// ordinary program of init's has.
//
//   linux-loader [memory=MIB] [leave=MIB] [--lend MIB] [--set KEY VALUE]… [LINUX-ARGUMENTS]…
//     --set    becomes KEY=VALUE for Linux, or nothing when the value is empty
//     memory=  what Linux gets; without it all that is free
//     leave=   but for this much (default: 4)
//     --lend   and this much, for the DSM server; may be empty
#include "linuxserver/backend/server.h"

#include "lib/call.h"

#include <corvus/host.h>
#include <corvus/init_stubs.h>
#include <corvus/stubs.h>

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd/zstd.h>

#define MIB           (1ul << 20)
#define LEAVE_DEFAULT 4
#define LEAST         (32 * MIB)
#define REQUEST_MOST  (1024 * MIB) // of bootstrap_allocate_memory

#define IMAGE_AT SERVER_MODULE_BASE

static _Noreturn void fail(const char *what, long error)
{
    printf("linux: %s: error %ld\n", what, error);
    exit(1);
}

// --- Boot modules --------------------------------------------------------------------------------

static const void *map_module(const char *name, uint64_t address, uint64_t *length)
{
    uint64_t words[4] = {0};
    uint64_t offset;

    memcpy(words, name, strlen(name));
    corvus_error_t error = bootstrap_map_module(NAME_BOOTSTRAP, words[0], words[1], words[2],
                                                words[3], address, &offset, length);
    if (error == ERR_NOT_FOUND || error == ERR_ACCESS_DENIED)
        return NULL;
    if (error != ERR_OK)
        fail(name, error);
    return (const void *)(address + offset);
}

static uint64_t page_ceiling(uint64_t address)
{
    return (address + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

static void unmap_module(const void *module, uint64_t length)
{
    uint64_t first = (uint64_t)module & ~(PAGE_BYTES - 1);

    (void)memory_unmap(NAME_TASK_SELF, first, page_ceiling((uint64_t)module + length) - first,
                       ACCESS_ALL | MEMORY_SELF, NULL, NULL, NULL);
}

// --- Memory --------------------------------------------------------------------------------------

static uint64_t memory_wanted(uint64_t memory, uint64_t leave)
{
    uint64_t servers, total, unused, lost;

    if (memory != 0)
        return memory;
    corvus_error_t error = node_statistics(NAME_BOOTSTRAP, &servers, &total, &unused, &lost);
    if (error != ERR_OK)
        fail("how much memory is free is not to be known", error);
    if (unused < leave + LEAST)
        fail("too little memory is free", ERR_NO_MEMORY);
    return (unused - leave) & ~(LARGE_PAGE_BYTES - 1);
}

static void take_memory(uint64_t bytes)
{
    for (uint64_t done = 0; done < bytes;) {
        uint64_t part = bytes - done < REQUEST_MOST ? bytes - done : REQUEST_MOST;
        corvus_error_t error =
            bootstrap_allocate_memory(NAME_BOOTSTRAP, SERVER_MEMORY_BASE + done, part, ACCESS_ALL);
        if (error != ERR_OK)
            fail("its memory cannot be had", error);
        done += part;
    }
}

// --- The image -----------------------------------------------------------------------------------

// Bytes of the file that a segment has, if it lies in the file and in Linux's memory.
static void check_segment(const Elf64_Phdr *segment, uint64_t file_bytes, uint64_t memory_bytes)
{
    bool in_file =
        segment->p_offset <= file_bytes && segment->p_filesz <= file_bytes - segment->p_offset;
    bool in_memory = segment->p_vaddr >= SERVER_MEMORY_BASE &&
                     segment->p_filesz <= segment->p_memsz && segment->p_memsz <= memory_bytes &&
                     segment->p_vaddr - SERVER_MEMORY_BASE <= memory_bytes - segment->p_memsz;
    if (!in_file || !in_memory)
        fail("a segment of its image is out of place", ERR_INVALID_RANGE);
}

// Unpacks the image to the end of Linux's memory, where it stays until Linux has another use for
// it.
static const char *unpack_image(const void *module, uint64_t module_bytes, uint64_t memory_bytes,
                                uint64_t *bytes)
{
    unsigned long long size = ZSTD_getFrameContentSize(module, module_bytes);

    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN)
        fail("its image is not compressed by zstd", ERR_INVALID_ARGUMENT);
    if (size > memory_bytes / 2)
        fail("its image is too large for its memory", ERR_NO_MEMORY);
    char *image = (char *)SERVER_MEMORY_BASE + ((memory_bytes - size) & ~(PAGE_BYTES - 1));
    if (ZSTD_decompress(image, size, module, module_bytes) != size)
        fail("its image is damaged", ERR_INVALID_ARGUMENT);
    *bytes = size;
    return image;
}

// `memory_bytes`: what lies before the unpacked image.
static uint64_t load_image(const char *image, uint64_t bytes, uint64_t memory_bytes,
                           uint64_t *image_end)
{
    const Elf64_Ehdr *header = (const void *)image;

    if (bytes < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_machine != EM_X86_64 || header->e_phentsize != sizeof(Elf64_Phdr) ||
        header->e_phoff > bytes || header->e_phnum * sizeof(Elf64_Phdr) > bytes - header->e_phoff)
        fail("its image is no ELF file for this machine", ERR_INVALID_ARGUMENT);
    const Elf64_Phdr *segments = (const void *)(image + header->e_phoff);
    *image_end = SERVER_MEMORY_BASE;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type != PT_LOAD)
            continue;
        check_segment(&segments[i], bytes, memory_bytes);
        memcpy((void *)segments[i].p_vaddr, image + segments[i].p_offset, segments[i].p_filesz);
        uint64_t end = page_ceiling(segments[i].p_vaddr + segments[i].p_memsz);
        if (end > *image_end)
            *image_end = end;
    }
    return header->e_entry;
}

// --- Arguments -----------------------------------------------------------------------------------

// `word` is what is complained of.
static void take_mebibytes(const char *word, const char *digits, uint64_t *bytes)
{
    char *end;

    *bytes = strtoull(digits, &end, 10) * MIB;
    if (end == digits || *end != '\0' || *bytes > 1024 * 1024 * MIB)
        fail(word, ERR_INVALID_ARGUMENT);
}

static bool take_option(const char *word, const char *key, uint64_t *bytes)
{
    size_t length = strlen(key);

    if (strncmp(word, key, length) != 0)
        return false;
    take_mebibytes(word, word + length, bytes);
    return true;
}

// Words for Linux.
struct words {
    char *array[64];
    int count;
    char text[2048];
    size_t used;
};

#define WORDS_MAX 60

static void add_word(struct words *words, const char *key, const char *value, size_t length)
{
    size_t room = sizeof words->text - words->used;
    int bytes = snprintf(words->text + words->used, room, "%s%s%.*s", key, *key != '\0' ? "=" : "",
                         (int)length, value);
    if (bytes < 0 || (size_t)bytes >= room || words->count == WORDS_MAX)
        fail("its arguments are too many", ERR_TOO_LARGE);
    words->array[words->count++] = words->text + words->used;
    words->used += (size_t)bytes + 1;
}

// An argument may be several words with blanks between them.
static void add_words(struct words *words, const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        if (length != 0)
            add_word(words, "", text, length);
        text += length + (text[length] == ' ');
    }
}

static bool has_word(const struct words *words, const char *beginning)
{
    for (int i = 0; i < words->count; i++) {
        if (strncmp(words->array[i], beginning, strlen(beginning)) == 0)
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    static struct server_boot boot;
    // On the stack, far up: Linux takes the vector's place for the end of its address space.
    struct words words = {.array = {argv[0]}, .count = 1};
    uint64_t memory = 0, leave = LEAVE_DEFAULT * MIB, lend = 0, module_bytes, image_bytes;
    uint64_t initramfs_bytes = 0, image_end;
    char kibibytes[24];

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--set") == 0 && i + 2 < argc) {
            if (argv[i + 2][0] != '\0')
                add_word(&words, argv[i + 1], argv[i + 2], strlen(argv[i + 2]));
            i += 2;
        } else if (strcmp(argv[i], "--lend") == 0 && i + 1 < argc) {
            if (argv[++i][0] != '\0')
                take_mebibytes(argv[i], argv[i], &lend);
        } else if (!take_option(argv[i], "memory=", &memory) &&
                   !take_option(argv[i], "leave=", &leave)) {
            add_words(&words, argv[i]);
        }
    }
    const void *module = map_module("linux", IMAGE_AT, &module_bytes);
    if (module == NULL)
        fail("there is no boot module linux", ERR_NOT_FOUND);
    memory = memory_wanted(memory, leave + lend);
    take_memory(memory);
    const char *image = unpack_image(module, module_bytes, memory, &image_bytes);
    uint64_t entry =
        load_image(image, image_bytes, (uint64_t)image - SERVER_MEMORY_BASE, &image_end);
    unmap_module(module, module_bytes);

    boot.initramfs = map_module("initramfs", IMAGE_AT, &initramfs_bytes);
    if (boot.initramfs != NULL)
        add_words(&words, "initrd=initramfs");
    if (!has_word(&words, "root="))
        add_words(&words, "root="); // else Linux appends the disk that ARCH=um would have
    snprintf(kibibytes, sizeof kibibytes, "%" PRIu64 "K", memory >> 10);
    add_word(&words, "mem", kibibytes, strlen(kibibytes));
    boot.memory_bytes = memory;
    boot.image_end = image_end;
    boot.initramfs_bytes = initramfs_bytes;
    boot.argc = words.count;
    boot.argv = words.array;
    ((void (*)(const struct server_boot *))entry)(&boot);
    return 1;
}
