// SPDX-License-Identifier: BSD-2-Clause
// The command line, and the row's processes: each row runs in a process of its own, under a time
// limit, so that one that cannot be measured is missed and the next one runs.
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROW_SECONDS 120

struct settings settings = {.prefix = "",
                            .folder = "/tmp",
                            .compiler = "/usr/bin/tcc",
                            .source = "/bench/program.c",
                            .divisor = 1};

static const struct row *const tables[] = {
    rows_call, rows_signal, rows_memory, rows_pipe, rows_process, rows_socket, rows_shared,
};
#define TABLES (sizeof tables / sizeof tables[0])

static const char *row_name = "start";

static const char usage[] =
    "usage: bench [option…]\n"
    "  --list             the names of the rows\n"
    "  --row NAME         only this row; may be repeated\n"
    "  --skip NAME        not this row; may be repeated\n"
    "  --divide N         an Nth of the rounds of each row (default: 1)\n"
    "  --prefix TEXT      before each line (default: nothing)\n"
    "  --folder PATH      for files (default: /tmp)\n"
    "  --compiler PATH    takes -c SOURCE -o OBJECT (default: /usr/bin/tcc)\n"
    "  --source PATH      what it compiles (default: /bench/program.c)\n"
    "prints a line a row: name median minimum unit operations\n";

void failed(const char *what)
{
    // One write, since partners share the line.
    char text[512];
    int length = snprintf(text, sizeof text, "%s%s failed: %s: %s\n", settings.prefix, row_name,
                          what, strerror(errno));
    if (write(STDERR_FILENO, text, (size_t)length) != length)
        _exit(2);
    _exit(1);
}

pid_t partner(void (*run)(void))
{
    pid_t process = MUST(fork());
    if (process == 0) {
        MUST(prctl(PR_SET_PDEATHSIG, SIGKILL));
        run();
        _exit(0);
    }
    return process;
}

static void run_row(const struct row *row)
{
    alarm(ROW_SECONDS);
    row_name = row->name;
    measure_row(row);
    // Partners die with this process.
    exit(fflush(stdout) == 0 ? 0 : 1);
}

static bool row_succeeds(const struct row *row)
{
    int status;
    fflush(stdout);
    pid_t process = MUST(fork());
    if (process == 0)
        run_row(row);
    MUST(waitpid(process, &status, 0));
    if (WIFSIGNALED(status))
        fprintf(stderr, "%s%s failed: ended by signal %d\n", settings.prefix, row->name,
                WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// --- The command line ---------------------------------------------------------------------------

struct names {
    unsigned count;
    const char *of[64];
};

static bool is_among(const struct names *names, const char *name)
{
    for (unsigned i = 0; i < names->count; i++)
        if (strcmp(names->of[i], name) == 0)
            return true;
    return false;
}

static bool is_row(const char *name)
{
    for (unsigned table = 0; table < TABLES; table++)
        for (const struct row *row = tables[table]; row->name != NULL; row++)
            if (strcmp(row->name, name) == 0)
                return true;
    return false;
}

__attribute__((noreturn)) static void wrong_arguments(const char *what, const char *word)
{
    fprintf(stderr, "bench: %s '%s'\n%s", what, word, usage);
    exit(2);
}

static void add_name(struct names *names, const char *name)
{
    if (!is_row(name))
        wrong_arguments("no row", name);
    if (names->count == sizeof names->of / sizeof names->of[0])
        wrong_arguments("too many rows at", name);
    names->of[names->count++] = name;
}

static unsigned number(const char *text)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || end == text || value == 0 || value > UINT_MAX)
        wrong_arguments("no number from 1 on:", text);
    return (unsigned)value;
}

static void list_rows(void)
{
    for (unsigned table = 0; table < TABLES; table++)
        for (const struct row *row = tables[table]; row->name != NULL; row++)
            if (tables[table] != rows_shared)
                puts(row->name);
}

enum {
    OPTION_LIST = 1,
    OPTION_ROW,
    OPTION_SKIP,
    OPTION_DIVIDE,
    OPTION_PREFIX,
    OPTION_FOLDER,
    OPTION_COMPILER,
    OPTION_SOURCE,
    OPTION_EXIT,
    OPTION_HELP,
};

static const struct option options[] = {
    {"list", no_argument, NULL, OPTION_LIST},
    {"row", required_argument, NULL, OPTION_ROW},
    {"skip", required_argument, NULL, OPTION_SKIP},
    {"divide", required_argument, NULL, OPTION_DIVIDE},
    {"prefix", required_argument, NULL, OPTION_PREFIX},
    {"folder", required_argument, NULL, OPTION_FOLDER},
    {"compiler", required_argument, NULL, OPTION_COMPILER},
    {"source", required_argument, NULL, OPTION_SOURCE},
    {"help", no_argument, NULL, OPTION_HELP},
    {"exit", no_argument, NULL, OPTION_EXIT}, // what the row fork_exec starts
    {NULL, 0, NULL, 0},
};

static void read_option(int option, struct names *wanted, struct names *unwanted)
{
    switch (option) {
    case OPTION_LIST:
        list_rows();
        exit(0);
    case OPTION_ROW:
        add_name(wanted, optarg);
        break;
    case OPTION_SKIP:
        add_name(unwanted, optarg);
        break;
    case OPTION_DIVIDE:
        settings.divisor = number(optarg);
        break;
    case OPTION_PREFIX:
        settings.prefix = optarg;
        break;
    case OPTION_FOLDER:
        settings.folder = optarg;
        break;
    case OPTION_COMPILER:
        settings.compiler = optarg;
        break;
    case OPTION_SOURCE:
        settings.source = optarg;
        break;
    case OPTION_HELP:
        fputs(usage, stdout);
        exit(0);
    case OPTION_EXIT:
        exit(0);
    default: // getopt has said what is wrong
        fputs(usage, stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static struct names wanted, unwanted;
    bool all_succeeded = true;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        read_option(option, &wanted, &unwanted);
    if (optind < argc)
        wrong_arguments("unknown argument", argv[optind]);
    MUST(readlink("/proc/self/exe", settings.self, sizeof settings.self - 1));

    for (unsigned table = 0; table < TABLES; table++) {
        bool unasked = wanted.count == 0 && tables[table] != rows_shared;
        for (const struct row *row = tables[table]; row->name != NULL; row++)
            if ((unasked || is_among(&wanted, row->name)) && !is_among(&unwanted, row->name))
                all_succeeded &= row_succeeds(row);
    }
    return all_succeeded ? 0 : 1;
}
