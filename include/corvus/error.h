// SPDX-License-Identifier: BSD-2-Clause
// Every error that a Corvus system call, kernel service or system server can
// answer. One list, from which come the enum, the texts and the table in the
// generated ABI reference. 0 is success; numbers are part of the ABI and are
// never reused.
#pragma once

// CORVUS_ERRORS(E): E(NAME, number, "text")
#define CORVUS_ERRORS(E)                                                                           \
    E(OK, 0, "success")                                                                            \
    E(INVALID_NAME, 1, "no right of that name, or a stale name")                                   \
    E(INVALID_RIGHT, 2, "the right exists but is not of the kind asked for")                       \
    E(INVALID_ARGUMENT, 3, "an argument is out of its documented range")                           \
    E(INVALID_RANGE, 4, "an address range is misaligned, empty, wraps, or leaves user space")      \
    E(UNKNOWN_SERVICE, 5, "the object has no service of that id")                                  \
    E(NO_MEMORY, 6, "the kernel-memory quota that would be charged is exhausted")                  \
    E(RIGHTS_FULL, 7, "the rights table of the task that would get the right is full")             \
    E(PEER_DIED, 8, "the port, or the task that owed the reply, is dead")                          \
    E(NO_REPLY, 9, "the reply right was destroyed unused")                                         \
    E(TIMED_OUT, 10, "the deadline passed")                                                        \
    E(WOULD_BLOCK, 11, "not possible now, and the caller asked not to wait")                       \
    E(ABORTED, 12, "the wait was ended by thread_abort")                                           \
    E(ACCESS_DENIED, 13, "the caller's own mapping does not have the access it would give")        \
    E(LOCAL_ONLY, 14, "takes or gives the caller's memory: refused for another node's caller")     \
    E(NOT_MAPPED, 15, "nothing is mapped there")                                                   \
    E(IN_USE, 16, "the object, range or name is occupied")                                         \
    E(TOO_LARGE, 17, "larger than the receiver's declared buffer, window or the ABI's limit")      \
    E(FAULT, 18, "a page of a memory item could not be brought in by its owner's pager")           \
    E(NOT_SUPPORTED, 19, "this machine cannot do it")                                              \
    E(NOT_FOUND, 20, "no such thing is known under that key")                                      \
    E(TERMINATED, 21, "the task or thread named has been terminated")                              \
    E(STATE, 22, "a hostile or inconsistent register state was refused")                           \
    E(PROTOCOL, 23, "the peer answered something that its protocol does not allow")

#define CORVUS_ERROR_ENUM(name, number, text) ERR_##name = (number),
typedef enum corvus_error { CORVUS_ERRORS(CORVUS_ERROR_ENUM) ERR_COUNT } corvus_error_t;
#undef CORVUS_ERROR_ENUM
