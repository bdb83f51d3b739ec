# SPDX-License-Identifier: BSD-2-Clause
#
# Builds the Linux benchmark and its profiler; the targets are in tests/build.mk. All of it runs under
# Linux, so it is built with the host's compiler and C library, whatever COMPILER says.

LINUX_BENCH := $(O)/tests/linux/bench
# What every node's Linux starts from; the native machine gets the same.
LINUX_BENCH_INITRAMFS := $(O)/linux/initramfs-small.cpio

linux_bench_CC := gcc
linux_bench_FLAGS := -std=gnu11 -O2 -g -D_GNU_SOURCE -Wall -Wextra -Werror \
  -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
$(call write-if-changed,$(LINUX_BENCH)/flags,$(linux_bench_CC) $(linux_bench_FLAGS))

comma := ,

# $(call linux-bench-program,NAME,SOURCES,OPTIONS)
define linux-bench-program-rule
$(LINUX_BENCH)/$(1): $(2) $(wildcard tests/linux/bench/*.h tests/linux/bench/profile/*.h) $(LINUX_BENCH)/flags
	$$(call say,LINUXCC,$$@)
	$(Q)mkdir -p $$(@D)
	$(Q)$(linux_bench_CC) $(linux_bench_FLAGS) $(3) -o $$@ $(2)
endef
linux-bench-program = $(eval $(call linux-bench-program-rule,$(1),$(2),$(3)))

# Away from where other programs are linked, so that the profiler can tell them apart.
$(call linux-bench-program,bench,$(wildcard tests/linux/bench/*.c),-static \
  -Wl$(comma)-Ttext-segment=0x10000000)
$(call linux-bench-program,send-symbols,tests/linux/bench/guest/send-symbols.c,-static -s)
$(call linux-bench-program,mark,tests/linux/bench/guest/mark.c,-static -nostdlib -s \
  -Wno-missing-prototypes)
$(call linux-bench-program,count.so,tests/linux/bench/profile/count.c,-fPIC -shared \
  -fvisibility=hidden)

$(LINUX_BENCH)/program.c: tests/linux/bench/generate.py
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)tests/linux/bench/generate.py 1 >$@

$(LINUX_BENCH)/tools/usr/bin/tcc: tests/linux/bench/tools.packages deploy/packages.sh
	$(Q)deploy/packages.sh $< $(LINUX_BENCH)/tools
	$(Q)touch $@

$(LINUX_BENCH)/kernel/boot: tests/linux/bench/kernel.sh deploy/packages.sh
	$(Q)tests/linux/bench/kernel.sh $(LINUX_BENCH)/kernel
	$(Q)touch $@

# What runs on the host, and what else machines need; a node's own files are in `all`.
LINUX_BENCH_HOST_FILES := $(addprefix $(LINUX_BENCH)/,bench mark program.c tools/usr/bin/tcc)
LINUX_BENCH_FILES := $(LINUX_BENCH_HOST_FILES) $(addprefix $(LINUX_BENCH)/,send-symbols \
  count.so kernel/boot) $(LINUX_BENCH_INITRAMFS)
