// SPDX-License-Identifier: GPL-2.0-only
// Strings from user memory. ARCH=um's strncpy_from_user fills the whole destination with zeroes,
// which for a path is 4 KiB each time.
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include <asm/page.h>
#include <asm/pgtable.h>

#include <kern_util.h>

pte_t *virt_to_pte(struct mm_struct *mm, unsigned long addr);

// Where a byte of the current process lies in the server, for reading; NULL when it has none there.
// Good until the process could lose the page, which is until this thread sleeps.
static const char *user_byte(unsigned long address)
{
    pte_t *pte = virt_to_pte(current->mm, address);
    int code;

    if (!pte || !pte_present(*pte)) {
        if (handle_page_fault(address, 0, 0, 1, &code))
            return NULL;
        pte = virt_to_pte(current->mm, address);
        if (!pte || !pte_present(*pte))
            return NULL;
    }
    return (const char *)page_address(pte_page(*pte)) + (address & ~PAGE_MASK);
}

// Copies up to the end of a string or of `count` bytes; returns how many, without the end's zero.
static long copy_string(char *to, const char *from, long count)
{
    long i;

    for (i = 0; i < count; i++) {
        to[i] = from[i];
        if (from[i] == '\0')
            break;
    }
    return i;
}

long __wrap_strncpy_from_user(char *dst, const char __user *src, long count);
long __wrap_strncpy_from_user(char *dst, const char __user *src, long count)
{
    unsigned long address = (unsigned long)src;
    long done = 0;

    if (!access_ok(src, 1))
        return -EFAULT;
    while (done < count) {
        long part = min_t(long, count - done, PAGE_SIZE - (address & ~PAGE_MASK));
        const char *from = address < TASK_SIZE ? user_byte(address) : NULL;
        long copied;

        if (!from)
            return -EFAULT;
        copied = copy_string(dst + done, from, part);
        done += copied;
        if (copied < part)
            return done;
        address += part;
    }
    return done;
}
