// SPDX-License-Identifier: BSD-2-Clause
// Plain messages in order to one port, without ever waiting for its receiver: what cannot be sent
// at once is sent by a thread. For servers that must go on serving while a client, or another
// server, is slow to receive. Works for native tasks and for Linux programs.
//
// One thread at a time calls the functions of one outbox.
//
// All outboxes of a task share a few threads (OUTBOX_THREADS), each busy with one outbox at a time.
#pragma once

#include "lib/message.h"

#define OUTBOX_WORDS   32u
#define OUTBOX_RIGHTS  3u
#define OUTBOX_THREADS 16u

struct outbox_message {
    uint32_t id;
    uint32_t word_count;
    uint32_t right_count;
    uint64_t words[OUTBOX_WORDS];
    struct message_right
        rights[OUTBOX_RIGHTS]; // go when the message goes, not before; see outbox_send
    const void *data;          // of the COPY item; NULL: there is none
    size_t bytes;
    // Called when `data` is not needed any more, perhaps on another thread, with the outcome. NULL:
    // data that must wait are copied.
    void (*sent)(void *argument, corvus_error_t error);
    void *argument;
};

// What happens when the receiver is dead, refuses a message or takes none for the time limit:
// called once, perhaps on another thread. After that everything that is sent is dropped.
typedef void (*outbox_broken)(void *argument, corvus_error_t error);

struct outbox;

// `to` is a send right, which becomes the outbox's own. `limit`: nanoseconds that one message may
// wait at the head of the queue. NULL: no memory, and the right is still the caller's.
struct outbox *outbox_open(port_name_t to, uint64_t limit, outbox_broken broken, void *argument);

// Sends now, or later. NO_MEMORY: the message was not taken. Any other error: the outbox is broken,
// and this is why. When the message is not taken, or cannot be sent later, rights that move are
// given up by the outbox; `sent` is called in every case.
corvus_error_t outbox_send(struct outbox *outbox, const struct outbox_message *message);

// Gives the outbox up. What is queued is still sent (`drain`) or dropped. `broken` is not called
// any more once this has returned; `sent` is.
void outbox_close(struct outbox *outbox, bool drain);

// Whether there is anything that has not gone yet.
bool outbox_busy(struct outbox *outbox);

// Who is told from now on when it breaks. False: it is broken already.
bool outbox_hand_over(struct outbox *outbox, outbox_broken broken, void *argument);
