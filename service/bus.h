/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The D-Bus side: paths, vtables, and the handlers that the table in authorize-table.c names. the XML in dbus/ is the source of
 * truth; test-vtables compares. */

#include "util.h"

#include <inttypes.h>
#include <systemd/sd-bus.h>

typedef struct Manager Manager;
typedef struct BusCall BusCall;

#define BUS_NAME "org.berth1"
#define BUS_PATH "/org/berth1"
#define BUS_PATH_CONTAINER BUS_PATH "/container"
#define BUS_PATH_IMAGE BUS_PATH "/image"
#define BUS_PATH_JOB BUS_PATH "/job"
#define BUS_PATH_PROCESS BUS_PATH "/process"

#define BUS_INTERFACE_MANAGER "org.berth1.Manager"
#define BUS_INTERFACE_CONTAINER "org.berth1.Container"
#define BUS_INTERFACE_SNAPSHOT "org.berth1.Snapshot"
#define BUS_INTERFACE_IMAGE "org.berth1.Image"
#define BUS_INTERFACE_JOB "org.berth1.Job"
#define BUS_INTERFACE_PROCESS "org.berth1.Process"

typedef struct BusInterface {
        const char *name;
        const char *path;  /* of the object, or what is above the objects */
        bool fallback;     /* many objects below path */
        sd_bus_object_find_t find;
        const sd_bus_vtable *vtable;
} BusInterface;

extern const BusInterface bus_interfaces[]; /* ended by {} */

extern const sd_bus_vtable manager_vtable[], container_vtable[], snapshot_vtable[], image_vtable[], job_vtable[], process_vtable[];

int bus_add_objects(Manager *m);

/* InterfacesAdded, InterfacesRemoved; before the object itself goes. */
void bus_announce_path(Manager *m, const char *path, bool added);
void bus_announce(Manager *m, const char *prefix, uint64_t id, bool added);

/* The number after PREFIX/, UINT64_MAX if there is none. */
uint64_t bus_path_number(const char *path, const char *prefix);

/* Properties of objects that are not everybody's business: Get and GetAll pass through a request. bus-properties.c */
int bus_properties_filter(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* Answers with the property that the request names (Get), or all of them that public_only lets (GetAll). */
int bus_properties_answer(BusCall *q, const sd_bus_vtable *vtable, const char *path, const char *interface, void *object,
                          bool public_only, sd_bus_error *error);

/* A descriptor of the message, for keeps: our own, at 3 or above. Refuses what is no stream: InvalidArgument. */
int bus_take_stream(int fd, int *ret, sd_bus_error *error);

int manager_method_create_container(BusCall *q, sd_bus_error *error);
int manager_method_get_container(BusCall *q, sd_bus_error *error);
int manager_method_list_containers(BusCall *q, sd_bus_error *error);
int manager_method_import_image(BusCall *q, sd_bus_error *error);
int manager_method_get_image(BusCall *q, sd_bus_error *error);
int manager_method_check_host(BusCall *q, sd_bus_error *error);
int manager_method_permissions(BusCall *q, sd_bus_error *error);

int container_method_start(BusCall *q, sd_bus_error *error);
int container_method_stop(BusCall *q, sd_bus_error *error);
int container_method_kill(BusCall *q, sd_bus_error *error);
int container_method_destroy(BusCall *q, sd_bus_error *error);
int container_method_rename(BusCall *q, sd_bus_error *error);
int container_method_clone(BusCall *q, sd_bus_error *error);
int container_method_take_snapshot(BusCall *q, sd_bus_error *error);
int container_method_restore_snapshot(BusCall *q, sd_bus_error *error);
int container_method_exec(BusCall *q, sd_bus_error *error);
int container_properties(BusCall *q, sd_bus_error *error);

int snapshot_method_remove(BusCall *q, sd_bus_error *error);
int snapshot_properties(BusCall *q, sd_bus_error *error);

int image_method_remove(BusCall *q, sd_bus_error *error);

int job_method_cancel(BusCall *q, sd_bus_error *error);

int process_method_signal(BusCall *q, sd_bus_error *error);
int process_method_resize(BusCall *q, sd_bus_error *error);
int process_properties(BusCall *q, sd_bus_error *error);
