// SPDX-License-Identifier: BSD-2-Clause
// What the native task of tests/cluster/vm.sh (native.c), one a node under the name VM_TEST_NAME,
// is asked by the Linux program `order` (order.c) and by its like on other nodes. An RPC each; the
// answer is an error and one more word.
#pragma once

#define VM_TEST_NAME  "vm-test"
#define VM_TEST_WORDS 4u

// Regions of its memory. Each is made by one order and stays until it is dropped.
enum vm_test_region {
    REGION_SEGMENT, // a segment of the DSM
    REGION_OWN,     // anonymous memory
    REGION_TAKEN,   // a snapshot of another node's REGION_OWN, to read
    REGION_COPY,    // the same as a private copy
    REGIONS
};

// E(NAME, number, "what `order` calls it", "its words"), words beyond these are 0.
// clang-format off
#define VM_TEST_ORDERS(E)                                                              \
    E(SEGMENT, 0x72001, "segment", "PAGES NUMBER: maps segment NUMBER")                \
    E(OWN, 0x72002, "own", "PAGES: maps memory")                                       \
    E(SEND, 0x72003, "send", "NODE PAGES: a snapshot of REGION_OWN, sent there")       \
    E(TAKE, 0x72004, "take", "PAGES, and the right; not by `order`")                   \
    E(DROP, 0x72005, "drop", "REGION: is mapped no more")                              \
    E(FILL, 0x72006, "fill", "REGION NUMBER: page n gets NUMBER + n in all words")     \
    E(CHECK, 0x72007, "check", "REGION NUMBER: how many pages have not")               \
    E(CHURN, 0x72008, "churn", "REGION: writes all of it anew, again and again")       \
    E(STILL, 0x7200f, "still", "no more of that; how often it did")                    \
    E(READ, 0x72009, "read", "REGION PAGE: its first word")                            \
    E(WRITE, 0x7200a, "write", "REGION PAGE VALUE: into its first word")               \
    E(ADD, 0x7200b, "add", "REGION COUNT: one each time to the first word")            \
    E(TRY, 0x7200c, "try", "REGION PAGE: reads by vm_read, which tells errors")        \
    E(COUNTER, 0x7200d, "counter", "NUMBER: of vm_server_statistics")                  \
    E(MEMORY, 0x7200e, "memory", "bytes of this node's memory that nobody uses")
// clang-format on

#define VM_TEST_ORDER_NUMBER(name, number, word, text) ORDER_##name = (number),
enum vm_test_order { VM_TEST_ORDERS(VM_TEST_ORDER_NUMBER) };
#undef VM_TEST_ORDER_NUMBER
