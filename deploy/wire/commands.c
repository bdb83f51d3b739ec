// SPDX-License-Identifier: BSD-2-Clause
// The control socket, from both sides. Nothing here waits for a client: an answer fits into the
// empty buffer of its socket, or the client is dropped.
#include "deploy/wire/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "deploy/wire/report.h"

enum {
    STATUS_ERROR = 1,
    STATUS_NO_HUB = 3,
    // A command that takes longer has met a hub that hangs.
    ANSWER_SECONDS = 10,
};

static bool complain(const char *what)
{
    fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
    return false;
}

static bool set_path(struct sockaddr_un *address, const char *folder)
{
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (snprintf(address->sun_path, sizeof address->sun_path, "%s/wire.control", folder) >=
        (int)sizeof address->sun_path) {
        errno = ENAMETOOLONG;
        return complain(folder);
    }
    return true;
}

static int connect_to(const struct sockaddr_un *address)
{
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client >= 0 && connect(client, (const struct sockaddr *)address, sizeof *address) != 0) {
        close(client);
        return -1;
    }
    return client;
}

bool commands_open(struct commands *commands, const char *folder)
{
    struct sockaddr_un address;
    memset(commands, 0, sizeof *commands);
    commands->listener = -1;
    for (unsigned i = 0; i < COMMANDS_CLIENTS_MAX; i++)
        commands->clients[i].socket = -1;
    if (!set_path(&address, folder))
        return false;
    int other = connect_to(&address);
    if (other >= 0) {
        close(other);
        fprintf(stderr, "wire: %s: a hub is at work there\n", folder);
        return false;
    }
    unlink(address.sun_path);
    commands->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (commands->listener < 0)
        return complain("socket");
    // Who may use the folder, not who may reach it.
    mode_t mask = umask(0077);
    bool bound = bind(commands->listener, (struct sockaddr *)&address, sizeof address) == 0;
    umask(mask);
    if (!bound || listen(commands->listener, COMMANDS_CLIENTS_MAX) != 0)
        return complain(address.sun_path);
    return true;
}

static void drop(struct commands_client *client)
{
    close(client->socket);
    client->socket = -1;
    client->length = 0;
}

int commands_accept(struct commands *commands)
{
    int socket = accept4(commands->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0)
        return -1;
    unsigned place = 0;
    while (place < COMMANDS_CLIENTS_MAX && commands->clients[place].socket >= 0)
        place++;
    if (place == COMMANDS_CLIENTS_MAX) {
        place = commands->next;
        commands->next = (commands->next + 1) % COMMANDS_CLIENTS_MAX;
        drop(&commands->clients[place]);
    }
    commands->clients[place].socket = socket;
    int room = REPORT_BYTES * 2;
    setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    return (int)place;
}

const char *commands_read(struct commands *commands, unsigned place)
{
    struct commands_client *client = &commands->clients[place];
    ssize_t length = recv(client->socket, client->line + client->length,
                          sizeof client->line - client->length, 0);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return NULL;
    if (length <= 0) {
        drop(client);
        return NULL;
    }
    client->length += (size_t)length;
    char *end = memchr(client->line, '\n', client->length);
    if (end != NULL) {
        *end = '\0';
        // A NUL inside would hide the rest of the line.
        if (strlen(client->line) == (size_t)(end - client->line))
            return client->line;
    }
    if (end != NULL || client->length == sizeof client->line) {
        static const char answer[] = "error: a command is one line of text\n";
        commands_answer(commands, place, answer, sizeof answer - 1);
    }
    return NULL;
}

void commands_answer(struct commands *commands, unsigned place, const char *answer, size_t length)
{
    struct commands_client *client = &commands->clients[place];
    // One that does not take it all sees a cut answer, and so does its user.
    (void)send(client->socket, answer, length, MSG_NOSIGNAL);
    drop(client);
}

void commands_close(struct commands *commands, const char *folder)
{
    struct sockaddr_un address;
    for (unsigned i = 0; i < COMMANDS_CLIENTS_MAX; i++)
        if (commands->clients[i].socket >= 0)
            drop(&commands->clients[i]);
    if (commands->listener >= 0 && set_path(&address, folder)) {
        close(commands->listener);
        unlink(address.sun_path);
    }
}

// --- The client ---------------------------------------------------------------------------------

// Reads to the end. -1 when it does not come, or is too long.
static ssize_t read_all(int socket, char *answer, size_t room)
{
    size_t length = 0;
    for (;;) {
        ssize_t more = recv(socket, answer + length, room - length, 0);
        if (more == 0)
            return (ssize_t)length;
        if (more < 0 && errno == EINTR)
            continue;
        if (more < 0 || length + (size_t)more == room)
            return -1;
        length += (size_t)more;
    }
}

int commands_tell(const char *folder, const char *line)
{
    static char answer[REPORT_BYTES + 16];
    struct sockaddr_un address;
    struct timeval limit = {.tv_sec = ANSWER_SECONDS};
    if (!set_path(&address, folder))
        return STATUS_ERROR;
    int hub = connect_to(&address);
    if (hub < 0) {
        fprintf(stderr, "wire: no hub is at work\n");
        return STATUS_NO_HUB;
    }
    setsockopt(hub, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ssize_t length = -1;
    if (send(hub, line, strlen(line), MSG_NOSIGNAL) == (ssize_t)strlen(line) &&
        send(hub, "\n", 1, MSG_NOSIGNAL) == 1)
        length = read_all(hub, answer, sizeof answer);
    close(hub);
    if (length > 3 && memcmp(answer, "error: ", 7) == 0) {
        fprintf(stderr, "wire: %.*s", (int)length - 7, answer + 7);
        return STATUS_ERROR;
    }
    if (length < 3 || memcmp(answer, "ok\n", 3) != 0) {
        fprintf(stderr, "wire: the hub gave no answer\n");
        return STATUS_NO_HUB;
    }
    fwrite(answer + 3, 1, (size_t)length - 3, stdout);
    return fflush(stdout) == 0 ? 0 : STATUS_ERROR;
}
