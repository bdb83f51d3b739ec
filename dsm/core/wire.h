// SPDX-License-Identifier: BSD-2-Clause
// What goes between cores: a message is a header and records, all numbers
// little-endian. A record is a fixed part and, behind it, `extra` bytes: a page's
// data, the members of a view, or what a node holds.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_MAGIC        0x316d7364u // "dsm1"
#define WIRE_HEADER_BYTES 24u
#define WIRE_RECORD_BYTES 56u
#define WIRE_MEMBER_BYTES 24u
#define WIRE_HELD_BYTES   40u

// The same names are in the model (dsm/model/sc.pml).
enum wire_kind {
    // Of views; these go by no view.
    WIRE_HELLO = 1, // I am here: `txn` my promise, `version` the receiver's life as I know it
    WIRE_PREPARE,   // `txn`: number of a view that I propose; my view is `version`
    WIRE_PROMISE,   // I will adopt none below `txn`; my view is `version`, since `serial`; members
    WIRE_VIEW,      // view `txn`, proposed by `node`; members
    WIRE_HELD,      // view `txn`: what I hold; chunk `page` of `version`
    WIRE_READY,     // view `txn`: I have heard from all
    WIRE_STABLE,    // view `txn`: all have
    // Of pages; the sender's view must be the receiver's.
    WIRE_REQUEST,    // requester to manager
    WIRE_FORWARD,    // manager to owner
    WIRE_DATA,       // owner to requester
    WIRE_GRANT,      // manager to requester: zeroes, or it is the owner
    WIRE_INVALIDATE, // manager to those with copies
    WIRE_INVALIDATED,
    WIRE_DONE,   // requester to manager, and to the owner that was
    WIRE_RESEND, // requester to owner that was: the data are needed after all
    WIRE_GONE,   // to manager: the data are lost
    WIRE_ERROR,  // manager to requester: `version` is the reason
    WIRE_MARK,   // manager to backup: the page is going to be written for the first time
    WIRE_MARKED,
    WIRE_SETTLE, // manager to a holder, after a view: own the page, or drop it
    WIRE_SETTLED,
    WIRE_OFFER,   // an owner that is short of memory: request the page, if you have room
    WIRE_REFUSED, // there is no room
    WIRE_KINDS,
};

// Flags of records.
enum {
    WIRE_WRITE = 1,    // REQUEST, FORWARD, DATA, GRANT: for writing
    WIRE_ZERO = 2,     // DATA, GRANT: zeroes, without data
    WIRE_HAVE = 4,     // REQUEST: I have a copy of `version`; FORWARD, DATA: no data needed
    WIRE_PREFETCH = 8, // nobody waits for it
    WIRE_CLEAN = 16,   // DATA, DONE: the owner had not changed it since it came
    WIRE_OWN = 32,     // SETTLE: own; SETTLED: owned
    WIRE_MIGRATE = 64, // FORWARD, DATA: writing was not asked for
};

struct wire_header {
    uint32_t node;
    uint64_t life, view;
};

struct wire_record {
    uint8_t kind, flags;
    uint16_t node;  // FORWARD: requester; INVALIDATE: writer; REQUEST: pages wanted
    uint32_t extra; // bytes behind it
    uint64_t segment, generation, page, txn, version, serial;
};

// Flags of what is held.
enum {
    HELD_COPY = 1,     // a copy of `version`
    HELD_OWNER = 2,    // and it is the owner's
    HELD_HANDED = 8,   // sent to `node`, which was to have `granted`, and not heard of since
    HELD_MARK = 16,    // the page has been written
    HELD_SEGMENT = 32, // of a whole segment: `page` its length, `version` where it was cut last
    HELD_DOUBT = 64,   // with HELD_SEGMENT: bucket `page` of it is in doubt
};

struct wire_held {
    uint8_t flags, node;
    uint64_t segment, page, version;
    uint64_t generation; // of the segment
    uint32_t granted;    // HELD_HANDED: what `node` was to have, as a difference to `version`
};

void wire_put_header(uint8_t *out, const struct wire_header *header);
// False: not one of ours.
bool wire_get_header(const uint8_t *in, size_t bytes, struct wire_header *header);
void wire_put_record(uint8_t *out, const struct wire_record *record);
// Takes a record from the front of what is left; its extra bytes are at *extra. False: it
// is not whole, or of no known kind.
bool wire_get_record(const uint8_t **in, size_t *left, struct wire_record *record,
                     const uint8_t **extra);
void wire_put_held(uint8_t *out, const struct wire_held *held);
void wire_get_held(const uint8_t *in, struct wire_held *held);
