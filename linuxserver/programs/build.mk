# SPDX-License-Identifier: GPL-2.0-only
#
# Programs of our own that run in a node's Linux: static, with Debian's musl, so that they take little
# memory and run in every file system. And the file systems of a node, which hold them.

LINUX_PROGRAM_CC := musl-gcc
LINUX_PROGRAM_FLAGS := -std=gnu11 -Os -static -D_GNU_SOURCE -Wall -Wextra -Werror -Wshadow \
  -Wstrict-prototypes -Wmissing-prototypes -Wvla -ffunction-sections -fdata-sections \
  -Wl,--gc-sections -Wl,--build-id=none -s -iquote lib/linux/replace -iquote . \
  -idirafter include -idirafter build/include

# What a program needs to send messages (lib/linux/README.md).
LINUX_PORT_LIBRARY := $(wildcard lib/linux/*.c) lib/port.c lib/message.c lib/serve.c
linux_library_corvus := $(LINUX_PORT_LIBRARY)

# $(call linux-program,NAME): a rule for a program out of linuxserver/programs/NAME/*.c.
define linux-program-rule
$(O)/linux/programs/$(1): $(wildcard linuxserver/programs/$(1)/*.[ch]) $(linux_library_$(1)) \
  $(O)/linux/programs/flags | $(GENERATED_HEADERS)
	$$(call say,LINUXCC,$$@)
	$(Q)mkdir -p $$(@D)
	$(Q)$(LINUX_PROGRAM_CC) $(LINUX_PROGRAM_FLAGS) -o $$@ $(wildcard linuxserver/programs/$(1)/*.c) \
	  $(linux_library_$(1))
endef
linux-program = $(eval $(call linux-program-rule,$(1)))

$(call write-if-changed,$(O)/linux/programs/flags,$(LINUX_PROGRAM_CC) $(LINUX_PROGRAM_FLAGS))
LINUX_PROGRAMS := $(O)/linux/programs/agent $(O)/linux/programs/corvus
$(foreach program,$(notdir $(LINUX_PROGRAMS)),$(call linux-program,$(program)))
# The same structures as the kernel's.
$(O)/linux/programs/corvus: include/corvus/trace.h include/corvus/netname.h include/corvus/run.h include/corvus/segments.h include/corvus/linux.h include/corvus/migrate.h \
  lib/linux/corvus.h lib/message.h lib/port.h lib/call.h

# The initramfs every node starts from, and the disk with all the rest (deploy/README.md).
node_file_sources := $(LINUX_PROGRAMS) deploy/node-files.sh deploy/packages.sh \
  $(shell find linuxserver/initramfs/files -type f)

$(O)/linux/initramfs-%.cpio: $(node_file_sources) linuxserver/initramfs/%.packages \
  deploy/initramfs.sh deploy/cpio.py
	$(call say,CPIO,$@)
	$(Q)deploy/initramfs.sh $* $@ $(LINUX_PROGRAMS)

# As a node gets it: init keeps it for a restart of Linux.
$(O)/linux/initramfs-%.cpio.zst: $(O)/linux/initramfs-%.cpio
	$(call say,ZSTD,$@)
	$(Q)zstd -q -f -19 -o $@ $<

$(O)/linux/disk-%.img: $(node_file_sources) linuxserver/initramfs/%.packages deploy/disk.sh
	$(call say,DISK,$@)
	$(Q)deploy/disk.sh $* $@ $(LINUX_PROGRAMS)
