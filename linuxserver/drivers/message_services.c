// SPDX-License-Identifier: GPL-2.0-only
// What the well-known names answer to a process. Services about names are the kernel's own,
// of the server's task, with the process's names put into the server's and back.
#include "message.h"

#include <corvus/init_services.h>
#include <corvus/services.h>
#include <corvus/supervisor_services.h>

#include <linux/capability.h>
#include <linux/uaccess.h>

#define WORDS_MAX MESSAGE_SERVICE_WORDS

// `words` hold those of the request, and then those of the answer. A corvus_error_t.
struct service {
    u32 object, id;
    unsigned int words_in, rights_in, words_out, rights_out;
    int (*serve)(struct corvus_operation *operation, const struct service *service, u64 *words);
};

static int ask_kernel(const struct service *service, u64 *words, const struct message_right *in,
                      struct message_right *out)
{
    return messages_service(NAME_TASK_SELF, service->id, service->words_in, words, in, out);
}

// --- Services whose first word is a name -----------------------------------------------

static int about_name(struct corvus_operation *operation, const struct service *service, u64 *words)
{
    struct corvus_right *right = corvus_right_get(operation->file, words[0]);
    int error;

    if (right == NULL)
        return ERR_INVALID_NAME;
    words[0] = right->name;
    error = ask_kernel(service, words, NULL, NULL);
    corvus_right_put(right);
    return error;
}

static int deallocate(struct corvus_operation *operation, const struct service *service, u64 *words)
{
    struct corvus_right *right = corvus_right_get(operation->file, words[0]);

    if (right == NULL)
        return ERR_INVALID_NAME;
    corvus_right_remove(right);
    corvus_right_put(right);
    return ERR_OK;
}

static int fail_reply(struct corvus_operation *operation, const struct service *service, u64 *words)
{
    struct corvus_right *right = corvus_right_get(operation->file, words[0]);
    int error;

    if (right == NULL)
        return ERR_INVALID_NAME;
    words[0] = right->name;
    error = ask_kernel(service, words, NULL, NULL);
    if (error == ERR_OK)
        corvus_right_gone(right);
    corvus_right_put(right);
    return error;
}

// Word 0 a port, word 1, if there is one, the set for it.
static int change_set(struct corvus_operation *operation, const struct service *service, u64 *words)
{
    struct corvus_right *port = corvus_right_get(operation->file, words[0]);
    struct corvus_right *set =
        service->words_in > 1 ? corvus_right_get(operation->file, words[1]) : NULL;
    int error = ERR_INVALID_NAME;

    if (port != NULL && (set != NULL || service->words_in == 1)) {
        words[0] = port->name;
        words[1] = set != NULL ? set->name : PORT_NULL;
        error = ask_kernel(service, words, NULL, NULL);
        if (error == ERR_OK)
            corvus_port_set(port->port, set != NULL ? set->port : NULL);
    }
    corvus_right_put(port);
    corvus_right_put(set);
    return error;
}

// --- Services that make rights -------------------------------------------------------------

static int allocate(struct corvus_operation *operation, const struct service *service, u64 *words)
{
    bool is_set = service->id == SERVICE_task_allocate_port_set;
    int error = corvus_spares_get(operation->file, &operation->spares, 1);

    if (error == ERR_OK)
        error = ask_kernel(service, words, NULL, NULL);
    if (error == ERR_OK)
        words[0] = corvus_right_adopt(operation->file, &operation->spares, (u32)words[0],
                                      is_set ? RIGHT_PORT_SET : RIGHT_RECEIVE);
    return error;
}

static bool is_move(u32 disposition)
{
    return disposition == MOVE_SEND || disposition == MOVE_SEND_ONCE || disposition == MOVE_RECEIVE;
}

static u32 kind_of(u32 disposition)
{
    switch (disposition) {
    case MAKE_SEND_ONCE:
    case MOVE_SEND_ONCE:
        return RIGHT_SEND_ONCE;
    case MOVE_RECEIVE:
        return RIGHT_RECEIVE;
    default:
        return RIGHT_SEND;
    }
}

// The kernel is asked, with the right in the place of the process's name for it.
static int ask_with_right(struct corvus_operation *operation, const struct service *service,
                          u64 *words)
{
    struct message_right in = operation->page->rights[0];
    struct corvus_right *right = corvus_right_get(operation->file, in.name);
    int error;

    if (right == NULL)
        return ERR_INVALID_NAME;
    in.name = right->name;
    error = ask_kernel(service, words, &in, NULL);
    if (error == ERR_OK && is_move(in.disposition))
        corvus_right_gone(right);
    corvus_right_put(right);
    return error;
}

static int insert(struct corvus_operation *operation, const struct service *service, u64 *words)
{
    u32 kind = kind_of(operation->page->rights[0].disposition);
    int error = corvus_spares_get(operation->file, &operation->spares, 1);

    if (error == ERR_OK)
        error = ask_with_right(operation, service, words);
    if (error == ERR_OK)
        words[0] = corvus_right_adopt(operation->file, &operation->spares, (u32)words[0], kind);
    return error;
}

static int extract(struct corvus_operation *operation, const struct service *service, u64 *words)
{
    struct corvus_right *right = corvus_right_get(operation->file, words[0]);
    struct message_right out;
    u64 disposition = words[1];
    int error = ERR_INVALID_NAME;

    if (right != NULL)
        error = corvus_spares_get(operation->file, &operation->spares, 1);
    if (error == ERR_OK) {
        words[0] = right->name;
        error = ask_kernel(service, words, NULL, &out);
    }
    if (error == ERR_OK) {
        if (is_move((u32)disposition))
            corvus_right_gone(right);
        operation->page->rights[0] = (struct message_right){
            .name =
                corvus_right_adopt(operation->file, &operation->spares, out.name, out.disposition),
            .disposition = out.disposition,
        };
    }
    corvus_right_put(right);
    return error;
}

// --- The rest ----------------------------------------------------------------------------------

static int request_notification(struct corvus_operation *operation, const struct service *service,
                                u64 *words)
{
    struct corvus_right *right = corvus_right_get(operation->file, words[0]);
    u32 name, number = (u32)words[0];
    bool told_by_name = words[1] != NOTIFY_NO_SENDERS;
    int error = ERR_OK;

    if (right == NULL)
        return ERR_INVALID_NAME;
    words[0] = name = right->name;
    if (told_by_name)
        error = corvus_notice_add(operation->file, name, number);
    if (error == ERR_OK) {
        error = ask_with_right(operation, service, words);
        if (error != ERR_OK && told_by_name)
            (void)corvus_notice_take(operation->file, name);
    }
    corvus_right_put(right);
    return error;
}

// Of the file as if it were a task.
static int tell_task(struct corvus_operation *operation, const struct service *service, u64 *words)
{
    struct corvus_usage usage;

    corvus_usage(operation->file, &usage);
    memset(words, 0, WORDS_MAX * sizeof *words);
    words[4] = usage.names;
    return ERR_OK;
}

static int save_reply(struct corvus_operation *operation, const struct service *service, u64 *words)
{
    if (operation->call.reply == PORT_NULL)
        return ERR_STATE;
    words[0] = operation->call.reply;
    operation->call.reply = PORT_NULL;
    return ERR_OK;
}

// A name of init's: of all of them only who administers the node may know.
static int may_look_up(struct corvus_operation *operation, const struct service *service,
                       u64 *words)
{
    static const char netname[32] = "netname";

    if (memcmp(words, netname, sizeof netname) != 0 && !capable(CAP_SYS_ADMIN))
        return ERR_ACCESS_DENIED;
    return ERR_OK;
}

// Servers are ended by who may end the node.
static int may_end_server(struct corvus_operation *operation, const struct service *service,
                          u64 *words)
{
    return capable(CAP_SYS_BOOT) ? ERR_OK : ERR_ACCESS_DENIED;
}

#define TASK(name, in, rights, out, rights_out, serve)                                             \
    {                                                                                              \
        NAME_TASK_SELF, SERVICE_task_##name, in, rights, out, rights_out, serve                    \
    }
#define PASS(object, name, in)                                                                     \
    {                                                                                              \
        object, SERVICE_##name, in, 0, 0, 0, NULL                                                  \
    }

// Those without a function are passed on as they are.
static const struct service services[] = {
    TASK(info, 0, 0, 6, 0, tell_task),
    TASK(allocate_port, 1, 0, 1, 0, allocate),
    TASK(allocate_port_set, 0, 0, 1, 0, allocate),
    TASK(deallocate_right, 1, 0, 0, 0, deallocate),
    TASK(right_info, 1, 0, 3, 0, about_name),
    TASK(insert_right, 0, 1, 1, 0, insert),
    TASK(extract_right, 2, 0, 0, 1, extract),
    TASK(enable_port, 2, 0, 0, 0, change_set),
    TASK(disable_port, 1, 0, 0, 0, change_set),
    TASK(set_port, 3, 0, 0, 0, about_name),
    TASK(port_status, 1, 0, 6, 0, about_name),
    TASK(request_notification, 2, 1, 0, 0, request_notification),
    TASK(fail_reply, 2, 0, 0, 0, fail_reply),
    {NAME_THREAD_MAIN, SERVICE_thread_save_reply, 0, 0, 1, 0, save_reply},
    {NAME_BOOTSTRAP, SERVICE_bootstrap_look_up, 5, 0, 0, 0, may_look_up},
    {NAME_BOOTSTRAP, SERVICE_supervisor_end_server, 4, 0, 0, 0, may_end_server},
    PASS(NAME_BOOTSTRAP, bootstrap_real_time, 0),
    PASS(NAME_BOOTSTRAP, node_statistics, 0),
    PASS(NAME_BOOTSTRAP, node_server, 1),
    PASS(NAME_HOST, host_info, 0),
    PASS(NAME_HOST, host_counters, 1),
    PASS(NAME_HOST, host_trace_mark, 2),
};

static const struct service *find(const struct corvus_call *call)
{
    for (unsigned int i = 0; i < ARRAY_SIZE(services); i++)
        if (services[i].object == call->destination && services[i].id == call->id)
            return &services[i];
    return NULL;
}

static void answer(struct corvus_operation *operation, const struct service *service, int error,
                   const u64 *words)
{
    struct corvus_call *call = &operation->call;

    (void)corvus_end(operation, ERR_OK, false);
    call->tag = 1;
    call->words[0] = (u64)error;
    if (error != ERR_OK)
        return;
    call->tag += service->words_out;
    call->tag |= TAG_RIGHTS(service->rights_out);
    for (unsigned int i = 1; i <= service->words_out; i++)
        *(i < MESSAGE_REGISTER_WORDS ? &call->words[i] : &operation->page->words[i]) = words[i - 1];
}

bool corvus_serve(struct corvus_operation *operation)
{
    const struct corvus_call *call = &operation->call;
    const struct service *service = find(call);
    u64 words[WORDS_MAX] = {0};
    unsigned int count = call->tag & TAG_WORDS_MASK;
    int error = ERR_OK;

    if (call->destination == 0 || call->destination > NAME_HOST ||
        call->destination % NAME_AT(1) != 0) {
        (void)corvus_end(operation, ERR_INVALID_NAME, false);
        return true;
    }
    if (service == NULL) {
        answer(operation, NULL, ERR_UNKNOWN_SERVICE, words);
        return true;
    }
    if (count != service->words_in || call->tag & (TAG_ITEMS_MASK | TAG_REPLY_RIGHT) ||
        (call->tag & TAG_RIGHTS_MASK) != TAG_RIGHTS(service->rights_in)) {
        answer(operation, service, ERR_INVALID_ARGUMENT, words);
        return true;
    }
    memcpy(words, call->words, min(count, (unsigned int)WORDS_MAX) * sizeof *words);
    if (service->serve != NULL)
        error = service->serve(operation, service, words);
    // What goes to init or the kernel is an ordinary RPC.
    if (error == ERR_OK && service->object != NAME_TASK_SELF && service->object != NAME_THREAD_MAIN)
        return false;
    answer(operation, service, error, words);
    return true;
}
