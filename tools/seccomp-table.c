/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads seccomp tables. Runs at build time, as whoever builds; believes the source tree. */
#include "seccomp-table.h"

#include "seccomp-constants.h"

#include <ctype.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 32
#define LINE_LENGTH_MAX 512
#define INCLUDE_DEPTH_MAX 4

/* Where the reader stands. */
typedef struct Reader {
        Table *table;
        const char *instrument;
        const char *file;
        unsigned line;
        unsigned depth;
        bool section; /* inside a section that counts */
        bool skip;    /* inside one that does not */
        char *words[WORDS_MAX + 1];
        size_t n_words;
} Reader;

static _Noreturn void fail(const Reader *r, const char *problem, const char *word) {
        errx(EXIT_FAILURE, "%s:%u: %s: %s", r->file, r->line, problem, word ?: "(end of line)");
}

static uint64_t number_parse(const Reader *r, const char *word) {
        char *end;
        uint64_t value;

        for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
                if (strcmp(constants[i].name, word) == 0)
                        return constants[i].value;

        if (!isdigit((unsigned char) word[0]))
                fail(r, "neither a number nor a known constant", word);
        errno = 0;
        value = strtoull(word, &end, 0);
        if (errno != 0 || *end != 0)
                fail(r, "not a number", word);
        return value;
}

/* NUMBER or CONSTANT, or several joined by "|" without blanks. */
static uint64_t value_parse(const Reader *r, const char *word) {
        char copy[LINE_LENGTH_MAX];
        uint64_t value = 0;
        char *save = NULL;

        if (!word)
                fail(r, "a value is missing", word);
        (void) snprintf(copy, sizeof(copy), "%s", word);
        for (char *part = strtok_r(copy, "|", &save); part; part = strtok_r(NULL, "|", &save))
                value |= number_parse(r, part);
        return value;
}

static uint64_t placeholder_value(const Reader *r, const char *name) {
        Table *t = r->table;
        size_t i;

        if (!islower((unsigned char) name[0]) || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name) ||
            strlen(name) > NAME_MAX_LENGTH)
                fail(r, "not a placeholder's name", name);
        for (i = 0; i < t->n_placeholders; i++)
                if (strcmp(t->placeholders[i], name) == 0)
                        break;
        if (i == t->n_placeholders) {
                if (i == PLACEHOLDERS_MAX)
                        fail(r, "too many placeholders", name);
                strcpy(t->placeholders[i], name);
                t->n_placeholders++;
        }
        return PLACEHOLDER_HIGH << 32 | (PLACEHOLDER_LOW + i);
}

/* kill | allow | log | trap | errno VALUE. Returns how many words it took; 0 if this is no action. */
static size_t action_parse(const Reader *r, size_t at, uint32_t *ret) {
        const char *word = r->words[at];

        if (!word)
                return 0;
        if (strcmp(word, "kill") == 0)
                *ret = SCMP_ACT_KILL_PROCESS;
        else if (strcmp(word, "allow") == 0)
                *ret = SCMP_ACT_ALLOW;
        else if (strcmp(word, "log") == 0)
                *ret = SCMP_ACT_LOG;
        else if (strcmp(word, "trap") == 0)
                *ret = SCMP_ACT_TRAP;
        else if (strcmp(word, "errno") == 0) {
                uint64_t value = value_parse(r, r->words[at + 1]);

                if (value == 0 || value > 4095)
                        fail(r, "not an errno", r->words[at + 1]);
                *ret = SCMP_ACT_ERRNO((uint16_t) value);
                return 2;
        } else
                return 0;
        return 1;
}

/* argN OP VALUE | argN masked MASK == VALUE | the same with intN, of which only the lower 32 bits count. */
static size_t condition_parse(const Reader *r, size_t at, Rule *rule) {
        static const struct {
                const char *word;
                enum scmp_compare op;
        } operators[] = {
                { "==", SCMP_CMP_EQ }, { "!=", SCMP_CMP_NE }, { "<", SCMP_CMP_LT },
                { "<=", SCMP_CMP_LE }, { ">", SCMP_CMP_GT },  { ">=", SCMP_CMP_GE },
        };
        const char *subject = r->words[at], *operator = r->words[at + 1];
        bool narrow = strncmp(subject, "int", 3) == 0;
        struct scmp_arg_cmp *c;

        if ((!narrow && strncmp(subject, "arg", 3) != 0) || subject[3] < '0' || subject[3] > '5' || subject[4] != 0)
                fail(r, "not argN or intN", subject);
        if (!operator)
                fail(r, "an operator is missing", operator);
        if (rule->n_conditions == CONDITIONS_MAX)
                fail(r, "too many conditions", subject);
        c = rule->conditions + rule->n_conditions++;
        c->arg = (unsigned) (subject[3] - '0');

        if (strcmp(operator, "masked") == 0) {
                c->op = SCMP_CMP_MASKED_EQ;
                c->datum_a = value_parse(r, r->words[at + 2]);
                if (!r->words[at + 3] || strcmp(r->words[at + 3], "==") != 0)
                        fail(r, "only == goes with masked", r->words[at + 3]);
                c->datum_b = value_parse(r, r->words[at + 4]);
                if (narrow) {
                        c->datum_a &= UINT32_MAX;
                        c->datum_b &= UINT32_MAX;
                }
                if ((c->datum_b & ~c->datum_a) != 0)
                        fail(r, "can never be true", r->words[at + 4]);
                return 5;
        }

        for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
                const char *word = r->words[at + 2];

                if (strcmp(operators[i].word, operator) != 0)
                        continue;
                c->op = operators[i].op;
                if (word && word[0] == '@') {
                        if (c->op != SCMP_CMP_EQ || narrow)
                                fail(r, "a placeholder needs argN ==", word);
                        rule->placeholder_argument = (int) c->arg;
                        c->datum_a = placeholder_value(r, word + 1);
                        return 3;
                }
                c->datum_a = value_parse(r, word);
                if (narrow) {
                        /* The upper half of a register that holds an int is the caller's to choose. */
                        if (c->op != SCMP_CMP_EQ)
                                fail(r, "intN goes with == and masked only", operator);
                        c->op = SCMP_CMP_MASKED_EQ;
                        c->datum_b = c->datum_a & UINT32_MAX;
                        c->datum_a = UINT32_MAX;
                }
                return 3;
        }
        fail(r, "not an operator", operator);
}

static void rule_parse(const Reader *r) {
        Table *t = r->table;
        const char *name = r->words[0];
        bool optional = name[0] == '?';
        size_t at = 1;
        Rule *rule;

        name += optional;
        if (t->n_rules == RULES_MAX)
                fail(r, "too many rules", name);
        if (strlen(name) > NAME_MAX_LENGTH)
                fail(r, "too long", name);
        rule = t->rules + t->n_rules;
        *rule = (Rule) {
                .action = SCMP_ACT_ALLOW,
                .placeholder_argument = -1,
                .included = r->depth > 0,
                .section = r->section,
                .file = r->file,
                .line = r->line,
        };
        strcpy(rule->name, name);
        if (isdigit((unsigned char) name[0]))
                /* A call that libseccomp does not know by name. From 424 on, all architectures number alike. */
                rule->number = (int) number_parse(r, name);
        else
                rule->number = seccomp_syscall_resolve_name(name);
        if (rule->number == __NR_SCMP_ERROR) {
                if (optional)
                        return;
                fail(r, "no such system call", name);
        }

        at += action_parse(r, at, &rule->action);
        while (at < r->n_words)
                at += condition_parse(r, at, rule);
        t->n_rules++;
}

static void arch_parse(const Reader *r) {
        Table *t = r->table;

        if (r->n_words == 2 && strcmp(r->words[1], "native") == 0)
                return;
        for (size_t i = 1; i < r->n_words; i++) {
                uint32_t token = seccomp_arch_resolve_name(strcmp(r->words[i], "i386") == 0 ? "x86" : r->words[i]);

                if (token == 0)
                        fail(r, "no such architecture", r->words[i]);
                if (t->n_arches == ARCHES_MAX)
                        fail(r, "too many architectures", r->words[i]);
                t->arches[t->n_arches++] = token;
        }
}

static void file_read(Table *t, const char *path, const char *instrument, unsigned depth);

static void include_parse(const Reader *r) {
        const char *slash = strrchr(r->file, '/');
        char path[4096];

        if (r->n_words != 2)
                fail(r, "include takes one file", r->words[1]);
        if (r->depth == INCLUDE_DEPTH_MAX)
                fail(r, "too many includes in one another", r->words[1]);
        if (snprintf(path, sizeof(path), "%.*s%s", slash ? (int) (slash + 1 - r->file) : 0, r->file, r->words[1]) >=
            (int) sizeof(path))
                fail(r, "too long", r->words[1]);
        file_read(r->table, path, r->instrument, r->depth + 1);
}

static void section_parse(Reader *r) {
        const char *word = r->words[0];
        bool all = strcmp(word, "[all]") == 0;

        if (r->n_words != 1 || (!all && strcmp(word, "[asan]") != 0 && strcmp(word, "[coverage]") != 0))
                fail(r, "not [all], [asan] or [coverage]", word);
        r->section = !all && r->instrument && strncmp(word + 1, r->instrument, strlen(r->instrument)) == 0 &&
                     word[1 + strlen(r->instrument)] == ']';
        r->skip = !all && !r->section;
}

static void line_parse(Reader *r) {
        const char *word = r->words[0];

        if (word[0] == '[')
                section_parse(r);
        else if (r->skip)
                return;
        else if (strcmp(word, "include") == 0)
                include_parse(r);
        else if (strcmp(word, "arch") == 0)
                arch_parse(r);
        else if (strcmp(word, "default") == 0) {
                if (r->table->has_default || action_parse(r, 1, &r->table->default_action) != r->n_words - 1 || r->n_words < 2)
                        fail(r, "not the one default line", r->words[1]);
                r->table->has_default = true;
        } else
                rule_parse(r);
}

static void line_split(Reader *r, char *line) {
        char *save = NULL;

        line[strcspn(line, "#\n")] = 0;
        r->n_words = 0;
        for (char *word = strtok_r(line, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
                if (r->n_words == WORDS_MAX)
                        fail(r, "too many words", word);
                r->words[r->n_words++] = word;
        }
        /* The parsers look up to four words ahead. */
        for (size_t i = r->n_words; i <= WORDS_MAX; i++)
                r->words[i] = NULL;
}

static void file_read(Table *t, const char *path, const char *instrument, unsigned depth) {
        Reader r = { .table = t, .instrument = instrument, .depth = depth };
        char line[LINE_LENGTH_MAX];
        FILE *f;

        if (t->n_files == sizeof(t->files) / sizeof(t->files[0]))
                errx(EXIT_FAILURE, "%s: too many files", path);
        r.file = t->files[t->n_files++] = strdup(path);
        f = fopen(path, "re");
        if (!f || !r.file)
                err(EXIT_FAILURE, "%s", path);
        while (fgets(line, sizeof(line), f)) {
                r.line++;
                if (!strchr(line, '\n') && !feof(f))
                        fail(&r, "line too long", line);
                line_split(&r, line);
                if (r.n_words > 0)
                        line_parse(&r);
        }
        if (ferror(f))
                err(EXIT_FAILURE, "%s", path);
        (void) fclose(f);
}

void table_read(Table *t, const char *path, const char *instrument) {
        file_read(t, path, instrument, 0);
        if (!t->has_default)
                errx(EXIT_FAILURE, "%s: no default line", path);
}

/* libseccomp drops a call's conditions in silence once there is a rule without any. Here that is an error, but for two
 * cases that are meant: a table widens what it includes, and a section (never in a release) widens all. */
static void pair_check(Rule *plain, Rule *conditional) {
        if (plain->action != conditional->action)
                errx(EXIT_FAILURE, "%s:%u: %s: another action than without the condition (%s:%u)", conditional->file,
                     conditional->line, conditional->name, plain->file, plain->line);
        if (!plain->section && !(conditional->included && !plain->included))
                errx(EXIT_FAILURE, "%s:%u: %s: the condition is void, the call is allowed by %s:%u", conditional->file,
                     conditional->line, conditional->name, plain->file, plain->line);
        conditional->dropped = true;
}

void table_check(Table *t) {
        for (Rule *a = t->rules; a < t->rules + t->n_rules; a++) {
                if (a->action == t->default_action)
                        errx(EXIT_FAILURE, "%s:%u: %s: the default says that already", a->file, a->line, a->name);
                for (Rule *b = t->rules; b < t->rules + t->n_rules; b++) {
                        if (a == b || a->number != b->number || a->dropped || b->dropped)
                                continue;
                        if (a->n_conditions == 0 && b->n_conditions > 0)
                                pair_check(a, b);
                        else if (a->n_conditions == 0 && a->action != b->action)
                                errx(EXIT_FAILURE, "%s:%u: %s: two actions", b->file, b->line, b->name);
                        else if (a->n_conditions == 0 && b > a)
                                b->dropped = true;
                }
        }

        /* The patched value could meet another rule's upper half otherwise; see PLACEHOLDER_HIGH. */
        for (Rule *a = t->rules; a < t->rules + t->n_rules; a++) {
                if (a->placeholder_argument < 0 || a->dropped)
                        continue;
                if (t->n_arches > 0)
                        errx(EXIT_FAILURE, "%s:%u: a placeholder needs the native architecture", a->file, a->line);
                for (Rule *b = t->rules; b < t->rules + t->n_rules; b++)
                        if (b->number == a->number && !b->dropped && b->placeholder_argument != a->placeholder_argument)
                                errx(EXIT_FAILURE, "%s:%u: %s: every rule of this call needs the placeholder of %s:%u",
                                     b->file, b->line, b->name, a->file, a->line);
        }
}

void table_done(Table *t) {
        for (size_t i = 0; i < t->n_files; i++)
                free(t->files[i]);
}
