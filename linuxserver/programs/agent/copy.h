// SPDX-License-Identifier: GPL-2.0-only
// File copies: the agent as the process of a session, with an archive on its
// standard input or output. Both return an exit status; what went wrong is on
// standard error.
#pragma once

#include <stdbool.h>

// Unpacks into the folder at path; when there is none there and into_folder is
// false, the archive's one top entry gets that path.
int copy_in(const char *path, bool into_folder);

// Packs files and folders, each under the last part of its path.
int copy_out(char **paths);
