# SPDX-License-Identifier: BSD-2-Clause
#
# Builds the virtual LAN of clusters (wire/), a program of the host.

WIRE := $(O)/deploy/wire

wire_CC := $(HOST_CC)
wire_FLAGS := -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -Wmissing-prototypes -Wshadow \
  -Wstrict-prototypes -Wvla -Wpointer-arith -Wwrite-strings -Wold-style-definition -iquote .
$(call compile-rules,wire)

wire_objects := $(call objects-of,wire,$(wildcard deploy/wire/*.c))

$(WIRE): $(wire_objects)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOST_CC) -o $@ $^ -lm

ALL += $(WIRE)

$(O)/tests/wire/bench: tests/wire/bench.c
	$(call say,HOSTCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOST_CC) $(wire_FLAGS) -o $@ $<

.PHONY: bench-wire
bench-wire: $(WIRE) $(O)/tests/wire/bench ## how many frames a second the virtual LAN forwards
	$(Q)folder=$$(mktemp -d) && $(O)/tests/wire/bench $(WIRE) $$folder 3; \
	  status=$$?; rm -rf $$folder; exit $$status
