/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The manager: what there is, what it is called, and when to leave. */

#include "manager.h"
#include "bus.h"
#include "bus-error.h"
#include "container.h"
#include "image.h"
#include "job.h"
#include "log.h"
#include "caller.h"
#include "permissions.h"
#include "process.h"
#include "bus-call.h"

#include <stdio.h>
#include <sys/file.h>

#define LEAVE_USEC (2 * UINT64_C(1000000)) /* what has begun may be answered for so long once we were told to end */
#define LOCK_TRIES 400U                    /* of 50 ms: a predecessor that is on its way out */

static void on_container_stopped(void *userdata, uint32_t slot, int status, int signal) {
        Manager *m = userdata;
        Container *c = slot < SLOTS_MAX ? m->by_slot[slot] : NULL;

        if (c)
                container_on_stopped(c, status, signal);
        manager_activity(m);
}

static void on_process_exited(void *userdata, uint32_t slot, const char *process, int status, int signal) {
        Manager *m = userdata;
        Container *c = slot < SLOTS_MAX ? m->by_slot[slot] : NULL;

        if (c)
                container_on_process_exited(c, process, status, signal);
}

static void on_idle(void *userdata) {
        manager_activity(userdata);
}

static const EngineCallbacks engine_callbacks = {
        .loaded = manager_on_loaded,
        .container_stopped = on_container_stopped,
        .process_exited = on_process_exited,
        .idle = on_idle,
};

static void on_polkit_changed(void *userdata) {
        Manager *m = userdata;

        LINK_FOREACH(Caller, p, &m->callers, link)
                hints_forget(p);
}

int manager_new(sd_event *event, sd_bus *bus, uint64_t idle_exit, Manager **ret) {
        Manager *m;
        int r;

        m = calloc(1, sizeof(Manager));
        if (!m)
                return -ENOMEM;
        *m = (Manager) { .event = sd_event_ref(event), .bus = sd_bus_ref(bus), .root = -EBADF, .idle_exit = idle_exit };
        link_init(&m->images);
        link_init(&m->jobs);
        link_init(&m->processes);
        link_init(&m->requests);
        link_init(&m->callers);
        r = engine_new(event, &engine_callbacks, m, &m->engine);
        if (r < 0) {
                manager_free(m);
                return r;
        }
        *ret = m;
        return 0;
}

Manager *manager_free(Manager *m) {
        if (!m)
                return NULL;
        m->engine = engine_free(m->engine); /* its callbacks are over */
        while (!link_is_alone(&m->requests))
                bus_call_free(LINK_ENTRY(m->requests.next, BusCall, link));
        while (!link_is_alone(&m->jobs))
                job_free(LINK_ENTRY(m->jobs.next, Job, link));
        while (!link_is_alone(&m->processes))
                process_free(LINK_ENTRY(m->processes.next, Process, link));
        while (!link_is_alone(&m->images))
                image_free(LINK_ENTRY(m->images.next, Image, link));
        for (size_t i = 0; i < m->n_containers; i++)
                container_free(m->containers[i]);
        free(m->containers);
        polkit_free(m->polkit);
        while (!link_is_alone(&m->callers))
                caller_unref(LINK_ENTRY(m->callers.next, Caller, link));
        sd_event_source_unref(m->retry);
        sd_event_source_unref(m->idle);
        sd_bus_unref(m->bus);
        sd_event_unref(m->event);
        close_fd(m->root);
        free(m);
        return NULL;
}

Manager *manager_of_bus(sd_bus *bus) {
        return sd_bus_slot_get_userdata(sd_bus_get_current_slot(bus));
}

/* One berthd at a time: a successor that the bus starts while we leave waits here. */
static int lock_root(int root) {
        for (unsigned i = 0; i < LOCK_TRIES; i++) {
                if (flock(root, LOCK_EX | LOCK_NB) >= 0)
                        return 0;
                if (errno != EWOULDBLOCK)
                        return -errno;
                (void) usleep(50 * 1000);
        }
        return -EBUSY;
}

int manager_start(Manager *m) {
        int r;

        r = state_root_open(&m->root);
        if (r < 0) {
                log_error("cannot open " STATE_ROOT ": %s", strerror(-r));
                return r;
        }
        r = lock_root(m->root);
        if (r < 0) {
                log_error("cannot lock " STATE_ROOT ": %s", r == -EBUSY ? "another berthd runs" : strerror(-r));
                return r;
        }
        r = polkit_new(m->bus, on_polkit_changed, m, &m->polkit);
        if (r >= 0)
                r = callers_watch(m);
        if (r >= 0)
                r = engine_load(m->engine);
        if (r < 0)
                log_error("cannot begin: %s", strerror(-r));
        return r;
}

unsigned manager_limit(uid_t uid, unsigned limit) {
        return uid == 0 ? limit * LIMIT_ROOT_FACTOR : limit;
}

/* ---- containers by name and slot ---- */

static size_t position(const Manager *m, const char *name, bool *ret_found) {
        size_t low = 0, high = m->n_containers;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = strcmp(m->containers[middle]->name, name);

                if (order == 0) {
                        *ret_found = true;
                        return middle;
                }
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret_found = false;
        return low;
}

Container *manager_container(Manager *m, const char *name) {
        bool found;
        size_t i = position(m, name, &found);

        return found ? m->containers[i] : NULL;
}

static void insert(Manager *m, Container *c) {
        bool found;
        size_t i = position(m, c->name, &found);

        memmove(&m->containers[i + 1], &m->containers[i], (m->n_containers - i) * sizeof(Container *));
        m->containers[i] = c;
        m->n_containers++;
}

static void take_out(Manager *m, const Container *c) {
        bool found;
        size_t i = position(m, c->name, &found);

        m->n_containers--;
        memmove(&m->containers[i], &m->containers[i + 1], (m->n_containers - i) * sizeof(Container *));
}

int manager_add_container(Manager *m, Container *c) {
        Container **grown;

        if (c->slot >= SLOTS_MAX || m->by_slot[c->slot] || manager_container(m, c->name))
                return -EEXIST;
        grown = reallocarray(m->containers, m->n_containers + 1, sizeof(Container *));
        if (!grown)
                return -ENOMEM;
        m->containers = grown;
        insert(m, c);
        m->by_slot[c->slot] = c;
        return 0;
}

void manager_drop_container(Manager *m, Container *c) {
        _cleanup_free_ char *image = TAKE_PTR(c->image);

        take_out(m, c);
        m->by_slot[c->slot] = NULL;
        container_free(c);
        if (image)
                image_usage_changed(m, image);
}

void manager_rename_container(Manager *m, Container *c, char *name) {
        take_out(m, c);
        free(c->name);
        c->name = name;
        insert(m, c);
}

bool manager_name_taken(Manager *m, const char *name) {
        if (manager_container(m, name))
                return true;
        for (size_t i = 0; i < m->n_containers; i++) {
                const Container *c = m->containers[i];

                if (c->busy && c->new_name && streq(c->new_name, name) && c->names_container)
                        return true;
        }
        LINK_FOREACH(Job, j, &m->jobs, link)
                if (!j->ended && j->kind == JOB_CREATE && streq(j->name, name))
                        return true;
        return false;
}

bool manager_image_name_taken(Manager *m, const char *name) {
        if (image_find(m, name))
                return true;
        LINK_FOREACH(Job, j, &m->jobs, link)
                if (!j->ended && j->kind == JOB_IMPORT && streq(j->name, name))
                        return true;
        return false;
}

static unsigned containers_of(Manager *m, uid_t owner) {
        unsigned n = 0;

        for (size_t i = 0; i < m->n_containers; i++)
                n += (m->containers[i]->owner == owner) + (m->containers[i]->clones && m->containers[i]->new_owner == owner);
        LINK_FOREACH(Job, j, &m->jobs, link)
                if (!j->ended && j->kind == JOB_CREATE && j->uid == owner)
                        n++;
        return n;
}

int manager_check_new_container(Manager *m, const char *name, uid_t owner, sd_bus_error *error) {
        if (manager_name_taken(m, name))
                return sd_bus_error_setf(error, ERROR_ALREADY_EXISTS, "There is a container '%s' already.", name);
        if (owner != 0 && containers_of(m, owner) >= LIMIT_CONTAINERS)
                return sd_bus_error_setf(error, ERROR_LIMIT_REACHED,
                                         "One user may have %u containers, and you have that many: destroy one.",
                                         LIMIT_CONTAINERS);
        return 0;
}

static void on_undone(void *userdata, const EngineError *error) {
        if (error)
                log_error("cannot take back a container whose state could not be written: %s",
                          error->message ? error->message : error->error);
}

int manager_adopt(Manager *m, const EngineContainer *e, Container **ret) {
        Container *c = NULL;
        int r;

        r = container_new(m, e, &c);
        if (r < 0)
                goto fail;
        (void) snprintf(c->state_file.creation, sizeof(c->state_file.creation), "%s", c->creation);
        r = state_commit(m->root, c->name, &c->state_file);
        if (r < 0)
                goto fail;
        r = config_read(m->root, c->name, &c->config, /* reterr_reason= */ NULL);
        if (r < 0)
                goto fail;
        r = manager_add_container(m, c);
        if (r < 0)
                goto fail;
        container_announce(c, true);
        image_usage_changed(m, c->image);
        *ret = c;
        return 0;
fail:
        log_error("%s: cannot write its state: %s", e->name, strerror(-r));
        container_free(c);
        (void) state_remove(m->root, e->name, FOLDER_NEW);
        (void) state_remove(m->root, e->name, FOLDER_CONTAINER);
        (void) engine_destroy(m->engine, e->slot, true, (Done) { on_undone, m });
        return r;
}

/* ---- leaving ---- */

static bool is_idle(Manager *m) {
        return link_is_alone(&m->requests) && jobs_running(m) == 0 && link_is_alone(&m->processes) && m->cleanups == 0 &&
               engine_is_idle(m->engine);
}

static int on_idle_timer(sd_event_source *source, uint64_t now, void *userdata) {
        Manager *m = userdata;

        m->idle = sd_event_source_unref(m->idle);
        if (m->leaving)
                return sd_event_exit(m->event, 0);
        if (is_idle(m))
                manager_leave(m);
        else
                manager_activity(m);
        return 0;
}

static void arm_idle(Manager *m, uint64_t usec) {
        if (m->idle) {
                (void) sd_event_source_set_time_relative(m->idle, usec);
                (void) sd_event_source_set_enabled(m->idle, SD_EVENT_ONESHOT);
                return;
        }
        (void) sd_event_add_time_relative(m->event, &m->idle, CLOCK_MONOTONIC, usec, 0, on_idle_timer, m);
}

void manager_activity(Manager *m) {
        if (m->leaving) {
                if (m->released && link_is_alone(&m->requests))
                        (void) sd_event_exit(m->event, 0);
                return;
        }
        if (m->idle_exit != UINT64_MAX && m->on_bus)
                arm_idle(m, m->idle_exit);
}

/* Whatever was sent to the name before it was given back has been handled when this comes: messages keep their order. */
static int on_released(sd_bus_message *message, void *userdata, sd_bus_error *error) {
        Manager *m = userdata;

        m->released = true;
        manager_activity(m);
        return 0;
}

void manager_leave(Manager *m) {
        if (m->leaving)
                return;
        m->leaving = true;
        (void) sd_notify(0, "STOPPING=1");
        arm_idle(m, LEAVE_USEC);
        if (!m->on_bus || sd_bus_release_name_async(m->bus, NULL, BUS_NAME, on_released, m) < 0)
                (void) sd_event_exit(m->event, 0);
}
