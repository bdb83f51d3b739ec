// SPDX-License-Identifier: GPL-2.0-only
// Messages for Linux's processes (drivers/message*.c), by functions that both sides of the server
// can see. All names are those of the server's own table.
//
// What can be done at once the server's thread does. What may wait is given to a worker: a thread
// of the server's task that is more urgent than the server's own. So whenever Linux runs, each
// worker either has nothing to do, or waits for somebody else, or is done.
#pragma once

#include <corvus/linux.h>

struct message_exchange {
    uint64_t tag; // as at the system call; then as it returned
    uint64_t destination;
    uint64_t receive_from;
    uint64_t id;
    uint64_t words[MESSAGE_REGISTER_WORDS];
    struct utcb *page; // CORVUS_PAGE_BYTES of it: read, and written with what is in the real one
    uint32_t reply;    // of a message received at once: the saved right to answer it, or PORT_NULL
};

// Makes what is needed. Returns the number of the interrupt that tells of finished work and of
// arrivals, or a negative error number of Linux. Once.
int messages_begin(void);

// A call that does not wait: its deadlines are 0, or the kernel answers it.
void messages_exchange(struct message_exchange *exchange);

// Words of a service's answer behind its error, as many as any has.
#define MESSAGE_SERVICE_WORDS 6

// A service of an object of the kernel. `words` hold `count` words of the request, then those of
// the reply behind its error; `in` and `out` a right of each, or are NULL. A corvus_error_t.
int messages_service(uint32_t object, uint32_t id, unsigned int count,
                     uint64_t words[MESSAGE_SERVICE_WORDS], const struct message_right *in,
                     struct message_right *out);

// A new port tells of arrivals under this number, 0..MESSAGE_BINS - 1, which several share.
#define MESSAGE_BINS 32
int messages_bind(uint32_t port, unsigned int bin);

// In which bins something has arrived since last asked.
uint32_t messages_arrived(void);

// What a worker is to do, an RPC or a send. It stays, with its page and its buffers, until it has
// come back from messages_finished.
struct message_work {
    struct message_exchange exchange;
    struct message_work *next;
    void (*finished)(struct message_work *work); // for who reaps it; may be in an interrupt
    void *worker;                                // the backend's
    volatile int done;
};

// -EAGAIN: all workers are busy. -ENOMEM: nor can there be another.
int messages_start(struct message_work *work);

// Ends its wait, if it is in one, with ABORTED.
void messages_abort(struct message_work *work);

// The work finished since last asked, linked by `next`.
struct message_work *messages_finished(void);

void messages_workers(unsigned int *there, unsigned int *busy);
#define MESSAGE_WORKERS_MAX 200 // with the one that makes the others
