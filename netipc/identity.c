// SPDX-License-Identifier: BSD-2-Clause
// Arguments are few and short: each is looked at once, in order.
#include "netipc/identity.h"

#include <string.h>

static bool read_number(const char *text, unsigned *number)
{
    unsigned value = 0;

    for (; *text >= '0' && *text <= '9' && value <= NODE_NUMBER_MAX; text++)
        value = value * 10 + (unsigned)(*text - '0');
    *number = value;
    return *text == 0 && value >= 1 && value <= NODE_NUMBER_MAX;
}

// The value of a hexadecimal digit, or 16.
static unsigned digit(char letter)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = letter != 0 ? strchr(digits, letter) : NULL;

    return found != NULL ? (unsigned)(found - digits) % 16 : 16;
}

static const char *read_key(const char *text, struct node_identity *identity)
{
    size_t count = strlen(text);

    if (count % 2 != 0 || count < IDENTITY_KEY_DIGITS_MIN || count > IDENTITY_KEY_DIGITS_MAX)
        return "the key (key=) has not 32 to 64 hexadecimal digits";
    for (size_t i = 0; i < count; i += 2) {
        unsigned high = digit(text[i]), low = digit(text[i + 1]);
        if (high > 15 || low > 15)
            return "the key (key=) is not hexadecimal";
        identity->key[i / 2] = (uint8_t)(high << 4 | low);
    }
    identity->has_key = true;
    return NULL;
}

static const char *read_secure(const char *text, struct node_identity *identity)
{
    identity->authenticate_only = strcmp(text, "authenticate") == 0;
    return identity->authenticate_only || strcmp(text, "encrypt") == 0
               ? NULL
               : "secure= is neither encrypt nor authenticate";
}

// Reads A.B.C.D; returns what follows, or NULL.
static const char *read_address(const char *text, uint32_t *address)
{
    *address = 0;
    for (unsigned part = 0; part < 4; part++) {
        unsigned value = 0, digits = 0;

        for (; *text >= '0' && *text <= '9' && digits < 4; digits++)
            value = value * 10 + (unsigned)(*text++ - '0');
        if (digits == 0 || value > 255 || (part < 3 && *text++ != '.'))
            return NULL;
        *address = *address << 8 | value;
    }
    return text;
}

static bool is_node(uint32_t address)
{
    return address >= node_address(1) && address <= node_address(NODE_NUMBER_MAX);
}

static const char *read_peers(const char *text, struct node_identity *identity)
{
    do {
        if (identity->peer_count == NODE_PEERS_MAX)
            return "there are more than 64 peers (peers=)";
        text = read_address(text, &identity->peers[identity->peer_count++]);
        if (text == NULL || (*text != 0 && *text != ','))
            return "peers= is not a list A.B.C.D,A.B.C.D";
        if (!is_node(identity->peers[identity->peer_count - 1]))
            return "peers= has an address that no node has: those are 10.67.0.1 to 10.67.0.254";
    } while (*text++ != 0);
    return NULL;
}

// So that all nodes can be given the same list.
static void leave_out_own(struct node_identity *identity)
{
    unsigned count = 0;

    for (unsigned i = 0; i < identity->peer_count; i++)
        if (identity->peers[i] != node_address(identity->number))
            identity->peers[count++] = identity->peers[i];
    identity->peers_own = count != identity->peer_count;
    identity->peer_count = count;
}

static const char *read_pair(struct node_identity *identity, const char *name, const char *value)
{
    if (strcmp(name, "node") == 0)
        return read_number(value, &identity->number) ? NULL : "the node (node=) is not 1 to 254";
    if (strcmp(name, "nodes") == 0)
        return read_number(value, &identity->nodes)
                   ? NULL
                   : "the number of nodes (nodes=) is not 1 to 254";
    if (strcmp(name, "key") == 0)
        return read_key(value, identity);
    if (strcmp(name, "secure") == 0)
        return read_secure(value, identity);
    if (strcmp(name, "patience") == 0)
        return read_number(value, &identity->patience) && identity->patience <= 100
                   ? NULL
                   : "patience (patience=) is not 1 to 100";
    if (strcmp(name, "peers") == 0)
        return read_peers(value, identity);
    if (strcmp(name, "cluster") != 0)
        return "an argument that there is not";
    if (strlen(value) >= sizeof identity->cluster)
        return "the cluster's name (cluster=) has more than 31 bytes";
    strcpy(identity->cluster, value);
    return NULL;
}

const char *identity_read(struct node_identity *identity, int count, char *const *words)
{
    *identity = (struct node_identity){0};
    if (count % 2 != 0)
        return "an argument without a value";
    for (int i = 0; i < count; i += 2) {
        const char *wrong =
            words[i + 1][0] != 0 ? read_pair(identity, words[i], words[i + 1]) : NULL;
        if (wrong != NULL)
            return wrong;
    }
    if (identity->number == 0)
        identity->number = 1;
    leave_out_own(identity);
    if (identity->patience == 0)
        identity->patience = 1;
    if (identity->nodes == 0)
        identity->nodes = identity->number;
    return identity->number <= identity->nodes ? NULL
                                               : "the node (node=) is beyond the number of nodes "
                                                 "(nodes=)";
}
