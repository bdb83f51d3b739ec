// SPDX-License-Identifier: BSD-2-Clause
// sources: deploy/wire/control.c deploy/wire/spec.c
// The commands of a running hub: what each means, and what is refused.
#include "deploy/wire/control.h"
#include "tap.h"

#include <string.h>

static struct control_request request;
static char message[SPEC_MESSAGE_BYTES];

static bool parse(const char *line)
{
    bool good = control_parse(line, 4, &request, message);
    if (!good)
        printf("# '%s': %s\n", line, message);
    return good;
}

static bool refuses(const char *line, const char *part)
{
    return !control_parse(line, 4, &request, message) && strstr(message, part) != NULL;
}

int main(void)
{
    tap_ok(parse("wire loss=5% 1>2:delay=1ms") && request.kind == CONTROL_WIRE &&
               request.spec.links[0][1].delay == 1000000 && request.spec.links[1][0].loss == 0.05,
           "wire, with blanks in its SPEC");
    tap_ok(refuses("wire", "nothing is said") && refuses("wire 1>5:loss=1", "not a node"),
           "wire with nothing, or nodes that there are not");
    tap_ok(parse("cut 3") && request.kind == CONTROL_CUT_GROUP && request.group == 4, "cut a node");
    tap_ok(parse("cut 1,4") && request.group == 9, "cut two");
    tap_ok(parse("cut 1>4") && request.kind == CONTROL_CUT_LINK && request.from == 0 &&
               request.to == 3,
           "cut one way");
    tap_ok(refuses("cut", "NODE,") && refuses("cut 5", "NODE,") && refuses("cut 0", "NODE,") &&
               refuses("cut 1,", "NODE,") && refuses("cut 1 2", "NODE,") &&
               refuses("cut 1>5", "NODE,") && refuses("cut 1>2,3", "NODE,") &&
               refuses("cut 99999999999999999999", "NODE,"),
           "cuts of what there is not");
    tap_ok(refuses("cut 1,2,3,4", "all nodes") && refuses("cut 2>2", "another one"),
           "cuts that cut nothing");
    tap_ok(parse("heal") && request.kind == CONTROL_HEAL && refuses("heal 1", "no words"), "heal");
    tap_ok(parse("stats") && !request.json && parse("stats json") && request.json &&
               refuses("stats xml", "json"),
           "stats");
    tap_ok(parse("pcap /tmp/a b") && request.kind == CONTROL_CAPTURE &&
               strcmp(request.file, "/tmp/a b") == 0 && request.rotate == 0,
           "pcap into a file with a blank in its name");
    tap_ok(parse("pcap rotate=2m keep=3 /tmp/x") && request.rotate == 2 << 20 &&
               request.keep == 3 && strcmp(request.file, "/tmp/x") == 0,
           "pcap with rotation");
    tap_ok(parse("pcap off") && request.kind == CONTROL_CAPTURE_OFF, "pcap off");
    tap_ok(refuses("pcap", "missing") && refuses("pcap rotate=2m", "missing") &&
               refuses("pcap rotate=10 x", "64k") && refuses("pcap keep=0 x", "1 to 99") &&
               refuses("pcap keep=100 x", "1 to 99") && refuses("pcap rotate=1x x", "64k"),
           "wrong pcaps");
    tap_ok(refuses("", "no such") && refuses("wirex", "no such") && refuses("w", "no such"),
           "no command");
    return tap_end();
}
