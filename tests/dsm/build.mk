# SPDX-License-Identifier: BSD-2-Clause
#
# The experiments with shared memory: ordinary static programs of the host, which know of Corvus only
# libdsm. Each tests/dsm/experiments/NAME.c with a main is one; the others are what they share.

experiment_folder := tests/dsm/experiments
experiment_shared := $(addprefix $(experiment_folder)/,experiment.c sync.c)
experiment_names := $(notdir $(basename $(filter-out $(experiment_shared), \
  $(wildcard $(experiment_folder)/*.c))))
EXPERIMENTS := $(addprefix $(O)/tests/dsm/experiments/,$(experiment_names))

experiment_CC := $(HOST_CC)
experiment_FLAGS := -std=gnu11 -O2 -g -D_GNU_SOURCE -fPIE -Wall -Wextra -Werror -Wshadow \
  -Wstrict-prototypes -Wmissing-prototypes -iquote . -Iinclude
$(call compile-rules,experiment)

# Without what only a debugger reads: they are copied to nodes.
define experiment-rule
$(O)/tests/dsm/experiments/$(1): $(call objects-of,experiment,$(experiment_folder)/$(1).c $(experiment_shared)) $(LIBDSM_LINUX)
	$$(call say,LINK,$$@)
	$(Q)mkdir -p $$(@D)
	$(Q)$(HOST_CC) -static -s -o $$@ $$^ -lm
endef
$(foreach name,$(experiment_names),$(eval $(call experiment-rule,$(name))))

.PHONY: experiments
experiments: $(EXPERIMENTS) ## the experiments with shared memory
