// SPDX-License-Identifier: GPL-2.0-only
// A package as a whole: where its sections lie, when it is read and when it is written. What is in
// the records is looked at in package_check.c.
#include "linuxserver/migration/package.h"
#include "linuxserver/migration/package_check.h"

_Static_assert(sizeof(struct package_header) == 32 && sizeof(struct package_section) == 16,
               "heads");
_Static_assert(PACKAGE_SECTION_text == PACKAGE_SECTIONS - 1, "what is not of words comes last");
#define SECTION(name, record, least, most)                                                         \
    _Static_assert(sizeof(struct record) % 8 == 0 || sizeof(struct record) == 1, "aligned");
#include "linuxserver/migration/package.def"
#undef SECTION

static const struct {
    uint32_t record_bytes;
    size_t least, most;
} sections[PACKAGE_SECTIONS] = {
#define SECTION(name, record, least, most)                                                         \
    [PACKAGE_SECTION_##name] = {sizeof(struct record), least, most},
#include "linuxserver/migration/package.def"
#undef SECTION
};

static size_t round_up_to_words(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

// FNV-1a, of words in place of bytes: each step can be undone, so no single change is lost.
uint64_t package_sum(const void *bytes, size_t count)
{
    const uint64_t *words = bytes;
    uint64_t sum = 0xcbf29ce484222325ul;

    for (size_t i = 0; i < count / sizeof *words; i++) {
        sum = (sum ^ words[i]) * 0x100000001b3ul;
        sum ^= sum >> 32;
    }
    return sum;
}

// --- Writing -------------------------------------------------------------------------------------

size_t package_bytes(const size_t counts[PACKAGE_SECTIONS])
{
    size_t bytes = sizeof(struct package_header);

    for (unsigned int i = 0; i < PACKAGE_SECTIONS; i++) {
        if (counts[i] < sections[i].least || counts[i] > sections[i].most)
            return 0;
        bytes += sizeof(struct package_section);
        bytes += round_up_to_words(counts[i] * sections[i].record_bytes);
    }
    return bytes;
}

void package_lay_out(struct package_room *records, void *room,
                     const size_t counts[PACKAGE_SECTIONS])
{
    unsigned char *at = (unsigned char *)room + sizeof(struct package_header);
    void *starts[PACKAGE_SECTIONS];

    __builtin_memset(room, 0, package_bytes(counts));
    for (unsigned int i = 0; i < PACKAGE_SECTIONS; i++) {
        *(struct package_section *)at = (struct package_section){
            .number = i, .record_bytes = sections[i].record_bytes, .count = counts[i]};
        starts[i] = at + sizeof(struct package_section);
        at += sizeof(struct package_section);
        at += round_up_to_words(counts[i] * sections[i].record_bytes);
    }
#define SECTION(name, record, least, most) records->name = starts[PACKAGE_SECTION_##name];
#include "linuxserver/migration/package.def"
#undef SECTION
}

void package_seal(void *room, const size_t counts[PACKAGE_SECTIONS])
{
    struct package_header *header = room;
    size_t bytes = package_bytes(counts);

    *header = (struct package_header){
        .magic = PACKAGE_MAGIC,
        .version = PACKAGE_VERSION,
        .sections = PACKAGE_SECTIONS,
        .bytes = bytes,
        .sum = package_sum(header + 1, bytes - sizeof *header),
    };
}

// --- Reading -------------------------------------------------------------------------------------

struct found {
    const void *records;
    size_t count;
};

static const char *read_header(const struct package_header *header, size_t count)
{
    if (count < sizeof *header)
        return "shorter than its header";
    if (header->magic != PACKAGE_MAGIC)
        return "no package";
    if (header->version != PACKAGE_VERSION || header->sections != PACKAGE_SECTIONS)
        return "of another version";
    if (header->bytes != count || count % 8 != 0)
        return "of another length";
    if (header->sum != package_sum(header + 1, count - sizeof *header))
        return "with a wrong sum";
    return NULL;
}

static const char *read_sections(struct found found[PACKAGE_SECTIONS], const unsigned char *at,
                                 size_t left)
{
    for (unsigned int i = 0; i < PACKAGE_SECTIONS; i++) {
        const struct package_section *section = (const struct package_section *)at;
        size_t bytes;

        if (left < sizeof *section)
            return "cut off in a section's head";
        if (section->number != i || section->record_bytes != sections[i].record_bytes)
            return "with a section that is not known";
        if (section->count < sections[i].least || section->count > sections[i].most)
            return "with too few or too many records";
        left -= sizeof *section;
        bytes = round_up_to_words(section->count * section->record_bytes);
        if (bytes > left)
            return "cut off in a section";
        found[i] = (struct found){.records = section + 1, .count = section->count};
        at += sizeof *section + bytes;
        left -= bytes;
    }
    return left == 0 ? NULL : "with something behind its end";
}

const char *package_read(struct migration_package *package, const void *bytes, size_t count)
{
    struct found found[PACKAGE_SECTIONS];
    const char *wrong;

    if ((uintptr_t)bytes % 8 != 0)
        return "not aligned";
    wrong = read_header(bytes, count);
    if (wrong == NULL)
        wrong = read_sections(found, (const unsigned char *)bytes + sizeof(struct package_header),
                              count - sizeof(struct package_header));
    if (wrong != NULL)
        return wrong;
#define SECTION(name, record, least, most)                                                         \
    package->name = found[PACKAGE_SECTION_##name].records;                                         \
    package->name##_count = found[PACKAGE_SECTION_##name].count;
#include "linuxserver/migration/package.def"
#undef SECTION
    return package_check(package);
}

// --- Questions -----------------------------------------------------------------------------------

_Bool package_fits_processor(const struct package_process *process,
                             const uint32_t features[PACKAGE_FEATURES], uint64_t xcr0)
{
    for (unsigned int i = 0; i < PACKAGE_FEATURES; i++) {
        if ((process->features[i] & ~features[i]) != 0)
            return 0;
    }
    return (process->xcr0 & ~xcr0) == 0;
}

const struct package_vma *package_vma_at(const struct migration_package *package, uint64_t address)
{
    size_t low = 0, high = package->vmas_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (package->vmas[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < package->vmas_count && package->vmas[low].start <= address ? &package->vmas[low]
                                                                            : NULL;
}
