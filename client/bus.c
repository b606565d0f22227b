/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Calls to berthd over the system bus, as whoever runs the client. Whether they may is decided there. */

#include "client.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <systemd/sd-login.h>
#include <time.h>

#include "names.h"

#define AGENT "/usr/bin/pkttyagent"
#define AGENT_WAIT_MS 5000

/* A call at which nobody is asked for a password ends at last; berthd has a deadline of its own for each step. */
#define CALL_TIMEOUT_US (UINT64_C(120) * 1000000)

int client_connect(Client *c) {
        int r;

        if (c->bus)
                return 0;
        r = sd_bus_open_system(&c->bus);

        return r < 0 ? fail_bus(c, NULL, r, "Connecting to the system bus") : 0;
}

void client_done(Client *c) {
        c->bus = sd_bus_flush_close_unref(c->bus);
        if (c->agent > 0) {
                (void) kill(c->agent, SIGTERM);
                (void) waitpid(c->agent, NULL, 0);
        }
}

/* The first thing that the agent does when it is registered is to close the descriptor. */
static void wait_for_agent(int fd) {
        struct pollfd p = { .fd = fd };

        (void) poll(&p, 1, AGENT_WAIT_MS);
}

/* A text agent of polkit's for this process, where there is a terminal to ask on and somebody to be asked. */
void agent_open(Client *c) {
        char notify[16];
        bool in_session;
        int fds[2];

        if (c->agent != 0 || c->arguments->given[OPTION_NO_ASK_PASSWORD] || geteuid() == 0 || !isatty(STDIN_FILENO) ||
            !isatty(STDERR_FILENO) || access(AGENT, X_OK) < 0)
                return;
        if (pipe2(fds, 0) < 0)
                return;
        (void) fcntl(fds[0], F_SETFD, FD_CLOEXEC);
        /* An agent of the session, which has windows, goes before ours. Where there is no session polkit 122 overlooks an
         * agent that says so. */
        in_session = sd_pid_get_session(0, NULL) >= 0;
        c->agent = fork();
        if (c->agent == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGTERM);
                (void) close(fds[0]);
                (void) snprintf(notify, sizeof(notify), "%d", fds[1]);
                (void) dup2(STDERR_FILENO, STDOUT_FILENO);
                (void) execl(AGENT, AGENT, "--notify-fd", notify, in_session ? "--fallback" : NULL, NULL);
                _exit(EXIT_FAILURE);
        }
        (void) close(fds[1]);
        if (c->agent > 0)
                wait_for_agent(fds[0]);
        (void) close(fds[0]);
}

int client_method(Client *c, const char *path, const char *interface, const char *member, sd_bus_message **ret) {
        int r;

        r = client_connect(c);
        if (r != 0)
                return r;
        r = sd_bus_message_new_method_call(c->bus, ret, BERTH_NAME, path, interface, member);
        if (r < 0)
                return fail_bus(c, NULL, r, member);
        if (!c->arguments->given[OPTION_NO_ASK_PASSWORD])
                (void) sd_bus_message_set_allow_interactive_authorization(*ret, true);

        return 0;
}

int client_call(Client *c, sd_bus_message *m, const char *object, sd_bus_message **ret_reply) {
        _cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        bool ask = sd_bus_message_get_allow_interactive_authorization(m) > 0;
        int r;

        if (ask)
                agent_open(c);
        /* Who types a password may take all the time there is. */
        r = sd_bus_call(c->bus, m, ask ? UINT64_MAX : CALL_TIMEOUT_US, &error, ret_reply);

        return r < 0 ? fail_bus(c, &error, r, object) : 0;
}

int client_read(Client *c, const char *path, const char *interface, const char *member, sd_bus_message **ret) {
        int r;

        r = client_method(c, path, interface, member, ret);
        if (r == 0)
                (void) sd_bus_message_set_allow_interactive_authorization(*ret, false);

        return r;
}

int no_options(sd_bus_message *m) {
        return sd_bus_message_append(m, "a{sv}", 0);
}

static int object_path(Client *c, const char *kind, const char *prefix, const char *name, char **ret) {
        int r;

        if (!name_is_valid(name))
                return failf(c, "InvalidName", "\"%s\" cannot be the name of %s.", name, kind);
        r = sd_bus_path_encode(prefix, name, ret);

        return r < 0 ? fail_bus(c, NULL, r, name) : 0;
}

int container_path(Client *c, const char *name, char **ret) {
        return object_path(c, "a container", BERTH_PATH "/container", name, ret);
}

int image_path(Client *c, const char *name, char **ret) {
        return object_path(c, "an image", BERTH_PATH "/image", name, ret);
}

int client_simple(Client *c, const char *name, const char *member, sd_bus_message **ret_reply) {
        _cleanup_message_ sd_bus_message *m = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = container_path(c, name, &path);
        if (r != 0)
                return r;
        r = client_method(c, path, BERTH_INTERFACE(Container), member, &m);
        if (r != 0)
                return r;
        r = no_options(m);
        if (r < 0)
                return fail_bus(c, NULL, r, name);

        return client_call(c, m, name, ret_reply);
}

/* Milliseconds for poll() out of the bus's absolute microseconds. */
int bus_timeout(sd_bus *bus) {
        uint64_t until, now_us;
        struct timespec now;

        if (sd_bus_get_timeout(bus, &until) <= 0 || until == UINT64_MAX)
                return -1;
        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        now_us = (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;

        return until <= now_us ? 0 : (int) ((until - now_us + 999) / 1000);
}
