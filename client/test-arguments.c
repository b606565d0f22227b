/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The command line: what is taken, what is refused, and that verbs, help and statuses are complete. */

#include "client.h"
#include "test.h"
#include "text.h"

#include <signal.h>

#define WORDS_MAX_TEST 16

static Arguments parsed;
static char *error;

static int parse(const char *line) {
        static char copy[512];
        static char *argv[WORDS_MAX_TEST + 1];
        int argc = 0, r;

        free(error);
        error = NULL;
        (void) snprintf(copy, sizeof(copy), "berth %s", line);
        for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
                argv[argc++] = p;
        argv[argc] = NULL;
        r = arguments_parse(argc, argv, &parsed, &error);
        if (r < 0)
                check(error && error[0]);

        return r;
}

static void refused(const char *line, const char *part) {
        check_equal(parse(line), -EINVAL);
        if (!strstr(error, part)) {
                (void) fprintf(stderr, "%s: \"%s\" without \"%s\"\n", line, error, part);
                exit(EXIT_FAILURE);
        }
}

static void taken(const char *line, const char *verb) {
        if (parse(line) < 0) {
                (void) fprintf(stderr, "%s: %s\n", line, error);
                exit(EXIT_FAILURE);
        }
        check(parsed.verb && streq(parsed.verb->name, verb));
}

static void test_verbs(void) {
        taken("start web", "start");
        check_equal(parsed.n_words, 1);
        check(!parsed.given[OPTION_JSON]);
        arguments_done(&parsed);

        /* Options anywhere. */
        taken("--json stop --no-ask-password web --timeout 1.5", "stop");
        check(parsed.given[OPTION_JSON] && parsed.given[OPTION_NO_ASK_PASSWORD]);
        check_equal(parsed.timeout, 1500000);
        arguments_done(&parsed);

        taken("create web --image base --set lxc.a=1 --set lxc.b=x=y --start", "create");
        check(streq(parsed.image, "base") && streq(parsed.settings[1], "lxc.b=x=y") && !parsed.settings[2]);
        check(parsed.given[OPTION_START]);
        arguments_done(&parsed);

        taken("image import base -", "image import");
        check(streq(parsed.words[0], "base") && streq(parsed.words[1], "-"));
        taken("image list --json", "image list");
        taken("kill web HUP", "kill");
        taken("snapshot web", "snapshot");
        taken("snapshot web --remove snap0", "snapshot");
        taken("clone a b --snapshot snap0", "clone");

        taken("rename -- -a --json", "rename");
        check(streq(parsed.words[0], "-a") && streq(parsed.words[1], "--json"));
        arguments_done(&parsed);

        refused("", "What is to be done");
        refused("image", "image");
        refused("image drop", "image drop");
        refused("fly web", "fly");
        refused("start", "berth start NAME");
        refused("start a b", "\"b\" is too much");
        refused("start web --image base", "no option --image");
        refused("start web --imag", "--imag");
        refused("stop web --timeout", "wants a value");
        refused("stop web --timeout soon", "no time");
        refused("stop web --timeout 1 --kill", "exclude");
        refused("create web --set lxc.a", "KEY=VALUE");
        refused("create web --set =1", "KEY=VALUE");
}

static void test_exec(void) {
        taken("exec web -- ls -l --json", "exec");
        check(streq(parsed.command[0], "ls") && streq(parsed.command[2], "--json") && !parsed.command[3]);
        check(!parsed.given[OPTION_JSON]);
        arguments_done(&parsed);

        /* Without "--" the first word after the name is the command's, and what follows too. */
        taken("exec --user 5:6 web --cwd /tmp --env A=1 ls --json", "exec");
        check(streq(parsed.command[0], "ls") && streq(parsed.command[1], "--json"));
        check_equal(parsed.user, 5);
        check_equal(parsed.group, 6);
        check(streq(parsed.environment[0], "A=1"));
        arguments_done(&parsed);

        taken("exec web", "exec");
        check(!parsed.command[0]);
        refused("exec web --user root -- ls", "--user");
        refused("exec web --cwd tmp -- ls", "absolute");
        refused("exec web --terminal --no-terminal -- ls", "exclude");
}

static void test_values(void) {
        uint64_t t;
        uid_t u;
        gid_t g;

        check_equal(signal_parse("9"), SIGKILL);
        check_equal(signal_parse("TERM"), SIGTERM);
        check_equal(signal_parse("sigusr2"), SIGUSR2);
        check_equal(signal_parse("SIGRTMIN+3"), SIGRTMIN + 3);
        check_equal(signal_parse("0"), -EINVAL);
        check_equal(signal_parse("65"), -EINVAL);
        check_equal(signal_parse("-9"), -EINVAL);
        check_equal(signal_parse("NO"), -EINVAL);
        check_equal(signal_parse(""), -EINVAL);

        check(timeout_parse("90", &t) == 0 && t == 90000000);
        check(timeout_parse("500ms", &t) == 0 && t == 500000);
        check(timeout_parse("2min", &t) == 0 && t == 120000000);
        check(timeout_parse("0", &t) == 0 && t == 0);
        check_equal(timeout_parse("", &t), -EINVAL);
        check_equal(timeout_parse("-1", &t), -EINVAL);
        check_equal(timeout_parse("1 s", &t), -EINVAL);
        check_equal(timeout_parse("nan", &t), -EINVAL);
        check_equal(timeout_parse("1e300", &t), -EINVAL);

        check(user_parse("7", &u, &g) == 0 && u == 7 && g == 7);
        check_equal(user_parse("7:", &u, &g), -EINVAL);
        check_equal(user_parse("4294967295", &u, &g), -EINVAL);
        check_equal(user_parse("", &u, &g), -EINVAL);
}

/* The whole table: one row an error, as the contract has it. */
static void test_statuses(void) {
        static const struct {
                const char *error;
                int status, exec_status;
        } rows[] = {
                { "org.berth1.Error.NoSuchContainer", 2, 125 },  { "org.berth1.Error.NoSuchImage", 2, 125 },
                { "org.berth1.Error.NoSuchSnapshot", 2, 125 },   { "org.berth1.Error.AlreadyExists", 1, 125 },
                { "org.berth1.Error.NotRunning", 2, 125 },       { "org.berth1.Error.Running", 1, 125 },
                { "org.berth1.Error.Busy", 1, 125 },             { "org.berth1.Error.InvalidName", 4, 125 },
                { "org.berth1.Error.InvalidArgument", 4, 125 },  { "org.berth1.Error.LimitReached", 1, 125 },
                { "org.berth1.Error.StillUsed", 1, 125 },        { "org.berth1.Error.HelperFailed", 1, 125 },
                { "org.berth1.Error.Unsupported", 1, 125 },      { "org.berth1.Error.TimedOut", 124, 125 },
                { "org.berth1.Error.Cancelled", 1, 125 },        { "org.berth1.Error.NotFound", 2, 127 },
                { "org.berth1.Error.CannotExecute", 1, 126 },    { "org.freedesktop.DBus.Error.AccessDenied", 3, 125 },
                { "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", 3, 125 },
                { "org.freedesktop.DBus.Error.InvalidArgs", 4, 125 },
                { "org.freedesktop.DBus.Error.LimitsExceeded", 1, 125 },
                { "org.freedesktop.DBus.Error.ServiceUnknown", 1, 125 },
                { "Usage", 4, 125 },                             { "com.example.Other", 1, 125 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Meaning m = failure_meaning(rows[i].error);
                const char *dot = strrchr(rows[i].error, '.');

                check(streq(m.error, dot ? dot + 1 : rows[i].error));
                check_equal(m.status, rows[i].status);
                check_equal(m.exec_status, rows[i].exec_status);
                check(m.remedy && strlen(m.remedy) > 10);
        }
}

static void test_tables(void) {
        for (const Verb *v = verbs; v->name; v++) {
                check(v->usage && v->help && v->run);
                check(v->n_min <= v->n_max && v->n_max <= WORDS_MAX);
        }
        for (Option o = 0; o < _OPTION_MAX; o++)
                check(option_name(o));
}

/* "\\-\\-no\\-terminal" is "--no-terminal". */
static char *read_manual(const char *path) {
        char *text, *to;
        size_t size;

        check(text_read(path, 65536, &text, &size) >= 0);
        to = text;
        for (const char *from = text; *from; from++)
                if (*from != '\\' || from[1] != '-')
                        *to++ = *from;
        *to = '\0';
        return text;
}

static void test_manual(const char *path) {
        _cleanup_free_ char *manual = read_manual(path);
        char text[64];

        for (const Verb *v = verbs; v->name; v++) {
                (void) snprintf(text, sizeof(text), "\\fB%s\\fR", v->name);
                if (!strstr(manual, text)) {
                        (void) fprintf(stderr, "the manual does not know berth %s\n", v->name);
                        exit(EXIT_FAILURE);
                }
        }
        for (Option o = 0; o < _OPTION_MAX; o++) {
                (void) snprintf(text, sizeof(text), "--%s", option_name(o));
                if (!strstr(manual, text)) {
                        (void) fprintf(stderr, "the manual does not know %s\n", text);
                        exit(EXIT_FAILURE);
                }
        }
}

int main(int argc, char *argv[]) {
        check(argc == 2);
        test_manual(argv[1]);
        test_verbs();
        test_exec();
        test_values();
        test_statuses();
        test_tables();
        free(error);

        return EXIT_SUCCESS;
}
