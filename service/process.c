/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes on the bus. They are in no list that others see: what somebody runs in a container is not everybody's business. */

#include "process.h"
#include "bus.h"
#include "container.h"
#include "limits.h"
#include "log.h"
#include "manager.h"

#include <signal.h>

int process_path(const Process *p, char **ret) {
        return asprintf(ret, BUS_PATH_PROCESS "/%" PRIu64, p->id) < 0 ? -ENOMEM : 0;
}

Process *process_of_path(Manager *m, const char *path) {
        uint64_t id = bus_path_number(path, BUS_PATH_PROCESS);

        LINK_FOREACH(Process, p, &m->processes, link)
                if (p->id == id)
                        return p;
        return NULL;
}

Process *process_find(Manager *m, uint32_t slot, const char *engine_id) {
        LINK_FOREACH(Process, p, &m->processes, link)
                if (!p->ended && p->slot == slot && streq(p->engine_id, engine_id))
                        return p;
        return NULL;
}

int process_new(Manager *m, uint32_t slot, const char *engine_id, pid_t pid, Caller *starter, Process **ret) {
        Process *p;

        p = calloc(1, sizeof(Process));
        if (!p)
                return -ENOMEM;
        *p = (Process) { .manager = m, .id = ++m->last_process, .slot = slot, .pid = pid, .status = -1,
                         .engine_id = strdup(engine_id), .starter = caller_ref(starter) };
        link_init(&p->link);
        if (!p->engine_id) {
                process_free(p);
                return -ENOMEM;
        }
        link_append(&m->processes, &p->link);
        *ret = p;
        return 0;
}

Process *process_free(Process *p) {
        if (!p)
                return NULL;
        link_remove(&p->link);
        sd_event_source_unref(p->timer);
        caller_unref(p->starter);
        free(p->engine_id);
        free(p);
        return NULL;
}

static void on_killed(void *userdata, const EngineError *error) {
        /* Its end is told by itself; if it cannot be signalled it has ended or its container has. */
}

static void send_signal(Process *p, int signal) {
        int r = engine_process_signal(p->manager->engine, p->slot, p->engine_id, signal, (Done) { on_killed, NULL });

        if (r < 0)
                log_warning("process %" PRIu64 ": cannot send signal %d: %s", p->id, signal, strerror(-r));
}

static int on_timer(sd_event_source *source, uint64_t now, void *userdata) {
        Process *p = userdata;

        if (p->ended) {
                manager_activity(p->manager);
                process_free(p);
                return 0;
        }
        p->timer = sd_event_source_unref(p->timer);
        send_signal(p, SIGKILL);
        return 0;
}

static void arm(Process *p, uint64_t usec) {
        p->timer = sd_event_source_unref(p->timer);
        if (sd_event_add_time_relative(p->manager->event, &p->timer, CLOCK_MONOTONIC, usec, 0, on_timer, p) < 0)
                log_warning("process %" PRIu64 ": cannot set a timer", p->id);
}

void process_hang_up(Process *p) {
        if (p->ended || p->hung_up)
                return;
        p->hung_up = true;
        send_signal(p, SIGHUP);
        arm(p, PROCESS_HANGUP_USEC);
}

/* To the starter alone: a broadcast would tell everybody. */
static int signal_exited(const Process *p) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = process_path(p, &path);
        if (r < 0)
                return r;
        r = sd_bus_message_new_signal(p->manager->bus, &m, path, BUS_INTERFACE_PROCESS, "Exited");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ii", p->status, p->signal);
        if (r < 0)
                return r;
        r = sd_bus_message_set_destination(m, p->starter->name);
        if (r < 0)
                return r;
        return sd_bus_send(p->manager->bus, m, NULL);
}

void process_ended(Process *p, int status, int signal) {
        int r;

        if (p->ended)
                return;
        p->ended = true;
        p->status = status;
        p->signal = signal;
        r = p->starter->gone ? 0 : signal_exited(p);
        if (r < 0)
                log_warning("process %" PRIu64 ": cannot signal its end: %s", p->id, strerror(-r));
        arm(p, p->starter->gone ? 0 : PROCESS_KEPT_USEC);
}

void processes_caller_gone(Caller *caller) {
        LINK_FOREACH(Process, p, &caller->manager->processes, link)
                if (p->starter == caller) {
                        if (p->ended)
                                process_free(p);
                        else
                                process_hang_up(p);
                }
}

void processes_container_stopped(Container *c) {
        LINK_FOREACH(Process, p, &c->manager->processes, link)
                if (p->slot == c->slot)
                        process_ended(p, -1, SIGKILL);
}

unsigned processes_running(Manager *m, uid_t uid) {
        unsigned n = 0;

        LINK_FOREACH(Process, p, &m->processes, link)
                if (!p->ended && p->starter->uid == uid)
                        n++;
        return n;
}
