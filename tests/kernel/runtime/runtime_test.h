// SPDX-License-Identifier: BSD-2-Clause
// The parts of the runtime's test.
#pragma once

// Prints a line of TAP and counts.
void ok(int passed, const char *text);

void test_server(void);
void test_pager(void);
