// SPDX-License-Identifier: BSD-2-Clause
// What only the first task can do: donating and reclaiming memory, physical
// addresses, devices, interrupts. Runs in init's place, without a C library,
// and prints TAP on the kernel's own serial line.
#include "first.h"

#include <corvus/boot.h>
#include <corvus/trace.h>

// There is no C library; compilers call this all the same.
void *memset(void *to, int value, size_t bytes);
void *memset(void *to, int value, size_t bytes)
{
    void *at = to;

    __asm__ volatile("rep stosb" : "+D"(at), "+c"(bytes) : "a"(value) : "memory");
    return to;
}

#define INFORMATION ((const struct boot_information *)BOOT_INFO_ADDRESS)
#define DEVICE_AT   0x20000000000ull // where it is mapped
#define BACK_AT     0x30000000000ull // where pages come back
#define CHILD_AT    0x40000000ull    // a page in the child
#define DEBUG_EXIT  0xf4
#define LOCAL_APIC  0xfee00000ull

static unsigned number, failures;

// The stubs' way out for errors; lib/message.c has it for everybody else.
corvus_error_t message_refuse_reply(uint64_t tag, uint64_t word0)
{
    return TAG_ERROR(tag) ? TAG_ERROR(tag) : (corvus_error_t)word0;
}

static void put(const char *text)
{
    while (*text) {
        uint64_t words[5] = {0};
        uint64_t count = 0;

        for (; count < sizeof words && text[count]; count++)
            ((char *)words)[count] = text[count];
        (void)host_console_write(NAME_HOST_PRIVILEGED, count, words[0], words[1], words[2],
                                 words[3], words[4]);
        text += count;
    }
}

static void put_number(uint64_t value)
{
    char text[21];
    unsigned at = sizeof text - 1;

    text[at] = '\0';
    do {
        text[--at] = (char)('0' + value % 10);
    } while (value /= 10);
    put(text + at);
}

void ok(bool passed, const char *text)
{
    put(passed ? "ok " : "not ok ");
    put_number(++number);
    put(" - first task: ");
    put(text);
    put("\n");
    failures += !passed;
}

port_name_t new_port(void)
{
    uint64_t name = PORT_NULL;

    (void)task_allocate_port(NAME_TASK_SELF, 0, &name);
    return (port_name_t)name;
}

uint64_t quota_of(port_name_t task)
{
    uint64_t quota = 0;

    (void)task_info(task, NULL, &quota, NULL, NULL, NULL, NULL);
    return quota;
}

uint64_t access_at(port_name_t task, uint64_t address)
{
    uint64_t access = 0;

    (void)memory_info(task, address, &access, NULL, NULL, NULL);
    return access;
}

// The largest range of boot memory, from a page of 2 MiB on.
static uint64_t some_memory(void)
{
    const struct boot_range *best = &INFORMATION->ranges[0];

    for (uint32_t i = 0; i < INFORMATION->range_count; i++)
        if (INFORMATION->ranges[i].length > best->length)
            best = &INFORMATION->ranges[i];
    return (best->base + LARGE_PAGE_BYTES - 1) & ~(LARGE_PAGE_BYTES - 1);
}

static void test_donation(uint64_t memory)
{
    port_name_t child = PORT_NULL;
    uint64_t before, total = 0, total_then = 0, reclaimed = 0;

    ok(task_create(NAME_TASK_SELF, CHILD_QUOTA, 0, &child, NULL) == ERR_OK, "a child");
    ok(task_donate(child, memory, PAGES) != ERR_OK && access_at(NAME_TASK_SELF, memory) != 0,
       "a page of 2 MiB is not donated in part");
    // To give a page of it up splits it.
    (void)memory_unmap(NAME_TASK_SELF, memory + LARGE_PAGE_BYTES - PAGE_BYTES, PAGE_BYTES,
                       ACCESS_ALL | MEMORY_SELF, NULL, NULL, NULL);
    // What is derived from a donated page goes.
    ok(memory_map(child, memory, CHILD_AT, PAGE_BYTES, ACCESS_READ, NULL) == ERR_OK,
       "a page is mapped into the child");
    before = quota_of(child);
    (void)host_info(NAME_HOST, NULL, NULL, &total, NULL, NULL);
    ok(task_donate(child, memory, PAGES) == ERR_OK, "pages are donated");
    (void)host_info(NAME_HOST, NULL, NULL, &total_then, NULL, NULL);
    ok(quota_of(child) == before + PAGES * PAGE_BYTES && total_then == total + PAGES * PAGE_BYTES,
       "quota and kernel memory have grown by them");
    ok(access_at(NAME_TASK_SELF, memory) == 0 &&
           access_at(NAME_TASK_SELF, memory + PAGES * PAGE_BYTES) != 0 &&
           access_at(child, CHILD_AT) == 0,
       "they are the kernel's now, and only they");
    ok(task_donate(child, memory, 1) == ERR_NOT_MAPPED, "what one has not cannot be donated");
    ok(task_donate(child, CLOCK_PAGE_ADDRESS, 1) != ERR_OK, "nor what is the kernel's");
    ok(task_donate(child, memory, 0) != ERR_OK && task_donate(child, memory, 513) != ERR_OK &&
           task_donate(child, memory + 8, 1) == ERR_INVALID_RANGE,
       "counts and addresses are checked");
    ok(task_reclaim(child, memory + PAGES * PAGE_BYTES, PAGES, &reclaimed) == ERR_IN_USE &&
           quota_of(child) == before + PAGES * PAGE_BYTES,
       "they do not come back over what is mapped");
    ok(task_reclaim(child, BACK_AT, PAGES, &reclaimed) == ERR_OK && reclaimed == PAGES,
       "they come back");
    ok(quota_of(child) == before && access_at(NAME_TASK_SELF, BACK_AT) == ACCESS_ALL &&
           *(volatile uint64_t *)BACK_AT == 0,
       "zeroed, and out of the quota");
    ok(task_reclaim(child, BACK_AT + PAGES * PAGE_BYTES, 1, &reclaimed) == ERR_NO_MEMORY &&
           quota_of(child) == before,
       "no more than was donated");
    ok(task_terminate(child) == ERR_OK, "the child ends");
}

static void test_addresses(uint64_t memory)
{
    uint64_t physical = 0, bytes = 0;

    memory += 2 * LARGE_PAGE_BYTES;
    ok(host_physical_address(NAME_HOST_PRIVILEGED, memory + 8, &physical, &bytes) == ERR_OK &&
           physical == memory + 8 && bytes == LARGE_PAGE_BYTES - 8,
       "boot memory is mapped one to one");
    ok(host_physical_address(NAME_HOST_PRIVILEGED, DEVICE_AT, &physical, &bytes) == ERR_NOT_MAPPED,
       "nothing is not anywhere");
    ok(host_map_device(NAME_HOST_PRIVILEGED, memory, DEVICE_AT, PAGE_BYTES, HOST_CACHE_OFF) ==
           ERR_IN_USE,
       "memory is no device");
    ok(host_map_device(NAME_HOST_PRIVILEGED, DEVICE_HOLE, DEVICE_AT, PAGE_BYTES, HOST_CACHE_OFF) ==
               ERR_OK &&
           host_physical_address(NAME_HOST_PRIVILEGED, DEVICE_AT, &physical, NULL) == ERR_OK &&
           physical == DEVICE_HOLE,
       "a device is mapped");
    ok(host_map_device(NAME_HOST_PRIVILEGED, DEVICE_HOLE + PAGE_BYTES, DEVICE_AT, PAGE_BYTES,
                       HOST_CACHE_OFF) == ERR_IN_USE,
       "where nothing else is");
}

corvus_error_t map_device(uint64_t physical, uint64_t address, uint64_t length)
{
    return host_map_device(NAME_HOST_PRIVILEGED, physical, address, length, HOST_CACHE_OFF);
}

static void test_device_refused(void)
{
    uint64_t address = DEVICE_AT + LARGE_PAGE_BYTES;

    ok(map_device(DEVICE_HOLE + 1, address, PAGE_BYTES) == ERR_INVALID_RANGE &&
           map_device(1ull << 52, address, PAGE_BYTES) == ERR_INVALID_RANGE &&
           map_device(UINT64_MAX - PAGE_BYTES + 1, address, PAGE_BYTES) == ERR_INVALID_RANGE,
       "a device lies at pages that there are");
    ok(map_device(DEVICE_HOLE, address + 1, PAGE_BYTES) == ERR_INVALID_RANGE &&
           map_device(DEVICE_HOLE, address, 0) == ERR_INVALID_RANGE &&
           map_device(DEVICE_HOLE, address, 1) == ERR_INVALID_RANGE &&
           map_device(DEVICE_HOLE, USER_MAP_END, PAGE_BYTES) == ERR_INVALID_RANGE,
       "and is mapped at pages of the task");
    ok(map_device(DEVICE_HOLE, address, (64ull << 20) + PAGE_BYTES) == ERR_INVALID_ARGUMENT &&
           host_map_device(NAME_HOST_PRIVILEGED, DEVICE_HOLE, address, PAGE_BYTES,
                           HOST_CACHE_ON + 1) == ERR_INVALID_ARGUMENT,
       "64 MiB at a time, in a way that there is");
    ok(map_device(LOCAL_APIC, address, PAGE_BYTES) == ERR_IN_USE,
       "the interrupt controllers are the kernel's");
    ok(access_at(NAME_TASK_SELF, address) == 0, "nothing of this was mapped");
}

// The event bits that have come to a port.
static uint64_t events(port_name_t port)
{
    struct message message = {.receive_from = port, .tag = TAG_RECEIVE | TAG_RECEIVE_DEADLINE};

    utcb_self()->receive_deadline = 0;
    message_trap(&message);
    return TAG_ERROR(message.tag) == ERR_OK && message.id == MESSAGE_ID_EVENT ? message.words[0]
                                                                              : 0;
}

static void test_interrupts(void)
{
    uint64_t name = 0, address = 0, data = 0;
    port_name_t msi = PORT_NULL, line = PORT_NULL, again = PORT_NULL;

    (void)task_allocate_port(NAME_TASK_SELF, 0, &name);
    port_name_t port = (port_name_t)name;
    ok(host_allocate_msi(NAME_HOST_PRIVILEGED, 4, make_send(port), &msi, &address, &data) ==
               ERR_OK &&
           address >> 20 == 0xfee && data != 0,
       "a message-signalled interrupt");
    ok(interrupt_trigger(msi) == ERR_OK && events(port) == 4, "is an event");
    ok(interrupt_acknowledge(msi) == ERR_OK && events(port) == 0, "once");
    ok(task_deallocate_right(NAME_TASK_SELF, msi) == ERR_OK, "and goes with its right");
    ok(host_attach_interrupt(NAME_HOST_PRIVILEGED, 5, HOST_IRQ_ISA, 2, make_send(port), &line) ==
               ERR_OK &&
           interrupt_trigger(line) == ERR_OK && events(port) == 2,
       "a line is attached");
    ok(host_attach_interrupt(NAME_HOST_PRIVILEGED, 5, HOST_IRQ_ISA, 2, make_send(port), &again) ==
           ERR_IN_USE,
       "to one at a time");
    ok(host_attach_interrupt(NAME_HOST_PRIVILEGED, 100000, 0, 2, make_send(port), &again) ==
               ERR_NOT_FOUND &&
           host_attach_interrupt(NAME_HOST_PRIVILEGED, 16, HOST_IRQ_ISA, 2, make_send(port),
                                 &again) == ERR_INVALID_ARGUMENT,
       "if there is such a line");
}

// Which services gave which errors, for tests/kernel/errors.sh.
static void tell_errors(void)
{
    struct trace_record records[14] = {0};
    uint64_t next = 0, first = 0, count = 0;
    bool complete = true;

    do {
        size_t words = sizeof records[0] / sizeof(uint64_t) * 14;

        (void)host_trace_read(NAME_HOST, next, &first, &count, (uint64_t *)records, &words);
        complete = complete && first == next;
        for (uint64_t i = 0; i < count; i++) {
            put("# service-error ");
            put_number(records[i].a);
            put(" ");
            put_number(records[i].b);
            put("\n");
        }
        next = first + count;
    } while (count > 0);
    ok(complete, "the trace has all errors");
}

static void finish(void)
{
    ok(host_map_io(NAME_HOST_PRIVILEGED) == ERR_OK, "I/O ports are given");
    ok(host_map_io(NAME_HOST_PRIVILEGED) == ERR_IN_USE, "once");
    tell_errors();
    put("1..");
    put_number(number);
    put("\n");
    __asm__ volatile("outb %0, %1"
                     :
                     : "a"((uint8_t)(failures ? 3 : 1)), "Nd"((uint16_t)DEBUG_EXIT));
}

void first_main(void);
void first_main(void)
{
    uint64_t memory = some_memory();

    (void)host_trace_control(NAME_HOST, 1u << TRACE_SERVICE_ERROR, 0);
    test_addresses(memory);
    test_donation(memory);
    test_device_refused();
    test_interrupts();
    test_services();
    test_limits(memory);
    finish();
    for (;;)
        processor_relax();
}

__asm__(".globl _start\n"
        "_start:\n"
        "    and $-16, %rsp\n"
        "    call first_main\n");
