// SPDX-License-Identifier: BSD-2-Clause
// The message system call as a request to /dev/corvus.
#include "lib/linux/corvus.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int file = -1;

_Thread_local struct utcb corvus_page;
static _Thread_local uint32_t reply_slot;

int corvus_file(void)
{
    int mine, none = -1;
    int there = __atomic_load_n(&file, __ATOMIC_ACQUIRE);

    if (there >= 0)
        return there;
    mine = open(CORVUS_DEVICE, O_RDWR | O_CLOEXEC);
    if (mine < 0 ||
        __atomic_compare_exchange_n(&file, &none, mine, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return mine;
    close(mine); // another thread was faster
    return none;
}

void corvus_use_file(int other)
{
    int before = __atomic_exchange_n(&file, other, __ATOMIC_ACQ_REL);

    reply_slot = PORT_NULL;
    if (before >= 0)
        close(before);
}

// No message system call was made.
static corvus_error_t error_of(int number)
{
    switch (number) {
    case EINTR:
        return ERR_ABORTED;
    case ENOMEM:
        return ERR_NO_MEMORY;
    case EFAULT:
        return ERR_FAULT;
    default:
        return ERR_NOT_SUPPORTED;
    }
}

void corvus_trap(struct message *message)
{
    struct corvus_call call = {
        .tag = message->tag,
        .destination = message->destination,
        .receive_from = message->receive_from,
        .id = message->id,
        .page = (uint64_t)(uintptr_t)&corvus_page,
        .reply = reply_slot,
    };
    int device = corvus_file();
    int kept = errno;

    for (int i = 0; i < MESSAGE_REGISTER_WORDS; i++)
        call.words[i] = message->words[i];
    if ((device < 0 || ioctl(device, CORVUS_MESSAGE, &call) != 0) && TAG_ERROR(call.tag) == ERR_OK)
        call.tag = (uint64_t)error_of(errno) << TAG_ERROR_SHIFT |
                   (call.tag & TAG_SEND ? 0 : TAG_ERROR_RECEIVE);
    errno = kept;
    reply_slot = call.reply;
    message->tag = call.tag;
    message->label = call.destination;
    message->receive_from = call.receive_from;
    message->id = call.id;
    for (int i = 0; i < MESSAGE_REGISTER_WORDS; i++)
        message->words[i] = call.words[i];
}

int corvus_port_file(port_name_t port)
{
    int device = corvus_file();

    return device < 0 ? -1 : ioctl(device, CORVUS_PORT_FILE, &port);
}

bool corvus_usage(struct corvus_usage *usage)
{
    int device = corvus_file();

    return device >= 0 && ioctl(device, CORVUS_USAGE, usage) == 0;
}
