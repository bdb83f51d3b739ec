// SPDX-License-Identifier: BSD-2-Clause
// Constants of the protocol between pagers and cache managers (pager.def).
#pragma once

#include <corvus/types.h>

// Data that one message carries at most.
#define PAGER_DATA_MAX (256ull << 10)

// Nanoseconds after which a cache manager gives up a request that is not answered. When it learns
// that the pager's port or node is dead it need not wait that long, but PAGER_DEAD_LIMIT at most.
#define PAGER_REQUEST_LIMIT (30ull * 1000000000)
#define PAGER_DEAD_LIMIT    (2ull * 1000000000)

// Set in the sequence numbers that a pager chooses itself, clear in a cache manager's.
#define PAGER_SEQUENCE_OWN (1ull << 63)

// Flags of pager_data_provided and pager_data_unavailable.
#define PAGER_PRECIOUS                                                                             \
    1u // the pager keeps no copy: when the page goes it is sent back, changed or not

// What becomes of pages when nothing maps the object any more.
#define PAGER_CACHE_NOT  0u // they go back, and the object is forgotten
#define PAGER_CACHE_KEEP 1u // they may be kept
// They may be kept, and the cache manager says pager_idle, so that a pager that wants them no more
// can end the object without their being sent back first. A manager may also let them go.
#define PAGER_CACHE_IDLE 2u

// Flags of pager_data_lock.
#define PAGER_RETURN   1u // changed (and precious) data are sent first, by pager_data_write
#define PAGER_COMPLETE 2u // pager_lock_completed is sent when it has been done
