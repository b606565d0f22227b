/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options dictionary at the end of every method. An unknown key is an error: a mistyped restriction must not pass for
 * none. */

#include "bus-call.h"
#include "text-list.h"

#define OPTIONS_MAX 16U

static int read_value(sd_bus_message *m, const Option *o, sd_bus_error *error) {
        if (o->read)
                return o->read(m, o->target, error);
        if (streq(o->signature, "as")) {
                /* Read again when polkit has answered: the target belongs to one run of the handler. */
                return sd_bus_message_read_strv(m, o->target);
        }
        return sd_bus_message_read_basic(m, o->signature[0], o->target);
}

static int read_option(BusCall *q, const Option *o, bool *seen, sd_bus_error *error) {
        sd_bus_message *m = q->message;
        const char *contents;
        char type;
        int r;

        if (*seen)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Option '%s' was given twice.", o->key);
        *seen = true;
        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r < 0)
                return r;
        if (type != 'v' || !contents || !streq(contents, o->signature))
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Option '%s' is of type '%s'.", o->key,
                                         o->signature);
        r = sd_bus_message_enter_container(m, 'v', o->signature);
        if (r < 0)
                return r;
        r = read_value(m, o, error);
        if (r < 0)
                return r;
        if (o->given)
                *o->given = true;
        return sd_bus_message_exit_container(m);
}

static const Option *option_find(const Option options[], const char *key) {
        for (const Option *o = options; o->key; o++)
                if (streq(o->key, key))
                        return o;
        return NULL;
}

int bus_call_options(BusCall *q, const Option options[], sd_bus_error *error) {
        int interactive = sd_bus_message_get_allow_interactive_authorization(q->message) > 0, asked = false;
        const Option common = { "interactive", "b", &asked, NULL, NULL };
        bool seen[OPTIONS_MAX] = {}, seen_common = false;
        sd_bus_message *m = q->message;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const Option *o;
                const char *key;

                r = sd_bus_message_read(m, "s", &key);
                if (r < 0)
                        return r;
                o = options ? option_find(options, key) : NULL;
                if (o)
                        r = read_option(q, o, &seen[o - options], error);
                else if (streq(key, common.key))
                        r = read_option(q, &common, &seen_common, error);
                else
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "There is no option '%s' here.",
                                                 text_for_error(key));
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        q->interactive = interactive || asked;
        return 0;
}
