/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A container as the service knows it. Its slot is its identity towards the engine, its creation ID its identity over time (a
 * name may be given to another), its name what people and the bus see. */

#include "bus-error.h"
#include "config.h"
#include "engine.h"
#include "list.h"
#include "state-file.h"

typedef struct Manager Manager;
typedef struct BusCall BusCall;
typedef struct Job Job;

/* LXC's states, in its order. */
typedef enum ContainerState {
        CONTAINER_STOPPED,
        CONTAINER_STARTING,
        CONTAINER_RUNNING,
        CONTAINER_STOPPING,
        CONTAINER_ABORTING,
        CONTAINER_FREEZING,
        CONTAINER_FROZEN,
        CONTAINER_THAWED,
        _CONTAINER_STATE_MAX,
        _CONTAINER_STATE_INVALID = -EINVAL,
} ContainerState;

const char *container_state_to_string(ContainerState s);
bool container_state_may_follow(ContainerState from, ContainerState to);

typedef struct Container {
        Manager *manager;
        uint32_t slot;
        char *name;
        char *creation;
        uid_t owner;
        uint64_t created;
        char *image;
        uid_t range_base;
        uint32_t range_size;
        EngineSnapshot *snapshots; /* oldest first */
        size_t n_snapshots;
        Config config;
        char *config_error; /* why the file could not be read; it is not started then */
        State state_file;

        ContainerState state;
        pid_t init_pid;

        /* The one changing operation on it. */
        bool busy;
        BusCall *request;     /* waits for it; NULL if a job does, or nobody */
        Job *job;
        char *new_name;       /* of rename, clone, snapshot */
        uid_t new_owner;      /* of clone */
        char *comment;        /* of snapshot */
        bool clones;          /* a container is being made with new_owner */
        bool names_container; /* new_name is a container's */
        bool ended;           /* init's end was told while something was under way */
        bool stop_done, stop_killed;

        Link waiting_for_stop; /* requests: Kill(SIGKILL) */
        unsigned executing;    /* Exec calls that the engine has not answered */
} Container;

/* Everything is copied. It is in no list and not on the bus yet: manager_add_container(). */
int container_new(Manager *m, const EngineContainer *e, Container **ret);
Container *container_free(Container *c);

/* "/org/berth1/container/NAME", to be freed. */
int container_path(const Container *c, char **ret);
void container_announce(const Container *c, bool added);
Container *container_of_path(Manager *m, const char *path);
/* Splits the path of a snapshot; the snapshot need not exist (who may not look shall not learn). */
Container *container_of_snapshot_path(Manager *m, const char *path, char **ret_snapshot);
int container_snapshot_path(const Container *c, const char *snapshot, char **ret);
const EngineSnapshot *container_snapshot(const Container *c, const char *name);
int container_add_snapshot(Container *c, const char *name, uint64_t created);
void container_drop_snapshot(Container *c, const char *name);

/* Does nothing if it has that state already; else changes are signalled, once. */
void container_set_state(Container *c, ContainerState state, pid_t init_pid);
void container_changed(Container *c, const char *property);

/* One at a time: Busy. end also frees what belonged to the operation; the request is the caller's to answer. */
int container_begin(Container *c, BusCall *q, sd_bus_error *error);
BusCall *container_end(Container *c);
int container_check_stopped(const Container *c, sd_bus_error *error);
int container_check_running(const Container *c, sd_bus_error *error);

/* Verbs, authorized and validated but for the container's state. Each answers the request itself, now or later, and returns
 * 0, or an error. container-life.c */
int container_start(Container *c, BusCall *q, sd_bus_error *error);
int container_stop(Container *c, uint64_t timeout, BusCall *q, sd_bus_error *error);
int container_kill(Container *c, int signal, BusCall *q, sd_bus_error *error);
void container_on_stopped(Container *c, int status, int signal);
/* container-exec.c. request: arguments, environment and folder borrowed, descriptors consumed. */
int container_exec(Container *c, ExecRequest *request, BusCall *q, sd_bus_error *error);
void container_on_process_exited(Container *c, const char *process, int status, int signal);
/* container-store.c */
int container_take_snapshot(Container *c, const char *name, const char *comment, BusCall *q, sd_bus_error *error);
int container_restore(Container *c, const char *snapshot, BusCall *q, sd_bus_error *error);
int container_remove_snapshot(Container *c, const char *snapshot, BusCall *q, sd_bus_error *error);
int container_clone(Container *c, const char *name, const char *snapshot, BusCall *q, sd_bus_error *error);
int container_rename(Container *c, const char *name, BusCall *q, sd_bus_error *error);
int container_destroy(Container *c, bool snapshots, BusCall *q, sd_bus_error *error);
