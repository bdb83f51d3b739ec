// SPDX-License-Identifier: BSD-2-Clause
// The futex core with the host's threads: events are semaphores.
// sources: lib/futex.c
#define _GNU_SOURCE
#include "tap.h"

#include "lib/event.h"
#include "lib/futex.h"
#include "lib/lock.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <time.h>

#define THREADS 8
#define TURNS   2000

static sem_t events[THREADS + 1];
static atomic_uint events_used;
static _Thread_local uint32_t own_event; // index + 1

bool event_prepare(uint32_t *token)
{
    if (own_event == 0) {
        own_event = atomic_fetch_add(&events_used, 1) + 1;
        sem_init(&events[own_event - 1], 0, 0);
    }
    *token = own_event;
    return true;
}

bool event_wait(uint64_t deadline)
{
    struct timespec until = {.tv_sec = (time_t)(deadline / 1000000000),
                             .tv_nsec = (long)(deadline % 1000000000)};

    if (deadline == UINT64_MAX) {
        sem_wait(&events[own_event - 1]);
        return false;
    }
    return sem_clockwait(&events[own_event - 1], CLOCK_MONOTONIC, &until) != 0;
}

void event_signal(uint32_t token)
{
    sem_post(&events[token - 1]);
}

void thread_pause(void)
{
    sched_yield();
}

static uint64_t after_milliseconds(uint64_t milliseconds)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + milliseconds * 1000000;
}

static void test_alone(void)
{
    uint32_t word = 5;

    tap_ok(futex_wait(&word, 4, UINT64_MAX) == -EAGAIN, "another value: no wait");
    tap_ok(futex_wait(&word, 5, after_milliseconds(20)) == -ETIMEDOUT, "the deadline ends a wait");
    tap_ok(futex_wait(&word, 5, 1) == -ETIMEDOUT, "a deadline in the past too");
    tap_ok(futex_wake(&word, 9) == 0, "who has timed out is not woken");
}

// A mutex as textbooks build it (Drepper, Futexes Are Tricky, mutex 2).
static uint32_t mutex;
static unsigned counter;

static void mutex_lock(void)
{
    uint32_t seen = 0;

    if (__atomic_compare_exchange_n(&mutex, &seen, 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        return;
    while (__atomic_exchange_n(&mutex, 2, __ATOMIC_SEQ_CST) != 0)
        futex_wait(&mutex, 2, UINT64_MAX);
}

static void mutex_unlock(void)
{
    if (__atomic_exchange_n(&mutex, 0, __ATOMIC_SEQ_CST) == 2)
        futex_wake(&mutex, 1);
}

static void *count_under_mutex(void *argument)
{
    for (int i = 0; i < TURNS; i++) {
        mutex_lock();
        unsigned seen = counter;
        if (i % 16 == 0)
            sched_yield();
        counter = seen + 1;
        mutex_unlock();
    }
    return argument;
}

static void run_threads(void *(*function)(void *), pthread_t *threads)
{
    atomic_store(&events_used, 1); // the main thread's stays
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, function, NULL);
}

static void join_threads(const pthread_t *threads)
{
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void test_mutex(void)
{
    pthread_t threads[THREADS];

    run_threads(count_under_mutex, threads);
    join_threads(threads);
    tap_ok(counter == THREADS * TURNS, "a mutex of waits and wakes keeps threads apart");
}

static uint32_t gate, second_gate;
static atomic_int waiting, through;

static void *wait_at_gate(void *argument)
{
    atomic_fetch_add(&waiting, 1);
    int result = futex_wait(&gate, 0, UINT64_MAX);
    atomic_fetch_add(&through, result == 0);
    return argument;
}

// Waits until all threads have got into the list, which only a look at how many
// can be moved (here: onto the same word) tells.
static void await_all_waiting(void)
{
    while (futex_requeue(&gate, 0, UINT32_MAX, &gate) != THREADS)
        sched_yield();
}

static void test_requeue(void)
{
    pthread_t threads[THREADS];

    run_threads(wait_at_gate, threads);
    await_all_waiting();
    tap_ok(futex_requeue(&gate, 1, 3, &second_gate) == 4, "one woken and three moved");
    tap_ok(futex_wake(&second_gate, 99) == 3, "the moved ones wait at the other word");
    tap_ok(futex_wake(&gate, 2) == 2, "a wake of two wakes two");
    tap_ok(futex_wake(&gate, 99) == THREADS - 6, "the rest");
    join_threads(threads);
    tap_ok(atomic_load(&through) == THREADS, "all came through, each woken once");
}

static uint32_t contested;
static atomic_int timed_out, woken;

static void *wait_shortly(void *argument)
{
    for (int i = 0; i < 200; i++) {
        int result = futex_wait(&contested, 0, after_milliseconds(0) + 20000);
        atomic_fetch_add(result == 0 ? &woken : &timed_out, 1);
    }
    return argument;
}

static void test_race_of_deadline_and_wake(void)
{
    pthread_t threads[THREADS];
    int wakes = 0;

    run_threads(wait_shortly, threads);
    while (atomic_load(&woken) + atomic_load(&timed_out) < THREADS * 200) {
        wakes += futex_wake(&contested, 1);
        sched_yield();
    }
    join_threads(threads);
    tap_ok(atomic_load(&woken) == wakes, "each wake that counted was seen, none by one timed out");
}

int main(void)
{
    test_alone();
    test_mutex();
    test_requeue();
    test_race_of_deadline_and_wake();
    return tap_end();
}
