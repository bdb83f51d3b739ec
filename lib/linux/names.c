// SPDX-License-Identifier: BSD-2-Clause
// Names of the cluster for Linux programs. The network server is looked up for each request:
// it may have been started again.
#include "lib/linux/corvus.h"

#include <corvus/init_stubs.h>
#include <corvus/netname_stubs.h>

#include <string.h>

#define NAME_BYTES 32

bool corvus_name_words(const char *name, uint64_t words[4])
{
    size_t length = strlen(name);

    memset(words, 0, NAME_BYTES);
    if (length == 0 || length > NAME_BYTES)
        return false;
    memcpy(words, name, length);
    return true;
}

corvus_error_t corvus_netname(port_name_t *server)
{
    uint64_t words[4];

    (void)corvus_name_words("netname", words);
    return bootstrap_look_up(NAME_BOOTSTRAP, words[0], words[1], words[2], words[3], 0, server);
}

corvus_error_t corvus_check_in(const char *name, struct message_right right, uint64_t key)
{
    uint64_t words[4];
    port_name_t server;
    corvus_error_t error;

    if (!corvus_name_words(name, words))
        return ERR_INVALID_ARGUMENT;
    error = corvus_netname(&server);
    if (error != ERR_OK)
        return error;
    error = netname_check_in(server, words[0], words[1], words[2], words[3], key, right);
    (void)port_deallocate(server);
    return error;
}

corvus_error_t corvus_look_up(const char *name, uint64_t host, bool wait, port_name_t *port)
{
    uint64_t words[4];
    port_name_t server;
    corvus_error_t error;

    if (!corvus_name_words(name, words))
        return ERR_INVALID_ARGUMENT;
    error = corvus_netname(&server);
    if (error != ERR_OK)
        return error;
    error = netname_look_up(server, words[0], words[1], words[2], words[3], host, wait, port);
    (void)port_deallocate(server);
    return error;
}
