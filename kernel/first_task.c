// SPDX-License-Identifier: BSD-2-Clause
// Builds the first task out of the boot module `name=init`: its program, its
// stack, all free memory one to one, boot information, first rights.
#include "first_task.h"

#include <corvus/boot.h>

#include <elf.h>

#include "cpu.h"
#include "host.h"
#include "mapping.h"
#include "memory.h"
#include "task.h"
#include "thread.h"
#include "x86/acpi.h"
#include "x86/boot.h"
#include "x86/memory.h"
#include "x86/panic.h"
#include "x86/paging.h"

#define FIRST_PRIORITY    200
#define UTCB_ADDRESS      (USER_MAP_END - PAGE_BYTES)
#define STACK_PAGES       32
#define STACK_TOP         (UTCB_ADDRESS - PAGE_BYTES)
#define INFORMATION_PAGES ((sizeof(struct boot_information) + PAGE_BYTES - 1) / PAGE_BYTES)

// Nothing at boot can go on without memory.
static void must(corvus_error_t error, const char *what)
{
    if (error)
        panic("first task: %s: error %d", what, error);
}

static uint64_t take_pages(uint64_t pages)
{
    uint64_t physical = paging_reserve(pages * PAGE_BYTES, PAGE_BYTES);

    if (!physical)
        panic("first task: not enough memory");
    memset(physical_to_virtual(physical), 0, pages * PAGE_BYTES);
    return physical;
}

// --- The program ------------------------------------------------------------

static bool has_name(const char *command, const char *name)
{
    for (; *command; command++) {
        const char *a = command;
        const char *b = name;

        while (*b && *a == *b) {
            a++;
            b++;
        }
        if (!*b && (*a == '\0' || *a == ' '))
            return true;
        while (*command && *command != ' ')
            command++;
        if (!*command)
            return false;
    }
    return false;
}

static const struct loader_module *find_program(const struct boot_info *boot)
{
    for (uint32_t i = 0; i < boot->module_count; i++)
        if (has_name(boot->modules[i].command, "name=init"))
            return &boot->modules[i];
    panic("no boot module with name=init");
}

static uint32_t segment_access(const Elf64_Phdr *segment)
{
    return ACCESS_READ | (segment->p_flags & PF_W ? ACCESS_WRITE : 0) |
           (segment->p_flags & PF_X ? ACCESS_EXECUTE : 0);
}

static void load_segment(struct task *task, const char *image, uint64_t size,
                         const Elf64_Phdr *segment)
{
    uint64_t start = segment->p_vaddr & ~(PAGE_BYTES - 1);
    uint64_t offset = segment->p_vaddr - start;
    uint64_t pages = (offset + segment->p_memsz + PAGE_BYTES - 1) / PAGE_BYTES;
    uint64_t physical;

    if (segment->p_filesz > segment->p_memsz || segment->p_offset > size ||
        segment->p_filesz > size - segment->p_offset || segment->p_memsz > (1ull << 30))
        panic("first task: bad program header");
    physical = take_pages(pages);
    memcpy((char *)physical_to_virtual(physical) + offset, image + segment->p_offset,
           segment->p_filesz);
    for (uint64_t i = 0; i < pages; i++)
        must(mapping_root(task, start + i * PAGE_BYTES, physical + i * PAGE_BYTES, false,
                          segment_access(segment), HOST_CACHE_ON),
             "program");
}

static const Elf64_Ehdr *load_program(struct task *task, const struct loader_module *module)
{
    uint64_t size = module->end - module->start;
    const char *image = physical_to_virtual(module->start);
    const Elf64_Ehdr *header = (const void *)image;
    const Elf64_Phdr *segments;

    if (size < sizeof(*header) || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64 ||
        header->e_type != ET_EXEC || header->e_phentsize != sizeof(*segments) ||
        header->e_phoff > size || header->e_phnum > (size - header->e_phoff) / sizeof(*segments))
        panic("first task: the module is no static x86-64 ELF program");
    segments = (const void *)(image + header->e_phoff);
    for (unsigned i = 0; i < header->e_phnum; i++)
        if (segments[i].p_type == PT_LOAD && segments[i].p_memsz)
            load_segment(task, image, size, &segments[i]);
    return header;
}

// --- Its surroundings -------------------------------------------------------

// An empty argument list and what a C library wants to know (System V ABI,
// AMD64 supplement, section 3.4.1). Returns the stack pointer.
static uint64_t make_stack(struct task *task, const Elf64_Ehdr *header)
{
    uint64_t physical = take_pages(STACK_PAGES);
    uint64_t base = STACK_TOP - STACK_PAGES * PAGE_BYTES;
    uint64_t headers = 0;
    const Elf64_Phdr *segments = (const void *)((const char *)header + header->e_phoff);

    for (unsigned i = 0; i < STACK_PAGES; i++)
        must(mapping_root(task, base + i * PAGE_BYTES, physical + i * PAGE_BYTES, false,
                          ACCESS_READ | ACCESS_WRITE, HOST_CACHE_ON),
             "stack");
    for (unsigned i = 0; i < header->e_phnum; i++)
        if (segments[i].p_type == PT_LOAD && segments[i].p_offset == 0)
            headers = segments[i].p_vaddr + header->e_phoff;
    {
        const uint64_t words[] = {
            0,         0,          0, // argc, argv[0], envp[0]
            AT_PHDR,   headers,    AT_PHENT, header->e_phentsize, AT_PHNUM, header->e_phnum,
            AT_PAGESZ, PAGE_BYTES, AT_ENTRY, header->e_entry,     AT_NULL,  0,
            0,
        };
        char *top = (char *)physical_to_virtual(physical) + STACK_PAGES * PAGE_BYTES;

        _Static_assert(sizeof(words) % 16 == 0, "the stack is aligned at program start");
        memcpy(top - sizeof(words), words, sizeof(words));
        return STACK_TOP - sizeof(words);
    }
}

static void map_range(struct task *task, uint64_t base, uint64_t end, struct boot_information *info)
{
    if (info->range_count == BOOT_RANGES_MAX)
        return;
    info->ranges[info->range_count++] = (struct boot_range){base, end - base};
    while (base < end) {
        bool large = base % LARGE_PAGE_BYTES == 0 && end - base >= LARGE_PAGE_BYTES;

        must(mapping_root(task, base, base, large, ACCESS_ALL, HOST_CACHE_ON), "memory");
        base += large ? LARGE_PAGE_BYTES : PAGE_BYTES;
    }
}

static void map_modules(struct task *task, const struct boot_info *boot,
                        struct boot_information *info)
{

    // In ascending order, as the loader put them; two may share a page.
    for (uint32_t i = 0; i < boot->module_count; i++) {
        const struct loader_module *module = &boot->modules[i];
        uint64_t page = module->start & ~(PAGE_BYTES - 1);

        for (; page < module->end; page += PAGE_BYTES) {
            corvus_error_t error = mapping_root(task, page, page, false, ACCESS_ALL, HOST_CACHE_ON);

            if (error != ERR_IN_USE)
                must(error, "module");
        }
        info->modules[i].base = module->start;
        info->modules[i].length = module->end - module->start;
        memcpy(info->modules[i].arguments, module->command, sizeof(info->modules[i].arguments));
    }
    info->module_count = boot->module_count;
}

static void insert_right(struct task *task, struct port *port)
{
    struct carried_right right = {.kind = RIGHT_SEND, .port = port};

    must(right_reserve(task, 1), "rights");
    port_add_send(port);
    right_insert(task, &right);
}

// In the order of corvus/types.h; the first task has no bootstrap port.
static void insert_rights(struct task *task, struct thread *thread)
{
    struct carried_right none = {.kind = RIGHT_DEAD};

    insert_right(task, &task->port);
    must(right_reserve(task, 1), "rights");
    right_insert(task, &none);
    insert_right(task, &thread->port);
    insert_right(task, &host_port);
    insert_right(task, &host_privileged_port);
}

void first_task_start(const struct boot_info *boot)
{
    struct task *task = task_allocate(NULL, memory_total_bytes(), 0);
    struct boot_information *info;
    struct thread *thread;
    const Elf64_Ehdr *program;
    uint64_t information;
    uint32_t cursor = 0;
    struct free_region region;

    must(task ? ERR_OK : ERR_NO_MEMORY, "task");
    root_task = task;
    task_reference(task);
    program = load_program(task, find_program(boot));
    must(thread_create(task, UTCB_ADDRESS, FIRST_PRIORITY, &thread), "thread");
    thread->frame.rip = program->e_entry;
    thread->frame.rsp = make_stack(task, program);
    information = take_pages(INFORMATION_PAGES);
    info = physical_to_virtual(information);
    for (unsigned i = 0; i < INFORMATION_PAGES; i++)
        must(space_pin_kernel(task, BOOT_INFO_ADDRESS + i * PAGE_BYTES,
                              information + i * PAGE_BYTES, ACCESS_READ),
             "boot information");
    info->magic = BOOT_INFORMATION_MAGIC;
    info->acpi_root = acpi_info.root_table;
    info->acpi_root_is_xsdt = acpi_info.root_is_xsdt;
    info->memory_bytes = host_memory_bytes;
    info->kernel_reserve_bytes = memory_total_bytes();
    memcpy(info->command_line, boot->command, sizeof(info->command_line));
    map_modules(task, boot, info);
    while (boot_free_regions(&cursor, &region))
        map_range(task, region.base, region.base + region.length, info);
    insert_rights(task, thread);
    thread->suspended = 0;
    schedule_ready(thread);
}
