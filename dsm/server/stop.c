// SPDX-License-Identifier: BSD-2-Clause
// For tests of deaths (tests/cluster/thorough/dsm-death.sh): the server stops for good, as a node
// that fails, when a record of a given kind about pages has arrived, of which nothing has been done
// yet, or is to be sent next, when what was sent before has gone. Only on a node that was booted
// for it.
#include "dsm/core/wire.h"
#include "dsm/server/server.h"

#include <stdio.h>

static struct {
    bool allowed, sending;
    uint8_t kind; // 0: none
} stop;

void stop_allow(void)
{
    stop.allowed = true;
}

bool stop_set(uint64_t kind, bool sending)
{
    if (!stop.allowed || kind >= WIRE_KINDS)
        return false;
    stop.kind = (uint8_t)kind;
    stop.sending = sending;
    return true;
}

void stop_here(const void *bytes, size_t count, bool sending)
{
    const uint8_t *in = bytes, *extra;
    struct wire_header header;
    struct wire_record record;

    if (stop.kind == 0 || sending != stop.sending || !wire_get_header(in, count, &header))
        return;
    in += WIRE_HEADER_BYTES;
    count -= WIRE_HEADER_BYTES;
    while (count != 0 && wire_get_record(&in, &count, &record, &extra)) {
        if (record.kind != stop.kind)
            continue;
        printf("dsm: stopped, with a record of kind %u %s\n", record.kind,
               sending ? "to be sent" : "received");
        // Nobody sends to a set without ports.
        port_name_t set;
        struct message message;
        if (port_set_allocate(&set) == ERR_OK)
            for (;;)
                (void)msg_receive(&message, set, TIMEOUT_NONE);
    }
}
