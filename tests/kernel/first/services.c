// SPDX-License-Identifier: BSD-2-Clause
// The services of the machine's port and of interrupts alike: what they refuse
// of any caller, and what of one on another node.
#include "first.h"

#define REMOTE_AT 0x60000000000ull // where a device is not to appear

// One call; the error of the message, or of the service.
static corvus_error_t call(port_name_t target, uint32_t id, uint64_t tag)
{
    struct message message = {.destination = target, .id = id, .tag = tag};

    message_trap(&message);
    return TAG_ERROR(message.tag) ? TAG_ERROR(message.tag) : (corvus_error_t)message.words[0];
}

// As the network server would hand it on: answered by a message.
static corvus_error_t call_remotely(uint32_t id, uint64_t words, port_name_t port)
{
    struct message message = {.destination = NAME_HOST_PRIVILEGED,
                              .id = id,
                              .tag = TAG_SEND | TAG_REPLY_RIGHT | words,
                              .words = {DEVICE_HOLE, REMOTE_AT, PAGE_BYTES, HOST_CACHE_OFF}};

    utcb_self()->reply = make_send_once(port);
    message_trap(&message);
    if (TAG_ERROR(message.tag))
        return TAG_ERROR(message.tag);
    message = (struct message){.receive_from = port, .tag = TAG_RECEIVE | TAG_RECEIVE_DEADLINE};
    utcb_self()->receive_deadline = 0;
    message_trap(&message);
    if (TAG_ERROR(message.tag) || message.id != id)
        return ERR_PROTOCOL;
    return (corvus_error_t)message.words[0];
}

static void test_local_only(void)
{
    port_name_t port = new_port();

    ok(call_remotely(SERVICE_host_map_device, 4, port) == ERR_LOCAL_ONLY &&
           access_at(NAME_TASK_SELF, REMOTE_AT) == 0,
       "no device is mapped for another node");
    ok(call_remotely(SERVICE_host_map_io, 0, port) == ERR_LOCAL_ONLY, "nor are I/O ports");
    ok(call_remotely(SERVICE_host_physical_address, 1, port) == ERR_LOCAL_ONLY,
       "nor is an address told");
    (void)task_deallocate_right(NAME_TASK_SELF, port);
}

struct service {
    uint32_t id;
    uint64_t words;
    uint64_t rights;
};
#define SERVICE_ROW(name, words_in, rights_in, words_out, rights_out)                              \
    {SERVICE_##name, words_in, rights_in},

static const struct service privileged_services[] = {HOST_PRIVILEGED_SERVICES(SERVICE_ROW)};
static const struct service interrupt_services[] = {INTERRUPT_SERVICES(SERVICE_ROW)};

// Each of them with too few words, with a right and an item too many, and at another object.
static bool all_check(port_name_t target, const struct service *services, unsigned count)
{
    bool checked = true;

    for (unsigned i = 0; i < count; i++) {
        uint64_t words = services[i].words, rights = services[i].rights;

        utcb_self()->rights[0] = utcb_self()->rights[1] = copy_send(NAME_TASK_SELF);
        utcb_self()->items[0] = message_copy_item(&words, sizeof words);
        checked =
            checked &&
            (words == 0 ||
             call(target, services[i].id, TAG_CALL | TAG_RIGHTS(rights) | (words - 1)) ==
                 ERR_INVALID_ARGUMENT) &&
            call(target, services[i].id, TAG_CALL | TAG_RIGHTS(rights + 1) | words) ==
                ERR_INVALID_ARGUMENT &&
            call(target, services[i].id, TAG_CALL | TAG_RIGHTS(rights) | TAG_ITEMS(1) | words) ==
                ERR_INVALID_ARGUMENT &&
            call(NAME_HOST, services[i].id, TAG_CALL | TAG_RIGHTS(rights) | words) ==
                ERR_UNKNOWN_SERVICE;
    }
    return checked;
}

static void test_shapes(void)
{
    port_name_t port = new_port(), msi = PORT_NULL;

    ok(all_check(NAME_HOST_PRIVILEGED, privileged_services,
                 sizeof privileged_services / sizeof privileged_services[0]),
       "the machine's services check their messages");
    (void)host_allocate_msi(NAME_HOST_PRIVILEGED, 1, make_send(port), &msi, &(uint64_t){0},
                            &(uint64_t){0});
    ok(all_check(msi, interrupt_services, sizeof interrupt_services / sizeof interrupt_services[0]),
       "so do those of interrupts");
    ok(call(NAME_HOST_PRIVILEGED, 0x400, TAG_CALL | 6) == ERR_UNKNOWN_SERVICE &&
           call(NAME_HOST_PRIVILEGED, SERVICE_host_console_write + 1, TAG_CALL | 6) ==
               ERR_UNKNOWN_SERVICE &&
           call(msi, SERVICE_interrupt_trigger + 1, TAG_CALL | 6) == ERR_UNKNOWN_SERVICE,
       "they know no others");
    (void)task_deallocate_right(NAME_TASK_SELF, msi);
    (void)task_deallocate_right(NAME_TASK_SELF, port);
}

// The bootstrap name of the first task stands for nothing from the start.
static void test_dead_name(void)
{
    uint64_t set = PORT_NULL;

    (void)task_allocate_port_set(NAME_TASK_SELF, &set);
    ok(task_enable_port(NAME_TASK_SELF, NAME_BOOTSTRAP, set) == ERR_INVALID_RIGHT &&
           task_disable_port(NAME_TASK_SELF, NAME_BOOTSTRAP) == ERR_INVALID_RIGHT &&
           task_set_port(NAME_TASK_SELF, NAME_BOOTSTRAP, 0, 0) == ERR_INVALID_RIGHT &&
           task_port_status(NAME_TASK_SELF, NAME_BOOTSTRAP, NULL, NULL, NULL, NULL, NULL, NULL) ==
               ERR_INVALID_RIGHT,
       "a dead name is no receive right");
    (void)task_deallocate_right(NAME_TASK_SELF, set);
}

void test_services(void)
{
    test_local_only();
    test_shapes();
    test_dead_name();
}
