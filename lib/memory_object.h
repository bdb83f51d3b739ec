// SPDX-License-Identifier: BSD-2-Clause
// The skeleton of a pager: a program fills in a table of functions and calls memory_object_run. It
// works for native tasks and for Linux programs (corvus/pager.def says what the messages mean).
//
// The skeleton knows who maps each object and which requests are open. What a cache manager sends
// that makes no sense (another incarnation, a number used before, a range outside, an answer to
// nothing) is ignored and counted, and so does the table never see it. All functions of the table
// run on the thread that serves; none of what is called here waits.
#pragma once

#include "lib/message.h"

#include <corvus/pager.h>

// How many requests of one manager may be open; more are answered with an error.
#define MEMORY_OBJECT_REQUESTS 256u

struct memory_object;  // an object that this program serves
struct memory_manager; // a cache manager that has mapped one object, until it forgets it or dies

// What a cache manager asks for.
struct memory_request {
    uint64_t sequence; // which the answer tells again
    uint64_t offset;
    uint64_t length;
    uint64_t access; // ACCESS_* wanted
};

struct memory_object_functions {
    // Somebody maps the object. Another answer than OK refuses it. May be NULL.
    corvus_error_t (*init)(struct memory_manager *manager);
    // Pages are needed: to be answered, now or later, by memory_provide, memory_unavailable or
    // memory_error. The one function that must be there.
    void (*data_request)(struct memory_manager *manager, const struct memory_request *request);
    // Pages come back; `sequence` of the lock, flush or clean that asked, or 0. NULL: they are
    // lost.
    void (*data_write)(struct memory_manager *manager, uint64_t sequence, uint64_t offset,
                       const void *data, size_t bytes, bool kept, bool changed);
    // More access is wanted: memory_grant or memory_error. NULL: it is granted.
    void (*data_unlock)(struct memory_manager *manager, const struct memory_request *request);
    // What memory_lock, memory_flush or memory_clean asked for is done. May be NULL.
    void (*lock_completed)(struct memory_manager *manager, uint64_t sequence, uint64_t offset,
                           uint64_t length, uint64_t held);
    // Told PAGER_CACHE_IDLE, the manager has nobody who uses the object, and lets nobody use it
    // again. May be NULL.
    void (*idle)(struct memory_manager *manager);
    // The manager has forgotten the object, or (`died`) is no more, or cannot be reached: what it
    // had not sent back is lost. The pointer is not valid any more afterwards. May be NULL.
    void (*terminate)(struct memory_manager *manager, bool died);
};

// Messages that were ignored, since the program began.
struct memory_object_counters {
    uint64_t unknown;   // of an incarnation that is not, or no longer, known
    uint64_t malformed; // wrong parts, ranges, numbers
    uint64_t refused;   // requests beyond MEMORY_OBJECT_REQUESTS
};

// --- Objects ---------------------------------------------------------------------------------

// A new object. `set`: a port set that its port joins, or PORT_NULL for the one that
// memory_object_run serves. NULL: no memory.
struct memory_object *memory_object_create(const struct memory_object_functions *functions,
                                           void *context, port_name_t set);

// Likewise, of a port that there is already: `receive` becomes the object's.
struct memory_object *memory_object_adopt(port_name_t receive,
                                          const struct memory_object_functions *functions,
                                          void *context, port_name_t set);

// Its port dies, and all its managers are told so that way. `terminate` is not called. Not from
// within a function of the table.
void memory_object_destroy(struct memory_object *object);

// Likewise, from within `terminate` of its last manager: the object is gone when that has returned.
void memory_object_retire(struct memory_object *object);

void *memory_object_context(const struct memory_object *object);

// The name of its receive right: for make_send().
port_name_t memory_object_port(const struct memory_object *object);

// Takes a cache manager in that came by pager_create, with its rights.
struct memory_manager *memory_object_enrol(struct memory_object *object, uint64_t incarnation,
                                           uint64_t node, port_name_t request, port_name_t name);

// --- Managers --------------------------------------------------------------------------------

struct memory_object *memory_manager_object(const struct memory_manager *manager);
uint64_t memory_manager_node(const struct memory_manager *manager);

// All managers of an object, one after the other: begin with NULL; NULL is the end.
struct memory_manager *memory_manager_next(const struct memory_object *object,
                                           const struct memory_manager *after);

// A word of the program's own, 0 to begin with.
void *memory_manager_context(const struct memory_manager *manager);
void memory_manager_set_context(struct memory_manager *manager, void *context);

// --- Answers ---------------------------------------------------------------------------------
// INVALID_ARGUMENT: there is no such open request, or the answer is none to it. NO_MEMORY: not
// sent; the request is still open. PEER_DIED and the like: the manager cannot be reached;
// `terminate` follows.

// `bytes`: whole pages, one up to as many as were asked for. The data are copied if they must wait.
corvus_error_t memory_provide(struct memory_manager *manager, uint64_t sequence, const void *data,
                              size_t bytes, uint64_t lock, uint64_t flags);
corvus_error_t memory_unavailable(struct memory_manager *manager, uint64_t sequence, size_t bytes,
                                  uint64_t lock, uint64_t flags);
corvus_error_t memory_error(struct memory_manager *manager, uint64_t sequence,
                            corvus_error_t reason);
// To a data_unlock: `lock` is what is still forbidden.
corvus_error_t memory_grant(struct memory_manager *manager, uint64_t sequence, uint64_t lock);

// --- Requests to a manager --------------------------------------------------------------------
// *sequence, unless NULL, is the number by which data_write and lock_completed come.

// Forbids `lock` for pages that are cached; `flags`: PAGER_RETURN, PAGER_COMPLETE.
corvus_error_t memory_lock(struct memory_manager *manager, uint64_t offset, uint64_t length,
                           uint64_t lock, uint64_t flags, uint64_t *sequence);
corvus_error_t memory_flush(struct memory_manager *manager, uint64_t offset, uint64_t length,
                            uint64_t *sequence);
corvus_error_t memory_clean(struct memory_manager *manager, uint64_t offset, uint64_t length,
                            uint64_t *sequence);
// PAGER_CACHE_*.
corvus_error_t memory_cache(struct memory_manager *manager, uint64_t what);

// --- Serving ----------------------------------------------------------------------------------

// For a server with a loop of its own. Opens the thread's first copy buffer for data: to be called
// before each receive.
corvus_error_t memory_object_open_buffer(void);

// How many bytes one message may bring from the next receive on: PAGER_DATA_MAX unless this is
// called first. For servers that want little memory until somebody uses them; it never becomes
// less. NO_MEMORY: as before.
corvus_error_t memory_object_set_buffer(size_t bytes);

// False: the message is not the skeleton's. A dispatcher as lib/serve.h has them.
bool memory_object_dispatch(const struct message *request, struct message *reply);

// The port set that objects without another one are in, for further ports. PORT_NULL: no memory.
port_name_t memory_object_set(void);

// Serves that set until receiving fails for good. `other`: what else is to be served, or NULL.
corvus_error_t memory_object_run(bool (*other)(const struct message *request,
                                               struct message *reply));

const struct memory_object_counters *memory_object_counters(void);
