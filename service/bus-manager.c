/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* org.berth1.Manager. */

#include "bus.h"
#include "bus-error.h"
#include "container.h"
#include "image.h"
#include "manager.h"
#include "permissions.h"
#include "bus-call.h"
#include "text-list.h"

static const char *const features[] = { "clone", "exec", "import", "rename", "snapshot", NULL };

static int config_read_values(sd_bus_message *m, Config *c, const char *key, sd_bus_error *error) {
        _cleanup_strv_ char **list = NULL;
        _cleanup_free_ char *reason = NULL;
        const char *contents, *value;
        char type;
        int r;

        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r < 0)
                return r;
        if (type != 'v' || !(streq(contents, "s") || streq(contents, "as")))
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "A value of a configuration key is a string or an array of strings.");
        if (streq(contents, "s")) {
                r = sd_bus_message_read(m, "v", "s", &value);
                if (r >= 0)
                        r = config_set(c, key, value, &reason);
        } else {
                r = sd_bus_message_enter_container(m, 'v', "as");
                if (r >= 0)
                        r = sd_bus_message_read_strv(m, &list);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                for (char **i = list; r >= 0 && i && *i; i++)
                        r = config_set(c, key, *i, &reason);
        }
        if (r == -EINVAL)
                return sd_bus_error_setf(error, ERROR_INVALID_ARGUMENT, "%s", reason ?: "The configuration was refused.");
        return r;
}

static int check_config_size(const Config *c, sd_bus_error *error) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = config_format(c, &text, &size);
        if (r < 0)
                return r;
        if (size > CONFIG_SIZE_MAX)
                return sd_bus_error_setf(error, ERROR_INVALID_ARGUMENT, "A configuration has at most %u bytes.", CONFIG_SIZE_MAX);
        return 0;
}

/* a{sv} */
static int read_config(sd_bus_message *m, void *target, sd_bus_error *error) {
        Config *c = target;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *key;

                r = sd_bus_message_read(m, "s", &key);
                if (r >= 0)
                        r = config_read_values(m, c, key, error);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        r = check_config_size(c, error);
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

int manager_method_create_container(BusCall *q, sd_bus_error *error) {
        _cleanup_(config_done) Config config = {};
        const char *name, *image = NULL;
        int rootfs = -EBADF, archive = -EBADF, r;
        const Option options[] = {
                { "image", "s", &image },
                { "rootfs", "h", &rootfs },
                { "config", "a{sv}", &config, NULL, read_config },
                {},
        };

        r = sd_bus_message_read(q->message, "s", &name);
        if (r >= 0)
                r = bus_call_options(q, options, error);
        if (r >= 0)
                r = bus_call_check_name(name, error);
        if (r >= 0 && image)
                r = bus_call_check_name(image, error);
        if (r < 0)
                return r;
        if (!image == (rootfs < 0))
                return sd_bus_error_set(error, ERROR_INVALID_ARGUMENT,
                                        "Say what it is made from: an image or an archive (rootfs), one of them.");
        r = authorize(q, &(Subject) { .container = name, .owner = q->uid, .image = image }, error);
        if (r <= 0)
                return r;
        if (rootfs >= 0) {
                r = bus_take_stream(rootfs, &archive, error);
                if (r < 0)
                        return r;
        }
        return manager_create(q->manager, name, image, archive, &config, q, error);
}

int manager_method_get_container(BusCall *q, sd_bus_error *error) {
        _cleanup_free_ char *path = NULL;
        const char *name;
        Container *c;
        int r;

        r = sd_bus_message_read(q->message, "s", &name);
        if (r >= 0)
                r = bus_call_options(q, NULL, error);
        if (r < 0)
                return r;
        c = manager_container(q->manager, name);
        if (!c)
                return sd_bus_error_setf(error, ERROR_NO_SUCH_CONTAINER, "There is no container '%s'.", text_for_error(name));
        r = container_path(c, &path);
        if (r < 0)
                return r;
        return bus_call_reply(q, "o", path);
}

static int append_container(sd_bus_message *reply, const Container *c) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = container_path(c, &path);
        if (r < 0)
                return r;
        return sd_bus_message_append(reply, "(sosu)", c->name, path, container_state_to_string(c->state), (uint32_t) c->owner);
}

int manager_method_list_containers(BusCall *q, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = bus_call_options(q, NULL, error);
        if (r >= 0)
                r = sd_bus_message_new_method_return(q->message, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sosu)");
        for (size_t i = 0; r >= 0 && i < q->manager->n_containers; i++)
                r = append_container(reply, q->manager->containers[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r < 0)
                return r;
        return bus_call_reply_message(q, TAKE_PTR(reply));
}

int manager_method_import_image(BusCall *q, sd_bus_error *error) {
        int fd, archive, r;
        const char *name;

        r = sd_bus_message_read(q->message, "sh", &name, &fd);
        if (r >= 0)
                r = bus_call_options(q, NULL, error);
        if (r >= 0)
                r = bus_call_check_name(name, error);
        if (r >= 0)
                r = authorize(q, &(Subject) { .image = name, .owner = q->uid }, error);
        if (r <= 0)
                return r;
        r = bus_take_stream(fd, &archive, error);
        if (r < 0)
                return r;
        return manager_import(q->manager, name, archive, q, error);
}

int manager_method_get_image(BusCall *q, sd_bus_error *error) {
        _cleanup_free_ char *path = NULL;
        const char *name;
        Image *i;
        int r;

        r = sd_bus_message_read(q->message, "s", &name);
        if (r >= 0)
                r = bus_call_options(q, NULL, error);
        if (r < 0)
                return r;
        i = image_find(q->manager, name);
        if (!i)
                return sd_bus_error_setf(error, ERROR_NO_SUCH_IMAGE, "There is no image '%s'.", text_for_error(name));
        r = image_path(i, &path);
        if (r < 0)
                return r;
        return bus_call_reply(q, "o", path);
}

int manager_method_check_host(BusCall *q, sd_bus_error *error) {
        int r;

        r = bus_call_options(q, NULL, error);
        if (r < 0)
                return r;
        return manager_check_host(q->manager, q);
}

int manager_method_permissions(BusCall *q, sd_bus_error *error) {
        _cleanup_strv_ char **names = NULL;
        int r;

        r = sd_bus_message_read_strv(q->message, &names);
        if (r >= 0)
                r = bus_call_options(q, NULL, error);
        if (r < 0)
                return r;
        if (strv_length(names) > LIMIT_PERMISSIONS)
                return sd_bus_error_setf(error, ERROR_INVALID_ARGUMENT, "At most %u names in one call.", LIMIT_PERMISSIONS);
        return permissions_answer(q, names, error);
}

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                       void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", BERTH_VERSION);
}

static int get_features(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                        void *userdata, sd_bus_error *error) {
        return sd_bus_message_append_strv(reply, (char **) (void *) features);
}


const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("CreateContainer", SD_BUS_ARGS("s", name, "a{sv}", options), SD_BUS_RESULT("o", job), bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetContainer", SD_BUS_ARGS("s", name, "a{sv}", options), SD_BUS_RESULT("o", path), bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListContainers", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a(sosu)", containers), bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ImportImage", SD_BUS_ARGS("s", name, "h", archive, "a{sv}", options), SD_BUS_RESULT("o", job), bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetImage", SD_BUS_ARGS("s", name, "a{sv}", options), SD_BUS_RESULT("o", path), bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CheckHost", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("aa{sv}", findings), bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Permissions", SD_BUS_ARGS("as", names, "a{sv}", options), SD_BUS_RESULT("a{sa{ss}}", permissions), bus_call_arrive,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Features", "as", get_features, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};
