/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test-supervisor.h"
#include "test.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CONNECTIONS_MAX 8U

static struct {
        WorldShared *shared;
        uint32_t slot;
        int fds[1 + CONNECTIONS_MAX]; /* the listening one first */
        int first;                    /* the connection of Create, until Start */
        int watch;
        pid_t child;
        char name[64], creation_id[33], state[16];
        bool worker;
        unsigned processes;
} me;

/* A first process in a user namespace of its own, which waits. */
static void make_child(void) {
        int ready[2];
        char c;

        check(pipe2(ready, O_CLOEXEC) >= 0);
        me.child = fork();
        check(me.child >= 0);
        if (me.child == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (unshare(CLONE_NEWUSER) < 0)
                        _exit(1);
                (void) !write(ready[1], "", 1);
                (void) close_range(3, ~0U, 0);
                for (;;)
                        (void) pause();
        }
        check(read(ready[0], &c, 1) == 1);
        close(ready[0]);
        close(ready[1]);
}

static int child_file(const char *what, int flags) {
        char path[64];
        int fd;

        (void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) me.child, what);
        fd = open(path, flags | O_CLOEXEC);
        check(fd >= 0);
        return fd;
}

static int child_pidfd(void) {
        return (int) syscall(SYS_pidfd_open, me.child, 0);
}

static _noreturn_ void leave(void) {
        _exit(0);
}

static void tell(const char *process, int status, int signal, bool last) {
        size_t n = 0;
        int none[2];

        if (me.watch < 0)
                return;
        (void) world_answer(me.watch, "Supervisor", world_take_fault(me.shared, SUPERVISOR_WATCH),
                            json_pack("{s:s, s:i, s:i}", "process", process, "status", status, "signal", signal), !last, none,
                            &n);
}

static void end_init(int status, int signal) {
        (void) kill(me.child, SIGKILL);
        (void) waitpid(me.child, NULL, 0);
        tell("", status, signal, true);
        leave();
}

static json_t *get_state(int fds[], size_t *n) {
        fds[(*n)++] = child_pidfd();
        fds[(*n)++] = child_file("ns/user", O_RDONLY);
        return json_pack("{s:s, s:s, s:s, s:b, s:i, s:i, s:i, s:[{s:s, s:i}]}", "state", me.state, "name", me.name,
                         "creationID", me.creation_id, "worker", me.worker, "pid", (int) me.child, "pidFileDescriptor", 0,
                         "userNamespaceFileDescriptor", 1, "processes", "process", "p0", "pid", 77);
}

static json_t *create(json_t *parameters, int fds[], size_t *n) {
        json_t *plan = json_object_get(parameters, "plan");

        check(json_object_size(plan) == 6);
        (void) snprintf(me.name, sizeof(me.name), "%s", json_string_value(json_object_get(plan, "name")));
        (void) snprintf(me.creation_id, sizeof(me.creation_id), "%s", json_string_value(json_object_get(plan, "creationID")));
        me.worker = json_is_true(json_object_get(parameters, "worker"));
        (void) snprintf(me.state, sizeof(me.state), "created");
        make_child();
        fds[(*n)++] = child_file("", O_PATH | O_DIRECTORY);
        fds[(*n)++] = child_file("ns/user", O_RDONLY);
        fds[(*n)++] = child_file("ns/net", O_RDONLY);
        return json_pack("{s:i, s:i, s:i}", "processFileDescriptor", 0, "userNamespaceFileDescriptor", 1,
                         "networkNamespaceFileDescriptor", 2);
}

static json_t *execute(json_t *parameters, int fds[], size_t *n) {
        static const char *const names[3] = { "inputFileDescriptor", "outputFileDescriptor", "errorFileDescriptor" };
        json_t *reply;
        char name[16];

        (void) snprintf(name, sizeof(name), "p%u", ++me.processes);
        reply = json_pack("{s:s, s:i}", "process", name, "pid", (int) me.child);
        if (json_is_true(json_object_get(parameters, "terminal"))) {
                fds[(*n)++] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
                json_object_set_new(reply, names[1], json_integer(0));
        } else
                for (int i = 0; i < 3; i++) {
                        int ends[2];

                        if (json_object_get(parameters, names[i]))
                                continue;
                        check(pipe2(ends, O_CLOEXEC) >= 0);
                        json_object_set_new(reply, names[i], json_integer((json_int_t) *n));
                        fds[(*n)++] = i == 0 ? ends[1] : ends[0];
                        close(i == 0 ? ends[0] : ends[1]);
                }
        /* Its end is told before its start. */
        tell(name, 7, 0, false);
        return reply;
}

/* The host's own namespace, another process, a folder where a pipe should be. */
static void lie(Method method, json_t *reply, int fds[]) {
        if (method == SUPERVISOR_CREATE) {
                close(fds[1]);
                fds[1] = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
        }
        if (method == SUPERVISOR_START)
                json_object_set_new(reply, "pid", json_integer(getppid()));
        if (method == SUPERVISOR_EXECUTE) {
                close(fds[0]);
                fds[0] = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
}

static void serve(int fd, json_t *call) {
        const char *name = json_string_value(json_object_get(call, "method")) + strlen("org.berth1.Supervisor.");
        json_t *parameters = json_object_get(call, "parameters"), *reply = json_object();
        Method method = _METHOD_MAX;
        int fds[8];
        size_t n = 0;
        Fault fault;

        for (Method m = SUPERVISOR_CREATE; m < SUPERVISOR_END; m++)
                if (streq(method_table[m].name + strlen("org.berth1.Supervisor."), name))
                        method = m;
        check(method != _METHOD_MAX);
        world_log(me.shared, "%s", name);
        if (method == SUPERVISOR_WATCH) {
                me.watch = fd;
                json_decref(reply);
                return;
        }

        fault = world_take_fault(me.shared, method);
        if (method == SUPERVISOR_CREATE)
                reply = create(parameters, fds, &n);
        if (method == SUPERVISOR_CREATE)
                me.first = fd;
        if (method == SUPERVISOR_GET_STATE)
                reply = get_state(fds, &n);
        if (method == SUPERVISOR_EXECUTE)
                reply = execute(parameters, fds, &n);
        if (method == SUPERVISOR_HALT)
                reply = json_pack("{s:i}", "signal", SIGTERM);
        if (method == SUPERVISOR_START) {
                fds[n++] = child_pidfd();
                reply = json_pack("{s:i, s:i}", "pid", (int) me.child, "pidFileDescriptor", 0);
        }
        if (method == SUPERVISOR_WORK) {
                for (int i = 1; i <= 3; i++)
                        (void) world_answer(fd, "Supervisor", FAULT_NONE,
                                            json_pack("{s:i, s:i, s:i}", "entries", i, "bytes", i * 1000, "skipped", 0), true,
                                            fds, &n);
                reply = json_pack("{s:i, s:i, s:i}", "entries", 3, "bytes", 3000, "skipped", 2);
        }

        if (fault == FAULT_LIE)
                lie(method, reply, fds);
        if (world_answer(fd, "Supervisor", fault, reply, false, fds, &n) && fault == FAULT_EOF)
                leave();
        while (n > 0)
                close(fds[--n]);
        if (fault == FAULT_ERROR && (method == SUPERVISOR_START || method == SUPERVISOR_CREATE || method == SUPERVISOR_WORK))
                leave();
        if (method == SUPERVISOR_START && fault == FAULT_NONE) {
                me.first = -EBADF;
                (void) snprintf(me.state, sizeof(me.state), "running");
        }
        if (method == SUPERVISOR_WORK && fault != FAULT_HANG)
                leave();
        if (method == SUPERVISOR_HALT && fault == FAULT_NONE && !me.shared->faults[SUPERVISOR_END])
                end_init(0, 0);
        if (method == SUPERVISOR_SIGNAL && fault == FAULT_NONE)
                end_init(-1, (int) json_integer_value(json_object_get(parameters, "signal")));
}

static void on_connection(int *fd) {
        _cleanup_(message_done) Message m = {};

        if (message_receive(*fd, MESSAGE_IN_MAX, 64, &m) < 0) {
                if (*fd == me.first)
                        leave();
                if (*fd == me.watch)
                        me.watch = -EBADF;
                *fd = close_fd(*fd);
                return;
        }
        serve(*fd, m.json);
}

/* Of the test's descriptors none stays but the socket and, until it listens, the preface's connection: the end of a
 * connection must be one. */
static void root_stage(const TestSupervisor *with) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        uid_t uid = WORLD_FIRST + with->slot;
        int connection = -EBADF, fd;
        char path[64];

        me.fds[0] = fcntl(with->listening, F_DUPFD_CLOEXEC, 500);
        check(me.fds[0] == 500);
        if (with->connection >= 0) {
                connection = fcntl(with->connection, F_DUPFD_CLOEXEC, 501);
                check(connection == 501);
        }
        check(close_range(3, 499, 0) >= 0);

        (void) snprintf(path, sizeof(path), "/run/berth/slots/%u", with->slot);
        fd = open(path, O_RDWR | O_CLOEXEC);
        check(fd >= 0 && fcntl(fd, F_SETLK, &lock) >= 0);
        check(setresgid(uid, uid, uid) >= 0 && setresuid(uid, uid, uid) >= 0);
        (void) prctl(PR_SET_DUMPABLE, 1);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        check(listen(me.fds[0], 16) >= 0);
        (void) close_fd(connection);
}

_noreturn_ void test_supervisor(WorldShared *shared, const TestSupervisor *with) {
        (void) signal(SIGPIPE, SIG_IGN);
        me.shared = shared;
        me.slot = with->slot;
        me.first = me.watch = -EBADF;
        root_stage(with);

        for (size_t i = 1; i <= CONNECTIONS_MAX; i++)
                me.fds[i] = -EBADF;
        if (with->state) {
                (void) snprintf(me.name, sizeof(me.name), "%s", with->name);
                (void) snprintf(me.creation_id, sizeof(me.creation_id), "%s", with->creation_id);
                (void) snprintf(me.state, sizeof(me.state), "%s", with->state);
                me.worker = with->worker;
                make_child();
        }
        __atomic_store_n(&shared->ready, 1, __ATOMIC_SEQ_CST);

        for (;;) {
                struct pollfd p[1 + CONNECTIONS_MAX];

                for (size_t i = 0; i <= CONNECTIONS_MAX; i++)
                        p[i] = (struct pollfd) { .fd = me.fds[i], .events = POLLIN };
                if (poll(p, 1 + CONNECTIONS_MAX, -1) < 0)
                        continue;
                for (size_t i = 1; i <= CONNECTIONS_MAX; i++)
                        if (p[i].revents)
                                on_connection(&me.fds[i]);
                for (size_t i = 1; p[0].revents && i <= CONNECTIONS_MAX; i++)
                        if (me.fds[i] < 0) {
                                me.fds[i] = accept4(me.fds[0], NULL, NULL, SOCK_CLOEXEC);
                                break;
                        }
        }
}
