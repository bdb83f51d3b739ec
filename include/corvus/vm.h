// SPDX-License-Identifier: BSD-2-Clause
// Constants of the VM server (vm.def).
#pragma once

#include <corvus/types.h>

#define VM_NAME "vm" // under which it is checked in

// What a task's child gets of a range.
#define VM_INHERITANCE_NONE  0u
#define VM_INHERITANCE_SHARE 1u
#define VM_INHERITANCE_COPY  2u

// Flags of vm_allocate and vm_map_object.
#define VM_ANYWHERE 1u // the server chooses the address
#define VM_PRIVATE  2u // copy on write: what is written is the task's own

// Bytes of one vm_read or vm_write.
#define VM_COPY_MAX (256ull << 10)

// Where VM_ANYWHERE looks.
#define VM_WINDOW_START 0x080000000000ull
#define VM_WINDOW_END   0x100000000000ull
