/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Create and Start: the first process from its clone to its exec.
 *
 * Runs as S. What berthd says is a plan for a process that has no power outside its container; it is checked all the same,
 * completely, before anything is cloned. */

#include "first.h"
#include "names.h"
#include "sys.h"

#include <stdio.h>
#include <sys/socket.h>

#define HOSTNAME_LENGTH_MAX 64
#define PATH_LENGTH_MAX 4095

static void plan_done(LaunchPlan *p) {
        free(p->arguments);
        free(p->environment);
        *p = (LaunchPlan) {};
}

/* A path inside, or "KEY=value": no further rule, since whoever may start a container may do anything in it. */
static bool environment_is_valid(char *const *environment) {
        for (char *const *e = environment; *e; e++)
                if (**e == '=' || !strchr(*e, '='))
                        return false;
        return true;
}

static const char *plan_check(const LaunchPlan *p) {
        if (!creation_id_is_valid(p->creation_id))
                return "creationID";
        if (!p->arguments[0] || p->arguments[0][0] != '/')
                return "arguments";
        if (!environment_is_valid(p->environment))
                return "environment";
        return p->cwd[0] == '/' ? NULL : "workingDirectory";
}

static int plan_decode(Supervisor *s, Connection *c, json_t *parameters, Message *m, LaunchPlan *ret, bool *ret_worker) {
        static const Field plan_fields[] = {
                { "name", FIELD_NAME, offsetof(LaunchPlan, name), 0, 0, 0 },
                { "creationID", FIELD_STRING, offsetof(LaunchPlan, creation_id), 0, 1, CREATION_ID_LENGTH },
                { "hostname", FIELD_STRING, offsetof(LaunchPlan, hostname), 0, 1, HOSTNAME_LENGTH_MAX },
                { "arguments", FIELD_STRINGS, offsetof(LaunchPlan, arguments), 0, 1, STRINGS_MAX },
                { "environment", FIELD_STRINGS, offsetof(LaunchPlan, environment), 0, 0, STRINGS_MAX },
                { "workingDirectory", FIELD_STRING, offsetof(LaunchPlan, cwd), 0, 1, PATH_LENGTH_MAX },
                {},
        };
        struct {
                json_t *plan;
                bool worker;
        } call = {};
        static const Field fields[] = {
                { "plan", FIELD_OBJECT, 0, 0, 0, 0 },
                { "worker", FIELD_BOOL, sizeof(json_t *), 0, 0, 0 },
                {},
        };
        LaunchPlan plan = {};
        const char *wrong;
        int r;

        r = request_decode(s, c, parameters, fields, m, &call);
        if (r < 0)
                return r;
        r = request_decode(s, c, call.plan, plan_fields, m, &plan);
        if (r < 0) {
                plan_done(&plan);
                return r;
        }
        wrong = plan_check(&plan);
        if (wrong) {
                plan_done(&plan);
                reply_error(s, c, "Failed", wrong, -EINVAL);
                return -EINVAL;
        }
        *ret = plan;
        *ret_worker = call.worker;
        return 0;
}

/* Its namespaces can be opened only once it has made itself dumpable, which its first word says. */
static int wait_for_hello(int socket) {
        const struct timeval limit = { .tv_sec = HELLO_SECONDS };
        ChildMessage m;
        size_t n;
        int r;

        if (setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
                return -errno;
        r = child_receive(socket, /* wait= */ true, &m, /* fds= */ NULL, 0, &n);
        if (r < 0)
                return r;
        if (r == 0)
                return -ECHILD;
        return m.kind == CHILD_HELLO ? 0 : m.kind == CHILD_ERROR ? m.value : -EBADMSG;
}

static int open_namespaces(Supervisor *s) {
        char path[32];
        int fd;

        (void) snprintf(path, sizeof(path), "/proc/%d", (int) s->init);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        s->proc = fd;
        fd = openat(s->proc, "ns/user", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        s->userns = fd;
        fd = openat(s->proc, "ns/net", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        s->netns = fd;
        return 0;
}

static int clone_first(Supervisor *s, const char **ret_step) {
        struct clone_args args = {
                .flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_PIDFD,
                .pidfd = (uint64_t) (uintptr_t) &s->init_pidfd,
                .exit_signal = SIGCHLD,
        };
        int pair[2], r;

        *ret_step = "socket";
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        s->start = pair[0];
        *ret_step = "clone";
        r = cgroups_clone(s, &args);
        if (r == 0)
                first_process(s, pair[1]);
        (void) close(pair[1]);
        if (r < 0)
                return r;
        s->init = r;
        *ret_step = "first process";
        r = wait_for_hello(s->start);
        if (r < 0)
                return r;
        *ret_step = "namespaces";
        return open_namespaces(s);
}

void handle_create(Supervisor *s, Connection *c, json_t *parameters, Message *m) {
        const char *step;
        int r;

        if (s->state != STATE_NEW) {
                reply_error(s, c, "WrongState", "create", -EALREADY);
                return;
        }
        if (plan_decode(s, c, parameters, m, &s->plan, &s->worker) < 0)
                return;
        s->plan_message = *m; /* the plan's strings live in it */
        *m = (Message) {};
        s->creator = c;

        r = clone_first(s, &step);
        if (r < 0) {
                s->failed = s->done = true;
                reply_error(s, c, "Failed", step, r);
                return;
        }
        s->state = STATE_CREATED;
        s->deadline = UINT64_MAX;
        reply(s, c,
              json_pack("{s:i, s:i, s:i}", "processFileDescriptor", 0, "userNamespaceFileDescriptor", 1,
                        "networkNamespaceFileDescriptor", 2),
              (const int[]) { s->proc, s->userns, s->netns }, 3);
        s->proc = close_fd(s->proc);
}

void launch_failed(Supervisor *s, const char *error, const char *step, int r) {
        s->failed = s->done = true;
        if (s->starter)
                reply_error(s, s->starter, error, step, r);
        else
                supervisor_log("%s: %s (%s)", error, step, strerrorname_np(-r));
}

void handle_start(Supervisor *s, Connection *c, json_t *parameters, Message *m) {
        struct {
                int writable;
                Descriptors layers;
        } call = { .writable = -EBADF };
        static const Field fields[] = {
                { "writableFileDescriptor", FIELD_DESCRIPTOR, 0, 0, 0, 0 },
                { "layerFileDescriptors", FIELD_DESCRIPTORS, offsetof(typeof(call), layers), 0, 0, LAYERS_MAX },
                {},
        };
        const ChildMessage start = { .kind = CHILD_START };
        int fds[LAYERS_MAX + 1], r;

        if (s->state != STATE_CREATED || s->worker) {
                reply_error(s, c, "WrongState", "start", -EBUSY);
                return;
        }
        r = request_decode(s, c, parameters, fields, m, &call);
        if (r >= 0) {
                s->starter = c;
                fds[0] = call.writable;
                memcpy(fds + 1, call.layers.fds, call.layers.n * sizeof(int));
                r = child_send(s->start, &start, fds, call.layers.n + 1);
                if (r < 0)
                        launch_failed(s, "Failed", "start", r);
                s->state = STATE_STARTING;
                s->deadline = now_usec() + START_SECONDS * 1000000ULL;
        }
        closep(&call.writable);
        descriptors_done(&call.layers);
}

static void started(Supervisor *s) {
        Connection *c = s->starter;

        s->state = STATE_RUNNING;
        s->deadline = UINT64_MAX;
        if (s->worker)
                return; /* its call goes on */
        s->starter = NULL;
        if (!c)
                return;
        reply(s, c, json_pack("{s:i, s:i}", "pid", (int) s->init, "pidFileDescriptor", 0), &s->init_pidfd, 1);
}

/* READY and then the end of the socket is the proof that the program was executed; the end alone is that of the process. */
void start_event(Supervisor *s) {
        ChildMessage m;
        size_t n;
        int r;

        r = child_receive(s->start, /* wait= */ false, &m, /* fds= */ NULL, 0, &n);
        if (r == -EAGAIN)
                return;
        if (r > 0 && m.kind == CHILD_READY) {
                s->ready = true;
                return;
        }
        if (r > 0 && m.kind == CHILD_ERROR) {
                s->start = close_fd(s->start);
                launch_failed(s, streq(m.step, "execute") ? "CannotExecute" : "Failed", m.step, m.value);
                return;
        }
        s->start = close_fd(s->start);
        if (r == 0 && s->ready)
                started(s);
        else
                launch_failed(s, "Failed", "first process", r < 0 ? r : -ECHILD);
}
