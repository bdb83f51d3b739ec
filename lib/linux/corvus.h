// SPDX-License-Identifier: BSD-2-Clause
// What a Linux program has besides lib/port.h and lib/message.h: its file of /dev/corvus,
// and names.
#pragma once

#include "lib/port.h"

#include <corvus/linux.h>

// The process's file; opened when it is first needed. -1 with errno when that fails.
int corvus_file(void);

// Makes another file of /dev/corvus the process's. The one before is closed, with all its
// rights. Not while other threads use it.
void corvus_use_file(int file);

// A descriptor for poll: readable while the port or port set has a message. -1 with errno.
int corvus_port_file(port_name_t port);

// What is used of what is bounded. False with errno.
bool corvus_usage(struct corvus_usage *usage);

// A name as services take it: up to 32 bytes in four words. False: it is empty or too long.
bool corvus_name_words(const char *name, uint64_t words[4]);

// The network server's port, for the stubs of corvus/netname_stubs.h. NOT_FOUND: there is none.
corvus_error_t corvus_netname(port_name_t *server);

// Publishes the port, of which `right` is a send right to be copied, moved or made.
corvus_error_t corvus_check_in(const char *name, struct message_right right, uint64_t key);

// Finds the port of that name: of node `host`, or of any (0). `wait`: until it is there.
corvus_error_t corvus_look_up(const char *name, uint64_t host, bool wait, port_name_t *port);
