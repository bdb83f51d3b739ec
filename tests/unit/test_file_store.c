// SPDX-License-Identifier: BSD-2-Clause
// The file pager's files: versions that share pages, and archives that are not what they should be.
// sources: pagers/file/store.c
#include "tap.h"

#include "pagers/file/store.h"

#include <stdlib.h>
#include <string.h>

static uint8_t archive[8192];

static void put_header(uint64_t at, const char *name, const char *size, char type)
{
    memset(archive + at, 0, 512);
    strncpy((char *)archive + at, name, 100);
    strncpy((char *)archive + at + 124, size, 12);
    archive[at + 156] = (uint8_t)type;
}

static void name_of(char name[FILE_NAME_BYTES], const char *text)
{
    strncpy(name, text, FILE_NAME_BYTES); // fills the rest with zeros
}

static void test_versions(void)
{
    static uint8_t bytes[3 * PAGE_BYTES];
    char name[FILE_NAME_BYTES];

    name_of(name, "a");
    memset(bytes, 1, sizeof bytes);
    tap_ok(file_store(name, 0, bytes, sizeof bytes), "a file is made");
    struct file_version *old = file_find(name)->version;
    old->object = old; // as if somebody had been given it
    memset(bytes, 2, sizeof bytes);
    tap_ok(file_store(name, PAGE_BYTES + 5, bytes, 10), "part of it is written");
    struct file_version *new = file_find(name)->version;
    tap_ok(new != old && !old->current &&new->current, "that is another version");
    tap_ok(new->pages[0] == old->pages[0] && new->pages[2] == old->pages[2],
           "which shares the pages that are the same");
    tap_ok(old->pages[1]->data[5] == 1 && new->pages[1]->data[5] == 2 &&
               new->pages[1]->data[4] == 1 && new->pages[1]->data[15] == 1,
           "and not the one that is not");
    file_version_free(old);
    tap_ok(new->pages[0]->references == 1, "the old one goes, the shared pages stay");
    tap_ok(file_store(name, 5 * PAGE_BYTES, bytes, 1), "it grows, with a hole");
    new = file_find(name)->version;
    tap_ok(new->size == 5 * PAGE_BYTES + 1 && new->page_count == 6 && new->pages[4] == NULL,
           "the hole has no pages");
}

static void test_archive(void)
{
    char name[FILE_NAME_BYTES];

    put_header(0, "x", "00000000003", '0');
    memcpy(archive + 512, "abc", 3);
    put_header(1024, "folder", "00000000000", '5');
    put_header(1536, "y", "00000001000", '0');
    tap_ok(file_take_archive(archive, sizeof archive) == 2, "two files and a folder");
    name_of(name, "x");
    tap_ok(file_find(name) != NULL && file_find(name)->version->size == 3 &&
               memcmp(file_find(name)->version->pages[0]->data, "abc", 3) == 0,
           "what is in one");
    tap_ok(file_take_archive(archive, 514) == 0, "an archive that ends in a file");
    tap_ok(file_take_archive(archive, 100) == 0, "one that ends in a header");
    put_header(0, "z", "99999999999", '0');
    tap_ok(file_take_archive(archive, sizeof archive) == 0, "a size that is no number");
    put_header(0, "z", "77777777777", '0');
    tap_ok(file_take_archive(archive, sizeof archive) == 0, "a size beyond the end");
    put_header(0, "a name that has more than thirty-two bytes", "00000000000", '0');
    tap_ok(file_take_archive(archive, sizeof archive) == 0, "a name that is too long");
    for (unsigned i = 0; i < 50; i++) {
        for (unsigned j = 0; j < sizeof archive; j++)
            archive[j] = (uint8_t)(rand() % 3 == 0 ? rand() : '0' + rand() % 8);
        (void)file_take_archive(archive, (uint64_t)rand() % sizeof archive);
    }
    tap_ok(file_find(name) != NULL, "rubbish: the sanitizers find nothing, files stay");
}

int main(void)
{
    test_versions();
    test_archive();
    return tap_end();
}
