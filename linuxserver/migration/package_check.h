// SPDX-License-Identifier: GPL-2.0-only
// Whether the records of a package say what a process can have.
#pragma once

struct migration_package;

// NULL, or what is wrong. The sections are where `package` says.
const char *package_check(const struct migration_package *package);
