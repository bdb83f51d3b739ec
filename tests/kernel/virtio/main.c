// SPDX-License-Identifier: BSD-2-Clause
// What the tests of devices share, and the counting of tests.
#include "virtio_test.h"

#include "lib/virtio/pci.h"

#include <stdio.h>
#include <stdlib.h>

static unsigned tests, failures;

void ok(bool passed, const char *about, const char *text)
{
    printf("%sok %u - %s%s%s\n", passed ? "" : "not ", ++tests, about != NULL ? about : "",
           about != NULL ? ": " : "", text);
    if (!passed)
        failures++;
}

static bool claim(struct driven *driven, uint16_t type, uint64_t *number)
{
    corvus_error_t error = virtio_native_find(type, *number, number);

    if (error == ERR_OK)
        error = virtio_native_claim(&driven->native, *number);
    if (error == ERR_OK)
        error = port_allocate_with_send(0, &driven->port, &driven->send);
    if (error != ERR_OK)
        printf("# no device of type %u: error %d\n", type, error);
    return error == ERR_OK;
}

bool drive(struct driven *driven, uint16_t type, uint64_t *number, const char *about)
{
    *driven = (struct driven){0};
    bool claimed = claim(driven, type, number);
    ok(claimed, about, "found and claimed");
    if (!claimed)
        return false;
    enum virtio_error opened = virtio_native_open(&driven->native);
    if (opened != VIRTIO_OK)
        printf("# %s\n", virtio_error_text(opened));
    ok(opened == VIRTIO_OK, about, "opened");
    corvus_error_t error =
        virtio_native_attach(&driven->native, driven->send, EVENT_CONFIG, EVENT_QUEUE);
    ok(error == ERR_OK, about, "interrupts attached");
    if (opened == VIRTIO_OK)
        printf("# %s: device %lu is %s, interrupts by %s\n", about, *number,
               driven->native.device.transport->modern ? "modern" : "legacy",
               driven->native.line ? "line" : "MSI-X");
    return opened == VIRTIO_OK && error == ERR_OK;
}

bool wait_for_queues(struct driven *driven)
{
    struct message message;

    for (driven->waits++;;) {
        if (msg_receive(&message, driven->port, EVENT_TIMEOUT) != ERR_OK ||
            message.id != MESSAGE_ID_EVENT)
            return false;
        if (virtio_native_interrupt(&driven->native, message.words[0]) & VIRTIO_INTERRUPT_QUEUE)
            return true;
    }
}

int main(void)
{
    test_disks();
    test_console();
    test_network();
    printf("1..%u\n", tests);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
