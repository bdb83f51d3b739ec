// SPDX-License-Identifier: BSD-2-Clause
// What the files of the Linux program `dsm` share.
#pragma once

#include "lib/linux/corvus.h"

#include <stdbool.h>
#include <stdint.h>

#define CACHE_PAGES      4096u
#define CACHE_PAGE_BYTES 4096u

extern port_name_t server; // the DSM server of this node

uint64_t number(const char *word);
// Prints the text, or `error N`; returns the exit status.
int tell(corvus_error_t error, const char *text);

// --- A cache manager of one segment (cache.c) ----------------------------------------------------

// Opens the segment and tells its pager. Any error is printed, and is the answer.
corvus_error_t cache_open(uint64_t segment);
// Gets a page, for writing or reading, in at most 40 s, serving the pager meanwhile. *data is where
// it is, until the next call.
corvus_error_t cache_get(uint64_t page, bool write, uint8_t **data);
// Does what the pager asks for, for so long.
void cache_serve(uint64_t microseconds);
// Gives all back, and ends.
void cache_close(void);
// Messages of the pager that it should not have sent.
extern unsigned cache_complaints;

// --- Commands ------------------------------------------------------------------------------------

int command_cache(char **words);   // SEGMENT FIFO
int command_bench(char **words);   // NAME OTHER-NODE IDLE-NODE IDLE-NODE
int command_partner(char **words); // NAME
int command_barrier(char **words); // COUNT BATCHES OTHER-NODE
int command_lock(char **words);    // SECONDS
int command_hostile(char **words); // SEGMENT SEED COUNT
int command_many(char **words);    // COUNT
int command_witness(char **words); // RANK PAGES
int command_stop(char **words);    // KIND SENDING
int command_try(char **words);
int command_sum(char **words);  // COUNT NUMBER
int command_post(char **words); // COUNT
int command_wait(char **words);
