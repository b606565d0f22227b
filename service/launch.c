/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a supervisor is brought to life: cgroups, the preface with the container's own socket, namespaces, ID map. berthd has
 * no right that it could hand on: the socket is a file of its own in its own folder. */

#include "launch.h"
#include "decode.h"
#include "life.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define NO_CREATION_ID "00000000000000000000000000000000"

int launch_prepare(Operation *o, unsigned step) {
        return operation_call(o, step, CGROUP_PREPARE, json_pack("{s:I}", "slot", (json_int_t) o->life->slot.number),
                              NULL, 0);
}

/* Which step waits for the end of a life. */
typedef struct Waiting {
        Operation *operation;
        unsigned step;
} Waiting;

static void on_swept(void *userdata, int result) {
        Waiting waiting = *(Waiting *) userdata;
        Operation *o = waiting.operation;
        int r;

        free(userdata);
        o->life->state = LIFE_LAUNCHING;
        o->life->spawned = false;
        /* Nothing is there now, so there is nothing to undo, unless the next attempt makes it. */
        o->begun &= ~AFTER(waiting.step);
        o->unsure &= ~AFTER(waiting.step);
        if (!operation_resume(o, waiting.step))
                return;
        if (result < 0) {
                o->stuck = true;
                operation_step_failed(o, waiting.step, "Busy", "an earlier run cannot be removed; try again");
                return;
        }

        o->begun |= AFTER(waiting.step);
        r = launch_prepare(o, waiting.step);
        if (r < 0)
                operation_step_failed(o, waiting.step, "HelperFailed", "out of memory");
}

/* Left-overs of an earlier life, which a crash of berthd or an unclean end left: removed, once. */
int launch_prepare_refused(Operation *o, unsigned step, Answer *a) {
        Waiting *waiting;

        if (!streq(a->error, "Busy") || o->life->swept)
                return 1;
        waiting = malloc(sizeof(Waiting));
        if (!waiting)
                return 1;
        *waiting = (Waiting) { o, step };
        o->life->swept = true;
        o->life->spawned = true;
        operation_hold(o, step);
        life_end(o->life, true, on_swept, waiting);
        return 0;
}

static void on_undone(void *userdata, int result) {
        Operation *o = userdata;

        if (result < 0)
                o->stuck = true; /* not for others while something is in it */
        operation_undone(o);
}

int launch_undo(Operation *o, unsigned step) {
        if (!o->life || o->life->state == LIFE_ENDED)
                return 1;

        life_end(o->life, true, on_undone, o);
        return 0;
}

static int make_folder(const char *path) {
        char folder[LIFE_PATH_MAX];

        strcpy(folder, path);
        *strrchr(folder, '/') = 0;
        return mkdir(folder, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* Bound, not yet listening: the supervisor calls listen(), so that the kernel says to whoever connects who it is. */
static int make_socket(const char *path, int *ret) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -EBADF;

        strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (fchmod(fd, 0600) < 0)
                return -errno;
        /* Nobody listens on what is there: the slot's lock was free when its cgroups were made. */
        if (unlink(path) < 0 && errno != ENOENT)
                return -errno;
        if (bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;

        *ret = TAKE_FD(fd);
        return 0;
}

int launch_spawn(Operation *o, unsigned step) {
        char path[LIFE_PATH_MAX];
        int r;

        life_path(o->life->folder, path);
        r = make_folder(path);
        if (r >= 0)
                r = make_socket(path, &o->life->listening);
        if (r >= 0)
                r = operation_spawn(o, step, &o->life->listening);
        if (r >= 0)
                o->life->spawned = true;
        return r;
}

int launch_spawn_finish(Operation *o, unsigned step, Answer *a) {
        char path[LIFE_PATH_MAX];

        o->life->listening = close_fd(o->life->listening);
        life_path(o->life->folder, path);
        return wire_new(o->engine->event, path, o->life->slot.supervisor, &o->life->wire) < 0 ? -ENOMEM : 1;
}

int launch_create(Operation *o, unsigned step) {
        return operation_call(o, step, SUPERVISOR_CREATE,
                              json_pack("{s:O, s:b}", "plan", o->life->plan, "worker", o->life->worker), NULL, 0);
}

typedef struct CreateReply {
        int process, userns, netns;
} CreateReply;

int launch_create_finish(Operation *o, unsigned step, Answer *a) {
        static const Field fields[] = {
                { "processFileDescriptor", FIELD_DESCRIPTOR, offsetof(CreateReply, process), 0, 0, 0 },
                { "userNamespaceFileDescriptor", FIELD_DESCRIPTOR, offsetof(CreateReply, userns), 0, 0, 0 },
                { "networkNamespaceFileDescriptor", FIELD_DESCRIPTOR, offsetof(CreateReply, netns), 0, 0, 0 },
                {},
        };
        CreateReply c = { -EBADF, -EBADF, -EBADF };
        const char *field;
        int r;

        r = decode(a->reply->parameters, fields, a->reply->message, &c, &field);
        if (r >= 0 && !life_owns(o->life, c.userns))
                r = -EPERM; /* another slot's namespace, or none */
        (void) close_fd(c.netns);
        if (r < 0) {
                (void) close_fd(c.process);
                (void) close_fd(c.userns);
                return r;
        }

        o->life->namespace[0] = c.process;
        o->life->namespace[1] = c.userns;
        return 1;
}

int launch_map(Operation *o, unsigned step) {
        return operation_call(o, step, IDMAP_WRITE_MAP,
                              json_pack("{s:i, s:i}", "processFileDescriptor", 0, "userNamespaceFileDescriptor", 1),
                              o->life->namespace, 2);
}

int launch_devices(Operation *o, unsigned step) {
        return operation_call(o, step, CGROUP_SET_DEVICES, json_pack("{s:i}", "userNamespaceFileDescriptor", 0),
                              &o->life->namespace[1], 1);
}


static void on_ended(void *userdata, int result) {
        Waiting end = *(Waiting *) userdata;
        Operation *o = end.operation;

        free(userdata);
        o->stuck = result < 0;
        if (!operation_resume(o, end.step))
                return;
        if (result < 0) {
                operation_step_failed(o, end.step, "Busy", "something of it still runs");
        } else
                operation_step_done(o, end.step);
}

int launch_end(Operation *o, unsigned step) {
        Waiting *end;

        end = malloc(sizeof(Waiting));
        if (!end)
                return -ENOMEM;
        *end = (Waiting) { o, step };
        operation_hold(o, step);
        life_end(o->life, false, on_ended, end);
        return 0;
}

json_t *launch_worker_plan(const char *name, const char *creation_id) {
        return json_pack("{s:s, s:s, s:s, s:[s], s:[], s:s}", "name", name, "creationID", creation_id ?: NO_CREATION_ID,
                         "hostname", "worker", "arguments", "/worker", "environment", "workingDirectory", "/");
}

int work_decode(Answer *a, WorkReply *ret) {
        static const Field fields[] = {
                { "entries", FIELD_UNSIGNED, offsetof(WorkReply, entries), 0, 0, INT64_MAX },
                { "bytes", FIELD_UNSIGNED, offsetof(WorkReply, bytes), 0, 0, INT64_MAX },
                { "skipped", FIELD_UNSIGNED, offsetof(WorkReply, skipped), 0, 0, INT64_MAX },
                {},
        };
        const char *field;

        return decode(a->reply->parameters, fields, a->reply->message, ret, &field);
}
