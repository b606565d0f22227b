/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Execute: a program in the running container.
 *
 * Runs as S. A joiner is forked into the payload's cgroups, enters all namespaces of init and forks the program to be as the
 * supervisor's own child; both stay non-dumpable, so that nobody inside can look into them before the exec
 * (exec-child.c). The caller's descriptors are looked at first: a folder of the host's is a way out of any container, a
 * terminal of the host's a way into the caller's shell. */

#include "exec.h"

#include "mutation.h"
#include "sys.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define ID_MAX 65535U
#define TERMINAL_SIZE_MAX 65535U

void process_init(Process *p) {
        *p = (Process) { .pidfd = -EBADF, .socket = -EBADF, .terminal = -EBADF, .ends = { -EBADF, -EBADF, -EBADF } };
}

void process_free(Process *p) {
        closep(&p->pidfd);
        closep(&p->socket);
        closep(&p->terminal);
        for (int i = 0; i < 3; i++)
                closep(&p->ends[i]);
        process_init(p);
}

/* A free place; where all are taken, that of the oldest end that nobody came for. */
static Process *process_new(Supervisor *s) {
        Process *oldest = NULL;

        for (size_t i = 0; i < PROCESSES_MAX; i++) {
                Process *p = &s->processes[i];

                if (p->id == 0) {
                        oldest = p;
                        break;
                }
                if (p->ended && p->socket < 0 && (!oldest || p->id < oldest->id))
                        oldest = p;
        }
        if (!oldest)
                return NULL;
        process_free(oldest);
        oldest->id = ++s->last_id;
        return oldest;
}

/* A pipe, a connected stream socket, a regular file or /dev/null. */
static int check_standard(int fd) {
        int flags, domain, type, listening;
        struct stat st;

        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (flags & O_PATH)
                return -EBADF;
        if (S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode))
                return 0;
        if (S_ISCHR(st.st_mode))
                return st.st_rdev == makedev(1, 3) ? 0 : -ENODEV;
        if (!S_ISSOCK(st.st_mode))
                return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;

        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){ sizeof(int) }) < 0 ||
            getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){ sizeof(int) }) < 0 ||
            getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &(socklen_t){ sizeof(int) }) < 0)
                return -errno;
        if (domain != AF_UNIX && domain != AF_INET && domain != AF_INET6)
                return -EAFNOSUPPORT;
        return type == SOCK_STREAM && !listening ? 0 : -ESOCKTNOSUPPORT;
}

/* Fills what was not given with a pipe; the caller's end goes into ends. */
static int make_standard(ExecCall *call, Process *p) {
        if (call->terminal)
                return 0;
        for (int i = 0; i < 3; i++) {
                int pipe[2];

                if (call->standard[i] >= 0)
                        continue;
                if (pipe2(pipe, O_CLOEXEC) < 0)
                        return -errno;
                call->standard[i] = pipe[i != 0];
                p->ends[i] = pipe[i == 0];
        }
        return 0;
}

static const char *call_check(const ExecCall *call, int *ret_r) {
        static const char *const names[] = { "standard input", "standard output", "standard error" };

        for (int i = 0; i < 3; i++) {
                if (call->standard[i] < 0)
                        continue;
                *ret_r = call->terminal ? -EINVAL : MUTATION(standard_descriptor) ? 0 : check_standard(call->standard[i]);
                if (*ret_r < 0)
                        return names[i];
        }
        return NULL;
}

static int launch(Supervisor *s, const ExecCall *call, Process *p) {
        struct clone_args args = { .exit_signal = SIGCHLD };
        int pair[2], r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        r = cgroups_clone(s, &args);
        if (r == 0)
                exec_joiner(s, call, pair[1]);
        (void) close(pair[1]);
        if (r < 0) {
                (void) close(pair[0]);
                return r;
        }
        p->joiner = r;
        p->socket = pair[0];
        p->deadline = now_usec() + START_SECONDS * 1000000ULL;
        return 0;
}

static void execute(Supervisor *s, Connection *c, ExecCall *call) {
        const char *wrong;
        Process *p;
        int r;

        if (!call->arguments[0] || !*call->arguments[0]) {
                reply_error(s, c, "CannotExecute", "execute", -ENOENT);
                return;
        }
        wrong = call_check(call, &r);
        if (wrong) {
                reply_error(s, c, "BadDescriptor", wrong, r);
                return;
        }
        p = process_new(s);
        if (!p) {
                reply_error(s, c, "LimitReached", "process", -EAGAIN);
                return;
        }
        p->has_terminal = call->terminal;
        r = make_standard(call, p);
        if (r >= 0)
                r = launch(s, call, p);
        if (r < 0) {
                process_free(p);
                reply_error(s, c, "Failed", "join cgroup", r);
                return;
        }
        p->caller = c;
}

void handle_execute(Supervisor *s, Connection *c, json_t *parameters, Message *m) {
        static const Field fields[] = {
                { "arguments", FIELD_STRINGS, offsetof(ExecCall, arguments), 0, 1, STRINGS_MAX },
                { "environment", FIELD_STRINGS, offsetof(ExecCall, environment), 0, 0, STRINGS_MAX },
                { "workingDirectory", FIELD_STRING, offsetof(ExecCall, cwd), 0, 1, 4095 },
                { "user", FIELD_UNSIGNED, offsetof(ExecCall, user), 0, 0, ID_MAX },
                { "group", FIELD_UNSIGNED, offsetof(ExecCall, group), 0, 0, ID_MAX },
                { "terminal", FIELD_BOOL, offsetof(ExecCall, terminal), 0, 0, 0 },
                { "rows", FIELD_UNSIGNED, offsetof(ExecCall, rows), 0, 0, TERMINAL_SIZE_MAX },
                { "columns", FIELD_UNSIGNED, offsetof(ExecCall, columns), 0, 0, TERMINAL_SIZE_MAX },
                { "inputFileDescriptor", FIELD_DESCRIPTOR, offsetof(ExecCall, standard[0]), FIELD_NULLABLE, 0, 0 },
                { "outputFileDescriptor", FIELD_DESCRIPTOR, offsetof(ExecCall, standard[1]), FIELD_NULLABLE, 0, 0 },
                { "errorFileDescriptor", FIELD_DESCRIPTOR, offsetof(ExecCall, standard[2]), FIELD_NULLABLE, 0, 0 },
                {},
        };
        ExecCall call = { .standard = { -EBADF, -EBADF, -EBADF } };

        if (s->state != STATE_RUNNING || s->worker)
                reply_error(s, c, "WrongState", "execute", -ESRCH);
        else if (request_decode(s, c, parameters, fields, m, &call) >= 0)
                execute(s, c, &call);

        for (int i = 0; i < 3; i++)
                closep(&call.standard[i]);
        free(call.arguments);
        free(call.environment);
}

/* It was not executed. The place stays until its process, if there is one, has been reaped. */
static void process_failed(Supervisor *s, Process *p, const char *error, const char *step, int r) {
        if (p->caller)
                reply_error(s, p->caller, error, step, r);
        p->caller = NULL;
        p->socket = close_fd(p->socket);
        if (p->joiner > 0)
                (void) kill(p->joiner, SIGKILL);
        if (p->pidfd >= 0)
                (void) sys_pidfd_send_signal(p->pidfd, SIGKILL);
        p->failed = true;
        if (p->ended || (p->joiner <= 0 && p->pid <= 0))
                process_free(p);
}

static void process_executed(Supervisor *s, Process *p) {
        static const char *const names[] = { "inputFileDescriptor", "outputFileDescriptor", "errorFileDescriptor" };
        char id[16];
        json_t *parameters;
        int fds[3];
        size_t n = 0;

        p->socket = close_fd(p->socket);
        if (p->caller) {
                (void) snprintf(id, sizeof(id), "%u", p->id);
                parameters = json_pack("{s:s, s:i}", "process", id, "pid", (int) p->pid);
                for (int i = 0; parameters && i < 3; i++)
                        if (p->ends[i] >= 0) {
                                (void) json_object_set_new(parameters, names[i], json_integer((json_int_t) n));
                                fds[n++] = p->ends[i];
                        }
                reply(s, p->caller, parameters, fds, n);
        }
        p->caller = NULL;
        for (int i = 0; i < 3; i++)
                closep(&p->ends[i]);
        tell_ends(s); /* it may be over already */
}

static void take_pid(Supervisor *s, Process *p, pid_t pid, int pidfd) {
        p->pid = pid;
        p->pidfd = pidfd;
        for (size_t i = 0; i < s->n_strangers; i++)
                if (s->strangers[i].pid == pid) {
                        process_ended(p, s->strangers[i].status);
                        s->strangers[i] = s->strangers[--s->n_strangers];
                        return;
                }
}

/* The end of the socket, when the joiner is gone and the program executed or dead. */
static void process_settled(Supervisor *s, Process *p) {
        if (p->error.kind == CHILD_ERROR)
                process_failed(s, p, streq(p->error.step, "execute") ? "CannotExecute" : "Failed", p->error.step, p->error.value);
        else if (p->ready && p->pid > 0)
                process_executed(s, p);
        else
                process_failed(s, p, "Failed", "join", -ECHILD);
}

void process_event(Supervisor *s, Process *p) {
        int fds[2] = { -EBADF, -EBADF }, r;
        ChildMessage m;
        size_t n = 0;

        r = child_receive(p->socket, /* wait= */ false, &m, fds, ELEMENTSOF(fds), &n);
        if (r == -EAGAIN)
                return;
        if (r <= 0) {
                process_settled(s, p);
                return;
        }
        if (m.kind == CHILD_PID && n == 1 && p->pid == 0)
                take_pid(s, p, m.value, TAKE_FD(fds[0]));
        else if (m.kind == CHILD_TERMINAL && n == 2 && p->terminal < 0) {
                p->ends[1] = TAKE_FD(fds[0]);
                p->terminal = TAKE_FD(fds[1]);
        } else if (m.kind == CHILD_READY)
                p->ready = true;
        else if (m.kind == CHILD_ERROR)
                p->error = m;
        for (size_t i = 0; i < n; i++)
                closep(&fds[i]);
}

void process_expired(Supervisor *s, Process *p) {
        process_failed(s, p, "Failed", "join", -ETIMEDOUT);
}
