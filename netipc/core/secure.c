// SPDX-License-Identifier: BSD-2-Clause
// Sessions: what the hellos say and which of them are refused; segments.
#include "netipc/core/secure.h"

#include "netipc/core/bytes.h"

#include <string.h>

static const char prologue[] = "Corvus session";

// --- Payload of a hello ------------------------------------------------------------

enum {
    PAYLOAD_VERSION = 0,
    PAYLOAD_OPTIONS = 4,
    PAYLOAD_NODE = 8,
    PAYLOAD_EXPECTED = 12, // whom the sender believes to speak with
    PAYLOAD_CLUSTER_SIZE = 16,
    PAYLOAD_ZERO = 20,
    PAYLOAD_INCARNATION = 24,
    PAYLOAD_ECHO = 32, // in the second hello the incarnation in the first; there 0
    PAYLOAD_CLUSTER = 40,
    PAYLOAD_BYTES = PAYLOAD_CLUSTER + SECURE_CLUSTER_BYTES,
};
_Static_assert(PAYLOAD_BYTES + NOISE_OVERHEAD_BYTES == SECURE_HELLO_BYTES, "see the header");

static void write_payload(uint8_t payload[PAYLOAD_BYTES], const struct secure_node *self,
                          uint32_t expected_node, uint64_t echo)
{
    store_u32(payload + PAYLOAD_VERSION, SECURE_VERSION);
    store_u32(payload + PAYLOAD_OPTIONS, self->options);
    store_u32(payload + PAYLOAD_NODE, self->node);
    store_u32(payload + PAYLOAD_EXPECTED, expected_node);
    store_u32(payload + PAYLOAD_CLUSTER_SIZE, self->cluster_size);
    store_u32(payload + PAYLOAD_ZERO, 0);
    store_u64(payload + PAYLOAD_INCARNATION, self->incarnation);
    store_u64(payload + PAYLOAD_ECHO, echo);
    memcpy(payload + PAYLOAD_CLUSTER, self->cluster, SECURE_CLUSTER_BYTES);
}

static void read_payload(const uint8_t payload[PAYLOAD_BYTES], struct secure_node *peer)
{
    peer->options = load_u32(payload + PAYLOAD_OPTIONS);
    peer->node = load_u32(payload + PAYLOAD_NODE);
    peer->cluster_size = load_u32(payload + PAYLOAD_CLUSTER_SIZE);
    peer->incarnation = load_u64(payload + PAYLOAD_INCARNATION);
    memcpy(peer->cluster, payload + PAYLOAD_CLUSTER, SECURE_CLUSTER_BYTES);
}

static bool is_possible(const struct secure_node *node)
{
    return node->node != 0 && node->cluster_size != 0 && (node->options & ~SECURE_ENCRYPT) == 0;
}

// What both sides ask of the other's payload; it is authentic. The version comes
// first, since another one may give other bytes another meaning.
static enum secure_error judge(const uint8_t payload[PAYLOAD_BYTES], const struct secure_node *self,
                               const struct secure_node *peer, uint64_t echo)
{
    if (load_u32(payload + PAYLOAD_VERSION) != SECURE_VERSION)
        return SECURE_ERROR_VERSION;
    if (!is_possible(peer) || load_u32(payload + PAYLOAD_ZERO) != 0)
        return SECURE_ERROR_MALFORMED;
    if (!noise_equal(peer->cluster, self->cluster, SECURE_CLUSTER_BYTES))
        return SECURE_ERROR_CLUSTER;
    if (peer->node == self->node)
        return SECURE_ERROR_SELF;
    if (load_u32(payload + PAYLOAD_EXPECTED) != self->node)
        return SECURE_ERROR_NODE;
    if (load_u64(payload + PAYLOAD_ECHO) != echo)
        return SECURE_ERROR_ECHO;
    if (peer->options != self->options)
        return SECURE_ERROR_OPTIONS;
    return SECURE_OK;
}

// --- Beginning and end --------------------------------------------------------------

void secure_cluster(const char *name, size_t bytes, uint8_t cluster[SECURE_CLUSTER_BYTES])
{
    noise_sha256(name, bytes, "", 0, cluster);
}

void secure_end(struct secure_session *session)
{
    enum secure_error ended_by = session->ended_by;
    explicit_bzero(session, sizeof *session);
    session->ended_by = ended_by;
}

static enum secure_error end_by(struct secure_session *session, enum secure_error error)
{
    session->ended_by = error;
    secure_end(session);
    return error;
}

static void begin(struct secure_session *session, const struct secure_identity *identity,
                  const uint8_t entropy[SECURE_KEY_BYTES])
{
    explicit_bzero(session, sizeof *session);
    session->self = identity->self;
    noise_begin(&session->handshake, prologue, sizeof prologue - 1, identity->key, entropy);
}

// The hellos are through: the handshake's secrets give way to the keys of segments.
static void open_with_keys(struct secure_session *session, enum secure_state state,
                           uint8_t *initiator, uint8_t *responder)
{
    noise_split(&session->handshake, initiator, responder);
    explicit_bzero(&session->handshake, sizeof session->handshake);
    session->state = state;
}

enum secure_error secure_initiate(struct secure_session *session,
                                  const struct secure_identity *identity, uint32_t expected_node,
                                  const uint8_t entropy[SECURE_KEY_BYTES],
                                  uint8_t hello[SECURE_HELLO_BYTES])
{
    uint8_t payload[PAYLOAD_BYTES];
    if (!is_possible(&identity->self) || expected_node == 0)
        return end_by(session, SECURE_ERROR_MALFORMED);
    if (expected_node == identity->self.node)
        return end_by(session, SECURE_ERROR_SELF);
    begin(session, identity, entropy);
    session->expected_node = expected_node;
    write_payload(payload, &identity->self, expected_node, 0);
    noise_write_first(&session->handshake, payload, sizeof payload, hello);
    session->state = SECURE_INITIATED;
    return SECURE_OK;
}

enum secure_error secure_accept(struct secure_session *session,
                                const struct secure_identity *identity,
                                const uint8_t entropy[SECURE_KEY_BYTES],
                                const uint8_t hello[SECURE_HELLO_BYTES],
                                uint8_t answer[SECURE_HELLO_BYTES])
{
    uint8_t payload[PAYLOAD_BYTES];
    if (!is_possible(&identity->self))
        return end_by(session, SECURE_ERROR_MALFORMED);
    begin(session, identity, entropy);
    if (!noise_read_first(&session->handshake, hello, sizeof payload, payload))
        return end_by(session, SECURE_ERROR_KEY);
    read_payload(payload, &session->peer);
    enum secure_error error = judge(payload, &session->self, &session->peer, 0);
    if (error != SECURE_OK)
        return end_by(session, error);
    write_payload(payload, &identity->self, session->peer.node, session->peer.incarnation);
    if (!noise_write_second(&session->handshake, payload, sizeof payload, answer))
        return end_by(session, SECURE_ERROR_KEY);
    open_with_keys(session, SECURE_UNCONFIRMED, session->receive_key, session->send_key);
    return SECURE_OK;
}

enum secure_error secure_complete(struct secure_session *session,
                                  const uint8_t answer[SECURE_HELLO_BYTES])
{
    uint8_t payload[PAYLOAD_BYTES];
    if (session->state != SECURE_INITIATED)
        return SECURE_ERROR_CLOSED;
    if (!noise_read_second(&session->handshake, answer, sizeof payload, payload))
        return end_by(session, SECURE_ERROR_KEY);
    read_payload(payload, &session->peer);
    enum secure_error error =
        judge(payload, &session->self, &session->peer, session->self.incarnation);
    if (error == SECURE_OK && session->peer.node != session->expected_node)
        error = SECURE_ERROR_NODE;
    if (error != SECURE_OK)
        return end_by(session, error);
    open_with_keys(session, SECURE_OPEN, session->send_key, session->receive_key);
    return SECURE_OK;
}

// --- Segments -----------------------------------------------------------------------

// A segment as the cipher sees it: what is only authenticated, then what is also
// encrypted. The header belongs to the former, in the clear the body, too.
struct parts {
    size_t clear_bytes, secret_bytes;
};

static struct parts parts_of(const struct secure_session *session, size_t body_bytes)
{
    struct parts parts = {SECURE_HEADER_BYTES, body_bytes};
    if ((session->self.options & SECURE_ENCRYPT) == 0) {
        parts.clear_bytes += body_bytes;
        parts.secret_bytes = 0;
    }
    return parts;
}

static bool is_body_length(size_t bytes)
{
    return bytes >= 1 && bytes <= SECURE_BODY_MAX;
}

size_t secure_seal(struct secure_session *session, uint8_t *segment, size_t body_bytes)
{
    if (session->state != SECURE_OPEN || !is_body_length(body_bytes))
        return 0;
    if (session->sent >= SECURE_SEGMENTS_MAX) {
        end_by(session, SECURE_ERROR_EXHAUSTED);
        return 0;
    }
    struct parts parts = parts_of(session, body_bytes);
    store_u32(segment, (uint32_t)body_bytes);
    noise_seal(session->send_key, session->sent++, segment, parts.clear_bytes,
               segment + parts.clear_bytes, parts.secret_bytes,
               segment + SECURE_HEADER_BYTES + body_bytes);
    return body_bytes + SECURE_OVERHEAD_BYTES;
}

static bool can_receive(const struct secure_session *session)
{
    return session->state == SECURE_OPEN || session->state == SECURE_UNCONFIRMED;
}

enum secure_error secure_open_header(struct secure_session *session,
                                     const uint8_t header[SECURE_HEADER_BYTES], size_t *body_bytes)
{
    if (!can_receive(session))
        return SECURE_ERROR_CLOSED;
    size_t bytes = load_u32(header);
    if (!is_body_length(bytes))
        return end_by(session, SECURE_ERROR_LENGTH);
    *body_bytes = bytes;
    return SECURE_OK;
}

enum secure_error secure_open(struct secure_session *session, uint8_t *segment)
{
    size_t body_bytes = 0;
    enum secure_error error = secure_open_header(session, segment, &body_bytes);
    if (error != SECURE_OK)
        return error;
    if (session->received >= SECURE_SEGMENTS_MAX)
        return end_by(session, SECURE_ERROR_EXHAUSTED);
    struct parts parts = parts_of(session, body_bytes);
    if (!noise_open(session->receive_key, session->received, segment, parts.clear_bytes,
                    segment + parts.clear_bytes, parts.secret_bytes,
                    segment + SECURE_HEADER_BYTES + body_bytes)) {
        // In the clear nothing was decrypted; a body that is not authentic goes all the same.
        memset(segment + SECURE_HEADER_BYTES, 0, body_bytes);
        return end_by(session, SECURE_ERROR_SEGMENT);
    }
    session->received++;
    session->state = SECURE_OPEN;
    return SECURE_OK;
}

const char *secure_error_text(enum secure_error error)
{
    static const char *const texts[] = {
#define SECURE_ERROR_TEXT(name, text) [name] = (text),
        SECURE_ERRORS(SECURE_ERROR_TEXT)
#undef SECURE_ERROR_TEXT
    };
    return (unsigned)error < SECURE_ERROR_COUNT ? texts[error] : "unknown error of a session";
}
