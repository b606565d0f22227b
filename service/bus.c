/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Objects on the bus: where they hang, who finds them, which are listed. Processes and snapshots are not listed: that they exist is
 * not everybody's business. */

#include "bus.h"
#include "bus-error.h"
#include "container.h"
#include "image.h"
#include "job.h"
#include "log.h"
#include "manager.h"
#include "process.h"
#include "text-list.h"
#include "text.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

static int find_container(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret, sd_bus_error *error) {
        Container *c = container_of_path(userdata, path);

        if (!c)
                return 0;
        *ret = c;
        return 1;
}

static int find_snapshot(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret, sd_bus_error *error) {
        Container *c = container_of_snapshot_path(userdata, path, /* ret_snapshot= */ NULL);

        if (!c)
                return 0;
        *ret = c;
        return 1;
}

static int find_image(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret, sd_bus_error *error) {
        Image *i = image_of_path(userdata, path);

        if (!i)
                return 0;
        *ret = i;
        return 1;
}

static int find_job(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret, sd_bus_error *error) {
        Job *j = job_of_path(userdata, path);

        if (!j)
                return 0;
        *ret = j;
        return 1;
}

static int find_process(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret, sd_bus_error *error) {
        if (bus_path_number(path, BUS_PATH_PROCESS) == UINT64_MAX)
                return 0;
        *ret = userdata; /* the request looks for it, once it knows who asks */
        return 1;
}

const BusInterface bus_interfaces[] = {
        { BUS_INTERFACE_MANAGER, BUS_PATH, false, NULL, manager_vtable },
        { BUS_INTERFACE_CONTAINER, BUS_PATH_CONTAINER, true, find_container, container_vtable },
        { BUS_INTERFACE_SNAPSHOT, BUS_PATH_CONTAINER, true, find_snapshot, snapshot_vtable },
        { BUS_INTERFACE_IMAGE, BUS_PATH_IMAGE, true, find_image, image_vtable },
        { BUS_INTERFACE_JOB, BUS_PATH_JOB, true, find_job, job_vtable },
        { BUS_INTERFACE_PROCESS, BUS_PATH_PROCESS, true, find_process, process_vtable },
        {},
};

static int push_path(char ***paths, char *path /* consumed */) {
        _cleanup_free_ char *p = path;

        return strv_push(paths, p);
}

static int enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error) {
        _cleanup_strv_ char **paths = NULL;
        Manager *m = userdata;
        char *path;
        int r;

        for (size_t i = 0; i < m->n_containers; i++) {
                r = container_path(m->containers[i], &path);
                if (r >= 0)
                        r = push_path(&paths, path);
                if (r < 0)
                        return r;
        }
        LINK_FOREACH(Image, i, &m->images, link) {
                r = image_path(i, &path);
                if (r >= 0)
                        r = push_path(&paths, path);
                if (r < 0)
                        return r;
        }
        LINK_FOREACH(Job, j, &m->jobs, link) {
                r = job_path(j, &path);
                if (r >= 0)
                        r = push_path(&paths, path);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(paths);
        return 1;
}

int bus_add_objects(Manager *m) {
        int r;

        r = sd_bus_add_object_manager(m->bus, NULL, BUS_PATH);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(m->bus, NULL, BUS_PATH, enumerate, m);
        if (r >= 0)
                r = sd_bus_add_filter(m->bus, NULL, bus_properties_filter, m);
        for (const BusInterface *i = bus_interfaces; r >= 0 && i->name; i++) {
                if (i->fallback)
                        r = sd_bus_add_fallback_vtable(m->bus, NULL, i->path, i->name, i->vtable, i->find, m);
                else
                        r = sd_bus_add_object_vtable(m->bus, NULL, i->path, i->name, i->vtable, m);
        }
        return r;
}

static int on_name(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Manager *m = userdata;
        uint32_t word;

        if (sd_bus_message_is_method_error(reply, NULL)) {
                log_error("cannot take the name " BUS_NAME ": %s", sd_bus_message_get_error(reply)->message);
                return sd_event_exit(m->event, -EPERM);
        }
        if (sd_bus_message_read(reply, "u", &word) < 0 || word != 1 /* primary owner */) {
                log_error("the name " BUS_NAME " is taken");
                return sd_event_exit(m->event, -EADDRINUSE);
        }
        (void) sd_notify(0, "READY=1");
        manager_activity(m);
        return 0;
}

int manager_publish(Manager *m) {
        int r;

        r = bus_add_objects(m);
        if (r < 0)
                return r;
        m->on_bus = true;
        return sd_bus_request_name_async(m->bus, NULL, BUS_NAME, 0, on_name, m);
}

void bus_announce_path(Manager *m, const char *path, bool added) {
        int r = added ? sd_bus_emit_object_added(m->bus, path) : sd_bus_emit_object_removed(m->bus, path);

        if (r < 0)
                log_warning("cannot signal that %s has %s: %s", path, added ? "come" : "gone", strerror(-r));
}

void bus_announce(Manager *m, const char *prefix, uint64_t id, bool added) {
        char path[64];

        (void) snprintf(path, sizeof(path), "%s/%" PRIu64, prefix, id);
        bus_announce_path(m, path, added);
}

uint64_t bus_path_number(const char *path, const char *prefix) {
        size_t n = strlen(prefix);
        uint64_t id;

        if (strncmp(path, prefix, n) != 0 || path[n] != '/' ||
            span_to_unsigned((Span) { path + n + 1, strlen(path + n + 1) }, UINT64_MAX - 1, &id) < 0)
                return UINT64_MAX;
        return id;
}

static bool is_connected_stream(int fd) {
        int type, listening;

        return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t) { sizeof(type) }) == 0 && type == SOCK_STREAM &&
               getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &(socklen_t) { sizeof(listening) }) == 0 && !listening;
}

int bus_take_stream(int fd, int *ret, sd_bus_error *error) {
        int flags = fcntl(fd, F_GETFL), copy;
        struct stat st;

        if (flags < 0 || fstat(fd, &st) < 0)
                return -errno;
        if ((flags & O_PATH) || (flags & O_ACCMODE) == O_WRONLY ||
            !(S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) || (S_ISSOCK(st.st_mode) && is_connected_stream(fd))))
                return sd_bus_error_set(error, ERROR_INVALID_ARGUMENT,
                                        "An archive is a pipe, a stream socket or a regular file, opened for reading.");
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (copy < 0)
                return -errno;
        *ret = copy;
        return 0;
}
