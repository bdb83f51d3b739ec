// SPDX-License-Identifier: BSD-2-Clause
// What a program finds on its stack when it starts: arguments, environment and
// auxiliary vector (System V ABI, AMD64 supplement, section 3.4.1).
#pragma once

#include "boot.h"
#include "config.h"
#include "elf.h"

struct arguments_block {
    const void *start; // valid until the next call
    uint64_t bytes;    // a multiple of 16
};

// Builds the block so that it is right when it ends at address `top`. Arguments
// are the server's name, those of the configuration, where `$key` at the start of
// a word stands for the value of `key=` on the boot command line, and those of
// the boot module. False when there are too many.
bool arguments_build(const struct config_server *server, const struct boot_module *module,
                     const struct elf_program *program, uint64_t top,
                     struct arguments_block *block);
