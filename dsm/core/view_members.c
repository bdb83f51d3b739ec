// SPDX-License-Identifier: BSD-2-Clause
// The messages of views as records: lists of members, and plain ones with a number.
#include "dsm/core/view.h"

#include "netipc/core/bytes.h"

size_t view_members_write(uint8_t *out, const struct view *view)
{
    for (uint32_t i = 0; i < view->count; i++, out += WIRE_MEMBER_BYTES) {
        store_u64(out, view->members[i].node);
        store_u64(out + 8, view->members[i].life);
        store_u64(out + 16, view->members[i].joined);
    }
    return (size_t)view->count * WIRE_MEMBER_BYTES;
}

// False: no list of members in order.
bool view_members_read(struct view *view, const uint8_t *in, uint32_t bytes)
{
    uint64_t last = 0;

    if (bytes % WIRE_MEMBER_BYTES != 0 || bytes / WIRE_MEMBER_BYTES > DSM_MEMBERS_MAX)
        return false;
    view->count = bytes / WIRE_MEMBER_BYTES;
    for (uint32_t i = 0; i < view->count; i++, in += WIRE_MEMBER_BYTES) {
        uint64_t node = load_u64(in);
        if (node <= last || node > DSM_NODE_MAX)
            return false;
        last = node;
        view->members[i] = (struct member){
            .node = (uint32_t)node, .life = load_u64(in + 8), .joined = load_u64(in + 16)};
    }
    return true;
}

void view_put_members(struct dsm *dsm, uint32_t node, const struct view *view, uint32_t proposer)
{
    uint8_t members[DSM_MEMBERS_MAX * WIRE_MEMBER_BYTES];
    struct wire_record record = {
        .kind = WIRE_VIEW, .node = (uint16_t)proposer, .txn = view->number};

    record.extra = (uint32_t)view_members_write(members, view);
    dsm_put(dsm, node, &record, members);
}

void view_put(struct dsm *dsm, uint32_t node)
{
    view_put_members(dsm, node, &dsm->place.view, dsm->coordinator);
}

void view_put_plain(struct dsm *dsm, uint32_t node, enum wire_kind kind, uint64_t number)
{
    struct wire_record record = {.kind = (uint8_t)kind, .txn = number};

    dsm_put(dsm, node, &record, NULL);
}
