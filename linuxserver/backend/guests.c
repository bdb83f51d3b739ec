// SPDX-License-Identifier: GPL-2.0-only
// Guests made when an address space runs or gets its first page, and ended when others need their
// memory (guests.h). Everything here runs with events off: the message page is shared with
// handlers, and some of them free address spaces.
#include "guests.h"
#include "server.h"

#include "lib/call.h"

#include <corvus/host.h>
#include <corvus/stubs.h>

#include <os.h>
#include <stddef.h>

// Kernel memory of a guest: at first, which is what a small static program needs, and by how much
// it grows when that is used up.
#define GUEST_QUOTA      (36ul << 10)
#define GUEST_QUOTA_STEP (16ul << 10)

#define PAGE_SHIFT 12

struct guest *guest_running;
struct guest_counts guest_counts;

static struct guest *newest, *oldest;

int guest_pid(unsigned long stack)
{
    return (int)((stack - SERVER_MEMORY_BASE) >> PAGE_SHIFT);
}

struct guest *guest_of_pid(int pid)
{
    return (struct guest *)(SERVER_MEMORY_BASE + ((unsigned long)pid << PAGE_SHIFT));
}

// --- The order in which they ran -----------------------------------------------------------------

static void put_newest(struct guest *guest)
{
    guest->newer = NULL;
    guest->older = newest;
    *(newest != NULL ? &newest->newer : &oldest) = guest;
    newest = guest;
}

static void take_out(struct guest *guest)
{
    *(guest->newer != NULL ? &guest->newer->older : &newest) = guest->older;
    *(guest->older != NULL ? &guest->older->newer : &oldest) = guest->newer;
}

void guest_run_next(struct guest *guest)
{
    int enabled = um_set_signals(0);

    guest_running = guest;
    if (guest->task != PORT_NULL && guest != newest) {
        take_out(guest);
        put_newest(guest);
    }
    um_set_signals(enabled);
}

// --- Life ----------------------------------------------------------------------------------------

static void end(struct guest *guest)
{
    if (guest->task == PORT_NULL)
        return;
    take_out(guest);
    (void)task_terminate(guest->task);
    (void)task_deallocate_right(NAME_TASK_SELF, guest->task);
    guest->task = PORT_NULL;
    guest->mapped = false;
    guest_counts.present--;
}

void guest_end(struct guest *guest)
{
    int enabled = um_set_signals(0);

    end(guest);
    um_set_signals(enabled);
}

// False when there is none but the one that is to be kept.
static bool end_oldest_but(const struct guest *kept)
{
    struct guest *guest = oldest;

    if (guest != NULL && guest == kept)
        guest = guest->newer;
    if (guest == NULL)
        return false;
    end(guest);
    guest_counts.ended_for_room++;
    return true;
}

bool guest_end_oldest(void)
{
    int enabled = um_set_signals(0);
    bool ended = end_oldest_but(NULL);

    um_set_signals(enabled);
    return ended;
}

static corvus_error_t begin(struct guest *guest)
{
    corvus_error_t error;

    do {
        error = task_create(NAME_TASK_SELF, GUEST_QUOTA, TASK_GUEST, &guest->task, NULL);
    } while ((error == ERR_NO_MEMORY || error == ERR_RIGHTS_FULL) && end_oldest_but(guest));
    if (error != ERR_OK) {
        guest->task = PORT_NULL;
        return error;
    }
    put_newest(guest);
    guest_counts.present++;
    guest_counts.made++;
    return ERR_OK;
}

corvus_error_t guest_begin(struct guest *guest)
{
    corvus_error_t error;
    int enabled;

    if (guest->task != PORT_NULL)
        return ERR_OK;
    enabled = um_set_signals(0);
    error = begin(guest);
    um_set_signals(enabled);
    return error;
}

corvus_error_t guest_grow(struct guest *guest)
{
    corvus_error_t error;
    int enabled = um_set_signals(0);

    do {
        error = task_move_quota(NAME_TASK_SELF, GUEST_QUOTA_STEP, copy_send(guest->task));
    } while (error == ERR_NO_MEMORY && end_oldest_but(guest));
    um_set_signals(enabled);
    return error;
}
