// SPDX-License-Identifier: BSD-2-Clause
// Which debug registers a guest may have, and loading them: Intel SDM volume 3,
// section 18.2.
#include "x86/debug_registers.h"

#include <corvus/types.h>
#include <corvus/vcpu.h>

#include "x86/instructions.h"

#define DR6_NOTHING    0xffff0ff0ul
#define DR7_NOTHING    0x400ul
#define DR7_EXACT      0x300ul // of no effect
#define DR7_ENABLED    0xfful
#define DR7_CONDITIONS 0xffff0000ul

#define REGISTERS 4
#define EXECUTION 0u
#define PORTS     2u

static bool enabled(uint64_t control, unsigned number)
{
    return control >> 2 * number & 3;
}

// The condition of one that is on, and the place that is watched.
static bool is_allowed(uint64_t control, unsigned number, uint64_t address)
{
    static const uint8_t lengths[] = {1, 2, 8, 4};
    unsigned condition = control >> (16 + 4 * number) & 15;
    unsigned kind = condition & 3;
    uint64_t length = lengths[condition >> 2];

    if (kind == PORTS || (kind == EXECUTION && length != 1))
        return false;
    return address % length == 0 && address < USER_END;
}

bool debug_registers_load(const uint64_t address[REGISTERS], uint64_t control)
{
    // One that is off has no address: it could still show in DR6.
    uint64_t checked[REGISTERS] = {0};

    if (control & ~(DR7_ENABLED | DR7_EXACT | DR7_NOTHING | DR7_CONDITIONS))
        return false;
    for (unsigned i = 0; i < REGISTERS; i++) {
        if (!enabled(control, i))
            continue;
        checked[i] = address[i];
        if (!is_allowed(control, i, checked[i]))
            return false;
    }
    __asm__ volatile("mov %0, %%dr0\n\tmov %1, %%dr1\n\tmov %2, %%dr2\n\tmov %3, %%dr3"
                     :
                     : "r"(checked[0]), "r"(checked[1]), "r"(checked[2]), "r"(checked[3]));
    write_dr6(DR6_NOTHING);
    write_dr7(control | DR7_NOTHING);
    return true;
}

void debug_registers_off(void)
{
    write_dr7(DR7_NOTHING);
}

uint64_t debug_registers_status(uint64_t control)
{
    uint64_t status = read_dr6() & (VCPU_DEBUG_HITS | VCPU_DEBUG_STEP);

    write_dr6(DR6_NOTHING);
    for (unsigned i = 0; i < REGISTERS; i++)
        if (!enabled(control, i))
            status &= ~(1ul << i);
    return status;
}
