// SPDX-License-Identifier: BSD-2-Clause
// Reading an ELF core file (System V ABI, and core(5) for the notes).
#include "harness_core.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/mman.h>
#include <sys/stat.h>

bool core_exists(void)
{
    glob_t found;
    bool exists = glob("core*", 0, NULL, &found) == 0;
    globfree(&found);
    return exists;
}

struct core core_open(void)
{
    glob_t found;
    if (glob("core*", 0, NULL, &found) != 0)
        FAIL("no core file was written");
    if (found.gl_pathc != 1)
        FAIL("%zu core files", found.gl_pathc);
    int file = SUCCEED(open(found.gl_pathv[0], O_RDONLY));
    globfree(&found);
    struct stat status;
    SUCCEED(fstat(file, &status));
    struct core core = {.size = (size_t)status.st_size};
    REQUIRE(core.size >= sizeof(Elf64_Ehdr));
    core.bytes = SUCCEED(mmap(NULL, core.size, PROT_READ, MAP_PRIVATE, file, 0));
    close(file);

    core.header = (const Elf64_Ehdr *)core.bytes;
    REQUIRE(memcmp(core.header->e_ident, ELFMAG, SELFMAG) == 0);
    REQUIRE_EQUAL(core.header->e_type, ET_CORE);
    REQUIRE_EQUAL(core.header->e_machine, EM_X86_64);
    REQUIRE_EQUAL(core.header->e_phentsize, sizeof(Elf64_Phdr));
    REQUIRE(core.header->e_phoff + core.header->e_phnum * sizeof(Elf64_Phdr) <= core.size);
    core.segments = (const Elf64_Phdr *)(core.bytes + core.header->e_phoff);
    return core;
}

static uint64_t rounded(uint64_t size)
{
    return (size + 3) & ~3ull;
}

const void *core_note(const struct core *core, uint32_t kind, unsigned index, size_t *size)
{
    for (unsigned i = 0; i < core->header->e_phnum; i++) {
        const Elf64_Phdr *segment = &core->segments[i];
        if (segment->p_type != PT_NOTE)
            continue;
        REQUIRE(segment->p_offset + segment->p_filesz <= core->size);
        uint64_t at = segment->p_offset, end = at + segment->p_filesz;
        while (at + sizeof(Elf64_Nhdr) <= end) {
            const Elf64_Nhdr *note = (const Elf64_Nhdr *)(core->bytes + at);
            at += sizeof *note + rounded(note->n_namesz);
            REQUIRE(at + note->n_descsz <= end);
            if (note->n_type == kind && index-- == 0) {
                *size = note->n_descsz;
                return core->bytes + at;
            }
            at += rounded(note->n_descsz);
        }
    }
    return NULL;
}

const void *core_memory(const struct core *core, uint64_t address, size_t count)
{
    for (unsigned i = 0; i < core->header->e_phnum; i++) {
        const Elf64_Phdr *segment = &core->segments[i];
        if (segment->p_type != PT_LOAD || address < segment->p_vaddr ||
            address + count > segment->p_vaddr + segment->p_filesz)
            continue;
        uint64_t at = segment->p_offset + (address - segment->p_vaddr);
        return at + count <= core->size ? core->bytes + at : NULL;
    }
    return NULL;
}
