// SPDX-License-Identifier: BSD-2-Clause
// What only a process that has moved can do wrong; all else it does as other processes do
// (tests/linux/forwarded).
#include "harness.h"

#include <ctype.h>
#include <dirent.h>

// How many processes there are of this program; what is a zombie is over.
static unsigned of_this_program(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[300], name[32] = "", state = 'Z';
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *file = isdigit((unsigned char)entry->d_name[0]) ? fopen(path, "r") : NULL;
        if (file == NULL)
            continue;
        count += fscanf(file, "%*d (%31[^)]) %c", name, &state) == 2 && state != 'Z' &&
                 strcmp(name, "forward") == 0;
        fclose(file);
    }
    closedir(folder);
    return count;
}

static void stop_forwarded(void *unused)
{
    (void)unused;
    become_forwarded();
    raise(SIGSTOP);
    pause();
}

static void pause_forwarded(void *ready)
{
    become_forwarded();
    write_all(*(int *)ready, "x", 1);
    pause();
}

// The process and its shepherd, wherever they are.
static void all_gone(unsigned before)
{
    for (unsigned i = 0; of_this_program() != before; i++) {
        REQUIRE(i < 100);
        sleep_ms(20);
    }
}

TEST(killed_while_stopped, "a stub that is killed while it is stopped takes its process with it")
{
    if (!on_node())
        skip("there is migration on a node only");
    unsigned before = of_this_program();
    pid_t process = child(stop_forwarded, NULL);
    int status;
    REQUIRE_EQUAL(waitpid(process, &status, WUNTRACED), process);
    REQUIRE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    REQUIRE_EQUAL(of_this_program(), before + 3);
    SUCCEED(kill(process, SIGKILL));
    KILLED(process, SIGKILL);
    all_gone(before);
}

TEST(killed, "and so does one that waits")
{
    if (!on_node())
        skip("there is migration on a node only");
    unsigned before = of_this_program();
    int ends[2];
    char byte;
    SUCCEED(pipe(ends));
    pid_t process = child(pause_forwarded, &ends[1]);
    read_all(ends[0], &byte, 1);
    SUCCEED(kill(process, SIGKILL));
    KILLED(process, SIGKILL);
    all_gone(before);
}
