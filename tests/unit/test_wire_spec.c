// SPDX-License-Identifier: BSD-2-Clause
// sources: deploy/wire/spec.c
// The text of impairments: what it means, what is refused, and that what is written is read as the
// same.
#include "deploy/wire/spec.h"
#include "tap.h"

#include <string.h>

static struct wire_spec spec;
static char message[SPEC_MESSAGE_BYTES];

static bool parse(const char *text)
{
    return spec_parse(text, 3, &spec, message);
}

static bool refuses(const char *text, const char *part)
{
    bool refused = !parse(text) && strstr(message, part) != NULL && strchr(message, '\n') == NULL;
    if (!refused)
        printf("# '%s' gives '%s'\n", text, message);
    return refused;
}

static bool prints(const char *text, const char *expected)
{
    static char printed[SPEC_TEXT_BYTES];
    bool parsed = parse(text);
    size_t length = spec_print(&spec, 3, printed);
    if (!parsed || strcmp(printed, expected) != 0)
        printf("# '%s' gives '%s' '%s'\n", text, message, printed);
    return parsed && strcmp(printed, expected) == 0 && length == strlen(printed);
}

static void test_meaning(void)
{
    tap_ok(parse("loss=5%,broadcast=25%,delay=2ms,jitter=1ms,dup=1%,reorder=2%,biterror=1e-6,rate="
                 "100mbit,seed=7"),
           "all keys at once");
    const struct impairments *link = &spec.links[0][1];
    tap_ok(link->loss == 0.05 && link->broadcast == 0.25 && link->duplicate == 0.01 &&
               link->reorder == 0.02 && link->bit_error == 1e-6,
           "probabilities");
    tap_ok(link->delay == 2000000 && link->jitter == 1000000, "times");
    tap_ok(link->rate == 100000000 && link->queue == 262144 && spec.seed == 7,
           "rate, queue where nothing is said, seed");
    tap_ok(parse("delay=1ms 1>2:loss=100%,delay=3us;*>3:dup=0.5"), "sections for links");
    tap_ok(spec.links[0][1].loss == 1 && spec.links[0][1].delay == 3000 &&
               spec.links[1][0].loss == 0 && spec.links[1][0].delay == 1000000,
           "a link's section changes one direction, and only what it says");
    tap_ok(spec.links[0][2].duplicate == 0.5 && spec.links[1][2].duplicate == 0.5 &&
               spec.links[2][0].duplicate == 0,
           "all links to a node");
    tap_ok(parse("1>2:loss=1 loss=0.5") && spec.links[0][1].loss == 0.5,
           "a later section has the last word");
    tap_ok(parse("none") && impairments_none(&spec.links[2][1]) && spec.seed == 1,
           "none is a perfect wire");
    tap_ok(parse("seed=18446744073709551615") && spec.seed == UINT64_MAX, "the largest seed");
    tap_ok(parse("delay=60s,rate=1gbit,queue=1m,biterror=1E0") == false,
           "exponents have a small e");
    tap_ok(parse("delay=60s,rate=1gbit,queue=1m") && spec.links[0][1].delay == 60000000000 &&
               spec.links[0][1].queue == 1048576,
           "the longest delay, a queue");
}

static void test_refusals(void)
{
    tap_ok(refuses("", "nothing is said") && refuses(" ; ", "nothing is said"), "nothing");
    tap_ok(refuses("none loss=1%", "stands alone"), "none and something");
    tap_ok(refuses("loss", "not KEY=VALUE") && refuses("loss=1%,", "last comma"),
           "a key alone, a comma too many");
    tap_ok(refuses("lose=1%", "is none of"), "an unknown key");
    tap_ok(refuses("loss=101%", "no probability") && refuses("loss=-1%", "no probability") &&
               refuses("loss=", "no probability") && refuses("loss=nan", "no probability") &&
               refuses("loss=0x1", "no probability") && refuses("loss=1.2.3%", "no probability") &&
               refuses("loss=1e999", "no probability") && refuses("loss=1%%", "no probability"),
           "wrong probabilities");
    tap_ok(refuses("delay=5", "not a time") && refuses("delay=61s", "not a time") &&
               refuses("jitter=1m", "not a time"),
           "times without a unit, too long, with another unit");
    tap_ok(refuses("rate=100mb", "not a rate") && refuses("queue=2000m", "not a size"),
           "wrong rates and sizes");
    tap_ok(refuses("seed=18446744073709551616", "no number") && refuses("seed=-1", "no number") &&
               refuses("seed=", "missing"),
           "wrong seeds");
    tap_ok(refuses("1>2:seed=3", "whole wire"), "a seed for a link");
    tap_ok(refuses("1>4:loss=1", "not a node") && refuses("0>1:loss=1", "not a node") &&
               refuses("1>x:loss=1", "not a node") && refuses(">1:loss=1", "not a node") &&
               refuses("1>01:loss=1", "not a node") && refuses("1>9999:loss=1", "not a node"),
           "nodes that there are not");
    tap_ok(refuses("2>2:loss=1", "another one"), "from a node to itself");
    tap_ok(refuses("2:loss=1", "not FROM>TO"), "one node alone");
    tap_ok(
        refuses("wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww"
                "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww=1",
                "is none of"),
        "a long word, in a short complaint");
}

static void test_printing(void)
{
    tap_ok(prints("none", "none") && prints("loss=0,delay=0s", "none"), "nothing");
    tap_ok(prints("seed=9", "seed=9"), "a seed alone");
    tap_ok(prints("seed=7,jitter=1500us,loss=5%,rate=100mbit,delay=2ms",
                  "loss=0.05,delay=2ms,jitter=1500us,rate=100000000bit,seed=7"),
           "all links alike");
    tap_ok(prints("broadcast=100%", "broadcast=1") &&
               prints("2>1:broadcast=0.5", "seed=1 2>1:broadcast=0.5") &&
               refuses("broadcast=2", "no probability"),
           "broadcasts");
    tap_ok(prints("1>2:loss=100%,delay=7ns 3>*:queue=1k",
                  "seed=1 1>2:loss=1,delay=7ns 3>1:queue=1024 3>2:queue=1024"),
           "links that differ");
}

int main(void)
{
    test_meaning();
    test_refusals();
    test_printing();
    return tap_end();
}
