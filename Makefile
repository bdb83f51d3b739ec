# SPDX-License-Identifier: BSD-2-Clause
#
# Builds, tests and checks Corvus. One make over the whole tree: each part has a fragment of its own,
# PART/build.mk, which uses the variables and functions defined here. All that is made goes under
# build/ (build/clang/ with COMPILER=clang). `make help` lists the targets.

COMPILER ?= gcc
OPTIMIZE ?= -O2

# Parts, in the order in which their fragments need each other.
PARTS := lib kernel init netipc dsm pagers linuxserver deploy tests

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: force
# The single-letter options, read before anything is added to them.
short_options := $(firstword -$(MAKEFLAGS))
MAKEFLAGS += --no-builtin-rules
# As many at once as there are processors, unless -j says otherwise; several goals one by one, for one of
# them may be a bench.
MAKEFLAGS += $(if $(word 2,$(MAKECMDGOALS)),,--jobs=$(shell nproc))
# Old values of the environment must not leak into the outputs.
CFLAGS :=
LDFLAGS :=

ifeq ($(COMPILER),gcc)
O := build
else ifeq ($(COMPILER),clang)
O := build/clang
else
$(error COMPILER is gcc or clang, not '$(COMPILER)')
endif
CC := $(COMPILER)
LD := ld
AR := ar
NM := nm
OBJCOPY := objcopy
HOST_CC := $(COMPILER)
SHELL := /bin/bash

# --- Output -----------------------------------------------------------------------------------
# One line a step; V=1 shows the commands, -s shows neither (make -s bench-ipc prints a table only).

ifeq ($(V),1)
Q :=
say =
else
Q := @
ifeq ($(findstring s,$(short_options)),)
say = @printf '  %-8s%s\n' '$(1)' '$(2)'
else
say =
endif
endif

# --- Dependencies -----------------------------------------------------------------------------
# An included makefile is remade before anything else is looked at, so packages are there before the
# first command needs them. The stamp is newer than the list, so the second time costs nothing.

unneeding_goals := help clean
goals := $(or $(MAKECMDGOALS),all)
DEPENDENCIES ?= yes
ifneq ($(filter-out $(unneeding_goals),$(goals)),)
ifeq ($(DEPENDENCIES)$(findstring n,$(short_options)),yes)
include build/dependencies.mk
endif
endif

build/dependencies.mk: deploy/dependencies.sh
	@mkdir -p $(@D)
	@deploy/dependencies.sh >&2
	@echo '# Made when all packages of deploy/dependencies.sh were installed.' >$@

# --- Functions for the fragments --------------------------------------------------------------

# $(call write-if-changed,FILE,LINES): a rule for a FILE that holds LINES (words joined by + are one
# line) and is touched only when they change. Depending on it means depending on those values.
define write-if-changed-rule
$(1): force
	@mkdir -p $$(@D)
	@printf '%s\n' $(foreach line,$(2),'$(subst +, ,$(line))') | cmp -s - $$@ || \
	  printf '%s\n' $(foreach line,$(2),'$(subst +, ,$(line))') >$$@
endef
write-if-changed = $(eval $(call write-if-changed-rule,$(1),$(2)))

# $(call objects-of,GROUP,SOURCES): the object files of sources that are compiled as GROUP.
objects-of = $(patsubst %,$(O)/$(1)/objects/%.o,$(2))

# $(call compile-rules,GROUP): rules that compile .c and .S files with $(GROUP_CC) and
# $(GROUP_FLAGS), both to be set before the call. A change of either compiles all of them again. One
# object can be given flags of its own: `OBJECT: GROUP_FLAGS += …`.
define compile-rules-template
$(call write-if-changed-rule,$(O)/$(1)/flags,$($(1)_CC) $($(1)_FLAGS))
$(O)/$(1)/objects/%.c.o: %.c $(O)/$(1)/flags | $(GENERATED_HEADERS)
	$$(call say,CC,$$<)
	$(Q)mkdir -p $$(@D)
	$(Q)$($(1)_CC) $$($(1)_FLAGS) -MMD -MP -c -o $$@ $$<
$(O)/$(1)/objects/%.S.o: %.S $(O)/$(1)/flags
	$$(call say,AS,$$<)
	$(Q)mkdir -p $$(@D)
	$(Q)$($(1)_CC) $$($(1)_FLAGS) -MMD -MP -c -o $$@ $$<
endef
compile-rules = $(eval $(call compile-rules-template,$(1)))

# $(call native-program,FILE,SOURCES): a rule for a native task FILE. lib/build.mk sets what it is
# compiled and linked with: native_CC, native_FLAGS, NATIVE_LINK (the linker and its options),
# NATIVE_START (objects before the program's) and NATIVE_LIBRARIES. LIBRARIES_<file name>, if set,
# are further libraries of that program.
define native-program-rule
$(1): $(call objects-of,native,$(2)) $(LIBRARIES_$(notdir $(1))) $(NATIVE_START) $(NATIVE_LIBRARIES)
	$$(call say,LINK,$$@)
	$(Q)mkdir -p $$(@D)
	$(Q)$(NATIVE_LINK) -o $$@ $(NATIVE_START) $(call objects-of,native,$(2)) \
	  $(LIBRARIES_$(notdir $(1))) $(NATIVE_LIBRARIES)
endef
native-program = $(eval $(call native-program-rule,$(1),$(2)))

# A node keeps its programs in memory, to start them again: without what only debuggers want.
$(O)/%.stripped: $(O)/%.elf
	$(call say,STRIP,$@)
	$(Q)objcopy -S $< $@

# $(call module-list,FILE,NAME=PATH…): a rule for a module list (see deploy/boot.sh) with one line
# for each module; MODULE_ARGUMENTS_NAME, if set, are further arguments of that module.
module_name = $(firstword $(subst =, ,$(1)))
module_path = $(lastword $(subst =, ,$(1)))
module_line = $(subst $(space),+,$(strip $(call module_path,$(1)) \
  name=$(call module_name,$(1)) $(MODULE_ARGUMENTS_$(call module_name,$(1)))))
empty :=
space := $(empty) $(empty)
module-list = $(call write-if-changed,$(1),$(foreach module,$(2),$(call module_line,$(module))))
module-files = $(foreach module,$(1),$(call module_path,$(module)))

# --- Parts ------------------------------------------------------------------------------------
# Fragments add to these.

# What `make` alone builds.
ALL :=
# Headers that are made, under build/include; there before anything is compiled.
GENERATED_HEADERS :=
# What `make docs` builds.
DOCS :=
# Boot modules of a node, as NAME=PATH.
NODE_MODULES :=
# The kernel command line of the image.
NODE_COMMAND_LINE := node=1

include $(wildcard $(PARTS:%=%/build.mk))

NODE_FILES := $(KERNEL) $(call module-files,$(NODE_MODULES))
$(call module-list,$(O)/node.modules,$(NODE_MODULES))
ALL += $(NODE_FILES) $(O)/node.modules

$(O)/corvus.iso: $(NODE_FILES) $(O)/node.modules deploy/iso.sh deploy/grub.cfg
	$(call say,ISO,$@)
	$(Q)deploy/iso.sh $@ $(KERNEL) $(O)/node.modules '$(NODE_COMMAND_LINE)'

# Objects write what they included beside themselves.
-include $(shell find $(O) -path '*/objects/*' -name '*.d' 2>/dev/null)

# --- Targets ----------------------------------------------------------------------------------

.PHONY: all
all: $(ALL) ## build all that exists, installing missing packages first

.PHONY: help
help: ## list the targets
	@echo 'make [TARGET] [COMPILER=gcc|clang] [OPTIMIZE=-O2] [V=1] [DEPENDENCIES=no]'
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' $(filter Makefile %.mk,$(MAKEFILE_LIST)) | \
	  while IFS='|' read -r target text; do printf '  %-20s%s\n' "$$target" "$$text"; done

.PHONY: iso
iso: $(O)/corvus.iso ## a bootable image for BIOS and UEFI, disc and USB stick: build/corvus.iso

# The machines of a real boot LAN: their cards' addresses, one a line (without: those of eight nodes in
# QEMU), and the cluster's name. docs/netboot.md tells what to do with the folder.
NODES ?= -
CLUSTER ?= default

.PHONY: netboot
netboot: $(NODE_FILES) $(O)/node.modules ## a folder for a boot server: build/netboot (NODES=FILE CLUSTER=default)
	$(call say,NETBOOT,$(O)/netboot)
	$(Q)umask 077 && deploy/netboot/nodes.sh '$(NODES)' '$(CLUSTER)' $(O)/netboot.key >$(O)/netboot.nodes
	$(Q)deploy/netboot/directory.sh $(O)/netboot $(KERNEL) $(O)/node.modules $(O)/netboot.nodes

.PHONY: docs
docs: $(DOCS) ## the pages of docs/ that are made from sources

.PHONY: clean
clean: ## remove build/ (running clusters first: qemu-cluster.sh down)
	@if compgen -G 'build/cluster/*/*.pid' >/dev/null; then \
	  echo 'clean: a cluster may be running; end it with ./qemu-cluster.sh down' >&2; exit 1; fi
	$(Q)rm -rf build
