# SPDX-License-Identifier: GPL-2.0-only
#
# Builds what a node needs to run Linux: the server itself (build.sh), its loader, the programs and
# file systems of a node.

# --- Zstandard: the loader unpacks Linux's image -------------------------------------------------
# From Debian's source package, not changed; of it only what decompresses.

ZSTD_VERSION := 1.5.4
ZSTD_SOURCE := build/zstd/source
ZSTD_FILES := $(patsubst %,$(ZSTD_SOURCE)/lib/%.c, \
  common/debug common/entropy_common common/error_private common/fse_decompress common/xxhash \
  common/zstd_common decompress/huf_decompress decompress/zstd_ddict decompress/zstd_decompress \
  decompress/zstd_decompress_block)
ZSTD_HEADER := build/include/zstd/zstd.h
GENERATED_HEADERS += $(ZSTD_HEADER)

$(ZSTD_SOURCE)/LICENSE: | deploy/source.sh
	$(Q)deploy/source.sh libzstd $(ZSTD_VERSION) $(ZSTD_SOURCE)
$(ZSTD_FILES): $(ZSTD_SOURCE)/LICENSE ;
$(ZSTD_HEADER): $(ZSTD_SOURCE)/LICENSE
	$(Q)mkdir -p $(@D)
	$(Q)cp $(ZSTD_SOURCE)/lib/zstd.h $(ZSTD_SOURCE)/lib/zstd_errors.h $(@D)

zstd_native_CC := $(native_CC)
zstd_native_FLAGS := $(filter-out -W%,$(native_FLAGS)) -O2 -w -DZSTD_DISABLE_ASM
$(O)/zstd_native/flags: | $(MUSL)/lib/libc.a
$(eval $(call compile-rules-template,zstd_native))

# --- The loader -----------------------------------------------------------------------------------

LINUX_LOADER := $(O)/linux/loader.elf
LIBRARIES_loader.elf := $(call objects-of,zstd_native,$(ZSTD_FILES))
$(call native-program,$(LINUX_LOADER),linuxserver/loader/main.c)
$(call objects-of,native,linuxserver/loader/main.c): | $(ZSTD_HEADER)

# One Linux, built by gcc, for every build of the rest.
LINUX := build/linux/linux.elf
linux_sources := linuxserver/build.sh $(wildcard linuxserver/backend/* linuxserver/backend/x86/* \
  linuxserver/drivers/* linuxserver/migration/* linuxserver/config/* lib/*.[ch] lib/x86/* lib/virtio/* include/corvus/*)
$(LINUX): $(linux_sources) | $(GENERATED_HEADERS)
	$(call say,LINUX,$@)
	$(Q)linuxserver/build.sh build/linux
	$(Q)touch $@

# As a node gets it: init keeps it for a restart of Linux.
$(O)/linux/linux.elf.zst: $(LINUX)
	$(call say,ZSTD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)zstd -q -f -19 -o $@ $<

include linuxserver/programs/build.mk

ALL += $(LINUX_LOADER) $(LINUX)
MODULE_ARGUMENTS_config :=
NODE_MODULES += config=linuxserver/node.conf linux-loader=$(O)/linux/loader.stripped linux=$(O)/linux/linux.elf.zst \
  initramfs=$(O)/linux/initramfs-small.cpio.zst
