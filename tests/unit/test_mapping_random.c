// SPDX-License-Identifier: BSD-2-Clause
// Random map, grant and unmap against a naive model of who has what from whom:
// after each call every page of every task, and what was told of its use, is
// as the model says. Quotas run out now and then.
//
//   test_mapping_random [SEED [OPERATIONS]]
#include "shim/mapping_part.h"
#include "tap.h"

#define TASKS        4
#define REGIONS      3 // of 2 MiB
#define MAPPINGS_MAX 16384
#define REGION_PAGES 512
#define NONE         (-1)

// Two side by side, one at the end of user space.
static const uint64_t region_address[REGIONS] = {0x40000000, 0x40200000, 0x7fffffc00000};

struct model {
    bool live;
    int task, region;
    int page; // NONE: all of the region, a large page
    int parent, children;
    uint64_t frame;
    uint32_t access;
    unsigned used;
    bool vague; // it was asked of a part of it: the kernel may have forgotten some use
};

static struct model models[MAPPINGS_MAX];
static int models_end;
static int small[TASKS][REGIONS][REGION_PAGES], large[TASKS][REGIONS];
static struct task *tasks[TASKS];
static uint64_t next_frame = 1ull << 40;
static unsigned long operations = 40000;

// --- The model ----------------------------------------------------------------------

static int region_of(uint64_t address)
{
    for (int region = 0; region < REGIONS; region++) {
        if (address - region_address[region] < LARGE_PAGE_BYTES)
            return region;
    }
    return NONE;
}

static int *slot_of(int task, int region, int page)
{
    return page == NONE ? &large[task][region] : &small[task][region][page];
}

static int page_of(uint64_t address)
{
    return (int)(address % LARGE_PAGE_BYTES / PAGE_BYTES);
}

static int model_at(int task, uint64_t address)
{
    int region = region_of(address);

    if (region == NONE)
        return NONE;
    return large[task][region] != NONE ? large[task][region]
                                       : small[task][region][page_of(address)];
}

static int model_add(struct model model)
{
    int at = 0;

    while (models[at].live)
        at++;
    if (at >= MAPPINGS_MAX - 1)
        panic("the model is full");
    if (at >= models_end)
        models_end = at + 1;
    model.live = true;
    model.children = 0;
    models[at] = model;
    *slot_of(model.task, model.region, model.page) = at;
    if (model.parent != NONE)
        models[model.parent].children++;
    return at;
}

static void model_remove(int at);

static void model_remove_children(int at)
{
    for (int i = 0; i < models_end && models[at].children; i++) {
        if (models[i].live && models[i].parent == at)
            model_remove(i);
    }
}

static void model_remove(int at)
{
    struct model *model = &models[at];

    model_remove_children(at);
    if (model->parent != NONE)
        models[model->parent].children--;
    *slot_of(model->task, model->region, model->page) = NONE;
    model->live = false;
}

static void model_restrict(int at, uint32_t access)
{
    models[at].access &= access;
    for (int i = 0; i < models_end && models[at].children; i++) {
        if (models[i].live && models[i].parent == at)
            model_restrict(i, access);
    }
}

static void model_split(int at)
{
    struct model part = models[at];

    model_remove(at);
    for (int page = 0; page < REGION_PAGES; page++) {
        part.page = page;
        model_add(part);
        part.frame += PAGE_BYTES;
    }
}

static bool model_is_ancestor(int ancestor, int at)
{
    while (at != NONE && at != ancestor)
        at = models[at].parent;
    return at == ancestor;
}

static void model_use(int at, unsigned used)
{
    for (; at != NONE; at = models[at].parent)
        models[at].used |= used;
}

struct model_call {
    int from, to;
    uint64_t source, destination, length;
    uint32_t access;
    bool grants;
};

// Makes room at the destination; *keep: it is there already, only access changes.
static corvus_error_t model_room(const struct model_call *call, int *source, uint64_t frame,
                                 int region, int page, bool *keep)
{
    int old = *slot_of(call->to, region, page);

    if (old == NONE)
        return ERR_OK;
    if (old == *source ||
        (!call->grants && models[old].parent == *source && models[old].frame == frame)) {
        *keep = true;
        model_restrict(old, call->access);
        models[old].access = call->access;
        return ERR_OK;
    }
    if (model_is_ancestor(old, *source))
        return ERR_IN_USE;
    model_remove(old);
    return ERR_OK;
}

static corvus_error_t model_split_if_alone(int at)
{
    if (models[at].children)
        return ERR_IN_USE;
    model_split(at);
    return ERR_OK;
}

static void model_place(const struct model_call *call, int source, uint64_t frame, int region,
                        int page)
{
    struct model model = {true, call->to, region, page, source, 0, frame, call->access, 0, false};

    if (!call->grants) {
        model_add(model);
        return;
    }
    model_restrict(source, call->access);
    *slot_of(models[source].task, models[source].region, models[source].page) = NONE;
    models[source].task = call->to;
    models[source].region = region;
    models[source].page = page;
    *slot_of(call->to, region, page) = source;
}

static corvus_error_t model_page(const struct model_call *call, uint64_t done, uint64_t *bytes)
{
    uint64_t from = call->source + done, to = call->destination + done;
    int region = region_of(to), source = model_at(call->from, from);
    corvus_error_t error = ERR_OK;
    bool whole, keep = false;
    uint64_t frame;
    int page;

    if (source == NONE)
        return ERR_NOT_MAPPED;
    if (call->access & ~models[source].access)
        return ERR_ACCESS_DENIED;
    whole = models[source].page == NONE && (from | to) % LARGE_PAGE_BYTES == 0 &&
            call->length - done >= LARGE_PAGE_BYTES;
    if (call->grants && models[source].page == NONE && !whole)
        error = model_split_if_alone(source);
    if (!error && !whole && large[call->to][region] != NONE)
        error = model_split_if_alone(large[call->to][region]);
    if (error)
        return error;
    source = model_at(call->from, from);
    for (int i = 0; whole && large[call->to][region] == NONE && i < REGION_PAGES; i++) {
        if (small[call->to][region][i] != NONE)
            model_remove(small[call->to][region][i]);
    }
    page = whole ? NONE : page_of(to);
    frame = models[source].frame + (models[source].page == NONE ? from % LARGE_PAGE_BYTES : 0);
    error = model_room(call, &source, frame, region, page, &keep);
    if (error)
        return error;
    if (!keep)
        model_place(call, source, frame, region, page);
    *bytes = whole ? LARGE_PAGE_BYTES : PAGE_BYTES;
    return ERR_OK;
}

// --- Comparison ---------------------------------------------------------------------

static void check_model(void)
{
    uint64_t mapped[TASKS] = {0};

    for (int i = 0; i < models_end; i++) {
        const struct model *model = &models[i];
        uint64_t address;
        struct place place;

        if (!model->live)
            continue;
        address = region_address[model->region] +
                  (model->page == NONE ? 0 : (uint64_t)model->page * PAGE_BYTES);
        place = space_find(tasks[model->task], address);
        KASSERT(*place.entry & PTE_PRESENT);
        KASSERT(place.level == (model->page == NONE ? LEVEL_LARGE : LEVEL_SMALL));
        KASSERT((*place.entry & PTE_ADDRESS_MASK) == model->frame);
        KASSERT(space_entry_access(*place.entry) == model->access);
        mapped[model->task] += LEVEL_BYTES(place.level) / PAGE_BYTES;
    }
    for (int task = 0; task < TASKS; task++) {
        KASSERT(mapped[task] == tasks[task]->space.mapped);
        check_task(tasks[task]);
    }
}

// A call that found no memory may have split large pages on its way.
static void follow_splits(void)
{
    for (int task = 0; task < TASKS; task++) {
        for (int region = 0; region < REGIONS; region++) {
            struct place place = space_find(tasks[task], region_address[region]);

            if (large[task][region] != NONE && place.level == LEVEL_SMALL)
                model_split(large[task][region]);
        }
    }
}

// --- Operations ---------------------------------------------------------------------

static uint64_t below(uint64_t limit)
{
    return (uint64_t)random() % limit;
}

static uint64_t random_address(void)
{
    static const unsigned pages[] = {0, 1, 2, 3, 510, 511};
    uint64_t page = below(3) ? 0 : pages[below(6)];

    return region_address[below(REGIONS)] + (below(3) ? pages[below(6)] : page) * PAGE_BYTES;
}

static uint64_t random_length(uint64_t first, uint64_t second)
{
    uint64_t end = LARGE_PAGE_BYTES;
    uint64_t wanted;

    for (unsigned i = 0; i < 2; i++) {
        uint64_t at = i ? second : first;
        int region = region_of(at);
        uint64_t room;

        if (region == NONE)
            continue;
        room = region_address[region] + LARGE_PAGE_BYTES - at;
        if (region == 0)
            room += LARGE_PAGE_BYTES;
        if (room < end)
            end = room;
    }
    wanted = below(4) ? (1 + below(4)) * PAGE_BYTES : end;
    return wanted < end ? wanted : end;
}

static void random_map(void)
{
    struct model_call call = {
        .from = (int)below(TASKS),
        .to = (int)below(TASKS),
        .source = random_address(),
        .destination = random_address(),
        .access = (uint32_t)(ACCESS_READ | (below(4) ? ACCESS_WRITE : 0) |
                             (below(2) ? ACCESS_EXECUTE : 0)),
        .grants = below(4) == 0,
    };
    struct task *to = tasks[call.to];
    uint64_t limit = to->quota.limit;
    uint64_t done, model_done = 0;
    corvus_error_t error, expected = ERR_OK;

    call.length = random_length(call.source, call.destination);
    if (below(8) == 0) {
        call.source = region_address[below(REGIONS)];
        call.destination = region_address[below(REGIONS)];
        call.length = LARGE_PAGE_BYTES;
    }
    if (below(8) == 0)
        to->quota.limit = to->quota.used + below(3 * PAGE_BYTES);
    error = map_all(tasks[call.from], call.source, to, call.destination, call.length, call.access,
                    call.grants, &done);
    to->quota.limit = limit;
    while (!expected && model_done < (error == ERR_NO_MEMORY ? done : call.length)) {
        uint64_t bytes = 0;

        expected = model_page(&call, model_done, &bytes);
        model_done += bytes;
    }
    if (error == ERR_NO_MEMORY)
        follow_splits();
    else
        KASSERT(error == expected);
    KASSERT(done == model_done);
}

// What a call told of the pages from `index` on must be what the model knows.
static void check_used(const struct unmap_result *result, uint64_t index, uint64_t pages,
                       unsigned used, bool exact)
{
    for (uint64_t i = index; i < index + pages && i < 64; i++) {
        unsigned told = (result->accessed >> i & 1 ? NODE_ACCESSED : 0) |
                        (result->dirty >> i & 1 ? NODE_DIRTY : 0);

        KASSERT(exact ? told == used : !(told & ~used));
    }
}

static void model_unmap_part(int at, uint64_t part, uint32_t access)
{
    for (int i = 0; i < models_end && models[at].children; i++) {
        struct model *model = &models[i];

        if (!model->live || model->parent != at ||
            (model->page != NONE && model->frame != models[at].frame + part))
            continue;
        if (access & ACCESS_READ || (model->page == NONE && access))
            model_remove(i);
        else if (model->page != NONE)
            model_restrict(i, ACCESS_ALL & ~access);
    }
}

static void model_unmap_whole(int at, uint32_t access, bool self)
{
    if (access & ACCESS_READ)
        self ? model_remove(at) : model_remove_children(at);
    else if (self)
        model_restrict(at, ACCESS_ALL & ~access);
    else
        for (int i = 0; i < models_end; i++) {
            if (models[i].live && models[i].parent == at)
                model_restrict(i, ACCESS_ALL & ~access);
        }
}

// Compares what was told of the page, and does to the model what was done.
static corvus_error_t model_unmap_page(int task, uint64_t address, uint64_t room, uint32_t access,
                                       bool self, uint64_t index, const struct unmap_result *result,
                                       uint64_t *bytes)
{
    int at = model_at(task, address);
    bool partial;

    *bytes = PAGE_BYTES;
    if (at == NONE)
        return ERR_OK;
    partial = models[at].page == NONE && (address % LARGE_PAGE_BYTES || room < LARGE_PAGE_BYTES);
    if (partial && self && access) {
        corvus_error_t error = model_split_if_alone(at);

        if (error)
            return error;
        at = model_at(task, address);
        partial = false;
    }
    if (partial) {
        check_used(result, index, 1, models[at].used, false);
        models[at].vague = true;
        model_unmap_part(at, address % LARGE_PAGE_BYTES, access);
        return ERR_OK;
    }
    *bytes = models[at].page == NONE ? LARGE_PAGE_BYTES : PAGE_BYTES;
    check_used(result, index, *bytes / PAGE_BYTES, models[at].used, !models[at].vague);
    if (index < 64) {
        models[at].used = 0;
        models[at].vague = false;
    }
    model_unmap_whole(at, access, self);
    return ERR_OK;
}

static void random_unmap(void)
{
    int task = (int)below(TASKS);
    uint64_t address = random_address();
    uint64_t length = random_length(address, address);
    uint32_t access = below(2) ? ACCESS_ALL : (uint32_t)below(8);
    bool self = below(2);
    struct unmap_result result;
    corvus_error_t error, expected = ERR_OK;

    error = unmap_all(tasks[task], address, length, access, self, &result);
    for (uint64_t done = 0, bytes; !expected && done < length; done += bytes)
        expected = model_unmap_page(task, address + done, length - done, access, self,
                                    done / PAGE_BYTES, &result, &bytes);
    KASSERT(error == expected);
}

static void random_use(void)
{
    int task = (int)below(TASKS);
    uint64_t address = random_address();
    bool write = below(2);
    int at = model_at(task, address);
    bool allowed = at != NONE && (!write || models[at].access & ACCESS_WRITE);

    if (below(2)) {
        uint32_t access = write ? ACCESS_WRITE : ACCESS_READ;

        KASSERT((space_translate(tasks[task], address, access) != 0) == allowed);
    } else {
        KASSERT(user_access(tasks[task], address, write) == allowed);
    }
    if (allowed)
        model_use(at, NODE_ACCESSED | (write ? NODE_DIRTY : 0));
}

// The first task gets fresh memory where it has none.
static void give_root(void)
{
    int region = (int)below(REGIONS);
    int page = below(3) ? NONE : (int)below(REGION_PAGES);
    struct model model = {true, 0, region, page, NONE, 0, next_frame, ACCESS_ALL, 0, false};
    uint64_t address = region_address[region] + (page == NONE ? 0 : (uint64_t)page * PAGE_BYTES);
    bool empty = large[0][region] == NONE && (page == NONE || small[0][region][page] == NONE);
    corvus_error_t error;

    for (int i = 0; page == NONE && i < REGION_PAGES; i++)
        empty = empty && small[0][region][i] == NONE;
    error = mapping_root(tasks[0], address, next_frame, page == NONE, ACCESS_ALL, HOST_CACHE_ON);
    KASSERT(error == (empty ? ERR_OK : ERR_IN_USE));
    if (error)
        return;
    model_add(model);
    next_frame += LARGE_PAGE_BYTES;
}

static void restart_task(void)
{
    int task = (int)below(TASKS);

    task_end(tasks[task]);
    tasks[task] = task_make();
    for (int i = 0; i < models_end; i++) {
        if (models[i].live && models[i].task == task)
            model_remove(i);
    }
}

static void random_operation(void)
{
    uint64_t kind = below(100);

    step_budget = below(2) ? 10000 : 4500 + (int)below(1000);
    if (kind < 40)
        random_map();
    else if (kind < 60)
        random_unmap();
    else if (kind < 94)
        random_use();
    else if (kind < 99)
        give_root();
    else if (below(8) == 0)
        restart_task();
}

static void run(bool pcid, bool has_invpcid)
{
    uint64_t free_before = memory_free_bytes();

    cpu_features.pcid = pcid;
    cpu_features.invpcid = has_invpcid;
    memset(large, 0xff, sizeof(large));
    memset(small, 0xff, sizeof(small));
    models_end = 0;
    for (int i = 0; i < TASKS; i++)
        tasks[i] = task_make();
    for (unsigned long i = 0; i < operations; i++) {
        random_operation();
        check_tlb();
        if (i % 8 == 0)
            check_model();
    }
    check_model();
    for (int i = 0; i < TASKS; i++)
        task_end(tasks[i]);
    memset(models, 0, sizeof(models));
    tap_ok(memory_free_bytes() == free_before && free_page_count * PAGE_BYTES == free_before,
           "all agrees with the model, and nothing is left");
}

int main(int count, char **arguments)
{
    srandom(count > 1 ? (unsigned)atol(arguments[1]) : 1);
    if (count > 2)
        operations = (unsigned long)atol(arguments[2]);
    part_init();
    run(false, false);
    run(true, false);
    run(true, true);
    return tap_end();
}
