# SPDX-License-Identifier: BSD-2-Clause
#
# The benchmark of moving processes. Behind tests/bench/net/build.mk, whose TCP program it uses, and
# tests/cluster/build.mk, whose compiler.

MIGRATE_BENCH := $(O)/tests/bench/migrate/process
$(MIGRATE_BENCH): $(call objects-of,clusterports,$(wildcard tests/bench/migrate/*.c))
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOST_CC) -static -s -o $@ $^

MIGRATE_BENCH_FILES := $(MIGRATE_BENCH) $(NET_BENCH)/netbench-tcp

.PHONY: bench-migrate
bench-migrate: all $(MIGRATE_BENCH_FILES) ## moving processes, in null RPCs between nodes (ROUNDS=5)
	$(Q)tests/bench/migrate/bench.py --build $(O) --rounds $(or $(ROUNDS),5)

# What its check (tests/run.sh) uses.
test test-long: $(MIGRATE_BENCH_FILES)
