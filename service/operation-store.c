/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The operations that are one call to berth-storage, each atomic there. */

#include "operation-store.h"
#include "decode.h"
#include "errors.h"
#include "records.h"

typedef struct StoreOperation {
        Operation op;
        Method method;
        json_t *parameters;
        bool trash;     /* leaves something to delete */
        bool frees;     /* its slot is free afterwards */
        /* create and clone: */
        uint32_t target;
        uid_t owner;
        char *target_name, *image;
        Created created;
        Done plain;
        void (*done_created)(void *userdata, uint64_t created, const EngineError *error);
        void (*done_container)(void *userdata, const EngineContainer *container, const EngineError *error);
        void *userdata;
} StoreOperation;

static StoreOperation *store(Operation *o) {
        return (StoreOperation *) o;
}

int created_decode(Answer *a, Created *ret) {
        struct Raw {
                const char *creation_id;
                uint64_t created;
        } raw = {};
        static const Field fields[] = {
                { "creationID", FIELD_STRING, offsetof(struct Raw, creation_id), 0, CREATION_ID_LENGTH,
                  CREATION_ID_LENGTH },
                { "created", FIELD_UNSIGNED, offsetof(struct Raw, created), 0, 0, INT64_MAX },
                {},
        };
        const char *field;
        int r;

        r = decode(a->reply->parameters, fields, a->reply->message, &raw, &field);
        if (r < 0)
                return r;
        if (!creation_id_is_valid(raw.creation_id))
                return -EINVAL;

        memcpy(ret->creation_id, raw.creation_id, sizeof(ret->creation_id));
        ret->created = raw.created;
        return 0;
}

/* Undoing the making of a record */

typedef struct Forget {
        Operation *operation;
        unsigned step;
        uint32_t slot;
        const char *kind, *name;
        Records records;
} Forget;

static void forget_end(Forget *f, const char *error) {
        Operation *o = f->operation;

        if (error) {
                engine_log("slot %" PRIu32 ": cannot forget %s %s: %s; the next start of berthd tries again", f->slot,
                           f->kind, f->name, error);
                o->stuck = true;
        }
        records_done(&f->records);
        free(f);
        operation_undone(o);
}

static void on_forgotten(void *userdata, unsigned tag, Answer *a) {
        Forget *f = userdata;

        f->operation->requests[f->step] = NULL;
        trash_want(f->operation->engine);
        forget_end(f, !a->error || streq(a->error, "NoSuchSlot") ? NULL : a->error);
}

static int forget_call(Forget *f) {
        return request_again(f->operation->engine, STORAGE_DESTROY,
                             json_pack("{s:I, s:b}", "slot", (json_int_t) f->slot, "snapshots", false), on_forgotten, f, 0,
                             &f->operation->requests[f->step]);
}

static int forget_list(Forget *f);

static void on_listed(void *userdata, unsigned tag, Answer *a) {
        Forget *f = userdata;
        int r;

        f->operation->requests[f->step] = NULL;
        r = a->error ? -EIO : records_add(&f->records, &f->operation->engine->table, a);
        if (r >= 0 && f->records.more) {
                r = forget_list(f);
                if (r >= 0)
                        return;
        }
        if (r < 0)
                return forget_end(f, a->error ?: "Nonsense");

        for (size_t i = 0; i < f->records.n_records; i++) {
                Record *record = &f->records.records[i];

                if (record->container.slot == f->slot && streq(record->kind, f->kind) &&
                    streq(record->container.name, f->name)) {
                        if (forget_call(f) < 0)
                                break;
                        return;
                }
        }
        forget_end(f, NULL); /* it was not made */
}

static int forget_list(Forget *f) {
        return request_new(f->operation->engine, STORAGE_LIST, NULL, records_call(&f->records), NULL, 0, on_listed, f, 0,
                           &f->operation->requests[f->step]);
}

int store_forget(Operation *o, unsigned step, uint32_t slot, const char *kind, const char *name, const Created *created) {
        Forget *f;
        int r;

        f = malloc(sizeof(Forget));
        if (!f)
                return 1;
        *f = (Forget) { .operation = o, .step = step, .slot = slot, .kind = kind, .name = name };
        r = *created->creation_id ? forget_call(f) : forget_list(f);
        if (r < 0)
                forget_end(f, "out of memory");
        return 0;
}

/* The one step */

/* What may be asked for twice. If a helper was killed before it answered, the next one's answer may be that there is no such
 * thing any more: then it is done. */
static const struct {
        Method method;
        const char *done;
} repeatable[] = {
        { STORAGE_RESTORE_SNAPSHOT, NULL },
        { STORAGE_RENAME, NULL },
        { STORAGE_REMOVE_SNAPSHOT, "NoSuchSnapshot" },
        { STORAGE_DESTROY, "NoSuchSlot" },
        { STORAGE_REMOVE_IMAGE, "NoSuchImage" },
};

static int call_begin(Operation *o, unsigned step) {
        StoreOperation *s = store(o);

        for (size_t i = 0; i < ELEMENTSOF(repeatable); i++)
                if (repeatable[i].method == s->method)
                        return operation_call_again(o, step, s->method, TAKE_PTR(s->parameters));

        return operation_call(o, step, s->method, TAKE_PTR(s->parameters), NULL, 0);
}

static int call_refused(Operation *o, unsigned step, Answer *a) {
        for (size_t i = 0; a->again && i < ELEMENTSOF(repeatable); i++)
                if (repeatable[i].method == store(o)->method && repeatable[i].done && streq(repeatable[i].done, a->error)) {
                        operation_step_done(o, step);
                        return 0;
                }

        return -ENOENT;
}

static int call_finish(Operation *o, unsigned step, Answer *a) {
        static const Field created[] = {
                { "created", FIELD_UNSIGNED, 0, 0, 0, INT64_MAX },
                {},
        };
        static const Field none[] = { {} };
        StoreOperation *s = store(o);
        const char *field;
        int r;

        if (s->done_container)
                r = created_decode(a, &s->created);
        else
                r = decode(a->reply->parameters, s->done_created ? created : none, a->reply->message,
                           &s->created.created, &field);
        return r < 0 ? r : 1;
}

static void on_untaken(void *userdata, unsigned step, Answer *a) {
        Operation *o = userdata;

        o->requests[step] = NULL;
        if (a->error && !streq(a->error, "NoSuchSnapshot"))
                engine_log("slot %" PRIu32 ": cannot forget snapshot %s: %s; the next start of berthd will know of it", o->slot,
                           o->name, a->error);
        operation_undone(o);
}

static int call_undo(Operation *o, unsigned step) {
        StoreOperation *s = store(o);

        /* Nobody knows whether it was taken: a snapshot of that name was not there before. */
        if (s->method == STORAGE_TAKE_SNAPSHOT)
                return request_again(o->engine, STORAGE_REMOVE_SNAPSHOT,
                                     json_pack("{s:I, s:s}", "slot", (json_int_t) o->slot, "snapshot", o->name), on_untaken,
                                     o, step, &o->requests[step]) < 0;
        return s->done_container ? store_forget(o, step, s->target, "container", s->target_name, &s->created) : 1;
}

int store_container(Engine *e, uint32_t slot, const char *name, uid_t owner, const char *image, const Created *created,
                    EngineContainer *ret) {
        EngineContainer c = {
                .slot = slot,
                .name = strdup(name),
                .owner = owner,
                .creation_id = strdup(created->creation_id),
                .created = created->created,
                .image = strdup(image ?: ""),
        };
        Slot s;

        if (!c.name || !c.creation_id || !c.image || slot_by_number(&e->table, slot, &s) < 0) {
                engine_container_done(&c);
                return -ENOMEM;
        }
        c.range_base = s.base;
        c.range_size = RANGE_SIZE;
        *ret = c;
        return 0;
}

static void tell_container(StoreOperation *s, const EngineError *error) {
        Engine *e = s->op.engine;
        EngineContainer c = {};
        EngineError memory = { .error = "HelperFailed" };

        if (!error && store_container(e, s->target, s->target_name, s->owner, s->image, &s->created, &c) < 0)
                error = &memory;
        s->done_container(s->userdata, error ? NULL : &c, error);
        engine_container_done(&c);
}

static void call_done(Operation *o, const EngineError *error) {
        StoreOperation *s = store(o);
        Engine *e = o->engine;

        if (!error && s->frees)
                slot_pool_give(&e->pool, o->slot);
        if (error && s->target != SLOT_NONE && !o->stuck)
                slot_pool_give(&e->pool, s->target);
        if (!error && s->trash)
                trash_want(e);

        if (s->done_container)
                tell_container(s, error);
        else if (s->done_created)
                s->done_created(s->userdata, s->created.created, error);
        else
                s->plain.done(s->plain.userdata, error);
}

static void call_release(Operation *o) {
        StoreOperation *s = store(o);

        if (s->parameters)
                json_decref(s->parameters);
        free(s->target_name);
        free(s->image);
}

static const Step steps[] = {
        { "changing the store", 0, call_begin, call_finish, call_refused, call_undo },
};

#define RECIPE(verb) { verb, steps, ELEMENTSOF(steps), call_done, call_release }

static const Recipe recipe_create = RECIPE("create"), recipe_clone = RECIPE("clone"), recipe_snapshot = RECIPE("snapshot"),
                    recipe_restore = RECIPE("restore"), recipe_rename = RECIPE("rename"),
                    recipe_destroy = RECIPE("destroy"), recipe_remove_snapshot = RECIPE("remove a snapshot of"),
                    recipe_remove_image = RECIPE("remove image");

/* Takes parameters over. The caller fills in the rest and calls store_go(). */
static int store_new(Engine *e, const Recipe *recipe, uint32_t slot, const char *name, Method method, json_t *parameters,
                     StoreOperation **ret) {
        StoreOperation *s;
        int r;

        if (slot != SLOT_NONE && slot >= e->table.slots)
                r = -EINVAL;
        else
                r = parameters ? operation_new(e, recipe, sizeof(StoreOperation), slot, name, NULL, &s) : -EINVAL;
        if (r < 0) {
                if (parameters)
                        json_decref(parameters);
                return r;
        }

        s->method = method;
        s->parameters = parameters;
        s->target = SLOT_NONE;
        *ret = s;
        return 0;
}

static int store_go(StoreOperation *s) {
        Engine *e = s->op.engine;

        if (s->op.slot != SLOT_NONE && e->slots[s->op.slot].life)
                operation_refuse(&s->op, "Running", "it is running; stop it first");
        else if (s->done_container && s->target == SLOT_NONE)
                operation_refuse(&s->op, "LimitReached", "no slot is free; destroy a container or delegate more IDs");
        else
                operation_begin(&s->op);
        return 0;
}

/* The slot of a new container, and what is told about it in the end. */
static int store_target(StoreOperation *s, const char *name, uid_t owner, const char *image) {
        if (slot_pool_take(&s->op.engine->pool, &s->target) < 0)
                return 0; /* store_go() refuses */

        s->owner = owner;
        s->target_name = strdup(name);
        s->image = image ? strdup(image) : NULL;
        return s->target_name && (s->image || !image) ? 0 : -ENOMEM;
}

int store_create(Engine *e, const char *name, uid_t owner, const char *image,
                 void (*done)(void *userdata, const EngineContainer *container, const EngineError *error), void *userdata,
                 Operation **ret) {
        StoreOperation *s;
        int r;

        r = store_new(e, &recipe_create, SLOT_NONE, name, STORAGE_CREATE_CONTAINER,
                      json_pack("{s:s, s:I, s:s}", "name", name, "ownerUID", (json_int_t) owner, "image", image), &s);
        if (r < 0)
                return r;
        s->done_container = done;
        s->userdata = userdata;
        if (store_target(s, name, owner, image) < 0 ||
            json_object_set_new(s->parameters, "slot", json_integer((json_int_t) s->target)) < 0)
                operation_refuse(&s->op, "HelperFailed", "out of memory");
        else
                store_go(s);

        if (ret)
                *ret = &s->op;
        return 0;
}

int engine_clone(Engine *e, uint32_t slot, const char *snapshot, const char *name, uid_t owner,
                 void (*done)(void *userdata, const EngineContainer *container, const EngineError *error), void *userdata) {
        StoreOperation *s;
        int r;

        r = store_new(e, &recipe_clone, slot, name, STORAGE_CLONE,
                      json_pack("{s:I, s:s*, s:s, s:I}", "slot", (json_int_t) slot, "snapshot", snapshot, "name", name,
                                "ownerUID", (json_int_t) owner),
                      &s);
        if (r < 0)
                return r;
        s->done_container = done;
        s->userdata = userdata;
        if (store_target(s, name, owner, NULL) < 0 ||
            json_object_set_new(s->parameters, "targetSlot", json_integer((json_int_t) s->target)) < 0)
                operation_refuse(&s->op, "HelperFailed", "out of memory");
        else
                store_go(s);
        return 0;
}

int engine_snapshot(Engine *e, uint32_t slot, const char *snapshot,
                    void (*done)(void *userdata, uint64_t created, const EngineError *error), void *userdata) {
        StoreOperation *s;
        int r;

        r = store_new(e, &recipe_snapshot, slot, snapshot, STORAGE_TAKE_SNAPSHOT,
                      json_pack("{s:I, s:s}", "slot", (json_int_t) slot, "snapshot", snapshot), &s);
        if (r < 0)
                return r;
        s->done_created = done;
        s->userdata = userdata;
        return store_go(s);
}

static int store_plain(Engine *e, const Recipe *recipe, uint32_t slot, const char *name, Method method, json_t *parameters,
                       bool trash, bool frees, Done done) {
        StoreOperation *s;
        int r;

        r = store_new(e, recipe, slot, name, method, parameters, &s);
        if (r < 0)
                return r;
        s->trash = trash;
        s->frees = frees;
        s->plain = done;
        return store_go(s);
}

int engine_restore(Engine *e, uint32_t slot, const char *snapshot, Done done) {
        return store_plain(e, &recipe_restore, slot, snapshot, STORAGE_RESTORE_SNAPSHOT,
                           json_pack("{s:I, s:s}", "slot", (json_int_t) slot, "snapshot", snapshot), true, false, done);
}

int engine_remove_snapshot(Engine *e, uint32_t slot, const char *snapshot, Done done) {
        return store_plain(e, &recipe_remove_snapshot, slot, snapshot, STORAGE_REMOVE_SNAPSHOT,
                           json_pack("{s:I, s:s}", "slot", (json_int_t) slot, "snapshot", snapshot), true, false, done);
}

int engine_rename(Engine *e, uint32_t slot, const char *old_name, const char *name, Done done) {
        return store_plain(e, &recipe_rename, slot, old_name, STORAGE_RENAME,
                           json_pack("{s:I, s:s}", "slot", (json_int_t) slot, "name", name), false, false, done);
}

int engine_destroy(Engine *e, uint32_t slot, bool snapshots, Done done) {
        return store_plain(e, &recipe_destroy, slot, "the container", STORAGE_DESTROY,
                           json_pack("{s:I, s:b}", "slot", (json_int_t) slot, "snapshots", snapshots), true, true, done);
}

int engine_remove_image(Engine *e, const char *name, Done done) {
        return store_plain(e, &recipe_remove_image, SLOT_NONE, name, STORAGE_REMOVE_IMAGE, json_pack("{s:s}", "name", name),
                           true, false, done);
}
