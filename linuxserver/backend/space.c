// SPDX-License-Identifier: GPL-2.0-only
// Address spaces of processes, each with a guest (guests.h), and the server's own.
#include "guests.h"
#include "server.h"

#include "lib/call.h"

#include <corvus/host.h>
#include <corvus/stubs.h>

#include <errno.h>
#include <mm_id.h>
#include <os.h>
#include <skas.h>
#include <sys/mman.h>

int userspace_pid[1];

// Its guest is made when it runs or gets its first page.
int start_userspace(unsigned long stub_stack)
{
    return guest_pid(stub_stack);
}

// A fork's address space begins empty: Linux marks its pages as not yet known here.
int copy_context_skas0(unsigned long stack, int pid)
{
    (void)pid;
    return guest_pid(stack);
}

// Comes twice for some.
void os_kill_ptraced_process(int pid, int reap_child)
{
    struct guest *guest = guest_of_pid(pid);

    (void)reap_child;
    guest_end(guest);
    if (guest_running == guest)
        guest_running = NULL;
}

void __switch_mm(struct mm_id *mm_idp)
{
    userspace_pid[0] = mm_idp->u.pid;
    guest_run_next(guest_of_pid(mm_idp->u.pid));
}

// --- A guest's pages -----------------------------------------------------------------------------

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

// Maps pages of the server into a guest. When all other guests have been ended for it and there
// still is too little memory, it begins anew, empty: its other pages come back by faults.
static corvus_error_t map_guest(struct guest *guest, uint64_t source, uint64_t address,
                                uint64_t bytes, uint64_t access)
{
    corvus_error_t error;
    bool anew = false;

    for (;;) {
        error = guest_begin(guest);
        if (error != ERR_OK)
            return error;
        guest->mapped = true;
        error = memory_map(guest->task, source, address, bytes, access, NULL);
        if (error != ERR_NO_MEMORY || guest_grow(guest) == ERR_OK) {
            if (error != ERR_NO_MEMORY)
                return error;
            continue;
        }
        if (anew)
            return error;
        guest_end(guest);
        guest_counts.begun_anew++;
        anew = true;
    }
}

int map(struct mm_id *mm_idp, unsigned long virt, unsigned long len, int prot, int phys_fd,
        unsigned long long offset, int done, void **data)
{
    uint64_t access = access_of((unsigned int)prot) & ~(mapping_executable ? 0 : ACCESS_EXECUTE);

    (void)phys_fd;
    if (access == 0)
        return unmap(mm_idp, virt, len, done, data);
    return errno_of(
        map_guest(guest_of_pid(mm_idp->u.pid), SERVER_MEMORY_BASE + offset, virt, len, access));
}

// Takes access away. A guest whose pages cannot be taken one by one for want of memory ends: then
// it has none of them.
static int take_access(struct mm_id *mm_idp, uint64_t address, uint64_t bytes, uint64_t access)
{
    struct guest *guest = guest_of_pid(mm_idp->u.pid);
    corvus_error_t error;

    if (!guest->mapped)
        return 0;
    do {
        error = memory_unmap(guest->task, address, bytes, access | MEMORY_SELF, NULL, NULL, NULL);
    } while (error == ERR_NO_MEMORY && guest_grow(guest) == ERR_OK);
    if (error != ERR_NO_MEMORY)
        return errno_of(error);
    guest_end(guest);
    return 0;
}

int unmap(struct mm_id *mm_idp, unsigned long addr, unsigned long len, int done, void **data)
{
    (void)done;
    (void)data;
    return take_access(mm_idp, addr, len, ACCESS_ALL);
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
    return take_access(mm_idp, addr, len, taken & ACCESS_READ ? ACCESS_ALL : taken);
}

// --- The server's own pages ------------------------------------------------------------------

int create_mem_file(unsigned long long len)
{
    return len <= server_boot.memory_bytes ? 3 : -ENOMEM;
}

// Physical memory is there from the start; elsewhere (vmalloc) it appears a second time.
int os_map_memory(void *virt, int fd, unsigned long long off, unsigned long len, int r, int w,
                  int x)
{
    uint64_t source = SERVER_MEMORY_BASE + off;
    uint64_t access = (r ? ACCESS_READ : 0) | (w ? ACCESS_WRITE : 0) | (x ? ACCESS_EXECUTE : 0);
    corvus_error_t error;

    (void)fd;
    if ((uint64_t)virt == source)
        return 0;
    do {
        error = memory_map(NAME_TASK_SELF, source, (uint64_t)virt, len, access, NULL);
    } while (error == ERR_NO_MEMORY && guest_end_oldest());
    return errno_of(error);
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
