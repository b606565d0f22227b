/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* list, info: containers as JSON or as a table. What only those may know who may "info" is asked for each container by
 * itself, all at once, and is null where the answer is no. */

#include "client.h"

#include <stdio.h>

/* Properties as they come -> keys of CONTRACT.md's object. */
static int take_property(sd_bus_message *m, const char *name, json_t *object) {
        const char *text;
        uint64_t big;
        uint32_t n, count;
        int r;

        if (streq(name, "Name") || streq(name, "State") || streq(name, "Image")) {
                r = sd_bus_message_read(m, "v", "s", &text);
                if (r < 0)
                        return r;
                return json_object_set_new(object, streq(name, "Name") ? "name" : streq(name, "State") ? "state" : "image",
                                           json_string(text));
        }
        if (streq(name, "OwnerUID") || streq(name, "InitPID")) {
                r = sd_bus_message_read(m, "v", "u", &n);
                if (r < 0)
                        return r;
                return json_object_set_new(object, streq(name, "OwnerUID") ? "owner" : "pid", json_integer(n));
        }
        if (streq(name, "CreatedAt")) {
                r = sd_bus_message_read(m, "v", "t", &big);
                return r < 0 ? r : json_object_set_new(object, "created", json_integer((json_int_t) big));
        }
        if (streq(name, "IDRange")) {
                r = sd_bus_message_read(m, "v", "(uu)", &n, &count);
                return r < 0 ? r : json_object_set_new(object, "ids", json_pack("{s:I, s:I}", "first", (json_int_t) n, "count",
                                                                                (json_int_t) count));
        }
        if (streq(name, "Snapshots")) {
                json_t *snapshots = json_array();
                const char *comment;

                (void) json_object_set_new(object, "snapshots", snapshots);
                r = sd_bus_message_enter_container(m, 'v', "a(sts)");
                if (r >= 0)
                        r = sd_bus_message_enter_container(m, 'a', "(sts)");
                if (r < 0)
                        return r;
                while ((r = sd_bus_message_read(m, "(sts)", &text, &big, &comment)) > 0)
                        (void) json_array_append_new(snapshots, json_pack("{s:s, s:I, s:s}", "name", text, "created",
                                                                          (json_int_t) big, "comment", comment));
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                return r;
        }

        return sd_bus_message_skip(m, "v");
}

static int take_properties(sd_bus_message *m, json_t *object) {
        const char *name;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &name);
                if (r >= 0)
                        r = take_property(m, name, object);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }

        return r;
}

static json_t *container_object(const char *name, const char *state, uint32_t owner) {
        return json_pack("{s:s, s:s, s:I, s:n, s:n, s:n, s:n}", "name", name, "state", state, "owner", (json_int_t) owner, "pid",
                         "image", "created", "snapshots");
}

static int on_properties(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        /* A refusal leaves what was public. */
        if (!sd_bus_message_is_method_error(m, NULL))
                (void) take_properties(m, userdata);

        return 0;
}

/* One call for all names, then one for each, sent before the first is answered. */
static int list_containers(Client *c, bool all, json_t *list) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        const char *name, *path, *state;
        uint32_t owner;
        int r;

        r = client_read(c, BERTH_PATH, BERTH_INTERFACE(Manager), "ListContainers", &m);
        if (r != 0)
                return r;
        r = no_options(m);
        if (r < 0)
                return fail_bus(c, NULL, r, "list");
        r = client_call(c, m, "list", &reply);
        if (r != 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(sosu)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(sosu)", &name, &path, &state, &owner)) > 0) {
                json_t *object = container_object(name, state, owner);

                (void) json_array_append_new(list, object);
                if (all)
                        r = sd_bus_call_method_async(c->bus, NULL, BERTH_NAME, path, "org.freedesktop.DBus.Properties", "GetAll",
                                                     on_properties, object, "s", BERTH_INTERFACE(Container));
        }
        if (r < 0)
                return fail_bus(c, NULL, r, "list");

        return 0;
}

/* Until every property call is answered. */
static int drain(Client *c) {
        uint64_t until;
        int r;

        for (;;) {
                r = sd_bus_process(c->bus, NULL);
                if (r < 0)
                        return fail_bus(c, NULL, r, "list");
                if (r > 0)
                        continue;
                /* No call is open that could time out: all are answered. */
                if (sd_bus_get_timeout(c->bus, &until) >= 0 && until == UINT64_MAX)
                        return 0;
                r = sd_bus_wait(c->bus, UINT64_MAX);
                if (r < 0 && r != -EINTR)
                        return fail_bus(c, NULL, r, "list");
        }
}

static int compare_names(const void *a, const void *b) {
        json_t *x = *(json_t *const *) a, *y = *(json_t *const *) b;

        return strcmp(json_string_value(json_object_get(x, "name")), json_string_value(json_object_get(y, "name")));
}

static json_t *sorted(json_t *list) {
        size_t n = json_array_size(list);
        _cleanup_free_ json_t **entries = calloc(n + 1, sizeof(json_t *));
        json_t *copy = json_array();

        for (size_t i = 0; entries && i < n; i++)
                entries[i] = json_array_get(list, i);
        if (entries && n > 0)
                qsort(entries, n, sizeof(json_t *), compare_names);
        for (size_t i = 0; entries && i < n; i++)
                (void) json_array_append(copy, entries[i]);

        return copy;
}

static const char *text(json_t *object, const char *key) {
        return json_string_value(json_object_get(object, key));
}

static uint64_t number(json_t *object, const char *key) {
        return (uint64_t) json_integer_value(json_object_get(object, key));
}

int verb_list(Client *c, const Arguments *a) {
        _cleanup_json_ json_t *list = json_array(), *in_order = NULL;
        _cleanup_table_ Table table = {};
        json_t *entry;
        size_t i;
        int r;

        r = list_containers(c, a->given[OPTION_JSON], list);
        if (r == 0 && a->given[OPTION_JSON])
                r = drain(c);
        if (r != 0)
                return r;
        in_order = sorted(list);
        if (a->given[OPTION_JSON])
                return print_json(TAKE_PTR(in_order));

        (void) table_row(&table, 3, "NAME", "STATE", "OWNER");
        json_array_foreach(in_order, i, entry) {
                _cleanup_free_ char *owner = format_user((uid_t) number(entry, "owner"));

                (void) table_row(&table, 3, text(entry, "name"), text(entry, "state"), owner);
        }
        table_print(&table);

        return EXIT_DONE;
}

static void print_info(json_t *o) {
        _cleanup_free_ char *owner = format_user((uid_t) number(o, "owner")), *created = format_time(number(o, "created"));
        json_t *ids = json_object_get(o, "ids"), *snapshot;
        size_t i;

        (void) printf("Name:     %s\nState:    %s\nOwner:    %s\n", text(o, "name"), text(o, "state"), owner ?: "-");
        if (number(o, "pid") > 0)
                (void) printf("Init:     %llu\n", (unsigned long long) number(o, "pid"));
        if (json_is_object(ids))
                (void) printf("IDs:      %llu to %llu\n", (unsigned long long) number(ids, "first"),
                              (unsigned long long) (number(ids, "first") + number(ids, "count") - 1));
        (void) printf("Image:    %s\nCreated:  %s\n", text(o, "image") && *text(o, "image") ? text(o, "image") : "-",
                      created ?: "-");
        json_array_foreach(json_object_get(o, "snapshots"), i, snapshot) {
                _cleanup_free_ char *when = format_time(number(snapshot, "created"));

                (void) printf("%s %s  %s%s%s\n", i == 0 ? "Snapshots:" : "          ", text(snapshot, "name"), when ?: "-",
                              *text(snapshot, "comment") ? "  " : "", text(snapshot, "comment"));
        }
}

int verb_info(Client *c, const Arguments *a) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_json_ json_t *object = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = container_path(c, a->words[0], &path);
        if (r == 0)
                r = client_method(c, path, "org.freedesktop.DBus.Properties", "GetAll", &m);
        if (r != 0)
                return r;
        r = sd_bus_message_append(m, "s", BERTH_INTERFACE(Container));
        if (r < 0)
                return fail_bus(c, NULL, r, a->words[0]);
        r = client_call(c, m, a->words[0], &reply);
        if (r != 0)
                return r;
        object = container_object(a->words[0], "", 0);
        r = object ? take_properties(reply, object) : -ENOMEM;
        if (r < 0)
                return fail_bus(c, NULL, r, a->words[0]);
        (void) json_object_set_new(object, "path", json_string(path));

        if (a->given[OPTION_JSON])
                return print_json(TAKE_PTR(object));
        print_info(object);

        return EXIT_DONE;
}
