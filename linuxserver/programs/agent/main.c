// SPDX-License-Identifier: GPL-2.0-only
// The agent: how the person at the host reaches the Linux of a node. Serves one
// byte channel on which many sessions run at once; or, as a session's process,
// copies files.
#include "copy.h"
#include "sessions.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static int wrong_arguments(void)
{
    fputs("usage: agent CHANNEL              serve a character device or socket\n"
          "       agent copy-in [-d] PATH    unpack the archive on standard input\n"
          "       agent copy-out PATH...     pack files onto standard output\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc == 4 && strcmp(argv[1], "copy-in") == 0 && strcmp(argv[2], "-d") == 0)
        return copy_in(argv[3], true);
    if (argc == 3 && strcmp(argv[1], "copy-in") == 0)
        return copy_in(argv[2], false);
    if (argc >= 3 && strcmp(argv[1], "copy-out") == 0)
        return copy_out(argv + 2);
    if (argc != 2 || argv[1][0] == '-')
        return wrong_arguments();
    return serve_channel(argv[1]);
}
