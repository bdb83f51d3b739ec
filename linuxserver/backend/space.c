// SPDX-License-Identifier: GPL-2.0-only
// Address spaces: a guest task for each of Linux's, known to Linux as a "pid", which is the name of
// its task port; and the server's own.
#include "vcpu_page.h"

#include "lib/call.h"

#include <corvus/host.h>
#include <corvus/stubs.h>

#include <errno.h>
#include <mm_id.h>
#include <os.h>
#include <skas.h>
#include <sys/mman.h>

// Kernel memory of a guest: at first, and by how much it grows when that is used up.
#define GUEST_QUOTA      (40ul << 10)
#define GUEST_QUOTA_STEP (32ul << 10)

// mm_id.kill tells here whether anything was ever mapped.
#define SPACE_USED 2

int userspace_pid[1];

static int make_space(void)
{
    port_name_t task;
    corvus_error_t error = task_create(NAME_TASK_SELF, GUEST_QUOTA, TASK_GUEST, &task, NULL);

    if (error != ERR_OK)
        return error == ERR_NO_MEMORY ? -ENOMEM : -EAGAIN;
    if ((int)task < 2) {
        (void)task_terminate(task);
        (void)task_deallocate_right(NAME_TASK_SELF, task);
        return -EAGAIN;
    }
    return (int)task;
}

int start_userspace(unsigned long stub_stack)
{
    (void)stub_stack;
    return make_space();
}

// A fork's address space begins empty: Linux marks its pages as not yet known here.
int copy_context_skas0(unsigned long stack, int pid)
{
    (void)stack;
    (void)pid;
    return make_space();
}

// Comes twice for some: the second time the name is stale.
void os_kill_ptraced_process(int pid, int reap_child)
{
    (void)reap_child;
    if (task_terminate((port_name_t)pid) == ERR_OK)
        (void)task_deallocate_right(NAME_TASK_SELF, (port_name_t)pid);
    if (userspace_pid[0] == pid)
        userspace_pid[0] = 0;
}

void __switch_mm(struct mm_id *mm_idp)
{
    userspace_pid[0] = mm_idp->u.pid;
}

// --- A guest's pages
// ------------------------------------------------------------------------------

// A page that Linux takes for not accessed lately it wants to hear of: it has no access at all,
// though execution is not taken from it.
static uint64_t access_of(unsigned int prot)
{
    if (!(prot & PROT_READ))
        return 0;
    return (prot & PROT_READ ? ACCESS_READ : 0) | (prot & PROT_WRITE ? ACCESS_WRITE : 0) |
           (prot & PROT_EXEC ? ACCESS_EXECUTE : 0);
}

static int errno_of(corvus_error_t error)
{
    if (error != ERR_OK)
        printk(UM_KERN_ERR "linux server: a mapping failed: error %d\n", (int)error);
    return error == ERR_OK ? 0 : error == ERR_NO_MEMORY ? -ENOMEM : -EFAULT;
}

static corvus_error_t grow(port_name_t task)
{
    int enabled = um_set_signals(0); // the right travels in the message page
    corvus_error_t error = task_move_quota(NAME_TASK_SELF, GUEST_QUOTA_STEP, copy_send(task));

    um_set_signals(enabled);
    return error;
}

int map(struct mm_id *mm_idp, unsigned long virt, unsigned long len, int prot, int phys_fd,
        unsigned long long offset, int done, void **data)
{
    port_name_t task = (port_name_t)mm_idp->u.pid;
    uint64_t access = access_of((unsigned int)prot);
    corvus_error_t error;

    (void)phys_fd;
    (void)done;
    (void)data;
    if (access == 0)
        return unmap(mm_idp, virt, len, done, data);
    mm_idp->kill = SPACE_USED;
    do {
        error = memory_map(task, SERVER_MEMORY_BASE + offset, virt, len, access, NULL);
    } while (error == ERR_NO_MEMORY && grow(task) == ERR_OK);
    return errno_of(error);
}

int unmap(struct mm_id *mm_idp, unsigned long addr, unsigned long len, int done, void **data)
{
    port_name_t task = (port_name_t)mm_idp->u.pid;
    corvus_error_t error;

    (void)done;
    (void)data;
    if (mm_idp->kill != SPACE_USED)
        return 0;
    do {
        error = memory_unmap(task, addr, len, ACCESS_ALL | MEMORY_SELF, NULL, NULL, NULL);
    } while (error == ERR_NO_MEMORY && grow(task) == ERR_OK);
    return errno_of(error);
}

// Without access it is an unmapping, from which the next fault brings the page back.
int protect(struct mm_id *mm_idp, unsigned long addr, unsigned long len, unsigned int prot,
            int done, void **data)
{
    uint64_t taken = ACCESS_ALL & ~access_of(prot);

    (void)done;
    (void)data;
    if (taken == 0)
        return 0;
    return errno_of(memory_unmap((port_name_t)mm_idp->u.pid, addr, len,
                                 (taken & ACCESS_READ ? ACCESS_ALL : taken) | MEMORY_SELF, NULL,
                                 NULL, NULL));
}

// --- The server's own pages
// -------------------------------------------------------------------------

int create_mem_file(unsigned long long len)
{
    return len <= server_boot.memory_bytes ? 3 : -ENOMEM;
}

// Physical memory is there from the start; elsewhere (vmalloc) it appears a second time.
int os_map_memory(void *virt, int fd, unsigned long long off, unsigned long len, int r, int w,
                  int x)
{
    uint64_t source = SERVER_MEMORY_BASE + off;

    (void)fd;
    if ((uint64_t)virt == source)
        return 0;
    return errno_of(memory_map(
        NAME_TASK_SELF, source, (uint64_t)virt, len,
        (r ? ACCESS_READ : 0) | (w ? ACCESS_WRITE : 0) | (x ? ACCESS_EXECUTE : 0), NULL));
}

// Linux asks only for all access.
int os_protect_memory(void *addr, unsigned long len, int r, int w, int x)
{
    (void)addr;
    (void)len;
    return r && w && x ? 0 : -EINVAL;
}

int os_unmap_memory(void *addr, int len)
{
    return errno_of(memory_unmap(NAME_TASK_SELF, (uint64_t)addr, (uint64_t)len,
                                 ACCESS_ALL | MEMORY_SELF, NULL, NULL, NULL));
}

int can_drop_memory(void)
{
    return 0;
}

int os_drop_memory(void *addr, int length)
{
    (void)addr;
    (void)length;
    return -ENOSYS;
}
