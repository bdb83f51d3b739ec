// SPDX-License-Identifier: BSD-2-Clause
// sources: netipc/core/secure.c netipc/core/noise.c netipc/core/aead.c $(CRYPTO_UNIT)
// Hellos of sessions: who comes to an agreement, and who is told nothing.
#include "tests/unit/secure_scene.h"
#include "tests/unit/hex.h"
#include "tap.h"

static struct scene scene;
static const uint8_t untouched[SECURE_HELLO_BYTES] = {0};

// Nothing was answered, and no session is left.
static bool is_refused(enum secure_error error, enum secure_error expected)
{
    return error == expected && memcmp(scene.answer, untouched, sizeof untouched) == 0 &&
           scene_is_wiped(&scene.responder, expected) && secure_peer(&scene.responder) == NULL;
}

static void test_agreement(uint32_t options)
{
    scene_begin(&scene, options);
    tap_ok(scene_hellos(&scene) == SECURE_OK, "two nodes agree");
    const struct secure_node *peer = secure_peer(&scene.initiator);
    tap_ok(scene_is_node(peer, &scene.two.self), "the initiator knows who answered");
    uint8_t segment[SECURE_OVERHEAD_BYTES + 1];
    tap_ok(!secure_is_open(&scene.responder) && secure_peer(&scene.responder) == NULL &&
               secure_seal(&scene.responder, segment, 1) == 0 &&
               scene.responder.state == SECURE_UNCONFIRMED,
           "the responder waits for the first segment and says nothing before it");
    tap_ok(scene_send(&scene.initiator, &scene.responder, 5, 100) == SECURE_OK,
           "the initiator's first segment");
    peer = secure_peer(&scene.responder);
    tap_ok(scene_is_node(peer, &scene.one.self), "now the responder knows with whom it speaks");
    bool sent = true;
    static const size_t lengths[] = {1, 15, 16, 17, 64, 1000, SECURE_BODY_MAX - 1, SECURE_BODY_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        sent &= scene_send(&scene.responder, &scene.initiator, 1, lengths[i]) == SECURE_OK &&
                scene_send(&scene.initiator, &scene.responder, 2, lengths[i]) == SECURE_OK;
    tap_ok(sent, "bodies of all lengths, both ways");
}

// The hellos of the same values as a second implementation made them, written apart
// from this one on other libraries (Python's cryptography).
static void test_layout(void)
{
    static const char *const hellos[] = {
        "493e82fc74464a59268817623d2053c5eb8e2cc4a988b4fee179ec6b010d531dfc331a1edf8f84c3aa971f00"
        "07e96eb33f921202f6f42218b423cea5f702dc437373af08a5c790117618021368a21f5ab8f05a3404c6ecf0"
        "0dc855627d75fbea52108e3140e60a52636f4221d68ca0b2df69dc1789ac57fe",
        "493e82fc74464a59268817623d2053c5eb8e2cc4a988b4fee179ec6b010d531dfc331a1ede8f84c3aa971f00"
        "07e96eb33f921202f6f42218b423cea5f702dc437373af08a5c790117618021368a21f5ab8f05a3404c6ecf0"
        "0dc855627d75fbea52108e3140e60a52bd930c5395b580b0f4d12e2d218842d5",
    };
    static const char *const answers[] = {
        "605a725d2a4adfeeb1a29e17edd621c1b7593ee8cdbc44ac6c4ab6e2f805d23ce36b249854826b6afb6f94cd"
        "06873470713072cddc508195b049ee4c00d33c692996e03955786aec574add15ad064cd588da325711197b29"
        "9bc3759a56142c4928cc4db06bf5262dfa395eb27d1a07beb0233952307d7915",
        "605a725d2a4adfeeb1a29e17edd621c1b7593ee8cdbc44ac6c4ab6e2f805d23ce36b249855826b6afb6f94cd"
        "06873470713072cddc508195b049ee4c00d33c692996e03955786aec574add15ad064cd588da325711197b29"
        "9bc3759a56142c4928cc4db06bf5262d44734a51f07c1c0492f2104676efff70",
    };
    for (uint32_t i = 0; i < 2; i++) {
        uint8_t hello[SECURE_HELLO_BYTES], answer[SECURE_HELLO_BYTES];
        bool whole = hex_read(hello, hellos[i]) == sizeof hello &&
                     hex_read(answer, answers[i]) == sizeof answer;
        scene_begin(&scene, i == 0 ? SECURE_ENCRYPT : 0);
        tap_ok(whole && scene_hellos(&scene) == SECURE_OK &&
                   memcmp(hello, scene.hello, sizeof hello) == 0 &&
                   memcmp(answer, scene.answer, sizeof answer) == 0,
               i == 0 ? "layout of the hellos, encrypting" : "layout of the hellos, in the clear");
    }
}

static void test_every_bit(void)
{
    bool refused = true;
    for (size_t bit = 0; bit < SECURE_HELLO_BYTES * 8; bit++) {
        scene_begin(&scene, SECURE_ENCRYPT);
        scene_hello(&scene);
        scene.hello[bit / 8] ^= (uint8_t)(1 << bit % 8);
        refused &= is_refused(scene_accept(&scene), SECURE_ERROR_KEY);
    }
    tap_ok(refused, "the first hello with any bit changed");
    refused = true;
    scene_begin(&scene, SECURE_ENCRYPT);
    scene_hello(&scene);
    scene_accept(&scene);
    for (size_t bit = 0; bit < SECURE_HELLO_BYTES * 8; bit++) {
        struct secure_session initiator = scene.initiator;
        scene.answer[bit / 8] ^= (uint8_t)(1 << bit % 8);
        refused &= secure_complete(&initiator, scene.answer) == SECURE_ERROR_KEY &&
                   scene_is_wiped(&initiator, SECURE_ERROR_KEY);
        scene.answer[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    tap_ok(refused, "the second hello with any bit changed");
    tap_ok(secure_complete(&scene.initiator, scene.answer) == SECURE_OK,
           "and with none changed it is good");
}

static void test_wrong_identity(void)
{
    scene_begin(&scene, SECURE_ENCRYPT);
    scene.two.key[31] ^= 0x80;
    scene_hello(&scene);
    tap_ok(is_refused(scene_accept(&scene), SECURE_ERROR_KEY), "another key");
    scene_begin(&scene, SECURE_ENCRYPT);
    secure_cluster("corvus-tesu", 11, scene.two.self.cluster);
    scene_hello(&scene);
    tap_ok(is_refused(scene_accept(&scene), SECURE_ERROR_CLUSTER), "another cluster, the same key");
    scene_begin(&scene, SECURE_ENCRYPT);
    scene.two.self.node = 3;
    scene_hello(&scene);
    tap_ok(is_refused(scene_accept(&scene), SECURE_ERROR_NODE), "meant for another node");
    scene_begin(&scene, SECURE_ENCRYPT);
    scene.two.self.options = 0;
    scene_hello(&scene);
    tap_ok(is_refused(scene_accept(&scene), SECURE_ERROR_OPTIONS), "only the initiator encrypts");
    scene_begin(&scene, 0);
    scene.two.self.options = SECURE_ENCRYPT;
    scene_hello(&scene);
    tap_ok(is_refused(scene_accept(&scene), SECURE_ERROR_OPTIONS), "only the responder encrypts");
    scene_begin(&scene, SECURE_ENCRYPT);
    scene.two = scene.one;
    scene_hello(&scene);
    tap_ok(is_refused(scene_accept(&scene), SECURE_ERROR_SELF), "a node that reaches itself");
}

static void test_own_values(void)
{
    scene_begin(&scene, SECURE_ENCRYPT);
    tap_ok(secure_initiate(&scene.initiator, &scene.one, 1, scene.entropy_one, scene.hello) ==
                   SECURE_ERROR_SELF &&
               secure_initiate(&scene.initiator, &scene.one, 0, scene.entropy_one, scene.hello) ==
                   SECURE_ERROR_MALFORMED,
           "no session is begun with oneself, or with nobody");
    bool refused = true;
    for (int i = 0; i < 3; i++) {
        scene_begin(&scene, SECURE_ENCRYPT);
        scene_hello(&scene);
        struct secure_node *self = &scene.two.self;
        *(i == 0 ? &self->node : i == 1 ? &self->cluster_size : &self->options) = i < 2 ? 0 : 2;
        refused &= is_refused(scene_accept(&scene), SECURE_ERROR_MALFORMED);
        scene.one.self = *self;
        refused &= scene_hello(&scene) == SECURE_ERROR_MALFORMED &&
                   memcmp(&scene.initiator.handshake, untouched, sizeof untouched) == 0;
    }
    tap_ok(refused, "nor with impossible values of one's own");
}

// --- Holders of the key who do not keep to the rules ----------------------------------

// What a payload says beside what it should, at an offset of it.
struct lie {
    size_t offset;
    uint8_t value;
    enum secure_error error;
    const char *text;
};

static const struct lie lies[] = {
    {0, 2, SECURE_ERROR_VERSION, "another version"},
    {4, 3, SECURE_ERROR_MALFORMED, "unknown options"},
    {4, 0, SECURE_ERROR_OPTIONS, "other options"},
    {8, 0, SECURE_ERROR_MALFORMED, "node 0"},
    {16, 0, SECURE_ERROR_MALFORMED, "a cluster of 0 nodes"},
    {20, 1, SECURE_ERROR_MALFORMED, "something where there is nothing"},
    {12, 7, SECURE_ERROR_NODE, "meant for another node"},
    {32, 7, SECURE_ERROR_ECHO, "another incarnation is answered"},
    {40, 7, SECURE_ERROR_CLUSTER, "another cluster"},
    {71, 7, SECURE_ERROR_CLUSTER, "another cluster, by the last byte"},
};

static void make_payload(uint8_t payload[72], const struct secure_node *self, uint32_t expected,
                         uint64_t echo)
{
    memset(payload, 0, 72);
    payload[0] = SECURE_VERSION;
    payload[4] = (uint8_t)self->options;
    payload[8] = (uint8_t)self->node;
    payload[12] = (uint8_t)expected;
    payload[16] = (uint8_t)self->cluster_size;
    memcpy(payload + 24, &self->incarnation, 8);
    memcpy(payload + 32, &echo, 8);
    memcpy(payload + 40, self->cluster, 32);
}

static enum secure_error accept_lie(size_t offset, uint8_t value)
{
    uint8_t payload[72];
    struct noise_handshake forger;
    scene_begin(&scene, SECURE_ENCRYPT);
    make_payload(payload, &scene.one.self, 2, 0);
    payload[offset] = value;
    noise_begin(&forger, "Corvus session", 14, scene.one.key, scene.entropy_one);
    noise_write_first(&forger, payload, sizeof payload, scene.hello);
    return scene_accept(&scene);
}

static enum secure_error complete_lie(size_t offset, uint8_t value)
{
    uint8_t payload[72];
    struct noise_handshake forger;
    scene_begin(&scene, SECURE_ENCRYPT);
    scene_hello(&scene);
    noise_begin(&forger, "Corvus session", 14, scene.two.key, scene.entropy_two);
    if (!noise_read_first(&forger, scene.hello, sizeof payload, payload))
        return SECURE_ERROR_CLOSED;
    make_payload(payload, &scene.two.self, 1, scene.one.self.incarnation);
    payload[offset] = value;
    noise_write_second(&forger, payload, sizeof payload, scene.answer);
    return secure_complete(&scene.initiator, scene.answer);
}

static void test_lies(void)
{
    tap_ok(accept_lie(0, SECURE_VERSION) == SECURE_OK &&
               complete_lie(0, SECURE_VERSION) == SECURE_OK,
           "hellos made by hand are good when they say the truth");
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        const struct lie *lie = &lies[i];
        bool refused = is_refused(accept_lie(lie->offset, lie->value), lie->error);
        refused &= complete_lie(lie->offset, lie->value) == lie->error &&
                   scene_is_wiped(&scene.initiator, lie->error);
        tap_ok(refused, lie->text);
    }
    tap_ok(is_refused(accept_lie(8, 2), SECURE_ERROR_SELF) &&
               complete_lie(8, 1) == SECURE_ERROR_SELF,
           "our own number");
    tap_ok(complete_lie(8, 3) == SECURE_ERROR_NODE, "another node answers than was asked");
}

// --- Hellos that were seen before -------------------------------------------------------

static void test_replay(void)
{
    static struct scene old;
    static uint8_t recorded[SECURE_OVERHEAD_BYTES + 5];
    scene_begin(&old, SECURE_ENCRYPT);
    scene_hellos(&old);
    memcpy(recorded + SECURE_HEADER_BYTES, scene_body, 5);
    secure_seal(&old.initiator, recorded, 5);

    scene_begin(&scene, SECURE_ENCRYPT);
    memcpy(scene.hello, old.hello, sizeof scene.hello);
    scene_fill(scene.entropy_two, 0x33, SECURE_KEY_BYTES);
    tap_ok(scene_accept(&scene) == SECURE_OK && !secure_is_open(&scene.responder),
           "a hello sent again is answered, but makes no open session");
    tap_ok(secure_open(&scene.responder, recorded) == SECURE_ERROR_SEGMENT &&
               scene_is_wiped(&scene.responder, SECURE_ERROR_SEGMENT),
           "nor does the segment that followed it then");
    tap_ok(secure_complete(&old.initiator, scene.answer) == SECURE_ERROR_CLOSED &&
               secure_is_open(&old.initiator),
           "an open session takes no second answer");
    scene_hello(&old);
    scene_fill(old.entropy_one, 0x44, SECURE_KEY_BYTES);
    scene_hello(&old);
    tap_ok(secure_complete(&old.initiator, old.answer) == SECURE_ERROR_KEY,
           "an answer to an older hello");
}

static void test_reflection(void)
{
    scene_begin(&scene, SECURE_ENCRYPT);
    scene_hello(&scene);
    tap_ok(secure_complete(&scene.initiator, scene.hello) == SECURE_ERROR_KEY,
           "one's own hello as the answer");
    scene_hello(&scene);
    tap_ok(is_refused(secure_accept(&scene.responder, &scene.one, scene.entropy_two, scene.hello,
                                    scene.answer),
                      SECURE_ERROR_SELF),
           "one's own hello as another's");
    scene_accept(&scene);
    memcpy(scene.hello, scene.answer, sizeof scene.hello);
    memset(scene.answer, 0, sizeof scene.answer);
    tap_ok(is_refused(scene_accept(&scene), SECURE_ERROR_KEY), "an answer as the first hello");
    tap_ok(secure_complete(&scene.responder, scene.answer) == SECURE_ERROR_CLOSED,
           "an answer to a session that has ended");
}

static void test_texts(void)
{
    bool different = true;
    for (int i = 0; i < SECURE_ERROR_COUNT; i++)
        for (int j = 0; j < i; j++)
            different &= strcmp(secure_error_text((enum secure_error)i),
                                secure_error_text((enum secure_error)j)) != 0;
    tap_ok(different, "each error has its text");
    tap_ok(secure_error_text(SECURE_ERROR_COUNT) != NULL, "and what is no error has one");
}

int main(void)
{
    test_agreement(SECURE_ENCRYPT);
    test_agreement(0);
    test_layout();
    test_every_bit();
    test_wrong_identity();
    test_own_values();
    test_lies();
    test_replay();
    test_reflection();
    test_texts();
    return tap_end();
}
