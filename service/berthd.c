/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* berthd - the D-Bus service of Berth.
 *
 * Runs as user berth without a single capability, no_new_privs set. Believes the bus driver for who is calling, polkit for
 * what that one may do, and nobody for anything else: what arrives was written by any user of the machine, what helpers and
 * supervisors answer may come from a taken-over one. The most it can do is what a taken-over berthd can: anything inside
 * every container, and deny service; no path, device or range of the host (docs/threat-model.md, "berthd"). */

#include "become.h"
#include "log.h"
#include "manager.h"
#include "text.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#define IDLE_EXIT_SECONDS 60U /* if the bus has started us */
#define IDLE_EXIT_SECONDS_MAX (24U * 3600)

static uint64_t arg_idle_exit = UINT64_MAX;

static int help(void) {
        (void) printf("%s [--idle-exit=SECONDS]\n\n"
                      "The D-Bus service org.berth1. Started by its unit or by the bus; see berthd(8).\n\n"
                      "  --idle-exit=SECONDS  leave when there was nothing to do for so long (0: never; without\n"
                      "                       this option %u if the bus has started it, else never)\n"
                      "  -h, --help           show this text\n"
                      "      --version        show the version\n",
                      program_invocation_short_name, IDLE_EXIT_SECONDS);
        return 0;
}

static int parse_seconds(const char *text) {
        uint64_t seconds;
        int r;

        r = span_to_unsigned((Span) { text, strlen(text) }, IDLE_EXIT_SECONDS_MAX, &seconds);
        if (r < 0)
                return r;
        arg_idle_exit = seconds == 0 ? UINT64_MAX : seconds * 1000000;
        return 0;
}

/* 1 go on, 0 done, negative wrong usage. */
static int parse_arguments(int argc, char *argv[]) {
        enum { OPTION_IDLE_EXIT = 256, OPTION_VERSION };
        static const struct option options[] = {
                { "idle-exit", required_argument, NULL, OPTION_IDLE_EXIT },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, OPTION_VERSION },
                {},
        };
        int c;

        if (secure_getenv("DBUS_STARTER_BUS_TYPE"))
                arg_idle_exit = IDLE_EXIT_SECONDS * UINT64_C(1000000);
        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
                switch (c) {
                case OPTION_IDLE_EXIT:
                        if (parse_seconds(optarg) < 0) {
                                log_error("--idle-exit wants seconds, at most %u", IDLE_EXIT_SECONDS_MAX);
                                return -EINVAL;
                        }
                        break;
                case 'h':
                        return help();
                case OPTION_VERSION:
                        (void) puts("berthd " BERTH_VERSION);
                        return 0;
                default:
                        return -EINVAL;
                }
        }
        if (optind < argc) {
                log_error("no arguments are expected");
                return -EINVAL;
        }
        return 1;
}

/* A connection or a file must never become somebody's standard descriptor. */
static int fill_standard_descriptors(void) {
        int fd;

        do {
                fd = open("/dev/null", O_RDWR);
                if (fd < 0)
                        return -errno;
        } while (fd <= STDERR_FILENO);
        (void) close(fd);
        return 0;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        manager_leave(userdata);
        return 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        log_error("the bus has closed the connection");
        return sd_event_exit(userdata, -ECONNRESET);
}

static int watch_signals(sd_event *event, Manager *m) {
        sigset_t mask;
        int r;

        (void) signal(SIGPIPE, SIG_IGN);
        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigaddset(&mask, SIGINT);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        r = sd_event_add_signal(event, NULL, SIGTERM, on_signal, m);
        if (r < 0)
                return r;
        return sd_event_add_signal(event, NULL, SIGINT, on_signal, m);
}

static void manager_freep(Manager **m) {
        manager_free(*m);
}

static int run(void) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        r = sd_event_new(&event);
        if (r < 0)
                return r;
        r = sd_bus_open_system_with_description(&bus, "berthd");
        if (r < 0) {
                log_error("cannot connect to the system bus: %s", strerror(-r));
                return r;
        }
        r = sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_match_signal_async(bus, NULL, "org.freedesktop.DBus.Local", NULL, "org.freedesktop.DBus.Local",
                                              "Disconnected", on_disconnected, NULL, event);
        if (r >= 0)
                r = manager_new(event, bus, arg_idle_exit, &m);
        if (r >= 0)
                r = watch_signals(event, m);
        if (r < 0) {
                log_error("cannot set up: %s", strerror(-r));
                return r;
        }
        r = manager_start(m);
        if (r < 0)
                return r;
        return sd_event_loop(event);
}

int main(int argc, char *argv[]) {
        int r;

        r = parse_arguments(argc, argv);
        if (r <= 0)
                return r < 0 ? 2 : 0;
        (void) umask(0077);
        if (fill_standard_descriptors() < 0 || become_unprivileged() < 0)
                return EXIT_FAILURE;
        return run() < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
