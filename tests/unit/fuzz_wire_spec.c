// SPDX-License-Identifier: BSD-2-Clause
// sources: deploy/wire/spec.c
// Any bytes as a text of impairments: no crash, values within their bounds, a complaint of one line
// when it is refused, and what was read is printed so that it is read as the same.
#include "deploy/wire/spec.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_link(const struct impairments *link)
{
    uint64_t longest = SPEC_SECONDS_MAX * UINT64_C(1000000000);
    require(link->loss >= 0 && link->loss <= 1 && link->duplicate >= 0 && link->duplicate <= 1);
    require(link->reorder >= 0 && link->reorder <= 1);
    require(link->bit_error >= 0 && link->bit_error <= 1);
    require(link->delay <= longest && link->jitter <= longest && link->queue <= SPEC_QUEUE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wire_spec spec, again;
    static char printed[SPEC_TEXT_BYTES], reprinted[SPEC_TEXT_BYTES];
    static char text[2048];
    char message[SPEC_MESSAGE_BYTES];
    if (size < 1 || size > sizeof text)
        return 0;
    unsigned ports = 2 + data[0] % (WIRE_PORTS_MAX - 1);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (!spec_parse(text, ports, &spec, message)) {
        require(message[0] != '\0' && strlen(message) < SPEC_MESSAGE_BYTES);
        return 0;
    }
    for (unsigned from = 0; from < ports; from++)
        for (unsigned to = 0; to < ports; to++)
            check_link(&spec.links[from][to]);
    require(spec_print(&spec, ports, printed) == strlen(printed));
    require(spec_parse(printed, ports, &again, message));
    require(spec_print(&again, ports, reprinted) == strlen(reprinted));
    require(strcmp(printed, reprinted) == 0);
    return 0;
}
