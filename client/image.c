/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* image list, image remove. */

#include "client.h"

#include <stdio.h>

static int take_image(sd_bus_message *m, json_t *list) {
        _cleanup_json_ json_t *image = json_object();
        const char *name, *string;
        uint32_t n;
        uint64_t t;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &name);
                if (r < 0)
                        return r;
                if (streq(name, "Name") && (r = sd_bus_message_read(m, "v", "s", &string)) >= 0)
                        r = json_object_set_new(image, "name", json_string(string));
                else if (streq(name, "OwnerUID") && (r = sd_bus_message_read(m, "v", "u", &n)) >= 0)
                        r = json_object_set_new(image, "owner", json_integer(n));
                else if (streq(name, "UsedBy") && (r = sd_bus_message_read(m, "v", "u", &n)) >= 0)
                        r = json_object_set_new(image, "usedBy", json_integer(n));
                else if (streq(name, "CreatedAt") && (r = sd_bus_message_read(m, "v", "t", &t)) >= 0)
                        r = json_object_set_new(image, "created", json_integer((json_int_t) t));
                else if (r >= 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r < 0)
                return r;

        return json_array_append(list, image) < 0 ? -ENOMEM : sd_bus_message_exit_container(m);
}

/* a{oa{sa{sv}}}: those that are images. */
static int take_objects(sd_bus_message *m, json_t *list) {
        const char *interface;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
                r = sd_bus_message_skip(m, "o");
                if (r >= 0)
                        r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");
                while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
                        r = sd_bus_message_read(m, "s", &interface);
                        if (r >= 0)
                                r = streq(interface, BERTH_INTERFACE(Image)) ? take_image(m, list) :
                                                                               sd_bus_message_skip(m, "a{sv}");
                        if (r >= 0)
                                r = sd_bus_message_exit_container(m);
                }
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }

        return r;
}

int verb_image_list(Client *c, const Arguments *a) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_json_ json_t *list = json_array();
        _cleanup_table_ Table table = {};
        json_t *entry;
        size_t i;
        int r;

        r = client_read(c, BERTH_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", &m);
        if (r == 0)
                r = client_call(c, m, "images", &reply);
        if (r != 0)
                return r;
        r = take_objects(reply, list);
        if (r < 0)
                return fail_bus(c, NULL, r, "images");
        if (a->given[OPTION_JSON])
                return print_json(TAKE_PTR(list));

        (void) table_row(&table, 4, "NAME", "OWNER", "CREATED", "USED BY");
        json_array_foreach(list, i, entry) {
                _cleanup_free_ char *owner = format_user((uid_t) json_integer_value(json_object_get(entry, "owner")));
                _cleanup_free_ char *created = format_time((uint64_t) json_integer_value(json_object_get(entry, "created")));
                char used[24];

                (void) snprintf(used, sizeof(used), "%lld", json_integer_value(json_object_get(entry, "usedBy")));
                (void) table_row(&table, 4, json_string_value(json_object_get(entry, "name")), owner, created, used);
        }
        table_print(&table);

        return EXIT_DONE;
}

int verb_image_remove(Client *c, const Arguments *a) {
        _cleanup_message_ sd_bus_message *m = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = image_path(c, a->words[0], &path);
        if (r == 0)
                r = client_method(c, path, BERTH_INTERFACE(Image), "Remove", &m);
        if (r != 0)
                return r;
        r = no_options(m);
        if (r < 0)
                return fail_bus(c, NULL, r, a->words[0]);
        r = client_call(c, m, a->words[0], /* ret_reply= */ NULL);
        if (r != 0)
                return r;

        return a->given[OPTION_JSON] ? print_json(json_pack("{s:s}", "name", a->words[0])) : EXIT_DONE;
}
