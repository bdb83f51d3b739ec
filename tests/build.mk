# SPDX-License-Identifier: BSD-2-Clause
#
# Builds and runs the tests; tests/README.md says what lies where. A test is a file tests/unit/test_X.c
# (a program of the host), or a source of the test tasks in tests/kernel/. None needs to be named here.

# --- Unit tests: programs of the host, under sanitizers -----------------------------------------
# Each is one file; a line `// sources: kernel/right.c …` in it names what it tests, compiled with it.

UNIT_TESTS := $(patsubst tests/unit/%.c,$(O)/tests/unit/%,$(wildcard tests/unit/test_*.c))
UNIT_FLAGS := -std=gnu11 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
  -fno-omit-frame-pointer -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
  -iquote . -iquote kernel -iquote tests/unit -Iinclude -Ibuild/include

# What those of distributed shared memory name: the core of pages, the directory, locks.
DSM_LOCKS := $(wildcard dsm/core/locks*.c)
DSM_DIRECTORY := $(wildcard dsm/core/directory*.c)
DSM_PAGES := $(filter-out $(DSM_LOCKS) $(DSM_DIRECTORY),$(wildcard dsm/core/*.c)) \
  netipc/core/table.c

# $(call sources-in,FILE): the sources that a test's `sources:` lines name.
sources-in = $(shell sed -n 's@^[/* ]*sources: *\([^*]*\).*@\1@p' $(1))

define unit-test-rule
$(O)/tests/unit/$(1): tests/unit/$(1).c $(call sources-in,tests/unit/$(1).c) $(O)/tests/unit/flags | $(GENERATED_HEADERS)
	$$(call say,HOSTCC,$$<)
	$(Q)mkdir -p $$(@D)/objects
	$(Q)$(HOST_CC) $$(UNIT_FLAGS) -MMD -MP -MF $$(@D)/objects/$(1).d -o $$@ $$< $(call sources-in,tests/unit/$(1).c) -lm
endef
$(call write-if-changed,$(O)/tests/unit/flags,$(HOST_CC) $(UNIT_FLAGS))
$(foreach test,$(notdir $(UNIT_TESTS)),$(eval $(call unit-test-rule,$(test))))

# As a Linux program, whose system calls the test makes; its threads wake when they may.
$(O)/tests/unit/test_outbox: UNIT_FLAGS := -iquote lib/linux/replace $(UNIT_FLAGS) -Wl,--wrap=pthread_cond_wait

# Those that see lwIP's headers.
$(O)/tests/unit/test_transport $(O)/tests/unit/test_transport_strangers: UNIT_FLAGS += $(LWIP_HEADERS)

# --- The simulator of the network server's protocol: under sanitizers, and fast -----------------

NETIPC_CORE := $(filter-out netipc/core/beacon.c,$(wildcard netipc/core/*.c))
NETIPC_WORLD := $(wildcard tests/netipc/world*.c) $(NETIPC_CORE)
SIM_SOURCES := $(wildcard tests/sim/*.c) $(NETIPC_WORLD)
SIMULATORS := $(O)/tests/sim/netipc $(O)/tests/sim/netipc-fast
sim_wrap := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc

sim_fast_flags := $(filter-out -O1 -fsanitize=% -fno-sanitize-recover=%,$(UNIT_FLAGS)) -O2

# $(call simulator,PROGRAM,FLAGS,LIBRARIES)
define simulator
$(1): $(SIM_SOURCES) $(wildcard tests/sim/*.h tests/netipc/*.h netipc/core/*.h) $(O)/tests/unit/flags $(3) | $(GENERATED_HEADERS)
	$$(call say,HOSTCC,$$@)
	$(Q)mkdir -p $$(@D)
	$(Q)$(HOST_CC) $(2) $(sim_wrap) -o $$@ $(SIM_SOURCES) $(3)
endef
$(eval $(call simulator,$(O)/tests/sim/netipc,$(UNIT_FLAGS),$(CRYPTO_UNIT)))
$(eval $(call simulator,$(O)/tests/sim/netipc-fast,$(sim_fast_flags),$(CRYPTO_HOST)))

# --- The simulator of distributed shared memory --------------------------------------------------

DSM_WORLD := $(addprefix tests/dsm/,world.c cache.c check.c) $(DSM_PAGES)
SIMULATORS += $(O)/tests/dsm/sim $(O)/tests/dsm/sim-fast $(O)/tests/dsm/litmus/litmus

# $(call dsm-simulator,PROGRAM,SOURCES,FLAGS)
define dsm-simulator
$(1): $(2) $(DSM_WORLD) $(wildcard tests/dsm/*.h tests/dsm/litmus/*.h dsm/core/*.h) $(O)/tests/unit/flags | $(GENERATED_HEADERS)
	$$(call say,HOSTCC,$$@)
	$(Q)mkdir -p $$(@D)
	$(Q)$(HOST_CC) $(3) -o $$@ $(2) $(DSM_WORLD)
endef
$(eval $(call dsm-simulator,$(O)/tests/dsm/sim,tests/dsm/sim.c,$(UNIT_FLAGS)))
$(eval $(call dsm-simulator,$(O)/tests/dsm/sim-fast,tests/dsm/sim.c,$(sim_fast_flags)))
$(eval $(call dsm-simulator,$(O)/tests/dsm/litmus/litmus,$(wildcard tests/dsm/litmus/*.c),$(sim_fast_flags)))

CORE_BENCH := $(O)/tests/netipc/core_bench
$(CORE_BENCH): tests/netipc/core_bench.c $(NETIPC_WORLD) $(wildcard tests/netipc/*.h netipc/core/*.h) \
  $(CRYPTO_HOST) | $(GENERATED_HEADERS)
	$(call say,HOSTCC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOST_CC) $(sim_fast_flags) -o $@ $< $(NETIPC_WORLD) $(CRYPTO_HOST)

# With the simulators it is built for `make test`.
SIMULATORS += $(CORE_BENCH)

.PHONY: bench-core
bench-core: $(CORE_BENCH) ## what an RPC costs in the protocol core, with few and many ports and peers
	$(Q)$(CORE_BENCH)

# --- Fuzz targets of parsers of outside bytes: libFuzzer, so always clang -----------------------

FUZZERS := $(patsubst tests/unit/%.c,$(O)/tests/unit/%,$(wildcard tests/unit/fuzz_*.c))
FUZZ_SECONDS ?= 60

define fuzzer-rule
$(O)/tests/unit/$(1): tests/unit/$(1).c $(call sources-in,tests/unit/$(1).c) $(O)/tests/unit/flags | $(GENERATED_HEADERS)
	$$(call say,HOSTCC,$$<)
	$(Q)mkdir -p $$(@D)
	$(Q)clang $(UNIT_FLAGS) -fsanitize=fuzzer -o $$@ $$< $(call sources-in,tests/unit/$(1).c) -lm
endef
$(foreach fuzzer,$(notdir $(FUZZERS)),$(eval $(call fuzzer-rule,$(fuzzer))))

.PHONY: fuzz
fuzz: $(FUZZERS) ## fuzz the parsers on the host (FUZZ_SECONDS=60 each)
	$(Q)set -e; for fuzzer in $(FUZZERS); do \
	  mkdir -p $$fuzzer.corpus; \
	  $$fuzzer -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=$$fuzzer. $$fuzzer.corpus; \
	done

# --- Kernel tests: native tasks in QEMU ---------------------------------------------------------
# The sources in tests/kernel/ are one task, kernel-tests; those in a folder tests/kernel/NAME/, one of
# which has main(), are another task, kernel-NAME. All run in the ordinary test image, but for the
# benchmark and the tests of init, which have their own. SOURCES_TASK are further sources of a task.

kernel_test_folders := $(sort $(patsubst tests/kernel/%/,%,$(dir $(shell \
  grep -l '^int main\>' /dev/null $(wildcard tests/kernel/*/*.c)))))
KERNEL_TEST_TASKS := $(if $(wildcard tests/kernel/*.c),kernel-tests) \
  $(addprefix kernel-,$(kernel_test_folders))
kernel-test-sources = $(wildcard tests/kernel/$(if \
  $(filter kernel-tests,$(1)),,$(patsubst kernel-%,%/,$(1)))*.c) $(SOURCES_$(1))
kernel-test-program = $(O)/tests/kernel/$(1).elf
# MODULES_<image> are further modules of it.
kernel-test-modules = $(filter init=%,$(NODE_MODULES)) $(MODULES_$(1)) \
  $(addprefix config=,$(wildcard tests/kernel/$(1).conf)) \
  $(foreach task,$(2),$(task)=$(call kernel-test-program,$(task)))

SOURCES_kernel-vmbench := tests/kernel/bench/measure.c tests/kernel/bench/partner.c
SOURCES_kernel-init := tests/kernel/guest/guest.c
SOURCES_kernel-exchange := tests/kernel/guest/guest.c
LIBRARIES_kernel-net.elf := $(NETIPC_LIBRARIES)
$(foreach task,$(KERNEL_TEST_TASKS),$(call native-program,$(call \
  kernel-test-program,$(task)),$(call kernel-test-sources,$(task))))

# $(call kernel-image,NAME,TASKS): the module list of an image, with the configuration of init that is
# named like it, and NAME_image, all files that it needs.
define kernel-image-template
$(1)_image_modules := $(call kernel-test-modules,$(1),$(filter $(2),$(KERNEL_TEST_TASKS)))
$$(call module-list,$(O)/tests/kernel/$(1).modules,$$($(1)_image_modules))
$(1)_image := $(KERNEL) $(O)/tests/kernel/$(1).modules $$(call module-files,$$($(1)_image_modules))
endef
kernel-image = $(eval $(call kernel-image-template,$(1),$(2)))

$(call kernel-image,tests,$(filter-out kernel-bench kernel-init kernel-secure \
  kernel-virtio kernel-net kernel-exchange kernel-netbench kernel-pagers kernel-vmbench,$(KERNEL_TEST_TASKS)))
$(call kernel-image,latency,kernel-tests)
$(call kernel-image,errors,kernel-tests)
$(call kernel-image,init,kernel-init)
$(call kernel-image,console,kernel-init)
$(call kernel-image,virtio,kernel-virtio)
$(call kernel-image,secure,kernel-secure)
$(call kernel-image,net,kernel-net)
MODULES_exchange := netipc=$(NETIPC)
$(call kernel-image,exchange,kernel-exchange)
MODULES_pagers := vm=$(VM_SERVER) default-pager=$(DEFAULT_PAGER) example-pager=$(EXAMPLE_PAGER) \
  file-pager=$(FILE_PAGER) files=$(O)/tests/kernel/files.tar
$(O)/tests/kernel/files.tar: tests/build.mk
	$(call say,TAR,$@)
	$(Q)mkdir -p $(O)/tests/kernel/files
	$(Q)seq 1 16000 >$(O)/tests/kernel/files/numbers
	$(Q)tar -C $(O)/tests/kernel/files --format=ustar -cf $@ numbers
$(call kernel-image,pagers,kernel-pagers)
MODULES_netbench := netipc=$(NETIPC)
# Apart from netipc, so that the profiler can tell them apart.
LINK_BASE_kernel-netbench.elf := 0x10000000
$(call kernel-image,netbench,kernel-netbench)
$(call kernel-image,bench,kernel-bench)
MODULES_vmbench := vm=$(VM_SERVER) default-pager=$(DEFAULT_PAGER)
$(call kernel-image,vmbench,kernel-vmbench)
$(call kernel-image,fuzz,kernel-fuzz)
KERNEL_IMAGES := $(tests_image) $(latency_image) $(errors_image) $(init_image) $(console_image) \
  $(virtio_image) $(secure_image) $(net_image) $(exchange_image) $(pagers_image)

# A first task of our own, without a C library, in the place of init.
first_objects := $(patsubst tests/%.c,$(O)/tests/%.o,$(wildcard tests/kernel/first/*.c))

$(O)/tests/kernel/first/%.o: tests/kernel/first/%.c tests/kernel/first/first.h \
  $(wildcard include/corvus/*.h lib/*.h lib/x86/*.h) $(GENERATED_HEADERS)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -g -ffreestanding -fPIE -fno-stack-protector -fcf-protection=none \
	  -Wall -Wextra -Werror -iquote . -Iinclude -Ibuild/include -c -o $@ $<
$(O)/tests/kernel/first.elf: $(first_objects)
	$(call say,LINK,$@)
	$(Q)$(LD) -static -nostdlib -Ttext-segment=0x10000000000 --build-id=none -z noexecstack -o $@ $^
$(call module-list,$(O)/tests/kernel/first.modules,init=$(O)/tests/kernel/first.elf)
KERNEL_IMAGES += $(O)/tests/kernel/first.elf $(O)/tests/kernel/first.modules

SEED ?= 1
CALLS ?= 1000000

.PHONY: bench-ipc
bench-ipc: $(bench_image) ## the table of instruction counts of the IPC paths
	$(Q)tests/kernel/bench.sh $(O)

.PHONY: bench-secure
bench-secure: $(SECURE_BENCH) $(secure_image) ## what sessions cost: nanoseconds on the host, instructions on a task
	$(Q)$(SECURE_BENCH)
	$(Q)CORVUS_BUILD=$(O) tests/kernel/secure.sh | sed -n '/^# [a-z_0-9]* [0-9]/s/^# //p'

include tests/linux/bench/build.mk
include tests/bench/net/build.mk
include tests/bench/vm/build.mk

.PHONY: bench-linux
bench-linux: all $(LINUX_BENCH_FILES) ## the same program under Debian's kernel and on a node (ROWS='getpid stat')
	$(Q)tests/linux/bench/compare.sh $(O) $(LINUX_BENCH_INITRAMFS) $(ROWS)

.PHONY: profile
profile: all $(LINUX_BENCH_FILES) ## instructions by function of ROWS='getpid' on SIDE=node|native
	$(Q)tests/linux/bench/profile/profile.sh $(O) $(or $(SIDE),node) $(LINUX_BENCH_INITRAMFS) $(or \
	  $(ROWS),getpid)

.PHONY: fuzz-kernel
fuzz-kernel: $(fuzz_image) ## random calls against the kernel (SEED=1 CALLS=1000000)
	$(Q)tests/kernel/run.sh --build $(O) --image fuzz --append 'seed=$(SEED) calls=$(CALLS)' \
	  --timeout 3600

# --- Linux programs: what a node runs ------------------------------------------------------------

include tests/linux/build.mk
include tests/cluster/build.mk
include tests/bench/migrate/build.mk
include tests/dsm/build.mk

.PHONY: bench-dsm
bench-dsm: all $(CLUSTER_DSM) ## memory and locks shared by nodes, in null RPCs between them
	$(Q)tests/bench/dsm/bench.sh $(O)

.PHONY: bench-dsm-speedup
bench-dsm-speedup: all experiments ## programs with shared memory on two nodes beside one
	$(Q)tests/bench/dsm/speedup.sh $(O)

.PHONY: bench-dsm-transfers
bench-dsm-transfers: all experiments ## pages that programs with shared memory move, beside the literature's
	$(Q)tests/bench/dsm/transfers.sh $(O)

# --- Running ------------------------------------------------------------------------------------

# Suites are what tests/run.sh knows. The same kernel and tests as clang builds them are the suite
# clang; they share what is generated, so they are built behind all else.

TEST_FILES := $(UNIT_TESTS) $(EXPERIMENTS) $(SIMULATORS) $(WIRE) $(KERNEL_IMAGES) $(LINUX_PROGRAMS)

.PHONY: kernel-images
kernel-images: $(KERNEL_IMAGES)

.PHONY: clang-images
clang-images: | all $(TEST_FILES)
	$(Q)$(MAKE) --no-print-directory COMPILER=clang all kernel-images

.PHONY: test
test: all iso $(TEST_FILES) $(LINUX_SUITE_FILES) $(CLUSTER_PORTS) $(CLUSTER_DSM) $(CLUSTER_VM) $(CLUSTER_WANDER) $(LINUX_BENCH_HOST_FILES) $(NET_BENCH_FILES) $(fuzz_image) clang-images ## every test, one hour at most
	$(Q)tests/run.sh $(O) unit dsm sim agent wire bench kernel exchange fuzz clang boot cluster thorough linux lint

.PHONY: test-quick
test-quick: $(TEST_FILES) ## unit tests and the kernel's, five minutes at most
	$(Q)tests/run.sh $(O) unit dsm agent wire kernel

.PHONY: test-long
test-long: all iso $(TEST_FILES) $(LINUX_SUITE_FILES) $(CLUSTER_PORTS) $(CLUSTER_DSM) $(CLUSTER_VM) $(CLUSTER_WANDER) $(LINUX_BENCH_HOST_FILES) $(NET_BENCH_FILES) clang-images $(fuzz_image) ## every test, then long runs with several seeds
	$(Q)tests/run.sh $(O) unit dsm sim agent wire bench kernel exchange fuzz clang boot cluster thorough linux lint long

# --- Style --------------------------------------------------------------------------------------
# clang-tidy reads a file with the flags it is compiled with, but needs the headers of its own
# compiler in place of gcc's.

tidy_headers := $(shell clang -print-resource-dir 2>/dev/null)/include
export LINT_FLAGS_KERNEL := $(kernel_FLAGS)
export LINT_FLAGS_NATIVE := $(subst $(strip $(COMPILER_HEADERS)),$(tidy_headers),$(native_FLAGS))
export LINT_FLAGS_PROGRAMS := $(LINUX_PROGRAM_FLAGS) -nostdinc -isystem $(tidy_headers) \
  -isystem /usr/include/x86_64-linux-musl
export LINT_FLAGS_UNIT := $(UNIT_FLAGS)

.PHONY: lint
lint: $(GENERATED_HEADERS) $(filter %/libc.a,$(ALL)) $(LWIP_SOURCE)/CHANGELOG ## layout, static analysis, shell scripts, rules of the house
	$(Q)tests/lint.sh

.PHONY: format
format: ## lay out all C files as .clang-format says
	$(Q)git ls-files --cached --others --exclude-standard '*.c' '*.h' | xargs clang-format -i
