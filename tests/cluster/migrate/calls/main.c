// SPDX-License-Identifier: BSD-2-Clause
// Plays all scenes at once (calls.h): begins those that take time, moves their subjects one after
// the other, then the others, each of which is ended as soon as it has moved; all to NODE, and then
// back to HOME. Prints a line for each scene and round: "NAME ROUND ok", or why not.
#include "calls.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCENES_MOST 80
#define TEXT_MOST   200
#define WAIT_MS     120000
#define BEFORE_MS   4000 // that a timed call has gone on when it moves, at least

int span_ms, late_ms;

// From the director to a partner, and on to its subject.
struct order {
    int kind; // 'b': begin, 'm': it has moved, 'q': end
    int round, span_ms, late_ms;
};

// Back: 'i' it is in the call, 'o' it is out of it, 'x' and why not.
struct answer {
    int kind;
    pid_t subject;
    char text[TEXT_MOST];
};

static int answers = -1; // the descriptor to tell what is wrong by

int64_t now_ms(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000ll + time.tv_nsec / 1000000;
}

struct timespec timespec_of(int64_t milliseconds)
{
    return (struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000};
}

void fail(const char *format, ...)
{
    struct answer answer = {.kind = 'x'};
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(answer.text, sizeof answer.text, format, arguments);
    va_end(arguments);
    if (answers < 0 || write(answers, &answer, sizeof answer) != sizeof answer)
        (void)fprintf(stderr, "calls: %s\n", answer.text);
    _exit(1);
}

void need_passed(int64_t since)
{
    int64_t passed = now_ms() - since;

    // A date in whole seconds from now, and clocks in milliseconds.
    if (passed < span_ms - 2)
        fail("over after %lld ms of %d", (long long)passed, span_ms);
    if (passed > span_ms + late_ms)
        fail("over after %lld ms, not %d", (long long)passed, span_ms);
}

static bool read_whole(int from, void *to, size_t bytes)
{
    ssize_t count;

    do
        count = read(from, to, bytes);
    while (count == -1 && errno == EINTR);
    return count == (ssize_t)bytes;
}

static void tell(int to, int kind, pid_t subject)
{
    struct answer answer = {.kind = kind, .subject = subject};

    NEED(write(to, &answer, sizeof answer) == sizeof answer);
}

// --- The subject -------------------------------------------------------------------------

static void be_subject(const struct scene *scene, int orders)
{
    struct order order;

    (void)signal(SIGUSR1, SIG_DFL);
    while (read_whole(orders, &order, sizeof order) && order.kind == 'b') {
        span_ms = order.span_ms;
        late_ms = order.late_ms;
        if (scene->before != NULL)
            scene->before(order.round);
        tell(answers, 'i', getpid());
        scene->call(order.round);
        tell(answers, 'o', getpid());
    }
    _exit(0);
}

// --- The partner -------------------------------------------------------------------------

// The subject tells that it is in the call before it is.
static void wait_asleep(const struct scene *scene, pid_t subject, int round)
{
    char name[32], text[256], state = 0;

    (void)snprintf(name, sizeof name, "/proc/%d/stat", subject);
    for (int tries = 0; tries < 200 && round == 0 && !scene->awake; tries++) {
        FILE *file = fopen(name, "r");

        NEED(file != NULL && fgets(text, sizeof text, file) != NULL);
        (void)fclose(file);
        state = strrchr(text, ')')[2];
        if (state == 'S')
            break;
        DO(usleep(20000));
    }
    DO(usleep(100000));
}

// An answer of the subject's, which is to be of that kind; else it is told the director.
static void await(int from, int kind)
{
    struct answer answer;
    struct pollfd file = {.fd = from, .events = POLLIN};

    if (poll(&file, 1, WAIT_MS + span_ms) != 1)
        fail("the call does not end");
    if (!read_whole(from, &answer, sizeof answer))
        fail("it has ended");
    if (answer.kind != kind)
        fail("%s", answer.kind == 'x' ? answer.text : "an answer that was not asked for");
}

struct subject {
    pid_t pid, meanwhile;
    int orders, answers;
};

static struct subject begin_subject(const struct scene *scene)
{
    struct subject subject = {};
    int orders[2], back[2];

    DO(pipe(orders));
    DO(pipe(back));
    DO(subject.pid = fork());
    if (subject.pid == 0) {
        (void)close(orders[1]);
        (void)close(back[0]);
        answers = back[1];
        be_subject(scene, orders[0]);
    }
    (void)close(orders[0]);
    (void)close(back[1]);
    subject.orders = orders[1];
    subject.answers = back[0];
    return subject;
}

static void begin_call(const struct scene *scene, struct subject *subject,
                       const struct order *order)
{
    NEED(write(subject->orders, order, sizeof *order) == sizeof *order);
    await(subject->answers, 'i');
    wait_asleep(scene, subject->pid, order->round);
    if (scene->meanwhile != NULL) {
        DO(subject->meanwhile = fork());
        if (subject->meanwhile == 0) {
            scene->meanwhile(subject->pid, order->round);
            _exit(0);
        }
    }
    tell(answers, 'i', subject->pid);
}

static void end_call(const struct scene *scene, struct subject *subject, int round)
{
    int status = 0;

    if (subject->meanwhile != 0) {
        NEED(waitpid(subject->meanwhile, &status, 0) == subject->meanwhile);
        NEED(status == 0);
        subject->meanwhile = 0;
    }
    if (scene->end_it != NULL)
        scene->end_it(subject->pid, round);
    await(subject->answers, 'o');
    tell(answers, 'o', subject->pid);
}

static void end_subject(const struct subject *subject)
{
    int status = 0;

    (void)close(subject->orders);
    NEED(waitpid(subject->pid, &status, 0) == subject->pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail("it ended with status %x", status);
    tell(answers, 'o', subject->pid);
}

static struct subject the_subject;

static void kill_subject(void)
{
    if (the_subject.pid > 0)
        (void)kill(the_subject.pid, SIGKILL);
}

static void be_partner(const struct scene *scene, int orders)
{
    struct order order;

    if (scene->prepare != NULL)
        scene->prepare();
    the_subject = begin_subject(scene);
    while (read_whole(orders, &order, sizeof order)) {
        span_ms = order.span_ms;
        late_ms = order.late_ms;
        if (order.kind == 'b') {
            begin_call(scene, &the_subject, &order);
        } else if (order.kind == 'm') {
            end_call(scene, &the_subject, order.round);
        } else {
            end_subject(&the_subject);
            _exit(0);
        }
    }
    kill_subject();
    _exit(0);
}

// --- The director ------------------------------------------------------------------------

struct actor {
    const struct scene *scene;
    pid_t partner, subject;
    int orders, answers;
    bool failed, out;
};

static struct actor actors[SCENES_MOST];
static unsigned int count;
static bool all_right = true;
static int move_ms; // how long the first move took

static void judge(struct actor *actor, int round, const char *text)
{
    printf("%s %d %s\n", actor->scene->name, round, text);
    (void)fflush(stdout);
    if (strcmp(text, "ok") == 0)
        return;
    actor->failed = true;
    all_right = false;
    if (actor->subject > 0)
        (void)kill(actor->subject, SIGKILL);
}

static void add(const struct scene *scene)
{
    struct actor *actor = &actors[count++];
    int orders[2], back[2];

    *actor = (struct actor){.scene = scene};
    DO(pipe(orders));
    DO(pipe(back));
    DO(actor->partner = fork());
    if (actor->partner == 0) {
        for (unsigned int i = 0; i + 1 < count; i++) {
            (void)close(actors[i].orders);
            (void)close(actors[i].answers);
        }
        (void)close(orders[1]);
        (void)close(back[0]);
        answers = back[1];
        be_partner(scene, orders[0]);
    }
    (void)close(orders[0]);
    (void)close(back[1]);
    actor->orders = orders[1];
    actor->answers = back[0];
}

static void order(struct actor *actor, int kind, int round)
{
    struct order order = {kind, round, span_ms, late_ms};

    if (!actor->failed && write(actor->orders, &order, sizeof order) != sizeof order)
        judge(actor, round, "its partner has ended");
}

// What its partner says next. False: that it failed, which is told.
static bool hears(struct actor *actor, int kind, int round)
{
    struct pollfd file = {.fd = actor->answers, .events = POLLIN};
    struct answer answer;

    if (actor->failed)
        return false;
    if (poll(&file, 1, WAIT_MS + span_ms) != 1)
        judge(actor, round, "its partner says nothing");
    else if (!read_whole(actor->answers, &answer, sizeof answer))
        judge(actor, round, "its partner has ended");
    else if (answer.kind != kind)
        judge(actor, round, answer.text);
    else
        actor->subject = answer.subject;
    return !actor->failed;
}

// Runs a command, whose output becomes `text`. Its status.
static int run(const char *command, char *text, size_t room)
{
    FILE *from = popen(command, "r");
    size_t bytes;
    int status;

    NEED(from != NULL);
    bytes = fread(text, 1, room - 1, from);
    text[bytes] = 0;
    while (fgetc(from) != EOF)
        ;
    status = pclose(from);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void move(struct actor *actor, const char *node, int round)
{
    char command[100], text[TEXT_MOST] = "";
    int64_t begin = now_ms();

    if (actor->failed)
        return;
    (void)snprintf(command, sizeof command, "corvus migrate %d %s 2>&1", actor->subject, node);
    if (run(command, text, sizeof text) != 0) {
        text[strcspn(text, "\n")] = 0;
        judge(actor, round, text[0] != 0 ? text : "it does not move");
    }
    if (move_ms == 0)
        move_ms = (int)(now_ms() - begin);
}

static void begin_timed(int round)
{
    for (unsigned int i = 0; i < count; i++) {
        if (!actors[i].scene->timed)
            continue;
        order(&actors[i], 'b', round);
        (void)hears(&actors[i], 'i', round);
    }
}

static void move_timed(const char *node, int round, int64_t begun)
{
    for (unsigned int i = 0; i < count; i++) {
        if (!actors[i].scene->timed)
            continue;
        move(&actors[i], node, round);
        if (now_ms() > begun + span_ms)
            judge(&actors[i], round, "it was moved too late: the machine is too slow");
        order(&actors[i], 'm', round);
    }
}

static void play_others(const char *node, int round, unsigned int first, unsigned int end)
{
    for (unsigned int i = first; i < end; i++) {
        if (actors[i].scene->timed)
            continue;
        order(&actors[i], 'b', round);
        if (!hears(&actors[i], 'i', round))
            continue;
        move(&actors[i], node, round);
        order(&actors[i], 'm', round);
    }
}

// Whether a line of `corvus ps` is of that process, and says that it is away.
static bool is_away(const char *list, pid_t subject)
{
    for (const char *line = list; line != NULL && *line != 0;) {
        const char *end = strchr(line, '\n');
        char *rest;

        if (strtol(line, &rest, 10) == subject && rest != line)
            return end != NULL && memmem(line, (size_t)(end - line), "away", 4) != NULL;
        line = end != NULL ? end + 1 : NULL;
    }
    return false;
}

static void collect(int round)
{
    static char list[20000];

    for (unsigned int i = 0; i < count; i++)
        actors[i].out = hears(&actors[i], 'o', round);
    NEED(run("corvus ps", list, sizeof list) == 0);
    for (unsigned int i = 0; i < count; i++) {
        if (!actors[i].out)
            continue;
        if (is_away(list, actors[i].subject) != (round == 0))
            judge(&actors[i], round, round == 0 ? "it is not there" : "it is not back");
        else
            judge(&actors[i], round, "ok");
    }
}

static void play(const char *node, int round)
{
    unsigned int first = 0, timed = 0;
    int64_t begun;

    while (first < count && actors[first].scene->timed)
        first++;
    for (unsigned int i = 0; i < count; i++)
        timed += actors[i].scene->timed;
    late_ms = 1500 + 3 * move_ms;
    play_others(node, round, first, first + 1);
    late_ms = 1500 + 2 * move_ms;
    span_ms = (late_ms + BEFORE_MS + (int)timed * (100 + move_ms * 3 / 2)) / 1000 * 1000 + 1000;
    printf("# a move takes %d ms; timed calls %d ms\n", move_ms, span_ms);
    begun = now_ms();
    begin_timed(round);
    while (now_ms() < begun + late_ms + BEFORE_MS / 2)
        DO(usleep(100000));
    move_timed(node, round, begun);
    play_others(node, round, first + 1, count);
    collect(round);
}

static void end_all(void)
{
    for (unsigned int i = 0; i < count; i++)
        order(&actors[i], 'q', 2);
    for (unsigned int i = 0; i < count; i++)
        if (hears(&actors[i], 'o', 2))
            judge(&actors[i], 2, "ok");
    for (unsigned int i = 0; i < count; i++)
        (void)close(actors[i].orders);
    while (wait(NULL) != -1)
        ;
}

// All of a part of the table, or those that are named.
static void add_all(const struct scene *scenes, char **names)
{
    for (; scenes->name != NULL; scenes++) {
        bool wanted = names[0] == NULL;

        for (char **name = names; *name != NULL; name++)
            wanted |= strcmp(*name, scenes->name) == 0;
        if (wanted)
            add(scenes);
    }
}

int main(int argc, char **argv)
{
    static const struct scene *const parts[] = {file_scenes, time_scenes,   signal_scenes,
                                                task_scenes, memory_scenes, NULL};

    if (argc == 2 && strcmp(argv[1], "list") == 0) {
        for (const struct scene *const *part = parts; *part != NULL; part++)
            for (const struct scene *scene = *part; scene->name != NULL; scene++)
                printf("%s %s\n", scene->name, scene->what);
        return 0;
    }
    if (argc < 3) {
        (void)fputs("usage: calls NODE HOME [SCENE…]\n       calls list\n", stderr);
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    for (const struct scene *const *part = parts; *part != NULL; part++)
        add_all(*part, argv + 3);
    play(argv[1], 0);
    play(argv[2], 1);
    end_all();
    return all_right ? 0 : 1;
}
