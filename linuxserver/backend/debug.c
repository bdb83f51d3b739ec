// SPDX-License-Identifier: GPL-2.0-only
// The processor's debug registers, which belong to the process that runs.
#include "vcpu_page.h"

void debug_load(const unsigned long *addresses, unsigned long control)
{
    for (int i = 0; i < 4; i++)
        vcpu->debug_address[i] = addresses[i];
    vcpu->debug_control = control;
}

unsigned long debug_status(void)
{
    return vcpu->debug_status;
}
