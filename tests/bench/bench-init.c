/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The init of every container that the benchmark starts, ours and the peers': its first act is to take the time; then it writes
 * that and its own confinement into /stamp, and waits for its end. Static, so that what it costs is the same everywhere. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void add_status(int out) {
        char text[8192], *line, *rest = text;
        int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

        text[n > 0 ? n : 0] = '\0';
        while ((line = strsep(&rest, "\n")))
                if (strncmp(line, "Cap", 3) == 0 || strncmp(line, "Seccomp", 7) == 0 || strncmp(line, "NoNew", 5) == 0)
                        (void) dprintf(out, "%s\n", line);
}

static void add_namespaces(int out) {
        static const char *const names[] = { "mnt", "uts", "ipc", "pid", "net", "user", "cgroup" };

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                char path[64], target[64] = {};

                (void) snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
                if (readlink(path, target, sizeof(target) - 1) > 0)
                        (void) dprintf(out, "namespace: %s\n", target);
        }
}

static void add_file(int out, const char *word, const char *path) {
        char text[4096], *line, *rest = text;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

        text[n > 0 ? n : 0] = '\0';
        while ((line = strsep(&rest, "\n")))
                if (*line)
                        (void) dprintf(out, "%s: %s\n", word, line);
}

int main(void) {
        struct timespec now;
        int out;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);

        (void) signal(SIGTERM, _exit);
        out = open("/stamp.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (out < 0)
                return 1;
        (void) dprintf(out, "stamp: %lld\n", (long long) now.tv_sec * 1000000000LL + now.tv_nsec);
        add_status(out);
        add_namespaces(out);
        add_file(out, "uid_map", "/proc/self/uid_map");
        add_file(out, "cgroup", "/proc/self/cgroup");
        (void) close(out);
        (void) rename("/stamp.new", "/stamp");

        for (;;)
                (void) pause();
}
