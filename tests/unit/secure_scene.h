// SPDX-License-Identifier: BSD-2-Clause
// Two nodes of one cluster for the tests of sessions: node 1 begins, node 2
// answers. Everything random is fixed, so that runs are alike.
#pragma once

#include "netipc/core/secure.h"

#include <string.h>

struct scene {
    struct secure_identity one, two;
    uint8_t entropy_one[SECURE_KEY_BYTES], entropy_two[SECURE_KEY_BYTES];
    uint8_t hello[SECURE_HELLO_BYTES], answer[SECURE_HELLO_BYTES];
    struct secure_session initiator, responder;
};

static inline void scene_fill(uint8_t *out, unsigned from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(from + i);
}

static inline void scene_identity(struct secure_identity *identity, uint32_t node,
                                  uint64_t incarnation, uint32_t options)
{
    memset(identity, 0, sizeof *identity);
    identity->self.node = node;
    identity->self.cluster_size = 3;
    identity->self.incarnation = incarnation;
    identity->self.options = options;
    secure_cluster("corvus-test", 11, identity->self.cluster);
    scene_fill(identity->key, 0x40, SECURE_KEY_BYTES);
}

static inline void scene_begin(struct scene *scene, uint32_t options)
{
    memset(scene, 0, sizeof *scene);
    scene_identity(&scene->one, 1, 0x1122334455667788, options);
    scene_identity(&scene->two, 2, 0x99aabbccddeeff00, options);
    scene_fill(scene->entropy_one, 0x80, SECURE_KEY_BYTES);
    scene_fill(scene->entropy_two, 0xa0, SECURE_KEY_BYTES);
}

// The first hello only.
static inline enum secure_error scene_hello(struct scene *scene)
{
    return secure_initiate(&scene->initiator, &scene->one, 2, scene->entropy_one, scene->hello);
}

static inline enum secure_error scene_accept(struct scene *scene)
{
    return secure_accept(&scene->responder, &scene->two, scene->entropy_two, scene->hello,
                         scene->answer);
}

// Both hellos; the first error there is.
static inline enum secure_error scene_hellos(struct scene *scene)
{
    enum secure_error error = scene_hello(scene);
    if (error == SECURE_OK)
        error = scene_accept(scene);
    if (error == SECURE_OK)
        error = secure_complete(&scene->initiator, scene->answer);
    return error;
}

// Sends a body of so many bytes from one session to another.
static inline enum secure_error scene_send(struct secure_session *from, struct secure_session *to,
                                           unsigned seed, size_t bytes)
{
    static uint8_t segment[SECURE_SEGMENT_MAX], body[SECURE_BODY_MAX];
    scene_fill(body, seed, bytes);
    memcpy(segment + SECURE_HEADER_BYTES, body, bytes);
    size_t length = secure_seal(from, segment, bytes), said = 0;
    if (length != bytes + SECURE_OVERHEAD_BYTES)
        return SECURE_ERROR_CLOSED;
    enum secure_error error = secure_open_header(to, segment, &said);
    if (error == SECURE_OK && said != bytes)
        return SECURE_ERROR_LENGTH;
    if (error == SECURE_OK)
        error = secure_open(to, segment);
    if (error == SECURE_OK && memcmp(segment + SECURE_HEADER_BYTES, body, bytes) != 0)
        return SECURE_ERROR_SEGMENT;
    return error;
}

// An open session, confirmed by one segment.
static inline enum secure_error scene_open(struct scene *scene, uint32_t options)
{
    scene_begin(scene, options);
    enum secure_error error = scene_hellos(scene);
    return error == SECURE_OK ? scene_send(&scene->initiator, &scene->responder, 0, 1) : error;
}

// The session has ended by an error and holds nothing else.
static inline bool scene_is_wiped(const struct secure_session *session, enum secure_error error)
{
    struct secure_session rest = *session;
    const uint8_t *bytes = (const uint8_t *)&rest;
    uint8_t any = 0;
    rest.ended_by = SECURE_OK;
    for (size_t i = 0; i < sizeof rest; i++)
        any |= bytes[i];
    return session->ended_by == error && any == 0;
}

static inline bool scene_is_node(const struct secure_node *node, const struct secure_node *expected)
{
    return node != NULL && node->node == expected->node &&
           node->cluster_size == expected->cluster_size &&
           node->incarnation == expected->incarnation && node->options == expected->options &&
           memcmp(node->cluster, expected->cluster, SECURE_CLUSTER_BYTES) == 0;
}

// The body that both known segments have.
static const uint8_t scene_body[5] = {'h', 'e', 'l', 'l', 'o'};
