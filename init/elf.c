// SPDX-License-Identifier: BSD-2-Clause
// Reads the headers of an ELF64 file (System V ABI, chapters 4 and 5; AMD64
// supplement). Every offset and size is compared with what remains, never added
// up unchecked.
#include "elf.h"

#include <corvus/types.h>

#include <elf.h>
#include <stdbool.h>
#include <string.h>

#define ELF_HEADERS_MAX 64

static bool inside(uint64_t offset, uint64_t bytes, uint64_t length)
{
    return offset <= length && bytes <= length - offset;
}

static const char *check_header(const Elf64_Ehdr *header, size_t length)
{
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return "not an ELF file";
    if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
        header->e_ident[EI_VERSION] != EV_CURRENT || header->e_machine != EM_X86_64)
        return "not an ELF file for x86-64";
    if (header->e_type != ET_EXEC)
        return "not a program linked at a fixed address";
    if (header->e_phentsize != sizeof(Elf64_Phdr))
        return "program headers of an unknown size";
    if (header->e_phnum == 0 || header->e_phnum > ELF_HEADERS_MAX)
        return "no program headers, or more than 64";
    if (!inside(header->e_phoff, header->e_phnum * sizeof(Elf64_Phdr), length))
        return "program headers outside the file";
    return NULL;
}

static uint32_t access_of(uint32_t flags)
{
    return (flags & PF_R ? ACCESS_READ : 0) | (flags & PF_W ? ACCESS_READ | ACCESS_WRITE : 0) |
           (flags & PF_X ? ACCESS_READ | ACCESS_EXECUTE : 0);
}

static uint64_t page_floor(uint64_t address)
{
    return address & ~(PAGE_BYTES - 1);
}

static const char *check_segment(const Elf64_Phdr *header, size_t length, uint64_t limit)
{
    if (header->p_filesz > header->p_memsz)
        return "a segment larger in the file than in memory";
    if (!inside(header->p_offset, header->p_filesz, length))
        return "a segment outside the file";
    if (header->p_vaddr < PAGE_BYTES || !inside(header->p_vaddr, header->p_memsz, limit))
        return "a segment at a forbidden address";
    if ((header->p_flags & PF_W) && (header->p_flags & PF_X))
        return "a segment both writable and executable";
    return NULL;
}

// Segments come in ascending order (System V ABI, PT_LOAD).
static bool follows(const struct elf_program *program, uint64_t address)
{
    if (program->segment_count == 0)
        return true;
    const struct elf_segment *last = &program->segments[program->segment_count - 1];
    uint64_t end = last->address + last->memory_bytes + PAGE_BYTES - 1;
    return page_floor(address) >= page_floor(end);
}

static const char *add_segment(struct elf_program *program, const Elf64_Phdr *header)
{
    if (header->p_memsz == 0)
        return NULL;
    if (program->segment_count == ELF_SEGMENTS_MAX)
        return "more than 16 segments";
    if (!follows(program, header->p_vaddr))
        return "segments out of order, or two in one page";
    program->segments[program->segment_count++] = (struct elf_segment){
        .address = header->p_vaddr,
        .memory_bytes = header->p_memsz,
        .offset = header->p_offset,
        .file_bytes = header->p_filesz,
        .access = access_of(header->p_flags),
    };
    return NULL;
}

static const char *read_program_header(const Elf64_Phdr *header, size_t length, uint64_t limit,
                                       struct elf_program *program)
{
    if (header->p_type == PT_INTERP)
        return "a program that needs a dynamic linker";
    if (header->p_type != PT_LOAD)
        return NULL;
    const char *problem = check_segment(header, length, limit);
    return problem != NULL ? problem : add_segment(program, header);
}

static bool executable(const struct elf_program *program, uint64_t address)
{
    for (uint32_t i = 0; i < program->segment_count; i++) {
        const struct elf_segment *segment = &program->segments[i];
        if ((segment->access & ACCESS_EXECUTE) && address >= segment->address &&
            address - segment->address < segment->memory_bytes)
            return true;
    }
    return false;
}

static uint64_t address_of_offset(const struct elf_program *program, uint64_t offset,
                                  uint64_t bytes)
{
    for (uint32_t i = 0; i < program->segment_count; i++) {
        const struct elf_segment *segment = &program->segments[i];
        if (offset >= segment->offset &&
            inside(offset - segment->offset, bytes, segment->file_bytes))
            return segment->address + (offset - segment->offset);
    }
    return 0;
}

const char *elf_read(const void *file, size_t length, uint64_t address_limit,
                     struct elf_program *program)
{
    Elf64_Ehdr header;
    memset(program, 0, sizeof *program);
    if (length < sizeof header)
        return "too short for an ELF file";
    memcpy(&header, file, sizeof header);
    const char *problem = check_header(&header, length);
    for (uint32_t i = 0; problem == NULL && i < header.e_phnum; i++) {
        Elf64_Phdr segment; // copied: the table may be misaligned
        memcpy(&segment, (const char *)file + header.e_phoff + i * sizeof segment, sizeof segment);
        problem = read_program_header(&segment, length, address_limit, program);
    }
    if (problem != NULL)
        return problem;
    if (!executable(program, header.e_entry))
        return "an entry point outside its code";
    program->entry = header.e_entry;
    program->header_count = header.e_phnum;
    program->headers_address =
        address_of_offset(program, header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr));
    return NULL;
}
