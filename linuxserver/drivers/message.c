// SPDX-License-Identifier: GPL-2.0-only
// /dev/corvus (include/corvus/linux.h): files, and what a call is made of.
#include "message.h"

#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <os.h>

#define KNOWN_TAG                                                                                  \
    (TAG_WORDS_MASK | TAG_RIGHTS_MASK | TAG_ITEMS_MASK | TAG_SEND | TAG_RECEIVE | TAG_RPC |        \
     TAG_REPLY | TAG_SEND_DEADLINE | TAG_RECEIVE_DEADLINE | TAG_REPLY_RIGHT | TAG_NOTIFY |         \
     TAG_FOREIGN)

// --- Errors ----------------------------------------------------------------------------

int corvus_end(struct corvus_operation *operation, enum corvus_error error, bool in_receive)
{
    struct corvus_call *call = &operation->call;

    call->tag = (u64)error << TAG_ERROR_SHIFT | (in_receive ? TAG_ERROR_RECEIVE : 0);
    call->destination = 0;
    call->receive_from = 0;
    call->id = 0;
    memset(call->words, 0, sizeof call->words);
    return 0;
}

static int errno_of(enum corvus_error error)
{
    static const unsigned char numbers[ERR_COUNT] = {
        [ERR_INVALID_NAME] = ENOENT,      [ERR_INVALID_RIGHT] = EPERM,
        [ERR_INVALID_ARGUMENT] = EINVAL,  [ERR_INVALID_RANGE] = EINVAL,
        [ERR_UNKNOWN_SERVICE] = ENOSYS,   [ERR_NO_MEMORY] = ENOMEM,
        [ERR_RIGHTS_FULL] = EMFILE,       [ERR_PEER_DIED] = EPIPE,
        [ERR_NO_REPLY] = ECONNRESET,      [ERR_TIMED_OUT] = ETIMEDOUT,
        [ERR_WOULD_BLOCK] = EAGAIN,       [ERR_ABORTED] = EINTR,
        [ERR_ACCESS_DENIED] = EACCES,     [ERR_LOCAL_ONLY] = EOPNOTSUPP,
        [ERR_NOT_MAPPED] = EFAULT,        [ERR_IN_USE] = EBUSY,
        [ERR_TOO_LARGE] = EMSGSIZE,       [ERR_FAULT] = EFAULT,
        [ERR_NOT_SUPPORTED] = EOPNOTSUPP, [ERR_NOT_FOUND] = ENXIO,
        [ERR_TERMINATED] = ESRCH,         [ERR_STATE] = EINVAL,
        [ERR_PROTOCOL] = EPROTO,
    };

    return error == ERR_OK ? 0 : error < ERR_COUNT && numbers[error] != 0 ? -numbers[error] : -EIO;
}

// --- Memory and time ---------------------------------------------------------------------

void *corvus_allocate_bytes(struct corvus_file *file, size_t bytes)
{
    u8 *memory;

    if (!corvus_take_bytes(file, bytes))
        return NULL;
    memory = kvmalloc(bytes, GFP_KERNEL_ACCOUNT);
    if (memory == NULL) {
        corvus_give_bytes(file, bytes);
        return NULL;
    }
    // Memory of vmalloc's is the server's when it has been touched; workers must find it so.
    if (is_vmalloc_addr(memory))
        for (size_t at = 0; at < bytes; at += PAGE_SIZE)
            WRITE_ONCE(memory[at], 0);
    return memory;
}

void corvus_free_bytes(struct corvus_file *file, void *memory, size_t bytes)
{
    kvfree(memory);
    corvus_give_bytes(file, bytes);
}

u64 corvus_deadline(u64 monotonic)
{
    u64 now = ktime_get_ns();

    if (monotonic == 0)
        return 0;
    // What is past must not become "do not wait".
    return monotonic <= now ? 1 : os_nsecs() + (monotonic - now);
}

// --- A call --------------------------------------------------------------------------------

static bool tag_fits(u64 tag)
{
    return (tag & ~KNOWN_TAG) == 0 && (tag & (TAG_SEND | TAG_RECEIVE)) != 0 &&
           (tag & TAG_WORDS_MASK) <= MESSAGE_WORDS &&
           (tag & TAG_RIGHTS_MASK) >> TAG_RIGHTS_SHIFT <= MESSAGE_RIGHTS &&
           (tag & TAG_ITEMS_MASK) >> TAG_ITEMS_SHIFT <= MESSAGE_ITEMS &&
           ((tag & TAG_RPC) == 0 || (tag & (TAG_CALL | TAG_REPLY | TAG_NOTIFY)) == TAG_CALL);
}

static int copy_in(struct corvus_operation *operation, const void __user *from)
{
    if (copy_from_user(&operation->call, from, sizeof operation->call) != 0)
        return -EFAULT;
    operation->call.padding = 0;
    operation->page = (struct utcb *)operation->page_bytes;
    if (copy_from_user(operation->page, (const void __user *)operation->call.page,
                       CORVUS_PAGE_BYTES) != 0)
        return -EFAULT;
    return 0;
}

// Only what arrived: the rest of the page may hold what is not the process's.
static int copy_out(struct corvus_operation *operation, void __user *to)
{
    const struct utcb *page = operation->page;
    struct utcb __user *user = (struct utcb __user *)operation->call.page;
    u64 tag = operation->call.tag;
    unsigned int words = tag & TAG_WORDS_MASK;
    unsigned int rights = (tag & TAG_RIGHTS_MASK) >> TAG_RIGHTS_SHIFT;
    unsigned int items = (tag & TAG_ITEMS_MASK) >> TAG_ITEMS_SHIFT;

    if (words > MESSAGE_REGISTER_WORDS &&
        copy_to_user(&user->words[MESSAGE_REGISTER_WORDS], &page->words[MESSAGE_REGISTER_WORDS],
                     (words - MESSAGE_REGISTER_WORDS) * sizeof(u64)) != 0)
        return -EFAULT;
    if (copy_to_user(user->rights, page->rights, rights * sizeof page->rights[0]) != 0 ||
        copy_to_user(user->items, page->items, items * sizeof page->items[0]) != 0)
        return -EFAULT;
    return copy_to_user(to, &operation->call, sizeof operation->call) == 0 ? 0 : -EFAULT;
}

// The phases of the call. -ERESTARTSYS: what is left to do stands in operation->call.
static int exchange(struct corvus_operation *operation)
{
    struct corvus_call *call = &operation->call;
    u64 tag = call->tag, receive_from = call->receive_from;
    int error = 0;

    if (!tag_fits(tag))
        return corvus_end(operation, ERR_INVALID_ARGUMENT, (tag & TAG_SEND) == 0);
    if (tag & TAG_SEND)
        error = corvus_send(operation);
    if (error != 0 || tag & TAG_RPC || !(tag & TAG_RECEIVE) ||
        (tag & TAG_SEND && TAG_ERROR(call->tag) != ERR_OK))
        return error;
    call->tag = tag & (TAG_RECEIVE | TAG_RECEIVE_DEADLINE);
    call->receive_from = receive_from;
    return corvus_receive(operation);
}

static long message_call(struct corvus_file *file, void __user *argument)
{
    struct corvus_operation *operation = kzalloc(sizeof *operation, GFP_KERNEL_ACCOUNT);
    u64 tag;
    long error;
    int copied = 0;

    if (operation == NULL)
        return -ENOMEM;
    operation->file = file;
    init_completion(&operation->done);
    INIT_LIST_HEAD(&operation->spares);
    error = copy_in(operation, argument);
    if (error == 0) {
        tag = operation->call.tag;
        error = exchange(operation);
        if (error == 0)
            error = errno_of(TAG_ERROR(operation->call.tag));
        // A call that is made again as it was needs nothing.
        if (error != -ERESTARTSYS)
            copied = copy_out(operation, argument);
        else if (operation->call.tag != tag || !(tag & TAG_SEND))
            copied =
                copy_to_user(argument, &operation->call, sizeof operation->call) != 0 ? -EFAULT : 0;
    }
    if (operation->out != NULL)
        corvus_free_bytes(file, operation->out, operation->out_bytes);
    corvus_free_arrival(operation);
    corvus_spares_put(file, &operation->spares);
    kfree(operation);
    return copied != 0 ? copied : error;
}

// --- The device ------------------------------------------------------------------------------

static long device_ioctl(struct file *file, unsigned int request, unsigned long argument)
{
    struct corvus_file *own = file->private_data;
    void __user *user = (void __user *)argument;
    struct corvus_usage usage;
    u32 name;

    switch (request) {
    case CORVUS_MESSAGE:
        return message_call(own, user);
    case CORVUS_PORT_FILE:
        return get_user(name, (u32 __user *)user) != 0 ? -EFAULT : corvus_port_file(own, name);
    case CORVUS_USAGE:
        corvus_usage(own, &usage);
        return copy_to_user(user, &usage, sizeof usage) != 0 ? -EFAULT : 0;
    case CORVUS_MAP_OBJECT:
        return corvus_map_object(own, user);
    default:
        return -ENOTTY;
    }
}

static int device_open(struct inode *inode, struct file *file)
{
    struct corvus_file *own = kzalloc(sizeof *own, GFP_KERNEL_ACCOUNT);

    if (own == NULL)
        return -ENOMEM;
    corvus_rights_open(own);
    own->share = corvus_share_get(current_uid());
    if (own->share == NULL) {
        kfree(own);
        return -ENOMEM;
    }
    file->private_data = own;
    return nonseekable_open(inode, file);
}

static int device_release(struct inode *inode, struct file *file)
{
    struct corvus_file *own = file->private_data;

    corvus_rights_close(own);
    corvus_share_put(own->share);
    kfree(own);
    return 0;
}

static const struct file_operations device_operations = {
    .owner = THIS_MODULE,
    .open = device_open,
    .release = device_release,
    .unlocked_ioctl = device_ioctl,
    .llseek = no_llseek,
};

bool corvus_has_ports(struct file *file)
{
    return file->f_op == &device_operations;
}

static struct miscdevice device = {
    .minor = MISC_DYNAMIC_MINOR,
    .name = "corvus",
    .mode = 0666,
    .fops = &device_operations,
};

static int __init corvus_messages_init(void)
{
    int error = corvus_ports_begin();

    if (error == 0)
        error = misc_register(&device);
    if (error != 0)
        pr_err("corvus: no messages for processes: error %d\n", -error);
    return error;
}
device_initcall(corvus_messages_init);
