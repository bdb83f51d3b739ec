// SPDX-License-Identifier: BSD-2-Clause
// A port that others call, checked in under a name; again, when the network server that knew it
// has ended.
#include "ports.h"

#include "lib/serve.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LABEL_SERVICE 1u
#define LABEL_NOTICES 2u
#define NAME_KEY      77u
#define RETRY_US      100000u

static port_name_t set, service, notices;

// Checks the name in, and asks to be told when the network server has ended.
static void check_in(const char *name)
{
    corvus_error_t error;
    port_name_t netname;

    for (;;) {
        error = corvus_netname(&netname);
        if (error == ERR_OK) {
            error = port_request_notification(netname, NOTIFY_DEAD_NAME, notices);
            if (error == ERR_OK)
                error = corvus_check_in(name, make_send(service), NAME_KEY);
            if (error == ERR_OK)
                break; // the name stays, for the notice
            (void)port_deallocate(netname);
        }
        if (error != ERR_NOT_FOUND && error != ERR_PEER_DIED && error != ERR_INVALID_NAME &&
            error != ERR_INVALID_RIGHT)
            fail("checking in: error %d", error);
        usleep(RETRY_US);
    }
    say("checked in");
}

static void answer(struct message *request)
{
    struct message reply = {.tag = 2, .words = {ERR_OK, request->words[0] + 1}};
    port_name_t saved;

    switch (request->id) {
    case PORTS_ADD:
        break;
    case PORTS_HOLD:
        need(message_save_reply(&saved), "keeping the right to answer");
        return;
    case PORTS_GIVE:
        reply.tag = 2 | TAG_RIGHTS(1);
        utcb_self()->rights[0] = make_send(service);
        break;
    default:
        message_refuse(request, &reply);
    }
    if (message_wants_reply(request))
        (void)msg_reply(&reply); // who called may be gone
}

int command_serve(char **words)
{
    struct message message;

    need(port_set_allocate(&set), "making a set");
    need(port_allocate(LABEL_SERVICE, &service), "making a port");
    need(port_allocate(LABEL_NOTICES, &notices), "making a port");
    need(port_enable(service, set), "putting a port into the set");
    need(port_enable(notices, set), "putting a port into the set");
    check_in(words[0]);
    for (;;) {
        need(msg_receive(&message, set, TIMEOUT_NONE), "receiving");
        if (message.label == LABEL_SERVICE) {
            answer(&message);
        } else if (message.id == MESSAGE_ID_DEAD_NAME) {
            say("the network server has ended");
            (void)port_deallocate((port_name_t)message.words[0]);
            check_in(words[0]);
        }
    }
}
