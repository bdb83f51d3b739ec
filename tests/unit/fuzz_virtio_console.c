// SPDX-License-Identifier: BSD-2-Clause
// sources: lib/virtio/console.c lib/virtio/console_control.c lib/virtio/console_port.c
// sources: lib/virtio/device.c lib/virtio/pci.c lib/virtio/pci_legacy.c lib/virtio/virtqueue.c
// sources: tests/unit/virtio/model.c tests/unit/virtio/model_pci.c
// sources: tests/unit/virtio/model_console.c
// A host that sends any control messages and any data, with lengths that may be
// lies, between the driver's reads and writes.
#include "lib/virtio/console.h"
#include "virtio/model_console.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PORTS 3

struct input {
    const uint8_t *bytes;
    size_t left;
};

static uint8_t next(struct input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->bytes++;
}

// Any bytes as a control message, of any length up to the buffer's.
static void send_control(struct console_model *host, struct input *input)
{
    static struct model_chain chain;
    uint8_t bytes[160] = {0};
    uint8_t length = next(input);

    for (unsigned i = 0; i < 10; i++)
        bytes[i] = i == 1 || i == 2 || i == 3 || i == 5 ? 0 : next(input);
    memset(bytes + 10, next(input), sizeof bytes - 10);
    if (!model_pop(&host->model, 2, &chain))
        return;
    model_write_chain(&host->model, &chain, 0, bytes, sizeof bytes);
    model_push(&host->model, 2, chain.head, length);
}

static void send_data(struct console_model *host, struct input *input, uint32_t port)
{
    static struct model_chain chain;
    uint32_t length = next(input);

    if (!model_pop(&host->model, console_receive_queue(port), &chain))
        return;
    model_push(&host->model, console_receive_queue(port), chain.head, length);
}

static void act(struct console_model *host, struct virtio_console *console, struct input *input)
{
    uint8_t bytes[64] = {0};
    bool hangup;
    uint8_t what = next(input);
    uint32_t port = (what >> 4) % PORTS;

    switch (what % 10) {
    case 0:
    case 1:
        send_control(host, input);
        break;
    case 2:
        send_data(host, input, port);
        break;
    case 3:
        (void)virtio_console_read(console, port, bytes, next(input) % sizeof bytes, &hangup);
        break;
    case 4:
        (void)virtio_console_write(console, port, bytes, next(input) % sizeof bytes);
        virtio_console_commit(console, port);
        break;
    case 5:
        virtio_console_attach(console, port);
        break;
    case 6:
        virtio_console_detach(console, port);
        break;
    case 7:
        console_model_receive(host, port);
        host->ports[port].from_guest_count = 0;
        break;
    case 8:
        if (virtio_console_is_broken(console) || next(input) == 0)
            MODEL_CHECK(virtio_console_restart(console) == VIRTIO_OK);
        break;
    default:
        model_push_raw(&host->model, next(input) % 8, next(input), next(input), next(input));
    }
    virtio_console_poll(console);
    for (uint32_t i = 0; i < PORTS; i++) {
        if (memchr(console->ports[i].name, 0, sizeof console->ports[i].name) == NULL)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct console_model host;
    struct virtio_console_sizes sizes = {
        .ports = PORTS,
        .receive_buffers = 4,
        .receive_bytes = 32,
        .transmit_buffers = 2,
        .transmit_bytes = 16,
    };
    struct virtio_device device;
    struct virtio_console console;
    struct input input = {.bytes = data, .left = size};

    console_model_initialize(&host, MODEL_MODERN,
                             CONSOLE_F_PORTS | VIRTIO_F_INDIRECT | VIRTIO_F_EVENT_INDEX, 8);
    host.model.lies = true;
    struct virtio_platform platform = model_platform(&host.model);
    MODEL_CHECK(virtio_pci_open(&device, &platform) == VIRTIO_OK);
    MODEL_CHECK(virtio_console_open(&console, &device, &sizes) == VIRTIO_OK);
    struct virtio_memory memory = model_memory(&host.model, virtio_console_shared_bytes(&console),
                                               virtio_console_own_bytes(&console));
    MODEL_CHECK(virtio_console_start(&console, &memory) == VIRTIO_OK);
    while (input.left > 0)
        act(&host, &console, &input);
    model_memory_free(&memory);
    console_model_destroy(&host);
    return 0;
}
