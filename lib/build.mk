# SPDX-License-Identifier: BSD-2-Clause
#
# Builds what native tasks are made with: headers generated from the protocol descriptions, musl,
# libcorvus.a; and sets what the native-program function of the Makefile needs. A program named in
# LINK_BASE_<file name> is linked at that address in place of the usual one.

# --- From protocol descriptions (include/corvus/*.def) ------------------------------------------
# services.def gives corvus/services.h, corvus/stubs.h and corvus/dispatch.h; any other NAME.def
# gives corvus/NAME_services.h, corvus/NAME_stubs.h and corvus/NAME_dispatch.h.

PROTOCOLS := services $(filter-out services,$(patsubst include/corvus/%.def,%,$(sort \
  $(wildcard include/corvus/*.def))))
protocol_prefix = $(if $(filter services,$(1)),,$(1)_)
protocol_headers = $(patsubst %,build/include/corvus/$(call protocol_prefix,$(1))%.h, \
  services stubs dispatch)
generator_sources := $(wildcard include/corvus/generate*.c)

# $(1) protocol, $(2) mode of the generator, $(3) kind of header
define protocol-header-rule
build/include/corvus/$(call protocol_prefix,$(1))$(3).h: build/generate/$(1)
	$$(call say,GEN,$$@)
	$(Q)mkdir -p $$(@D)
	$(Q)$$< $(2) $(call protocol_prefix,$(1))services.h >$$@
endef
define protocol-rules
build/generate/$(1): $(generator_sources) include/corvus/generate.h include/corvus/$(1).def \
  include/corvus/error.h include/corvus/trace.h include/corvus/types.h
	$$(call say,HOSTCC,$$@)
	$(Q)mkdir -p $$(@D)
	$(Q)gcc -std=gnu11 -O1 -Wall -Wextra -Werror -Iinclude \
	  -DDEFINITIONS='<corvus/$(1).def>' -o $$@ $(generator_sources)
$(call protocol-header-rule,$(1),views,services)
$(call protocol-header-rule,$(1),stubs,stubs)
$(call protocol-header-rule,$(1),dispatch,dispatch)
endef
$(foreach protocol,$(PROTOCOLS),$(eval $(call protocol-rules,$(protocol))))

GENERATED_HEADERS := $(foreach protocol,$(PROTOCOLS),$(call protocol_headers,$(protocol)))

build/docs/abi-reference.md: $(PROTOCOLS:%=build/generate/%)
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D)
	$(Q){ printf '# ABI reference\n\n'; \
	  for protocol in $^; do $$protocol reference; done; $< tables; } >$@
DOCS += build/docs/abi-reference.md
ALL += build/docs/abi-reference.md

# --- musl ---------------------------------------------------------------------------------------

MUSL_VERSION := 1.2.3
MUSL_SOURCE := build/musl/source
MUSL := $(O)/lib/musl
# Position independent, so that init can be linked far above what 32-bit addresses reach.
MUSL_FLAGS := -fPIE -fcf-protection=none -w

$(MUSL_SOURCE)/VERSION: | deploy/source.sh
	$(Q)deploy/source.sh musl $(MUSL_VERSION) $(MUSL_SOURCE)

$(call write-if-changed,$(O)/lib/musl.flags,$(CC) $(MUSL_FLAGS))
$(MUSL)/lib/libc.a: lib/musl/build.sh $(wildcard lib/musl/*/*) $(O)/lib/musl.flags \
  $(MUSL_SOURCE)/VERSION
	$(call say,MUSL,$@)
	$(Q)lib/musl/build.sh $(MUSL_SOURCE) $(MUSL) $(CC) $(MUSL_FLAGS)

$(MUSL)/lib/crt1.o $(MUSL)/lib/crti.o $(MUSL)/lib/crtn.o: $(MUSL)/lib/libc.a ;

# --- libcorvus.a and native programs ------------------------------------------------------------

native_CC := $(CC)
COMPILER_HEADERS := $(if $(filter gcc,$(COMPILER)),$(shell gcc -print-file-name=include), \
  $(shell $(CC) -print-resource-dir)/include)
native_FLAGS := -std=gnu11 -fPIE -fno-stack-protector -fcf-protection=none -fno-common \
  $(OPTIMIZE) -g -D_GNU_SOURCE \
  -Wall -Wextra -Werror -Wmissing-prototypes -Wshadow -Wstrict-prototypes -Wvla \
  -Wpointer-arith -Wwrite-strings -Wold-style-definition \
  -iquote . -Iinclude -Ibuild/include \
  -nostdinc -isystem $(MUSL)/include -isystem $(strip $(COMPILER_HEADERS))
$(call compile-rules,native)

# The vector unit is switched lazily: a thread that touches it pays for a trap, and for saving and
# loading all of it. Compilers like it for copying sixteen bytes; a server on everybody's way must not.
NO_VECTORS := -mgeneral-regs-only

# Every native object depends on its flags, and so on the headers that are made.
$(O)/native/flags: | $(GENERATED_HEADERS) $(MUSL)/lib/libc.a

LIB_SOURCES := $(sort $(wildcard lib/*.c lib/virtio/*.c lib/x86/*.c lib/x86/*.S))
$(call objects-of,native,$(LIB_SOURCES)): native_FLAGS += $(NO_VECTORS)
$(call objects-of,native,$(LIB_SOURCES)): lib/build.mk
$(O)/lib/libcorvus.a: $(call objects-of,native,$(LIB_SOURCES))
	$(call say,AR,$@)
	$(Q)mkdir -p $(@D)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

LIBGCC := $(shell gcc -print-libgcc-file-name)
# Nothing is loaded dynamically; _DYNAMIC, which musl refers to weakly, needs a value within reach.
# Inside native-program $(1) is the file that is linked.
NATIVE_LINK_BASE := 0x400000
NATIVE_LINK = $(LD) -nostdlib -static -z max-page-size=4096 -z noexecstack -z norelro \
  --build-id=none --fatal-warnings --gc-sections --no-relax --defsym=_DYNAMIC=__executable_start \
  -Ttext-segment=$(or $(LINK_BASE_$(notdir $(1))),$(NATIVE_LINK_BASE))
NATIVE_START := $(MUSL)/lib/crt1.o $(MUSL)/lib/crti.o
# The two libraries need each other.
NATIVE_LIBRARIES := $(O)/lib/libcorvus.a $(MUSL)/lib/libc.a $(O)/lib/libcorvus.a \
  $(MUSL)/lib/libc.a $(LIBGCC) $(MUSL)/lib/crtn.o
ALL += $(O)/lib/libcorvus.a $(MUSL)/lib/libc.a
