# SPDX-License-Identifier: BSD-2-Clause
#
# Builds the benchmark of virtual memory: native.c as the only program of a Linux. Behind
# tests/linux/bench/build.mk, whose compiler and kernel it uses.

VM_BENCH := $(O)/tests/bench/vm

$(VM_BENCH)/tree/init: tests/bench/vm/native.c $(LINUX_BENCH)/flags
	$(call say,LINUXCC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(linux_bench_CC) $(linux_bench_FLAGS) -static -o $@ $<
$(VM_BENCH)/native.cpio: $(VM_BENCH)/tree/init deploy/cpio.py
	$(call say,CPIO,$@)
	$(Q)deploy/cpio.py $(VM_BENCH)/tree $@

.PHONY: bench-vm
bench-vm: $(vmbench_image) $(VM_BENCH)/native.cpio $(LINUX_BENCH)/kernel/boot ## faults handled by programs, and pipes, beside Debian's own kernel
	$(Q)tests/bench/vm/compare.sh $(O)
