/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Parsing of the command line. Runs as whoever calls, with no right of its own. */

#include "arguments.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "util.h"

static const struct option long_options[] = {
        { "help", no_argument, NULL, OPTION_HELP },
        { "version", no_argument, NULL, OPTION_VERSION },
        { "json", no_argument, NULL, OPTION_JSON },
        { "no-ask-password", no_argument, NULL, OPTION_NO_ASK_PASSWORD },
        { "image", required_argument, NULL, OPTION_IMAGE },
        { "rootfs", required_argument, NULL, OPTION_ROOTFS },
        { "set", required_argument, NULL, OPTION_SET },
        { "start", no_argument, NULL, OPTION_START },
        { "timeout", required_argument, NULL, OPTION_TIMEOUT },
        { "kill", no_argument, NULL, OPTION_KILL },
        { "terminal", no_argument, NULL, OPTION_TERMINAL },
        { "no-terminal", no_argument, NULL, OPTION_NO_TERMINAL },
        { "user", required_argument, NULL, OPTION_USER },
        { "cwd", required_argument, NULL, OPTION_CWD },
        { "env", required_argument, NULL, OPTION_ENV },
        { "comment", required_argument, NULL, OPTION_COMMENT },
        { "remove", required_argument, NULL, OPTION_REMOVE },
        { "snapshots", no_argument, NULL, OPTION_SNAPSHOTS },
        { "snapshot", required_argument, NULL, OPTION_SNAPSHOT },
        {},
};

#define EVERYWHERE (OPTION_BIT(HELP) | OPTION_BIT(VERSION) | OPTION_BIT(JSON) | OPTION_BIT(NO_ASK_PASSWORD))

const char *option_name(Option o) {
        for (const struct option *l = long_options; l->name; l++)
                if (l->val == (int) o)
                        return l->name;

        return NULL;
}

int signal_parse(const char *text) {
        const char *name = text;
        uint64_t number;

        if (span_to_unsigned((Span) { text, strlen(text) }, 64, &number) >= 0)
                return number > 0 ? (int) number : -EINVAL;
        if (strncasecmp(name, "SIG", 3) == 0)
                name += 3;
        if (strncasecmp(name, "RTMIN+", 6) == 0 &&
            span_to_unsigned((Span) { name + 6, strlen(name + 6) }, (uint64_t) (SIGRTMAX - SIGRTMIN), &number) >= 0)
                return SIGRTMIN + (int) number;
        for (int i = 1; i < 32; i++) {
                const char *abbreviation = sigabbrev_np(i);

                if (abbreviation && strcasecmp(abbreviation, name) == 0)
                        return i;
        }

        return -EINVAL;
}

int timeout_parse(const char *text, uint64_t *ret) {
        static const struct {
                const char *unit;
                double factor;
        } units[] = { { "", 1e6 }, { "s", 1e6 }, { "ms", 1e3 }, { "us", 1 }, { "min", 60e6 }, { "h", 3600e6 } };
        char *end;
        double value;

        /* No sign, space or "nan", which strtod() would take. */
        if (!(text[0] >= '0' && text[0] <= '9'))
                return -EINVAL;
        value = strtod(text, &end);
        for (size_t i = 0; i < ELEMENTSOF(units); i++) {
                if (!streq(end, units[i].unit))
                        continue;
                if (value * units[i].factor > 1e15)
                        return -EINVAL;
                *ret = (uint64_t) (value * units[i].factor);
                return 0;
        }

        return -EINVAL;
}

int user_parse(const char *text, uid_t *ret_user, gid_t *ret_group) {
        Span rest = { text, strlen(text) }, word;
        uint64_t user, group;

        if (!span_cut(&rest, ':', &word) || span_to_unsigned(word, UINT32_MAX - 1, &user) < 0)
                return -EINVAL;
        group = user;
        if (strchr(text, ':') && span_to_unsigned(rest, UINT32_MAX - 1, &group) < 0)
                return -EINVAL;

        *ret_user = (uid_t) user;
        *ret_group = (gid_t) group;
        return 0;
}

static _printf_(2, 3) int wrong(char **ret_error, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        if (vasprintf(ret_error, format, ap) < 0)
                *ret_error = NULL;
        va_end(ap);

        return -EINVAL;
}

static int add_text(const char ***list, const char *text) {
        size_t n = 0;
        const char **grown;

        while (*list && (*list)[n])
                n++;
        grown = reallocarray(*list, n + 2, sizeof(char *));
        if (!grown)
                return -ENOMEM;
        grown[n] = text;
        grown[n + 1] = NULL;
        *list = grown;

        return 0;
}

static int add_assignment(const char ***list, Option o, const char *text, char **ret_error) {
        if (text[0] == '=' || !strchr(text, '='))
                return wrong(ret_error, "--%s wants KEY=VALUE, not \"%s\".", option_name(o), text);

        return add_text(list, text);
}

static int take_option(Arguments *a, Option o, const char *value, char **ret_error) {
        a->given[o] = true;

        switch (o) {
        case OPTION_IMAGE:
                a->image = value;
                return 0;
        case OPTION_ROOTFS:
                a->rootfs = value;
                return 0;
        case OPTION_SET:
                return add_assignment(&a->settings, o, value, ret_error);
        case OPTION_ENV:
                return add_assignment(&a->environment, o, value, ret_error);
        case OPTION_TIMEOUT:
                return timeout_parse(value, &a->timeout) >= 0 ? 0 :
                        wrong(ret_error, "\"%s\" is no time; seconds, or a number with ms, s, min or h.", value);
        case OPTION_USER:
                return user_parse(value, &a->user, &a->group) >= 0 ? 0 :
                        wrong(ret_error, "--user wants the number of a user inside, UID or UID:GID, not \"%s\".", value);
        case OPTION_CWD:
                a->cwd = value;
                return value[0] == '/' ? 0 : wrong(ret_error, "--cwd wants an absolute path inside, not \"%s\".", value);
        case OPTION_COMMENT:
                a->comment = value;
                return 0;
        case OPTION_REMOVE:
                a->remove = value;
                return 0;
        case OPTION_SNAPSHOT:
                a->snapshot = value;
                return 0;
        case OPTION_HELP:
        case OPTION_VERSION:
        case OPTION_JSON:
        case OPTION_NO_ASK_PASSWORD:
        case OPTION_START:
        case OPTION_KILL:
        case OPTION_TERMINAL:
        case OPTION_NO_TERMINAL:
        case OPTION_SNAPSHOTS:
        case _OPTION_MAX:
        case _OPTION_INVALID:
                return 0;
        }

        return 0;
}

static const Verb *find_verb(const char *first, const char *second) {
        char name[64];

        (void) snprintf(name, sizeof(name), "%s%s%s", first, second ? " " : "", second ?: "");
        for (const Verb *v = verbs; v->name; v++)
                if (streq(v->name, name))
                        return v;

        return NULL;
}

/* Is it the first word of verbs that have two? */
static bool is_family(const char *word) {
        for (const Verb *v = verbs; v->name; v++)
                if (strncmp(v->name, word, strlen(word)) == 0 && v->name[strlen(word)] == ' ')
                        return true;

        return false;
}

/* A word that is no option. family: the first word of a verb of two, when that has been seen. */
static int take_word(Arguments *a, const char **family, const char *word, char **ret_error) {
        if (!a->verb && !*family && is_family(word)) {
                *family = word;
                return 0;
        }
        if (!a->verb) {
                a->verb = *family ? find_verb(*family, word) : find_verb(word, NULL);
                if (!a->verb)
                        return wrong(ret_error, "There is no \"%s%s%s\".", *family ?: "", *family ? " " : "", word);
                return 0;
        }
        if (a->n_words >= a->verb->n_max)
                return wrong(ret_error, "\"%s\" is too much: berth %s %s", word, a->verb->name, a->verb->usage);
        a->words[a->n_words++] = word;

        return 0;
}

static int check_arguments(const Arguments *a, const char *family, char **ret_error) {
        if (a->given[OPTION_HELP] || a->given[OPTION_VERSION])
                return 0;
        if (!a->verb)
                return family ? wrong(ret_error, "What to do with %ss?", family) : wrong(ret_error, "What is to be done?");
        for (Option o = 0; o < _OPTION_MAX; o++)
                if (a->given[o] && !((EVERYWHERE | a->verb->options) & (1U << o)))
                        return wrong(ret_error, "berth %s has no option --%s.", a->verb->name, option_name(o));
        if (a->n_words < a->verb->n_min)
                return wrong(ret_error, "Something is missing: berth %s %s", a->verb->name, a->verb->usage);
        if (a->given[OPTION_TERMINAL] && a->given[OPTION_NO_TERMINAL])
                return wrong(ret_error, "--terminal and --no-terminal exclude each other.");
        if (a->given[OPTION_TIMEOUT] && a->given[OPTION_KILL])
                return wrong(ret_error, "--timeout and --kill exclude each other.");

        return 0;
}

void arguments_done(Arguments *a) {
        free(a->settings);
        free(a->environment);
}

/* Options and words in any order, until "--" or until a verb that runs a command has all its words. */
static int parse(int argc, char *argv[], Arguments *a, const char **family, char **ret_error) {
        bool only_words = false; /* "--" has been seen */
        int o, r;

        opterr = 0;
        optind = 0;
        for (;;) {
                bool complete = a->verb && a->verb->command && a->n_words == a->verb->n_max;

                o = only_words || (complete && optind < argc && argv[optind][0] != '-') ? -1 :
                        getopt_long(argc, argv, "+:h", long_options, NULL);
                if (o == 'h')
                        o = OPTION_HELP;
                if (o == ':')
                        return wrong(ret_error, "%s wants a value.", argv[optind - 1]);
                if (o == '?')
                        return wrong(ret_error, "There is no option %s.", argv[optind - 1]);
                if (o >= 0) {
                        r = take_option(a, (Option) o, optarg, ret_error);
                        if (r < 0)
                                return r;
                        continue;
                }

                only_words |= optind > 1 && streq(argv[optind - 1], "--");
                if (complete) {
                        a->command = argv + optind;
                        return 0;
                }
                if (optind >= argc)
                        return 0;
                r = take_word(a, family, argv[optind++], ret_error);
                if (r < 0)
                        return r;
        }
}

int arguments_parse(int argc, char *argv[], Arguments *ret, char **ret_error) {
        const char *family = NULL;
        Arguments a = {};
        int r;

        r = parse(argc, argv, &a, &family, ret_error);
        if (r >= 0)
                r = check_arguments(&a, family, ret_error);
        if (r < 0) {
                arguments_done(&a);
                return r;
        }

        *ret = a;
        return 0;
}
