// SPDX-License-Identifier: BSD-2-Clause
// Words and rights of random requests, right ones and wrong ones.
#pragma once

#include "material.h"
#include "services.h"

#include <corvus/message.h>

// A word of that kind for a request to the fuzzed task itself (`own`) or to
// another object.
uint64_t value_good(enum word_kind kind, bool own, struct random *random);
uint64_t value_bad(enum word_kind kind, struct random *random);

// A right and how it travels; most of the time one that goes with the other.
struct message_right value_right(bool good, struct random *random);

// A right for a service that wants a send right of a plain port, or for
// task_request_notification a send-once right.
struct message_right value_send_right(struct random *random);
struct message_right value_send_once_right(struct random *random);

uint64_t value_arena_page(struct random *random);
