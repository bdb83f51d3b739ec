// SPDX-License-Identifier: BSD-2-Clause
// Code that threads and guests of the fuzzer's making run. It uses no stack and
// no memory, so that it can be started anywhere, any number of times.
#pragma once

// Serves the port or set named in rdi: answers everything with two words. Ends
// itself (by an exception) when receiving fails.
void helper_server(void);

// A thread that computes for some time, touches the vector unit, and ends.
void helper_worker(void);

// What a guest runs: system calls, then an exception.
void helper_guest(void);
