/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Ends and signals: who has ended and who is told, Halt, GetState.
 *
 * Runs as S. A process is signalled by its pidfd, never by a number that it could have left to another. */

#include "exec.h"

#include "mutation.h"
#include "sys.h"
#include "text.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

void process_ended(Process *p, int status) {
        p->ended = true;
        p->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        p->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        p->terminal = close_fd(p->terminal);
}

static json_t *end_pack(const char *process, int status, int signal) {
        return json_pack("{s:s, s:i, s:i}", "process", process, "status", status, "signal", signal);
}

/* To everybody who watches; whether there was anybody. */
static bool tell(Supervisor *s, const char *process, int status, int signal, bool last) {
        bool told = false;

        for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
                Connection *c = &s->connections[i];

                if (c->fd < 0 || !c->watching)
                        continue;
                if (last)
                        reply(s, c, end_pack(process, status, signal), NULL, 0);
                else
                        reply_continues(s, c, end_pack(process, status, signal));
                told |= c->fd >= 0;
        }
        return told;
}

/* The ends in order, init's last: then there is nothing left to do. */
void tell_ends(Supervisor *s) {
        for (size_t i = 0; i < PROCESSES_MAX; i++) {
                Process *p = &s->processes[i];
                char id[16];

                if (p->id == 0 || !p->ended || p->socket >= 0)
                        continue;
                (void) snprintf(id, sizeof(id), "%u", p->id);
                if (p->failed || tell(s, id, p->status, p->signal, /* last= */ false))
                        process_free(p);
        }
        if (s->init_ended && s->state == STATE_ENDED && tell(s, "", s->init_status, s->init_signal, /* last= */ true))
                s->done = true;
}

static void init_ended(Supervisor *s, int status) {
        s->init_ended = true;
        s->init_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        s->init_signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        for (int i = 0; s->start >= 0 && i < 4; i++) /* what it said last */
                start_event(s);
        if (s->control >= 0) {
                control_event(s);
                return;
        }
        if (s->done)
                return;
        if (s->state == STATE_CREATED) {
                s->failed = s->done = true; /* died while it waited */
                return;
        }
        s->state = STATE_ENDED;
        s->deadline = now_usec() + LINGER_SECONDS * 1000000ULL;
}

static Process *process_by_pid(Supervisor *s, pid_t pid, bool joiner) {
        for (size_t i = 0; i < PROCESSES_MAX; i++)
                if (s->processes[i].id != 0 && (joiner ? s->processes[i].joiner : s->processes[i].pid) == pid &&
                    (joiner || !s->processes[i].ended))
                        return &s->processes[i];
        return NULL;
}

/* Is there a program whose number we do not know yet? Its joiner may have been reaped before its word was read. */
static bool is_joining(const Supervisor *s) {
        for (size_t i = 0; i < PROCESSES_MAX; i++) {
                const Process *p = &s->processes[i];

                if (p->id != 0 && (p->joiner > 0 || (p->socket >= 0 && p->pid <= 0)))
                        return true;
        }
        return false;
}

static void child_ended(Supervisor *s, pid_t pid, int status) {
        Process *p;

        if (pid == s->init) {
                init_ended(s, status);
                return;
        }
        p = process_by_pid(s, pid, /* joiner= */ false);
        if (p) {
                process_ended(p, status);
                return;
        }
        p = process_by_pid(s, pid, /* joiner= */ true);
        if (p) {
                p->joiner = 0;
                if (p->failed && (p->pid <= 0 || p->ended))
                        process_free(p);
                return;
        }
        /* Started by a joiner that has not said so yet. */
        if (s->n_strangers < ELEMENTSOF(s->strangers)) {
                s->strangers[s->n_strangers].pid = pid;
                s->strangers[s->n_strangers++].status = status;
        }
}

void children_event(Supervisor *s) {
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, __WALL | WNOHANG)) > 0)
                child_ended(s, pid, status);
        /* What those that are dead have said is complete now. */
        for (size_t i = 0; i < PROCESSES_MAX; i++) {
                Process *p = &s->processes[i];

                for (int k = 0; p->socket >= 0 && p->ended && k < 8; k++)
                        process_event(s, p);
        }
        if (!is_joining(s))
                s->n_strangers = 0;
        tell_ends(s);
}

void handle_watch(Supervisor *s, Connection *c, json_t *parameters, Message *m) {
        static const Field none[] = { {} };

        if (request_decode(s, c, parameters, none, m, NULL) < 0)
                return;
        c->watching = true;
        tell_ends(s);
}

static const char *state_name(const Supervisor *s) {
        if (s->stopping || s->state == STATE_ENDED)
                return "stopping";
        return s->state == STATE_RUNNING ? "running" : "created";
}

static json_t *processes_pack(const Supervisor *s) {
        json_t *list = json_array();

        for (size_t i = 0; list && i < PROCESSES_MAX; i++) {
                const Process *p = &s->processes[i];
                char id[16];

                if (p->id == 0 || p->ended || p->failed || p->socket >= 0)
                        continue;
                (void) snprintf(id, sizeof(id), "%u", p->id);
                (void) json_array_append_new(list, json_pack("{s:s, s:i}", "process", id, "pid", (int) p->pid));
        }
        return list;
}

void handle_get_state(Supervisor *s, Connection *c, json_t *parameters, Message *m) {
        static const Field none[] = { {} };

        if (request_decode(s, c, parameters, none, m, NULL) < 0)
                return;
        if (s->state == STATE_NEW) {
                reply_error(s, c, "WrongState", "create", -ESRCH);
                return;
        }
        reply(s, c,
              json_pack("{s:s, s:s, s:s, s:b, s:i, s:i, s:i, s:i, s:o}", "state", state_name(s), "name", s->plan.name,
                        "creationID", s->plan.creation_id, "worker", s->worker, "pid", (int) s->init, "pidFileDescriptor", 0,
                        "userNamespaceFileDescriptor", 1, "networkNamespaceFileDescriptor", 2, "processes",
                        processes_pack(s)),
              (const int[]) { s->init_pidfd, s->userns, s->netns }, 3);
}

static void answer_signal(Supervisor *s, Connection *c, int pidfd, int signal, json_t *parameters) {
        int r;

        r = sys_pidfd_send_signal(pidfd, signal);
        if (r < 0) {
                json_decref(parameters);
                reply_error(s, c, r == -ESRCH ? "NoSuchProcess" : "Failed", "signal", r);
        } else
                reply(s, c, parameters, NULL, 0);
}

static bool init_is_running(Supervisor *s, Connection *c) {
        if (s->state == STATE_RUNNING && !s->worker && !s->init_ended)
                return true;
        reply_error(s, c, "WrongState", "signal", -ESRCH);
        return false;
}

void handle_signal(Supervisor *s, Connection *c, json_t *parameters, Message *m) {
        static const Field fields[] = {
                { "signal", FIELD_UNSIGNED, 0, 0, 1, 64 },
                {},
        };
        uint64_t signal = 0;

        if (init_is_running(s, c) && request_decode(s, c, parameters, fields, m, &signal) >= 0)
                answer_signal(s, c, s->init_pidfd, (int) signal, NULL);
}

void handle_halt(Supervisor *s, Connection *c, json_t *parameters, Message *m) {
        static const Field none[] = { {} };
        int signal, r;

        if (!init_is_running(s, c) || request_decode(s, c, parameters, none, m, NULL) < 0)
                return;
        r = halt_signal_of(s->init, &signal);
        if (r < 0) {
                reply_error(s, c, "Failed", "init's signals", r);
                return;
        }
        s->stopping = true;
        answer_signal(s, c, s->init_pidfd, signal, json_pack("{s:i}", "signal", signal));
}

static Process *process_by_name(Supervisor *s, Connection *c, const char *name) {
        uint64_t id;

        if (span_to_unsigned((Span) { name, strlen(name) }, UINT32_MAX, &id) >= 0 && id > 0)
                for (size_t i = 0; i < PROCESSES_MAX; i++) {
                        Process *p = &s->processes[i];

                        if (p->id == id && !p->ended && !p->failed && p->socket < 0)
                                return p;
                }
        reply_error(s, c, "NoSuchProcess", "process", -ESRCH);
        return NULL;
}

void handle_signal_process(Supervisor *s, Connection *c, json_t *parameters, Message *m) {
        struct {
                const char *process;
                uint64_t signal;
        } call = {};
        static const Field fields[] = {
                { "process", FIELD_STRING, 0, 0, 1, 16 },
                { "signal", FIELD_UNSIGNED, offsetof(typeof(call), signal), 0, 1, 64 },
                {},
        };
        Process *p;

        if (request_decode(s, c, parameters, fields, m, &call) < 0)
                return;
        p = process_by_name(s, c, call.process);
        if (p)
                answer_signal(s, c, p->pidfd, (int) call.signal, NULL);
}

void handle_resize_process(Supervisor *s, Connection *c, json_t *parameters, Message *m) {
        struct {
                const char *process;
                uint64_t rows, columns;
        } call = {};
        static const Field fields[] = {
                { "process", FIELD_STRING, 0, 0, 1, 16 },
                { "rows", FIELD_UNSIGNED, offsetof(typeof(call), rows), 0, 1, 65535 },
                { "columns", FIELD_UNSIGNED, offsetof(typeof(call), columns), 0, 1, 65535 },
                {},
        };
        struct winsize size;
        Process *p;

        if (request_decode(s, c, parameters, fields, m, &call) < 0)
                return;
        p = process_by_name(s, c, call.process);
        if (!p)
                return;
        size = (struct winsize) { .ws_row = (unsigned short) call.rows, .ws_col = (unsigned short) call.columns };
        if (p->terminal < 0)
                reply_error(s, c, "BadDescriptor", "terminal", -ENOTTY);
        else if (ioctl(p->terminal, TIOCSWINSZ, &size) < 0)
                reply_error(s, c, "Failed", "terminal", -errno);
        else
                reply(s, c, NULL, NULL, 0);
}
