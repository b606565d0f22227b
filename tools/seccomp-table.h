/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A seccomp table in memory, and its reader. The language is described in README.md beside this file. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <seccomp.h>

#define RULES_MAX 1024
#define CONDITIONS_MAX 6
#define ARCHES_MAX 4
#define PLACEHOLDERS_MAX 8
#define NAME_MAX_LENGTH 63

/* Every placeholder has this upper half, because addresses in one program nearly always share theirs and libseccomp
 * compares the upper half once for rules whose upper halves are equal; the lower half tells them apart. */
#define PLACEHOLDER_HIGH UINT64_C(0xbe47b0de)
#define PLACEHOLDER_LOW UINT64_C(0xf1a90000)

typedef struct Rule {
        char name[NAME_MAX_LENGTH + 1];
        int number;
        uint32_t action;
        unsigned n_conditions;
        struct scmp_arg_cmp conditions[CONDITIONS_MAX];
        int placeholder_argument; /* -1 if none */
        bool included;            /* stands in an included file */
        bool section;             /* stands in a section, that is, not in a release */
        bool dropped;             /* widened by another rule */
        const char *file;
        unsigned line;
} Rule;

typedef struct Table {
        bool has_default;
        uint32_t default_action;
        uint32_t arches[ARCHES_MAX]; /* none: native */
        size_t n_arches;
        Rule rules[RULES_MAX];
        size_t n_rules;
        char placeholders[PLACEHOLDERS_MAX][NAME_MAX_LENGTH + 1];
        size_t n_placeholders;
        char *files[16]; /* the table and what it includes, for the depfile */
        size_t n_files;
} Table;

/* Both print the error with file and line and end the program. instrument: the section that counts, or NULL. */
void table_read(Table *t, const char *path, const char *instrument);
void table_check(Table *t);
void table_done(Table *t);
