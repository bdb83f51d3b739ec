// SPDX-License-Identifier: BSD-2-Clause
// Names, addresses and limits that kernel and user level share. Sizes are in
// bytes unless a name says otherwise.
#pragma once

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

// A right's name, local to one task: index (17 bits) << 15 | generation (15
// bits). The generation changes whenever the slot is freed, so that a stale
// name is caught. 0 is never a right.
typedef uint32_t port_name_t;
#endif

#define PORT_NULL            0u
#define NAME_GENERATION_BITS 15
#define NAME_INDEX_BITS      17
#define RIGHTS_MAX           (1u << NAME_INDEX_BITS)

// The first rights that a task gets, in this order: by the kernel for the
// first task, by its creator (task_insert_right) for every other native task.
#define NAME_AT(index)       ((index) << NAME_GENERATION_BITS)
#define NAME_TASK_SELF       NAME_AT(1u) // the task's own task port
#define NAME_BOOTSTRAP       NAME_AT(2u) // its creator's service port (PORT_NULL in the first task)
#define NAME_THREAD_MAIN     NAME_AT(3u) // port of its first thread
#define NAME_HOST            NAME_AT(4u) // host port: information, counters, trace
#define NAME_HOST_PRIVILEGED NAME_AT(5u) // only the first task: devices, physical memory

// What a right is, as task_right_info and received messages tell it.
#define RIGHT_NONE      0u
#define RIGHT_SEND      1u
#define RIGHT_SEND_ONCE 2u
#define RIGHT_RECEIVE   3u
#define RIGHT_PORT_SET  4u
#define RIGHT_DEAD      5u // a dead name: the port behind it has died

// How a right travels in a message (its disposition).
#define MOVE_SEND      1u // the sender's send right leaves its table
#define COPY_SEND      2u // the sender keeps its own
#define MAKE_SEND      3u // a new send right, made from a receive right
#define MAKE_SEND_ONCE 4u // a new send-once right, made from a receive right
#define MOVE_SEND_ONCE 5u // a send-once or saved reply right leaves
#define MOVE_RECEIVE   6u // the receive right itself; never buffered

// Access to memory.
#define ACCESS_READ    1u
#define ACCESS_WRITE   2u
#define ACCESS_EXECUTE 4u
#define ACCESS_ALL     7u

#define PAGE_BYTES       4096ull
#define LARGE_PAGE_BYTES (2ull << 20)

// User space is [0, USER_END). The last page below the canonical hole is left
// out so that no system call can return to a non-canonical address.
#define USER_END           0x7ffffffff000ull
#define CLOCK_PAGE_ADDRESS (USER_END - PAGE_BYTES)      // struct clock_page, in every native task
#define BOOT_INFO_ADDRESS  (USER_END - 16 * PAGE_BYTES) // struct boot_information, first task only
#define USER_MAP_END       BOOT_INFO_ADDRESS // maps, message pages and vCPU pages end here

#define MESSAGE_WORDS          64
#define MESSAGE_REGISTER_WORDS 6 // words 0..5 travel in registers
#define MESSAGE_RIGHTS         8
#define MESSAGE_ITEMS          4
#define GRANT_DERIVED_MAX                                                                          \
    2048 // a page that more mappings are derived from cannot be granted (IN_USE)
#define MESSAGE_COPY_MAX  (1ull << 20) // bytes of all COPY items of a message together
#define MESSAGE_MAP_PAGES 64           // mappings (of either size) that one MAP or GRANT item makes

#define PORT_BACKLOG_DEFAULT 16
#define PORT_BACKLOG_MAX     1024

#define TASK_DEPTH_MAX 32 // tasks made from tasks made from …

#define PRIORITY_COUNT   256 // 255 is the most urgent
#define PRIORITY_DEFAULT 128
