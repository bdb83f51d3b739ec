/* SPDX-License-Identifier: GPL-2.0-only */
/* See stdint.h. */
#include <linux/string.h>
