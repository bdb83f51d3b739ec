// SPDX-License-Identifier: BSD-2-Clause
// sources: kernel/secrets.c
// What is printed of a command line with keys in it.
#include "kernel/secrets.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>

// In memory of just its size, so that writing beyond it is seen.
static void expect(const char *text, const char *shown, const char *what)
{
    char *copy = strdup(text);

    secrets_hide(copy);
    tap_ok(strcmp(copy, shown) == 0, what);
    free(copy);
}

int main(void)
{
    expect("", "", "nothing");
    expect("node=3 keys=4 monkeys turkey", "node=3 keys=4 monkeys turkey", "no key");
    expect("node=3 key=0123abcd secure=no", "node=3 key=* secure=no", "a key among others");
    expect("key=1", "key=*", "one alone");
    expect("disk-key=ab key=cd", "disk-key=* key=*", "two, of any name that ends so");
    expect("key= node=1", "key= node=1", "none behind its name");
    expect("key", "key", "a word alone");
    expect("ey=1 =2 =", "ey=1 =2 =", "shorter names");
    expect("key=\"a b\" c=1", "key=* c=1", "in quotes");
    expect("key=\"a b", "key=*", "in quotes that do not end");
    expect("linux=\"root=a key=b quiet\" c", "linux=\"root=a key=* quiet\" c", "within quotes");
    expect("linux=\"key=b\" c=1", "linux=\"key=*\" c=1", "at the end of quotes");
    expect("key=a=b\tc=1", "key=*\tc=1", "with another sign in it");
    return tap_end();
}
