/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* start, stop, kill, clone, rename, destroy. */

#include "client.h"

#include <signal.h>

/* Says nothing unless asked for JSON. */
static int done(const Arguments *a, json_t *value) {
        if (a->given[OPTION_JSON])
                return print_json(value);
        json_decref(value);

        return EXIT_DONE;
}

int verb_start(Client *c, const Arguments *a) {
        int r;

        r = client_simple(c, a->words[0], "Start", /* ret_reply= */ NULL);
        if (r != 0)
                return r;

        return done(a, json_pack("{s:s, s:s}", "name", a->words[0], "state", "running"));
}

int verb_stop(Client *c, const Arguments *a) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_free_ char *path = NULL;
        _cleanup_job_ Job job = JOB_NONE;
        int r;

        r = container_path(c, a->words[0], &path);
        if (r == 0)
                r = job_listen(c, &job);
        if (r == 0)
                r = client_method(c, path, BERTH_INTERFACE(Container), "Stop", &m);
        if (r != 0)
                return r;
        if (a->given[OPTION_TIMEOUT] || a->given[OPTION_KILL])
                r = sd_bus_message_append(m, "a{sv}", 1, "timeout", "t", a->given[OPTION_KILL] ? UINT64_C(0) : a->timeout);
        else
                r = no_options(m);
        if (r < 0)
                return fail_bus(c, NULL, r, a->words[0]);
        r = client_call(c, m, a->words[0], &reply);
        if (r == 0)
                r = job_wait(&job, reply, a->words[0]);
        if (r != 0)
                return r;

        return done(a, json_pack("{s:s, s:s, s:s}", "name", a->words[0], "state", "stopped", "result", job.result ?: "done"));
}

int verb_kill(Client *c, const Arguments *a) {
        _cleanup_message_ sd_bus_message *m = NULL;
        _cleanup_free_ char *path = NULL;
        int number = SIGKILL, r;

        if (a->n_words > 1) {
                number = signal_parse(a->words[1]);
                if (number < 0)
                        return failf(c, "Usage", "\"%s\" is no signal.", a->words[1]);
        }
        r = container_path(c, a->words[0], &path);
        if (r == 0)
                r = client_method(c, path, BERTH_INTERFACE(Container), "Kill", &m);
        if (r != 0)
                return r;
        r = sd_bus_message_append(m, "ia{sv}", number, 0);
        if (r < 0)
                return fail_bus(c, NULL, r, a->words[0]);
        r = client_call(c, m, a->words[0], /* ret_reply= */ NULL);
        if (r != 0)
                return r;

        return done(a, json_pack("{s:s, s:i}", "name", a->words[0], "signal", number));
}

int verb_clone(Client *c, const Arguments *a) {
        _cleanup_message_ sd_bus_message *m = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = container_path(c, a->words[0], &path);
        if (r == 0)
                r = client_method(c, path, BERTH_INTERFACE(Container), "Clone", &m);
        if (r != 0)
                return r;
        r = sd_bus_message_append(m, "s", a->words[1]);
        if (r >= 0)
                r = a->snapshot ? sd_bus_message_append(m, "a{sv}", 1, "snapshot", "s", a->snapshot) : no_options(m);
        if (r < 0)
                return fail_bus(c, NULL, r, a->words[0]);
        r = client_call(c, m, a->words[0], /* ret_reply= */ NULL);
        if (r != 0)
                return r;

        return done(a, json_pack("{s:s, s:s}", "name", a->words[1], "state", "stopped"));
}

int verb_rename(Client *c, const Arguments *a) {
        _cleanup_message_ sd_bus_message *m = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = container_path(c, a->words[0], &path);
        if (r == 0)
                r = client_method(c, path, BERTH_INTERFACE(Container), "Rename", &m);
        if (r != 0)
                return r;
        r = sd_bus_message_append(m, "sa{sv}", a->words[1], 0);
        if (r < 0)
                return fail_bus(c, NULL, r, a->words[0]);
        r = client_call(c, m, a->words[0], /* ret_reply= */ NULL);
        if (r != 0)
                return r;

        return done(a, json_pack("{s:s}", "name", a->words[1]));
}

int verb_destroy(Client *c, const Arguments *a) {
        _cleanup_message_ sd_bus_message *m = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = container_path(c, a->words[0], &path);
        if (r == 0)
                r = client_method(c, path, BERTH_INTERFACE(Container), "Destroy", &m);
        if (r != 0)
                return r;
        r = a->given[OPTION_SNAPSHOTS] ? sd_bus_message_append(m, "a{sv}", 1, "snapshots", "b", true) : no_options(m);
        if (r < 0)
                return fail_bus(c, NULL, r, a->words[0]);
        r = client_call(c, m, a->words[0], /* ret_reply= */ NULL);
        if (r != 0)
                return r;

        return done(a, json_pack("{s:s}", "name", a->words[0]));
}
