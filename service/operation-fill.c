/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Filling an empty writable layer from an archive: a container's, or an image's. The archive is read by a worker that is
 * nobody on the host; berthd only hands its descriptor on. */

#include "decode.h"
#include "launch.h"
#include "life.h"
#include "operation-store.h"

typedef void (*Progress)(void *userdata, uint64_t entries, uint64_t bytes);

typedef struct FillOperation {
        Operation op;
        bool image;
        uid_t owner;
        Created created;
        int fds[2]; /* the writable layer, the archive */
        uint64_t skipped;
        Progress progress;
        void (*done_container)(void *userdata, const EngineContainer *container, const EngineError *error);
        void (*done_image)(void *userdata, const EngineImage *image, uint64_t skipped, const EngineError *error);
        void *userdata;
} FillOperation;

enum {
        RECORD,
        PREPARE,
        SPAWN,
        CREATE,
        MAP,
        MOUNT,
        WORK,
        END,
        SEAL,
        _STEPS,
};

static FillOperation *fill(Operation *o) {
        return (FillOperation *) o;
}

static int record_begin(Operation *o, unsigned step) {
        return operation_call(o, step, fill(o)->image ? STORAGE_CREATE_IMAGE : STORAGE_CREATE_CONTAINER,
                              json_pack("{s:I, s:s, s:I}", "slot", (json_int_t) o->slot, "name", o->name, "ownerUID",
                                        (json_int_t) fill(o)->owner),
                              NULL, 0);
}

static int record_finish(Operation *o, unsigned step, Answer *a) {
        int r;

        r = created_decode(a, &fill(o)->created);
        if (r < 0)
                return r;

        o->life->plan = launch_worker_plan(o->name, fill(o)->created.creation_id);
        return o->life->plan ? 1 : -ENOMEM;
}

static int record_undo(Operation *o, unsigned step) {
        return store_forget(o, step, o->slot, fill(o)->image ? "image" : "container", o->name, &fill(o)->created);
}

static int mount_begin(Operation *o, unsigned step) {
        return operation_call(o, step, MOUNT_WRITABLE, json_pack("{s:i}", "userNamespaceFileDescriptor", 0),
                              &o->life->namespace[1], 1);
}

static int mount_finish(Operation *o, unsigned step, Answer *a) {
        static const Field fields[] = { { "writableFileDescriptor", FIELD_DESCRIPTOR, 0, 0, 0, 0 }, {} };
        const char *field;
        int r;

        r = decode(a->reply->parameters, fields, a->reply->message, &fill(o)->fds[0], &field);
        return r < 0 ? r : 1;
}

static int work_begin(Operation *o, unsigned step) {
        return operation_call(o, step, SUPERVISOR_WORK,
                              json_pack("{s:s, s:i, s:i}", "operation", "unpack", "folderFileDescriptor", 0,
                                        "archiveFileDescriptor", 1),
                              fill(o)->fds, 2);
}

static int work_finish(Operation *o, unsigned step, Answer *a) {
        WorkReply w;
        int r;

        r = work_decode(a, &w);
        if (r < 0)
                return r;
        if (a->reply->continues) {
                if (fill(o)->progress)
                        fill(o)->progress(fill(o)->userdata, w.entries, w.bytes);
                return 0;
        }

        fill(o)->skipped = w.skipped;
        return 1;
}

static int seal_begin(Operation *o, unsigned step) {
        return operation_call(o, step, STORAGE_SEAL, json_pack("{s:I}", "slot", (json_int_t) o->slot), NULL, 0);
}

static void on_unpublished(void *userdata, unsigned step, Answer *a) {
        Operation *o = userdata;

        o->requests[step] = NULL;
        operation_undone(o);
}

/* Nobody knows whether the image was published: an image of that name was not there before. */
static int seal_undo(Operation *o, unsigned step) {
        return !fill(o)->image || request_again(o->engine, STORAGE_REMOVE_IMAGE, json_pack("{s:s}", "name", o->name),
                                                on_unpublished, o, step, &o->requests[step]) < 0;
}

static void fill_done(Operation *o, const EngineError *error) {
        FillOperation *f = fill(o);
        EngineContainer c = {};
        EngineError memory = { .error = "HelperFailed" };

        if (f->image) {
                EngineImage image = { .name = o->name, .owner = f->owner, .created = f->created.created };

                f->done_image(f->userdata, error ? NULL : &image, f->skipped, error);
                return;
        }

        if (!error && store_container(o->engine, o->slot, o->name, f->owner, NULL, &f->created, &c) < 0)
                error = &memory;
        f->done_container(f->userdata, error ? NULL : &c, error);
        engine_container_done(&c);
}

static void fill_release(Operation *o) {
        (void) close_fd(fill(o)->fds[0]);
        (void) close_fd(fill(o)->fds[1]);
}

static int sealed(Operation *o, unsigned step, Answer *a) {
        static const Field none[] = { {} };
        const char *field;
        int r;

        r = decode(a->reply->parameters, none, a->reply->message, NULL, &field);
        if (r < 0)
                return r;

        o->give_slot = fill(o)->image; /* a container keeps its slot */
        return 1;
}

static const Step steps[_STEPS] = {
        [RECORD] = { "taking a slot of the store", 0, record_begin, record_finish, NULL, record_undo },
        LAUNCH_STEPS(PREPARE, AFTER(RECORD)),
        [MOUNT] = { "mounting its layer", AFTER(MAP), mount_begin, mount_finish },
        [WORK] = { "unpacking", AFTER(MOUNT), work_begin, work_finish, .abandon = true },
        [END] = { "ending the worker", AFTER(WORK), launch_end },
        [SEAL] = { "sealing its layer", AFTER(END), seal_begin, sealed, NULL, seal_undo },
};

static const Recipe recipe_create = { "create", steps, _STEPS, fill_done, fill_release };
static const Recipe recipe_import = { "import", steps, _STEPS, fill_done, fill_release };

/* Takes the archive over. */
static int fill_new(Engine *e, const Recipe *recipe, const char *name, uid_t owner, int archive, FillOperation **ret) {
        uint32_t slot = SLOT_NONE;
        FillOperation *f;
        char folder[24];
        int r;

        (void) slot_pool_take(&e->pool, &slot);
        r = operation_new(e, recipe, sizeof(FillOperation), slot, name, NULL, &f);
        if (r < 0) {
                if (slot != SLOT_NONE)
                        slot_pool_give(&e->pool, slot);
                (void) close_fd(archive);
                return r;
        }
        f->owner = owner;
        f->fds[0] = -EBADF;
        f->fds[1] = archive;
        f->image = recipe == &recipe_import;
        f->op.give_slot = true;

        if (slot == SLOT_NONE) {
                operation_refuse(&f->op, "LimitReached", "no slot is free; destroy a container or delegate more IDs");
        } else {
                life_folder_of_slot(slot, folder);
                if (life_new(e, slot, folder, &f->op.life) < 0)
                        operation_refuse(&f->op, "HelperFailed", "out of memory");
                else
                        f->op.life->worker = true;
        }
        *ret = f;
        return 0;
}

int engine_create(Engine *e, const char *name, uid_t owner, const char *image, int archive,
                  void (*progress)(void *userdata, uint64_t entries, uint64_t bytes),
                  void (*done)(void *userdata, const EngineContainer *container, const EngineError *error),
                  void *userdata, Operation **ret) {
        FillOperation *f;
        int r;

        if (image) {
                (void) close_fd(archive);
                return store_create(e, name, owner, image, done, userdata, ret);
        }

        r = fill_new(e, &recipe_create, name, owner, archive, &f);
        if (r < 0)
                return r;
        f->progress = progress;
        f->done_container = done;
        f->userdata = userdata;
        if (f->op.life)
                operation_begin(&f->op);
        if (ret)
                *ret = &f->op;
        return 0;
}

int engine_import(Engine *e, const char *name, uid_t owner, int archive,
                  void (*progress)(void *userdata, uint64_t entries, uint64_t bytes),
                  void (*done)(void *userdata, const EngineImage *image, uint64_t skipped, const EngineError *error),
                  void *userdata, Operation **ret) {
        FillOperation *f;
        int r;

        r = fill_new(e, &recipe_import, name, owner, archive, &f);
        if (r < 0)
                return r;
        f->progress = progress;
        f->done_image = done;
        f->userdata = userdata;
        if (f->op.life)
                operation_begin(&f->op);
        if (ret)
                *ret = &f->op;
        return 0;
}
