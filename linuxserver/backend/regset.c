// SPDX-License-Identifier: GPL-2.0-only
// The registers of a thread as a core dump has them: each set a note, of each thread. ARCH=um has
// no register sets; build.sh tells fs/binfmt_elf.c that there are some.
#include <linux/elf.h>
#include <linux/regset.h>
#include <linux/sched.h>

#include <asm/ptrace.h>
#include <asm/sigcontext.h>
#include <asm/user.h>

#include "server.h"

#define FEATURES 7ul // x87, SSE, AVX

static int general(struct task_struct *t, const struct user_regset *set, struct membuf to)
{
    for (int i = 0; i < MAX_REG_NR; i++)
        membuf_store(&to, getreg(t, i * (int)sizeof(long)));
    return (int)to.left;
}

static int x87_and_sse(struct task_struct *t, const struct user_regset *set, struct membuf to)
{
    fpu_release(t->thread.regs.regs.fp);
    return membuf_write(&to, t->thread.regs.regs.fp, sizeof(struct user_i387_struct));
}

// The mask of features goes where programs look for it.
void vector_image(struct task_struct *t, struct _xstate *image)
{
    fpu_release(t->thread.regs.regs.fp);
    memcpy(image, t->thread.regs.regs.fp, sizeof *image);
    memset(&image->fpstate.sw_reserved, 0, sizeof image->fpstate.sw_reserved);
    *(u64 *)&image->fpstate.sw_reserved = FEATURES;
}

static int whole_vector(struct task_struct *t, const struct user_regset *set, struct membuf to)
{
    struct _xstate image;

    vector_image(t, &image);
    return membuf_write(&to, &image, sizeof image);
}

// The names of fields are those of Linux; the first set must be NT_PRSTATUS.
static const struct user_regset sets[] = {
    {.core_note_type = NT_PRSTATUS,
     .n = MAX_REG_NR,
     .size = sizeof(long),
     .align = sizeof(long),
     .regset_get = general},
    {.core_note_type = NT_PRFPREG,
     .n = 1,
     .size = sizeof(struct user_i387_struct),
     .align = sizeof(long),
     .regset_get = x87_and_sse},
    {.core_note_type = NT_X86_XSTATE,
     .n = sizeof(struct _xstate) / sizeof(u64),
     .size = sizeof(u64),
     .align = sizeof(u64),
     .regset_get = whole_vector},
};

static const struct user_regset_view view = {
    .name = "x86_64", .e_machine = EM_X86_64, .regsets = sets, .n = ARRAY_SIZE(sets)};

const struct user_regset_view *task_user_regset_view(struct task_struct *t)
{
    return &view;
}
