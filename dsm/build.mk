# SPDX-License-Identifier: BSD-2-Clause
#
# Builds the DSM server of a node, and libdsm.

DSM := $(O)/dsm/dsm.elf
DSM_SOURCES := $(sort $(wildcard dsm/core/*.c dsm/server/*.c) netipc/core/table.c)
$(call native-program,$(DSM),$(DSM_SOURCES))
ALL += $(DSM)
# As the network server's: a node keeps it in memory for a restart.
$(O)/dsm/dsm.stripped: $(DSM)
	$(call say,STRIP,$@)
	$(Q)objcopy -S $< $@
NODE_MODULES += dsm=$(O)/dsm/dsm.stripped

# libdsm: for native tasks, and for Linux programs with all that they need of lib/.
LIBDSM := $(O)/dsm/libdsm.a
LIBDSM_LINUX := $(O)/dsm/libdsm-linux.a
dsmlinux_CC := $(HOST_CC)
dsmlinux_FLAGS := -std=gnu11 -g -O2 -D_GNU_SOURCE -Wall -Wextra -Werror -Wshadow \
  -iquote lib/linux/replace -iquote . -Iinclude -Ibuild/include
$(call compile-rules,dsmlinux)
$(LIBDSM): $(call objects-of,native,dsm/lib/dsm.c dsm/lib/server_native.c)
$(LIBDSM_LINUX): $(call objects-of,dsmlinux,dsm/lib/dsm.c dsm/lib/server_linux.c \
  $(wildcard lib/linux/*.c) lib/port.c lib/message.c lib/serve.c)
$(LIBDSM) $(LIBDSM_LINUX):
	$(call say,AR,$@)
	$(Q)mkdir -p $(@D)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^
ALL += $(LIBDSM) $(LIBDSM_LINUX)
