/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* berth-spawner - starts helpers and supervisors.
 *
 * Starting a process through the service manager costs 12 ms; a container needs six. So one resident root process listens on
 * one socket for each row of a compiled-in table. A connection from berthd makes it fork a child, which becomes what the
 * row says - user, groups, bounding set, capabilities, limits, deadline - and executes the row's program, the connection
 * being its only descriptor. When a row has as many running as it may, its socket is not looked at until one ends: the
 * next caller waits in the queue. Supervisors outlive it; a restart leaves them alone.
 *
 * SECURITY. Real root, with the union of what the rows have (its bounding set, which it cuts itself too, so that it is the
 * same without systemd). It believes root's files at its start, and of a peer nothing but what the kernel says about its
 * user: berth, or root, who may introspect a helper. It never reads from a connection, and has no call in it that could;
 * no peer chooses a program, an argument, a variable, an ID. So the most that a peer can do is have a program started
 * that would be started for it anyway, as often at once as the table says. It has no seccomp list and no mount namespace of its own,
 * since containers would inherit them. Taken over it is root within its bounding set. */

#include "service.h"

#include "mutation.h"
#include "notify.h"
#include "places.h"
#include "signals.h"
#include "users.h"
#include "util.h"

#include <fcntl.h>
#include <linux/securebits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define CHILDREN_MAX 4096
/* How long to leave everything alone when descriptors, memory or processes have run out. */
#define PAUSE_NS 100000000L

typedef struct Child {
        pid_t pid;
        Service *service;
} Child;

typedef struct Spawner {
        Service services[ROWS_MAX];
        size_t n_services;
        Child children[CHILDREN_MAX];
        size_t n_children;
        uid_t berth;
        gid_t berth_gid;
} Spawner;

static volatile sig_atomic_t ended;

static void on_end(int number) {
        ended = 1;
}

/* It is enough that ppoll() returns. */
static void on_child(int number) {}

/* 0 and 1 are /dev/null, for us and so for all we start; 2 is the log. */
static int arrange_standard_descriptors(void) {
        int fd;

        do {
                fd = open("/dev/null", O_RDWR | O_NOCTTY);
                if (fd < 0)
                        return -errno;
        } while (fd <= STDERR_FILENO); /* fills what our starter left closed */
        if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
                return -errno;
        (void) close(fd);
        return 0;
}

static int read_capabilities(uint64_t *ret) {
        struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
        struct __user_cap_data_struct data[2];

        if (syscall(SYS_capget, &header, data) < 0)
                return -errno;
        *ret = (uint64_t) data[1].permitted << 32 | data[0].permitted;
        return 0;
}

/* Cuts everything that no row and no step of ours needs. */
static int drop_to_union(uint64_t *ret) {
        struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
        struct __user_cap_data_struct data[2] = {};
        uint64_t all = CAPABILITIES_OWN, have = 0;
        int r;

        r = read_capabilities(&have);
        if (r < 0)
                return r;
        for (const Row *row = table; row->name; row++)
                all |= row->capabilities;
        have &= all;

        for (unsigned long c = 0; c < 64; c++)
                if (!(all & (UINT64_C(1) << c)) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0) {
                        if (errno == EINVAL) /* one more than the kernel's last */
                                break;
                        return -errno;
                }
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return -errno;
        data[0].effective = data[0].permitted = (uint32_t) have;
        data[1].effective = data[1].permitted = (uint32_t) (have >> 32);
        if (syscall(SYS_capset, &header, data) < 0)
                return -errno;

        *ret = have;
        return 0;
}

static int set_signals(void) {
        const struct sigaction child = { .sa_handler = on_child }, end = { .sa_handler = on_end };
        sigset_t blocked;
        int r;

        /* What our starter ignored would be ignored in all we start. */
        r = signals_reset();
        if (r < 0)
                return r;
        /* They come only while ppoll() waits. */
        (void) sigemptyset(&blocked);
        (void) sigaddset(&blocked, SIGCHLD);
        (void) sigaddset(&blocked, SIGTERM);
        (void) sigaddset(&blocked, SIGINT);
        if (sigprocmask(SIG_SETMASK, &blocked, NULL) < 0 || sigaction(SIGCHLD, &child, NULL) < 0 ||
            sigaction(SIGTERM, &end, NULL) < 0 || sigaction(SIGINT, &end, NULL) < 0)
                return -errno;
        return 0;
}

static int prepare(Spawner *s) {
        uint64_t capabilities = 0;
        int r;

        if (geteuid() != 0 || getuid() != 0)
                return -EPERM;
        /* A secure bit would be every container's. */
        if (prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) != SECUREBITS_DEFAULT)
                return -EINVAL;
        (void) umask(077);
        if (chdir("/") < 0)
                return -errno;
        r = user_find("berth", &s->berth, /* ret_gid= */ NULL);
        if (r >= 0)
                r = group_find("berth", &s->berth_gid);
        if (r < 0) {
                log_line("user and group berth: %s", strerror(-r));
                return r;
        }
        r = drop_to_union(&capabilities);
        if (r < 0)
                return r;
        r = services_prepare(capabilities, s->services, &s->n_services);
        if (r < 0)
                return r;
        r = places_make();
        if (r < 0)
                return r;
        r = locks_make(s->berth_gid);
        if (r < 0)
                return r;
        r = cgroup_roots_make();
        if (r < 0)
                return r;
        r = services_listen(s->services, s->n_services, s->berth, s->berth_gid);
        if (r < 0)
                return r;
        return set_signals();
}

static void reap(Spawner *s) {
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
                for (size_t i = 0; i < s->n_children; i++) {
                        Child *c = s->children + i;
                        const Row *row = c->service->row;

                        if (c->pid != pid)
                                continue;
                        c->service->running--;
                        /* A supervisor that is killed was killed on purpose; nothing else should be. */
                        if (WIFSIGNALED(status) && (row->deadline > 0 || WTERMSIG(status) != SIGKILL))
                                log_line("%s (%d) ended by signal %d%s", row->name, (int) pid, WTERMSIG(status),
                                         WTERMSIG(status) == SIGALRM        ? ", its deadline"
                                                 : WTERMSIG(status) == SIGSYS ? ", a system call that its list does not have"
                                                                              : "");
                        *c = s->children[--s->n_children];
                        break;
                }
}

static bool is_full(const Spawner *s, const Service *service) {
        return s->n_children == CHILDREN_MAX ||
               (!MUTATION(spawner_concurrency) && service->running >= service->row->concurrency);
}

static bool ran_out(int r) {
        return r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -ENOBUFS || r == -EAGAIN;
}

/* Takes one connection and starts the row's program on it. Whatever goes wrong, the connection is closed. Returns an error
 * only if it is wise to wait a little. */
static int serve(Spawner *s, Service *service) {
        _cleanup_close_ int connection = -EBADF;
        struct ucred peer;
        pid_t pid;
        int r;

        connection = accept4(service->listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection < 0)
                /* EAGAIN: the peer has gone again */
                return errno != EAGAIN && ran_out(-errno) ? -errno : 0;
        if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &(socklen_t) { sizeof(peer) }) < 0)
                return 0;
        if (!MUTATION(spawner_peer) && peer.uid != s->berth && peer.uid != 0) {
                log_line("%s: a connection of user %u, closed", service->row->name, peer.uid);
                return 0;
        }

        r = service_start(service, s->berth_gid, connection, &pid);
        if (r < 0) {
                log_line("%s: fork: %s", service->row->name, strerror(-r));
                return ran_out(r) ? r : 0;
        }
        s->children[s->n_children++] = (Child) { pid, service };
        service->running++;
        return 0;
}

static int run(Spawner *s) {
        struct pollfd polls[ROWS_MAX];
        sigset_t none;
        int r;

        (void) sigemptyset(&none);
        while (!ended) {
                for (size_t i = 0; i < s->n_services; i++) {
                        Service *service = s->services + i;

                        /* Negative: passed over. */
                        polls[i] = (struct pollfd) { is_full(s, service) ? -1 : service->listener, POLLIN, 0 };
                }
                r = ppoll(polls, s->n_services, /* timeout= */ NULL, &none);
                if (r < 0 && errno != EINTR)
                        return -errno;
                reap(s);
                if (r < 0)
                        continue;

                for (size_t i = 0; i < s->n_services; i++) {
                        if (polls[i].revents == 0)
                                continue;
                        if (polls[i].revents & ~POLLIN)
                                return -EIO; /* nothing can be wrong with a listening socket */
                        if (serve(s, s->services + i) < 0) {
                                (void) ppoll(NULL, 0, &(struct timespec) { .tv_nsec = PAUSE_NS }, &none);
                                break;
                        }
                }
        }
        return 0;
}

int main(int argc, char *argv[]) {
        static Spawner spawner;
        int r;

        r = arrange_standard_descriptors();
        if (r < 0 || argc > 1) {
                log_line("takes no arguments, and needs /dev/null");
                return EXIT_FAILURE;
        }
        r = prepare(&spawner);
        if (r < 0) {
                log_line("cannot start: %s", strerror(-r));
                return EXIT_FAILURE;
        }
        r = notify_manager("READY=1");
        if (r < 0)
                log_line("service manager: %s, ignoring", strerror(-r));

        r = run(&spawner);
        services_unlink(spawner.services, spawner.n_services);
        if (r < 0)
                log_line("poll: %s", strerror(-r));
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
