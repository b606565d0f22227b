/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A caller on an open bus connection, as a desktop or a web page is one. Reads a command a line from standard input, calls,
 * and answers with one line: BEGIN END in ns of CLOCK_MONOTONIC around the call, or "error NAME MESSAGE".
 *
 *     start NAME   kill NAME   exec NAME   cat NAME PATH   create NAME IMAGE   clone NAME NEW   snapshot NAME   destroy NAME   list
 *
 * exec runs /bin/true and ends when its exit status is known; kill when everything is gone. cat prints the file after its
 * line, ended by a line "end". list asks for every container with its state. */

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#define SERVICE "org.berth1"
#define CONTAINER "org.berth1.Container"

static sd_bus *bus;
static char ended_path[256]; /* of the job or process whose end came last */
static int ended_status;

static long long now(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (long long) t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int on_end(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *result;

        (void) snprintf(ended_path, sizeof(ended_path), "%s", sd_bus_message_get_path(m));
        if (sd_bus_message_is_signal(m, NULL, "Exited"))
                (void) sd_bus_message_read(m, "i", &ended_status);
        else if (sd_bus_message_read(m, "s", &result) >= 0)
                ended_status = strcmp(result, "failed") == 0;
        return 0;
}

static int wait_end(const char *path) {
        while (strcmp(ended_path, path) != 0) {
                int r = sd_bus_process(bus, NULL);

                if (r < 0)
                        return r;
                if (r == 0 && (r = sd_bus_wait(bus, UINT64_MAX)) < 0)
                        return r;
        }
        return ended_status == 0 ? 0 : -EREMOTEIO;
}

static int call(const char *path, const char *interface, const char *member, sd_bus_error *e, sd_bus_message **reply,
                const char *types, ...) {
        sd_bus_message *m = NULL;
        va_list ap;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, SERVICE, path, interface, member);
        if (r < 0)
                return r;
        va_start(ap, types);
        r = sd_bus_message_appendv(m, types, ap);
        va_end(ap);
        if (r >= 0)
                r = sd_bus_call(bus, m, 60 * 1000000ULL, e, reply);
        sd_bus_message_unref(m);
        return r;
}

static int run(char *words[4], sd_bus_error *e) {
        sd_bus_message *reply = NULL;
        const char *path, *result;
        char *container = NULL;
        int r, in, out, err;

        if (words[1] && (r = sd_bus_path_encode("/org/berth1/container", words[1], &container)) < 0)
                return r;

        if (strcmp(words[0], "start") == 0)
                r = call(container, CONTAINER, "Start", e, NULL, "a{sv}", 0);
        else if (strcmp(words[0], "kill") == 0)
                r = call(container, CONTAINER, "Kill", e, NULL, "ia{sv}", SIGKILL, 0);
        else if (strcmp(words[0], "destroy") == 0)
                r = call(container, CONTAINER, "Destroy", e, NULL, "a{sv}", 1, "snapshots", "b", 1);
        else if (strcmp(words[0], "clone") == 0)
                r = call(container, CONTAINER, "Clone", e, NULL, "sa{sv}", words[2], 0);
        else if (strcmp(words[0], "snapshot") == 0)
                r = call(container, CONTAINER, "TakeSnapshot", e, NULL, "sa{sv}", "", 0);
        else if (strcmp(words[0], "list") == 0)
                r = call("/org/berth1", "org.berth1.Manager", "ListContainers", e, &reply, "a{sv}", 0);
        else if (strcmp(words[0], "create") == 0) {
                r = call("/org/berth1", "org.berth1.Manager", "CreateContainer", e, &reply, "sa{sv}", words[1], 2, "image", "s",
                         words[2], "config", "a{sv}", 1, "lxc.init.cmd", "s", "/sbin/bench-init");
                if (r >= 0 && (r = sd_bus_message_read(reply, "o", &path)) >= 0)
                        r = wait_end(path);
        } else if (strcmp(words[0], "exec") == 0) {
                r = call(container, CONTAINER, "Exec", e, &reply, "asa{sv}", 1, "/bin/true", 0);
                if (r >= 0 && (r = sd_bus_message_read(reply, "ohhh", &path, &in, &out, &err)) >= 0)
                        r = wait_end(path);
        } else if (strcmp(words[0], "cat") == 0) {
                r = call(container, CONTAINER, "Exec", e, &reply, "asa{sv}", 2, "/bin/cat", words[2], 0);
                if (r >= 0 && (r = sd_bus_message_read(reply, "ohhh", &path, &in, &out, &err)) >= 0) {
                        char buffer[4096];
                        ssize_t n;

                        (void) printf("0 0\n");
                        while ((n = read(out, buffer, sizeof(buffer))) > 0)
                                (void) fwrite(buffer, 1, (size_t) n, stdout);
                        (void) printf("end\n");
                        r = wait_end(path);
                }
        } else
                r = -EINVAL;

        if (r >= 0 && reply && sd_bus_message_is_method_error(reply, NULL))
                r = sd_bus_message_read(reply, "s", &result);
        sd_bus_message_unref(reply);
        free(container);
        return r;
}

int main(void) {
        char line[1024];
        int r;

        r = sd_bus_open_system(&bus);
        if (r >= 0)
                r = sd_bus_match_signal(bus, NULL, SERVICE, NULL, "org.berth1.Process", "Exited", on_end, NULL);
        if (r >= 0)
                r = sd_bus_match_signal(bus, NULL, SERVICE, NULL, "org.berth1.Job", "Completed", on_end, NULL);
        if (r < 0) {
                (void) fprintf(stderr, "caller: no bus: %s\n", strerror(-r));
                return 1;
        }
        (void) setvbuf(stdout, NULL, _IOLBF, 0);
        (void) printf("ready\n");

        while (fgets(line, sizeof(line), stdin)) {
                char *words[4] = {}, *rest = line;
                sd_bus_error e = SD_BUS_ERROR_NULL;
                long long begin;

                line[strcspn(line, "\n")] = '\0';
                for (size_t i = 0; i < 3 && rest; i++)
                        words[i] = strsep(&rest, " ");
                begin = now();
                r = run(words, &e);
                if (r < 0)
                        (void) printf("error %s %s\n", e.name ? e.name : strerror(-r), e.message ? e.message : "");
                else if (strcmp(words[0], "cat") != 0)
                        (void) printf("%lld %lld\n", begin, now());
                sd_bus_error_free(&e);
                /* whatever else has come is drained now, outside of what is measured */
                while (sd_bus_process(bus, NULL) > 0)
                        ;
        }
        return 0;
}
