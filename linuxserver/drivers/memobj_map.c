// SPDX-License-Identifier: GPL-2.0-only
// CORVUS_MAP_OBJECT (include/corvus/linux.h): a memory object, of which a process has a right, as a
// file.
#include "memobj.h"

#include <corvus/services.h>

#include <linux/file.h>
#include <linux/uaccess.h>

// A right of the server's own, so that the process may give its up.
static int copy_right(struct corvus_file *file, u32 number, u32 *name)
{
    struct corvus_right *right = corvus_right_get(file, number);
    struct message_right copied = {PORT_NULL, COPY_SEND};
    u64 words[MESSAGE_SERVICE_WORDS] = {0};
    int error;

    if (right == NULL)
        return -ENOENT;
    copied.name = right->name;
    error = right->kind != RIGHT_SEND ? ERR_INVALID_RIGHT
                                      : messages_service(NAME_TASK_SELF, SERVICE_task_insert_right,
                                                         0, words, &copied, NULL);
    corvus_right_put(right);
    *name = (u32)words[0];
    return error == ERR_OK          ? 0
           : error == ERR_NO_MEMORY ? -ENOMEM
           : error == ERR_PEER_DIED ? -EPIPE
                                    : -EPERM;
}

int corvus_map_object(struct corvus_file *file, const void __user *argument)
{
    struct corvus_map_object map;
    struct memobj_object *object;
    struct file *opened;
    u32 name;
    int error, number;

    if (copy_from_user(&map, argument, sizeof map) != 0)
        return -EFAULT;
    if (map.flags != 0 || map.size == 0 || map.size > (MAX_LFS_FILESIZE & PAGE_MASK))
        return -EINVAL;
    error = copy_right(file, map.object, &name);
    if (error != 0)
        return error;
    object = memobj_object_open(name);
    if (IS_ERR(object))
        return PTR_ERR(object);
    number = get_unused_fd_flags(O_CLOEXEC);
    if (number < 0) {
        memobj_object_close(object);
        return number;
    }
    opened = memobj_object_file(object, (loff_t)map.size);
    if (IS_ERR(opened)) {
        put_unused_fd(number);
        memobj_object_close(object);
        return PTR_ERR(opened);
    }
    fd_install(number, opened);
    return number;
}
