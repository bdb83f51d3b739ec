# SPDX-License-Identifier: BSD-2-Clause
#
# Builds the first task, $(O)/init/init.elf. It lies above all physical memory, which it has mapped
# one to one.

LINK_BASE_init.elf := 0x10000000000
INIT := $(O)/init/init.elf
$(call native-program,$(INIT),$(sort $(wildcard init/*.c init/platform/*.c)))
ALL += $(INIT)
NODE_MODULES += init=$(INIT)
