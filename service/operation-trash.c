/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Deleting what the store no longer needs: in the background, one job at a time, by a worker on a slot taken for it. What
 * could not be deleted stays trash and is tried again later, longer each time. */

#include "decode.h"
#include "errors.h"
#include "launch.h"
#include "life.h"

#define RETRY_FIRST 1000000U /* µs */
#define RETRY_DOUBLINGS 8U   /* four minutes */

typedef struct TrashOperation {
        Operation op;
        int folder;
} TrashOperation;

enum {
        COLLECT,
        PREPARE,
        SPAWN,
        CREATE,
        MAP,
        MOUNT,
        WORK,
        END,
        RELEASE,
        _STEPS,
};

static TrashOperation *trash(Operation *o) {
        return (TrashOperation *) o;
}

static json_t *slot_of(Operation *o) {
        return json_pack("{s:I}", "slot", (json_int_t) o->slot);
}

static int collect_begin(Operation *o, unsigned step) {
        return operation_call(o, step, STORAGE_COLLECT_TRASH, slot_of(o), NULL, 0);
}

static int collect_finish(Operation *o, unsigned step, Answer *a) {
        static const Field fields[] = { { "entries", FIELD_UNSIGNED, 0, 0, 0, INT64_MAX }, {} };
        const char *field;
        uint64_t entries;
        int r;

        r = decode(a->reply->parameters, fields, a->reply->message, &entries, &field);
        if (r < 0)
                return r;
        if (entries == 0) /* nothing to do, and the slot is free */
                o->begun = o->done = AFTER(_STEPS) - 1;
        return 1;
}

static void on_released(void *userdata, unsigned step, Answer *a) {
        Operation *o = userdata;

        o->requests[step] = NULL;
        if (a->error && !streq(a->error, "NoSuchSlot"))
                o->stuck = true;
        operation_undone(o);
}

static int collect_undo(Operation *o, unsigned step) {
        return request_again(o->engine, STORAGE_RELEASE_TRASH, slot_of(o), on_released, o, step, &o->requests[step]) < 0;
}

static int mount_begin(Operation *o, unsigned step) {
        return operation_call(o, step, MOUNT_TRASH, json_pack("{s:i}", "userNamespaceFileDescriptor", 0),
                              &o->life->namespace[1], 1);
}

static int mount_finish(Operation *o, unsigned step, Answer *a) {
        static const Field fields[] = { { "trashFileDescriptor", FIELD_DESCRIPTOR, 0, 0, 0, 0 }, {} };
        const char *field;
        int r;

        r = decode(a->reply->parameters, fields, a->reply->message, &trash(o)->folder, &field);
        return r < 0 ? r : 1;
}

static int work_begin(Operation *o, unsigned step) {
        return operation_call(o, step, SUPERVISOR_WORK,
                              json_pack("{s:s, s:i}", "operation", "delete", "folderFileDescriptor", 0),
                              &trash(o)->folder, 1);
}

static int work_finish(Operation *o, unsigned step, Answer *a) {
        WorkReply w;
        int r;

        r = work_decode(a, &w);
        return r < 0 ? r : !a->reply->continues;
}

static int release_begin(Operation *o, unsigned step) {
        return operation_call(o, step, STORAGE_RELEASE_TRASH, slot_of(o), NULL, 0);
}

static const Step steps[_STEPS] = {
        [COLLECT] = { "collecting", 0, collect_begin, collect_finish, NULL, collect_undo },
        LAUNCH_STEPS(PREPARE, AFTER(COLLECT)),
        [MOUNT] = { "mounting", AFTER(MAP), mount_begin, mount_finish },
        [WORK] = { "deleting", AFTER(MOUNT), work_begin, work_finish, .abandon = true },
        [END] = { "ending the worker", AFTER(WORK), launch_end },
        [RELEASE] = { "releasing the slot", AFTER(END), release_begin },
};

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata);

static void trash_after(Engine *e, uint64_t usec) {
        if (e->trash.timer)
                return;
        (void) sd_event_add_time_relative(e->event, &e->trash.timer, CLOCK_MONOTONIC, usec, 0, on_timer, e);
}

static void trash_failed(Engine *e) {
        uint64_t wait = (uint64_t) RETRY_FIRST << MIN(e->trash.failures, RETRY_DOUBLINGS);

        e->trash.failures++;
        e->trash.wanted = true;
        trash_after(e, wait);
}

static void trash_done(Operation *o, const EngineError *error) {
        Engine *e = o->engine;

        e->trash.operation = NULL;
        if (error) {
                engine_log("%s", error->message ?: error->error);
                return trash_failed(e);
        }
        e->trash.failures = 0;
        if (e->trash.wanted)
                trash_after(e, e->trash_delay);
}

static void trash_release(Operation *o) {
        (void) close_fd(trash(o)->folder);
}

static const Recipe recipe = { "delete", steps, _STEPS, trash_done, trash_release };

static int trash_new(Engine *e, uint32_t slot, Operation **ret) {
        TrashOperation *t;
        char folder[24];
        int r;

        r = operation_new(e, &recipe, sizeof(TrashOperation), slot, "what is no longer needed", NULL, &t);
        if (r < 0)
                return r;
        t->folder = -EBADF;
        t->op.give_slot = true;
        life_folder_of_slot(slot, folder);
        r = life_new(e, slot, folder, &t->op.life);
        if (r >= 0 && !(t->op.life->plan = launch_worker_plan("trash", NULL)))
                r = -ENOMEM;
        if (r < 0) {
                operation_drop(&t->op);
                return r;
        }
        t->op.life->worker = true;

        *ret = &t->op;
        return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        Engine *e = userdata;
        uint32_t slot;
        int r;

        e->trash.timer = sd_event_source_disable_unref(e->trash.timer);
        if (!e->trash.wanted || e->trash.operation || !e->loaded)
                return 0;

        r = slot_pool_take(&e->pool, &slot);
        if (r >= 0) {
                r = trash_new(e, slot, &e->trash.operation);
                if (r < 0)
                        slot_pool_give(&e->pool, slot);
        }
        if (r < 0) {
                trash_failed(e);
                return 0;
        }
        e->trash.wanted = false;
        operation_begin(e->trash.operation);
        return 0;
}

void trash_want(Engine *e) {
        e->trash.wanted = true;
        if (!e->trash.operation)
                trash_after(e, e->trash_delay);
}
