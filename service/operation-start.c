/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The path of one start (docs/architecture.md). */

#include "decode.h"
#include "launch.h"
#include "life.h"
#include "mutation.h"

#include <fcntl.h>
#include <stdio.h>

#define LAYERS_MAX 62U /* one of the descriptors is the writable layer */

typedef struct StartOperation {
        Operation op;
        int *layers; /* the writable one first */
        size_t n_layers;
        pid_t pid;
        void (*done)(void *userdata, pid_t init_pid, const EngineError *error);
        void *userdata;
} StartOperation;

enum {
        PREPARE,
        SPAWN,
        CREATE,
        MAP,
        DEVICES,
        MOUNT,
        START,
        _STEPS,
};

static StartOperation *start(Operation *o) {
        return (StartOperation *) o;
}

static int mount_begin(Operation *o, unsigned step) {
        return operation_call(o, step, MOUNT_LAYERS, json_pack("{s:i}", "userNamespaceFileDescriptor", 0),
                              &o->life->namespace[1], 1);
}

typedef struct MountReply {
        int writable;
        Descriptors layers;
} MountReply;

static int mount_finish(Operation *o, unsigned step, Answer *a) {
        static const Field fields[] = {
                { "writableFileDescriptor", FIELD_DESCRIPTOR, offsetof(MountReply, writable), 0, 0, 0 },
                { "layerFileDescriptors", FIELD_DESCRIPTORS, offsetof(MountReply, layers), 0, 0, LAYERS_MAX },
                {},
        };
        MountReply m = { .writable = -EBADF };
        const char *field;
        int r;

        r = decode(a->reply->parameters, fields, a->reply->message, &m, &field);
        if (r >= 0)
                start(o)->layers = malloc((m.layers.n + 1) * sizeof(int));
        if (r < 0 || !start(o)->layers) {
                (void) close_fd(m.writable);
                descriptors_done(&m.layers);
                return r < 0 ? r : -ENOMEM;
        }

        start(o)->layers[start(o)->n_layers++] = m.writable;
        for (size_t i = 0; i < m.layers.n; i++)
                start(o)->layers[start(o)->n_layers++] = m.layers.fds[i];
        free(m.layers.fds);
        return 1;
}

static int start_begin(Operation *o, unsigned step) {
        json_t *layers;

        layers = json_array();
        for (size_t i = 1; i < start(o)->n_layers; i++)
                json_array_append_new(layers, json_integer((json_int_t) i));
        return operation_call(o, step, SUPERVISOR_START,
                              json_pack("{s:i, s:o}", "writableFileDescriptor", 0, "layerFileDescriptors", layers),
                              start(o)->layers, start(o)->n_layers);
}

typedef struct StartReply {
        uint64_t pid;
        int pidfd;
} StartReply;

/* The process that a pidfd stands for, as the kernel says. */
static pid_t pid_of(int pidfd) {
        _cleanup_close_ int fd = -EBADF;
        char text[512];
        const char *line;
        ssize_t n;

        (void) snprintf(text, sizeof(text), "/proc/self/fdinfo/%d", pidfd);
        fd = open(text, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        if (n < 0)
                return 0;
        text[n] = 0;
        line = strstr(text, "\nPid:");
        return line ? (pid_t) strtol(line + 5, NULL, 10) : 0;
}

static int start_finish(Operation *o, unsigned step, Answer *a) {
        static const Field fields[] = {
                { "pid", FIELD_UNSIGNED, offsetof(StartReply, pid), 0, 2, INT32_MAX },
                { "pidFileDescriptor", FIELD_DESCRIPTOR, offsetof(StartReply, pidfd), 0, 0, 0 },
                {},
        };
        StartReply s = { .pidfd = -EBADF };
        const char *field;
        int r;

        r = decode(a->reply->parameters, fields, a->reply->message, &s, &field);
        if (r >= 0 && !MUTATION(engine_pid) && pid_of(s.pidfd) != (pid_t) s.pid)
                r = -EPERM;
        (void) close_fd(s.pidfd);
        if (r < 0)
                return r;

        start(o)->pid = (pid_t) s.pid;
        return 1;
}

static void start_done(Operation *o, const EngineError *error) {
        StartOperation *s = start(o);

        if (!error) {
                o->life->init = s->pid;
                life_run(TAKE_PTR(o->life));
        }
        s->done(s->userdata, error ? 0 : s->pid, error);
}

static void start_release(Operation *o) {
        for (size_t i = 0; i < start(o)->n_layers; i++)
                (void) close_fd(start(o)->layers[i]);
        free(start(o)->layers);
}

static const Step steps[_STEPS] = {
        LAUNCH_STEPS(PREPARE, 0),
        [DEVICES] = { "limiting its devices", AFTER(CREATE), launch_devices },
        [MOUNT] = { "mounting its layers", AFTER(MAP), mount_begin, mount_finish },
        [START] = { "starting its init", AFTER(MAP) | AFTER(DEVICES) | AFTER(MOUNT), start_begin, start_finish,
                    .abandon = true },
};

static const Recipe recipe = { "start", steps, _STEPS, start_done, start_release };

static json_t *plan_of(const StartRequest *q) {
        return json_pack("{s:s, s:s, s:s, s:o, s:o, s:s}", "name", q->name, "creationID", q->creation_id, "hostname",
                         q->hostname, "arguments", json_strings(q->argv), "environment", json_strings(q->environment),
                         "workingDirectory", q->cwd ?: "/");
}

int engine_start(Engine *e, const StartRequest *q, Warm *warm,
                 void (*done)(void *userdata, pid_t init_pid, const EngineError *error), void *userdata, Operation **ret) {
        StartOperation *s;
        int r;

        if (q->slot >= e->table.slots) {
                warm_free(warm);
                return -EINVAL;
        }
        /* Nobody was asked, so nothing was begun in advance: each helper starts while those before it work. */
        if (!warm && !requests_are_warm(&e->requests, PEER_SPAWNED) && !e->slots[q->slot].operation &&
            !e->slots[q->slot].life)
                warm = engine_warm(e, "start");
        r = operation_new(e, &recipe, sizeof(StartOperation), q->slot, q->name, warm, &s);
        if (r < 0)
                return r;
        s->done = done;
        s->userdata = userdata;

        if (e->slots[q->slot].life)
                operation_refuse(&s->op, "Running", "it is running");
        else if (life_new(e, q->slot, q->name, &s->op.life) < 0 || !(s->op.life->plan = plan_of(q)))
                operation_refuse(&s->op, "InvalidArgument", "its init, environment or name cannot be put into a plan");
        else {
                operation_begin(&s->op);
                warm_more(s->op.warm, "start-later");
        }

        if (ret)
                *ret = &s->op;
        return 0;
}
