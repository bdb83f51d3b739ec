// SPDX-License-Identifier: BSD-2-Clause
// parent FILE PROGRAM ARGUMENT…: runs a program and writes a line to FILE for all that wait4 tells
// of it: its number, `stopped SIGNAL`, `continued`, and how it ended, `exited STATUS` or `killed
// SIGNAL`.
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int tell(FILE *file, int status)
{
    if (WIFSTOPPED(status))
        (void)fprintf(file, "stopped %d\n", WSTOPSIG(status));
    else if (WIFCONTINUED(status))
        (void)fprintf(file, "continued\n");
    else if (WIFEXITED(status))
        (void)fprintf(file, "exited %d\n", WEXITSTATUS(status));
    else
        (void)fprintf(file, "killed %d\n", WTERMSIG(status));
    (void)fflush(file);
    return WIFEXITED(status) || WIFSIGNALED(status);
}

int main(int argc, char **argv)
{
    FILE *file = argc > 2 ? fopen(argv[1], "we") : NULL;
    int status;
    pid_t child;

    if (file == NULL) {
        (void)fputs("usage: parent FILE PROGRAM ARGUMENT...\n", stderr);
        return 2;
    }
    child = fork();
    if (child == 0) {
        (void)execv(argv[2], argv + 2);
        perror(argv[2]);
        _exit(1);
    }
    (void)fprintf(file, "%d\n", (int)child);
    (void)fflush(file);
    do {
        if (waitpid(child, &status, WUNTRACED | WCONTINUED) != child) {
            perror("waitpid");
            return 1;
        }
    } while (!tell(file, status));
    return 0;
}
