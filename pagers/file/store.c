// SPDX-License-Identifier: BSD-2-Clause
// See store.h.
#include "pagers/file/store.h"

#include <stdlib.h>
#include <string.h>

static struct file *files;

struct file *file_find(const char *name)
{
    struct file *file = files;

    while (file != NULL && memcmp(file->name, name, FILE_NAME_BYTES) != 0)
        file = file->next;
    return file;
}

// --- Versions --------------------------------------------------------------------------------

static void drop_page(struct file_page *page)
{
    if (page != NULL && --page->references == 0)
        free(page);
}

void file_version_free(struct file_version *version)
{
    for (uint64_t i = 0; i < version->page_count; i++)
        drop_page(version->pages[i]);
    free(version->pages);
    free(version);
}

// A version with the pages of another one (or none) and room for `size` bytes.
static struct file_version *clone(const struct file_version *from, uint64_t size)
{
    struct file_version *version = calloc(1, sizeof *version);
    uint64_t count = (size + PAGE_BYTES - 1) / PAGE_BYTES;

    if (version != NULL)
        version->pages = calloc(count, sizeof(struct file_page *));
    if (version == NULL || version->pages == NULL) {
        free(version);
        return NULL;
    }
    version->size = size;
    version->page_count = count;
    for (uint64_t i = 0; from != NULL && i < from->page_count; i++) {
        version->pages[i] = from->pages[i];
        if (version->pages[i] != NULL)
            version->pages[i]->references++;
    }
    return version;
}

// A page of the version's own at that place.
static struct file_page *own_page(struct file_version *version, uint64_t index)
{
    struct file_page *old = version->pages[index], *page;

    if (old != NULL && old->references == 1)
        return old;
    page = calloc(1, sizeof *page);
    if (page == NULL)
        return NULL;
    if (old != NULL)
        memcpy(page->data, old->data, PAGE_BYTES);
    page->references = 1;
    drop_page(old);
    version->pages[index] = page;
    return page;
}

static bool fill(struct file_version *version, uint64_t offset, const uint8_t *bytes,
                 uint64_t count)
{
    while (count != 0) {
        uint64_t at = offset % PAGE_BYTES, part = PAGE_BYTES - at;
        struct file_page *page = own_page(version, offset / PAGE_BYTES);
        if (page == NULL)
            return false;
        if (part > count)
            part = count;
        memcpy(page->data + at, bytes, part);
        offset += part;
        bytes += part;
        count -= part;
    }
    return true;
}

// --- Files -----------------------------------------------------------------------------------

static struct file *make(const char *name)
{
    struct file *file = calloc(1, sizeof *file);

    if (file == NULL)
        return NULL;
    memcpy(file->name, name, FILE_NAME_BYTES);
    file->next = files;
    files = file;
    return file;
}

bool file_store(const char *name, uint64_t offset, const uint8_t *bytes, uint64_t count)
{
    struct file *file = file_find(name);
    const struct file_version *old = file != NULL ? file->version : NULL;
    uint64_t size = offset + count;

    if (old != NULL && old->size > size)
        size = old->size;
    // Always a new version: on an error the old one is as it was.
    struct file_version *version = clone(old, size);
    if (version == NULL || !fill(version, offset, bytes, count) ||
        (file == NULL && (file = make(name)) == NULL)) {
        if (version != NULL)
            file_version_free(version);
        return false;
    }
    if (file->version != NULL) {
        file->version->current = false;
        if (file->version->object == NULL)
            file_version_free(file->version);
    }
    version->current = true;
    file->version = version;
    return true;
}

// --- The archive -----------------------------------------------------------------------------

#define BLOCK_BYTES 512u
#define NAME_BYTES  100u
#define SIZE_OFFSET 124u
#define SIZE_BYTES  12u
#define TYPE_OFFSET 156u

static bool octal(const uint8_t *digits, unsigned count, uint64_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < count && digits[i] != '\0' && digits[i] != ' '; i++) {
        if (digits[i] < '0' || digits[i] > '7')
            return false;
        *value = *value * 8 + (uint64_t)(digits[i] - '0');
    }
    return true;
}

unsigned file_take_archive(const uint8_t *archive, uint64_t bytes)
{
    uint64_t at = 0, size;
    unsigned count = 0;

    while (bytes - at >= BLOCK_BYTES && archive[at] != '\0') {
        const uint8_t *header = archive + at;
        char name[FILE_NAME_BYTES] = {0};
        size_t length = strnlen((const char *)header, NAME_BYTES);
        if (!octal(header + SIZE_OFFSET, SIZE_BYTES, &size) || size > bytes - at - BLOCK_BYTES ||
            length > FILE_NAME_BYTES)
            break;
        memcpy(name, header, length);
        bool regular = header[TYPE_OFFSET] == '0' || header[TYPE_OFFSET] == '\0';
        if (regular && size != 0 && !file_store(name, 0, header + BLOCK_BYTES, size))
            break;
        count += regular;
        uint64_t blocks = (size + BLOCK_BYTES - 1) / BLOCK_BYTES;
        if (blocks * BLOCK_BYTES > bytes - at - BLOCK_BYTES)
            break;
        at += BLOCK_BYTES + blocks * BLOCK_BYTES;
    }
    return count;
}
