// SPDX-License-Identifier: GPL-2.0-only
// The few parts of the native runtime that the server shares; the rest of it needs a C library.
#include "lib/message.c"
#include "lib/x86/entropy.c"
