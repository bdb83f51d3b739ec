// SPDX-License-Identifier: BSD-2-Clause
// The manager after a view: SETTLE has one of those who hold the newest copy own the page, and the
// others drop what is none.
#include "dsm/core/manager.h"

void manager_lose(struct entry *entry)
{
    entry->lost = true;
    entry->copies = 0;
    entry->owner = DSM_NOBODY;
    record_lost(entry);
}

void manager_put_settle(struct entry *entry)
{
    for (uint8_t slot = 0; slot < DSM_MEMBERS_MAX; slot++) {
        struct wire_record record = {.txn = entry->txn, .version = entry->version};
        if ((entry->unsettled & bit(slot)) == 0)
            continue;
        if (slot == entry->settle)
            record.flags |= WIRE_OWN;
        else if ((entry->stale & bit(slot)) != 0)
            record.flags |= WIRE_HAVE; // the copy goes, too
        manager_put(entry, slot, WIRE_SETTLE, record);
    }
}

void manager_settle(struct entry *entry)
{
    entry->txn = ++entry->segment->dsm->last_txn;
    manager_set_state(entry, ENTRY_SETTLING);
    manager_put_settle(entry);
}

static void settled(struct entry *entry)
{
    if (entry->unsettled != 0)
        return;
    manager_set_state(entry, ENTRY_IDLE);
    manager_next(entry);
}

// The one that was to own the page has it, or else the next one that has a copy is asked.
void manager_settled(struct entry *entry, uint8_t slot, const struct wire_record *record)
{
    entry->unsettled &= ~bit(slot);
    if (slot == entry->settle) {
        entry->settle = DSM_NOBODY;
        if ((record->flags & WIRE_OWN) != 0) {
            entry->owner = slot;
        } else {
            entry->copies &= ~bit(slot);
            if (entry->copies == 0) {
                manager_lose(entry);
            } else {
                entry->settle = (uint8_t)__builtin_ctzll(entry->copies);
                entry->unsettled |= bit(entry->settle);
                manager_settle(entry);
            }
        }
    }
    settled(entry);
}
