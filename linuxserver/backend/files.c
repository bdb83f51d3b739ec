// SPDX-License-Identifier: GPL-2.0-only
// "Files" of the host that ARCH=um opens: the console on 0 to 2, physical memory on 3, and the boot
// module with the initramfs. There are no others, and who asks for one hears so.
#include "vcpu_page.h"

#include "lib/call.h"

#include <corvus/host.h>
#include <corvus/stubs.h>

#include <errno.h>
#include <os.h>
#include <string.h>
#include <sys/epoll.h>

#define FILE_MEMORY    3
#define FILE_INITRAMFS 4

long console_read_bytes(char *text, unsigned long bytes);

static unsigned long initramfs_offset;

int os_open_file(const char *file, struct openflags flags, int mode)
{
    (void)mode;
    if (flags.w || strcmp(file, "initramfs") != 0 || server_boot.initramfs == NULL)
        return -ENOENT;
    initramfs_offset = 0;
    return FILE_INITRAMFS;
}

int os_file_size(const char *file, unsigned long long *size_out)
{
    if (strcmp(file, "initramfs") != 0 || server_boot.initramfs == NULL)
        return -ENOENT;
    *size_out = server_boot.initramfs_bytes;
    return 0;
}

static int read_initramfs(void *buf, unsigned long len)
{
    unsigned long rest = server_boot.initramfs_bytes - initramfs_offset;

    if (len > rest)
        len = rest;
    memcpy(buf, (const char *)server_boot.initramfs + initramfs_offset, len);
    initramfs_offset += len;
    return (int)len;
}

int os_read_file(int fd, void *buf, int len)
{
    if (len < 0)
        return -EINVAL;
    if (fd == 0)
        return (int)console_read_bytes(buf, (unsigned long)len);
    return fd == FILE_INITRAMFS ? read_initramfs(buf, (unsigned long)len) : -EBADF;
}

int os_write_file(int fd, const void *buf, int count)
{
    if (count < 0)
        return -EINVAL;
    if (fd == 1 || fd == 2)
        console_write_bytes(buf, (unsigned long)count);
    else if (fd != FILE_MEMORY) // which is mapped where Linux writes it
        return -EBADF;
    return count;
}

// It has been read: its pages are not needed here any more.
static void initramfs_release(void)
{
    uint64_t first = (uint64_t)server_boot.initramfs & ~(PAGE_BYTES - 1);
    uint64_t end = (uint64_t)server_boot.initramfs + server_boot.initramfs_bytes;

    (void)memory_unmap(NAME_TASK_SELF, first, (end - first + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1),
                       ACCESS_ALL | MEMORY_SELF, NULL, NULL, NULL);
    server_boot.initramfs = NULL;
}

void os_close_file(int fd)
{
    if (fd == FILE_INITRAMFS)
        initramfs_release();
}

int os_seek_file(int fd, unsigned long long offset)
{
    (void)offset;
    return fd == FILE_MEMORY ? 0 : -EBADF;
}

int os_fsync_file(int fd)
{
    (void)fd;
    return 0;
}

int os_set_fd_async(int fd)
{
    return fd >= 0 && fd <= 2 ? 0 : -EBADF;
}

int os_clear_fd_async(int fd)
{
    (void)fd;
    return 0;
}

int os_set_fd_block(int fd, int blocking)
{
    (void)blocking;
    return fd >= 0 && fd <= 2 ? 0 : -EBADF;
}

int os_pipe(int *fd, int stream, int close_on_exec)
{
    (void)fd;
    (void)stream;
    (void)close_on_exec;
    return -ENOSYS;
}

void os_flush_stdout(void)
{
}

// --- Readiness -----------------------------------------------------------------------------------
// Only the console's input is ever waited for. Edge triggered: once for each arrival.

static void *input_data;
static int input_events;
static int input_reported;

int os_setup_epoll(void)
{
    return 0;
}

int os_event_mask(enum um_irq_type irq_type)
{
    return irq_type == IRQ_READ ? EPOLLIN : irq_type == IRQ_WRITE ? EPOLLOUT : 0;
}

int os_add_epoll_fd(int events, int fd, void *data)
{
    if (fd == 0) {
        input_data = data;
        input_events = events;
        if (console_input_ready())
            send_sigio_to_self();
    }
    return 0;
}

int os_mod_epoll_fd(int events, int fd, void *data)
{
    return os_add_epoll_fd(events, fd, data);
}

int os_del_epoll_fd(int fd)
{
    if (fd == 0)
        input_events = 0;
    return 0;
}

int os_waiting_for_events_epoll(void)
{
    int ready = (input_events & EPOLLIN) && console_input_ready() && !input_reported;

    input_reported = ready;
    return ready;
}

void *os_epoll_get_data_pointer(int index)
{
    (void)index;
    return input_data;
}

int os_epoll_triggered(int index, int events)
{
    (void)index;
    return events & EPOLLIN;
}

void os_set_ioignore(void)
{
    input_events = 0;
}

void os_close_epoll_fd(void)
{
}

int add_sigio_fd(int fd)
{
    (void)fd;
    return 0;
}

int ignore_sigio_fd(int fd)
{
    (void)fd;
    return 0;
}

void maybe_sigio_broken(int fd)
{
    (void)fd;
}

void sigio_broken(int fd)
{
    (void)fd;
}
