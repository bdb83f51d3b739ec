// SPDX-License-Identifier: BSD-2-Clause
// What lwIP wants to know of the compiler and platform; see its doc/sys_arch.txt.
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define LWIP_PLATFORM_DIAG(text) printf text

// A failed assertion of lwIP ends the task, which is started again.
#define LWIP_PLATFORM_ASSERT(text)                                                                 \
    do {                                                                                           \
        printf("net: lwIP: %s (%s:%d)\n", (text), __FILE__, __LINE__);                             \
        abort();                                                                                   \
    } while (0)

struct pbuf;
// netipc/transport_admission.c. 1: the packet is not wanted, and has been freed.
int transport_input_hook(struct pbuf *packet);

uint32_t network_random(void);
#define LWIP_RAND() network_random()

uint16_t network_checksum(const void *data, int bytes);
#define LWIP_CHKSUM network_checksum

void *network_heap_allocate(size_t bytes);
void *network_heap_allocate_zeroed(size_t count, size_t bytes);
void network_heap_free(void *piece);
