/* SPDX-License-Identifier: GPL-2.0-only */
/* What include/corvus/ wants of a C library, from Linux's own headers. */
#include <linux/types.h>
#define UINT64_MAX U64_MAX
