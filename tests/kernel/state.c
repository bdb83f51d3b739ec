// SPDX-License-Identifier: BSD-2-Clause
// Threads: their registers, hostile ones too, suspension, TLS and message page
// bases, vector registers.
#include "harness.h"

#include <corvus/vcpu.h>

#define REGISTER_WORDS (sizeof(struct vcpu_registers) / 8)

static volatile uint64_t counter, seen[4];
static volatile bool stop;

static corvus_error_t get_state(port_name_t thread, struct vcpu_registers *state)
{
    size_t words = REGISTER_WORDS;

    return thread_get_state(thread, (uint64_t *)state, &words);
}

static corvus_error_t set_state(port_name_t thread, const struct vcpu_registers *state)
{
    return thread_set_state(thread, (const uint64_t *)state, REGISTER_WORDS);
}

static void count(void *argument)
{
    (void)argument;
    while (!stop)
        counter++;
}

static bool counts(void)
{
    uint64_t before = counter;

    sleep_for(30 * MILLISECOND);
    return counter != before;
}

static void test_suspend(void)
{
    uint64_t suspended = 99;

    stop = false;
    struct helper *helper = helper_start_priority(count, NULL, -5);
    EXPECT(counts());
    EXPECT_OK(thread_suspend(helper->thread));
    EXPECT_OK(thread_suspend(helper->thread));
    EXPECT(!counts());
    EXPECT_OK(thread_info(helper->thread, NULL, NULL, NULL, &suspended, NULL, NULL));
    EXPECT_EQUAL(suspended, 2);
    EXPECT_OK(thread_resume(helper->thread));
    EXPECT(!counts());
    EXPECT_OK(thread_resume(helper->thread));
    EXPECT(counts());
    EXPECT_EQUAL(thread_resume(helper->thread), ERR_STATE);
    EXPECT_EQUAL(thread_start(helper->thread, 0x1000, 0x1000, 0, 0), ERR_STATE);
    stop = true;
    helper_join(helper);
}

static void suspend_self(void *argument)
{
    struct helper *self = *(struct helper **)argument;

    seen[0] = 1;
    EXPECT_OK(thread_suspend(self->thread));
    seen[0] = 2;
}

static void test_suspend_self(void)
{
    struct helper *helper = helper_create(0);

    seen[0] = 0;
    helper->function = suspend_self;
    helper->argument = &helper;
    EXPECT_OK(thread_start(helper->thread, (uint64_t)helper_begin, helper_stack(helper),
                           (uint64_t)helper, 0));
    sleep_for(5 * MILLISECOND);
    EXPECT_EQUAL(seen[0], 1);
    EXPECT_OK(thread_resume(helper->thread));
    helper_join(helper);
    EXPECT_EQUAL(seen[0], 2);
}

static void test_info(void)
{
    uint64_t id = 0, state = 0, priority = 0, suspended = 0, task = 0, utcb = 0, my_id = 0;
    struct helper *helper = helper_create(-3);

    EXPECT_OK(task_info(NAME_TASK_SELF, &my_id, NULL, NULL, NULL, NULL, NULL));
    EXPECT_OK(thread_info(helper->thread, &id, &state, &priority, &suspended, &task, &utcb));
    EXPECT_EQUAL(id, helper->id);
    EXPECT_EQUAL(state, THREAD_READY);
    EXPECT_EQUAL(suspended, 1);
    EXPECT_EQUAL(task, my_id);
    EXPECT_EQUAL(utcb, (uint64_t)helper->utcb);
    uint64_t mine = 0;
    EXPECT_OK(thread_info(NAME_THREAD_MAIN, NULL, NULL, &mine, NULL, NULL, NULL));
    EXPECT_EQUAL(priority, mine - 3);
    EXPECT_EQUAL((uint64_t)helper->utcb->self, (uint64_t)helper->utcb);
    EXPECT_OK(thread_set_priority(helper->thread, 0));
    EXPECT_OK(thread_set_priority(helper->thread, mine));
    EXPECT_EQUAL(thread_set_priority(helper->thread, mine + 1), ERR_INVALID_ARGUMENT);
    EXPECT_EQUAL(thread_set_priority(helper->thread, 256), ERR_INVALID_ARGUMENT);
    helper_destroy(helper);
}

static void test_create_refused(void)
{
    port_name_t thread = PORT_NULL;
    uint64_t mine = 0;
    const struct {
        uint64_t utcb;
        corvus_error_t error;
    } cases[] = {
        {1, ERR_INVALID_RANGE},
        {SCRATCH + 8, ERR_INVALID_RANGE},
        {USER_MAP_END, ERR_INVALID_RANGE},
        {0xffffffff80000000ull, ERR_INVALID_RANGE},
        {(uint64_t)utcb_self(), ERR_IN_USE},
        {(uint64_t)&counter & ~(PAGE_BYTES - 1), ERR_IN_USE},
    };

    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
        EXPECT_EQUAL(task_create_thread(NAME_TASK_SELF, cases[i].utcb, 1, &thread, NULL),
                     cases[i].error);
    EXPECT_OK(thread_info(NAME_THREAD_MAIN, NULL, NULL, &mine, NULL, NULL, NULL));
    EXPECT_EQUAL(task_create_thread(NAME_TASK_SELF, SCRATCH, mine + 1, &thread, NULL),
                 ERR_INVALID_ARGUMENT);
    EXPECT_EQUAL(task_create_thread(NAME_TASK_SELF, SCRATCH, 1ull << 32, &thread, NULL),
                 ERR_INVALID_ARGUMENT);
}

// A task's limit holds for whoever makes its threads, and for tasks made from it.
static void test_priority_limit(void)
{
    port_name_t task = PORT_NULL, child = PORT_NULL, thread = PORT_NULL;

    EXPECT_OK(task_create(NAME_TASK_SELF, 512 << 10, TASK_PRIORITY_MAX(5), &task, NULL));
    EXPECT_EQUAL(task_create_thread(task, CHILD_UTCB, 6, &thread, NULL), ERR_INVALID_ARGUMENT);
    EXPECT_OK(task_create_thread(task, CHILD_UTCB, 5, &thread, NULL));
    EXPECT_EQUAL(thread_set_priority(thread, 6), ERR_INVALID_ARGUMENT);
    EXPECT_OK(thread_set_priority(thread, 0));
    EXPECT_OK(thread_set_priority(thread, 5));
    EXPECT_OK(port_deallocate(thread));
    EXPECT_OK(task_create(task, 128 << 10, TASK_PRIORITY_MAX(7), &child, NULL));
    EXPECT_EQUAL(task_create_thread(child, CHILD_UTCB, 6, &thread, NULL), ERR_INVALID_ARGUMENT);
    EXPECT_OK(port_deallocate(child));
    EXPECT_OK(task_create(task, 128 << 10, TASK_PRIORITY_MAX(4), &child, NULL));
    EXPECT_EQUAL(task_create_thread(child, CHILD_UTCB, 5, &thread, NULL), ERR_INVALID_ARGUMENT);
    EXPECT_OK(task_create_thread(child, CHILD_UTCB, 4, &thread, NULL));
    EXPECT_OK(port_deallocate(thread));
    EXPECT_EQUAL(task_create(task, 4096, 5u << TASK_PRIORITY_SHIFT, &(port_name_t){0}, NULL),
                 ERR_INVALID_ARGUMENT);
    EXPECT_OK(task_terminate(task));
    EXPECT_OK(port_deallocate(child));
    EXPECT_OK(port_deallocate(task));
}

// --- Registers --------------------------------------------------------------------------

// All registers as set, including flags.
static void test_registers(void)
{
    struct vcpu_registers state = {0}, back = {0};
    struct helper *helper = helper_create(-1);
    uint64_t *words = (uint64_t *)&state;

    for (unsigned i = 0; i < 15; i++)
        words[i] = 0x1111111111111111ull * (i % 15 + 1);
    state.rip = (uint64_t)count;
    state.rsp = helper_stack(helper);
    state.rflags = UINT64_MAX;
    state.fs_base = 0x12345678;
    state.gs_base = (uint64_t)helper->utcb;
    EXPECT_OK(set_state(helper->thread, &state));
    EXPECT_OK(get_state(helper->thread, &back));
    for (unsigned i = 0; i < 16; i++)
        EXPECT_EQUAL(((uint64_t *)&back)[i], words[i]);
    EXPECT_EQUAL(back.rsp, state.rsp);
    EXPECT_EQUAL(back.fs_base, state.fs_base);
    EXPECT_EQUAL(back.gs_base, state.gs_base);
    // No I/O privilege, interrupts on, no virtual-8086 or nested-task flag.
    EXPECT_EQUAL(back.rflags & 0x1a7000, 0);
    EXPECT_EQUAL(back.rflags & 0x202, 0x202);
    helper_destroy(helper);
}

static void test_hostile_registers(void)
{
    // The page between USER_END and the hole is canonical, and nothing is ever there.
    static const uint64_t bad[] = {0x0000800000000000ull, 0x0000ffffffffffffull,
                                   0xffff800000000000ull, 0xffffffff80100000ull,
                                   0x8000000000000000ull, UINT64_MAX};
    struct helper *helper = helper_create(-1);
    struct vcpu_registers good = {0};

    EXPECT_OK(get_state(helper->thread, &good));
    good.rip = (uint64_t)count;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct vcpu_registers state = good;
        state.rip = bad[i];
        EXPECT_EQUAL(set_state(helper->thread, &state), ERR_STATE);
        state = good;
        state.fs_base = bad[i];
        EXPECT_EQUAL(set_state(helper->thread, &state), ERR_STATE);
        state = good;
        state.gs_base = bad[i];
        EXPECT_EQUAL(set_state(helper->thread, &state), ERR_STATE);
        EXPECT_EQUAL(thread_set_tls(helper->thread, bad[i]), ERR_INVALID_RANGE);
        EXPECT_EQUAL(thread_start(helper->thread, bad[i], 0, 0, 0), ERR_INVALID_RANGE);
        EXPECT_EQUAL(thread_start(helper->thread, 0x1000, bad[i], 0, 0), ERR_INVALID_RANGE);
        EXPECT_EQUAL(thread_start(helper->thread, 0x1000, 0x1000, 0, bad[i]), ERR_INVALID_RANGE);
        // Any stack pointer may be set: it is only used in user mode, where it faults.
        state = good;
        state.rsp = bad[i];
        EXPECT_OK(set_state(helper->thread, &state));
    }
    EXPECT_EQUAL(thread_set_state(helper->thread, (const uint64_t *)&good, REGISTER_WORDS - 1),
                 ERR_INVALID_ARGUMENT);
    EXPECT_EQUAL(get_state(NAME_THREAD_MAIN, &good), ERR_STATE);
    EXPECT_EQUAL(set_state(NAME_THREAD_MAIN, &good), ERR_STATE);
    helper_destroy(helper);
}

// A running thread, suspended, is sent somewhere else.
static void other_place(struct helper *helper)
{
    seen[1] = 0x0714e5;
    helper->done = true;
    for (;;)
        (void)thread_terminate(helper->thread);
}

static void test_redirect(void)
{
    struct vcpu_registers state = {0};

    stop = false;
    struct helper *helper = helper_start_priority(count, NULL, -5);
    EXPECT(counts());
    EXPECT_OK(thread_suspend(helper->thread));
    EXPECT_OK(get_state(helper->thread, &state));
    EXPECT(state.rip >= (uint64_t)count && state.rip < (uint64_t)count + 100);
    state.rip = (uint64_t)other_place;
    state.rdi = (uint64_t)helper;
    state.rsp = helper_stack(helper);
    EXPECT_OK(set_state(helper->thread, &state));
    EXPECT_OK(thread_resume(helper->thread));
    helper_join(helper);
    EXPECT_EQUAL(seen[1], 0x0714e5);
}

// --- Bases and vector registers ------------------------------------------------------------

// A base set when the thread began stays over switches.
static void read_fs(void *argument)
{
    uint64_t fs;

    for (unsigned i = 0; i < 50; i++) {
        __asm__ volatile("rdfsbase %0" : "=r"(fs));
        EXPECT_EQUAL(fs, 0x4000000 + (uint64_t)argument);
        sleep_for(100000);
    }
}

static void test_bases(void)
{
    struct helper *helpers[3];

    for (uint64_t i = 0; i < 3; i++) {
        helpers[i] = helper_create(0);
        helpers[i]->function = read_fs;
        helpers[i]->argument = (void *)i;
        EXPECT_OK(thread_start(helpers[i]->thread, (uint64_t)helper_begin, helper_stack(helpers[i]),
                               (uint64_t)helpers[i], 0x4000000 + i));
    }
    for (unsigned i = 0; i < 3; i++)
        helper_join(helpers[i]);
    uint64_t fs;
    __asm__ volatile("rdfsbase %0" : "=r"(fs));
    EXPECT_OK(thread_set_tls(NAME_THREAD_MAIN, fs));
}

// Each thread fills its AVX registers and finds them again after switches by
// time slices, calls and sleep.
static void vectors(void *argument)
{
    uint64_t value = 0x0101010101010101ull * ((uint64_t)argument + 1);
    uint64_t out[4] __attribute__((aligned(32)));
    struct message message = {.destination = NAME_TASK_SELF, .id = SERVICE_task_info};

    for (unsigned i = 0; i < 60 && !stop; i++) {
        uint64_t tag = TAG_CALL, to = message.destination, id = message.id;
        uint64_t spins = 200000;
        __asm__ volatile("vmovq %[value], %%xmm3\n\t"
                         "vpunpcklqdq %%xmm3, %%xmm3, %%xmm3\n\t"
                         "vinsertf128 $1, %%xmm3, %%ymm3, %%ymm3\n\t"
                         "vmovaps %%ymm3, %%ymm15\n"
                         "1:\tdec %[spins]\n\t"
                         "jnz 1b\n\t"
                         "syscall\n\t"
                         "vxorps %%ymm3, %%ymm15, %%ymm3\n\t"
                         "vmovaps %%ymm3, %[out]"
                         : "+a"(tag), "+D"(to), "+d"(id), [spins] "+b"(spins), [out] "=m"(out)
                         : [value] "r"(value)
                         : "rsi", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "memory",
                           "xmm3", "xmm15");
        EXPECT_EQUAL(out[0] | out[1] | out[2] | out[3], 0);
        __asm__ volatile("vmovaps %%ymm15, %0" : "=m"(out));
        EXPECT_EQUAL(out[0], value);
        EXPECT_EQUAL(out[3], value);
    }
    seen[(uint64_t)argument % 4]++;
}

static void test_vectors(void)
{
    struct helper *helpers[4];

    stop = false;
    for (uint64_t i = 0; i < 4; i++)
        helpers[i] = helper_start_priority(vectors, (void *)i, -5);
    struct child *child = child_run(vectors, (void *)77);
    for (unsigned i = 0; i < 4; i++)
        helper_join(helpers[i]);
    child_join(child);
    child_destroy(child);
}

// A new thread sees no vector register of another.
static void look_at_vectors(void *argument)
{
    uint64_t out[4] __attribute__((aligned(32)));
    uint32_t control;

    (void)argument;
    __asm__ volatile("vmovaps %%ymm15, %0\n\tstmxcsr %1" : "=m"(out), "=m"(control));
    EXPECT_EQUAL(out[0] | out[1] | out[2] | out[3], 0);
    EXPECT_EQUAL(control, 0x1f80);
}

static void test_vectors_fresh(void)
{
    uint64_t value = UINT64_MAX;
    __asm__ volatile("vmovq %0, %%xmm15\n\tvinsertf128 $1, %%xmm15, %%ymm15, %%ymm15"
                     :
                     : "r"(value)
                     : "xmm15");
    helper_join(helper_start(look_at_vectors, NULL));
}

static const struct test tests[] = {
    {"suspended and resumed, counted", test_suspend, false},
    {"a thread suspends itself", test_suspend_self, false},
    {"what thread_info tells, priorities", test_info, false},
    {"threads that are not made", test_create_refused, false},
    {"the limit of a task's priorities", test_priority_limit, false},
    {"registers set and read", test_registers, false},
    {"hostile registers", test_hostile_registers, false},
    {"a running thread sent elsewhere", test_redirect, false},
    {"FS and GS bases", test_bases, false},
    {"vector registers of several threads", test_vectors, false},
    {"vector registers of a new thread", test_vectors_fresh, false},
    {NULL, NULL, false},
};
const struct test_group state_tests = {"state", tests};
