// SPDX-License-Identifier: GPL-2.0-only
// What a system call's arguments point to, as one block of memory that a process of another node
// can make the call with. No I/O, and nothing of Linux's: the host's tests compile the same files.
//
// The node where the process runs knows what the arguments mean, and describes the block by
// *pieces*; home gets numbers, puts the block anywhere, adds its address to the words that are
// pointers, and makes the call. The block is laid out
//
//      sent there            sent back
//     ┌────────────┬─────────────────┬──────────────────┐
//     │ in         │ there and back  │ out              │
//     └────────────┴─────────────────┴──────────────────┘
//     0            out_from          in_bytes           total
//
// so that each way it is one run of bytes. What a call fills in to the extent of its result comes
// last, and only that extent is sent.
#pragma once

#include "linuxserver/migration/calls.h"

#define MARSHAL_PIECES  16
#define MARSHAL_WORDS   4
#define MARSHAL_BYTES   (208u << 10) // of data that a call takes or gives at once; then it is short
#define MARSHAL_TOTAL   (248u << 10) // of a block
#define MARSHAL_VECTORS 1024         // iovecs (UIO_MAXIOV)
#define MARSHAL_PATH    4096         // bytes of a path, with the zero

// What goes over before the block. All of it is checked at home.
struct marshal_head {
    __u32 nr;
    __u32 in_bytes, out_from, total;
    __u32 result_from, result_unit, result_more; // from result_from on, result * unit + more bytes
    __u8 pointers;                               // arguments that are offsets into the block
    __u8 words;                                  // of the block that are
    __u8 always;                                 // the outputs are wanted whatever the result
    __u8 reserved;
    __u64 arguments[CALL_ARGUMENTS];
    __u32 word[MARSHAL_WORDS];
};

struct marshal_vector {
    __u64 base, length;
};

struct marshal_piece {
    __u64 user;      // where it is in the process
    const void *own; // or here
    __u32 bytes, at; // size and place in the block
    __u32 length_at; // where the block says afterwards how much of it is good; MARSHAL_NONE
    __u8 length_argument, length_offset; // which argument points to that, and how far from there
    __u8 in, out;                        // ways
    __u8 argument;                       // that points to it; CALL_NOWHERE
    __u8 always;                         // comes back whatever the result
    __u8 result;                         // as much as the result says comes back
    __u8 string;                         // ends with a zero
    __u8 vector;                         // spread over the vectors
    __u8 pointed;                        // 1 + piece that points to it, and where in that
    __u8 pointer_at;
};

#define MARSHAL_NONE 0xffffffffu

// A call that is being made. Of the caller; to be released.
struct marshal {
    struct marshal_head head;
    struct marshal_piece pieces[MARSHAL_PIECES];
    unsigned int count;
    __u64 message[7];   // a msghdr as the process gave it, and as home gets it
    __u64 message_user; // where it is; 0: there is none
    __u64 single[2];    // the one iovec that home gets
    struct marshal_vector *vectors;
    unsigned int vector_count;
    _Bool clipped; // less data than was asked for
};

// The process's memory, and memory of the caller's. 0 or negative errors.
int marshal_get(void *to, __u64 from, __u64 bytes);
int marshal_put(__u64 to, const void *from, __u64 bytes);
int marshal_string(__u64 from, __u64 bytes); // its length with the zero; -ENAMETOOLONG
void *marshal_allocate(__u64 bytes);
void marshal_free(void *memory);

// Describes the call, whose arguments are as calls.def has them, or as `kinds` say. 0; -EFAULT;
// -E2BIG; -EINVAL; -ENAMETOOLONG; -ENOMEM; -ENOTTY, -ENOSYS: it takes what is not known.
int marshal_describe(struct marshal *m, __u32 nr, const __u64 arguments[CALL_ARGUMENTS]);
int marshal_describe_as(struct marshal *m, __u32 nr, const __u64 arguments[CALL_ARGUMENTS],
                        const struct call_argument kinds[CALL_ARGUMENTS]);

// The head.in_bytes bytes that go over.
int marshal_collect(struct marshal *m, __u8 *block);

// How many bytes come back with that result, of [out_from, total). Both nodes compute it.
__u32 marshal_back(const struct marshal_head *head, __s64 result);

// What came back into the process's memory. -EFAULT; -EPROTO: it does not fit the result.
int marshal_spread(const struct marshal *m, __s64 result, const __u8 *back, __u32 bytes);

void marshal_release(struct marshal *m);

// At home: whether the head with so many bytes behind it is one that can be worked with.
_Bool marshal_is_sound(const struct marshal_head *head, __u64 bytes);

// At home: the block, with its input, lies at `address` and is seen here as `block`: the words in
// it that are pointers, and the arguments.
void marshal_relocate(struct marshal_head *head, __u8 *block, __u64 address);

// --- marshal_special.c: arguments that say by other arguments what they are ----------------------

struct marshal_size {
    __s64 bytes; // -1: a value; other negative: error
    _Bool in, out;
};
struct marshal_size marshal_ioctl(__u32 command, __u64 argument);
struct marshal_size marshal_fcntl(__u32 command);
struct marshal_size marshal_semctl(__u32 command);

// For marshal.c: a new piece; NULL: too many.
struct marshal_piece *marshal_piece(struct marshal *m, __u64 user, __u64 bytes,
                                    unsigned int argument);
int marshal_vectors(struct marshal *m, __u64 user, __u64 count);
int marshal_message(struct marshal *m, unsigned int argument, _Bool out);
