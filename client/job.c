/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Waiting for a job: its progress on the terminal, cancelled by SIGINT and SIGTERM, and when packing on our side fails. */

#include "client.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>

static int on_completed(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *result, *error, *message;
        Job *job = userdata;

        if (!job->path || !streq(sd_bus_message_get_path(m), job->path) ||
            sd_bus_message_read(m, "sss", &result, &error, &message) < 0)
                return 0;
        free(job->result);
        free(job->error);
        free(job->message);
        job->result = strdup(result);
        job->error = strdup(error);
        job->message = strdup(message);
        job->ended = true;

        return 0;
}

static void show_bytes(Job *job, uint64_t bytes) {
        if (!job->label || !isatty(STDERR_FILENO) || job->client->arguments->given[OPTION_JSON])
                return;
        (void) fprintf(stderr, "\r%s: %.1f MB\033[K", job->label, (double) bytes / 1e6);
        (void) fflush(stderr);
        job->line = true;
}

static int on_properties(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        Job *job = userdata;
        const char *name;

        if (!job->path || !streq(sd_bus_message_get_path(m), job->path) || sd_bus_message_skip(m, "s") < 0 ||
            sd_bus_message_enter_container(m, 'a', "{sv}") < 0)
                return 0;
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                uint64_t bytes;

                if (sd_bus_message_read(m, "s", &name) < 0)
                        return 0;
                if (!streq(name, "Bytes"))
                        (void) sd_bus_message_skip(m, "v");
                else if (sd_bus_message_read(m, "v", "t", &bytes) >= 0)
                        show_bytes(job, bytes);
                (void) sd_bus_message_exit_container(m);
        }

        return 0;
}

/* berthd has gone: nobody will ever tell of the job's end. */
static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *name, *before, *after;
        Job *job = userdata;

        if (sd_bus_message_read(m, "sss", &name, &before, &after) < 0 || *before == '\0' || job->ended)
                return 0;
        free(job->error);
        job->error = strdup("org.freedesktop.DBus.Error.Disconnected");
        free(job->message);
        job->message = strdup("The service ended before the job did.");
        job->ended = true;

        return 0;
}

int job_listen(Client *c, Job *job) {
        int r;

        r = client_connect(c);
        if (r != 0)
                return r;
        job->client = c;
        r = sd_bus_match_signal(c->bus, &job->completed_slot, BERTH_NAME, NULL, BERTH_INTERFACE(Job), "Completed", on_completed,
                                job);
        if (r >= 0)
                r = sd_bus_match_signal(c->bus, &job->properties_slot, BERTH_NAME, NULL, "org.freedesktop.DBus.Properties",
                                        "PropertiesChanged", on_properties, job);
        if (r >= 0)
                r = sd_bus_add_match(c->bus, &job->owner_slot,
                                     "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" BERTH_NAME
                                     "'", on_owner, job);

        return r < 0 ? fail_bus(c, NULL, r, "Listening to the service") : 0;
}

static void cancel(Job *job) {
        _cleanup_message_ sd_bus_message *m = NULL;

        if (sd_bus_message_new_method_call(job->client->bus, &m, BERTH_NAME, job->path, BERTH_INTERFACE(Job), "Cancel") >= 0 &&
            no_options(m) >= 0 && sd_bus_message_set_expect_reply(m, false) >= 0)
                (void) sd_bus_send(job->client->bus, m, NULL);
}

/* One round: signals to us, what the packer says, the bus. */
static int wait_once(Job *job, int signals) {
        struct pollfd fds[] = {
                { sd_bus_get_fd(job->client->bus), (short) sd_bus_get_events(job->client->bus), 0 },
                { signals, POLLIN, 0 },
                { job->packer_failure, POLLIN, 0 },
        };
        struct signalfd_siginfo info;

        if (poll(fds, ELEMENTSOF(fds), bus_timeout(job->client->bus)) < 0 && errno != EINTR)
                return -errno;
        if ((fds[1].revents & POLLIN) && read(signals, &info, sizeof(info)) == sizeof(info))
                cancel(job);
        if (fds[2].revents & POLLIN) {
                char text[512];
                ssize_t n = read(job->packer_failure, text, sizeof(text) - 1);

                if (n > 0 && !job->unpacked) {
                        text[n] = '\0';
                        job->unpacked = strdup(text);
                        cancel(job);
                }
        }
        /* Closed without a word: packed to its end. */
        if (fds[2].revents & (POLLIN | POLLHUP))
                job->packer_failure = -EBADF;

        return 0;
}

static int loop(Job *job) {
        int signals, r = 0;
        sigset_t set, old;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGINT);
        (void) sigaddset(&set, SIGTERM);
        (void) sigaddset(&set, SIGHUP);
        (void) sigprocmask(SIG_BLOCK, &set, &old);
        signals = signalfd(-1, &set, SFD_CLOEXEC);
        if (signals < 0)
                return -errno;

        while (!job->ended) {
                r = sd_bus_process(job->client->bus, NULL);
                if (r == 0)
                        r = wait_once(job, signals);
                if (r < 0)
                        break;
        }
        (void) close_fd(signals);
        (void) sigprocmask(SIG_SETMASK, &old, NULL);

        return r;
}

int job_wait(Job *job, sd_bus_message *reply, const char *object) {
        const char *path;
        int r;

        r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return fail_bus(job->client, NULL, r, object);
        job->path = strdup(path);
        if (!job->path)
                return fail_bus(job->client, NULL, -ENOMEM, object);

        r = loop(job);
        if (job->line)
                (void) fputs("\r\033[K", stderr);
        if (r < 0)
                return fail_bus(job->client, NULL, r, object);
        if (job->unpacked)
                return fail(job->client, "CannotRead", job->unpacked);
        if (job->error && *job->error != '\0')
                return fail(job->client, job->error, job->message && *job->message ? job->message : job->error);

        return 0;
}

void job_done(Job *job) {
        sd_bus_slot_unref(job->completed_slot);
        sd_bus_slot_unref(job->properties_slot);
        sd_bus_slot_unref(job->owner_slot);
        free(job->path);
        free(job->label);
        free(job->result);
        free(job->error);
        free(job->message);
        free(job->unpacked);
}
