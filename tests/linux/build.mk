# SPDX-License-Identifier: BSD-2-Clause
#
# Builds the Linux test programs: ordinary programs of the host, each tests/linux/programs/NAME.c with
# the harness. None needs to be named here. They are static; those that are worth it once more as
# dynamic and position independent ones. The subjects are what some of them execute.

LINUX_TESTS := $(O)/linux/tests
linux_test_names := $(filter-out harness%,$(notdir $(basename $(wildcard tests/linux/programs/*.c))))
linux_test_harness := $(wildcard tests/linux/programs/harness*.c)
linux_dynamic_tests := signal vector thread tls fork futex vdso core ptrace_thread

linuxtest_CC := $(HOST_CC)
linuxtest_FLAGS := -std=gnu11 -O2 -g -D_GNU_SOURCE -pthread -fPIE -fno-strict-aliasing -Wall -Wno-missing-field-initializers \
  -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -iquote lib/linux/replace -iquote . -Iinclude \
  -Ibuild/include
$(call compile-rules,linuxtest)

# Programs that speak to ports, and what they need for that.
linux_library_memory_object := $(LINUX_PORT_LIBRARY) lib/outbox.c lib/memory_object.c \
  lib/memory_answer.c
linux_library_message := $(LINUX_PORT_LIBRARY)
linux_library_message_wait := $(LINUX_PORT_LIBRARY)
linux_library_message_hostile := $(LINUX_PORT_LIBRARY)
linux_library_memobj := $(LINUX_PORT_LIBRARY)
linux_library_memobj_wait := $(LINUX_PORT_LIBRARY)
linux_library_memobj_hostile := $(LINUX_PORT_LIBRARY)
linux_library_segments := $(LINUX_PORT_LIBRARY)
linux_library_migration_refusals := linuxserver/migration/package.c linuxserver/migration/package_check.c

# $(call linux-test-program,NAME,FOLDER,LINK OPTIONS)
define linux-test-program-rule
$(LINUX_TESTS)/$(2)$(1): $(call objects-of,linuxtest,tests/linux/programs/$(1).c $(linux_test_harness) \
  $(linux_library_$(1)))
	$$(call say,LINK,$$@)
	$(Q)mkdir -p $$(@D)
	$(Q)$(HOST_CC) -pthread $(3) -o $$@ $$^
LINUX_TEST_FILES += $(LINUX_TESTS)/$(2)$(1)
endef
linux-test-program = $(eval $(call linux-test-program-rule,$(1),$(2),$(3)))

LINUX_TEST_FILES :=
$(foreach test,$(linux_test_names),$(call linux-test-program,$(test),,-static))
$(foreach test,$(filter $(linux_test_names),$(linux_dynamic_tests)),$(call \
  linux-test-program,$(test),dynamic/,-pie))

# One subject linked in each way that a program can be.
# $(call linux-subject,SOURCE,NAME,OPTIONS)
define linux-subject-rule
$(LINUX_TESTS)/$(2): tests/linux/subjects/$(1) tests/linux/build.mk
	$$(call say,HOSTCC,$$@)
	$(Q)mkdir -p $$(@D)
	$(Q)$(HOST_CC) -std=gnu11 -O2 -g -D_GNU_SOURCE -Wall -Wextra -Werror -o $$@ $$< $(3)
LINUX_TEST_FILES += $(LINUX_TESTS)/$(2)
endef
linux-subject = $(eval $(call linux-subject-rule,$(1),$(2),$(3)))

$(call linux-subject,fresh-state.S,fresh-state,-nostdlib -static)
$(call linux-subject,flood.c,flood,-static)
$(call linux-subject,ethernet-counters.c,ethernet-counters,-static)
$(call linux-subject,pause.c,pause,-static)
$(call linux-subject,segment-peer.c,segment-peer,-static)
$(call linux-subject,reference.c,reference,-static -pthread -iquote . -Iinclude -Ibuild/include)
$(call linux-subject,subject.c,subject-static,-static -no-pie -lm)
$(call linux-subject,subject.c,subject-static-pie,-static-pie -fPIE -lm)
$(call linux-subject,subject.c,subject-dynamic,-no-pie -lm)
$(call linux-subject,subject.c,subject-pie,-pie -fPIE -lm)

$(call linux-subject,message-peer.c,message-peer,-static -pthread -iquote lib/linux/replace \
  -iquote . -Iinclude -Ibuild/include $(LINUX_PORT_LIBRARY))
$(LINUX_TESTS)/message-peer: $(LINUX_PORT_LIBRARY) include/corvus/linux.h | $(GENERATED_HEADERS)

# What is copied to a node: the same without what only a debugger reads.
$(LINUX_TESTS).stripped: $(LINUX_TEST_FILES)
	$(call say,STRIP,$@)
	$(Q)rm -rf $@ && cp -r $(LINUX_TESTS) $@ && find $@ -type f -exec strip {} +

# The package tree of a node's disk: where the comparisons run on this machine.
LINUX_TESTS_TREE := $(LINUX_TESTS)-tree
$(LINUX_TESTS_TREE).made: linuxserver/initramfs/full.packages deploy/packages.sh deploy/node-files.sh
	$(call say,TREE,$(LINUX_TESTS_TREE))
	$(Q)deploy/node-files.sh full $(LINUX_TESTS_TREE) && touch $@

# Linux's Ethernet port with a mirror in the place of switch and card.
ETHERNET_MIRROR := $(O)/tests/linux/ethernet-mirror.elf
$(call native-program,$(ETHERNET_MIRROR),$(wildcard tests/linux/ethernet/*.c) netipc/linux_port.c)
ethernet_modules := $(filter-out config=%,$(NODE_MODULES)) \
  config=tests/linux/ethernet/node.conf ethernet-mirror=$(ETHERNET_MIRROR)
$(call module-list,$(O)/tests/linux/ethernet.modules,$(ethernet_modules))
ETHERNET_TEST_FILES := $(ETHERNET_MIRROR) $(O)/tests/linux/ethernet.modules

LINUX_SUITE_FILES := $(LINUX_TESTS).stripped $(LINUX_TESTS_TREE).made $(O)/linux/disk-full.img \
  $(ETHERNET_TEST_FILES)

.PHONY: linux-tests
linux-tests: $(LINUX_TESTS).stripped
