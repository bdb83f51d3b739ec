// SPDX-License-Identifier: BSD-2-Clause
#include "dsm/lib/server.h"

#include "lib/port.h"

#include <corvus/init_stubs.h>

#include <string.h>

corvus_error_t dsm_find_server(port_name_t *server)
{
    static const char name[32] = "dsm";
    uint64_t words[4];

    memcpy(words, name, sizeof words);
    return bootstrap_look_up(NAME_BOOTSTRAP, words[0], words[1], words[2], words[3], 1, server);
}

corvus_error_t dsm_drop_right(port_name_t right)
{
    return port_deallocate(right);
}
