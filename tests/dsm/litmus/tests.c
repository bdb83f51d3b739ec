// SPDX-License-Identifier: BSD-2-Clause
// The litmus tests, by the names that are usual (Alglave, Maranget, Tautschnig, "Herding Cats",
// 2014), and what sequential consistency allows, by trying all interleavings (Lamport, 1979).
#include "tests/dsm/litmus/litmus.h"

#include <string.h>

#define X 1
#define Y 2
#define Z 3

#define R(variable)                                                                                \
    {                                                                                              \
        0, variable                                                                                \
    }
#define W(variable, value)                                                                         \
    {                                                                                              \
        value, variable                                                                            \
    }

// What the registers are after the weak outcome, and the variables at the end.
#define SEES(...)                                                                                  \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define NONE_SEES                                                                                  \
    {                                                                                              \
        ANY, ANY, ANY, ANY                                                                         \
    }
#define WHATEVER                                                                                   \
    {                                                                                              \
        ANY, ANY, ANY                                                                              \
    }

const struct litmus litmus_tests[] = {
    {"CoRR", {{W(X, 1)}, {R(X), R(X)}}, SEES(1, 0, ANY, ANY), WHATEVER},
    {"CoWW", {{W(X, 1), W(X, 2)}}, NONE_SEES, SEES(1, ANY, ANY)},
    {"CoRW1", {{R(X), W(X, 1)}}, SEES(1, ANY, ANY, ANY), WHATEVER},
    {"CoRW2", {{W(X, 1)}, {R(X), W(X, 2)}}, SEES(1, ANY, ANY, ANY), SEES(1, ANY, ANY)},
    {"CoWR", {{W(X, 1), R(X)}, {W(X, 2)}}, SEES(2, ANY, ANY, ANY), SEES(1, ANY, ANY)},
    {"CoRR2", {{W(X, 1)}, {W(X, 2)}, {R(X), R(X)}, {R(X), R(X)}}, SEES(1, 2, 2, 1), WHATEVER},
    {"SB", {{W(X, 1), R(Y)}, {W(Y, 1), R(X)}}, SEES(0, 0, ANY, ANY), WHATEVER},
    {"LB", {{R(X), W(Y, 1)}, {R(Y), W(X, 1)}}, SEES(1, 1, ANY, ANY), WHATEVER},
    {"MP", {{W(X, 1), W(Y, 1)}, {R(Y), R(X)}}, SEES(1, 0, ANY, ANY), WHATEVER},
    {"2+2W", {{W(X, 1), W(Y, 2)}, {W(Y, 1), W(X, 2)}}, NONE_SEES, SEES(1, 1, ANY)},
    {"R", {{W(X, 1), W(Y, 1)}, {W(Y, 2), R(X)}}, SEES(0, ANY, ANY, ANY), SEES(ANY, 2, ANY)},
    {"S", {{W(X, 2), W(Y, 1)}, {R(Y), W(X, 1)}}, SEES(1, ANY, ANY, ANY), SEES(2, ANY, ANY)},
    {"WRC", {{W(X, 1)}, {R(X), W(Y, 1)}, {R(Y), R(X)}}, SEES(1, 1, 0, ANY), WHATEVER},
    {"RWC", {{W(X, 1)}, {R(X), R(Y)}, {W(Y, 1), R(X)}}, SEES(1, 0, 0, ANY), WHATEVER},
    {"WWC", {{W(X, 2)}, {R(X), W(Y, 1)}, {R(Y), W(X, 1)}}, SEES(2, 1, ANY, ANY), SEES(2, ANY, ANY)},
    {"ISA2", {{W(X, 1), W(Y, 1)}, {R(Y), W(Z, 1)}, {R(Z), R(X)}}, SEES(1, 1, 0, ANY), WHATEVER},
    {"3.SB", {{W(X, 1), R(Y)}, {W(Y, 1), R(Z)}, {W(Z, 1), R(X)}}, SEES(0, 0, 0, ANY), WHATEVER},
    {"3.LB", {{R(X), W(Y, 1)}, {R(Y), W(Z, 1)}, {R(Z), W(X, 1)}}, SEES(1, 1, 1, ANY), WHATEVER},
    {"IRIW", {{W(X, 1)}, {W(Y, 1)}, {R(X), R(Y)}, {R(Y), R(X)}}, SEES(1, 0, 1, 0), WHATEVER},
};

const unsigned litmus_count = sizeof litmus_tests / sizeof litmus_tests[0];

unsigned litmus_length(const struct litmus *test, unsigned thread)
{
    unsigned length = 0;

    while (length < LITMUS_STEPS && test->threads[thread][length].variable != 0)
        length++;
    return length;
}

unsigned litmus_register(const struct litmus *test, unsigned thread, unsigned step)
{
    unsigned before = 0;

    for (unsigned t = 0; t <= thread; t++)
        for (unsigned s = 0; s < (t == thread ? step : litmus_length(test, t)); s++)
            before += test->threads[t][s].value == 0;
    return before;
}

uint32_t litmus_outcome(const uint8_t registers[LITMUS_REGISTERS],
                        const uint8_t variables[LITMUS_VARIABLES])
{
    uint32_t outcome = 0;

    for (unsigned i = 0; i < LITMUS_REGISTERS; i++)
        outcome = outcome << 2 | registers[i];
    for (unsigned i = 0; i < LITMUS_VARIABLES; i++)
        outcome = outcome << 2 | variables[i];
    return outcome;
}

// One memory, and how far each thread is.
struct machine {
    uint8_t done[LITMUS_THREADS];
    uint8_t registers[LITMUS_REGISTERS], variables[LITMUS_VARIABLES];
};

static void interleave(const struct litmus *test, const struct machine *machine, bool *allowed)
{
    bool ended = true;

    for (unsigned thread = 0; thread < LITMUS_THREADS; thread++) {
        unsigned step = machine->done[thread];
        if (step == litmus_length(test, thread))
            continue;
        const struct litmus_step *one = &test->threads[thread][step];
        struct machine next = *machine;
        next.done[thread]++;
        if (one->value != 0)
            next.variables[one->variable - 1] = one->value;
        else
            next.registers[litmus_register(test, thread, step)] =
                machine->variables[one->variable - 1];
        interleave(test, &next, allowed);
        ended = false;
    }
    if (ended)
        allowed[litmus_outcome(machine->registers, machine->variables)] = true;
}

void litmus_allowed(const struct litmus *test, bool *allowed)
{
    const struct machine begin = {{0}, {0}, {0}};

    memset(allowed, 0, LITMUS_OUTCOMES);
    interleave(test, &begin, allowed);
}

bool litmus_is_weak(const struct litmus *test, uint32_t outcome)
{
    for (unsigned i = LITMUS_VARIABLES; i-- != 0; outcome >>= 2)
        if (test->variables[i] != ANY && test->variables[i] != (outcome & 3))
            return false;
    for (unsigned i = LITMUS_REGISTERS; i-- != 0; outcome >>= 2)
        if (test->registers[i] != ANY && test->registers[i] != (outcome & 3))
            return false;
    return true;
}
