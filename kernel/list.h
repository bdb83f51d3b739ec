// SPDX-License-Identifier: BSD-2-Clause
// Intrusive lists. `struct link` makes circular doubly linked lists with a
// head; `struct chain` makes last-in-first-out lists whose members can leave
// in constant time (one pointer less in the head, cheap on the IPC path).
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

struct link {
    struct link *next;
    struct link *previous;
};

static inline void list_init(struct link *head)
{
    head->next = head;
    head->previous = head;
}

static inline bool list_empty(const struct link *head)
{
    return head->next == head;
}

// Inserts at the end of the list.
static inline void list_append(struct link *head, struct link *member)
{
    member->next = head;
    member->previous = head->previous;
    head->previous->next = member;
    head->previous = member;
}

static inline void list_prepend(struct link *head, struct link *member)
{
    list_append(head->next, member);
}

// Takes a member out and leaves it a list of its own, so that a second
// removal does no harm and list_empty(member) tells "in no list".
static inline void list_remove(struct link *member)
{
    member->previous->next = member->next;
    member->next->previous = member->previous;
    list_init(member);
}

struct chain {
    struct chain *next;
    struct chain **link; // the pointer that points here; NULL when in no chain
};

static inline void chain_push(struct chain **head, struct chain *member)
{
    struct chain *next = *head;

    member->next = next;
    member->link = head;
    if (next)
        next->link = &member->next;
    *head = member;
}

static inline void chain_remove(struct chain *member)
{
    struct chain *next = member->next;

    *member->link = next;
    if (next)
        next->link = member->link;
    member->link = NULL;
}

// Takes the first member out.
static inline void chain_pop(struct chain **head, struct chain *first)
{
    struct chain *next = first->next;

    *head = next;
    if (next)
        next->link = head;
    first->link = NULL;
}
