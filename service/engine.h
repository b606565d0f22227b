/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The engine: what berthd does to the machine. It speaks varlink with helpers and supervisors on sd-event, allots slots,
 * runs each operation as a sequence of steps with an undo list, and finds running supervisors again. It knows nothing of
 * D-Bus, polkit, owners' rights or configuration files: the face (manager, container, bus-*) has decided all of that
 * before it calls. Every call is asynchronous: nothing here blocks, and a callback never runs before its call returns.
 *
 * A container is known by its slot here. One changing operation at a time on a slot: a second is refused with -EBUSY (the
 * face may queue). Functions return 0, and then the callback comes, or negative errno (-EBUSY, -EINVAL, -ENOMEM), and then
 * it does not; what they consume is consumed in any case. A slot is free for the next operation when done is called. */

#include <inttypes.h>
#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

typedef struct Engine Engine;
typedef struct Operation Operation; /* one running sequence; valid until its done callback has returned */
typedef struct Warm Warm;           /* helpers started in advance, while polkit is being asked */

#define SLOT_NONE UINT32_MAX

/* error: a name of the D-Bus contract without its prefix ("HelperFailed", "Busy", "NoSuchSnapshot", "LimitReached",
 * "TimedOut", "Cancelled", "NotRunning", "Running", "NoSuchImage", "AlreadyExists", "StillUsed", "InvalidArgument",
 * "Unsupported", "NotFound", "CannotExecute"); message: a sentence that says what failed at which step and what to do. */
typedef struct EngineError {
        const char *error;
        char *message;
} EngineError;

void engine_error_done(EngineError *e);

typedef struct EngineSnapshot {
        char *name;
        uint64_t created; /* µs since 1970 */
} EngineSnapshot;

/* What the store and the supervisors say about one container. */
typedef struct EngineContainer {
        uint32_t slot;
        char *name;
        uid_t owner;
        char *creation_id;
        uint64_t created;
        char *image; /* "" if none */
        EngineSnapshot *snapshots;
        size_t n_snapshots;
        bool running;
        pid_t init_pid; /* 0 if not running */
        uid_t range_base;
        uint32_t range_size;
} EngineContainer;

typedef struct EngineImage {
        char *name;
        uid_t owner;
        uint64_t created;
        uint64_t used_by;
} EngineImage;

/* Called from the event loop. All but loaded may come at any time after it. */
typedef struct EngineCallbacks {
        /* The answer to engine_load(): everything that is there, running containers adopted. error is NULL,
         * or says why the store could not be read (the service then refuses everything but reads and tries again). */
        void (*loaded)(void *userdata, const EngineContainer *containers, size_t n_containers,
                       const EngineImage *images, size_t n_images, const EngineError *error);
        /* init's end, told once for each start, after everything of it is gone: status -1 and signal 0 if it is unknown
         * (supervisor killed). */
        void (*container_stopped)(void *userdata, uint32_t slot, int status, int signal);
        void (*process_exited)(void *userdata, uint32_t slot, const char *process, int status, int signal);
        /* The engine has nothing under way (no operation, no running container, no trash job): idle exit is possible. */
        void (*idle)(void *userdata);
} EngineCallbacks;

int engine_new(sd_event *event, const EngineCallbacks *callbacks, void *userdata, Engine **ret);
Engine *engine_free(Engine *e); /* closes connections; containers run on */
int engine_load(Engine *e);
bool engine_is_idle(Engine *e);

typedef struct Done {
        /* error is NULL on success. The engine frees it afterwards. */
        void (*done)(void *userdata, const EngineError *error);
        void *userdata;
} Done;

/* Connects to the helpers that the verb will need, so that they start while polkit thinks; they are sent nothing. verb:
 * "start", "create", "import", "snapshot", "restore", "clone", "rename", "destroy", "remove"; others need nothing. Any
 * operation takes any connection that is ready, so for one that has no parameter for it: free it after the operation has
 * been begun. May be NULL, which warm_free() takes; never an error: without it the operation connects by itself. To be freed
 * before the engine. */
Warm *engine_warm(Engine *e, const char *verb);
Warm *warm_free(Warm *w);

typedef struct StartRequest {
        uint32_t slot;
        const char *name;
        const char *creation_id;
        const char *hostname;
        char *const *argv;
        char *const *environment;
        const char *cwd;
} StartRequest;

/* prepare cgroups, supervisor, Create, idmap, mount and devices side by side, Start. Any failure undoes all. */
int engine_start(Engine *e, const StartRequest *request, Warm *warm /* consumed, may be NULL */,
                 void (*done)(void *userdata, pid_t init_pid, const EngineError *error), void *userdata, Operation **ret);

/* timeout: µs, 0 kills at once. killed: it had to be killed. Done after cgroups are removed. */
int engine_stop(Engine *e, uint32_t slot, uint64_t timeout,
                void (*done)(void *userdata, bool killed, const EngineError *error), void *userdata, Operation **ret);
int engine_signal(Engine *e, uint32_t slot, int signal, Done done);

typedef struct ExecRequest {
        uint32_t slot;
        char *const *argv;
        char *const *environment;
        const char *cwd;
        uid_t user;
        gid_t group;
        bool terminal;
        unsigned rows, columns;
        int fds[3]; /* -EBADF: make a pipe; consumed */
} ExecRequest;

/* fds: pipes' ends, -EBADF where the caller's own was used; with terminal the pty's master is fds[1], the others are -EBADF.
 * The callback takes them by setting -EBADF. process_exited() for it comes after done, always, if need be with status -1. */
int engine_exec(Engine *e, const ExecRequest *request,
                void (*done)(void *userdata, const char *process, pid_t pid, int fds[static 3], const EngineError *error),
                void *userdata);
int engine_process_signal(Engine *e, uint32_t slot, const char *process, int signal, Done done);
int engine_process_resize(Engine *e, uint32_t slot, const char *process, unsigned rows, unsigned columns, Done done);

/* archive: consumed, -EBADF with image. progress: bytes written so far, may be NULL. Allots the slot itself. */
int engine_create(Engine *e, const char *name, uid_t owner, const char *image, int archive,
                  void (*progress)(void *userdata, uint64_t entries, uint64_t bytes),
                  void (*done)(void *userdata, const EngineContainer *container, const EngineError *error),
                  void *userdata, Operation **ret);
int engine_import(Engine *e, const char *name, uid_t owner, int archive,
                  void (*progress)(void *userdata, uint64_t entries, uint64_t bytes),
                  void (*done)(void *userdata, const EngineImage *image, uint64_t skipped, const EngineError *error),
                  void *userdata, Operation **ret);
int engine_remove_image(Engine *e, const char *name, Done done);

int engine_snapshot(Engine *e, uint32_t slot, const char *snapshot,
                    void (*done)(void *userdata, uint64_t created, const EngineError *error), void *userdata);
int engine_restore(Engine *e, uint32_t slot, const char *snapshot, Done done);
int engine_remove_snapshot(Engine *e, uint32_t slot, const char *snapshot, Done done);
int engine_clone(Engine *e, uint32_t slot, const char *snapshot /* or NULL */, const char *name, uid_t owner,
                 void (*done)(void *userdata, const EngineContainer *container, const EngineError *error), void *userdata);
int engine_rename(Engine *e, uint32_t slot, const char *old_name, const char *name, Done done);
int engine_destroy(Engine *e, uint32_t slot, bool snapshots, Done done);

/* Undoes what the operation did; its done callback comes with "Cancelled". Too late is no error. */
void operation_cancel(Operation *o);
