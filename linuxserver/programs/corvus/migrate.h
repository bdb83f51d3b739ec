// SPDX-License-Identifier: GPL-2.0-only
// What the sub-commands about migration share.
#pragma once

#include <corvus/migrate.h>
#include <stdbool.h>

// The migration driver's device; -1: it cannot be had, which has been said.
int migrate_device(void);

// node2 or 2.
bool migrate_parse_node(const char *text, uint32_t *node);
