// SPDX-License-Identifier: BSD-2-Clause
// What the parts of the VM server's binding share: the core's world, and the ports by which things
// come in. All of it runs on one thread, which waits for nothing but the next message.
#pragma once

#include "pagers/vm/core/vm.h"

#include "lib/outbox.h"
#include "lib/port.h"

// What a port is for; its label is the address of this, plus 1. (That of an export's port, which is
// the pager skeleton's, is an even number.)
enum source_kind {
    SOURCE_SERVER,  // the server's own port
    SOURCE_NOTICES, // dead names, and events of outboxes
    SOURCE_MAP,     // a client's map
    SOURCE_PAGER,   // page faults of a client
    SOURCE_REQUEST, // an object's request port: its pager speaks
};
struct source {
    enum source_kind kind;
    port_name_t receive;
};

extern struct vm_core core;

// A port in the server's set.
corvus_error_t source_open(struct source *source, enum source_kind kind);
void source_close(struct source *source);
static inline struct source *source_of(uint64_t label)
{
    return (struct source *)(uintptr_t)(label - 1);
}
// The set that all ports are in; notices of the kernel.
port_name_t server_set(void);
port_name_t server_notices(void);
// Tells by a DEAD_NAME notice when the port behind a send right dies.
corvus_error_t server_watch(port_name_t right);
// Lets the loop look at what other threads noted. From any thread.
void server_notify(void);

// --- clients.c

struct client {
    struct client *next;
    struct vm_map *map;
    struct source control, pager;
    port_name_t task; // send right
    port_name_t life; // a right to `control` of the server's own, until the maker has one
    bool owned;       // the server made the task
};

bool clients_open(void);
bool clients_serve_server(const struct message *request, struct message *reply);
bool clients_serve_map(struct client *client, const struct message *request, struct message *reply);
// The task of that name died. False: there is none.
bool clients_task_died(port_name_t task);
// An answer that nobody took leaves its right here: to be called when the answer has been given.
bool clients_unsettled(void);
void clients_settle(void);
void clients_abandoned(struct client *client);
struct client *client_of_map(const struct vm_map *map);

// --- jobs.c: calls that need pages

// Each saves the right to answer and gives the answer later: SERVE_LATER, or an error at once.
corvus_error_t job_read(struct client *client, uint64_t address, uint64_t bytes);
corvus_error_t job_write(struct client *client, uint64_t address, const void *data, uint64_t bytes);
corvus_error_t job_wire(struct client *client, uint64_t address, uint64_t bytes);
// All jobs of a client that is ending end.
void jobs_cancel(struct client *client);

// --- faults.c

void fault_serve(struct client *client, const struct message *request, struct message *reply);

// --- frames.c: also members of `environment`

bool frames_prepare(uint32_t frames);
bool piece_take(void *context, uint32_t piece, uint32_t frames);
void piece_give(void *context, uint32_t piece, uint32_t frames);
uint64_t frame_address(uint32_t frame);
void *frame_bytes(void *context, uint32_t frame);
void frame_restrict(void *context, uint32_t frame, uint64_t access, bool *accessed, bool *written);
void map_restrict(void *context, struct vm_map *map, uint64_t address, uint64_t length,
                  uint64_t access);

// --- objects.c: the cache manager's ports

extern const struct vm_environment environment;
bool objects_open(uint32_t frames);
// The object behind a send right, which becomes the server's. One reference is the caller's.
corvus_error_t object_of_right(port_name_t right, uint64_t limit, struct vm_object **object);
// The object whose request port has that label. NULL: it is of another incarnation.
struct vm_object *object_of_request(uint64_t label, uint64_t incarnation);
bool objects_died(port_name_t name);
// What other threads noted: frames sent, pagers that do not take messages.
void objects_settle(void);
uint64_t object_number(const struct vm_object *object);

// Whether objects_settle has anything to do.
bool objects_unsettled(void);

// --- requests.c: what pagers say

void requests_serve(const struct message *request, struct message *reply);

// --- exports.c: snapshots as memory objects

// Takes the map over. The right is the caller's.
corvus_error_t export_make(struct vm_map *snapshot, uint64_t bytes, port_name_t *object);
// Nobody can send to the port of that label any more.
void exports_abandoned(uint64_t label);
// The snapshot behind a port of that kernel id. NULL: it is none.
struct vm_map *export_find(uint64_t port_id, uint64_t *bytes);
