// SPDX-License-Identifier: GPL-2.0-only
// Arguments of system calls that say by other arguments, or by what they point to, what they are:
// ioctl, fcntl and semctl by their commands; lists of memory; socket messages.
#include "linuxserver/migration/marshal.h"

#include <corvus/linux.h>

#include <linux/errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

// --- Commands ----------------------------------------------------------------------------

#define IS_VALUE                                                                                   \
    {                                                                                              \
        -1, false, false                                                                           \
    }

// Terminals, sockets and descriptors: the commands from before there was a scheme
// (include/uapi/asm-generic/ioctls.h, linux/sockios.h, linux/fs.h). -1: their argument is a value.
static const struct {
    __u32 command;
    __s16 bytes;
    bool in, out;
} old_commands[] = {
    {0x5401, 36, false, true}, // TCGETS
    {0x5402, 36, true, false}, // TCSETS
    {0x5403, 36, true, false}, // TCSETSW
    {0x5404, 36, true, false}, // TCSETSF
    {0x5405, 18, false, true}, // TCGETA
    {0x5406, 18, true, false}, // TCSETA
    {0x5407, 18, true, false}, // TCSETAW
    {0x5408, 18, true, false}, // TCSETAF
    {0x5409, -1, 0, 0},        // TCSBRK
    {0x540a, -1, 0, 0},        // TCXONC
    {0x540b, -1, 0, 0},        // TCFLSH
    {0x540c, -1, 0, 0},        // TIOCEXCL
    {0x540d, -1, 0, 0},        // TIOCNXCL
    {0x540e, -1, 0, 0},        // TIOCSCTTY
    {0x540f, 4, false, true},  // TIOCGPGRP
    {0x5410, 4, true, false},  // TIOCSPGRP
    {0x5411, 4, false, true},  // TIOCOUTQ
    {0x5412, 1, true, false},  // TIOCSTI
    {0x5413, 8, false, true},  // TIOCGWINSZ
    {0x5414, 8, true, false},  // TIOCSWINSZ
    {0x5415, 4, false, true},  // TIOCMGET
    {0x5416, 4, true, false},  // TIOCMBIS
    {0x5417, 4, true, false},  // TIOCMBIC
    {0x5418, 4, true, false},  // TIOCMSET
    {0x5419, 4, false, true},  // TIOCGSOFTCAR
    {0x541a, 4, true, false},  // TIOCSSOFTCAR
    {0x541b, 4, false, true},  // FIONREAD
    {0x541d, -1, 0, 0},        // TIOCCONS
    {0x5420, 4, true, false},  // TIOCPKT
    {0x5421, 4, true, false},  // FIONBIO
    {0x5422, -1, 0, 0},        // TIOCNOTTY
    {0x5423, 4, true, false},  // TIOCSETD
    {0x5424, 4, false, true},  // TIOCGETD
    {0x5425, -1, 0, 0},        // TCSBRKP
    {0x5427, -1, 0, 0},        // TIOCSBRK
    {0x5428, -1, 0, 0},        // TIOCCBRK
    {0x5429, 4, false, true},  // TIOCGSID
    {0x5437, -1, 0, 0},        // TIOCVHANGUP
    {0x5441, -1, 0, 0},        // TIOCGPTPEER, an _IO
    {0x5450, -1, 0, 0},        // FIONCLEX
    {0x5451, -1, 0, 0},        // FIOCLEX
    {0x5452, 4, true, false},  // FIOASYNC
    {0x5460, 8, false, true},  // FIOQSIZE
    {0x8901, 4, true, false},  // FIOSETOWN
    {0x8902, 4, true, false},  // SIOCSPGRP
    {0x8903, 4, false, true},  // FIOGETOWN
    {0x8904, 4, false, true},  // SIOCGPGRP
    {0x8905, 4, false, true},  // SIOCATMARK
    {0x0002, 4, true, true},   // FIGETBSZ
    {0x1260, 8, false, true},  // BLKGETSIZE
    {0x1261, -1, 0, 0},        // BLKFLSBUF
    {0x1268, 4, false, true},  // BLKSSZGET
};

#define SOCKET_FIRST 0x8910u // of those that take an ifreq
#define SOCKET_LAST  0x8994u
#define SOCKET_LIST  0x8912u // SIOCGIFCONF points on
#define SOCKET_ETHER 0x8946u // SIOCETHTOOL, too
#define IFREQ_BYTES  40
#define ADDRESSES    4096u // below, nothing is a pointer

// The scheme of include/uapi/asm-generic/ioctl.h.
#define DIRECTION(command) ((command) >> 30)
#define SIZE(command)      ((command) >> 16 & 0x3fff)

struct marshal_size marshal_ioctl(__u32 command, __u64 argument)
{
    struct marshal_size value = IS_VALUE, size = {IFREQ_BYTES, true, true};

    for (unsigned int i = 0; i < sizeof old_commands / sizeof *old_commands; i++) {
        if (old_commands[i].command != command)
            continue;
        // There and back: what the call does not fill in stays.
        size.bytes = old_commands[i].bytes;
        size.out = old_commands[i].out;
        return size.bytes == -1 ? value : size;
    }
    if (command >= SOCKET_FIRST && command <= SOCKET_LAST && command != SOCKET_LIST &&
        command != SOCKET_ETHER)
        return size;
    if (command == CORVUS_MESSAGE) // it has addresses inside
        return (struct marshal_size){-ENOTTY, false, false};
    if (DIRECTION(command) != 0 && SIZE(command) != 0) {
        size.bytes = SIZE(command);
        size.out = (DIRECTION(command) & 2) != 0; // _IOC_READ
        return size;
    }
    // A pointer of this node's must not be taken for one of home's.
    return argument < ADDRESSES ? value : (struct marshal_size){-ENOTTY, false, false};
}

// include/uapi/linux/fcntl.h, asm-generic/fcntl.h
struct marshal_size marshal_fcntl(__u32 command)
{
    struct marshal_size size = {0, true, true};

    switch (command) {
    case 5:  // F_GETLK
    case 6:  // F_SETLK
    case 7:  // F_SETLKW
    case 36: // F_OFD_GETLK
    case 37: // F_OFD_SETLK
    case 38: // F_OFD_SETLKW
        size.bytes = 32;
        return size;
    case 15:   // F_SETOWN_EX
    case 16:   // F_GETOWN_EX
    case 17:   // F_GETOWNER_UIDS
    case 1035: // F_GET_RW_HINT
    case 1036: // F_SET_RW_HINT
    case 1037: // F_GET_FILE_RW_HINT
    case 1038: // F_SET_FILE_RW_HINT
        size.bytes = 8;
        return size;
    default:
        return (struct marshal_size)IS_VALUE;
    }
}

#define IPC_NEW 0x100u // IPC_64, which C libraries for x86-64 do not set

// include/uapi/linux/sem.h. How many semaphores there are, only home knows.
struct marshal_size marshal_semctl(__u32 command)
{
    struct marshal_size size = {104, true, true};

    switch (command & ~IPC_NEW) {
    case 0:  // IPC_RMID
    case 11: // GETPID
    case 12: // GETVAL
    case 14: // GETNCNT
    case 15: // GETZCNT
    case 16: // SETVAL
        return (struct marshal_size)IS_VALUE;
    case 1:  // IPC_SET
    case 2:  // IPC_STAT
    case 18: // SEM_STAT
    case 20: // SEM_STAT_ANY
        return size;
    case 3:  // IPC_INFO
    case 19: // SEM_INFO
        size.bytes = 40;
        return size;
    default: // GETALL, SETALL
        return (struct marshal_size){-ENOSYS, false, false};
    }
}

// --- Lists of memory ---------------------------------------------------------------------

int marshal_vectors(struct marshal *m, __u64 user, __u64 count)
{
    __u64 sum = 0;

    if (count > MARSHAL_VECTORS)
        return -EINVAL;
    m->vector_count = (unsigned int)count;
    if (count != 0) {
        m->vectors = marshal_allocate(count * sizeof *m->vectors);
        if (m->vectors == NULL)
            return -ENOMEM;
        if (marshal_get(m->vectors, user, count * sizeof *m->vectors) != 0)
            return -EFAULT;
    }
    for (unsigned int i = 0; i < count; i++) {
        struct marshal_vector *vector = &m->vectors[i];

        if (vector->length > (__u64)-1 >> 1)
            return -EINVAL;
        if (vector->length > MARSHAL_BYTES - sum) {
            vector->length = MARSHAL_BYTES - sum;
            m->clipped = true;
        }
        sum += vector->length;
    }
    m->single[0] = 0;
    m->single[1] = sum;
    return 0;
}

// --- Socket messages ---------------------------------------------------------------------

// struct user_msghdr, in words: name, its length (an int), vectors, how many, control, its length,
// flags (an int).
enum message_word { NAME, NAME_BYTES, VECTORS, VECTOR_COUNT, CONTROL, CONTROL_BYTES, FLAGS };

#define NAME_MAX_BYTES    128
#define CONTROL_MAX_BYTES 20480 // net.core.optmem_max

// What the message's word `word` points to.
static struct marshal_piece *part(struct marshal *m, enum message_word word, __u64 bytes, bool out)
{
    struct marshal_piece *header = &m->pieces[m->count - 1], *piece = NULL;

    while (header->own != m->message)
        header--;
    piece = marshal_piece(m, m->message[word], bytes, CALL_NOWHERE);
    if (piece == NULL)
        return NULL;
    piece->in = !out;
    piece->out = out;
    piece->pointed = (__u8)(header - m->pieces + 1);
    piece->pointer_at = (__u8)(word * 8);
    return piece;
}

// A name or control data, whose length is in the next word.
static int measured(struct marshal *m, unsigned int argument, enum message_word word, __u64 most,
                    bool out)
{
    struct marshal_piece *piece;

    if (m->message[word] == 0)
        return 0;
    if (m->message[word + 1] > most) {
        if (!out)
            return word == NAME ? -EINVAL : -ENOBUFS;
        m->message[word + 1] = most;
    }
    piece = part(m, word, m->message[word + 1], out);
    if (piece == NULL)
        return -E2BIG;
    if (out) {
        // What is not filled in stays as it is in the process.
        piece->in = true;
        piece->length_argument = (__u8)argument;
        piece->length_offset = (__u8)(word * 8 + 8);
    }
    return 0;
}

int marshal_message(struct marshal *m, unsigned int argument, bool out)
{
    struct marshal_piece *header, *list, *data;
    __s32 name_bytes;
    int error;

    m->message_user = m->head.arguments[argument];
    if (marshal_get(m->message, m->message_user, sizeof m->message) != 0)
        return -EFAULT;
    name_bytes = (__s32)m->message[NAME_BYTES];
    if (name_bytes < 0)
        return -EINVAL;
    m->message[NAME_BYTES] = (__u64)name_bytes;
    m->message[FLAGS] = (__u32)m->message[FLAGS];
    if (m->message[VECTOR_COUNT] > MARSHAL_VECTORS)
        return -EMSGSIZE;
    error = marshal_vectors(m, m->message[VECTORS], m->message[VECTOR_COUNT]);
    header = marshal_piece(m, m->message_user, sizeof m->message, argument);
    if (error != 0 || header == NULL)
        return error != 0 ? error : -E2BIG;
    header->own = m->message;
    header->in = true;
    header->out = out;
    m->message[VECTOR_COUNT] = 1;
    error = measured(m, argument, NAME, NAME_MAX_BYTES, out);
    if (error == 0)
        error = measured(m, argument, CONTROL, CONTROL_MAX_BYTES, out);
    list = part(m, VECTORS, sizeof m->single, false);
    if (error != 0 || list == NULL)
        return error != 0 ? error : -E2BIG;
    list->own = m->single;
    data = marshal_piece(m, 0, m->single[1], CALL_NOWHERE);
    if (data == NULL)
        return -E2BIG;
    data->vector = true;
    data->in = !out;
    data->out = data->result = out;
    data->pointed = (__u8)(list - m->pieces + 1);
    if (out)
        m->head.result_unit = 1;
    return 0;
}
