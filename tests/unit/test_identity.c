// SPDX-License-Identifier: BSD-2-Clause
// sources: netipc/identity.c
// The arguments of the network server: who the node is.
#include "netipc/identity.h"
#include "tap.h"

#include <string.h>

static struct node_identity identity;

static const char *read(const char *node, const char *nodes, const char *cluster, const char *key)
{
    const char *words[] = {"node", node, "nodes", nodes, "cluster", cluster, "key", key};

    return identity_read(&identity, 8, (char *const *)(uintptr_t)words);
}

static const char *read_word(const char *name, const char *value)
{
    const char *words[] = {name, value};

    return identity_read(&identity, 2, (char *const *)(uintptr_t)words);
}

static bool says(const char *wrong, const char *part)
{
    return wrong != NULL && strstr(wrong, part) != NULL;
}

// A list of so many addresses.
static const char *read_many_peers(unsigned count)
{
    char text[20 * (NODE_PEERS_MAX + 1)] = "10.67.0.9";

    for (unsigned i = 1; i < count; i++)
        strcat(text, ",10.67.0.9");
    return read_word("peers", text);
}

// Nodes that are told besides all on the LAN, for networks that broadcasts do not cross.
static void test_peers(void)
{
    static const char *const wrong[] = {
        "10.0.0",      "10.0.0.256",           "10.67.0.1,", ",10.67.0.1",
        "10.67.0.1 ",  "10.67.0.1,,10.67.0.2", "10..0.1",    "node2",
        "10.67.0.1.1", "10.0.0.99999999999",   "-1.0.0.1"};
    static const char *const strangers[] = {"0.0.0.0",   "255.255.255.255", "192.168.1.20",
                                            "10.67.0.0", "10.67.0.255",     "10.67.1.2"};

    tap_ok(read_word("peers", "") == NULL && identity.peer_count == 0, "no peers");
    tap_ok(read_word("peers", "10.67.0.2") == NULL && identity.peer_count == 1 &&
               identity.peers[0] == 0x0a430002,
           "a peer");
    tap_ok(read_word("peers", "10.67.0.254,10.67.0.20") == NULL && identity.peer_count == 2 &&
               identity.peers[0] == 0x0a4300fe && identity.peers[1] == 0x0a430014 &&
               !identity.peers_own,
           "a list of peers");
    tap_ok(read_word("peers", "10.67.0.2,10.67.0.1,10.67.0.3") == NULL &&
               identity.peer_count == 2 && identity.peers[0] == 0x0a430002 &&
               identity.peers[1] == 0x0a430003 && identity.peers_own,
           "one with the node itself");
    for (unsigned i = 0; i < sizeof strangers / sizeof strangers[0]; i++)
        tap_ok(says(read_word("peers", strangers[i]), "no node has"), strangers[i]);
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        tap_ok(says(read_word("peers", wrong[i]), "peers="), wrong[i]);
    tap_ok(read_many_peers(NODE_PEERS_MAX) == NULL && identity.peer_count == NODE_PEERS_MAX,
           "as many peers as can be");
    tap_ok(says(read_many_peers(NODE_PEERS_MAX + 1), "64 peers"), "too many");
}

static void test_settings(void)
{
    tap_ok(read_word("secure", "authenticate") == NULL && identity.authenticate_only,
           "sessions in the clear");
    tap_ok(read_word("secure", "encrypt") == NULL && !identity.authenticate_only,
           "sessions encrypted");
    tap_ok(says(read_word("secure", "no"), "secure="), "neither");
    tap_ok(read_word("patience", "100") == NULL && identity.patience == 100, "patience");
    tap_ok(says(read_word("patience", "101"), "patience=") &&
               says(read_word("patience", "0"), "patience="),
           "too much of it, and none");
}

int main(void)
{
    static const char *odd[] = {"node"}, *unknown[] = {"colour", "red"};
    char key[66];

    tap_ok(read("", "", "", "") == NULL && identity.number == 1 && identity.nodes == 1 &&
               identity.cluster[0] == 0 && !identity.has_key,
           "nothing said: node 1 of 1");
    tap_ok(identity_read(&identity, 0, NULL) == NULL && identity.number == 1, "no arguments");
    tap_ok(read("3", "4", "blue", "") == NULL && identity.number == 3 && identity.nodes == 4 &&
               strcmp(identity.cluster, "blue") == 0,
           "a node of a cluster");
    tap_ok(read("7", "", "", "") == NULL && identity.nodes == 7, "as many nodes as its number");
    tap_ok(says(read("0", "", "", ""), "node=") && says(read("255", "", "", ""), "node=") &&
               says(read("-1", "", "", ""), "node=") && says(read("2x", "", "", ""), "node=") &&
               says(read("99999999999999999999", "", "", ""), "node="),
           "no number of a node");
    tap_ok(says(read("1", "0", "", ""), "nodes=") && says(read("5", "4", "", ""), "beyond"),
           "no number of nodes");
    tap_ok(says(read("1", "1", "a name of more than thirty-one characters", ""), "cluster="),
           "a name too long");
    tap_ok(read("1", "1", "", "00112233445566778899aAbBcCdDeEfF") == NULL && identity.has_key &&
               identity.key[1] == 0x11 && identity.key[10] == 0xaa && identity.key[15] == 0xff &&
               identity.key[16] == 0,
           "a short key");
    memset(key, '1', 65);
    key[64] = 0;
    tap_ok(read("1", "1", "", key) == NULL && identity.key[31] == 0x11, "the longest key");
    key[64] = '1', key[65] = 0;
    tap_ok(says(read("1", "1", "", key), "32 to 64"), "a key too long, and odd");
    tap_ok(says(read("1", "1", "", "0011"), "32 to 64"), "a key too short");
    tap_ok(says(read("1", "1", "", "00112233445566778899aabbccddeegg"), "hexadecimal"),
           "a key with other letters");
    tap_ok(identity_read(&identity, 1, (char *const *)(uintptr_t)odd) != NULL &&
               identity_read(&identity, 2, (char *const *)(uintptr_t)unknown) != NULL,
           "words that are no arguments");
    test_peers();
    test_settings();
    return tap_end();
}
