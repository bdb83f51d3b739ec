// SPDX-License-Identifier: GPL-2.0-only
#include "tar.h"

#include <stdio.h>
#include <string.h>

// Fields of a header: offset and length.
#define NAME_AT     0
#define MODE_AT     100
#define OWNER_AT    108
#define GROUP_AT    116
#define SIZE_AT     124
#define TIME_AT     136
#define SUM_AT      148
#define TYPE_AT     156
#define TARGET_AT   157
#define MAGIC_AT    257
#define PREFIX_AT   345
#define NAME_LENGTH 100
#define ID_LENGTH   8
#define SIZE_LENGTH 12
#define SUM_LENGTH  8
#define PREFIX_MAX  155

// GNU's magic and version are one string; POSIX's magic begins like it.
#define GNU_MAGIC    "ustar  "
#define POSIX_MAGIC  "ustar"
#define PERMISSIONS  07777u
#define BINARY_SIGN  0x80u // a number that is not octal text but binary, GNU's extension
#define OLD_FILE     0     // a type of before POSIX
#define DIGITS_OCTAL 11    // a size that has more is written in binary

// --- Reading ------------------------------------------------------------------

// The sum of all bytes, those of the sum itself taken as blanks.
static uint32_t header_sum(const uint8_t *block)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < TAR_BLOCK_BYTES; i++)
        sum += i >= SUM_AT && i < SUM_AT + SUM_LENGTH ? ' ' : block[i];
    return sum;
}

static bool read_octal(const uint8_t *field, size_t length, uint64_t *value)
{
    size_t i = 0;
    *value = 0;
    while (i < length && field[i] == ' ')
        i++;
    for (; i < length && field[i] >= '0' && field[i] <= '7'; i++)
        *value = *value << 3 | (uint64_t)(field[i] - '0');
    return i == length || field[i] == 0 || field[i] == ' ';
}

static bool read_number(const uint8_t *field, size_t length, uint64_t *value)
{
    if ((field[0] & BINARY_SIGN) == 0)
        return read_octal(field, length, value);
    // Big-endian; those that do not fit into 63 bits are nobody's size or date.
    if (field[0] != BINARY_SIGN)
        return false;
    *value = 0;
    for (size_t i = 1; i < length; i++) {
        if (*value >> 55 != 0)
            return false;
        *value = *value << 8 | field[i];
    }
    return true;
}

static void read_name(char *name, const uint8_t *block)
{
    size_t length = 0;
    // Only POSIX has a prefix; GNU keeps other things there.
    if (memcmp(block + MAGIC_AT, GNU_MAGIC, sizeof GNU_MAGIC) != 0 && block[PREFIX_AT] != 0) {
        length = strnlen((const char *)block + PREFIX_AT, PREFIX_MAX);
        memcpy(name, block + PREFIX_AT, length);
        name[length++] = '/';
    }
    size_t rest = strnlen((const char *)block + NAME_AT, NAME_LENGTH);
    memcpy(name + length, block + NAME_AT, rest);
    name[length + rest] = 0;
}

enum tar_result tar_read(struct tar_entry *entry, const uint8_t block[TAR_BLOCK_BYTES])
{
    static const uint8_t zeros[TAR_BLOCK_BYTES];
    uint64_t sum, mode, time;
    if (memcmp(block, zeros, sizeof zeros) == 0)
        return TAR_END;
    if (memcmp(block + MAGIC_AT, POSIX_MAGIC, strlen(POSIX_MAGIC)) != 0 ||
        !read_octal(block + SUM_AT, SUM_LENGTH, &sum) || sum != header_sum(block) ||
        !read_number(block + MODE_AT, ID_LENGTH, &mode) ||
        !read_number(block + SIZE_AT, SIZE_LENGTH, &entry->size) ||
        !read_number(block + TIME_AT, SIZE_LENGTH, &time))
        return TAR_WRONG;
    entry->mode = (uint32_t)mode & PERMISSIONS;
    entry->time = (int64_t)time;
    read_name(entry->name, block);
    size_t length = strnlen((const char *)block + TARGET_AT, NAME_LENGTH);
    memcpy(entry->target, block + TARGET_AT, length);
    entry->target[length] = 0;

    uint8_t type = block[TYPE_AT] == OLD_FILE ? TAR_FILE : block[TYPE_AT];
    if (type != TAR_FILE && type != TAR_LINK && type != TAR_FOLDER && type != TAR_LONG_TARGET &&
        type != TAR_LONG_NAME)
        return TAR_OTHER;
    entry->type = (enum tar_type)type;
    if (type == TAR_LINK || type == TAR_FOLDER)
        entry->size = 0;
    return TAR_ENTRY;
}

bool tar_name_stays_below(const char *name)
{
    if (name[0] == 0 || name[0] == '/')
        return false;
    while (*name != 0) {
        size_t length = strcspn(name, "/");
        if (length == 2 && memcmp(name, "..", 2) == 0)
            return false;
        name += length;
        name += strspn(name, "/");
    }
    return true;
}

// --- Writing ------------------------------------------------------------------

static void write_number(uint8_t *field, size_t length, uint64_t value)
{
    if (value >> 3 * DIGITS_OCTAL == 0) {
        char text[32];
        int digits = (int)length - 1;
        snprintf(text, sizeof text, "%0*llo", digits, (unsigned long long)value);
        memcpy(field, text, length);
        return;
    }
    for (size_t i = 0; i < length; i++)
        field[i] = i + 8 < length ? 0 : (uint8_t)(value >> 8 * (length - 1 - i));
    field[0] = BINARY_SIGN;
}

static size_t write_block(uint8_t *block, const struct tar_entry *entry, enum tar_type type,
                          const char *name, uint64_t size)
{
    memset(block, 0, TAR_BLOCK_BYTES);
    memcpy(block + NAME_AT, name, strnlen(name, NAME_LENGTH));
    write_number(block + MODE_AT, ID_LENGTH, entry->mode & PERMISSIONS);
    write_number(block + OWNER_AT, ID_LENGTH, 0);
    write_number(block + GROUP_AT, ID_LENGTH, 0);
    write_number(block + SIZE_AT, SIZE_LENGTH, size);
    write_number(block + TIME_AT, SIZE_LENGTH, entry->time < 0 ? 0 : (uint64_t)entry->time);
    block[TYPE_AT] = (uint8_t)type;
    if (type == TAR_LINK)
        memcpy(block + TARGET_AT, entry->target, strnlen(entry->target, NAME_LENGTH));
    memcpy(block + MAGIC_AT, GNU_MAGIC, sizeof GNU_MAGIC);
    // Six digits, a zero, a blank.
    char sum[SUM_LENGTH];
    snprintf(sum, sizeof sum, "%06o", (unsigned)header_sum(block));
    memcpy(block + SUM_AT, sum, SUM_LENGTH - 1);
    block[SUM_AT + SUM_LENGTH - 1] = ' ';
    return TAR_BLOCK_BYTES;
}

// An entry of its own for a name that does not fit into a header.
static size_t write_long(uint8_t *blocks, const struct tar_entry *entry, enum tar_type type,
                         const char *name)
{
    size_t length = strlen(name) + 1;
    if (length <= NAME_LENGTH)
        return 0;
    size_t written = write_block(blocks, entry, type, "././@LongLink", length);
    memcpy(blocks + written, name, length);
    memset(blocks + written + length, 0, tar_padding(length));
    return written + length + tar_padding(length);
}

size_t tar_write(uint8_t blocks[TAR_HEADER_BLOCKS_MAX * TAR_BLOCK_BYTES],
                 const struct tar_entry *entry)
{
    size_t written = write_long(blocks, entry, TAR_LONG_NAME, entry->name);
    if (entry->type == TAR_LINK)
        written += write_long(blocks + written, entry, TAR_LONG_TARGET, entry->target);
    return written + write_block(blocks + written, entry, entry->type, entry->name,
                                 entry->type == TAR_FILE ? entry->size : 0);
}
