// SPDX-License-Identifier: GPL-2.0-only
// What programs find when they ask the processor what it can do (CPUID, XGETBV), as far as they go
// on using it: instructions and vector state.
#pragma once

#include <linux/types.h>

#include "linuxserver/migration/package.h"

void features_read(u32 features[PACKAGE_FEATURES], u64 *xcr0);
