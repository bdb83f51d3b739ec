// SPDX-License-Identifier: BSD-2-Clause
// The code is position-independent and needs neither stack nor data; the name of the port
// that it tells is its argument, kept in rbp.
#include "guest.h"

#include <corvus/message.h>

extern const char guest_code[];
extern const uint64_t guest_code_bytes, guest_code_store_at; // its length; where the second part is

__asm__(".section .rodata\n"
        "guest_code:\n\t"
        "mov %rdi, %rbp\n\t"
        "xor %r8d, %r8d\n\t"
        "mov $100, %ecx\n"
        "1:\tadd %rcx, %r8\n\t"
        "loop 1b\n\t"
        "mov $0x71001, %edx\n"
        "2:\tmov $0x10001, %eax\n\t"
        "mov %rbp, %rdi\n\t"
        "xor %esi, %esi\n\t"
        "xor %ebx, %ebx\n\t" // before the message can be seen
        "syscall\n"
        "3:\ttest %rbx, %rbx\n\t"
        "jz 3b\n\t"
        "mov %rbx, %r8\n\t"
        "mov $0x71002, %edx\n\t"
        "jmp 2b\n"
        "guest_code_store:\n\t" // the address comes as stack pointer
        "mov %rdi, %rbp\n\t"
        "movq $77, (%rsp)\n\t"
        "mov (%rsp), %r8\n\t"
        "mov $0x71003, %edx\n\t"
        "jmp 2b\n"
        "guest_code_end:\n\t"
        ".balign 8\n"
        "guest_code_bytes: .quad guest_code_end - guest_code\n"
        "guest_code_store_at: .quad guest_code_store - guest_code\n"
        ".text\n");
_Static_assert((TAG_SEND | 1) == 0x10001, "as in the code");
_Static_assert(GUEST_SUM == 0x71001 && GUEST_CHANGE == 0x71002 && GUEST_STORED == 0x71003,
               "as in the code");

corvus_error_t guest_create(struct guest *guest, port_name_t allocator, uint64_t quota,
                            uint64_t memory)
{
    *guest = (struct guest){0};
    return allocator_create_task(allocator, quota, memory, &guest->task, &guest->memory,
                                 &guest->pager);
}

corvus_error_t guest_load(struct guest *guest)
{
    uint64_t id;
    corvus_error_t error =
        task_memory_allocate(guest->memory, GUEST_CODE, PAGE_BYTES, ACCESS_READ | ACCESS_EXECUTE);

    if (error == ERR_OK)
        error = task_memory_write(guest->memory, GUEST_CODE, guest_code, guest_code_bytes);
    if (error == ERR_OK)
        error = task_create_thread(guest->task, GUEST_UTCB, GUEST_PRIORITY, &guest->thread, &id);
    if (error == ERR_OK)
        error = thread_set_pager(guest->thread, copy_send(guest->pager));
    return error;
}

static corvus_error_t start(struct guest *guest, struct message_right port, uint64_t entry,
                            uint64_t sp)
{
    uint64_t name;
    corvus_error_t error = task_insert_right(guest->task, port, &name);

    if (error != ERR_OK)
        return error;
    return thread_start(guest->thread, GUEST_CODE + entry, sp, name, 0);
}

corvus_error_t guest_start(struct guest *guest, struct message_right port)
{
    return start(guest, port, 0, 0);
}

corvus_error_t guest_start_store(struct guest *guest, struct message_right port, uint64_t address)
{
    return start(guest, port, guest_code_store_at, address);
}

static void forget(port_name_t *name)
{
    if (*name != PORT_NULL)
        (void)port_deallocate(*name);
    *name = PORT_NULL;
}

void guest_forget(struct guest *guest)
{
    forget(&guest->thread);
    forget(&guest->pager);
    forget(&guest->memory);
    forget(&guest->task);
}
