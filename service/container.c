/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The container object: its states, its paths, what is signalled. */

#include "container.h"
#include "bus.h"
#include "log.h"
#include "manager.h"
#include "process.h"
#include "bus-call.h"

#include <assert.h>

static const char *const state_names[_CONTAINER_STATE_MAX] = {
        [CONTAINER_STOPPED] = "stopped",   [CONTAINER_STARTING] = "starting", [CONTAINER_RUNNING] = "running",
        [CONTAINER_STOPPING] = "stopping", [CONTAINER_ABORTING] = "aborting", [CONTAINER_FREEZING] = "freezing",
        [CONTAINER_FROZEN] = "frozen",     [CONTAINER_THAWED] = "thawed",
};

#define TO(s) (1U << CONTAINER_##s)

/* An end may come at any time: every state leads to stopped. */
static const unsigned followers[_CONTAINER_STATE_MAX] = {
        [CONTAINER_STOPPED] = TO(STARTING) | TO(RUNNING) /* found running when the service started */,
        [CONTAINER_STARTING] = TO(RUNNING) | TO(ABORTING) | TO(STOPPED),
        [CONTAINER_RUNNING] = TO(STOPPING) | TO(ABORTING) | TO(FREEZING) | TO(STOPPED),
        [CONTAINER_STOPPING] = TO(STOPPED) | TO(RUNNING) /* the stop was cancelled or failed */,
        [CONTAINER_ABORTING] = TO(STOPPED) | TO(RUNNING),
        [CONTAINER_FREEZING] = TO(FROZEN) | TO(RUNNING) | TO(STOPPED),
        [CONTAINER_FROZEN] = TO(THAWED) | TO(STOPPING) | TO(ABORTING) | TO(STOPPED),
        [CONTAINER_THAWED] = TO(RUNNING) | TO(STOPPED),
};

const char *container_state_to_string(ContainerState s) {
        return s >= 0 && s < _CONTAINER_STATE_MAX ? state_names[s] : NULL;
}

bool container_state_may_follow(ContainerState from, ContainerState to) {
        return (followers[from] & 1U << to) != 0;
}

int container_new(Manager *m, const EngineContainer *e, Container **ret) {
        Container *c;

        c = calloc(1, sizeof(Container));
        if (!c)
                return -ENOMEM;
        *c = (Container) {
                .manager = m,
                .slot = e->slot,
                .name = strdup(e->name),
                .creation = strdup(e->creation_id),
                .owner = e->owner,
                .created = e->created,
                .image = strdup(e->image ?: ""),
                .range_base = e->range_base,
                .range_size = e->range_size,
                .state = e->running ? CONTAINER_RUNNING : CONTAINER_STOPPED,
                .init_pid = e->running ? e->init_pid : 0,
        };
        link_init(&c->waiting_for_stop);
        if (!c->name || !c->creation || !c->image)
                goto fail;
        for (size_t i = 0; i < e->n_snapshots; i++)
                if (container_add_snapshot(c, e->snapshots[i].name, e->snapshots[i].created) < 0)
                        goto fail;
        *ret = c;
        return 0;
fail:
        container_free(c);
        return -ENOMEM;
}

Container *container_free(Container *c) {
        if (!c)
                return NULL;
        for (size_t i = 0; i < c->n_snapshots; i++)
                free(c->snapshots[i].name);
        free(c->snapshots);
        free(c->name);
        free(c->creation);
        free(c->image);
        free(c->new_name);
        free(c->comment);
        free(c->config_error);
        config_done(&c->config);
        state_done(&c->state_file);
        free(c);
        return NULL;
}

int container_path(const Container *c, char **ret) {
        return sd_bus_path_encode(BUS_PATH_CONTAINER, c->name, ret);
}

void container_announce(const Container *c, bool added) {
        _cleanup_free_ char *path = NULL;

        if (container_path(c, &path) >= 0)
                bus_announce_path(c->manager, path, added);
}

Container *container_of_path(Manager *m, const char *path) {
        _cleanup_free_ char *name = NULL;

        if (sd_bus_path_decode(path, BUS_PATH_CONTAINER, &name) <= 0)
                return NULL;
        return manager_container(m, name);
}

Container *container_of_snapshot_path(Manager *m, const char *path, char **ret_snapshot) {
        _cleanup_free_ char *name = NULL, *snapshot = NULL;
        Container *c;

        if (sd_bus_path_decode_many(path, BUS_PATH_CONTAINER "/%/snapshot/%", &name, &snapshot) <= 0)
                return NULL;
        c = manager_container(m, name);
        if (!c || !name_is_valid(snapshot))
                return NULL;
        if (ret_snapshot)
                *ret_snapshot = TAKE_PTR(snapshot);
        return c;
}

int container_snapshot_path(const Container *c, const char *snapshot, char **ret) {
        return sd_bus_path_encode_many(ret, BUS_PATH_CONTAINER "/%/snapshot/%", c->name, snapshot);
}

const EngineSnapshot *container_snapshot(const Container *c, const char *name) {
        for (size_t i = 0; i < c->n_snapshots; i++)
                if (streq(c->snapshots[i].name, name))
                        return &c->snapshots[i];
        return NULL;
}

int container_add_snapshot(Container *c, const char *name, uint64_t created) {
        EngineSnapshot *grown;
        size_t at = c->n_snapshots;
        char *copy;

        copy = strdup(name);
        grown = copy ? reallocarray(c->snapshots, c->n_snapshots + 1, sizeof(EngineSnapshot)) : NULL;
        if (!grown) {
                free(copy);
                return -ENOMEM;
        }
        c->snapshots = grown;
        while (at > 0 && grown[at - 1].created > created)
                at--;
        memmove(&grown[at + 1], &grown[at], (c->n_snapshots - at) * sizeof(EngineSnapshot));
        grown[at] = (EngineSnapshot) { copy, created };
        c->n_snapshots++;
        return 0;
}

void container_drop_snapshot(Container *c, const char *name) {
        for (size_t i = 0; i < c->n_snapshots; i++)
                if (streq(c->snapshots[i].name, name)) {
                        free(c->snapshots[i].name);
                        c->n_snapshots--;
                        memmove(&c->snapshots[i], &c->snapshots[i + 1], (c->n_snapshots - i) * sizeof(EngineSnapshot));
                        return;
                }
}

void container_changed(Container *c, const char *property) {
        _cleanup_free_ char *path = NULL;

        if (container_path(c, &path) < 0 ||
            sd_bus_emit_properties_changed(c->manager->bus, path, BUS_INTERFACE_CONTAINER, property, NULL) < 0)
                log_warning("%s: cannot signal that %s has changed", c->name, property);
}

void container_set_state(Container *c, ContainerState state, pid_t init_pid) {
        _cleanup_free_ char *path = NULL;
        bool pid_changed = c->init_pid != init_pid;

        if (c->state == state && !pid_changed)
                return;
        assert(c->state == state || container_state_may_follow(c->state, state));
        c->state = state;
        c->init_pid = init_pid;
        if (container_path(c, &path) < 0 ||
            sd_bus_emit_properties_changed(c->manager->bus, path, BUS_INTERFACE_CONTAINER, "State",
                                           pid_changed ? "InitPID" : NULL, NULL) < 0)
                log_warning("%s: cannot signal its state", c->name);
}

int container_begin(Container *c, BusCall *q, sd_bus_error *error) {
        if (c->busy)
                return sd_bus_error_setf(error, ERROR_BUSY, "Something else is being done to container '%s': try again.",
                                         c->name);
        c->busy = true;
        c->request = q;
        c->ended = c->stop_done = c->stop_killed = false;
        return 0;
}

BusCall *container_end(Container *c) {
        BusCall *q = c->request;

        c->busy = false;
        c->request = NULL;
        c->job = NULL;
        c->clones = c->names_container = false;
        free(TAKE_PTR(c->new_name));
        free(TAKE_PTR(c->comment));
        return q;
}

int container_check_stopped(const Container *c, sd_bus_error *error) {
        if (c->state != CONTAINER_STOPPED)
                return sd_bus_error_setf(error, ERROR_RUNNING, "Container '%s' is %s: stop it first.", c->name,
                                         container_state_to_string(c->state));
        return 0;
}

int container_check_running(const Container *c, sd_bus_error *error) {
        if (c->state != CONTAINER_RUNNING)
                return sd_bus_error_setf(error, ERROR_NOT_RUNNING, "Container '%s' is %s: start it first.", c->name,
                                         container_state_to_string(c->state));
        return 0;
}
