// SPDX-License-Identifier: BSD-2-Clause
// How internal objects get a pager when their pages have to go: from the default pager, which is
// looked for when it is first needed, and again when it has died.
#include "pagers/vm/objects.h"

#include "lib/clock.h"

#include <corvus/init_stubs.h>
#include <corvus/pager_services.h>

#include <string.h>

#define DEFAULT_PAGER_RETRY NANOSECONDS_PER_SECOND

static struct outbox *default_pager;
static uint64_t default_pager_asked;
static bool default_pager_broken;

static void default_broken(void *argument, corvus_error_t error)
{
    (void)argument;
    (void)error;
    __atomic_store_n(&default_pager_broken, true, __ATOMIC_RELEASE);
}

static bool find_default_pager(void)
{
    static const char name[32] = "default-pager";
    uint64_t words[4];
    port_name_t right;

    if (default_pager != NULL && __atomic_load_n(&default_pager_broken, __ATOMIC_ACQUIRE)) {
        outbox_close(default_pager, false);
        default_pager = NULL;
        default_pager_broken = false;
    }
    if (default_pager != NULL)
        return true;
    if (default_pager_asked != 0 && core.now - default_pager_asked < DEFAULT_PAGER_RETRY)
        return false;
    default_pager_asked = core.now;
    memcpy(words, name, sizeof words);
    if (bootstrap_look_up(NAME_BOOTSTRAP, words[0], words[1], words[2], words[3], 0, &right) !=
        ERR_OK)
        return false;
    default_pager = outbox_open(right, PAGER_REQUEST_LIMIT, default_broken, NULL);
    if (default_pager == NULL)
        (void)port_deallocate(right);
    return default_pager != NULL;
}

bool default_pager_create(void *context, struct vm_object *object)
{
    port_name_t receive, right;

    (void)context;
    if (!find_default_pager() || port_allocate_with_send(0, &receive, &right) != ERR_OK)
        return false;
    struct binding *binding = binding_make(object, right, NULL);
    if (binding == NULL) {
        (void)port_deallocate(right);
        (void)port_deallocate(receive);
        return false;
    }
    struct outbox_message message = {
        .id = MESSAGE_pager_create,
        .word_count = 3,
        .words = {binding->incarnation, 0, 0},
        .right_count = 3,
        .rights = {move_receive(receive), make_send(binding->request.receive),
                   make_send(binding->name)},
    };
    // A default pager that is found dead only now takes its new port with it, but not the object,
    // which is given to the next one: the port is watched when it has been taken.
    if (outbox_send(default_pager, &message) == ERR_OK && server_watch(right) == ERR_OK)
        return true;
    binding_end(binding);
    return false;
}
