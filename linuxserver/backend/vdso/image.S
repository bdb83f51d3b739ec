// SPDX-License-Identifier: GPL-2.0-only
    .section .rodata, "a", @progbits
    .balign 4096
    .globl vdso_image
vdso_image:
    .incbin "arch/um/os-Corvus/vdso/vdso.so"
    .globl vdso_image_end
vdso_image_end:
    .balign 4096
    .section .note.GNU-stack, "", @progbits
