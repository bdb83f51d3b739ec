// SPDX-License-Identifier: BSD-2-Clause
// What the kernel prints may be read by those who may not know everything in it.
#pragma once

// Writes "*" in place of the value of each word `NAME=VALUE` of which the name ends in "key",
// inside quotes, too. A value ends with a space, or where its quotes do. In place: the text
// becomes no longer.
void secrets_hide(char *text);
