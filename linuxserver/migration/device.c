// SPDX-License-Identifier: GPL-2.0-only
// /dev/corvus-migrate: what commands, the shepherds and tests ask for (include/corvus/migrate.h).
// The parts of migration register their requests here.
#include "linuxserver/migration/migration.h"

#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#define REQUESTS 32

static struct {
    u32 request;
    migration_request *handler;
} requests[REQUESTS];

void migration_device_handle(u32 request, migration_request *handler)
{
    for (unsigned int i = 0; i < REQUESTS; i++) {
        if (requests[i].handler == NULL) {
            requests[i].request = request;
            requests[i].handler = handler;
            return;
        }
    }
    WARN_ON_ONCE(1);
}

static long device_ioctl(struct file *file, unsigned int request, unsigned long argument)
{
    if (!capable(CAP_SYS_ADMIN))
        return -EPERM;
    for (unsigned int i = 0; i < REQUESTS && requests[i].handler != NULL; i++)
        if (requests[i].request == request)
            return requests[i].handler(file, (void __user *)argument);
    return -ENOTTY;
}

static int device_release(struct inode *inode, struct file *file)
{
    migration_shepherd_gone(file);
    return 0;
}

static const struct file_operations operations = {
    .owner = THIS_MODULE,
    .release = device_release,
    .unlocked_ioctl = device_ioctl,
    .llseek = no_llseek,
};

static struct miscdevice device = {
    .minor = MISC_DYNAMIC_MINOR,
    .name = "corvus-migrate",
    .mode = 0600,
    .fops = &operations,
};

static int __init begin(void)
{
    return misc_register(&device);
}
device_initcall(begin);
