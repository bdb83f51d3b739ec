// SPDX-License-Identifier: BSD-2-Clause
// The directory of segments: what each change does, and replicas of several nodes whose links break
// and heal at random.
// sources: $(DSM_DIRECTORY)
#include "dsm/core/directory_internal.h"

#include "tap.h"

#include <stdlib.h>
#include <string.h>

#define NODES    5u
#define QUEUE    4096u
#define REQUESTS 4096u

struct letter {
    uint8_t *bytes; // NULL: a hello
    size_t count;
};

struct link {
    struct letter letters[QUEUE];
    unsigned first, count;
};

struct request {
    struct directory_change change;
    corvus_error_t error;
    uint64_t segment;
    unsigned answers;
};

static struct world {
    unsigned nodes;
    struct directory *replicas[NODES + 1];
    struct directory_nodes members[NODES + 1];
    struct link links[NODES + 1][NODES + 1]; // from, to
    bool up[NODES + 1][NODES + 1];           // both ways
    struct request requests[REQUESTS];
    unsigned asked;
    uint64_t clock;
} world;

static unsigned changes_told, times_settled;

// --- The world -----------------------------------------------------------------------------------

static void post(unsigned from, unsigned to, const void *bytes, size_t count)
{
    struct link *link = &world.links[from][to];
    struct letter *letter = &link->letters[(link->first + link->count) % QUEUE];

    if (!world.up[from][to])
        return;
    if (link->count == QUEUE)
        abort();
    *letter = (struct letter){.count = count};
    if (bytes != NULL) {
        letter->bytes = malloc(count);
        memcpy(letter->bytes, bytes, count);
    }
    link->count++;
}

static void send(void *context, unsigned node, const void *bytes, size_t count)
{
    post((unsigned)(uintptr_t)context, node, bytes, count);
}

static void done(void *context, void *token, corvus_error_t error, uint64_t segment)
{
    struct request *request = token;

    (void)context;
    request->error = error;
    request->segment = segment;
    request->answers++;
}

static void changed(void *context, uint64_t segment)
{
    (void)context;
    (void)segment;
    changes_told++;
}

static void settled(void *context)
{
    (void)context;
    times_settled++;
}

static const struct directory_output output = {send, done, changed, settled};

static void view(unsigned node)
{
    unsigned count = 0;

    for (unsigned other = 1; other <= world.nodes; other++)
        count += directory_has_node(&world.members[node], other);
    bool majority = 2 * count > world.nodes ||
                    (2 * count == world.nodes && directory_has_node(&world.members[node], 1));
    directory_view(world.replicas[node], &world.members[node], majority);
}

static void drop_letters(struct link *link)
{
    for (; link->count > 0; link->count--, link->first = (link->first + 1) % QUEUE)
        free(link->letters[link->first].bytes);
}

static void connect(unsigned one, unsigned other)
{
    world.up[one][other] = world.up[other][one] = true;
    post(one, other, NULL, 0);
    post(other, one, NULL, 0);
}

// Both sides have heard of it when this returns, one after the other.
static void disconnect(unsigned one, unsigned other)
{
    world.up[one][other] = world.up[other][one] = false;
    drop_letters(&world.links[one][other]);
    drop_letters(&world.links[other][one]);
    directory_remove_node(&world.members[one], other);
    directory_remove_node(&world.members[other], one);
    view(one);
    view(other);
}

static void start(unsigned node)
{
    world.replicas[node] =
        directory_create(node, ++world.clock * 1000000, &output, (void *)(uintptr_t)node);
    world.members[node] = (struct directory_nodes){0};
    directory_add_node(&world.members[node], node);
    view(node);
}

static void stop(unsigned node)
{
    for (unsigned other = 1; other <= world.nodes; other++)
        if (other != node && world.up[node][other])
            disconnect(node, other);
    directory_destroy(world.replicas[node]);
}

static void open_world(unsigned nodes)
{
    memset(&world, 0, sizeof world);
    world.nodes = nodes;
    for (unsigned node = 1; node <= nodes; node++)
        start(node);
    for (unsigned one = 1; one <= nodes; one++)
        for (unsigned other = one + 1; other <= nodes; other++)
            connect(one, other);
}

static void close_world(void)
{
    for (unsigned node = 1; node <= world.nodes; node++) {
        stop(node);
        for (unsigned other = 1; other <= world.nodes; other++)
            drop_letters(&world.links[node][other]);
    }
}

static bool deliver(unsigned from, unsigned to)
{
    struct link *link = &world.links[from][to];
    struct letter letter = link->letters[link->first];
    bool valid = true;

    if (link->count == 0)
        return true;
    link->first = (link->first + 1) % QUEUE;
    link->count--;
    if (letter.bytes == NULL) {
        directory_add_node(&world.members[to], from);
        view(to);
    } else {
        valid = directory_receive(world.replicas[to], from, letter.bytes, letter.count);
    }
    free(letter.bytes);
    return valid;
}

static bool deliver_all(void)
{
    bool valid = true, more = true;

    while (more) {
        more = false;
        for (unsigned from = 1; from <= world.nodes; from++)
            for (unsigned to = 1; to <= world.nodes; to++)
                if (world.links[from][to].count != 0) {
                    more = true;
                    valid = deliver(from, to) && valid;
                }
    }
    return valid;
}

static void name_of(struct directory_change *change, const char *name, const char *other)
{
    change->name_bytes = (uint8_t)strlen(name);
    memcpy(change->name, name, change->name_bytes);
    change->other_bytes = (uint8_t)strlen(other);
    memcpy(change->other, other, change->other_bytes);
}

static struct request *ask(unsigned node, struct directory_change change, const char *name,
                           const char *other)
{
    struct request *request = &world.requests[world.asked++];

    name_of(&change, name, other);
    change.time = ++world.clock;
    *request = (struct request){.change = change, .error = ERR_COUNT};
    corvus_error_t error = directory_ask(world.replicas[node], &change, request);
    if (error != ERR_OK) {
        request->error = error;
        request->answers++;
    }
    return request;
}

static corvus_error_t tell(unsigned node, struct directory_change change, const char *name,
                           const char *other)
{
    struct request *request = ask(node, change, name, other);

    if (!deliver_all())
        return ERR_PROTOCOL;
    return request->answers == 1 ? request->error : ERR_COUNT;
}

static struct directory_change plain(enum directory_kind kind)
{
    return (struct directory_change){.kind = (uint8_t)kind};
}

static struct directory_change of_segment(enum directory_kind kind, uint64_t segment, unsigned node)
{
    return (struct directory_change){
        .kind = (uint8_t)kind, .segment = segment, .node = (uint8_t)node};
}

static uint64_t number(unsigned node, const char *name)
{
    const struct directory_name *found = directory_find(world.replicas[node], name, strlen(name));

    return found == NULL ? 0 : found->segment->number;
}

// --- What changes do -----------------------------------------------------------------------------

static void names_behave(void)
{
    struct directory_change no_replace = plain(DIRECTORY_RENAME);
    struct directory_change exchange = plain(DIRECTORY_RENAME);

    no_replace.flags = SEGMENT_NO_REPLACE;
    exchange.flags = SEGMENT_EXCHANGE;
    open_world(1);
    tap_ok(tell(1, plain(DIRECTORY_CREATE), "a", "") == ERR_OK, "a segment is made");
    tap_ok(tell(1, plain(DIRECTORY_CREATE), "a", "") == ERR_IN_USE, "not twice");
    tap_ok(tell(1, plain(DIRECTORY_CREATE), "b", "") == ERR_OK, "another one");
    uint64_t a = number(1, "a"), b = number(1, "b");
    tap_ok(a != 0 && b != 0 && a != b, "of another number");
    tap_ok(tell(1, of_segment(DIRECTORY_LINK, a, 0), "c", "") == ERR_OK &&
               directory_segment(world.replicas[1], a)->links == 2,
           "a second name");
    tap_ok(tell(1, of_segment(DIRECTORY_LINK, a, 0), "b", "") == ERR_IN_USE, "not one in use");
    tap_ok(tell(1, of_segment(DIRECTORY_LINK, 99, 0), "d", "") == ERR_NOT_FOUND, "of nothing");
    tap_ok(tell(1, no_replace, "a", "b") == ERR_IN_USE, "rename without replacing");
    tap_ok(tell(1, exchange, "a", "d") == ERR_NOT_FOUND, "exchange with nothing");
    tap_ok(tell(1, exchange, "a", "b") == ERR_OK && number(1, "a") == b && number(1, "b") == a,
           "exchange");
    tap_ok(tell(1, plain(DIRECTORY_RENAME), "b", "c") == ERR_OK && number(1, "b") == a,
           "rename onto the same segment's name changes nothing");
    tap_ok(tell(1, plain(DIRECTORY_RENAME), "b", "a") == ERR_OK && number(1, "b") == 0 &&
               number(1, "a") == a && directory_segment(world.replicas[1], b) == NULL,
           "rename replaces; the segment without a name is gone");
    tap_ok(tell(1, plain(DIRECTORY_RENAME), "a", "a longer one") == ERR_OK &&
               number(1, "a longer one") == a,
           "a longer name");
    tap_ok(tell(1, plain(DIRECTORY_UNLINK), "x", "") == ERR_NOT_FOUND, "unlink of nothing");
    tap_ok(tell(1, plain(DIRECTORY_CREATE), "x/y", "") == ERR_INVALID_ARGUMENT, "a slash");
    tap_ok(tell(1, plain(DIRECTORY_CREATE), "", "") == ERR_INVALID_ARGUMENT, "no name");
    close_world();
}

static void segments_live_while_held(void)
{
    struct directory_change size = {.kind = DIRECTORY_SET, .which = SEGMENT_SET_SIZE, .size = 9000};

    open_world(2);
    (void)deliver_all();
    (void)tell(2, plain(DIRECTORY_CREATE), "s", "");
    uint64_t s = size.segment = number(2, "s");
    tap_ok(tell(1, size, "", "") == ERR_OK && directory_segment(world.replicas[2], s)->size == 9000,
           "its size is told to the other node");
    size.size = SEGMENT_SIZE_MAX + 1;
    tap_ok(tell(1, size, "", "") == ERR_INVALID_ARGUMENT, "too large a size");
    tap_ok(tell(1, of_segment(DIRECTORY_HOLD, s, 1), "", "") == ERR_OK &&
               tell(2, of_segment(DIRECTORY_HOLD, s, 2), "", "") == ERR_OK,
           "both have it open");
    tap_ok(tell(2, plain(DIRECTORY_UNLINK), "s", "") == ERR_OK && number(1, "s") == 0 &&
               directory_segment(world.replicas[1], s) != NULL,
           "without a name it lives on");
    tap_ok(tell(1, of_segment(DIRECTORY_LINK, s, 0), "t", "") == ERR_NOT_FOUND,
           "and gets no name any more");
    (void)tell(1, of_segment(DIRECTORY_DROP, s, 1), "", "");
    tap_ok(directory_segment(world.replicas[1], s) != NULL, "while one node has it open");
    disconnect(1, 2);
    (void)deliver_all();
    tap_ok(directory_segment(world.replicas[1], s) == NULL, "until that one is gone");
    tap_ok(tell(2, plain(DIRECTORY_CREATE), "u", "") == ERR_PEER_DIED, "which is a minority");
    connect(1, 2);
    (void)deliver_all();
    tap_ok(directory_segment(world.replicas[2], s) == NULL &&
               tell(2, plain(DIRECTORY_CREATE), "u", "") == ERR_OK,
           "and learns of it when it is back");
    close_world();
}

static void it_is_bounded(void)
{
    struct directory_change change = plain(DIRECTORY_CREATE);
    corvus_error_t error = ERR_OK;
    char name[SEGMENT_NAME_MAX + 1];
    unsigned made = 0;

    open_world(1);
    for (unsigned i = 0; error == ERR_OK && i < 1000; i++) {
        snprintf(name, sizeof name, "%0255u", i);
        error = tell(1, change, name, "");
        made += error == ERR_OK;
    }
    tap_ok(error == ERR_NO_MEMORY && made >= 64,
           "names of the longest kind until there is no room");
    tap_ok(tell(1, plain(DIRECTORY_UNLINK), name, "") == ERR_NOT_FOUND,
           "the last one is not there");
    snprintf(name, sizeof name, "%0255u", 0u);
    tap_ok(tell(1, plain(DIRECTORY_UNLINK), name, "") == ERR_OK &&
               tell(1, change, name, "") == ERR_OK,
           "one gone, one more");
    close_world();
}

// --- What comes from outside ---------------------------------------------------------------------

static void images_are_looked_at(void)
{
    static struct directory_contents contents, read;
    static uint8_t image[DIRECTORY_IMAGE_MAX], bad[DIRECTORY_IMAGE_MAX];
    struct directory_change change = plain(DIRECTORY_CREATE);
    unsigned refused = 0, taken = 0;
    uint64_t segment;

    contents_open(&contents);
    for (unsigned i = 0; i < 3; i++) {
        char name[8];
        snprintf(name, sizeof name, "name%u", i);
        name_of(&change, name, "");
        (void)contents_make(&contents, &change, &segment);
    }
    size_t count = image_write(&contents, image);
    tap_ok(count == contents.image_bytes, "an image is as long as was reckoned");
    bool good = image_read(&read, image, count);
    // Segments are in no order of theirs, so the other way round.
    good = good && image_write(&read, bad) == count;
    contents_close(&read);
    good = good && image_read(&read, bad, count) && image_write(&read, bad) == count;
    tap_ok(good && memcmp(image, bad, count) == 0, "read and written again it is the same");
    contents_close(&read);
    tap_ok(!image_read(&read, image, count - 1) && !image_read(&read, image, 0),
           "one cut short is refused");
    srand(1);
    for (unsigned i = 0; i < 20000; i++) {
        memcpy(bad, image, count);
        for (unsigned j = 0; j <= i % 3; j++)
            bad[(unsigned)rand() % 40 + (i % 2 ? count - 60 - (unsigned)rand() % 200 : 0)] =
                (uint8_t)rand();
        if (image_read(&read, bad, count)) {
            taken++;
            contents_close(&read);
        } else {
            refused++;
        }
    }
    tap_ok(refused > 1000 && taken > 0, "altered ones are refused, or are images, too");
    contents_close(&contents);
}

static void wrong_messages_are_refused(void)
{
    uint8_t bytes[1200] = {0};
    unsigned valid = 0;

    open_world(2);
    (void)deliver_all();
    srand(2);
    for (unsigned i = 0; i < 20000; i++) {
        size_t count = (unsigned)rand() % sizeof bytes;
        for (size_t j = 0; j < count; j++)
            bytes[j] = (uint8_t)rand();
        if (count > 4)
            memset(bytes + 1, 0, 3);
        bytes[0] %= 10;
        if (i % 2 == 0 && count > 32)
            memset(bytes + 4, 0, 28); // early epochs
        valid += directory_receive(world.replicas[1], 2, bytes, count);
        drop_letters(&world.links[1][2]);
    }
    (void)deliver_all();
    tap_ok(valid < 20000, "messages of no meaning");
    tap_ok(!directory_receive(world.replicas[1], 0, bytes, 100) &&
               !directory_receive(world.replicas[1], 255, bytes, 100) &&
               !directory_receive(world.replicas[1], 1, bytes, 100),
           "nodes that there are not");
    close_world();
}

// --- Many nodes ----------------------------------------------------------------------------------

static bool all_alike(void)
{
    static uint8_t images[2][DIRECTORY_IMAGE_MAX];
    size_t count = 0;

    for (unsigned node = 1; node <= world.nodes; node++) {
        // The first member of a directory's structure is private: by what can be seen.
        size_t bytes = 0;
        uint8_t *at = images[node > 1];
        for (const struct directory_name *name = directory_next(world.replicas[node], 0);
             name != NULL; name = directory_next(world.replicas[node], name->cookie)) {
            memcpy(at + bytes, name->text, name->bytes);
            bytes += name->bytes;
            memcpy(at + bytes, &name->cookie, 8);
            memcpy(at + bytes + 8, &name->segment->number, 8);
            memcpy(at + bytes + 16, &name->segment->holders, sizeof name->segment->holders);
            memcpy(at + bytes + 48, &name->segment->version, 8);
            bytes += 56;
        }
        if (!directory_settled(world.replicas[node]))
            return false;
        if (node > 1 && (bytes != count || memcmp(images[0], images[1], count) != 0))
            return false;
        count = bytes;
    }
    return true;
}

static void heal(void)
{
    for (unsigned one = 1; one <= world.nodes; one++)
        for (unsigned other = one + 1; other <= world.nodes; other++)
            if (!world.up[one][other])
                connect(one, other);
    for (unsigned i = 0; i < 12; i++) {
        (void)deliver_all();
        for (unsigned node = 1; node <= world.nodes; node++)
            directory_tick(world.replicas[node]);
    }
    (void)deliver_all();
}

// A server that knows all others begins before one that does not yet, which hears nothing of it
// then.
static void who_was_not_heard_asks_again(void)
{
    open_world(2);
    (void)deliver(2, 1); // the hello; 1 asks 2, who has not heard 1's
    world.links[1][2].first = (world.links[1][2].first + 1) % QUEUE;
    world.links[1][2].count--;
    tap_ok(world.links[1][2].count == 1 && deliver(1, 2) && world.links[2][1].count == 0,
           "who asks a node that does not know it is not heard");
    post(1, 2, NULL, 0);
    heal();
    tap_ok(tell(2, plain(DIRECTORY_CREATE), "one", "") == ERR_OK, "and asks again");
    close_world();
}

static unsigned random_node(void)
{
    return (unsigned)rand() % world.nodes + 1;
}

// Each name is made once and taken away at most once, so its fate tells what was lost or done
// twice.
static bool fates_are_right(void)
{
    for (unsigned i = 0; i < world.asked; i++) {
        const struct request *request = &world.requests[i];
        char name[SEGMENT_NAME_MAX + 1] = {0};
        memcpy(name, request->change.name, request->change.name_bytes);
        if (request->answers != 1) {
            printf("# request %u has %u answers\n", i, request->answers);
            return false;
        }
        if (request->change.kind != DIRECTORY_CREATE || request->error != ERR_OK)
            continue;
        const struct request *end = NULL;
        for (unsigned j = i + 1; j < world.asked; j++)
            if (world.requests[j].change.kind == DIRECTORY_UNLINK &&
                memcmp(&world.requests[j].change.name, request->change.name, 8) == 0)
                end = &world.requests[j];
        bool there = number(1, name) == request->segment;
        // A change that ended with PEER_DIED may have been made.
        bool right = end == NULL || end->error == ERR_NOT_FOUND ? there
                     : end->error == ERR_OK                     ? !there
                                                                : true;
        if (!right) {
            printf("# `%s` %u segment %d: there %d %d, end %d\n", name, i, (int)request->segment,
                   there, (int)number(1, name), end == NULL ? -1 : (int)end->error);
            return false;
        }
    }
    return true;
}

static bool one_life(unsigned seed, bool restarts)
{
    srand(seed);
    open_world(2 + seed % (NODES - 1));
    heal();
    for (unsigned i = 0, made = 0, gone = 0; i < 400; i++) {
        unsigned one = random_node(), other = random_node(), dice = (unsigned)rand() % 100;
        char name[16];
        if (dice < 25) {
            snprintf(name, sizeof name, "%08u", made++);
            (void)ask(one, plain(DIRECTORY_CREATE), name, "");
        } else if (dice < 35 && gone < made) {
            snprintf(name, sizeof name, "%08u", gone++);
            (void)ask(one, plain(DIRECTORY_UNLINK), name, "");
        } else if (dice < 38 && one != other && world.up[one][other]) {
            disconnect(one, other);
        } else if (dice < 42 && one != other && !world.up[one][other]) {
            connect(one, other);
        } else if (dice < 43 && restarts && i % 3 == 0) {
            // Not more than a minority forgets at a time.
            heal();
            stop(one);
            start(one);
            heal();
        } else if (dice < 46) {
            directory_tick(world.replicas[one]);
        } else {
            for (unsigned j = 0; j < 6; j++)
                (void)deliver(random_node(), random_node());
        }
    }
    heal();
    bool alike = all_alike(), right = fates_are_right();
    if (!alike || !right) {
        for (unsigned node = 1; node <= world.nodes; node++) {
            struct directory_status status;
            directory_status(world.replicas[node], &status);
            printf("# node %u: coordinator %u epoch %llx sequence %llu members %llx settled %d\n",
                   node, status.coordinator, (unsigned long long)status.epoch,
                   (unsigned long long)status.sequence, (unsigned long long)status.members.bits[0],
                   directory_settled(world.replicas[node]));
        }
    }
    close_world();
    if (!alike || !right)
        printf("# seed %u: %s\n", seed, alike ? "fates" : "replicas differ");
    return alike && right;
}

static void many_lives(void)
{
    bool good = true, good_with_restarts = true;

    for (unsigned seed = 1; seed <= 300 && good; seed++)
        good = one_life(seed, false);
    tap_ok(good, "300 lives of 2 to 5 nodes whose links break: nothing is lost or done twice");
    for (unsigned seed = 1; seed <= 300 && good_with_restarts; seed++)
        good_with_restarts = one_life(seed + 1000, true);
    tap_ok(good_with_restarts, "300 with nodes that are started anew");
}

int main(void)
{
    names_behave();
    segments_live_while_held();
    it_is_bounded();
    images_are_looked_at();
    wrong_messages_are_refused();
    who_was_not_heard_asks_again();
    many_lives();
    tap_ok(changes_told > 0 && times_settled > 0, "changes were told");
    return tap_end();
}
