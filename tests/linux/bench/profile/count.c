// SPDX-License-Identifier: BSD-2-Clause
// A plugin of QEMU that counts how often each instruction is executed between two marks of the
// benchmark (../mark.h), whatever task or kernel it belongs to. profile.py makes functions of it.
//
//   -plugin COUNT.SO,out=FILE[,start=ADDRESS]
//
// The section from the Nth mark of a beginning to the mark of its end is written to FILE.N, a line
// "ADDRESS COUNT" for each instruction that was executed. start= begins a section where the
// instruction at ADDRESS is first executed.
//
// An instruction that faults is counted again when it is tried again.
#include "plugin.h"
#include "../mark.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define EXPORTED __attribute__((visibility("default")))

#define ADDRESSES_MAX (1u << 23)
#define BUCKETS       (2 * ADDRESSES_MAX)

// What QEMU asks for.
EXPORTED int qemu_plugin_version = PLUGIN_INTERFACE_VERSION;
EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const void *machine, int argc, char **argv);

// An instruction keeps its number however often it is translated. A bucket holds a number + 1.
static uint64_t *addresses, *counters, *before;
static uint32_t *buckets;
static uint32_t used;

static const char *out;
static uint64_t start_address;
static bool counting;
static unsigned sections;

__attribute__((noreturn)) static void give_up(const char *what)
{
    fprintf(stderr, "count: %s\n", what);
    exit(1);
}

static void *table(size_t entries, size_t size)
{
    void *memory = mmap(NULL, entries * size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        give_up("no memory for the counters");
    return memory;
}

static uint32_t number_of(uint64_t address)
{
    uint32_t bucket = (uint32_t)(address * 0x9e3779b97f4a7c15u >> 40);

    for (;; bucket++) {
        uint32_t *place = &buckets[bucket % BUCKETS];
        if (*place == 0) {
            if (used == ADDRESSES_MAX)
                give_up("more instructions than there are counters");
            addresses[used] = address;
            *place = ++used;
        }
        if (addresses[*place - 1] == address)
            return *place - 1;
    }
}

// --- Sections -----------------------------------------------------------------------------------

static void begin_section(unsigned processor, void *argument)
{
    (void)processor, (void)argument;
    memcpy(before, counters, used * sizeof counters[0]);
    counting = true;
}

static void begin_first_section(unsigned processor, void *argument)
{
    if (sections == 0 && !counting)
        begin_section(processor, argument);
}

static void end_section(unsigned processor, void *argument)
{
    char name[4096];

    (void)processor, (void)argument;
    if (!counting)
        return;
    counting = false;
    snprintf(name, sizeof name, "%s.%u", out, sections++);
    FILE *file = fopen(name, "w");
    if (file == NULL)
        give_up(name);
    for (uint32_t i = 0; i < used; i++)
        if (counters[i] != before[i])
            fprintf(file, "%" PRIx64 " %" PRIu64 "\n", addresses[i], counters[i] - before[i]);
    if (fclose(file) != 0)
        give_up(name);
}

// --- Translation --------------------------------------------------------------------------------

// The displacement of a mark; 0 for any other instruction.
static uint32_t mark_of(const struct qemu_plugin_insn *instruction)
{
    const uint8_t *code = qemu_plugin_insn_data(instruction);
    uint32_t displacement;

    if (qemu_plugin_insn_size(instruction) != MARK_OPCODE_LENGTH + sizeof displacement ||
        memcmp(code, MARK_OPCODE, MARK_OPCODE_LENGTH) != 0)
        return 0;
    memcpy(&displacement, code + MARK_OPCODE_LENGTH, sizeof displacement);
    return displacement;
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        uint64_t address = qemu_plugin_insn_vaddr(instruction);
        uint32_t mark = mark_of(instruction);

        qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64,
                                                   &counters[number_of(address)], 1);
        if (mark == MARK_BEGIN)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, begin_section,
                                                   QEMU_PLUGIN_CB_NO_REGS, NULL);
        else if (mark == MARK_END)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, end_section, QEMU_PLUGIN_CB_NO_REGS,
                                                   NULL);
        else if (start_address != 0 && address == start_address)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, begin_first_section,
                                                   QEMU_PLUGIN_CB_NO_REGS, NULL);
    }
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *machine, int argc, char **argv)
{
    (void)machine;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "out=", 4) == 0)
            out = strdup(argv[i] + 4);
        else if (strncmp(argv[i], "start=", 6) == 0)
            start_address = strtoull(argv[i] + 6, NULL, 0);
        else
            give_up(argv[i]);
    }
    if (out == NULL)
        give_up("out=FILE is missing");
    addresses = table(ADDRESSES_MAX, sizeof addresses[0]);
    counters = table(ADDRESSES_MAX, sizeof counters[0]);
    before = table(ADDRESSES_MAX, sizeof before[0]);
    buckets = table(BUCKETS, sizeof buckets[0]);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    return 0;
}
