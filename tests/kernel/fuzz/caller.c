// SPDX-License-Identifier: BSD-2-Clause
// Random calls: kernel services with arguments that are mostly right, messages
// of every shape among the task's own ports, system calls of any bits, guests.
// Uses only lib/ and plain C, since the C library's state is another task's.
#include "caller.h"

#include "fuzz.h"
#include "values.h"

#include <corvus/services.h>
#include <corvus/stubs.h>

#include "lib/clock.h"
#include "lib/message.h"

#define WAIT_NS 100000u // how far a deadline is away at most

static struct random randoms[FUZZ_CALLERS];

static struct call_record *begin(uint64_t index, uint32_t what, const struct message *message)
{
    struct caller_report *report = &fuzz_shared->callers[index];
    struct call_record *record = &report->log[report->calls % FUZZ_LOG];
    const struct message_right *right = &utcb_self()->rights[0];

    *record = (struct call_record){
        .number = report->calls,
        .what = what,
        .target = (uint32_t)message->destination,
        .tag = message->tag,
        .id = message->id,
        .right = right->name | (uint64_t)right->disposition << 32,
    };
    for (unsigned i = 0; i < MESSAGE_REGISTER_WORDS; i++)
        record->words[i] = message->words[i];
    report->calls++;
    fuzz_shared->calls++;
    return record;
}

static void end(struct call_record *record, uint64_t result)
{
    record->result = result;
    record->returned = true;
}

static void set_deadlines(struct random *random)
{
    struct utcb *page = utcb_self();
    uint64_t now = clock_now_ns();

    page->send_deadline = random_one_in(random, 4) ? 0 : now + random_below(random, WAIT_NS);
    page->receive_deadline = random_one_in(random, 4) ? 0 : now + random_below(random, WAIT_NS);
}

// --- Services ------------------------------------------------------------------

static port_name_t pick_target(const struct fuzz_service *service, struct random *random)
{
    switch (service->object) {
    case OBJECT_KIND_TASK:
        return random_one_in(random, 3) ? material_pick(MATERIAL_TASK, random) : NAME_TASK_SELF;
    case OBJECT_KIND_THREAD:
        // One thread with a vCPU is enough, and has to be found again.
        if (service->id >= SERVICE_vcpu_attach && service->id <= SERVICE_vcpu_fpu_flush &&
            random_one_in(random, 2))
            return NAME_THREAD_MAIN;
        return random_one_in(random, 8) ? NAME_THREAD_MAIN : material_pick(MATERIAL_THREAD, random);
    case OBJECT_KIND_HOST:
        return NAME_HOST;
    case OBJECT_KIND_TIMER:
        return material_pick(MATERIAL_TIMER, random);
    default: // held by nobody here
        return material_any(random);
    }
}

// Calls that would end the fuzzing too soon if they were as frequent as others.
static bool too_final(const struct fuzz_service *service, port_name_t target, struct random *random)
{
    bool own = target == NAME_TASK_SELF || target == NAME_THREAD_MAIN;

    return own &&
           (service->id == SERVICE_task_terminate || service->id == SERVICE_thread_terminate) &&
           !random_one_in(random, 2000);
}

// Without these names nearly every call would be refused from then on.
static bool stands_on(uint64_t name)
{
    return name == NAME_TASK_SELF || name == NAME_THREAD_MAIN || name == NAME_HOST;
}

static void seldom_move(struct message_right *right, struct random *random)
{
    if (right->disposition == MOVE_SEND && stands_on(right->name) && !random_one_in(random, 64))
        right->disposition = COPY_SEND;
}

static void keep(enum material kind, port_name_t name, struct random *random)
{
    port_name_t old = material_add(kind, name, random);

    // Half of what is displaced stays in the table of rights, unnamed.
    if (old != PORT_NULL && kind != MATERIAL_FOREIGN && !stands_on(old) && random_one_in(random, 2))
        (void)task_deallocate_right(NAME_TASK_SELF, old);
}

static void keep_results(const struct fuzz_service *service, port_name_t target, uint64_t name,
                         struct random *random)
{
    bool own = target == NAME_TASK_SELF;

    if (service->gives_right) {
        enum material kind = service->id == SERVICE_task_create          ? MATERIAL_TASK
                             : service->id == SERVICE_task_create_thread ? MATERIAL_THREAD
                             : service->id == SERVICE_task_create_timer  ? MATERIAL_TIMER
                                                                         : MATERIAL_SEND;
        keep(kind, utcb_self()->rights[0].name, random);
    }
    if (service->gives_name) {
        enum material kind = !own                                            ? MATERIAL_FOREIGN
                             : service->id == SERVICE_task_allocate_port     ? MATERIAL_RECEIVE
                             : service->id == SERVICE_task_allocate_port_set ? MATERIAL_SET
                             : service->id == SERVICE_thread_save_reply      ? MATERIAL_SEND_ONCE
                                                                             : MATERIAL_SEND;
        keep(kind, (port_name_t)name, random);
    }
}

static void fill_array(const struct fuzz_service *service, struct random *random)
{
    struct utcb *page = utcb_self();

    for (unsigned i = service->array; i < service->array + 20 && i < MESSAGE_WORDS; i++)
        page->words[i] = random_one_in(random, 8) ? value_bad(WORD_ADDRESS, random)
                                                  : value_good(WORD_CODE, true, random);
}

static uint64_t request_tag(const struct fuzz_service *service, bool good, struct random *random)
{
    uint64_t words = service->array ? service->array + 20 : service->words;
    uint64_t rights = service->rights;

    if (!good && random_one_in(random, 8))
        words = random_below(random, MESSAGE_WORDS + 4);
    if (!good && random_one_in(random, 8))
        rights = random_below(random, 3);
    return TAG_CALL | words | TAG_RIGHTS(rights);
}

static void call_service(uint64_t index, struct random *random)
{
    uint32_t number = (uint32_t)random_below(random, fuzz_service_count);
    const struct fuzz_service *service = &fuzz_services[number];
    bool good = random_one_in(random, 2);
    port_name_t target =
        good ? pick_target(service, random)
             : (port_name_t)(random_one_in(random, 4) ? material_bad(random)
                                                      : pick_target(service, random));
    bool own = target == NAME_TASK_SELF;
    struct message message = {.destination = target, .id = service->id};

    if (too_final(service, target, random))
        return;
    for (uint32_t i = 0; i < service->words && i < MESSAGE_REGISTER_WORDS; i++)
        message.words[i] = good || !random_one_in(random, 4)
                               ? value_good(service->kinds[i], own, random)
                               : value_bad(service->kinds[i], random);
    message.tag = request_tag(service, good, random);
    if (service->array)
        fill_array(service, random);
    if (service->rights)
        utcb_self()->rights[0] = !good ? value_right(random_one_in(random, 2), random)
                                 : service->id == SERVICE_task_request_notification
                                     ? value_send_once_right(random)
                                     : value_send_right(random);
    if (service->id == SERVICE_task_move_quota && good)
        utcb_self()->rights[0] = copy_send(material_pick(MATERIAL_TASK, random));
    seldom_move(&utcb_self()->rights[0], random);
    if ((service->id == SERVICE_task_deallocate_right ||
         service->id == SERVICE_task_extract_right) &&
        own && stands_on(message.words[0]) && !random_one_in(random, 64))
        return;
    if (!good && random_one_in(random, 8)) {
        message.tag |= TAG_SEND_DEADLINE | TAG_RECEIVE_DEADLINE;
        set_deadlines(random);
    }
    struct call_record *record = begin(index, number, &message);
    message_trap(&message);
    uint64_t error = TAG_ERROR(message.tag) ? TAG_ERROR(message.tag) : message.words[0];
    end(record, error);
    if (error < ERR_COUNT)
        fuzz_shared->results[number][error]++;
    if (error == ERR_OK)
        keep_results(service, target, message.words[1], random);
}

// --- Messages ------------------------------------------------------------------

static void fill_items(uint64_t items, struct random *random)
{
    struct utcb *page = utcb_self();

    for (unsigned i = 0; i < MESSAGE_ITEMS; i++) {
        bool good = !random_one_in(random, 8);

        if (i < items)
            page->items[i] = (struct message_item){
                .kind = (uint32_t)random_below(random, 4),
                .access = (uint32_t)random_below(random, 8),
                .address = good ? value_arena_page(random) : value_bad(WORD_ADDRESS, random),
                .length =
                    good ? value_good(WORD_LENGTH, true, random) : value_bad(WORD_LENGTH, random),
                .offset = PAGE_BYTES * random_below(random, 16),
            };
        page->copy_buffers[i] = (struct message_buffer){
            .address = good ? value_arena_page(random) : value_bad(WORD_ADDRESS, random),
            .length = PAGE_BYTES * random_below(random, 8),
        };
    }
    page->map_window = (struct message_buffer){.address = value_arena_page(random),
                                               .length = PAGE_BYTES * random_below(random, 32)};
}

static uint64_t message_tag(struct random *random)
{
    static const uint64_t shapes[] = {
        TAG_SEND,
        TAG_RECEIVE,
        TAG_CALL,
        TAG_REPLY_RECEIVE,
        TAG_SEND | TAG_RECEIVE,
        TAG_SEND | TAG_REPLY,
        TAG_SEND | TAG_NOTIFY,
        TAG_SEND | TAG_REPLY_RIGHT,
        TAG_SEND | TAG_RECEIVE | TAG_REPLY_RIGHT,
    };
    uint64_t tag = shapes[random_below(random, sizeof shapes / sizeof shapes[0])];

    if (!(tag & (TAG_NOTIFY))) {
        if (random_one_in(random, 2))
            tag |= random_below(random, random_one_in(random, 8) ? MESSAGE_WORDS + 1 : 8);
        if (random_one_in(random, 3))
            tag |= TAG_RIGHTS(random_below(random, random_one_in(random, 16) ? 10 : 3));
        if (random_one_in(random, 4))
            tag |= TAG_ITEMS(random_below(random, random_one_in(random, 16) ? 6 : 3));
    }
    return tag | TAG_SEND_DEADLINE * (tag & TAG_SEND ? 1 : 0) |
           TAG_RECEIVE_DEADLINE * (tag & TAG_RECEIVE ? 1 : 0);
}

static void send_message(uint64_t index, struct random *random)
{
    struct message message = {.tag = message_tag(random), .id = random_below(random, 8)};
    enum material sources[] = {MATERIAL_SEND, MATERIAL_SEND, MATERIAL_SEND_ONCE, MATERIAL_RECEIVE};

    message.destination = random_one_in(random, 16)
                              ? (uint32_t)material_bad(random)
                              : material_pick(sources[random_below(random, 4)], random);
    message.receive_from =
        material_pick(random_one_in(random, 3) ? MATERIAL_SET : MATERIAL_RECEIVE, random);
    message.words[0] = random_next(random);
    for (unsigned i = 0; i < MESSAGE_RIGHTS; i++)
        utcb_self()->rights[i] = value_right(!random_one_in(random, 8), random);
    for (unsigned i = 0; i < MESSAGE_RIGHTS; i++)
        seldom_move(&utcb_self()->rights[i], random);
    utcb_self()->reply = value_right(!random_one_in(random, 8), random);
    if (!random_one_in(random, 8))
        utcb_self()->reply = value_send_once_right(random);
    fill_items((message.tag & TAG_ITEMS_MASK) >> TAG_ITEMS_SHIFT, random);
    set_deadlines(random);
    struct call_record *record = begin(index, CALL_MESSAGE, &message);
    message_trap(&message);
    end(record, message.tag);
    if (TAG_ERROR(message.tag) < ERR_COUNT)
        fuzz_shared->results[FUZZ_RESULTS_MESSAGES][TAG_ERROR(message.tag)]++;
    uint64_t rights = (message.tag & TAG_RIGHTS_MASK) >> TAG_RIGHTS_SHIFT;
    for (uint64_t i = 0; TAG_ERROR(message.tag) == ERR_OK && i < rights && i < MESSAGE_RIGHTS;
         i++) {
        uint32_t kind = utcb_self()->rights[i].disposition;

        keep(kind == RIGHT_RECEIVE     ? MATERIAL_RECEIVE
             : kind == RIGHT_SEND_ONCE ? MATERIAL_SEND_ONCE
                                       : MATERIAL_SEND,
             utcb_self()->rights[i].name, random);
    }
}

// A message to itself that wants an answer, and the answer's right under a name:
// chance alone hardly ever gets there. Only the first caller knows its own port.
static void save_a_reply(struct random *random)
{
    port_name_t receive = material_pick(MATERIAL_RECEIVE, random);
    const struct fuzz_service *service = services_find("thread_save_reply");
    const struct fuzz_service *room_service = services_find("thread_reply_room");
    struct message message = {.tag = TAG_SEND | TAG_REPLY_RIGHT | TAG_SEND_DEADLINE};
    port_name_t send;
    uint64_t name = 0;

    if (task_extract_right(NAME_TASK_SELF, receive, MAKE_SEND, &send) != ERR_OK)
        return;
    message.destination = send;
    utcb_self()->reply = make_send_once(receive);
    utcb_self()->send_deadline = 0;
    message_trap(&message);
    message = (struct message){.tag = TAG_RECEIVE | TAG_RECEIVE_DEADLINE, .receive_from = receive};
    utcb_self()->receive_deadline = 0;
    message_trap(&message);
    corvus_error_t error = thread_reply_room(NAME_THREAD_MAIN, NULL, NULL, NULL, NULL);
    if (error < ERR_COUNT)
        fuzz_shared->results[room_service - fuzz_services][error]++;
    error = thread_save_reply(NAME_THREAD_MAIN, &name);
    if (error < ERR_COUNT)
        fuzz_shared->results[service - fuzz_services][error]++;
    if (error == ERR_OK)
        keep(MATERIAL_SEND_ONCE, (port_name_t)name, random);
    keep(MATERIAL_SEND, send, random);
}

// A fresh port bound to a vCPU: most ports are in sets, or gone.
static void bind_a_port(struct random *random)
{
    const struct fuzz_service *service = services_find("vcpu_bind");
    uint64_t name;

    (void)vcpu_attach(NAME_THREAD_MAIN, value_good(WORD_PAGE_OF_KERNEL, true, random));
    if (task_allocate_port(NAME_TASK_SELF, 0, &name) != ERR_OK)
        return;
    corvus_error_t error = vcpu_bind(NAME_THREAD_MAIN, name, random_below(random, 65));
    if (error < ERR_COUNT)
        fuzz_shared->results[service - fuzz_services][error]++;
    keep(MATERIAL_RECEIVE, (port_name_t)name, random);
}

// Any bits at all. Some wait for ever: the controller ends that.
static void send_anything(uint64_t index, struct random *random)
{
    struct message message = {
        .tag = random_next(random) & (random_one_in(random, 2) ? ~0ull : 0x1ffffffull),
        .destination = random_one_in(random, 2) ? material_any(random) : random_next(random),
        .receive_from = random_one_in(random, 2) ? material_any(random) : random_next(random),
        .id = random_next(random),
    };

    message.tag &= ~TAG_VCPU_RUN; // loses registers that message_trap does not know of
    set_deadlines(random);
    struct call_record *record = begin(index, CALL_RAW, &message);
    message_trap(&message);
    end(record, message.tag);
}

static void run_guest(uint64_t index, struct random *random)
{
    port_name_t guest = random_one_in(random, 16) ? (uint32_t)material_bad(random)
                                                  : material_pick(MATERIAL_TASK, random);
    struct message message = {.destination = guest};
    struct call_record *record = begin(index, CALL_VCPU_RUN, &message);

    end(record, (uint64_t)vcpu_run(guest));
    fuzz_shared->guest_exits++;
}

void caller_main(uint64_t index)
{
    struct random *random = &randoms[index];

    random->state = fuzz_shared->seed * FUZZ_CALLERS + index;
    for (;;) {
        uint64_t choice = random_below(random, 64);

        // What it started with may have been displaced or given away.
        if (choice == 0)
            (void)material_add(MATERIAL_TASK, NAME_TASK_SELF, random);
        if (choice == 63 && index == 0)
            save_a_reply(random);
        else if (choice == 62 && index == 0)
            bind_a_port(random);
        else if (choice < 44)
            call_service(index, random);
        else if (choice < 60)
            send_message(index, random);
        else if (choice < 62)
            send_anything(index, random);
        else
            run_guest(index, random);
    }
}
