// SPDX-License-Identifier: GPL-2.0-only
// Neighbouring pages that a pager has asked for at once go back in one message. Their data are
// copied, for a message's lie in one piece; without memory for that each goes by itself.
#include "memobj.h"

#include <corvus/pager_services.h>

#include <linux/slab.h>

struct memobj_run {
    struct memobj_message message;
    u8 *data;
    unsigned int count, room; // pages
};

static void sent(struct memobj_object *object, struct memobj_message *message, int error)
{
    struct memobj_run *run = container_of(message, struct memobj_run, message);

    if (error == ERR_OK)
        object->counts.written += run->count;
    else
        mapping_set_error(object->inode->i_mapping, -EIO);
    memobj_back_total -= run->count;
    memobj_room_made();
    kfree(run->data);
    kfree(run);
}

// How many pages from this one on are to go with it, as far as that can be told.
static unsigned int count_neighbours(const struct memobj_page *page)
{
    unsigned int count = 1;

    while (count < MEMOBJ_RUN_PAGES) {
        const struct memobj_page *next = xa_load(&page->object->pages, page->index + count);

        if (next == NULL || !next->valid || !(next->changed || next->precious))
            break;
        count++;
    }
    return count;
}

// NULL: it has no neighbours, or there is no memory. Who frees memory has reserves, which are not
// for this.
static struct memobj_run *begin(const struct memobj_page *page)
{
    gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN | __GFP_NOMEMALLOC;
    unsigned int room = count_neighbours(page);
    struct memobj_run *run = room > 1 ? kzalloc(sizeof *run, gfp) : NULL;

    if (run == NULL)
        return NULL;
    // Large pieces are rare when memory has been in use for long.
    for (; room > 1 && run->data == NULL; room /= 2) {
        run->room = room;
        run->data = kmalloc(room * PAGE_SIZE, gfp);
    }
    if (run->data == NULL) {
        kfree(run);
        return NULL;
    }
    INIT_LIST_HEAD(&run->message.link);
    return run;
}

static void describe(struct memobj_run *run, const struct memobj_page *page, u64 sequence,
                     bool kept)
{
    struct memobj_message *message = &run->message;

    message->id = MESSAGE_pager_data_write;
    message->words = 5;
    message->word[0] = page->object->incarnation;
    message->word[1] = sequence;
    message->word[2] = (u64)page->index << PAGE_SHIFT;
    message->word[3] = kept;
    message->word[4] = page->changed;
    message->data = run->data;
    message->sent = sent;
}

// All pages of one message are said to be alike.
static bool continues(const struct memobj_run *run, const struct memobj_page *page, u64 sequence,
                      bool kept)
{
    const u64 *word = run->message.word;

    return run->count < run->room && word[1] == sequence &&
           word[2] + ((u64)run->count << PAGE_SHIFT) == (u64)page->index << PAGE_SHIFT &&
           word[3] == kept && word[4] == page->changed;
}

bool memobj_run_add(struct memobj_page *page, u64 sequence, bool kept)
{
    struct memobj_object *object = page->object;

    if (sequence == 0 || object->gathered != sequence)
        return false;
    if (object->run != NULL && !continues(object->run, page, sequence, kept))
        memobj_run_end(object);
    if (object->run == NULL) {
        object->run = begin(page);
        if (object->run == NULL)
            return false;
        describe(object->run, page, sequence, kept);
    }
    memcpy(object->run->data + object->run->count * PAGE_SIZE, folio_address(page->folio),
           PAGE_SIZE);
    object->run->count++;
    memobj_back_total++;
    page->changed = false;
    return true;
}

void memobj_run_end(struct memobj_object *object)
{
    struct memobj_run *run = object->run;

    if (run == NULL)
        return;
    object->run = NULL;
    run->message.bytes = run->count * PAGE_SIZE;
    memobj_send(object, &run->message);
}
