// SPDX-License-Identifier: BSD-2-Clause
// See file.h.
#include "lib/file.h"

#include "lib/port.h"

#include <corvus/files_stubs.h>
#include <corvus/pager.h>
#include <corvus/vm.h>
#include <corvus/vm_stubs.h>

#include <string.h>

static bool name_words(const char *name, uint64_t words[4])
{
    size_t length = strlen(name);

    if (length == 0 || length > 4 * sizeof words[0])
        return false;
    memset(words, 0, 4 * sizeof words[0]);
    memcpy(words, name, length);
    return true;
}

corvus_error_t fs_read_file(port_name_t files, port_name_t map, const char *name, uint64_t *address,
                            uint64_t *size)
{
    uint64_t words[4];
    port_name_t object = PORT_NULL;

    if (!name_words(name, words))
        return ERR_INVALID_ARGUMENT;
    corvus_error_t error = file_open(files, words[0], words[1], words[2], words[3], size, &object);
    if (error != ERR_OK)
        return error;
    uint64_t bytes = (*size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    return vm_allocate_with_pager(map, 0, bytes, 0, VM_ANYWHERE | VM_PRIVATE,
                                  ACCESS_READ | ACCESS_WRITE, 0, move_send(object), address);
}

corvus_error_t fs_write_file(port_name_t files, const char *name, uint64_t offset,
                             const void *bytes, uint64_t count)
{
    uint64_t words[4];
    corvus_error_t error = ERR_OK;

    if (!name_words(name, words))
        return ERR_INVALID_ARGUMENT;
    for (uint64_t done = 0, part; error == ERR_OK && done < count; done += part) {
        part = count - done < PAGER_DATA_MAX ? count - done : PAGER_DATA_MAX;
        error = file_write(files, words[0], words[1], words[2], words[3], offset + done,
                           (const char *)bytes + done, part);
    }
    return error;
}
