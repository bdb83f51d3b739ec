// SPDX-License-Identifier: BSD-2-Clause
// Every kernel service with its parameters, from services.def itself: a service
// that is added there is fuzzed without a word here.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum object_kind {
    OBJECT_KIND_TASK,
    OBJECT_KIND_THREAD,
    OBJECT_KIND_HOST,
    OBJECT_KIND_PRIVILEGED,
    OBJECT_KIND_INTERRUPT,
    OBJECT_KIND_TIMER,
    OBJECT_KINDS
};

// What a word of a request is, by the name it has in the description.
enum word_kind {
    WORD_ANY,
    WORD_ADDRESS, // in the arena
    WORD_LENGTH,
    WORD_ACCESS,
    WORD_PAGES,
    WORD_PAGE_OF_KERNEL, // where a message page or vCPU page is to appear
    WORD_QUOTA,
    WORD_PRIORITY,
    WORD_NAME,
    WORD_PORT,
    WORD_SET,
    WORD_DISPOSITION,
    WORD_BACKLOG,
    WORD_NOTIFICATION,
    WORD_BIT,
    WORD_BITS,
    WORD_CODE,
    WORD_TIME,
    WORD_PERIOD,
    WORD_MASK,
    WORD_SEND_ONCE,
    WORD_ERROR,
    WORD_SMALL,
};

#define SERVICE_PARAMETERS_MAX 8

struct fuzz_service {
    const char *name;
    uint32_t id;
    enum object_kind object;
    uint32_t words;  // parameters that are words
    uint32_t rights; // parameters that are rights
    uint32_t array;  // first word of an array parameter, 0: none
    bool gives_right;
    bool gives_name; // its first word out is a name in the target's table
    enum word_kind kinds[SERVICE_PARAMETERS_MAX];
};

#define FUZZ_SERVICES_MAX 80

extern struct fuzz_service fuzz_services[FUZZ_SERVICES_MAX];
extern uint32_t fuzz_service_count;

void services_initialize(void);
const struct fuzz_service *services_find(const char *name);
