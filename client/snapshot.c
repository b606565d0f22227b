/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* snapshot, restore. */

#include "client.h"

#include <stdio.h>

#include "names.h"

static int remove_snapshot(Client *c, const Arguments *a, const char *container) {
        _cleanup_message_ sd_bus_message *m = NULL;
        _cleanup_free_ char *prefix = NULL, *path = NULL;
        int r;

        if (!name_is_valid(a->remove))
                return failf(c, "InvalidName", "\"%s\" cannot be the name of a snapshot.", a->remove);
        if (asprintf(&prefix, "%s/snapshot", container) < 0)
                return fail_bus(c, NULL, -ENOMEM, a->remove);
        r = sd_bus_path_encode(prefix, a->remove, &path);
        if (r < 0)
                return fail_bus(c, NULL, r, a->remove);
        r = client_method(c, path, BERTH_INTERFACE(Snapshot), "Remove", &m);
        if (r != 0)
                return r;
        r = no_options(m);
        if (r < 0)
                return fail_bus(c, NULL, r, a->remove);
        r = client_call(c, m, a->remove, /* ret_reply= */ NULL);
        if (r != 0)
                return r;

        return a->given[OPTION_JSON] ? print_json(json_pack("{s:s, s:s}", "name", a->words[0], "removed", a->remove)) : EXIT_DONE;
}

static int take_snapshot(Client *c, const Arguments *a, const char *container) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_free_ char *prefix = NULL, *name = NULL;
        const char *path;
        int r;

        r = client_method(c, container, BERTH_INTERFACE(Container), "TakeSnapshot", &m);
        if (r != 0)
                return r;
        r = sd_bus_message_append(m, "s", a->n_words > 1 ? a->words[1] : "");
        if (r >= 0)
                r = a->comment ? sd_bus_message_append(m, "a{sv}", 1, "comment", "s", a->comment) : no_options(m);
        if (r < 0)
                return fail_bus(c, NULL, r, a->words[0]);
        r = client_call(c, m, a->words[0], &reply);
        if (r != 0)
                return r;
        if (sd_bus_message_read(reply, "o", &path) < 0 || asprintf(&prefix, "%s/snapshot", container) < 0 ||
            sd_bus_path_decode(path, prefix, &name) <= 0)
                return fail(c, "Failed", "The service answered with something else than a snapshot.");

        if (a->given[OPTION_JSON])
                return print_json(json_pack("{s:s, s:s}", "name", a->words[0], "snapshot", name));
        /* Which name it got is news only if none was asked for. */
        if (a->n_words == 1)
                (void) puts(name);

        return EXIT_DONE;
}

int verb_snapshot(Client *c, const Arguments *a) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (a->remove && (a->n_words > 1 || a->comment))
                return fail(c, "Usage", "--remove names the snapshot by itself.");
        r = container_path(c, a->words[0], &path);
        if (r != 0)
                return r;

        return a->remove ? remove_snapshot(c, a, path) : take_snapshot(c, a, path);
}

int verb_restore(Client *c, const Arguments *a) {
        _cleanup_message_ sd_bus_message *m = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = container_path(c, a->words[0], &path);
        if (r == 0)
                r = client_method(c, path, BERTH_INTERFACE(Container), "RestoreSnapshot", &m);
        if (r != 0)
                return r;
        r = sd_bus_message_append(m, "sa{sv}", a->words[1], 0);
        if (r < 0)
                return fail_bus(c, NULL, r, a->words[0]);
        r = client_call(c, m, a->words[0], /* ret_reply= */ NULL);
        if (r != 0)
                return r;

        return a->given[OPTION_JSON] ? print_json(json_pack("{s:s, s:s}", "name", a->words[0], "snapshot", a->words[1])) :
                                       EXIT_DONE;
}
