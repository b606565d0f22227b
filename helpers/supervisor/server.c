/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The supervisor's socket: connections, calls, replies, and the loop that waits for everything.
 *
 * Runs as S, without a capability outside the container's user namespace. Takes calls of berth's uid alone, bounded in size and
 * number, one at a time on a connection. It waits for no child; a berthd that stops in the middle of a message costs a second. */

#include "mutation.h"
#include "org.berth1.Supervisor.h"
#include "supervisor.h"

#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>

#define INTERFACE "org.berth1.Supervisor"
#define MESSAGE_SECONDS 1 /* for the rest of a message, once its first byte has come */

typedef enum MethodFlags {
        METHOD_MORE = 1 << 0, /* needs "more" */
} MethodFlags;

typedef struct SupervisorMethod {
        const char *name;
        Handler handler;
        unsigned descriptors_max;
        MethodFlags flags;
} SupervisorMethod;

uint64_t now_usec(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

static void connection_close(Supervisor *s, Connection *c) {
        if (c->fd < 0)
                return;
        c->fd = close_fd(c->fd);
        c->busy = c->watching = c->more = false;
        if (s->starter == c)
                s->starter = NULL;
        for (size_t i = 0; i < PROCESSES_MAX; i++)
                if (s->processes[i].caller == c)
                        s->processes[i].caller = NULL;

        if (s->creator == c) {
                s->creator = NULL;
                if (s->worker || s->state < STATE_RUNNING) {
                        s->failed = s->done = true;
                        supervisor_log("the caller is gone before the start was complete");
                }
        }
}

/* Consumes json. */
static void send_json(Supervisor *s, Connection *c, json_t *json, const int *fds, size_t n_fds) {
        int r = -ENOMEM;

        if (json) {
                r = c->fd < 0 ? -EPIPE : message_send(c->fd, json, fds, n_fds);
                json_decref(json);
        }
        if (r < 0)
                connection_close(s, c);
}

void reply(Supervisor *s, Connection *c, json_t *parameters, const int *fds, size_t n_fds) {
        c->busy = c->more = false;
        send_json(s, c, json_pack("{s:o}", "parameters", parameters ? parameters : json_object()), fds, n_fds);
}

void reply_continues(Supervisor *s, Connection *c, json_t *parameters) {
        send_json(s, c, json_pack("{s:o, s:b}", "parameters", parameters, "continues", 1), /* fds= */ NULL, 0);
}

static void reply_service_error(Supervisor *s, Connection *c, const char *error, const char *key, const char *value) {
        char name[64];

        (void) snprintf(name, sizeof(name), "org.varlink.service.%s", error);
        c->busy = c->more = false;
        send_json(s, c, json_pack("{s:s, s:o}", "error", name, "parameters", key ? json_pack("{s:s}", key, value) : json_object()),
                  /* fds= */ NULL, 0);
}

void reply_error(Supervisor *s, Connection *c, const char *error, const char *step, int r) {
        const char *errno_name = strerrorname_np(r < 0 ? -r : r);
        char name[64];

        supervisor_log("%s: %s (%s)", error, step, errno_name ? errno_name : "?");
        (void) snprintf(name, sizeof(name), INTERFACE ".%s", error);
        c->busy = c->more = false;
        send_json(s, c,
                  json_pack("{s:s, s:{s:s, s:s}}", "error", name, "parameters", "step", step, "errnoName",
                            errno_name ? errno_name : "EIO"),
                  /* fds= */ NULL, 0);
}

int request_decode(Supervisor *s, Connection *c, json_t *parameters, const Field fields[], Message *m, void *target) {
        const char *field = "";
        int r;

        r = decode(parameters, fields, m, target, &field);
        if (r >= 0 && decode_check_descriptors(m) < 0) {
                field = "fileDescriptors";
                r = -EINVAL;
        }
        if (r < 0)
                reply_service_error(s, c, "InvalidParameter", "parameter", field);
        return r;
}

static void handle_get_info(Supervisor *s, Connection *c, json_t *parameters, Message *m) {
        static const Field none[] = { {} };

        if (request_decode(s, c, parameters, none, m, NULL) < 0)
                return;
        reply(s, c,
              json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor", "Berth", "product", "berth-supervisor", "version",
                        BERTH_VERSION, "url", "", "interfaces", INTERFACE, "org.varlink.service"),
              /* fds= */ NULL, 0);
}

static void handle_get_description(Supervisor *s, Connection *c, json_t *parameters, Message *m) {
        static const Field fields[] = {
                { "interface", FIELD_STRING, 0, 0, 0, 256 },
                {},
        };
        const char *interface = NULL;

        if (request_decode(s, c, parameters, fields, m, &interface) < 0)
                return;
        if (!streq(interface, INTERFACE)) {
                reply_service_error(s, c, "InterfaceNotFound", "interface", interface);
                return;
        }
        reply(s, c, json_pack("{s:s}", "description", supervisor_description), /* fds= */ NULL, 0);
}

static const SupervisorMethod methods[] = {
        { INTERFACE ".Create", handle_create, 0, 0 },
        { INTERFACE ".Start", handle_start, LAYERS_MAX + 1, 0 },
        { INTERFACE ".Work", handle_work, 2, METHOD_MORE },
        { INTERFACE ".GetState", handle_get_state, 0, 0 },
        { INTERFACE ".Watch", handle_watch, 0, METHOD_MORE },
        { INTERFACE ".Signal", handle_signal, 0, 0 },
        { INTERFACE ".Halt", handle_halt, 0, 0 },
        { INTERFACE ".Execute", handle_execute, 3, 0 },
        { INTERFACE ".SignalProcess", handle_signal_process, 0, 0 },
        { INTERFACE ".ResizeProcess", handle_resize_process, 0, 0 },
        { "org.varlink.service.GetInfo", handle_get_info, 0, 0 },
        { "org.varlink.service.GetInterfaceDescription", handle_get_description, 0, 0 },
        {},
};

/* {"method": string, "parameters": object?, "more": bool?} and nothing else: nobody needs "oneway" here. */
static int unpack_call(Message *m, const char **ret_method, json_t **ret_parameters, bool *ret_more) {
        struct {
                const char *method;
                json_t *parameters;
                bool more;
        } call = {};
        static const Field fields[] = {
                { "method", FIELD_STRING, 0, 0, 1, 255 },
                { "parameters", FIELD_OBJECT, sizeof(char *), FIELD_NULLABLE, 0, 0 },
                { "more", FIELD_BOOL, sizeof(char *) + sizeof(json_t *), FIELD_NULLABLE, 0, 0 },
                {},
        };
        const char *field;
        int r;

        r = decode(m->json, fields, m, &call, &field);
        if (r < 0)
                return r;
        *ret_method = call.method;
        *ret_parameters = call.parameters;
        *ret_more = call.more;
        return 0;
}

static void dispatch(Supervisor *s, Connection *c, Message *m) {
        const SupervisorMethod *method = methods;
        json_t *parameters;
        const char *name;
        bool more;

        if (unpack_call(m, &name, &parameters, &more) < 0) {
                connection_close(s, c);
                return;
        }
        while (method->name && !streq(method->name, name))
                method++;
        if (!method->name)
                reply_service_error(s, c, "MethodNotFound", "method", name);
        else if ((method->flags & METHOD_MORE) && !more)
                reply_service_error(s, c, "ExpectedMore", NULL, NULL);
        else if (m->n_fds > method->descriptors_max)
                reply_service_error(s, c, "InvalidParameter", "parameter", "fileDescriptors");
        else {
                c->busy = true;
                c->more = more;
                method->handler(s, c, parameters, m);
        }
}

/* Waits until the rest of a message is there, or the end; not for one that comes byte by byte, whose every byte would have a
 * second. */
static bool message_is_here(int fd) {
        const struct timespec pause = { .tv_nsec = 2000000 };
        uint64_t deadline = now_usec() + MESSAGE_SECONDS * 1000000ULL;
        static char text[MESSAGE_IN_MAX + 2];

        if (MUTATION(supervisor_drip))
                return true;
        for (;;) {
                ssize_t n = recv(fd, text, sizeof(text), MSG_PEEK | MSG_DONTWAIT);

                if (n <= 0 || (size_t) n == sizeof(text) || memchr(text, 0, (size_t) n))
                        return true; /* message_receive() says what is wrong with it */
                if (now_usec() >= deadline)
                        return false;
                (void) nanosleep(&pause, NULL);
        }
}

static void connection_event(Supervisor *s, Connection *c) {
        _cleanup_(message_done) Message m = {};

        /* While a call waits, all that may come is the end. */
        if (c->busy || !message_is_here(c->fd) || message_receive(c->fd, MESSAGE_IN_MAX, LAYERS_MAX + 1, &m) < 0) {
                connection_close(s, c);
                return;
        }
        dispatch(s, c, &m);
}

static void accept_event(Supervisor *s) {
        const struct timeval limit = { .tv_sec = MESSAGE_SECONDS };
        _cleanup_close_ int fd = -EBADF;
        struct ucred peer;

        fd = accept4(s->listening, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
                return;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &(socklen_t){ sizeof(peer) }) < 0 ||
            (!MUTATION(supervisor_peer) && peer.uid != s->berth))
                return;
        if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
                return;
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
                if (s->connections[i].fd < 0) {
                        s->connections[i] = (Connection) { .fd = TAKE_FD(fd) };
                        return;
                }
        supervisor_log("too many connections");
}

static void deadline_event(Supervisor *s) {
        uint64_t now = now_usec();

        for (size_t i = 0; i < PROCESSES_MAX; i++)
                if (s->processes[i].socket >= 0 && s->processes[i].deadline <= now)
                        process_expired(s, &s->processes[i]);
        if (s->deadline > now)
                return;
        if (s->state == STATE_STARTING) {
                launch_failed(s, "Failed", s->error.step[0] ? s->error.step : "start", -ETIMEDOUT);
                return;
        }
        s->failed |= s->state != STATE_ENDED;
        s->done = true; /* no Create has come, or nobody came for init's end */
}

/* What the loop waits for, most urgent first. */
typedef enum Source { SOURCE_SIGNALS, SOURCE_START, SOURCE_CONTROL, SOURCE_LISTENING, SOURCE_PROCESS, SOURCE_CONNECTION } Source;

typedef struct Waiting {
        struct pollfd fds[4 + PROCESSES_MAX + CONNECTIONS_MAX];
        struct { Source source; void *object; } of[4 + PROCESSES_MAX + CONNECTIONS_MAX];
        size_t n;
        uint64_t deadline;
} Waiting;

static void wait_for(Waiting *w, int fd, short events, Source source, void *object) {
        if (fd < 0)
                return;
        w->fds[w->n] = (struct pollfd) { .fd = fd, .events = events };
        w->of[w->n].source = source;
        w->of[w->n++].object = object;
}

static void collect(Supervisor *s, Waiting *w) {
        w->n = 0;
        w->deadline = s->deadline;
        wait_for(w, s->signals, POLLIN, SOURCE_SIGNALS, NULL);
        wait_for(w, s->start, POLLIN, SOURCE_START, NULL);
        wait_for(w, s->control, POLLIN, SOURCE_CONTROL, NULL);
        for (size_t i = 0; i < PROCESSES_MAX; i++) {
                Process *p = &s->processes[i];

                if (p->socket < 0)
                        continue;
                wait_for(w, p->socket, POLLIN, SOURCE_PROCESS, p);
                w->deadline = MIN(w->deadline, p->deadline);
        }
        wait_for(w, s->listening, POLLIN, SOURCE_LISTENING, NULL);
        for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
                Connection *c = &s->connections[i];

                wait_for(w, c->fd, c->busy ? POLLRDHUP : POLLIN, SOURCE_CONNECTION, c);
        }
}

static void children_signalled(Supervisor *s) {
        struct signalfd_siginfo info;

        (void) !read(s->signals, &info, sizeof(info));
        children_event(s);
}

static void handle_source(Supervisor *s, Source source, void *object) {
        switch (source) {

        case SOURCE_SIGNALS:
                children_signalled(s);
                break;
        case SOURCE_START:
                start_event(s);
                break;
        case SOURCE_CONTROL:
                control_event(s);
                break;
        case SOURCE_LISTENING:
                accept_event(s);
                break;
        case SOURCE_PROCESS:
                process_event(s, object);
                break;
        case SOURCE_CONNECTION:
                connection_event(s, object);
                break;
        }
}

static int timeout_of(uint64_t deadline) {
        uint64_t now = now_usec();

        if (deadline == UINT64_MAX)
                return -1;
        return deadline <= now ? 0 : (int) MIN((deadline - now) / 1000 + 1, (uint64_t) 1000000);
}

int server_run(Supervisor *s) {
        static Waiting w;

        while (!s->done) {
                int n;

                collect(s, &w);
                n = poll(w.fds, w.n, timeout_of(w.deadline));
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (now_usec() >= w.deadline)
                        deadline_event(s);
                /* One event a round: a handler may close what a later one is about. */
                for (size_t i = 0; n > 0 && i < w.n && !s->done; i++)
                        if (w.fds[i].revents) {
                                handle_source(s, w.of[i].source, w.of[i].object);
                                break;
                        }
        }
        return s->failed ? -ECANCELED : 0;
}
