# SPDX-License-Identifier: BSD-2-Clause
#
# Builds what a node needs to run Linux.

LINUX_LOADER := $(O)/linux/loader.elf
$(call native-program,$(LINUX_LOADER),linuxserver/loader/main.c)
ALL += $(LINUX_LOADER)
