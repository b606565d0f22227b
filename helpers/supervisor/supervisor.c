/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* berth-supervisor - holds one container: clones its first process, starts programs in it, tells how they end.
 *
 * Started as root with SETUID SETGID SYS_ADMIN SYS_RESOURCE for the root stage (root-stage.c); then S, an ID that no other
 * container has, without any capability but those that the owner of a user namespace has inside it. Believes nobody: calls
 * come from berthd's uid alone and may be those of a berthd that somebody has taken over; the container is hostile. The most
 * it can do is what the container's own root can.
 * Interface: org.berth1.Supervisor.varlink. Policy: docs/threat-model.md, "berth-supervisor". */

#include "mutation.h"
#include "supervisor.h"
#include "sys.h"
#include "users.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define CONNECTION 3
#define PREFACE_SECONDS 5
#define END_SECONDS 10 /* for the kernel to end what is in the container */

void supervisor_log(const char *format, ...) {
        char text[320], line[384];
        va_list ap;
        int n;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        for (char *c = text; *c; c++)
                if ((unsigned char) *c < 0x20 || *c == 0x7f)
                        *c = '?';
        n = snprintf(line, sizeof(line), "berth-supervisor[%u]: %s\n", (unsigned) getuid(), text);
        if (n > 0)
                (void) !write(STDERR_FILENO, line, MIN((size_t) n, sizeof(line) - 1));
}

/* Takes nothing over but standard error and one connected socket of berthd's. */
static int check_start(uid_t berth) {
        const char *fds = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
        const struct timeval limit = { .tv_sec = PREFACE_SECONDS };
        struct ucred peer;
        char own[16];
        int fd;

        do /* nothing of ours may become a standard descriptor */
                fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
        while (fd >= 0 && fd < 3);
        if (fd < 0)
                return -errno;
        (void) close(fd);

        (void) snprintf(own, sizeof(own), "%d", (int) getpid());
        if (!fds || !streq(fds, "1") || !pid || !streq(pid, own))
                return -EINVAL;
        if (getsockopt(CONNECTION, SOL_SOCKET, SO_PEERCRED, &peer, &(socklen_t){ sizeof(peer) }) < 0 ||
            setsockopt(CONNECTION, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
            fcntl(CONNECTION, F_SETFD, FD_CLOEXEC) < 0)
                return -errno;
        if (!MUTATION(preface_peer) && peer.uid != berth)
                return -EPERM;
        if (clearenv() != 0)
                return -ENOMEM;
        (void) umask(022);
        if (chdir("/") < 0)
                return -errno;
        return sys_close_range(CONNECTION + 1, ~0U, 0);
}

/* As varlink frames it, though the root stage knows no JSON: both words are ours. */
static void report(const char *step, int r) {
        const char *errno_name = strerrorname_np(-r);
        char text[256];
        int n;

        supervisor_log("root stage: %s: %s", step, errno_name ? errno_name : "?");
        n = snprintf(text, sizeof(text),
                     "{\"error\":\"org.berth1.Supervisor.Failed\",\"parameters\":{\"step\":\"%s\",\"errnoName\":\"%s\"}}", step,
                     errno_name ? errno_name : "EIO");
        (void) !send(CONNECTION, text, (size_t) n + 1, MSG_NOSIGNAL);
}

static int block_signals(int *ret) {
        sigset_t set;
        int fd;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGCHLD);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return -errno;
        fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (fd < 0)
                return -errno;
        *ret = fd;
        return 0;
}

/* Kills what is there and waits for it, so that all is gone before the lock is. */
static void end_all(Supervisor *s) {
        uint64_t deadline = now_usec() + END_SECONDS * 1000000ULL;

        if (s->init > 0 && !s->init_ended)
                (void) kill(s->init, SIGKILL); /* not reaped yet, so the pid is its own */
        for (size_t i = 0; i < PROCESSES_MAX; i++) {
                if (s->processes[i].joiner > 0)
                        (void) kill(s->processes[i].joiner, SIGKILL);
                if (s->processes[i].pidfd >= 0)
                        (void) sys_pidfd_send_signal(s->processes[i].pidfd, SIGKILL);
        }
        while (now_usec() < deadline) {
                struct pollfd wait = { .fd = s->signals, .events = POLLIN };
                struct signalfd_siginfo info;
                pid_t pid;

                do
                        pid = waitpid(-1, NULL, __WALL | WNOHANG);
                while (pid > 0);
                if (pid < 0)
                        return;
                if (poll(&wait, 1, 100) > 0)
                        (void) !read(s->signals, &info, sizeof(info));
        }
        supervisor_log("something in the container does not end");
}

static void supervisor_init(Supervisor *s) {
        s->listening = s->lock = s->signals = s->init_pidfd = s->proc = s->userns = s->netns = s->start = s->control =
                s->payload = -EBADF;
        for (size_t i = 0; i < PROCESSES_MAX; i++)
                process_init(&s->processes[i]);
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
                s->connections[i].fd = -EBADF;
}

int main(int argc, char *argv[]) {
        static Supervisor s;
        const char *step = "socket";
        int r;

        supervisor_init(&s);
        if (argc != 1) {
                supervisor_log("takes no arguments, only a connected socket");
                return EXIT_FAILURE;
        }
        r = user_find("berth", &s.berth, /* ret_gid= */ NULL);
        if (r >= 0)
                r = check_start(s.berth);
        if (r < 0) {
                supervisor_log("%s: %s", step, strerrorname_np(-r));
                return EXIT_FAILURE;
        }

        message_init();
        r = root_stage(CONNECTION, &s, &step);
        if (r >= 0) {
                step = "payload";
                r = cgroups_open(&s);
        }
        if (r >= 0) {
                step = "signals";
                r = block_signals(&s.signals);
        }
        if (r < 0) {
                report(step, r);
                return EXIT_FAILURE;
        }
        /* The end of the preface's connection says that we are ready. In its place stands the lock once more: descriptors are
         * closed in their order when a process ends, and whoever sees the end of a connection shall find the lock free. */
        if (dup3(s.lock, CONNECTION, O_CLOEXEC) < 0)
                return EXIT_FAILURE;

        s.deadline = now_usec() + CREATE_SECONDS * 1000000ULL;
        r = server_run(&s);
        end_all(&s);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
