# SPDX-License-Identifier: GPL-2.0-only
#
# Builds what a node needs to run Linux: the server itself (build.sh), its loader, the programs and
# file systems of a node.

LINUX_LOADER := $(O)/linux/loader.elf
$(call native-program,$(LINUX_LOADER),linuxserver/loader/main.c)

# One Linux, built by gcc, for every build of the rest.
LINUX := build/linux/linux.elf
linux_sources := linuxserver/build.sh $(wildcard linuxserver/backend/* linuxserver/backend/x86/* \
  linuxserver/drivers/* linuxserver/config/* lib/*.[ch] lib/x86/* lib/virtio/* include/corvus/*)
$(LINUX): $(linux_sources) | $(GENERATED_HEADERS)
	$(call say,LINUX,$@)
	$(Q)linuxserver/build.sh build/linux
	$(Q)touch $@

include linuxserver/programs/build.mk

ALL += $(LINUX_LOADER) $(LINUX)
MODULE_ARGUMENTS_config :=
NODE_MODULES += config=linuxserver/node.conf linux-loader=$(LINUX_LOADER) linux=$(LINUX) \
  initramfs=$(O)/linux/initramfs-small.cpio
