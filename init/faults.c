// SPDX-License-Identifier: BSD-2-Clause
// A child's memory is wired, so it faults only while init changes one of its
// mappings (then the page is simply mapped again) or where it has no memory (then
// the fault becomes an exception, which ends the child with a report).
#include "faults.h"

#include "supervise.h"

#include <corvus/stubs.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const exception_names[] = {
    [0] = "division by zero",
    [1] = "debug",
    [3] = "breakpoint",
    [4] = "overflow",
    [5] = "bound",
    [6] = "invalid instruction",
    [7] = "no vector unit",
    [8] = "double fault",
    [12] = "stack segment",
    [13] = "general protection",
    [14] = "page fault",
    [16] = "floating point",
    [17] = "alignment",
    [19] = "vector floating point",
    [21] = "control flow",
};

void faults_serve_page(const struct memory_account *memory, const struct message *request,
                       struct message *reply)
{
    uint64_t address = request->words[0], access = request->words[1];
    const struct region *region = regions_find(&memory->regions, address);
    *reply = (struct message){.tag = 1};
    if (region == NULL || (region->access & access) != access) {
        reply->words[0] = region == NULL ? ERR_NOT_MAPPED : ERR_ACCESS_DENIED;
        return;
    }
    uint64_t page = address & ~(PAGE_BYTES - 1);
    reply->tag |= TAG_ITEMS(1);
    utcb_self()->items[0] = (struct message_item){
        .kind = ITEM_MAP,
        .access = region->access,
        .address = region->physical + (page - region->address),
        .length = PAGE_BYTES,
        .offset = page,
    };
}

// The registers of a child's first thread; others' ports are not ours.
static void report_registers(struct child *child, uint64_t thread)
{
    struct vcpu_registers r;
    size_t words = sizeof r / sizeof(uint64_t);
    if (thread != child->thread_id || thread_suspend(child->thread) != ERR_OK)
        return;
    if (thread_get_state(child->thread, (uint64_t *)&r, &words) != ERR_OK ||
        words != sizeof r / sizeof(uint64_t))
        return;
    report("  rax %016" PRIx64 " rbx %016" PRIx64 " rcx %016" PRIx64 " rdx %016" PRIx64, r.rax,
           r.rbx, r.rcx, r.rdx);
    report("  rsi %016" PRIx64 " rdi %016" PRIx64 " rbp %016" PRIx64 " rsp %016" PRIx64, r.rsi,
           r.rdi, r.rbp, r.rsp);
    report("  r8  %016" PRIx64 " r9  %016" PRIx64 " r10 %016" PRIx64 " r11 %016" PRIx64, r.r8, r.r9,
           r.r10, r.r11);
    report("  r12 %016" PRIx64 " r13 %016" PRIx64 " r14 %016" PRIx64 " r15 %016" PRIx64, r.r12,
           r.r13, r.r14, r.r15);
    report("  rip %016" PRIx64 " flags %08" PRIx64 " fs %016" PRIx64, r.rip, r.rflags, r.fs_base);
}

static const char *name_of(uint64_t vector)
{
    const char *name = NULL;
    if (vector < sizeof exception_names / sizeof exception_names[0])
        name = exception_names[vector];
    return name == NULL ? "exception" : name;
}

void faults_serve_exception(struct child *child, const struct message *request)
{
    struct exception_message exception;
    char how[48];
    memcpy(&exception, request->words, sizeof exception);
    report("%s: %s (vector %" PRIu64 ", error %" PRIx64 ") at ip %" PRIx64 ", address %" PRIx64
           ", thread %" PRIu64,
           child->server->name, name_of(exception.vector), exception.vector, exception.error_code,
           exception.ip, exception.address, exception.thread);
    report_registers(child, exception.thread);
    snprintf(how, sizeof how, "exception %" PRIu64, exception.vector);
    supervise_end(child, true, how);
}
