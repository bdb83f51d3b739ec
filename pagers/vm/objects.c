// SPDX-License-Identifier: BSD-2-Clause
// The cache manager's ports: an object's pager is sent to by an outbox, and speaks to a request
// port.
#include "pagers/vm/objects.h"

#include "lib/entropy.h"

#include <corvus/host.h>
#include <corvus/init_stubs.h>
#include <corvus/pager_services.h>
#include <corvus/stubs.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct binding *bindings;
static uint64_t last_number;
static uint64_t random_state[2];

// --- What other threads note ---------------------------------------------------------------------

static pthread_t loop_thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t *sent_frames;
static uint32_t sent_count, sent_room;
static bool any_broken;

static void wake_loop(void)
{
    if (!pthread_equal(pthread_self(), loop_thread))
        server_notify();
}

static void frame_sent(void *argument, corvus_error_t error)
{
    (void)error;
    pthread_mutex_lock(&lock);
    if (sent_count < sent_room)
        sent_frames[sent_count++] = (uint32_t)(uintptr_t)argument;
    pthread_mutex_unlock(&lock);
    wake_loop();
}

static void pager_broken(void *argument, corvus_error_t error)
{
    struct binding *binding = argument;

    __atomic_store_n(&binding->broken, error, __ATOMIC_RELEASE);
    __atomic_store_n(&any_broken, true, __ATOMIC_RELEASE);
    wake_loop();
}

static bool take_frame(uint32_t *frame)
{
    bool any = false;

    if (__atomic_load_n(&sent_count, __ATOMIC_ACQUIRE) == 0)
        return false;
    pthread_mutex_lock(&lock);
    any = sent_count != 0;
    if (any)
        *frame = sent_frames[--sent_count];
    pthread_mutex_unlock(&lock);
    return any;
}

static struct binding *find_broken(void)
{
    struct binding *binding = bindings;

    while (binding != NULL && (__atomic_load_n(&binding->broken, __ATOMIC_ACQUIRE) == ERR_OK ||
                               !binding->object->has_pager))
        binding = binding->next;
    return binding;
}

bool objects_unsettled(void)
{
    return __atomic_load_n(&sent_count, __ATOMIC_ACQUIRE) != 0 ||
           __atomic_load_n(&any_broken, __ATOMIC_ACQUIRE);
}

void objects_settle(void)
{
    struct binding *binding;
    uint32_t frame;

    while (take_frame(&frame))
        vm_frame_sent(&core, frame);
    drains_end();
    if (!__atomic_exchange_n(&any_broken, false, __ATOMIC_ACQ_REL))
        return;
    while ((binding = find_broken()) != NULL)
        vm_object_died(&core, binding->object, binding->broken);
}

// --- What pagers are told ------------------------------------------------------------------------

static void send(void *context, struct vm_object *object, const struct vm_message *m)
{
    struct binding *binding = object->binding;
    struct outbox_message message = {.words = {binding->incarnation, m->sequence, m->offset}};

    (void)context;
    message.word_count = 5;
    message.words[3] = m->length;
    message.words[4] = m->access;
    switch (m->kind) {
    case VM_DATA_REQUEST:
        message.id = MESSAGE_pager_data_request;
        break;
    case VM_DATA_UNLOCK:
        message.id = MESSAGE_pager_data_unlock;
        break;
    case VM_DATA_WRITE:
        message.id = MESSAGE_pager_data_write;
        message.words[3] = m->kept;
        message.words[4] = m->changed;
        message.data = frame_bytes(NULL, m->frame);
        message.bytes = PAGE_BYTES;
        message.sent = frame_sent;
        message.argument = (void *)(uintptr_t)m->frame; // a number
        break;
    case VM_LOCK_COMPLETED:
        message.id = MESSAGE_pager_lock_completed;
        message.words[4] = m->held;
        break;
    case VM_TERMINATE:
        message.id = MESSAGE_pager_terminate;
        message.word_count = 1;
        break;
    }
    if (outbox_send(binding->outbox, &message) == ERR_NO_MEMORY)
        pager_broken(binding, ERR_NO_MEMORY); // what it was told and what it was not is unknown
}

void binding_end(struct binding *binding)
{
    struct vm_object *object = binding->object;
    struct binding **link = &bindings;

    while (*link != binding)
        link = &(*link)->next;
    *link = binding->next;
    drains_end();
    if (!object->has_pager || !drain_start(binding)) {
        outbox_close(binding->outbox, object->has_pager);
        source_close(&binding->request);
        (void)port_deallocate(binding->name);
        old_ports_close(binding->old);
    }
    object->binding = NULL;
    free(binding);
}

static void forget(void *context, struct vm_object *object)
{
    (void)context;
    if (object->binding != NULL)
        binding_end(object->binding);
}

// --- Bindings ------------------------------------------------------------------------------------

// Numbers that pagers cannot guess of each other (splitmix64 from entropy of the node).
static uint64_t draw(void)
{
    uint64_t x = (random_state[0] += 0x9e3779b97f4a7c15ull);

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    x = (x ^ x >> 31) ^ random_state[1];
    return x != 0 ? x : 1;
}

struct binding *binding_make(struct vm_object *object, port_name_t pager, struct outbox *outbox)
{
    struct binding *binding = calloc(1, sizeof *binding);

    if (binding == NULL)
        return NULL;
    if (source_open(&binding->request, SOURCE_REQUEST) != ERR_OK) {
        free(binding);
        return NULL;
    }
    if (port_allocate(0, &binding->name) != ERR_OK)
        binding->name = PORT_NULL;
    else if (outbox == NULL)
        binding->outbox = outbox_open(pager, object->limit, pager_broken, binding);
    else if (outbox_hand_over(outbox, pager_broken, binding))
        binding->outbox = outbox;
    if (binding->outbox == NULL) {
        source_close(&binding->request);
        if (binding->name != PORT_NULL)
            (void)port_deallocate(binding->name);
        free(binding);
        return NULL;
    }
    binding->object = object;
    binding->pager = pager;
    binding->incarnation = draw();
    binding->number = ++last_number;
    binding->next = bindings;
    bindings = binding;
    object->binding = binding;
    return binding;
}

static struct binding *find_port(uint64_t port_id)
{
    struct binding *binding = bindings;

    while (binding != NULL && (binding->port_id != port_id || binding->object->refused != ERR_OK))
        binding = binding->next;
    return binding;
}

// A new object behind that right, with the outbox of a forgotten one if that is not through.
static corvus_error_t make(port_name_t right, struct outbox *outbox, uint64_t limit,
                           struct binding **binding)
{
    struct vm_object *made =
        vm_object_create(&core, VM_EXTERNAL, limit != 0 ? limit : PAGER_REQUEST_LIMIT);

    *binding = made != NULL ? binding_make(made, right, outbox) : NULL;
    if (*binding != NULL)
        return ERR_OK;
    if (made != NULL) {
        made->has_pager = false;
        vm_object_release(&core, made);
    }
    return ERR_NO_MEMORY;
}

static corvus_error_t map_new(port_name_t right, uint64_t port_id, uint64_t limit,
                              struct vm_object **object)
{
    struct draining *old = drain_take(port_id);
    struct binding *binding = NULL;
    corvus_error_t error;

    if (old != NULL) {
        (void)port_deallocate(right); // that one's is watched already
        error = make(old->pager, old->outbox, limit, &binding);
        if (error == ERR_OK)
            binding->old = old->ports;
        else
            outbox_close(old->outbox, true);
        free(old);
    } else {
        error = server_watch(right);
        if (error == ERR_OK)
            error = make(right, NULL, limit, &binding);
        if (error != ERR_OK)
            (void)port_deallocate(right);
    }
    if (error != ERR_OK)
        return error;
    binding->port_id = port_id;
    struct outbox_message message = {
        .id = MESSAGE_pager_init,
        .word_count = 2,
        .words = {binding->incarnation, 0},
        .right_count = 2,
        .rights = {make_send(binding->request.receive), make_send(binding->name)},
    };
    (void)outbox_send(binding->outbox, &message); // a failure comes by pager_broken
    *object = binding->object;
    return ERR_OK;
}

corvus_error_t object_of_right(port_name_t right, uint64_t limit, struct vm_object **object)
{
    uint64_t kind, port_id;
    corvus_error_t error = task_right_info(NAME_TASK_SELF, right, &kind, &port_id, NULL);

    if (error == ERR_OK && kind != RIGHT_SEND)
        error = kind == RIGHT_DEAD ? ERR_PEER_DIED : ERR_INVALID_RIGHT;
    if (error != ERR_OK) {
        (void)port_deallocate(right);
        return error;
    }
    struct binding *binding = find_port(port_id);
    if (binding == NULL)
        return map_new(right, port_id, limit, object);
    (void)port_deallocate(right);
    vm_object_hold(binding->object);
    *object = binding->object;
    return ERR_OK;
}

uint64_t object_number(const struct vm_object *object)
{
    const struct binding *binding = object->binding;

    return binding != NULL ? binding->number : (uint64_t)(uintptr_t)object >> 4;
}

struct vm_object *object_of_request(uint64_t label, uint64_t incarnation)
{
    struct binding *binding = (struct binding *)source_of(label); // `request` is its first member

    return incarnation == binding->incarnation ? binding->object : NULL;
}

bool objects_died(port_name_t name)
{
    struct binding *binding = bindings;

    while (binding != NULL && binding->pager != name)
        binding = binding->next;
    if (binding == NULL)
        return false;
    vm_object_died(&core, binding->object, ERR_PEER_DIED);
    return true;
}

// --- Start ---------------------------------------------------------------------------------------

const struct vm_environment environment = {
    .piece_take = piece_take,
    .piece_give = piece_give,
    .frame_bytes = frame_bytes,
    .frame_restrict = frame_restrict,
    .map_restrict = map_restrict,
    .send = send,
    .create = default_pager_create,
    .forget = forget,
};

bool objects_open(uint32_t frames)
{
    size_t arrived = 2;

    loop_thread = pthread_self();
    sent_room = frames + 1024;
    sent_frames = calloc(sent_room, sizeof *sent_frames);
    if (sent_frames == NULL || !frames_prepare(frames))
        return false;
    return bootstrap_entropy(NAME_BOOTSTRAP, sizeof random_state, random_state, &arrived) ==
               ERR_OK &&
           vm_core_open(&core, &environment, NULL, frames);
}
