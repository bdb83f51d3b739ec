// SPDX-License-Identifier: GPL-2.0-only
// /sys/kernel/corvus: what the `corvus` command reads.
//   counters      the microkernel's counters, `name value` a line
//   trace         its trace ring: struct trace_record (include/corvus/trace.h), the oldest first
//   trace_enable  1: everything is traced, 0: nothing
#include <linux/init.h>
#include <linux/kobject.h>
#include <linux/mutex.h>
#include <linux/sysfs.h>

#include "server.h"

#define RECORD_BYTES 32

static DEFINE_MUTEX(trace_lock);
static unsigned long trace_base; // sequence number of the record at the file's beginning
static unsigned long trace_end;  // when its reading began, in ticks of the processor
static int trace_enabled;

static ssize_t counters_show(struct kobject *object, struct kobj_attribute *attribute, char *text)
{
    return (ssize_t)host_counters_text(text, PAGE_SIZE);
}

static ssize_t trace_enable_show(struct kobject *object, struct kobj_attribute *attribute,
                                 char *text)
{
    return sysfs_emit(text, "%d\n", trace_enabled);
}

static ssize_t trace_enable_store(struct kobject *object, struct kobj_attribute *attribute,
                                  const char *text, size_t bytes)
{
    bool on;
    int error = kstrtobool(text, &on);

    if (!error)
        error = host_trace_enable(on);
    if (error)
        return error;
    trace_enabled = on;
    return (ssize_t)bytes;
}

// Read from the beginning, the file shows what there is then, and not what reading it adds; what is
// overwritten before a reader comes to it is left out.
static ssize_t trace_read(struct file *file, struct kobject *object,
                          struct bin_attribute *attribute, char *to, loff_t offset, size_t room)
{
    unsigned long sequence, asked;
    long bytes;

    if (offset % RECORD_BYTES != 0 || room < RECORD_BYTES)
        return -EINVAL;
    mutex_lock(&trace_lock);
    if (offset == 0)
        trace_end = __builtin_ia32_rdtsc();
    asked = sequence = offset == 0 ? 0 : trace_base + (unsigned long)offset / RECORD_BYTES;
    bytes = host_trace_records(&sequence, trace_end, to, room);
    if (bytes > 0 && (offset == 0 || sequence != asked))
        trace_base = sequence - (unsigned long)offset / RECORD_BYTES;
    mutex_unlock(&trace_lock);
    return bytes;
}

static struct kobj_attribute counters = __ATTR_RO(counters);
static struct kobj_attribute trace_enable = __ATTR_RW(trace_enable);
static struct attribute *attributes[] = {&counters.attr, &trace_enable.attr, NULL};
static BIN_ATTR(trace, 0400, trace_read, NULL, 0);
static struct bin_attribute *bin_attributes[] = {&bin_attr_trace, NULL};
static const struct attribute_group group = {.attrs = attributes, .bin_attrs = bin_attributes};

static int __init make_files(void)
{
    struct kobject *folder = kobject_create_and_add("corvus", kernel_kobj);

    return folder ? sysfs_create_group(folder, &group) : -ENOMEM;
}
late_initcall(make_files);
