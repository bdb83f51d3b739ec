// SPDX-License-Identifier: BSD-2-Clause
// What pagers say to the request ports of objects: to the core, if it is of the object's
// incarnation.
#include "pagers/vm/server.h"

#include "lib/serve.h"

#include <corvus/pager_dispatch.h>

// NULL: the message is not of this incarnation.
static struct vm_object *object_of(uint64_t label, uint64_t incarnation)
{
    struct vm_object *object = object_of_request(label, incarnation);

    core.counters.nonsense += object == NULL;
    return object;
}

static void on_provided(uint64_t label, uint64_t incarnation, uint64_t sequence, uint64_t offset,
                        uint64_t forbidden, uint64_t flags, const void *data, size_t bytes)
{
    struct vm_object *object = object_of(label, incarnation);

    if (object != NULL)
        vm_data_provided(&core, object, sequence, offset, forbidden, flags, data, bytes);
}

static void on_unavailable(uint64_t label, uint64_t incarnation, uint64_t sequence, uint64_t offset,
                           uint64_t length, uint64_t forbidden, uint64_t flags)
{
    struct vm_object *object = object_of(label, incarnation);

    if (object != NULL)
        vm_data_unavailable(&core, object, sequence, offset, length, forbidden, flags);
}

static void on_error(uint64_t label, uint64_t incarnation, uint64_t sequence, uint64_t offset,
                     uint64_t length, uint64_t reason)
{
    struct vm_object *object = object_of(label, incarnation);

    if (object != NULL)
        vm_data_error(&core, object, sequence, offset, length, reason);
}

static void on_lock(uint64_t label, uint64_t incarnation, uint64_t sequence, uint64_t offset,
                    uint64_t length, uint64_t forbidden, uint64_t flags)
{
    struct vm_object *object = object_of(label, incarnation);

    if (object != NULL)
        vm_data_lock(&core, object, sequence, offset, length, forbidden, flags);
}

static void on_flush(uint64_t label, uint64_t incarnation, uint64_t sequence, uint64_t offset,
                     uint64_t length)
{
    struct vm_object *object = object_of(label, incarnation);

    if (object != NULL)
        vm_flush_request(&core, object, sequence, offset, length);
}

static void on_clean(uint64_t label, uint64_t incarnation, uint64_t sequence, uint64_t offset,
                     uint64_t length)
{
    struct vm_object *object = object_of(label, incarnation);

    if (object != NULL)
        vm_clean_request(&core, object, sequence, offset, length);
}

static void on_cache(uint64_t label, uint64_t incarnation, uint64_t what)
{
    struct vm_object *object = object_of(label, incarnation);

    if (object != NULL)
        vm_cache(&core, object, what);
}

static void on_refused(uint64_t label, uint32_t id)
{
    (void)label;
    (void)id;
    core.counters.nonsense++;
}

static const struct memory_request_operations operations = {
    .pager_data_provided = on_provided,
    .pager_data_unavailable = on_unavailable,
    .pager_data_error = on_error,
    .pager_data_lock = on_lock,
    .pager_flush_request = on_flush,
    .pager_clean_request = on_clean,
    .pager_cache = on_cache,
    .refused = on_refused,
};

void requests_serve(const struct message *request, struct message *reply)
{
    if (memory_request_serve(request, reply, &operations))
        return;
    core.counters.nonsense++;
    message_refuse(request, reply);
}
