// SPDX-License-Identifier: BSD-2-Clause
// The Linux benchmark: one static program that runs under Debian's kernel and in a node. A row is
// an operation that is measured many times with the time stamp counter, which under -icount shift=0
// counts instructions: those of the program, of Linux and of all below it.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct row {
    const char *name;
    const char *unit;
    unsigned warm, rounds; // rounds that are thrown away, rounds that count
    void (*setup)(void);   // may be NULL
    void (*round)(void);   // the operation
    // A round holds this many operations; 0 means one.
    unsigned operations;
    // What is not to count in one operation: its own median is taken off. May be NULL.
    void (*baseline)(void);
};

// The rows, by file; each table ends with a row without a name.
extern const struct row rows_call[];
extern const struct row rows_signal[];
extern const struct row rows_memory[];
extern const struct row rows_pipe[];
extern const struct row rows_process[];
extern const struct row rows_socket[];
// Of what only nodes have: these run when they are asked for by name.
extern const struct row rows_shared[];

// What the command line says.
struct settings {
    const char *prefix;   // before each line of output
    const char *folder;   // for files
    const char *compiler; // for the row compile
    const char *source;
    unsigned divisor; // of all numbers of rounds
    char self[256];   // this program
};
extern struct settings settings;

// Measures a row in the calling process and prints `name median minimum unit rounds`.
void measure_row(const struct row *row);

// Ends the process: the row cannot be measured. Says what did not work and, with errno, why.
__attribute__((noreturn)) void failed(const char *what);

// A value that must not be -1.
#define MUST(call)                                                                                 \
    ({                                                                                             \
        __auto_type value_ = (call);                                                               \
        if (value_ == (__typeof__(value_))-1)                                                      \
            failed(#call);                                                                         \
        value_;                                                                                    \
    })

// Starts another process of the row. It is killed when the row's own process ends.
pid_t partner(void (*run)(void));

// All of it, or the row has failed.
void read_all(int file, void *bytes, size_t count);
void write_all(int file, const void *bytes, size_t count);

// The path of a file of that name in settings.folder.
struct path {
    char text[256];
};
struct path path_in_folder(const char *name);
