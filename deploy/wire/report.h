// SPDX-License-Identifier: BSD-2-Clause
// What the hub says of itself: settings and counters, as text and as JSON.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "deploy/wire/capture.h"
#include "deploy/wire/core.h"
#include "deploy/wire/port.h"

enum {
    // What a report has at most, with its NUL.
    REPORT_BYTES = 262144,
};

// All that a report tells of.
struct report {
    const struct wire *wire;
    const struct port *ports;
    const struct capture *capture;
};

// Write a report; return its length.
size_t report_text(const struct report *report, char text[REPORT_BYTES]);
size_t report_json(const struct report *report, char text[REPORT_BYTES]);
