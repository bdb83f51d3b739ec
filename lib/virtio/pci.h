// SPDX-License-Identifier: BSD-2-Clause
// virtio over PCI (Virtual I/O Device 1.1, section 4.1): finding the registers of
// a function and the two ways in which they are laid out. Configuration space is
// the device's own word: lists are bounded, and each block of registers is checked
// against its base address register.
#pragma once

#include "device.h"

#define VIRTIO_PCI_VENDOR 0x1af4u

// The type of a device with these ids, 0 when it is none. `subsystem` tells it for
// devices that also work as legacy ones.
uint16_t virtio_pci_type(uint16_t vendor, uint16_t id, uint16_t subsystem);

// Finds the registers, prefers the modern ones, and resets the device, so that
// nothing of a former owner goes on. The platform's contents are copied.
enum virtio_error virtio_pci_open(struct virtio_device *device,
                                  const struct virtio_platform *platform);

extern const struct virtio_transport virtio_pci_modern, virtio_pci_legacy;

// pci_legacy.c, for virtio_pci_open: whether BAR 0 has a legacy device's ports.
enum virtio_error virtio_pci_open_legacy(struct virtio_device *device);
