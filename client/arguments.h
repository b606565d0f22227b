/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The command line of berth: one table of verbs, one of options, one pass. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct Arguments Arguments;
typedef struct Client Client;

typedef enum Option {
        OPTION_HELP,
        OPTION_VERSION,
        OPTION_JSON,
        OPTION_NO_ASK_PASSWORD,
        OPTION_IMAGE,
        OPTION_ROOTFS,
        OPTION_SET,
        OPTION_START,
        OPTION_TIMEOUT,
        OPTION_KILL,
        OPTION_TERMINAL,
        OPTION_NO_TERMINAL,
        OPTION_USER,
        OPTION_CWD,
        OPTION_ENV,
        OPTION_COMMENT,
        OPTION_REMOVE,
        OPTION_SNAPSHOTS,
        OPTION_SNAPSHOT,
        _OPTION_MAX,
        _OPTION_INVALID = -22,
} Option;

#define OPTION_BIT(o) (1U << OPTION_##o)

typedef struct Verb {
        const char *name;       /* "start", or "image import" */
        const char *usage;      /* what follows the name */
        const char *help;
        unsigned n_min, n_max;  /* words that follow; the rest is a command where it takes one */
        bool command;
        unsigned options;       /* besides those that every verb takes */
        int (*run)(Client *c, const Arguments *a); /* returns the exit status */
} Verb;

#define WORDS_MAX 3

struct Arguments {
        const Verb *verb; /* NULL with help or version */
        const char *words[WORDS_MAX];
        size_t n_words;
        char **command; /* NULL-terminated, NULL if the verb takes none */
        bool given[_OPTION_MAX];
        const char *image, *rootfs, *cwd, *comment, *remove, *snapshot;
        uint64_t timeout; /* µs */
        uid_t user;
        gid_t group;
        const char **settings, **environment; /* "KEY=value", NULL-terminated; NULL if none */
};

extern const Verb verbs[]; /* ended by {} */

void arguments_done(Arguments *a);
/* 0, or -EINVAL with a sentence in ret_error (to be freed). Permutes argv. */
int arguments_parse(int argc, char *argv[], Arguments *ret, char **ret_error);

const char *option_name(Option o);
/* SIGTERM, TERM, 15, RTMIN+3: the number, or -EINVAL. */
int signal_parse(const char *text);
/* "90", "1.5", "500ms", "2min": µs, or -EINVAL. */
int timeout_parse(const char *text, uint64_t *ret);
/* UID or UID:GID (GID is UID where it is left out). */
int user_parse(const char *text, uid_t *ret_user, gid_t *ret_group);
