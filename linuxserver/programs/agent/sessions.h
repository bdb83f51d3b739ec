// SPDX-License-Identifier: GPL-2.0-only
// All sessions of one channel, and the loop that serves them.
#pragma once

// Returns only when it cannot go on: 1, with the reason on standard error.
int serve_channel(const char *path);
