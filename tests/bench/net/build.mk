# SPDX-License-Identifier: BSD-2-Clause
#
# Builds the network benchmark: the program for Linux, Debian's kernel with a card's drivers, and the
# initramfs of both Linuxes. Behind tests/linux/bench/build.mk, whose compiler it uses.

NET_BENCH := $(O)/tests/bench/net

$(NET_BENCH)/netbench-tcp: tests/bench/net/tcp.c tests/linux/bench/mark.h $(LINUX_BENCH)/flags
	$(call say,LINUXCC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(linux_bench_CC) $(linux_bench_FLAGS) -iquote . -static -o $@ $<

net_bench_drivers := tests/bench/net/guest/etc/bench.drivers
$(NET_BENCH)/kernel.made: $(net_bench_drivers) tests/linux/bench/kernel.sh
	$(Q)mkdir -p $(@D)
	$(Q)tests/linux/bench/kernel.sh $(NET_BENCH)/kernel $$(sed -n \
	  's,^[a-z].*,/lib/modules/*/kernel/&.ko,p' $(net_bench_drivers))
	$(Q)touch $@

$(NET_BENCH)/initramfs.cpio: $(NET_BENCH)/netbench-tcp $(NET_BENCH)/kernel.made \
  $(LINUX_BENCH_INITRAMFS) tests/bench/net/guest/etc/early/netbench deploy/cpio.py
	$(call say,CPIO,$@)
	$(Q)rm -rf $(NET_BENCH)/tree
	$(Q)mkdir -p $(NET_BENCH)/tree/usr/bin $(NET_BENCH)/tree/usr/lib
	$(Q)cp -r tests/bench/net/guest/etc $(NET_BENCH)/tree/
	$(Q)cp -r $(NET_BENCH)/kernel/usr/lib/modules $(NET_BENCH)/tree/usr/lib/
	$(Q)install -m 755 $< $(NET_BENCH)/tree/usr/bin/
	$(Q)deploy/cpio.py $(NET_BENCH)/tree $(NET_BENCH)/tree.cpio
	$(Q)cat $(LINUX_BENCH_INITRAMFS) $(NET_BENCH)/tree.cpio >$@

NET_BENCH_FILES := $(WIRE) $(netbench_image) $(NET_BENCH)/initramfs.cpio \
  $(LINUX_BENCH)/count.so $(CORE_BENCH)

.PHONY: bench-net
bench-net: all $(NET_BENCH_FILES) ## messages between nodes beside TCP between native guests (ROUNDS=5)
	$(Q)tests/bench/net/compare.py --build $(O) --count
	$(Q)tests/bench/net/compare.py --build $(O) --rounds $(or $(ROUNDS),5)
