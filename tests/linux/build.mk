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
  -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -iquote . -Iinclude
$(call compile-rules,linuxtest)

# $(call linux-test-program,NAME,FOLDER,LINK OPTIONS)
define linux-test-program-rule
$(LINUX_TESTS)/$(2)$(1): $(call objects-of,linuxtest,tests/linux/programs/$(1).c $(linux_test_harness))
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
$(call linux-subject,pause.c,pause,-static)
$(call linux-subject,subject.c,subject-static,-static -no-pie -lm)
$(call linux-subject,subject.c,subject-static-pie,-static-pie -fPIE -lm)
$(call linux-subject,subject.c,subject-dynamic,-no-pie -lm)
$(call linux-subject,subject.c,subject-pie,-pie -fPIE -lm)

# What is copied to a node: the same without what only a debugger reads.
$(LINUX_TESTS).stripped: $(LINUX_TEST_FILES)
	$(call say,STRIP,$@)
	$(Q)rm -rf $@ && cp -r $(LINUX_TESTS) $@ && find $@ -type f -exec strip {} +

# The package tree of a node's disk: where the comparisons run on this machine.
LINUX_TESTS_TREE := $(LINUX_TESTS)-tree
$(LINUX_TESTS_TREE).made: linuxserver/initramfs/full.packages deploy/packages.sh deploy/node-files.sh
	$(call say,TREE,$(LINUX_TESTS_TREE))
	$(Q)deploy/node-files.sh full $(LINUX_TESTS_TREE) && touch $@

LINUX_SUITE_FILES := $(LINUX_TESTS).stripped $(LINUX_TESTS_TREE).made $(O)/linux/disk-full.img

.PHONY: linux-tests
linux-tests: $(LINUX_TESTS).stripped
