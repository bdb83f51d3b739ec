// SPDX-License-Identifier: BSD-2-Clause
// The message: its tag, the user thread's message page (UTCB) and the two
// system calls. One trap carries an optional send and an optional receive.
//
// Registers at `syscall`                    at return
//   rax  tag (below)                          tag of what arrived, or the error
//   rdi  destination right                    label of the port it arrived on, 0 for a reply
//   rsi  port or port set to receive from     0
//   rdx  message id (32 bits)                 message id; bits 32..63 are not defined
//   r8 r9 r10 r12 r13 r14   words 0..5        words 0..5
//   rbx rbp r15 rsp are kept; rcx and r11 are lost.
// Words 6..63, rights, items, deadlines and buffers are in the message page,
// which a native thread finds at its GS base.
#pragma once

#include <corvus/error.h>
#include <corvus/types.h>

// --- The tag -------------------------------------------------------------
#define TAG_WORDS_MASK   0x7full // bits 0..6: words in the message, 0..64
#define TAG_RIGHTS_SHIFT 8       // bits 8..11: rights, 0..8
#define TAG_RIGHTS_MASK  (0xfull << TAG_RIGHTS_SHIFT)
#define TAG_ITEMS_SHIFT  12 // bits 12..14: memory items, 0..4
#define TAG_ITEMS_MASK   (0x7ull << TAG_ITEMS_SHIFT)
#define TAG_SEND         (1ull << 16) // there is a send phase
#define TAG_RECEIVE      (1ull << 17) // there is a receive phase
#define TAG_RPC          (1ull << 18) // receive = wait for the reply to this very message
#define TAG_REPLY                                                                                  \
    (1ull << 19) // destination is the thread's reply slot. On receipt: the slot is filled
#define TAG_SEND_DEADLINE    (1ull << 20) // utcb.send_deadline bounds the send phase
#define TAG_RECEIVE_DEADLINE (1ull << 21) // utcb.receive_deadline bounds the receive phase
#define TAG_REPLY_RIGHT      (1ull << 22) // utcb.reply names the reply right to hand over
#define TAG_NOTIFY           (1ull << 23) // not a message: OR word 0 into the port's event bits
#define TAG_VCPU_RUN         (1ull << 24) // the second system call; see vcpu.h
#define TAG_FOREIGN                                                                                \
    (1ull << 25)             // with TAG_RPC: asked for somebody on another node, whose memory is
                             // not the caller's: services that take or give that are refused
#define TAG_ERROR_SHIFT   32 // on return: bits 32..39, an enum corvus_error
#define TAG_ERROR_MASK    (0xffull << TAG_ERROR_SHIFT)
#define TAG_ERROR_RECEIVE (1ull << 40) // the error happened in the receive phase

#define TAG_CALL          (TAG_SEND | TAG_RECEIVE | TAG_RPC)
#define TAG_REPLY_RECEIVE (TAG_SEND | TAG_RECEIVE | TAG_REPLY)
#define TAG_RIGHTS(n)     ((uint64_t)(n) << TAG_RIGHTS_SHIFT)
#define TAG_ITEMS(n)      ((uint64_t)(n) << TAG_ITEMS_SHIFT)
#define TAG_ERROR(tag)    ((corvus_error_t)(((tag)&TAG_ERROR_MASK) >> TAG_ERROR_SHIFT))
// Deadlines are absolute, in nanoseconds of the clock page. 0 means: do not
// wait. Without the tag bit the phase waits for ever.

// --- Message ids of the kernel's own messages -----------------------------
// Nothing keeps others with a send right from using these ids: a port that the
// kernel is to send to (pager, exceptions, notices) should be given to nobody else.
#define MESSAGE_ID_EVENT         0xffff0001u // word 0: event bits since the last one
#define MESSAGE_ID_PAGE_FAULT    0xffff0002u // struct page_fault_message; answer: MAP item or error
#define MESSAGE_ID_EXCEPTION     0xffff0003u // struct exception_message; answer: word 0
#define MESSAGE_ID_DEAD_NAME     0xffff0004u // word 0: the name it was asked for
#define MESSAGE_ID_NO_SENDERS    0xffff0005u // word 0: label of the port
#define MESSAGE_ID_SEND_POSSIBLE 0xffff0006u // word 0: the name it was asked for

// Kinds of notification for task_request_notification.
#define NOTIFY_DEAD_NAME     1u
#define NOTIFY_NO_SENDERS    2u
#define NOTIFY_SEND_POSSIBLE 3u

#ifndef __ASSEMBLER__

// A right in a message. Sending: name in the sender's table and how it
// travels. Received: the new name and what it is (RIGHT_*).
struct message_right {
    uint32_t name;
    uint32_t disposition;
};

// A memory item.
// COPY: [address, length), which must be ordinary memory, is copied into the receiver's copy buffer
// of the
//   same index; received: address and length of what arrived.
// MAP, GRANT: the pages of [address, length) appear in the receiver's window
//   at `offset` from its start, with `access` (which the sender must have).
struct message_item {
    uint32_t kind;   // ITEM_*
    uint32_t access; // ACCESS_*; MAP and GRANT only
    uint64_t address;
    uint64_t length;
    uint64_t offset;
};
#define ITEM_COPY  1u
#define ITEM_MAP   2u
#define ITEM_GRANT 3u

// Where the receiver lets memory arrive. Length 0: nowhere.
struct message_buffer {
    uint64_t address;
    uint64_t length;
};

// A thread's message page: one page of kernel memory mapped into its task.
struct utcb {
    uint64_t words[MESSAGE_WORDS]; // words 6.. of the message sent or received
    struct message_right rights[MESSAGE_RIGHTS];
    struct message_item items[MESSAGE_ITEMS];
    struct message_buffer copy_buffers[MESSAGE_ITEMS]; // read at receive
    struct message_buffer map_window;                  // read at receive
    struct message_right reply;                        // with TAG_REPLY_RIGHT
    uint64_t send_deadline;
    uint64_t receive_deadline;
    uint64_t reserved[23];
    struct utcb *self;  // user address of this page, written once by the kernel
    uint8_t user[3096]; // never touched by the kernel
};
_Static_assert(sizeof(struct utcb) == PAGE_BYTES, "one page");
_Static_assert(offsetof(struct utcb, rights) == 0x200, "ABI");
_Static_assert(offsetof(struct utcb, items) == 0x240, "ABI");
_Static_assert(offsetof(struct utcb, copy_buffers) == 0x2c0, "ABI");
_Static_assert(offsetof(struct utcb, map_window) == 0x300, "ABI");
_Static_assert(offsetof(struct utcb, reply) == 0x310, "ABI");
_Static_assert(offsetof(struct utcb, send_deadline) == 0x318, "ABI");
_Static_assert(offsetof(struct utcb, self) == 0x3e0, "ABI");
#define UTCB_SELF_OFFSET 0x3e0

// Body of MESSAGE_ID_PAGE_FAULT (words). The thread waits until the pager
// answers. An answer without error whose MAP items name, in `offset`, absolute
// addresses of the faulting task resumes it; an answer with a non-zero word 0
// (an enum corvus_error) turns the fault into an exception.
struct page_fault_message {
    uint64_t address; // faulting address
    uint64_t access;  // ACCESS_* that was missing (execute, write, or read)
    uint64_t ip;      // instruction pointer
    uint64_t thread;  // kernel id of the thread, as thread_info tells it
};

// Body of MESSAGE_ID_EXCEPTION. Answer: word 0 = EXCEPTION_RESUME continues
// the thread with its (perhaps changed, by thread_set_state) registers; any
// other answer, and any failure to get one, terminates the thread.
struct exception_message {
    uint64_t vector; // processor vector, 14 for a page fault the pager refused
    uint64_t error_code;
    uint64_t ip;
    uint64_t address; // CR2 for vector 14
    uint64_t thread;
    uint64_t reason; // for vector 14: the pager's enum corvus_error
};
#define EXCEPTION_TERMINATE 0u
#define EXCEPTION_RESUME    1u

#endif
