// SPDX-License-Identifier: BSD-2-Clause
// Ports for Linux programs: the character device /dev/corvus. One request of it is the message
// system call (message.h), as far as a process of Linux can have it; so what is written against
// lib/message.h, lib/port.h and the generated stubs is the same program natively and on Linux
// (lib/linux).
//
// An open file is to its program what a task is natively: it has a table of rights of its own,
// whose names mean nothing elsewhere. fork and SCM_RIGHTS share the file; its last close drops all.
// Of the names that every native task has, these work as destinations of an RPC:
//   NAME_TASK_SELF    services of the task about names: ports, sets, rights, notifications
//   NAME_THREAD_MAIN  thread_save_reply
//   NAME_BOOTSTRAP    bootstrap_look_up (who lacks CAP_SYS_ADMIN: only of `netname`),
//                     supervisor_end_server (CAP_SYS_BOOT),
//                     bootstrap_real_time, node_statistics, node_server
//   NAME_HOST         host_info, host_counters, host_trace_mark
// Other services of these answer UNKNOWN_SERVICE.
//
// What differs from the native call:
// - Deadlines are those of CLOCK_MONOTONIC.
// - Memory travels by COPY only; MAP and GRANT are refused with NOT_SUPPORTED.
// - An RPC is always one of somebody else's memory (TAG_FOREIGN).
// - The reply slot is a name, which the program keeps for each of its threads (`reply`).
// - An error is errno, too: -1 with what lib/linux/README.md lists, and the tag holds
//   the number. A tag without error then means that there was no message system call: EINTR
//   (nothing has been sent if TAG_SEND is still set in the tag), EFAULT, ENOMEM.
// - A signal ends a wait with EINTR, or the call is begun again, as by sigaction (SA_RESTART). An
//   RPC that has been sent is not: it ends with ABORTED.
#pragma once

#include <corvus/message.h>

#define CORVUS_DEVICE        "/dev/corvus"
#define CORVUS_LINUX_VERSION 1u

// The part of a message page that a call reads and writes.
#define CORVUS_PAGE_BYTES offsetof(struct utcb, reserved)

struct corvus_call {
    uint64_t tag; // as at the system call; returned: as it returns
    uint64_t destination;
    uint64_t receive_from;
    uint64_t id;
    uint64_t words[MESSAGE_REGISTER_WORDS];
    uint64_t page;  // address of a struct utcb, of which CORVUS_PAGE_BYTES are used
    uint32_t reply; // name in the reply slot, PORT_NULL: it is empty; returned: likewise
    uint32_t padding;
};
_Static_assert(sizeof(struct corvus_call) == 96, "ABI");

// How much of what is bounded is in use. The limits of a user hold for all but those with
// CAP_SYS_RESOURCE.
struct corvus_usage {
    uint32_t version;                    // CORVUS_LINUX_VERSION
    uint32_t names, names_max;           // of this file
    uint32_t user_names, user_max;       // of all files of the user who opened it
    uint32_t node_names, node_max;       // of all
    uint32_t workers, workers_busy;      // threads that wait in place of processes
    uint32_t workers_max;                // as many calls that wait at a time
    uint64_t node_bytes, node_bytes_max; // of COPY items on their way
    uint64_t server_rights;              // names of the Linux server's task, kernel included
};
_Static_assert(sizeof(struct corvus_usage) == 64, "ABI");

// A memory object (pager.def) as a file that can be mapped, read and written: of `object`, a send
// right of this file's table, `size` bytes. Returns its descriptor. Every file of one object shows
// the same pages. A page that its pager does not give is SIGBUS, or EIO for read and write.
struct corvus_map_object {
    uint64_t size; // what is beyond is not there
    uint32_t object;
    uint32_t flags; // 0
};
_Static_assert(sizeof(struct corvus_map_object) == 16, "ABI");

// What has become of an object here, asked of such a file.
struct corvus_object_status {
    uint64_t pages;     // cached
    uint64_t requests;  // for data
    uint64_t unlocks;   // for more access
    uint64_t written;   // pages sent back
    uint64_t evicted;   // pages that went because memory was wanted
    uint64_t late;      // messages of another incarnation
    uint64_t nonsense;  // messages that the protocol does not allow
    uint64_t timed_out; // faults that were given up
    uint64_t errors;    // requests answered by an error
    uint64_t lost;      // messages that the pager did not take in time, or at all
    uint64_t pinned;    // pages taken away though somebody had not let go of them
    uint64_t dead;      // 1: the pager has died, or does not want us
};
_Static_assert(sizeof(struct corvus_object_status) == 96, "ABI");

// As Linux's own _IOC makes them.
#define CORVUS_REQUEST(direction, number, type)                                                    \
    ((uint32_t)(direction) << 30 | (uint32_t)sizeof(type) << 16 | 0xc7u << 8 | (number))

#define CORVUS_MESSAGE CORVUS_REQUEST(3, 1, struct corvus_call)
// A descriptor for poll and its relations: readable while the port, or a port of the set, of that
// name has a message; POLLHUP when it is no more. Closed like any other; it holds no right.
#define CORVUS_PORT_FILE     CORVUS_REQUEST(1, 2, uint32_t)
#define CORVUS_USAGE         CORVUS_REQUEST(2, 3, struct corvus_usage)
#define CORVUS_MAP_OBJECT    CORVUS_REQUEST(1, 4, struct corvus_map_object)
#define CORVUS_OBJECT_STATUS CORVUS_REQUEST(2, 5, struct corvus_object_status)
