# SPDX-License-Identifier: BSD-2-Clause
#
# Builds the microkernel, $(O)/kernel/corvus.elf, from all sources in kernel/ and kernel/x86/. It is
# linked twice: the first result gives the function names that a panic prints, the second holds them.

KERNEL_SOURCES := $(sort $(wildcard kernel/*.c kernel/x86/*.c kernel/x86/*.S))

kernel_CC := $(CC)
# General registers only: user state in vector registers stays where it is while the kernel runs. No
# red zone, since interrupts use the kernel's stack. Frame pointers are for the backtrace of a panic.
kernel_FLAGS := -std=gnu11 -ffreestanding -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone \
  -mgeneral-regs-only -fno-stack-protector -fno-omit-frame-pointer \
  -fno-asynchronous-unwind-tables -fcf-protection=none -fno-strict-aliasing -fno-common \
  $(OPTIMIZE) -g \
  -Wall -Wextra -Werror -Wmissing-prototypes -Wshadow -Wstrict-prototypes -Wvla \
  -Wpointer-arith -Wwrite-strings -Wold-style-definition \
  -iquote kernel -Iinclude -Ibuild/include

KERNEL_LINK := $(LD) -nostdlib -static -z max-page-size=4096 -z noexecstack --build-id=none \
  --fatal-warnings -T kernel/x86/kernel.ld

ifneq ($(KERNEL_SOURCES),)
KERNEL := $(O)/kernel/corvus.elf
endif
kernel_objects := $(call objects-of,kernel,$(KERNEL_SOURCES))

$(call compile-rules,kernel)

# On the fast paths hardly anything is called that could panic, and every instruction counts.
$(O)/kernel/objects/kernel/fastpath.c.o $(O)/kernel/objects/kernel/vcpu.c.o: \
  kernel_FLAGS += -fomit-frame-pointer

# First link: an empty table in place of the names.
$(O)/kernel/symbols-none.c: kernel/symbols.sh
	$(Q)mkdir -p $(@D)
	$(Q)kernel/symbols.sh </dev/null >$@

$(O)/kernel/unnamed.elf: $(kernel_objects) $(O)/kernel/symbols-none.o kernel/x86/kernel.ld
	$(call say,LINK,$@)
	$(Q)$(KERNEL_LINK) -o $@ $(kernel_objects) $(O)/kernel/symbols-none.o

$(O)/kernel/symbols-all.c: $(O)/kernel/unnamed.elf kernel/symbols.sh
	$(Q)$(NM) --numeric-sort $< | kernel/symbols.sh >$@

$(O)/kernel/symbols-%.o: $(O)/kernel/symbols-%.c $(O)/kernel/flags
	$(Q)$(kernel_CC) $(kernel_FLAGS) -MMD -MP -c -o $@ $<

# Second link. The table lies behind the code, so no function may have moved; were that untrue, a
# panic would print wrong names, so it is checked.
$(O)/kernel/corvus.elf: $(O)/kernel/unnamed.elf $(O)/kernel/symbols-all.o
	$(call say,LINK,$@)
	$(Q)$(KERNEL_LINK) -o $@.partial $(kernel_objects) $(O)/kernel/symbols-all.o
	$(Q)cmp <($(NM) --numeric-sort $< | kernel/symbols.sh) \
	  <($(NM) --numeric-sort $@.partial | kernel/symbols.sh) || \
	  { echo 'kernel: functions moved between the two links' >&2; exit 1; }
	$(Q)mv $@.partial $@
