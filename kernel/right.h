// SPDX-License-Identifier: BSD-2-Clause
// A task's table of rights: two levels, 256 entries a page, 512 pages. A name
// is index << 15 | generation; an entry's tag is kind << 16 | generation, so
// one comparison checks that a name is fresh and of the kind wanted.
#pragma once

#include "port.h"

struct right {
    union {
        struct port *port; // send, send once, receive; a dead port until noticed
        struct port_set *set;
        struct thread *caller; // reply right (RIGHT_KIND_REPLY)
        uint64_t next_free;    // index of the next free entry
    };
    uint32_t tag;      // kind << 16 | generation
    uint32_t sequence; // of a reply right: the RPC it answers
};
_Static_assert(sizeof(struct right) == 16, "256 to a page");

// Kinds in tags: RIGHT_* of the ABI and one more, which the ABI shows as
// RIGHT_SEND_ONCE: the right to answer one RPC of a thread.
#define RIGHT_KIND_REPLY      6u
#define RIGHT_GENERATION_MASK ((1u << NAME_GENERATION_BITS) - 1)
#define RIGHTS_PER_PAGE       256u
_Static_assert(RIGHTS_PER_PAGE == 1 << 8, "right_entry");
#define RIGHT_PAGES (RIGHTS_MAX / RIGHTS_PER_PAGE)

struct right_table {
    struct right **pages; // RIGHT_PAGES pointers; absent pages point to right_empty_page
    uint32_t free_first;  // free list, first in first out, so that generations last
    uint32_t free_last;
    uint32_t free;  // entries in the free list
    uint32_t end;   // entries ever made
    uint32_t sweep; // how far right_table_destroy_step has come in the last page
};

extern struct right right_empty_page[RIGHTS_PER_PAGE];

static inline struct right *right_entry(const struct right_table *table, port_name_t name)
{
    // The index times the size of an entry, in one shift: this is on the fast path.
    uint32_t offset = name >> (NAME_GENERATION_BITS - 4) & (RIGHTS_PER_PAGE - 1) << 4;
    uint32_t page = name >> NAME_GENERATION_BITS >> 8;

    return (struct right *)((char *)table->pages[page] + offset);
}

static inline uint32_t right_kind(const struct right *right)
{
    return right->tag >> 16;
}

bool right_table_init(struct task *task);

// The entry of a live name of any kind, or NULL.
struct right *right_lookup(struct task *task, port_name_t name);

// The port behind a live send, send-once or receive right; NULL otherwise,
// with *error told (INVALID_NAME, INVALID_RIGHT, PEER_DIED).
struct port *right_port(struct task *task, port_name_t name, uint32_t kind, corvus_error_t *error);

// Names in use. Index 0 is never one.
static inline uint32_t right_used(const struct right_table *table)
{
    return table->end ? table->end - 1 - table->free : 0;
}

// Takes the oldest free entry, of which there must be one, for a right of
// `kind` to a port (or what else `object` is). Returns its name.
static inline port_name_t right_add(struct right_table *table, uint32_t kind, struct port *object)
{
    uint32_t index = table->free_first;
    struct right *right = right_entry(table, index << NAME_GENERATION_BITS);
    uint32_t generation = right->tag; // of a free entry the kind is 0

    table->free_first = (uint32_t)right->next_free;
    table->free--;
    right->port = object;
    right->tag = kind << 16 | generation;
    return index << NAME_GENERATION_BITS | generation;
}

// Puts an entry at the end of the free list.
static inline void right_list_free(struct right_table *table, uint32_t index)
{
    right_entry(table, index << NAME_GENERATION_BITS)->next_free = 0;
    if (table->free_first)
        right_entry(table, table->free_last << NAME_GENERATION_BITS)->next_free = index;
    else
        table->free_first = index;
    table->free_last = index;
    table->free++;
}

// Frees an entry without touching what it stood for.
static inline void right_remove(struct right_table *table, port_name_t name)
{
    struct right *right = right_entry(table, name);

    right->tag = (right->tag + 1) & RIGHT_GENERATION_MASK;
    right->sequence = 0;
    right_list_free(table, name >> NAME_GENERATION_BITS);
}

// Makes sure that `count` insertions will succeed.
corvus_error_t right_reserve(struct task *task, uint32_t count);

// Adds an entry; the carried right's reference and count pass to the table.
// A reserve must have succeeded. Returns the name.
port_name_t right_insert(struct task *task, const struct carried_right *carried);

// Removes a right (task_deallocate_right, task_fail_reply). A caller whom it would have answered is
// told `reason`.
corvus_error_t right_deallocate_because(struct task *task, port_name_t name, corvus_error_t reason);

// Checks that the right may travel so (changes nothing), and carries it out
// (cannot fail after the check). `self` is the port that it is sent to.
corvus_error_t right_check(struct task *task, struct message_right wanted, const struct port *self);
struct carried_right right_take(struct task *task, struct message_right wanted);

// Undoes or ends the life of a right on its way (its message is destroyed).
// A caller that waits for a reply by that right is told `reason`.
void carried_destroy_because(struct carried_right *carried, corvus_error_t reason);
void carried_destroy(struct carried_right *carried); // because it was not used

// Kind as the ABI tells it, after delivery.
uint32_t carried_kind(const struct carried_right *carried);

// Frees some entries of a terminated task; true when none are left.
bool right_table_destroy_step(struct task *task);
