// SPDX-License-Identifier: BSD-2-Clause
// Constants and structures of segments.def.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SEGMENT_NAME_MAX 255u
// Offsets of pages and their ends are never near the end of what 64 bits can tell.
#define SEGMENT_SIZE_MAX (1ull << 40)
#define SEGMENT_MODE_MAX 07777u

// For segment_rename.
#define SEGMENT_NO_REPLACE 1u // the new name is there already: IN_USE
#define SEGMENT_EXCHANGE   2u // both names are there, and change places

// For segment_set.
#define SEGMENT_SET_MODE  1u
#define SEGMENT_SET_UID   2u
#define SEGMENT_SET_GID   4u
#define SEGMENT_SET_SIZE  8u
#define SEGMENT_SET_TIMES 16u
#define SEGMENT_SET_ALL   31u

// What segment_list tells of each name. The next one follows at the next multiple of eight bytes
// behind the name.
struct segment_entry {
    uint64_t segment;
    uint64_t size;
    uint32_t mode, uid, gid;
    uint32_t name_bytes;
    // the name, without a zero byte behind it
};
_Static_assert(sizeof(struct segment_entry) == 32, "ABI");

static inline size_t segment_entry_bytes(size_t name_bytes)
{
    return sizeof(struct segment_entry) + ((name_bytes + 7) & ~(size_t)7);
}

// What happens to a page, as one node sees it. The core's numbers (dsm/core/dsm.h) and one.
// SEGMENT_EVENTS(E): E(NAME, number, "text")
#define SEGMENT_EVENTS(E)                                                                          \
    E(READ, 1, "got a copy for reading from `other`")                                              \
    E(OWN, 2, "got the right to write from `other`")                                               \
    E(DROP, 3, "gave up its copy because `other` writes")                                          \
    E(SEND, 4, "sent the page for reading to `other`")                                             \
    E(SURRENDER, 5, "handed the page over to `other`")                                             \
    E(RECOVER, 6, "its copy became the page")                                                      \
    E(LOST, 7, "as manager: the newest data are lost")

#define SEGMENT_EVENT_NUMBER(name, number, text) SEGMENT_EVENT_##name = (number),
enum segment_event { SEGMENT_EVENTS(SEGMENT_EVENT_NUMBER) };
#undef SEGMENT_EVENT_NUMBER

struct segment_trace_record {
    uint64_t time;    // nanoseconds since 1970
    uint64_t segment; // its number
    uint64_t page;    // number of the page in the segment
    uint8_t event;    // enum segment_event
    uint8_t node;     // where it happened
    uint8_t other;    // 0: no other one
    uint8_t padding[5];
};
_Static_assert(sizeof(struct segment_trace_record) == 32, "ABI");

// SEGMENT_COUNTERS(C): C(name, "text"), in the order of segment_statistics. The first of them, up
// to `taken_over`, are of one segment, or the sums of all; the others are 0 for one segment.
#define SEGMENT_COUNTERS(C)                                                                        \
    C(read_faults, "requests of caches to read")                                                   \
    C(write_faults, "requests of caches to write")                                                 \
    C(local, "of these, satisfied without a message")                                              \
    C(failed, "of these, ended in an error")                                                       \
    C(data_received, "pages that came with data")                                                  \
    C(upgrades, "rights to write that came without data")                                          \
    C(zeroes, "pages that came as zeroes, without data")                                           \
    C(data_sent, "pages sent with data")                                                           \
    C(invalidations, "copies given up because another node writes")                                \
    C(surrendered, "owned pages handed over to another node")                                      \
    C(waits, "requests sent to managers")                                                          \
    C(wait_ns, "nanoseconds between a cache's request and its answer, when it was remote")         \
    C(prefetched, "neighbours that came without being waited for")                                 \
    C(prefetch_used, "of these, asked for later")                                                  \
    C(migrations, "reads that were given the right to write at once")                              \
    C(holds, "times that a page was held because it is fought for")                                \
    C(repeats, "messages repeated after a time")                                                   \
    C(recovered, "pages whose owner died and a reader's copy took over")                           \
    C(lost, "pages whose newest data died")                                                        \
    C(taken_over, "pages asked for because another node is short of memory")                       \
    C(messages_sent, "messages about pages to other nodes")                                        \
    C(messages_received, "messages about pages of other nodes")                                    \
    C(bytes_sent, "bytes of these messages")                                                       \
    C(stale, "messages of another view, life or generation")                                       \
    C(malformed, "and wrong ones")                                                                 \
    C(views, "times that nodes came or went")                                                      \
    C(stored, "pages that this node's server keeps itself, now")                                   \
    C(memory, "bytes that these and what is known of all pages take, now")                         \
    C(manager_unknown, "messages of cache managers that are not, or no longer, known")             \
    C(manager_malformed, "wrong messages of cache managers")                                       \
    C(peer_refused, "messages of other nodes that were not valid, or of an earlier life")          \
    C(demanded, "pages that caches were asked to give back, or to write to no more")               \
    C(demand_messages, "in so many messages")                                                      \
    C(returned, "pages with data that caches gave back")                                           \
    C(return_messages, "in so many messages")

// LOCK_COUNTERS(C), in the order of sync_statistics.
#define LOCK_COUNTERS(C)                                                                           \
    C(acquired, "locks acquired")                                                                  \
    C(acquired_cached, "of these, without a word to another node")                                 \
    C(handed_over, "locks that went to another node")                                              \
    C(waited, "acquisitions that had to wait")                                                     \
    C(owners_died, "locks whose owner died with them")                                             \
    C(barriers, "barriers and reductions passed")                                                  \
    C(semaphores, "semaphores waited for and posted to")                                           \
    C(messages_sent, "messages to other nodes")                                                    \
    C(messages_received, "messages of other nodes")

// For sync_lock and sync_wait.
#define LOCK_TRY 1u

// For sync_reduce. Sums wrap.
#define REDUCE_SUM        0u // of unsigned or signed integers
#define REDUCE_MIN        1u // of signed integers
#define REDUCE_MAX        2u
#define REDUCE_SUM_DOUBLE 3u // of IEEE 754 doubles
#define REDUCE_MIN_DOUBLE 4u
#define REDUCE_MAX_DOUBLE 5u
#define REDUCE_VALUES_MAX 32u
#define BARRIER_COUNT_MAX 65535u
