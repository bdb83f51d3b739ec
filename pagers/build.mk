# SPDX-License-Identifier: BSD-2-Clause
#
# Builds the VM server and the pagers.

VM_SERVER := $(O)/pagers/vm.elf
$(call native-program,$(VM_SERVER),$(sort $(wildcard pagers/vm/*.c pagers/vm/core/*.c)))

DEFAULT_PAGER := $(O)/pagers/default.elf
$(call native-program,$(DEFAULT_PAGER),$(sort $(wildcard pagers/default/*.c)))

FILE_PAGER := $(O)/pagers/file.elf
$(call native-program,$(FILE_PAGER),$(sort $(wildcard pagers/file/*.c)))

EXAMPLE_PAGER := $(O)/pagers/example.elf
$(call native-program,$(EXAMPLE_PAGER),pagers/example/main.c)

ALL += $(VM_SERVER) $(DEFAULT_PAGER) $(FILE_PAGER) $(EXAMPLE_PAGER)
