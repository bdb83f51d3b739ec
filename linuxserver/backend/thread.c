// SPDX-License-Identifier: GPL-2.0-only
// Linux's kernel threads are stacks of the server's one thread; switching them is a jump.
#include "vcpu_page.h"

#include <as-layout.h>
#include <kern_util.h>
#include <longjmp.h>
#include <os.h>
#include <skas.h>

enum { START, CALLBACK, HALT, REBOOT };

extern void uml_finishsetup(void);

static jmp_buf initial;
static void (*callback)(void *argument);
static void *callback_argument;
static jmp_buf *callback_return;

void new_thread(void *stack, jmp_buf *buf, void (*handler)(void))
{
    (*buf)[0].JB_IP = (unsigned long)handler;
    (*buf)[0].JB_SP = (unsigned long)stack + UM_THREAD_SIZE - sizeof(void *);
}

void switch_threads(jmp_buf *me, jmp_buf *you)
{
    int enabled = (int)vcpu->events_enabled;

    if (setjmp(*me) == 0)
        longjmp(*you, 1);
    um_set_signals(enabled);
}

int start_idle_thread(void *stack, jmp_buf *switch_buf)
{
    switch (setjmp(initial)) {
    case START:
        new_thread(stack, switch_buf, uml_finishsetup);
        break;
    case CALLBACK:
        callback(callback_argument);
        longjmp(*callback_return, 1);
        break;
    case HALT:
        kmalloc_ok = 0;
        return 0;
    case REBOOT:
        kmalloc_ok = 0;
        return 1;
    }
    longjmp(*switch_buf, 1);
    return 0;
}

void initial_thread_cb_skas(void (*proc)(void *), void *arg)
{
    jmp_buf here;

    callback = proc;
    callback_argument = arg;
    callback_return = &here;
    block_signals();
    if (setjmp(here) == 0)
        longjmp(initial, CALLBACK);
    unblock_signals();
}

void halt_skas(void)
{
    block_signals();
    longjmp(initial, HALT);
}

void reboot_skas(void)
{
    block_signals();
    longjmp(initial, REBOOT);
}

int is_skas_winch(int pid, int fd, void *data)
{
    (void)pid;
    (void)fd;
    (void)data;
    return 0;
}
