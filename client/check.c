/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* check: what the service has found out about its host. Status 1 where something fails. */

#include "client.h"

#include <stdio.h>

static int take_findings(sd_bus_message *m, json_t *list) {
        const char *key, *value;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "a{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'a', "{sv}")) > 0) {
                json_t *finding = json_object();

                (void) json_array_append_new(list, finding);
                while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                        r = sd_bus_message_read(m, "s", &key);
                        if (r >= 0)
                                r = sd_bus_message_read(m, "v", "s", &value);
                        if (r >= 0)
                                r = json_object_set_new(finding, key, json_string(value));
                        if (r >= 0)
                                r = sd_bus_message_exit_container(m);
                }
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }

        return r;
}

static const char *text(json_t *finding, const char *key) {
        return json_string_value(json_object_get(finding, key)) ?: "";
}

static void print_finding(json_t *finding, bool colour) {
        const char *status = text(finding, "status");
        bool ok = streq(status, "ok"), failed = streq(status, "failure");

        (void) printf("%s%-8s%s %s\n", !colour ? "" : ok ? "\033[32m" : failed ? "\033[31m" : "\033[33m", status,
                      colour ? "\033[0m" : "", text(finding, "title"));
        if (ok)
                return;
        if (*text(finding, "consequence"))
                (void) printf("         %s\n", text(finding, "consequence"));
        if (*text(finding, "remedy"))
                (void) printf("         %s\n", text(finding, "remedy"));
}

int verb_check(Client *c, const Arguments *a) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_json_ json_t *list = json_array();
        int r, status = EXIT_DONE;
        json_t *finding;
        size_t i;

        r = client_read(c, BERTH_PATH, BERTH_INTERFACE(Manager), "CheckHost", &m);
        if (r != 0)
                return r;
        r = no_options(m);
        if (r < 0)
                return fail_bus(c, NULL, r, "check");
        r = client_call(c, m, "check", &reply);
        if (r != 0)
                return r;
        r = take_findings(reply, list);
        if (r < 0)
                return fail_bus(c, NULL, r, "check");

        json_array_foreach(list, i, finding) {
                if (streq(text(finding, "status"), "failure"))
                        status = EXIT_FAILED;
                if (!a->given[OPTION_JSON])
                        print_finding(finding, output_is_terminal() && !getenv("NO_COLOR"));
        }
        if (a->given[OPTION_JSON] && print_json(TAKE_PTR(list)) != EXIT_DONE)
                return EXIT_FAILED;

        return status;
}
