// SPDX-License-Identifier: BSD-2-Clause
// The page of kernel data that every native task sees at CLOCK_PAGE_ADDRESS.
#pragma once

#include <corvus/clock.h>

extern union clock_page_memory {
    struct clock_page values;
    char page[4096];
} clock_page;

void clock_page_init(void);
