// SPDX-License-Identifier: BSD-2-Clause
// The first task: takes over the machine from the kernel, reads the
// configuration, starts the servers, and then serves them for ever.
#include "allocator.h"
#include "boot.h"
#include "child.h"
#include "devices.h"
#include "events.h"
#include "faults.h"
#include "requests.h"
#include "supervise.h"

#include "platform/acpi.h"
#include "platform/entropy.h"
#include "platform/power.h"
#include "platform/rtc.h"
#include "platform/serial.h"

#include "lib/port.h"
#include "lib/serve.h"

#include <corvus/allocator.h>
#include <corvus/stubs.h>

#include <inttypes.h>
#include <stdlib.h>

#define MIB_SHIFT 20

static struct config config;
static port_name_t control_port, service_set;
static char copy_buffer[ALLOCATOR_COPY_MAX]; // nothing longer is taken by any service

static _Noreturn void fail(const char *what, corvus_error_t error)
{
    report("%s: error %d", what, (int)error);
    exit(EXIT_FAILURE);
}

static void require(corvus_error_t error, const char *what)
{
    if (error != ERR_OK)
        fail(what, error);
}

static const struct boot_information *take_memory(void)
{
    const struct boot_information *boot = boot_check();
    if (boot == NULL)
        fail("no boot information", ERR_NOT_FOUND);
    require(sigma0_initialize(boot), "no memory");
    struct memory_statistics memory = sigma0_statistics();
    report("Corvus, %" PRIu64 " MiB, %" PRIu64 " MiB free, %u modules",
           boot->memory_bytes >> MIB_SHIFT, memory.free >> MIB_SHIFT, (unsigned)boot->module_count);
    return boot;
}

static void make_ports(void)
{
    require(port_allocate(LABEL_CONTROL, &control_port), "no control port");
    require(port_set_allocate(&service_set), "no port set");
    require(port_enable(control_port, service_set), "no port set");
    require(events_initialize(control_port), "no timer");
}

static void start_serial(void)
{
    if (!serial_initialize()) {
        report("no serial line");
        return;
    }
    console_use_serial();
    corvus_error_t error = serial_attach(control_port, EVENT_SERIAL);
    if (error != ERR_OK)
        report("serial line without interrupt: error %d", (int)error);
}

static void start_platform(const struct boot_information *boot)
{
    uint64_t epoch;
    require(host_map_io(NAME_HOST_PRIVILEGED), "no I/O ports");
    start_serial();
    struct acpi_facts facts = acpi_read(boot->acpi_root, boot->acpi_root_is_xsdt != 0);
    devices_initialize(&facts);
    power_initialize(&facts);
    if (rtc_epoch(&epoch) == ERR_OK)
        requests_set_epoch(epoch);
    else
        report("the real-time clock shows no date");
    report("random numbers from: %s", entropy_source_text(entropy_initialize(boot->command_line)));
}

static void report_mistake(void *context, uint32_t line, const char *message)
{
    (void)context;
    report("config:%" PRIu32 ": %s", line, message);
}

static void read_config(void)
{
    const struct boot_module *module = boot_find_module("config");
    if (module == NULL) {
        report("no boot module `name=config`: nothing to start");
        return;
    }
    uint32_t mistakes = config_parse((const char *)(uintptr_t)module->base, module->length, &config,
                                     report_mistake, NULL);
    if (mistakes != 0)
        report("config: %" PRIu32 " mistakes, %" PRIu32 " servers left", mistakes, config.count);
}

static void serve_child(struct child *child, const struct message *request, struct message *reply)
{
    if (request->id == MESSAGE_ID_PAGE_FAULT) {
        faults_serve_page(&child->memory, request, reply);
    } else if (request->id == MESSAGE_ID_EXCEPTION) {
        faults_serve_exception(child, request);
    } else if (!requests_serve(request, reply)) {
        child->bad_requests++;
        message_drop_rights(request->tag);
        *reply = (struct message){.tag = 1, .words = {ERR_UNKNOWN_SERVICE}};
    }
}

static bool dispatch(const struct message *request, struct message *reply)
{
    if (request->label == LABEL_CONTROL)
        events_serve(request);
    else if (!allocator_request(request, reply))
        serve_child(child_of_label(request->label), request, reply);
    return true;
}

int main(void)
{
    const struct boot_information *boot = take_memory();
    make_ports();
    start_platform(boot);
    read_config();
    require(allocator_initialize(config.allocator, config.allocator_priority, service_set),
            "no allocator");
    supervise_initialize(&config, service_set, control_port);
    supervise_advance();
    utcb_self()->copy_buffers[0] = message_buffer(copy_buffer, sizeof copy_buffer);
    fail("serving ended", serve(service_set, dispatch));
}
