/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* create, and image import: what takes an archive. */

#include "client.h"

#include <stdio.h>
#include <sys/stat.h>

/* Keys may be given more than once: one string, or an array of them. */
static int append_setting(sd_bus_message *m, const char *const *settings, size_t at) {
        size_t key = (size_t) (strchr(settings[at], '=') - settings[at]), count = 0;
        _cleanup_free_ char *name = strndup(settings[at], key);
        int r;

        if (!name)
                return -ENOMEM;
        for (size_t i = 0; settings[i]; i++) {
                if (strncmp(settings[i], settings[at], key + 1) != 0)
                        continue;
                if (i < at)
                        return 0; /* sent with the first one */
                count++;
        }
        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", name);
        if (r < 0)
                return r;
        if (count == 1)
                r = sd_bus_message_append(m, "v", "s", settings[at] + key + 1);
        else {
                r = sd_bus_message_open_container(m, 'v', "as");
                if (r >= 0)
                        r = sd_bus_message_open_container(m, 'a', "s");
                for (size_t i = at; r >= 0 && settings[i]; i++)
                        if (strncmp(settings[i], settings[at], key + 1) == 0)
                                r = sd_bus_message_append(m, "s", settings[i] + key + 1);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }

        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_settings(sd_bus_message *m, const char *const *settings) {
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "config");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a{sv}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (size_t i = 0; r >= 0 && settings[i]; i++)
                r = append_setting(m, settings, i);
        for (size_t i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(m);

        return r;
}

static int append_create(sd_bus_message *m, const Arguments *a, int archive) {
        int r;

        r = sd_bus_message_append(m, "s", a->words[0]);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0 && a->image)
                r = sd_bus_message_append(m, "{sv}", "image", "s", a->image);
        if (r >= 0 && archive >= 0)
                r = sd_bus_message_append(m, "{sv}", "rootfs", "h", archive);
        if (r >= 0 && a->settings)
                r = append_settings(m, a->settings);

        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Calls what makes a job and waits for it, with the archive's end of the pipe closed on our side. */
static int call_and_wait(Client *c, sd_bus_message *m, Archive *archive, Job *job, const char *what, const char *name) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        int r;

        r = client_call(c, m, name, &reply);
        if (r != 0)
                return r;
        archive->fd = close_fd(archive->fd);
        job->packer_failure = archive->failure;
        if (asprintf(&job->label, "%s %s", what, name) < 0)
                job->label = NULL;

        return job_wait(job, reply, name);
}

int verb_create(Client *c, const Arguments *a) {
        _cleanup_archive_ Archive archive = ARCHIVE_NONE;
        _cleanup_message_ sd_bus_message *m = NULL;
        _cleanup_job_ Job job = JOB_NONE;
        _cleanup_free_ char *path = NULL;
        int r;

        if (!a->image == !a->rootfs)
                return fail(c, "Usage", "Exactly one of --image and --rootfs is wanted.");
        /* The name is checked here too: an archive need not be packed for a wrong one. */
        r = container_path(c, a->words[0], &path);
        if (r == 0)
                r = job_listen(c, &job);
        if (r == 0 && a->rootfs)
                r = archive_open(c, a->rootfs, &archive);
        if (r == 0)
                r = client_method(c, BERTH_PATH, BERTH_INTERFACE(Manager), "CreateContainer", &m);
        if (r != 0)
                return r;
        r = append_create(m, a, archive.fd);
        if (r < 0)
                return fail_bus(c, NULL, r, a->words[0]);
        r = call_and_wait(c, m, &archive, &job, "creating", a->words[0]);
        if (r != 0)
                return r;
        if (a->given[OPTION_START]) {
                r = client_simple(c, a->words[0], "Start", /* ret_reply= */ NULL);
                if (r != 0)
                        return r;
        }

        return a->given[OPTION_JSON] ?
                print_json(json_pack("{s:s, s:s}", "name", a->words[0], "state", a->given[OPTION_START] ? "running" : "stopped")) :
                EXIT_DONE;
}

int verb_image_import(Client *c, const Arguments *a) {
        _cleanup_archive_ Archive archive = ARCHIVE_NONE;
        _cleanup_message_ sd_bus_message *m = NULL;
        _cleanup_job_ Job job = JOB_NONE;
        _cleanup_free_ char *path = NULL;
        int r;

        r = image_path(c, a->words[0], &path);
        if (r == 0)
                r = job_listen(c, &job);
        if (r == 0)
                r = archive_open(c, a->words[1], &archive);
        if (r == 0)
                r = client_method(c, BERTH_PATH, BERTH_INTERFACE(Manager), "ImportImage", &m);
        if (r != 0)
                return r;
        r = sd_bus_message_append(m, "sha{sv}", a->words[0], archive.fd, 0);
        if (r < 0)
                return fail_bus(c, NULL, r, a->words[0]);
        r = call_and_wait(c, m, &archive, &job, "importing", a->words[0]);
        if (r != 0)
                return r;

        return a->given[OPTION_JSON] ? print_json(json_pack("{s:s}", "name", a->words[0])) : EXIT_DONE;
}
