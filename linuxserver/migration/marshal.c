// SPDX-License-Identifier: GPL-2.0-only
// A system call's arguments as one block (marshal.h): the pieces it is made of, where they lie,
// what goes there and what comes back.
#include "linuxserver/migration/marshal.h"

#include <linux/errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define ALIGNED(bytes) (((bytes) + 7) & ~(__u64)7)

struct marshal_piece *marshal_piece(struct marshal *m, __u64 user, __u64 bytes,
                                    unsigned int argument)
{
    struct marshal_piece *piece = &m->pieces[m->count];

    if (m->count == MARSHAL_PIECES || bytes > MARSHAL_TOTAL)
        return NULL;
    m->count++;
    *piece = (struct marshal_piece){
        .user = user,
        .bytes = (__u32)bytes,
        .argument = (__u8)argument,
        .length_argument = CALL_NOWHERE,
    };
    return piece;
}

// --- One argument ------------------------------------------------------------------------

// A size that another argument gives. Data beyond what goes at once is left for another call.
static __u64 size_of(struct marshal *m, const struct call_argument *a)
{
    __u64 *count;

    if (a->from == CALL_NOWHERE)
        return a->more;
    count = &m->head.arguments[a->from];
    if (a->unit != 1)
        return (__u64)(__u32)*count * a->unit;
    if (a->narrow)
        *count = (__u64)(__s64)(__s32)*count; // of an int the upper half means nothing
    if (*count > MARSHAL_BYTES && *count <= (__u64)-1 >> 1) {
        *count = MARSHAL_BYTES;
        m->clipped = true;
    }
    // What is negative is home's to refuse: without memory.
    return *count > MARSHAL_BYTES ? 0 : *count + a->more;
}

static int add_path(struct marshal *m, unsigned int i)
{
    int length = marshal_string(m->head.arguments[i], MARSHAL_PATH);
    struct marshal_piece *piece;

    if (length < 0)
        return length;
    piece = marshal_piece(m, m->head.arguments[i], (__u64)length, i);
    if (piece == NULL)
        return -E2BIG;
    piece->in = piece->string = true;
    return 0;
}

static int add_out(struct marshal *m, unsigned int i, const struct call_argument *a)
{
    struct marshal_piece *piece = marshal_piece(m, m->head.arguments[i], size_of(m, a), i);

    if (piece == NULL)
        return -EINVAL;
    piece->out = piece->result = true;
    m->head.result_unit = a->unit;
    m->head.result_more = a->more;
    return 0;
}

static int add_sized(struct marshal *m, unsigned int i, struct marshal_size size)
{
    struct marshal_piece *piece;

    if (size.bytes == -1)
        return 0;
    if (size.bytes < 0)
        return (int)size.bytes;
    piece = marshal_piece(m, m->head.arguments[i], (__u64)size.bytes, i);
    if (piece == NULL)
        return -E2BIG;
    piece->in = size.in;
    piece->out = size.out;
    return 0;
}

static __u64 descriptor_set_bytes(__u64 count)
{
    __s32 n = (__s32)count;

    return n <= 0 ? 0 : n > 1 << 20 ? (1 << 20) / 8 : ((__u64)n + 63) / 64 * 8;
}

#define ADDRESS_MAX 4096 // of what a socket tells: addresses have 128 bytes, some options more

static int add_socket_out(struct marshal *m, unsigned int i, const struct call_argument *a)
{
    struct marshal_piece *piece;
    __s32 room = 0;

    if (m->head.arguments[a->from] != 0 &&
        marshal_get(&room, m->head.arguments[a->from], sizeof room) != 0)
        return -EFAULT;
    if (room > ADDRESS_MAX)
        room = ADDRESS_MAX;
    piece = marshal_piece(m, m->head.arguments[i], room < 0 ? 0 : (__u64)room, i);
    if (piece == NULL)
        return -E2BIG;
    piece->in = piece->out = true;
    piece->length_argument = a->from;
    return 0;
}

static int add_vector(struct marshal *m, unsigned int i, const struct call_argument *a, bool out)
{
    struct marshal_piece *one, *data;
    int error = marshal_vectors(m, m->head.arguments[i], m->head.arguments[a->from]);

    if (error != 0)
        return error;
    m->head.arguments[a->from] = 1;
    one = marshal_piece(m, 0, sizeof m->single, i);
    data = marshal_piece(m, 0, m->single[1], CALL_NOWHERE);
    if (one == NULL || data == NULL)
        return -E2BIG;
    one->own = m->single;
    one->in = true;
    data->vector = true;
    data->in = !out;
    data->out = data->result = out;
    data->pointed = (__u8)(one - m->pieces + 1);
    m->head.result_unit = 1;
    return 0;
}

static int add_argument(struct marshal *m, unsigned int i, const struct call_argument *a)
{
    const __u64 *arguments = m->head.arguments;
    struct marshal_size both = {.in = true, .out = true};

    switch ((enum argument_kind)a->kind) {
    case ARGUMENT_PATH:
        return add_path(m, i);
    case ARGUMENT_IN:
        return add_sized(m, i, (struct marshal_size){(__s64)size_of(m, a), true, false});
    case ARGUMENT_OUT:
        return add_out(m, i, a);
    case ARGUMENT_ITEMS:
        both.bytes = (__s64)size_of(m, a);
        return both.bytes > MARSHAL_BYTES ? -EINVAL : add_sized(m, i, both);
    case ARGUMENT_FIXED:
    case ARGUMENT_TIMEOUT:
        both.bytes = a->more;
        return add_sized(m, i, both);
    case ARGUMENT_FDSET:
        both.bytes = (__s64)descriptor_set_bytes(arguments[a->from]);
        return add_sized(m, i, both);
    case ARGUMENT_SOCKET_OUT:
        return add_socket_out(m, i, a);
    case ARGUMENT_VECTOR_IN:
    case ARGUMENT_VECTOR_OUT:
        return add_vector(m, i, a, a->kind == ARGUMENT_VECTOR_OUT);
    case ARGUMENT_MESSAGE_IN:
    case ARGUMENT_MESSAGE_OUT:
        return marshal_message(m, i, a->kind == ARGUMENT_MESSAGE_OUT);
    case ARGUMENT_IOCTL:
        return add_sized(m, i, marshal_ioctl((__u32)arguments[1], arguments[2]));
    case ARGUMENT_FCNTL:
        return add_sized(m, i, marshal_fcntl((__u32)arguments[1]));
    case ARGUMENT_SEMCTL:
        return add_sized(m, i, marshal_semctl((__u32)arguments[2]));
    case ARGUMENT_VALUE:
        break;
    }
    return 0;
}

// --- Layout ------------------------------------------------------------------------------

static const struct marshal_piece *piece_of_argument(const struct marshal *m, unsigned int argument)
{
    for (unsigned int i = 0; i < m->count; i++)
        if (m->pieces[i].argument == argument)
            return &m->pieces[i];
    return NULL;
}

static __u32 length_place(const struct marshal *m, const struct marshal_piece *piece)
{
    const struct marshal_piece *length = NULL;

    if (piece->length_argument != CALL_NOWHERE)
        length = piece_of_argument(m, piece->length_argument);
    return length == NULL ? MARSHAL_NONE : length->at + piece->length_offset;
}

// Those that go this way, one behind the other.
static __u64 place(struct marshal *m, __u64 at, bool in, bool out, bool result)
{
    for (unsigned int i = 0; i < m->count; i++) {
        struct marshal_piece *piece = &m->pieces[i];

        if (piece->in != in || piece->out != out || piece->result != result)
            continue;
        piece->at = (__u32)at;
        at = ALIGNED(at + piece->bytes);
    }
    return at;
}

static int lay_out(struct marshal *m)
{
    struct marshal_head *head = &m->head;
    __u64 at = place(m, 0, true, false, false);

    head->out_from = (__u32)at;
    at = place(m, at, true, true, false);
    head->in_bytes = (__u32)at;
    at = place(m, at, false, true, false);
    head->result_from = (__u32)at;
    at = place(m, at, false, true, true);
    if (at > MARSHAL_TOTAL)
        return -E2BIG;
    head->total = (__u32)at;
    if (head->result_unit == 0)
        head->result_from = head->total;
    for (unsigned int i = 0; i < m->count; i++) {
        struct marshal_piece *piece = &m->pieces[i];

        if (piece->argument != CALL_NOWHERE) {
            head->pointers |= (__u8)(1 << piece->argument);
            head->arguments[piece->argument] = piece->at;
        }
        piece->length_at = length_place(m, piece);
        if (piece->pointed == 0)
            continue;
        if (head->words == MARSHAL_WORDS)
            return -E2BIG;
        head->word[head->words++] = m->pieces[piece->pointed - 1].at + piece->pointer_at;
    }
    return 0;
}

int marshal_describe_as(struct marshal *m, __u32 nr, const __u64 arguments[CALL_ARGUMENTS],
                        const struct call_argument kinds[CALL_ARGUMENTS])
{
    memset(m, 0, sizeof *m);
    m->head.nr = nr;
    memcpy(m->head.arguments, arguments, sizeof m->head.arguments);
    for (unsigned int i = 0; i < CALL_ARGUMENTS; i++) {
        int error;

        // No memory is no memory: home is told so.
        if (m->head.arguments[i] == 0)
            continue;
        error = add_argument(m, i, &kinds[i]);
        if (error != 0)
            return error;
        if (kinds[i].kind == ARGUMENT_TIMEOUT)
            m->pieces[m->count - 1].always = m->head.always = true;
    }
    return lay_out(m);
}

int marshal_describe(struct marshal *m, __u32 nr, const __u64 arguments[CALL_ARGUMENTS])
{
    const struct call_description *call = call_description(nr);

    memset(m, 0, sizeof *m);
    return call == NULL ? -ENOSYS : marshal_describe_as(m, nr, arguments, call->arguments);
}

void marshal_release(struct marshal *m)
{
    marshal_free(m->vectors);
    m->vectors = NULL;
}

// --- There -------------------------------------------------------------------------------

static int collect_vectors(const struct marshal *m, __u8 *to, __u64 bytes)
{
    for (unsigned int i = 0; i < m->vector_count && bytes > 0; i++) {
        const struct marshal_vector *vector = &m->vectors[i];
        __u64 part = vector->length < bytes ? vector->length : bytes;

        if (part != 0 && marshal_get(to, vector->base, part) != 0)
            return -EFAULT;
        to += part;
        bytes -= part;
    }
    return 0;
}

// Words that are pointers are offsets until home adds where the block is.
static void link_pieces(struct marshal *m, __u8 *block)
{
    unsigned int word = 0;

    for (unsigned int i = 0; i < m->count; i++) {
        __u64 at = m->pieces[i].at;

        if (m->pieces[i].pointed != 0)
            memcpy(block + m->head.word[word++], &at, sizeof at);
    }
}

int marshal_collect(struct marshal *m, __u8 *block)
{
    memset(block, 0, m->head.in_bytes);
    for (unsigned int i = 0; i < m->count; i++) {
        const struct marshal_piece *piece = &m->pieces[i];
        __u8 *to = block + piece->at;
        int error = 0;

        if (!piece->in)
            continue;
        if (piece->own != NULL)
            memcpy(to, piece->own, piece->bytes);
        else if (piece->vector)
            error = collect_vectors(m, to, piece->bytes);
        else if (piece->bytes != 0)
            error = marshal_get(to, piece->user, piece->bytes);
        if (error != 0)
            return error;
        // It may have been written to since its end was looked for.
        if (piece->string)
            to[piece->bytes - 1] = 0;
    }
    link_pieces(m, block);
    return 0;
}

// --- Back --------------------------------------------------------------------------------

__u32 marshal_back(const struct marshal_head *head, __s64 result)
{
    __u64 room = head->total - head->result_from, filled;

    if (result < 0)
        return head->always ? head->result_from - head->out_from : 0;
    if (room == 0)
        return head->total - head->out_from;
    filled = (__u64)result > room ? room : (__u64)result * head->result_unit;
    // What is before the data is there only when something came.
    if (head->result_more != 0)
        filled += head->result_more;
    return head->result_from - head->out_from + (__u32)(filled > room ? room : filled);
}

static int spread_vectors(const struct marshal *m, const __u8 *from, __u64 bytes)
{
    for (unsigned int i = 0; i < m->vector_count && bytes > 0; i++) {
        const struct marshal_vector *vector = &m->vectors[i];
        __u64 part = vector->length < bytes ? vector->length : bytes;

        if (part != 0 && marshal_put(vector->base, from, part) != 0)
            return -EFAULT;
        from += part;
        bytes -= part;
    }
    return 0;
}

// The fields of a msghdr that a call changes; the process's pointers stay.
static int spread_message(const struct marshal *m, const __u8 *message)
{
    if (marshal_put(m->message_user + 8, message + 8, 4) != 0 ||
        marshal_put(m->message_user + 40, message + 40, 8) != 0 ||
        marshal_put(m->message_user + 48, message + 48, 4) != 0)
        return -EFAULT;
    return 0;
}

static int spread_piece(const struct marshal *m, const struct marshal_piece *piece,
                        const __u8 *back, __u64 bytes)
{
    __u64 from = piece->at - m->head.out_from, room = piece->bytes;
    __u32 good;

    if (from > bytes)
        return piece->result ? 0 : -EPROTO;
    if (piece->length_at != MARSHAL_NONE) {
        if (piece->length_at < m->head.out_from ||
            piece->length_at - m->head.out_from + sizeof good > bytes)
            return -EPROTO;
        memcpy(&good, back + piece->length_at - m->head.out_from, sizeof good);
        if (good < room)
            room = good;
    }
    if (room > bytes - from) {
        if (!piece->result)
            return -EPROTO;
        room = bytes - from;
    }
    if (piece->vector)
        return spread_vectors(m, back + from, room);
    if (piece->own != NULL)
        return spread_message(m, back + from);
    return room != 0 && marshal_put(piece->user, back + from, room) != 0 ? -EFAULT : 0;
}

int marshal_spread(const struct marshal *m, __s64 result, const __u8 *back, __u32 bytes)
{
    if (bytes != marshal_back(&m->head, result))
        return -EPROTO;
    for (unsigned int i = 0; i < m->count; i++) {
        const struct marshal_piece *piece = &m->pieces[i];
        int error = 0;

        if (piece->out && (result >= 0 || piece->always))
            error = spread_piece(m, piece, back, bytes);
        if (error != 0)
            return error;
    }
    return 0;
}

// --- At home -----------------------------------------------------------------------------

bool marshal_is_sound(const struct marshal_head *head, __u64 bytes)
{
    if (head->total > MARSHAL_TOTAL || head->out_from > head->in_bytes ||
        head->in_bytes > head->result_from || head->result_from > head->total ||
        bytes != head->in_bytes || head->words > MARSHAL_WORDS || head->result_unit > 4096 ||
        head->result_more > 4096 || head->pointers >> CALL_ARGUMENTS != 0)
        return false;
    for (unsigned int i = 0; i < CALL_ARGUMENTS; i++)
        if ((head->pointers >> i & 1) != 0 && head->arguments[i] > head->total)
            return false;
    for (unsigned int i = 0; i < head->words; i++)
        if (head->in_bytes < sizeof(__u64) || head->word[i] > head->in_bytes - sizeof(__u64))
            return false;
    return true;
}

void marshal_relocate(struct marshal_head *head, __u8 *block, __u64 address)
{
    __u64 word;

    for (unsigned int i = 0; i < head->words; i++) {
        memcpy(&word, block + head->word[i], sizeof word);
        word += address;
        memcpy(block + head->word[i], &word, sizeof word);
    }
    for (unsigned int i = 0; i < CALL_ARGUMENTS; i++)
        if ((head->pointers >> i & 1) != 0)
            head->arguments[i] += address;
}
