# SPDX-License-Identifier: BSD-2-Clause
#
# Builds what the network server is made of.

# --- BearSSL: the cryptography of sessions -------------------------------------------------------
# From Debian's source package, not changed; of its some 300 files only these. Three times the same:
# for native tasks, for programs of the host, and under ASan for the unit tests. (Under UBSan not: it
# reads numbers where they lie, whatever their alignment.) Its ciphers are what tests compare with.

BEARSSL_VERSION := 0.6
BEARSSL_SOURCE := build/bearssl/source
BEARSSL_FILES := $(patsubst %,$(BEARSSL_SOURCE)/src/%.c, \
  symcipher/chacha20_ct symcipher/poly1305_ctmulq ec/ec_c25519_m31 \
  hash/sha2small mac/hmac kdf/hkdf codec/ccopy codec/dec32be codec/enc32be)
BEARSSL_HEADERS := $(patsubst %,build/include/bearssl/bearssl_%.h, \
  block ec hash hmac kdf rand)
GENERATED_HEADERS += $(BEARSSL_HEADERS)

$(BEARSSL_SOURCE)/LICENSE.txt: | deploy/source.sh
	$(Q)deploy/source.sh bearssl $(BEARSSL_VERSION) $(BEARSSL_SOURCE)
$(BEARSSL_FILES): $(BEARSSL_SOURCE)/LICENSE.txt ;
$(BEARSSL_HEADERS): build/include/bearssl/%: $(BEARSSL_SOURCE)/LICENSE.txt
	$(Q)mkdir -p $(@D)
	$(Q)cp $(BEARSSL_SOURCE)/inc/$* $@

bearssl_FLAGS := -O2 -g -w -I$(BEARSSL_SOURCE)/inc -I$(BEARSSL_SOURCE)/src
bearssl_native_CC := $(native_CC)
bearssl_native_FLAGS := $(filter-out -W%,$(native_FLAGS)) $(bearssl_FLAGS) $(NO_VECTORS)
bearssl_host_CC := $(HOST_CC)
bearssl_host_FLAGS := $(bearssl_FLAGS)
bearssl_unit_CC := $(HOST_CC)
bearssl_unit_FLAGS := $(bearssl_FLAGS) -fsanitize=address -fno-omit-frame-pointer
# The native library is made with musl's headers.
$(O)/bearssl_native/flags: | $(MUSL)/lib/libc.a

# $(call bearssl-library,GROUP): $(O)/netipc/libGROUP.a
define bearssl-library-template
$(call compile-rules-template,$(1))
$(O)/netipc/lib$(1).a: $(call objects-of,$(1),$(BEARSSL_FILES))
	$$(call say,AR,$$@)
	$(Q)mkdir -p $$(@D)
	$(Q)rm -f $$@
	$(Q)$(AR) rcs $$@ $$^
endef
$(foreach group,bearssl_native bearssl_host bearssl_unit,$(eval $(call \
  bearssl-library-template,$(group))))
BEARSSL_NATIVE := $(O)/netipc/libbearssl_native.a
BEARSSL_HOST := $(O)/netipc/libbearssl_host.a
BEARSSL_UNIT := $(O)/netipc/libbearssl_unit.a

# --- OpenSSL: the cipher of segments -------------------------------------------------------------
# Two objects of Debian's static library, as they are: assembly language, which needs no C library.

OPENSSL_CIPHER := build/openssl/libcipher.a
openssl_members := libcrypto-lib-chacha-x86_64.o libcrypto-lib-poly1305-x86_64.o
$(OPENSSL_CIPHER): build/dependencies.mk
	$(call say,AR,$@)
	$(Q)mkdir -p $(@D)
	$(Q)rm -f $@ $(addprefix $(@D)/,$(openssl_members))
	$(Q)ar x --output $(@D) $$(gcc -print-file-name=libcrypto.a) $(openssl_members)
	$(Q)ar rcs $@ $(addprefix $(@D)/,$(openssl_members))

# The cryptography of sessions: for native tasks, for programs of the host, and for unit tests.
CRYPTO_NATIVE := $(BEARSSL_NATIVE) $(OPENSSL_CIPHER)
CRYPTO_HOST := $(BEARSSL_HOST) $(OPENSSL_CIPHER)
CRYPTO_UNIT := $(BEARSSL_UNIT) $(OPENSSL_CIPHER)
ALL += $(CRYPTO_NATIVE)

# --- Sessions ------------------------------------------------------------------------------------

SECURE_SOURCES := netipc/core/secure.c netipc/core/noise.c netipc/core/aead.c
# The rules of native objects are older than BearSSL's headers.
$(call objects-of,native,$(wildcard netipc/core/*.c)): | $(BEARSSL_HEADERS)

# Sessions on a native task (tests/kernel/secure), and on the host.
SOURCES_kernel-secure := tests/kernel/bench/measure.c $(SECURE_SOURCES)
LIBRARIES_kernel-secure.elf := $(CRYPTO_NATIVE)
SECURE_BENCH := $(O)/netipc/secure_bench
$(SECURE_BENCH): tests/netipc/secure_bench.c tests/unit/secure_scene.h $(SECURE_SOURCES) \
  $(wildcard netipc/core/*.h) $(CRYPTO_HOST) | $(BEARSSL_HEADERS)
	$(call say,HOSTCC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(HOST_CC) -std=gnu11 -O2 -g -Wall -Wextra -Werror -iquote . -Ibuild/include -o $@ \
	  tests/netipc/secure_bench.c $(SECURE_SOURCES) $(CRYPTO_HOST)

# --- lwIP -----------------------------------------------------------------------------------------
# Unmodified from Debian's source package: once for native tasks, once for the host's tests, under
# sanitizers.

LWIP_VERSION := 2.1.3
LWIP_SOURCE := build/lwip/source
# Our own headers are not system headers, so that objects know that they depend on them.
LWIP_HEADERS := -iquote netipc/lwip -isystem $(LWIP_SOURCE)/src/include
LWIP_FILES := $(addprefix $(LWIP_SOURCE)/src/,$(addsuffix .c, \
  $(addprefix core/,def inet_chksum init ip mem memp netif pbuf tcp tcp_in tcp_out timeouts udp) \
  $(addprefix core/ipv4/,etharp icmp ip4 ip4_addr) netif/ethernet))

$(LWIP_SOURCE)/CHANGELOG: | deploy/source.sh
	$(Q)deploy/source.sh lwip $(LWIP_VERSION) $(LWIP_SOURCE)
$(LWIP_FILES): | $(LWIP_SOURCE)/CHANGELOG ;

# Without warnings: it is not ours.
lwip_CC := $(native_CC)
lwip_FLAGS = $(native_FLAGS) $(LWIP_HEADERS) $(NO_VECTORS) -w
$(call compile-rules,lwip)
$(O)/lwip/flags: | $(GENERATED_HEADERS) $(MUSL)/lib/libc.a
lwiphost_CC := gcc
lwiphost_FLAGS := -std=gnu11 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
  -fno-omit-frame-pointer $(LWIP_HEADERS) -w
$(call compile-rules,lwiphost)

# Our options of it count as a system header's, which the compiler's own lists leave out.
lwip_options := $(wildcard netipc/lwip/*.h netipc/lwip/arch/*.h)
$(call objects-of,lwip,$(LWIP_FILES)) $(call objects-of,lwiphost,$(LWIP_FILES)): $(lwip_options)

$(O)/lwip/liblwip.a: $(call objects-of,lwip,$(LWIP_FILES))
$(O)/lwiphost/liblwip.a: $(call objects-of,lwiphost,$(LWIP_FILES))
$(O)/lwip/liblwip.a $(O)/lwiphost/liblwip.a:
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

# --- The network server ---------------------------------------------------------------------------

NETIPC := $(O)/netipc/netipc.elf
NETIPC_SOURCES := $(sort $(wildcard netipc/*.c netipc/drivers/*.c netipc/core/*.c))
$(call objects-of,native,$(wildcard netipc/interface.c netipc/transport*.c)): \
  native_FLAGS += $(LWIP_HEADERS)
$(call objects-of,native,$(wildcard netipc/interface.c netipc/transport*.c)): $(lwip_options)
$(call objects-of,native,$(NETIPC_SOURCES)): native_FLAGS += $(NO_VECTORS)
$(call objects-of,native,$(NETIPC_SOURCES)): netipc/build.mk | $(LWIP_SOURCE)/CHANGELOG

# All but the program's main, for it and for the tests.
$(O)/netipc/libnetipc.a: $(call objects-of,native,$(filter-out netipc/main.c,$(NETIPC_SOURCES)))
	$(call say,AR,$@)
	$(Q)mkdir -p $(@D)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^
NETIPC_LIBRARIES := $(O)/netipc/libnetipc.a $(O)/lwip/liblwip.a $(O)/netipc/libnetipc.a \
  $(CRYPTO_NATIVE)
LIBRARIES_netipc.elf := $(NETIPC_LIBRARIES)
$(call native-program,$(NETIPC),netipc/main.c)
ALL += $(NETIPC)
NODE_MODULES += netipc=$(O)/netipc/netipc.stripped
