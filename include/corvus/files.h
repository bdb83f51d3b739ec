// SPDX-License-Identifier: BSD-2-Clause
// Constants of the file pager (files.def).
#pragma once

#define FILES_NAME     "files"
#define FILES_SIZE_MAX (64ull << 20)
