// SPDX-License-Identifier: GPL-2.0-only
// corvus run: gives the program to the agents of all nodes, and only when all have it has them
// start it. All or none: a node that cannot ends the command, and with it the others' processes.
#include "run.h"

#include <corvus/netname_stubs.h>
#include <corvus/run_stubs.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// An agent is there some moments after its node.
#define AGENT_TRIES    50
#define AGENT_PAUSE_NS 100000000

struct file {
    char path[PATH_MAX]; // absolute, without symbolic links
    const uint8_t *bytes;
    size_t length;
    uint64_t sum;
};

static int fail_rank(const struct run *run, size_t rank, const char *why)
{
    fail(rank_name(run, rank), why);
    return STATUS_NOT_RUN;
}

static int fail_rank_message(const struct run *run, size_t rank, corvus_error_t error)
{
    if (error == ERR_PEER_DIED)
        return fail_rank(run, rank, "the node or its agent has died");
    fail_message(rank_name(run, rank), (int)error);
    return STATUS_NOT_RUN;
}

// --- The program's file --------------------------------------------------------------------------

// As execvp would find it.
static bool find_program(const char *name, char *path)
{
    const char *folders = getenv("PATH");

    if (strchr(name, '/') != NULL)
        return realpath(name, path) != NULL;
    errno = ENOENT;
    while (folders != NULL) {
        const char *end = strchrnul(folders, ':');
        char candidate[PATH_MAX];
        int length = snprintf(candidate, sizeof candidate, "%.*s/%s", (int)(end - folders),
                              folders == end ? "." : folders, name);
        if (length > 0 && (size_t)length < sizeof candidate && access(candidate, X_OK) == 0 &&
            realpath(candidate, path) != NULL)
            return true;
        folders = *end != 0 ? end + 1 : NULL;
    }
    return false;
}

static int read_program(const char *name, struct file *program)
{
    struct stat status;
    int file = -1;

    if (!find_program(name, program->path) ||
        (file = open(program->path, O_RDONLY | O_CLOEXEC)) < 0 || fstat(file, &status) != 0) {
        int error = errno;
        fail_errno(name);
        return error == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
    }
    if (!S_ISREG(status.st_mode) || (status.st_mode & 0111) == 0 || status.st_size == 0) {
        fail(name, "is not a program");
        return STATUS_NOT_EXECUTABLE;
    }
    if (status.st_size > RUN_PROGRAM_MAX) {
        fail(name, "is too large for a program");
        return STATUS_NOT_EXECUTABLE;
    }
    program->length = (size_t)status.st_size;
    program->bytes = mmap(NULL, program->length, PROT_READ, MAP_PRIVATE, file, 0);
    close(file);
    if (program->bytes == MAP_FAILED) {
        fail_errno(name);
        return STATUS_NOT_RUN;
    }
    program->sum = run_sum(RUN_SUM_START, program->bytes, program->length);
    return STATUS_OK;
}

static int give_program(const struct run *run, size_t rank, const struct file *program)
{
    port_name_t session = run->ranks[rank].session;
    uint64_t there = 0;
    corvus_error_t error = run_program(session, program->length, program->sum, program->path,
                                       strlen(program->path), &there);

    if (error == ERR_ACCESS_DENIED)
        return fail_rank(run, rank, "does not know this node's key");
    for (size_t at = 0; error == ERR_OK && there == 0 && at < program->length;) {
        size_t length = program->length - at;
        if (length > RUN_PIECE_MAX)
            length = RUN_PIECE_MAX;
        error = run_file(session, at, program->bytes + at, length);
        at += length;
    }
    return error == ERR_OK ? STATUS_OK : fail_rank_message(run, rank, error);
}

// --- The agents ----------------------------------------------------------------------------------

static int read_key(uint64_t key[2])
{
    int file = open(RUN_KEY_FILE, O_RDONLY | O_CLOEXEC);
    ssize_t got = file >= 0 ? read(file, key, 16) : -1;

    if (file < 0)
        fail(RUN_KEY_FILE, errno == ENOENT   ? "is not there; does this node's agent run?"
                           : errno == EACCES ? "only root may start programs on nodes"
                                             : strerror(errno));
    else
        close(file);
    if (file >= 0 && got != 16)
        fail(RUN_KEY_FILE, "is spoiled");
    return got == 16 ? STATUS_OK : STATUS_NOT_RUN;
}

static int find_agent(const struct run *run, size_t rank, port_name_t server, port_name_t *agent)
{
    uint64_t node = run->ranks[rank].node, state;
    corvus_error_t error = netname_node(server, node, &state, NULL, NULL, NULL, NULL);

    if (error == ERR_NOT_FOUND)
        return fail_rank(run, rank, "is not a node of this cluster");
    for (int tries = 0; error == ERR_OK && tries < AGENT_TRIES; tries++) {
        static const struct timespec pause = {.tv_nsec = AGENT_PAUSE_NS};
        error = corvus_look_up(RUN_NAME, node, false, agent);
        if (error != ERR_NOT_FOUND)
            break;
        nanosleep(&pause, NULL);
        error = tries + 1 < AGENT_TRIES ? ERR_OK : ERR_NOT_FOUND;
    }
    if (error == ERR_PEER_DIED)
        return fail_rank(run, rank, "the node is not there");
    if (error == ERR_NOT_FOUND)
        return fail_rank(run, rank, "no agent runs there");
    return error == ERR_OK ? STATUS_OK : fail_rank_message(run, rank, error);
}

// A session, and word of its death.
static int open_rank(struct run *run, size_t rank, port_name_t server, uint64_t self,
                     const uint64_t key[2])
{
    struct rank *one = &run->ranks[rank];
    port_name_t agent;
    int status = find_agent(run, rank, server, &agent);
    corvus_error_t error;

    if (status != STATUS_OK)
        return status;
    error = run_open(agent, self, key[0], key[1], rank, make_send(run->port), &one->session);
    (void)port_deallocate(agent);
    if (error == ERR_NO_MEMORY)
        return fail_rank(run, rank, "the agent has too many processes");
    if (error == ERR_OK)
        error = port_request_notification(one->session, NOTIFY_DEAD_NAME, run->port);
    return error == ERR_OK ? STATUS_OK : fail_rank_message(run, rank, error);
}

int run_prepare(struct run *run)
{
    struct file program;
    uint64_t key[2], self;
    port_name_t server;
    int status = read_program(run->command[0], &program);

    if (status != STATUS_OK)
        return status;
    server = network_server();
    if (server == PORT_NULL || read_key(key) != STATUS_OK)
        return STATUS_NOT_RUN;
    if (netname_cluster(server, &self, NULL, NULL, NULL, NULL) != ERR_OK ||
        port_allocate(0, &run->port) != ERR_OK ||
        getrandom(&run->name, sizeof run->name, 0) != sizeof run->name)
        return fail("network server", "does not answer"), STATUS_NOT_RUN;
    for (size_t rank = 0; status == STATUS_OK && rank < run->count; rank++)
        status = open_rank(run, rank, server, self, key);
    for (size_t rank = 0; status == STATUS_OK && rank < run->count; rank++)
        status = give_program(run, rank, &program);
    (void)munmap((void *)program.bytes, program.length);
    return status;
}

// --- The start -----------------------------------------------------------------------------------

struct text {
    char *bytes;
    size_t length;
    uint64_t strings;
};

// False: it is too long.
static bool add(struct text *text, const char *string)
{
    size_t length = strlen(string) + 1;

    if (length > RUN_TEXT_MAX - text->length || text->strings >= RUN_STRINGS_MAX)
        return false;
    memcpy(text->bytes + text->length, string, length);
    text->length += length;
    text->strings++;
    return true;
}

static bool add_number(struct text *text, const char *name, uint64_t number)
{
    char string[64];

    snprintf(string, sizeof string, "%s=%llu", name, (unsigned long long)number);
    return add(text, string);
}

// Folder, arguments, environment; what the command was given, and who the process is.
static bool write_text(const struct run *run, size_t rank, struct text *text)
{
    char *folder = getcwd(NULL, 0);
    bool fits = add(text, folder != NULL ? folder : "/");

    free(folder);
    text->strings = 0;
    for (size_t i = 0; i < run->words; i++)
        fits = fits && add(text, run->command[i]);
    for (char **variable = environ; *variable != NULL; variable++)
        if (strncmp(*variable, "CORVUS_", 7) != 0)
            fits = fits && add(text, *variable);
    return fits && add_number(text, "CORVUS_RANK", rank) &&
           add_number(text, "CORVUS_NODES", run->count) &&
           add_number(text, "CORVUS_NODE", run->ranks[rank].node) &&
           add_number(text, "CORVUS_RUN", run->name);
}

static int start_rank(struct run *run, size_t rank, struct text *text)
{
    static const char *const steps[] = {
        [RUN_STEP_PROCESS] = "no process",
        [RUN_STEP_FOLDER] = "its folder",
        [RUN_STEP_SHARED] = "the cluster's shared memory",
        [RUN_STEP_PROGRAM] = "the program",
    };
    uint64_t flags = run->shared ? RUN_SHARED : 0, step = 0, reason = 0;
    corvus_error_t error;

    if (!write_text(run, rank, text))
        return fail("arguments and environment", "are too long"), STATUS_NOT_RUN;
    if (rank == 0 && run->input)
        flags |= RUN_INPUT;
    error = run_begin(run->ranks[rank].session, flags, run->words, text->strings, text->bytes,
                      text->length, &step, &reason);
    if (error != ERR_OK)
        return fail_rank_message(run, rank, error);
    if (step == RUN_STEP_NONE)
        return STATUS_OK;
    fprintf(stderr, "corvus: %s: %s: %s\n", rank_name(run, rank),
            step < sizeof steps / sizeof steps[0] ? steps[step] : "an unknown step",
            strerror((int)reason));
    return step == RUN_STEP_PROGRAM && reason != ENOENT ? STATUS_NOT_EXECUTABLE : STATUS_NOT_RUN;
}

int run_start(struct run *run)
{
    struct text text = {.bytes = malloc(RUN_TEXT_MAX)};
    int status = STATUS_OK;

    if (text.bytes == NULL)
        return fail_errno("memory"), STATUS_NOT_RUN;
    for (size_t rank = 0; status == STATUS_OK && rank < run->count; rank++) {
        text.length = 0;
        status = start_rank(run, rank, &text);
    }
    free(text.bytes);
    return status;
}
