# SPDX-License-Identifier: BSD-2-Clause
#
# The Linux program `ports`, by which the tests of a cluster use ports of other nodes.

CLUSTER_PORTS := $(O)/tests/cluster/ports

clusterports_CC := $(HOST_CC)
clusterports_FLAGS := $(linuxtest_FLAGS)
$(call compile-rules,clusterports)

$(CLUSTER_PORTS): $(call objects-of,clusterports,$(wildcard tests/cluster/network/ports/*.c) \
  $(LINUX_PORT_LIBRARY))
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOST_CC) -pthread -static -s -o $@ $^

.PHONY: cluster-ports
cluster-ports: $(CLUSTER_PORTS)

# The Linux program `dsm`, by which they ask a node's DSM server.
CLUSTER_DSM := $(O)/tests/cluster/dsm
$(CLUSTER_DSM): $(call objects-of,clusterports,$(wildcard tests/cluster/dsm/*.c)) $(LIBDSM_LINUX)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOST_CC) -pthread -static -s -o $@ $^
cluster-ports: $(CLUSTER_DSM)

# A node with a native task that is a client of its VM server, and the Linux program by which it is told what
# to do (tests/cluster/vm.sh).
CLUSTER_VM_NATIVE := $(O)/tests/cluster/vm-test.elf
$(call native-program,$(CLUSTER_VM_NATIVE),tests/cluster/vm/native.c)
$(O)/tests/cluster/vm.conf: tests/cluster/build.mk linuxserver/node.conf tests/cluster/vm/pagers.conf tests/cluster/vm/stanza.conf
	$(Q)mkdir -p $(@D)
	$(Q)sed -e '/^server linux$$/e cat tests/cluster/vm/pagers.conf' -e 's/^    after net dsm$$/& vm default-pager/' linuxserver/node.conf >$@
	$(Q)cat tests/cluster/vm/stanza.conf >>$@
cluster_vm_modules := $(filter-out config=%,$(NODE_MODULES)) config=$(O)/tests/cluster/vm.conf \
  default-pager=$(DEFAULT_PAGER:.elf=.stripped) vm=$(VM_SERVER:.elf=.stripped) vm-test=$(CLUSTER_VM_NATIVE:.elf=.stripped)
$(call module-list,$(O)/tests/cluster/vm.modules,$(cluster_vm_modules))
$(O)/tests/cluster/order: $(call objects-of,clusterports,tests/cluster/vm/order.c $(LINUX_PORT_LIBRARY))
	$(call say,LINK,$@)
	$(Q)$(HOST_CC) -pthread -static -s -o $@ $^
CLUSTER_VM := $(O)/tests/cluster/order $(O)/tests/cluster/vm.modules $(call module-files,$(cluster_vm_modules))
cluster-ports: $(CLUSTER_VM)

# The Linux program `wander`, which would notice if a move lost something (tests/cluster/thorough/migrate-back.sh).
CLUSTER_WANDER := $(O)/tests/cluster/wander
$(CLUSTER_WANDER): $(call objects-of,clusterports,tests/cluster/migrate/wander.c)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOST_CC) -pthread -static -s -o $@ $^
cluster-ports: $(CLUSTER_WANDER)

# `calls`, whose processes are moved while they are in a system call (tests/cluster/migrate-calls.sh).
CLUSTER_CALLS := $(O)/tests/cluster/calls
$(CLUSTER_CALLS): $(call objects-of,clusterports,$(wildcard tests/cluster/migrate/calls/*.c))
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOST_CC) -pthread -static -s -o $@ $^ -lutil
cluster-ports: $(CLUSTER_CALLS)

# The Linux program `parent`, which is told of all that becomes of another one (tests/cluster/migrate-stop.sh).
CLUSTER_PARENT := $(O)/tests/cluster/parent
$(CLUSTER_PARENT): $(call objects-of,clusterports,tests/cluster/migrate/parent.c)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOST_CC) -pthread -static -s -o $@ $^
cluster-ports: $(CLUSTER_PARENT)
