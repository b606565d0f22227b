/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* All that the service holds. */

#include "config.h"
#include "engine.h"
#include "limits.h"
#include "list.h"
#include "polkit.h"
#include "slot.h"

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

typedef struct Container Container;
typedef struct BusCall BusCall;

typedef struct Manager {
        sd_event *event;
        sd_bus *bus;
        Engine *engine;
        Polkit *polkit;
        int root; /* STATE_ROOT */

        Container **containers; /* sorted by name */
        size_t n_containers;
        Container *by_slot[SLOTS_MAX];
        Link images, jobs, processes, requests, callers;
        uint64_t last_job, last_process;

        bool on_bus;         /* objects are there and the name has been asked for */
        bool store_readable; /* else everything but reads is refused */
        sd_event_source *retry;

        uint64_t idle_exit; /* µs without anything to do before leaving; UINT64_MAX: stay */
        sd_event_source *idle;
        bool leaving, released;
        unsigned cleanups; /* of what a crash left, under way before the name is requested */
} Manager;

/* bus: connected or connecting; the name is requested once everything is loaded. */
int manager_new(sd_event *event, sd_bus *bus, uint64_t idle_exit, Manager **ret);
int manager_start(Manager *m);
Manager *manager_free(Manager *m);
Manager *manager_of_bus(sd_bus *bus);

/* Something happened: the time until an idle exit begins anew. */
void manager_activity(Manager *m);
/* Gives the name back, answers what has arrived, ends the loop. */
void manager_leave(Manager *m);

unsigned manager_limit(uid_t uid, unsigned limit);

Container *manager_container(Manager *m, const char *name);
int manager_add_container(Manager *m, Container *c);
void manager_drop_container(Manager *m, Container *c); /* frees it */
void manager_rename_container(Manager *m, Container *c, char *name /* consumed */);

/* Names of what is there, being made, or being renamed to. */
bool manager_name_taken(Manager *m, const char *name);
bool manager_image_name_taken(Manager *m, const char *name);
/* AlreadyExists, LimitReached. */
int manager_check_new_container(Manager *m, const char *name, uid_t owner, sd_bus_error *error);

/* The store has a new container whose configuration was staged: writes its state, puts it on the bus. If that fails it is
 * destroyed again. */
int manager_adopt(Manager *m, const EngineContainer *e, Container **ret);

/* manager-load.c: the engine's first answer. */
void manager_on_loaded(void *userdata, const EngineContainer *containers, size_t n_containers, const EngineImage *images,
                       size_t n_images, const EngineError *error);
/* Objects onto the bus, then the name. */
int manager_publish(Manager *m);

/* create.c; each answers with a job. archive is consumed. */
int manager_create(Manager *m, const char *name, const char *image, int archive, Config *config, BusCall *q,
                   sd_bus_error *error);
int manager_import(Manager *m, const char *name, int archive, BusCall *q, sd_bus_error *error);

/* check-host.c; answers when polkit has. */
int manager_check_host(Manager *m, BusCall *q);
