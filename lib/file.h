// SPDX-License-Identifier: BSD-2-Clause
// Files as memory, as in Mach's example: fs_read_file gives a private copy that can be changed at
// will, fs_write_file puts it, or part of it, back. For tasks under the VM server (corvus/vm.def).
#pragma once

#include "lib/message.h"

// Maps what the file contains now, anywhere in the map, readable and writable, pages when they are
// touched. What is changed is the task's own. vm_deallocate throws it away. `files`: send right to
// the file pager. NOT_FOUND: no such file. INVALID_ARGUMENT: the name has more than 32 bytes.
corvus_error_t fs_read_file(port_name_t files, port_name_t map, const char *name, uint64_t *address,
                            uint64_t *size);

// Writes bytes of the task's memory into the file, from `offset` on.
corvus_error_t fs_write_file(port_name_t files, const char *name, uint64_t offset,
                             const void *bytes, uint64_t count);
