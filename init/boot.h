// SPDX-License-Identifier: BSD-2-Clause
// What the boot loader handed over, checked once: modules by their names, and
// words of the command line.
#pragma once

#include "config_words.h"

#include <corvus/boot.h>
#include <corvus/error.h>

// NULL when the kernel left nothing that makes sense.
const struct boot_information *boot_check(void);

// The module whose arguments have `name=NAME`, or NULL.
const struct boot_module *boot_find_module(const char *name);

// A module's name; empty when it has none.
void boot_module_name(const struct boot_module *module, char *name, size_t bytes);

// The words of a module's arguments behind its path, `name=` left out, one after
// the other as `next` counts up from 0. NULL: no more. Valid until the next call.
const char *boot_module_argument(const struct boot_module *module, uint32_t next);

// The value of `key=value` on the command line ("" for a bare `key`), or NULL.
// Valid until the next call.
const char *boot_option(const char *key);
