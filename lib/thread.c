// SPDX-License-Identifier: BSD-2-Clause
// Making and ending threads. Each has a slot, which is the place of its message
// page. A thread cannot give back its own slot and the name of its own port: it
// puts itself on a list of ended threads, and the next one to make a thread
// cleans up.
#include "lib/thread.h"
#include "lib/event.h"
#include "lib/futex.h"
#include "lib/hooks.h"
#include "lib/lock.h"
#include "lib/memory.h"
#include "lib/port.h"

#include <errno.h>

struct slot {
    port_name_t port;
    uint32_t next; // in the free list or the list of ended threads; a slot number + 1
};

static struct lock lock;
static struct slot slots[RUNTIME_THREADS_MAX];
static uint32_t slots_used; // those beyond have never been used
static uint32_t slots_free; // list heads: slot number + 1, 0 when empty
static uint32_t slots_ended;

static uint64_t utcb_address(uint32_t slot)
{
    return RUNTIME_UTCB_START + slot * PAGE_BYTES;
}

static uint32_t list_pop(uint32_t *head)
{
    lock_acquire(&lock);
    uint32_t number = *head;
    if (number != 0)
        *head = slots[number - 1].next;
    lock_release(&lock);
    return number;
}

static void list_push(uint32_t *head, uint32_t slot)
{
    lock_acquire(&lock);
    slots[slot].next = *head;
    *head = slot + 1;
    lock_release(&lock);
}

// Ended threads may still be on their way to terminate themselves, with nothing
// left to do: ending them here makes sure that the message page has gone.
static void collect_ended(void)
{
    uint32_t number;

    while ((number = list_pop(&slots_ended)) != 0) {
        (void)thread_terminate(slots[number - 1].port);
        (void)port_deallocate(slots[number - 1].port);
        list_push(&slots_free, number - 1);
    }
}

static bool slot_allocate(uint32_t *slot)
{
    collect_ended();
    uint32_t number = list_pop(&slots_free);
    if (number != 0) {
        *slot = number - 1;
        return true;
    }
    lock_acquire(&lock);
    bool room = slots_used < RUNTIME_THREADS_MAX;
    if (room)
        *slot = slots_used++;
    lock_release(&lock);
    return room;
}

_Noreturn static void thread_begin(struct runtime_thread *self)
{
    (void)self->function(self->argument);
    runtime_thread_exit();
}

// A suspended thread with the caller's priority, and what the runtime keeps of it.
static corvus_error_t make_thread(uint32_t slot, struct runtime_thread **made)
{
    uint64_t priority;
    port_name_t port, receive, send;
    corvus_error_t error = thread_info(thread_self(), NULL, NULL, &priority, NULL, NULL, NULL);

    if (error != ERR_OK)
        return error;
    error = port_allocate_with_send(0, &receive, &send);
    if (error != ERR_OK)
        return error;
    error = task_create_thread(NAME_TASK_SELF, utcb_address(slot), priority, &port, NULL);
    if (error != ERR_OK) {
        (void)port_deallocate(send);
        (void)port_deallocate(receive);
        return error;
    }
    slots[slot].port = port;
    *made = (struct runtime_thread *)((struct utcb *)utcb_address(slot))->user;
    **made = (struct runtime_thread){
        .port = port,
        .event_receive = receive,
        .event_send = send,
        .id = RUNTIME_MAIN_ID + 1 + (int32_t)slot,
        .slot = slot,
    };
    return ERR_OK;
}

static void unmake_thread(struct runtime_thread *thread)
{
    uint32_t slot = thread->slot;

    (void)port_deallocate(thread->event_send);
    (void)port_deallocate(thread->event_receive);
    (void)thread_terminate(slots[slot].port);
    (void)port_deallocate(slots[slot].port);
}

int runtime_clone(int (*function)(void *), void *stack, void *argument, int32_t *id, uint64_t tls,
                  uint32_t *clear_id)
{
    struct runtime_thread *thread;
    uint32_t slot;

    if (!slot_allocate(&slot))
        return -EAGAIN;
    if (make_thread(slot, &thread) != ERR_OK) {
        list_push(&slots_free, slot);
        return -EAGAIN;
    }
    thread->function = function;
    thread->argument = argument;
    thread->clear_id = clear_id;
    int32_t new_id = thread->id;
    if (id != NULL)
        *id = new_id;
    // As after a call instruction: 8 below a multiple of 16.
    uint64_t sp = ((uint64_t)stack & ~15ull) - 8;
    if (thread_start(thread->port, (uint64_t)thread_begin, sp, (uint64_t)thread, tls) != ERR_OK) {
        unmake_thread(thread);
        list_push(&slots_free, slot);
        return -EAGAIN;
    }
    return new_id;
}

// On the message page's stack, since the thread's own may vanish as soon as
// others learn that it has ended. No thread-local storage from here on.
static void finish(void *argument)
{
    struct runtime_thread *self = argument;
    port_name_t port = thread_self();

    if (self->unmap_base != NULL)
        (void)memory_unmap_range((uint64_t)self->unmap_base, self->unmap_bytes);
    if (self->clear_id != NULL) {
        __atomic_store_n(self->clear_id, 0, __ATOMIC_SEQ_CST);
        (void)futex_wake(self->clear_id, 1);
    }
    event_destroy();
    if (self->port != PORT_NULL)
        list_push(&slots_ended, self->slot);
    for (;;)
        (void)thread_terminate(port);
}

_Noreturn void runtime_thread_exit(void)
{
    struct utcb *page = utcb_self();
    uint64_t end = (uint64_t)(page->user + sizeof page->user);

    stack_leave((void *)(end & ~15ull), finish, page->user);
}

_Noreturn void runtime_thread_exit_unmapping(void *base, size_t bytes)
{
    runtime_self()->unmap_base = base;
    runtime_self()->unmap_bytes = bytes;
    runtime_thread_exit();
}
