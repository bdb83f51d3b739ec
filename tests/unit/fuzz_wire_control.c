// SPDX-License-Identifier: BSD-2-Clause
// sources: deploy/wire/control.c deploy/wire/spec.c
// Any line as a command: no crash, and ports and sizes that exist.
#include "deploy/wire/control.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct control_request request;
    static char line[CONTROL_LINE_BYTES];
    char message[SPEC_MESSAGE_BYTES];
    if (size < 1 || size > sizeof line)
        return 0;
    unsigned ports = 1 + data[0] % WIRE_PORTS_MAX;
    memcpy(line, data + 1, size - 1);
    line[size - 1] = '\0';
    if (!control_parse(line, ports, &request, message)) {
        require(message[0] != '\0' && strlen(message) < SPEC_MESSAGE_BYTES);
        return 0;
    }
    uint32_t all = (UINT32_C(1) << ports) - 1;
    switch (request.kind) {
    case CONTROL_CUT_GROUP:
        require(request.group != 0 && (request.group & ~all) == 0 && request.group != all);
        break;
    case CONTROL_CUT_LINK:
        require(request.from < ports && request.to < ports && request.from != request.to);
        break;
    case CONTROL_CAPTURE:
        require(request.file >= line && request.file < line + strlen(line));
        require(request.rotate == 0 || request.rotate >= CAPTURE_ROTATE_MIN);
        require(request.keep >= 1 && request.keep <= CAPTURE_KEEP_MAX);
        break;
    default:
        break;
    }
    return 0;
}
