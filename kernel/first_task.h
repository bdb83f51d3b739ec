// SPDX-License-Identifier: BSD-2-Clause
// The first task, made by the kernel: holds all memory, all quota, and the
// machine's ports. Everything else is made from it.
#pragma once

struct boot_info;

void first_task_start(const struct boot_info *boot);
