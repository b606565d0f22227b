/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The lives of supervisors as berthd sees them. What a supervisor says is hostile input: it may have been taken over by its
 * container. The most it can do by lying is to be killed, or to be believed about its own container. */

#include "life.h"
#include "decode.h"
#include "errors.h"
#include "mutation.h"
#include "operation-stop.h"

#include <signal.h>
#include <stdio.h>

#define PROCESSES_MAX 1024U

int life_new(Engine *e, uint32_t slot, const char *folder, Life **ret) {
        Life *l;
        int r;

        l = calloc(1, sizeof(Life));
        if (!l)
                return -ENOMEM;
        l->engine = e;
        l->serial = ++e->serial;
        l->listening = l->namespace[0] = l->namespace[1] = -EBADF;
        l->status = -1;
        TAILQ_INIT(&l->processes);
        TAILQ_INIT(&l->waiting);
        l->folder = strdup(folder);
        r = l->folder ? slot_by_number(&e->table, slot, &l->slot) : -ENOMEM;
        if (r < 0) {
                life_free(l);
                return r;
        }

        *ret = l;
        return 0;
}

static void process_free(Life *l, Process *p) {
        TAILQ_REMOVE(&l->processes, p, list);
        l->n_processes--;
        free(p);
}

Life *life_free(Life *l) {
        if (!l)
                return NULL;

        request_free(l->watch);
        request_free(l->end_request);
        warm_free(l->warm);
        wire_free(l->wire);
        sd_event_source_disable_unref(l->end_timer);
        closep(&l->listening);
        closep(&l->namespace[0]);
        closep(&l->namespace[1]);
        while (!TAILQ_EMPTY(&l->processes))
                process_free(l, TAILQ_FIRST(&l->processes));
        if (l->plan)
                json_decref(l->plan);
        free(l->folder);
        free(l);
        return NULL;
}

Wire *life_wire(Life *l) {
        return l ? l->wire : NULL;
}

void life_path(const char *folder, char ret[static LIFE_PATH_MAX]) {
        (void) snprintf(ret, LIFE_PATH_MAX, RUN_CONTAINERS "/%.63s/supervisor", folder);
}

void life_folder_of_slot(uint32_t slot, char ret[static 24]) {
        (void) snprintf(ret, 24, ".slot-%" PRIu32, slot);
}

bool life_owns(const Life *l, int userns) {
        Slot owner;

        if (MUTATION(engine_namespace))
                return true;
        return slot_of_userns(&l->engine->table, &l->engine->userns, userns, &owner) >= 0 &&
               owner.number == l->slot.number;
}

static Process *process_find(Life *l, const char *name) {
        Process *p;

        TAILQ_FOREACH(p, &l->processes, list)
                if (streq(p->name, name))
                        return p;

        return NULL;
}

static Process *process_add(Life *l, const char *name) {
        Process *p;

        if (l->n_processes >= PROCESSES_MAX)
                return NULL;
        p = calloc(1, sizeof(Process));
        if (!p)
                return NULL;
        (void) snprintf(p->name, sizeof(p->name), "%s", name);
        TAILQ_INSERT_TAIL(&l->processes, p, list);
        l->n_processes++;
        return p;
}

static void process_tell(Life *l, Process *p) {
        Engine *e = l->engine;
        uint32_t slot = l->slot.number;
        Process copy = *p;

        process_free(l, p);
        e->callbacks.process_exited(e->userdata, slot, copy.name, copy.status, copy.signal);
}

void life_add_process(Life *l, const char *name) {
        Process *p = process_find(l, name);

        if (!p)
                p = process_add(l, name);
        if (!p)
                return;
        p->known = true;
        if (p->ended)
                process_tell(l, p);
}

static void process_ended(Life *l, const char *name, int status, int signal) {
        Process *p = process_find(l, name);

        /* Its end may be told on this connection before its start is told on the other. */
        if (!p && l->asking > 0 && l->n_processes < PROCESSES_MAX)
                p = process_add(l, name);
        if (!p || p->ended)
                return;
        p->ended = true;
        p->status = status;
        p->signal = signal;
        if (p->known)
                process_tell(l, p);
}

static void on_over(void *userdata, int result) {
        Life *l = userdata;
        Engine *e = l->engine;
        uint32_t slot = l->slot.number;
        Operation *stop = l->stop;
        int status = l->reported ? l->status : -1, signal = l->reported ? l->signal : 0;

        while (!TAILQ_EMPTY(&l->waiting)) {
                Operation *o = TAILQ_FIRST(&l->waiting);

                TAILQ_REMOVE(&l->waiting, o, queue);
                operation_refuse(o, "NotRunning", "it has stopped");
        }
        while (!TAILQ_EMPTY(&l->processes)) {
                Process *p = TAILQ_FIRST(&l->processes);

                if (!p->ended) { /* all that ran was killed */
                        p->status = -1;
                        p->signal = SIGKILL;
                }
                if (p->known)
                        process_tell(l, p);
                else
                        process_free(l, p);
        }
        e->slots[slot].life = NULL;
        e->lives--;
        life_free(l);

        e->callbacks.container_stopped(e->userdata, slot, status, signal);
        if (stop)
                stop_over(stop);
        engine_look_idle(e);
}

static void life_over(Life *l, bool kill) {
        life_end(l, kill, on_over, l);
}

void life_kill(Life *l) {
        if (l->state == LIFE_RUNNING)
                life_over(l, true);
}

typedef struct WatchReply {
        const char *process;
        int64_t status, signal;
} WatchReply;

static void on_watch(void *userdata, unsigned tag, Answer *a) {
        static const Field fields[] = {
                { "process", FIELD_STRING, offsetof(WatchReply, process), 0, 0, PROCESS_NAME_MAX },
                { "status", FIELD_INTEGER, offsetof(WatchReply, status), 0, (uint64_t) -1, 255 },
                { "signal", FIELD_INTEGER, offsetof(WatchReply, signal), 0, 0, 64 },
                {},
        };
        Life *l = userdata;
        WatchReply w = {};
        const char *field;
        bool last = !a->reply->continues;

        if (last)
                l->watch = NULL;
        if (a->error || decode(a->reply->parameters, fields, a->reply->message, &w, &field) < 0) {
                engine_log("slot %" PRIu32 ": the supervisor of %s is lost (%s)", l->slot.number, l->folder,
                           a->error ?: "Nonsense");
                return life_over(l, true);
        }

        if (*w.process)
                process_ended(l, w.process, (int) w.status, (int) w.signal);
        else {
                l->reported = true;
                l->status = (int) w.status;
                l->signal = (int) w.signal;
        }
        if (last)
                life_over(l, !l->reported);
}

void life_run(Life *l) {
        Engine *e = l->engine;
        RequestTarget target = { .wire = l->wire };

        l->state = LIFE_RUNNING;
        l->namespace[0] = close_fd(l->namespace[0]);
        e->slots[l->slot.number].life = l;
        e->lives++;
        if (request_new(e, SUPERVISOR_WATCH, &target, NULL, NULL, 0, on_watch, l, 0, &l->watch) < 0)
                life_over(l, true);
}
