// SPDX-License-Identifier: GPL-2.0-only
// The network server, asked by messages (lib/linux).
#include "corvus.h"

#include "lib/linux/corvus.h"

#include <corvus/netname.h>
#include <corvus/netname_stubs.h>
#include <errno.h>
#include <string.h>

static const struct {
    const char *name, *text;
} counters[] = {
#define COUNTER(name, text) {"net_" #name, text},
    CORE_COUNTERS(COUNTER) NODE_COUNTERS(COUNTER)
#undef COUNTER
};

int fail_message(const char *what, int error)
{
    static const char *const texts[] = {
#define TEXT(name, number, text) [number] = (text),
        CORVUS_ERRORS(TEXT)
#undef TEXT
    };

    return fail(what, error < ERR_COUNT ? texts[error] : "an unknown error");
}

uint32_t network_server(void)
{
    port_name_t server = PORT_NULL;
    corvus_error_t error;

    if (corvus_file() < 0) {
        fail(CORVUS_DEVICE, errno == ENOENT ? "is not there; is this the Linux of a Corvus node?"
                                            : strerror(errno));
        return PORT_NULL;
    }
    error = corvus_netname(&server);
    if (error == ERR_NOT_FOUND)
        fail("network server", "is not running on this node");
    else if (error != ERR_OK)
        fail_message("network server", (int)error);
    return server;
}

bool network_counter(size_t index, const char **name, const char **text)
{
    if (index >= sizeof counters / sizeof counters[0])
        return false;
    *name = counters[index].name;
    *text = counters[index].text;
    return true;
}

size_t network_counters(uint64_t *values, size_t room)
{
    port_name_t server;
    size_t count = room;

    if (corvus_file() < 0 || corvus_netname(&server) != ERR_OK)
        return 0;
    if (netname_counters(server, 0, values, &count) != ERR_OK)
        count = 0;
    (void)port_deallocate(server);
    return count;
}
