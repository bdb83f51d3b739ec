// SPDX-License-Identifier: BSD-2-Clause
// The program's arguments: who this node is.
#pragma once

#include "netipc/server.h"

#define IDENTITY_KEY_DIGITS_MIN 32u
#define IDENTITY_KEY_DIGITS_MAX 64u

// Reads `NAME VALUE` pairs: node, nodes, cluster, key (hexadecimal; a shorter one is
// filled up with zeroes), secure (encrypt or authenticate), patience, peers. An empty value is as
// if it were not there. Peers are addresses of nodes; the node's own is taken out. Returns NULL, or
// what is wrong, without a full stop. Without a number the node is number 1 of 1.
const char *identity_read(struct node_identity *identity, int count, char *const *words);
