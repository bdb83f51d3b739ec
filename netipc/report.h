// SPDX-License-Identifier: BSD-2-Clause
// How this node sees its cluster, and what it has counted: operations of netname
// (include/corvus/netname.def).
#pragma once

#include <corvus/error.h>

#include <stddef.h>
#include <stdint.h>

corvus_error_t report_cluster(uint64_t label, uint64_t *number, uint64_t *nodes, uint64_t *live,
                              uint64_t *majority, uint64_t *incarnation);
corvus_error_t report_node(uint64_t label, uint64_t other, uint64_t *state, uint64_t *incarnation,
                           uint64_t *sessions, uint64_t *imports, uint64_t *exports);
corvus_error_t report_counters(uint64_t label, uint64_t first, uint64_t *values, size_t *count);
