/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading and writing configuration. The text may come from any user: it is parsed completely into Config or refused. */

#include "config.h"
#include "limits.h"
#include "text-list.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>

void config_done(Config *c) {
        free(c->init_command);
        free(c->init_folder);
        free(c->host_name);
        strv_free(c->environment);
        *c = (Config) {};
}

int config_copy(const Config *c, Config *ret) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = config_format(c, &text, &size);
        if (r < 0)
                return r;
        return config_parse(text, size, "copy", ret, /* reterr_reason= */ NULL);
}

static const ConfigKey *key_find(const char *key) {
        for (size_t i = 0; i < config_n_keys; i++)
                if (streq(config_keys[i].key, key))
                        return &config_keys[i];
        return NULL;
}

_printf_(2, 3) static int refuse(char **reterr_reason, const char *format, ...) {
        va_list ap;

        if (!reterr_reason)
                return -EINVAL;
        va_start(ap, format);
        if (vasprintf(reterr_reason, format, ap) < 0)
                *reterr_reason = NULL;
        va_end(ap);
        return *reterr_reason ? -EINVAL : -ENOMEM;
}

int config_set(Config *c, const char *key, const char *value, char **reterr_reason) {
        const ConfigKey *k = key_find(key);
        char **target;

        if (!k)
                return refuse(reterr_reason, "Berth has no configuration key '%s'.", text_for_error(key));
        target = (char **) (void *) ((char *) c + k->offset);
        if (value[0] == 0) {
                if (k->type == CONFIG_STRINGS)
                        *target = (char *) strv_free((char **) (void *) *target);
                else
                        *target = (free(*target), NULL);
                return 0;
        }
        if (strlen(value) > CONFIG_VALUE_MAX || !text_is_printable(value) || !utf8_is_valid(value))
                return refuse(reterr_reason, "%s: a value is UTF-8 without control characters, at most %u bytes.", key,
                              CONFIG_VALUE_MAX);
        if (!k->is_valid(value))
                return refuse(reterr_reason, "%s: expected %s.", key, k->expected);
        if (k->type == CONFIG_STRINGS) {
                char ***list = (char ***) (void *) target;

                if (strv_length(*list) >= LIMIT_ARGUMENTS)
                        return refuse(reterr_reason, "%s: at most %u values.", key, LIMIT_ARGUMENTS);
                return strv_push(list, value);
        }

        char *copy = strdup(value);

        if (!copy)
                return -ENOMEM;
        free(*target);
        *target = copy;
        return 0;
}

static Span trim(Span s) {
        while (s.n > 0 && (s.s[0] == ' ' || s.s[0] == '\t'))
                s.s++, s.n--;
        while (s.n > 0 && (s.s[s.n - 1] == ' ' || s.s[s.n - 1] == '\t'))
                s.n--;
        return s;
}

/* As in LXC: quotes around the whole value keep white space at its ends. */
static Span unquote(Span s) {
        if (s.n >= 2 && (s.s[0] == '"' || s.s[0] == '\'') && s.s[s.n - 1] == s.s[0])
                return (Span) { s.s + 1, s.n - 2 };
        return s;
}

static int parse_line(Config *c, Span line, char **reterr_reason) {
        _cleanup_free_ char *key = NULL, *value = NULL;
        Span name, rest = trim(line);

        if (rest.n == 0 || rest.s[0] == '#')
                return 0;
        if (memchr(rest.s, 0, rest.n))
                return refuse(reterr_reason, "a NUL byte.");
        if (!memchr(rest.s, '=', rest.n) || !span_cut(&rest, '=', &name))
                return refuse(reterr_reason, "expected 'key = value'.");
        name = trim(name);
        rest = unquote(trim(rest));
        key = strndup(name.s, name.n);
        value = strndup(rest.n > 0 ? rest.s : "", rest.n);
        if (!key || !value)
                return -ENOMEM;
        return config_set(c, key, value, reterr_reason);
}

int config_parse(const char *text, size_t size, const char *file, Config *ret, char **reterr_reason) {
        _cleanup_(config_done) Config c = {};
        Span rest = { text, size }, line;
        unsigned number = 0;

        while (span_cut(&rest, '\n', &line)) {
                _cleanup_free_ char *reason = NULL;
                int r;

                number++;
                r = parse_line(&c, line, &reason);
                if (r == -EINVAL) {
                        r = refuse(reterr_reason, "%s:%u: %s", file, number, reason ?: "refused.");
                        return r == -EINVAL ? -EBADMSG : r;
                }
                if (r < 0)
                        return r;
        }
        *ret = c;
        c = (Config) {};
        return 0;
}

static void format_value(FILE *f, const char *key, const char *value) {
        size_t n = strlen(value);
        bool quote = n == 0 || strchr(" \t\"'", value[0]) || strchr(" \t\"'", value[n - 1]);

        if (quote)
                (void) fprintf(f, "%s = \"%s\"\n", key, value);
        else
                (void) fprintf(f, "%s = %s\n", key, value);
}

int config_format(const Config *c, char **ret, size_t *ret_size) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        for (size_t i = 0; i < config_n_keys; i++) {
                const ConfigKey *k = &config_keys[i];
                const void *field = (const char *) c + k->offset;

                if (k->type == CONFIG_STRINGS)
                        for (char *const *l = *(char *const *const *) field; l && *l; l++)
                                format_value(f, k->key, *l);
                else if (*(const char *const *) field)
                        format_value(f, k->key, *(const char *const *) field);
        }
        if (fclose(f) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}

/* One word from *p on into word (as large as the whole command); advances *p. 1, 0 at the end, -EINVAL. */
static int next_word(const char **p, char *word) {
        char quote = 0;
        bool any = false;

        *p += strspn(*p, " \t");
        for (; **p && (quote || !strchr(" \t", **p)); (*p)++) {
                any = true;
                if (quote ? **p == quote : (**p == '"' || **p == '\'')) {
                        quote = quote ? 0 : **p;
                        continue;
                }
                if (**p == '\\' && quote != '\'' && (*p)[1])
                        (*p)++;
                *word++ = **p;
        }
        *word = 0;
        return quote ? -EINVAL : any;
}

int command_split(const char *command, char ***ret) {
        _cleanup_strv_ char **words = NULL;
        _cleanup_free_ char *word = NULL;
        int r;

        word = malloc(strlen(command) + 1);
        if (!word)
                return -ENOMEM;
        while ((r = next_word(&command, word)) > 0) {
                r = strv_push(&words, word);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        if (!words || words[0][0] == 0)
                return -EINVAL;
        *ret = TAKE_PTR(words);
        return 0;
}

int config_init_arguments(const Config *c, char ***ret) {
        return command_split(c->init_command ?: "/sbin/init", ret);
}

static int environment_set(char ***environment, const char *entry) {
        size_t n = strcspn(entry, "=") + 1;

        for (char **i = *environment; i && *i; i++)
                if (strncmp(*i, entry, n) == 0) {
                        char *copy = strdup(entry);

                        if (!copy)
                                return -ENOMEM;
                        free(*i);
                        *i = copy;
                        return 0;
                }
        return strv_push(environment, entry);
}

int config_environment(const Config *c, char *const *more, char ***ret) {
        /* container=lxc is what systemd and others look for in what LXC runs. */
        static const char *const defaults[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                                "container=lxc", NULL };
        char *const *const sources[] = { (char *const *) (void *) defaults, c->environment, more };
        _cleanup_strv_ char **environment = NULL;

        for (size_t i = 0; i < ELEMENTSOF(sources); i++)
                for (char *const *e = sources[i]; e && *e; e++) {
                        int r = environment_set(&environment, *e);

                        if (r < 0)
                                return r;
                }
        *ret = TAKE_PTR(environment);
        return 0;
}
