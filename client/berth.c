/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* berth - the command line of Berth.
 *
 * Runs as whoever calls it and has no right of its own: everything is asked of org.berth1 on the system bus, which decides.
 * Manual: docs/man/berth.1. */

#include "client.h"

#include <locale.h>
#include <stdio.h>

static int print_help(const Verb *verb) {
        if (verb)
                return printf("berth %s %s\n%s.\n", verb->name, verb->usage, verb->help) < 0 ? EXIT_FAILED : EXIT_DONE;

        (void) fputs("berth VERB ... [--json] [--no-ask-password]\nSystem containers.\n\n", stdout);
        for (const Verb *v = verbs; v->name; v++)
                (void) printf("  %-14s %s\n", v->name, v->help);
        (void) fputs("\nberth VERB --help shows how; berth(1) is the manual.\n", stdout);

        return EXIT_DONE;
}

int main(int argc, char *argv[]) {
        _cleanup_(arguments_done) Arguments arguments = {};
        Client client = { .arguments = &arguments };
        _cleanup_free_ char *error = NULL;
        int status;

        (void) setlocale(LC_ALL, "");
        if (arguments_parse(argc, argv, &arguments, &error) < 0) {
                /* Which verb was meant decides the status even of what could not be parsed. */
                bool exec = argc > 1 && (streq(argv[1], "exec") || streq(argv[1], "shell"));

                for (int i = 1; i < argc && !streq(argv[i], "--"); i++)
                        arguments.given[OPTION_JSON] |= streq(argv[i], "--json");
                status = fail(&client, "Usage", error ?: "Out of memory.");
                return exec ? EXIT_EXEC_FAILED : status;
        }
        if (arguments.given[OPTION_VERSION])
                return puts("berth " BERTH_VERSION) < 0 ? EXIT_FAILED : EXIT_DONE;
        if (arguments.given[OPTION_HELP])
                return print_help(arguments.verb);

        status = arguments.verb->run(&client, &arguments);
        client_done(&client);

        return status;
}
