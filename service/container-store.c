/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Snapshots, clones, names, and the end of a container. The store decides: what berthd's own files say is brought in line
 * before (rename, clone) or after (snapshot, destroy) it, in the order that a crash in between can be mended from at the
 * next start (manager-load.c). */

#include "bus.h"
#include "container.h"
#include "image.h"
#include "limits.h"
#include "log.h"
#include "manager.h"
#include "bus-call.h"
#include "text-list.h"

#include <stdio.h>

static int begin_stopped(Container *c, BusCall *q, sd_bus_error *error) {
        int r;

        r = container_check_stopped(c, error);
        if (r < 0)
                return r;
        return container_begin(c, q, error);
}

static int fail_begun(Container *c, int r, const char *what, sd_bus_error *error) {
        (void) container_end(c);
        return bus_error_internal(error, r, what);
}

static int remember(Container *c) {
        int r = state_write(c->manager->root, c->name, &c->state_file);

        if (r < 0)
                log_error("%s: cannot write its state: %s", c->name, strerror(-r));
        return r;
}

/* ---- snapshots ---- */

static void on_snapshot(void *userdata, uint64_t created, const EngineError *error) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *path = NULL, *name = NULL, *comment = NULL;
        Container *c = userdata;
        BusCall *q;
        int r;

        name = TAKE_PTR(c->new_name);
        comment = TAKE_PTR(c->comment);
        q = container_end(c);
        if (error) {
                (void) bus_call_fail_engine(q, error);
                return;
        }
        r = container_add_snapshot(c, name, created);
        if (r >= 0 && comment[0])
                r = state_note(&c->state_file, name, comment);
        if (r >= 0 && comment[0])
                r = remember(c);
        if (r >= 0)
                r = container_snapshot_path(c, name, &path);
        container_changed(c, "Snapshots");
        image_usage_changed(c->manager, c->image);
        if (r < 0) {
                (void) bus_error_internal(&e, r, "note the snapshot (which was taken)");
                (void) bus_call_fail(q, &e);
                return;
        }
        (void) bus_call_reply(q, "o", path);
}

static int next_snapshot_name(const Container *c, char **ret) {
        for (unsigned i = 0;; i++) {
                char name[16];

                (void) snprintf(name, sizeof(name), "snap%u", i);
                if (container_snapshot(c, name))
                        continue;
                *ret = strdup(name);
                return *ret ? 0 : -ENOMEM;
        }
}

int container_take_snapshot(Container *c, const char *name, const char *comment, BusCall *q, sd_bus_error *error) {
        int r;

        if (name[0] && container_snapshot(c, name))
                return sd_bus_error_setf(error, ERROR_ALREADY_EXISTS, "Container '%s' has a snapshot '%s' already.", c->name,
                                         name);
        if (c->n_snapshots >= LIMIT_SNAPSHOTS)
                return sd_bus_error_setf(error, ERROR_LIMIT_REACHED,
                                         "Container '%s' has %u snapshots, which is as many as it may have: remove one.",
                                         c->name, LIMIT_SNAPSHOTS);
        r = begin_stopped(c, q, error);
        if (r < 0)
                return r;
        c->comment = strdup(comment);
        if (name[0])
                c->new_name = strdup(name);
        else if (next_snapshot_name(c, &c->new_name) < 0)
                c->new_name = NULL;
        if (!c->comment || !c->new_name)
                return fail_begun(c, -ENOMEM, "name the snapshot", error);
        r = engine_snapshot(c->manager->engine, c->slot, c->new_name, on_snapshot, c);
        if (r < 0)
                return fail_begun(c, r, "begin the snapshot", error);
        return 0;
}

static int check_snapshot(const Container *c, const char *snapshot, sd_bus_error *error) {
        if (!container_snapshot(c, snapshot))
                return sd_bus_error_setf(error, ERROR_NO_SUCH_SNAPSHOT, "Container '%s' has no snapshot '%s'.", c->name,
                                         text_for_error(snapshot));
        return 0;
}

static void on_restored(void *userdata, const EngineError *error) {
        BusCall *q = container_end(userdata);

        if (error)
                (void) bus_call_fail_engine(q, error);
        else
                (void) bus_call_reply(q, NULL);
}

int container_restore(Container *c, const char *snapshot, BusCall *q, sd_bus_error *error) {
        int r;

        r = check_snapshot(c, snapshot, error);
        if (r < 0)
                return r;
        r = begin_stopped(c, q, error);
        if (r < 0)
                return r;
        r = engine_restore(c->manager->engine, c->slot, snapshot, (Done) { on_restored, c });
        if (r < 0)
                return fail_begun(c, r, "begin to restore", error);
        return 0;
}

static void on_snapshot_removed(void *userdata, const EngineError *error) {
        _cleanup_free_ char *name = NULL;
        Container *c = userdata;
        BusCall *q;

        name = TAKE_PTR(c->new_name);
        q = container_end(c);
        if (error) {
                (void) bus_call_fail_engine(q, error);
                return;
        }
        container_drop_snapshot(c, name);
        if (state_comment(&c->state_file, name)[0]) {
                (void) state_note(&c->state_file, name, "");
                (void) remember(c); /* a comment too many is dropped at the next start */
        }
        container_changed(c, "Snapshots");
        image_usage_changed(c->manager, c->image);
        (void) bus_call_reply(q, NULL);
}

int container_remove_snapshot(Container *c, const char *snapshot, BusCall *q, sd_bus_error *error) {
        int r;

        r = check_snapshot(c, snapshot, error);
        if (r < 0)
                return r;
        r = begin_stopped(c, q, error);
        if (r < 0)
                return r;
        c->new_name = strdup(snapshot);
        if (!c->new_name)
                return fail_begun(c, -ENOMEM, "name the snapshot", error);
        r = engine_remove_snapshot(c->manager->engine, c->slot, snapshot, (Done) { on_snapshot_removed, c });
        if (r < 0)
                return fail_begun(c, r, "begin to remove the snapshot", error);
        return 0;
}

/* ---- clone ---- */

static void on_cloned(void *userdata, const EngineContainer *container, const EngineError *error) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *path = NULL, *name = NULL;
        Container *c = userdata, *clone = NULL;
        Manager *m = c->manager;
        BusCall *q;
        int r;

        name = TAKE_PTR(c->new_name);
        q = container_end(c);
        if (error) {
                (void) state_remove(m->root, name, FOLDER_NEW);
                (void) bus_call_fail_engine(q, error);
                return;
        }
        r = manager_adopt(m, container, &clone);
        if (r >= 0)
                r = container_path(clone, &path);
        if (r < 0) {
                (void) bus_error_internal(&e, r, "write the clone's state");
                (void) bus_call_fail(q, &e);
                return;
        }
        (void) bus_call_reply(q, "o", path);
}

int container_clone(Container *c, const char *name, const char *snapshot, BusCall *q, sd_bus_error *error) {
        Manager *m = c->manager;
        int r;

        r = manager_check_new_container(m, name, q->uid, error);
        if (r < 0)
                return r;
        if (snapshot) {
                r = check_snapshot(c, snapshot, error);
                if (r < 0)
                        return r;
        }
        r = begin_stopped(c, q, error);
        if (r < 0)
                return r;
        c->new_name = strdup(name);
        c->new_owner = q->uid;
        c->clones = c->names_container = true;
        r = c->new_name ? state_stage(m->root, name, &c->config) : -ENOMEM;
        if (r < 0)
                return fail_begun(c, r, "write the clone's configuration", error);
        r = engine_clone(m->engine, c->slot, snapshot, name, q->uid, on_cloned, c);
        if (r < 0) {
                (void) state_remove(m->root, name, FOLDER_NEW);
                return fail_begun(c, r, "begin the clone", error);
        }
        return 0;
}

/* ---- rename ---- */

static void on_renamed(void *userdata, const EngineError *error) {
        _cleanup_free_ char *name = NULL;
        Container *c = userdata;
        Manager *m = c->manager;
        BusCall *q;
        int r;

        name = TAKE_PTR(c->new_name);
        q = container_end(c);
        if (error) {
                r = state_rename(m->root, name, c->name);
                if (r < 0) /* the next start follows the store's name */
                        log_error("%s: cannot give its folder its name back: %s", c->name, strerror(-r));
                (void) bus_call_fail_engine(q, error);
                return;
        }
        container_announce(c, false);
        manager_rename_container(m, c, TAKE_PTR(name));
        container_announce(c, true);
        (void) bus_call_reply(q, NULL);
}

int container_rename(Container *c, const char *name, BusCall *q, sd_bus_error *error) {
        Manager *m = c->manager;
        int r;

        if (manager_name_taken(m, name))
                return sd_bus_error_setf(error, ERROR_ALREADY_EXISTS, "There is a container '%s' already.", name);
        r = begin_stopped(c, q, error);
        if (r < 0)
                return r;
        c->new_name = strdup(name);
        c->names_container = true;
        r = c->new_name ? state_rename(m->root, c->name, name) : -ENOMEM;
        if (r < 0)
                return fail_begun(c, r, "rename its folder", error);
        r = engine_rename(m->engine, c->slot, c->name, name, (Done) { on_renamed, c });
        if (r < 0) {
                (void) state_rename(m->root, name, c->name);
                return fail_begun(c, r, "begin to rename", error);
        }
        return 0;
}

/* ---- destroy ---- */

static void on_destroyed(void *userdata, const EngineError *error) {
        Container *c = userdata;
        BusCall *q = container_end(c);
        int r;

        if (error) {
                (void) bus_call_fail_engine(q, error);
                return;
        }
        r = state_remove(c->manager->root, c->name, FOLDER_CONTAINER);
        if (r < 0) /* the next start removes what has no slot */
                log_error("%s: cannot remove its folder: %s", c->name, strerror(-r));
        container_announce(c, false);
        manager_drop_container(c->manager, c);
        (void) bus_call_reply(q, NULL);
}

int container_destroy(Container *c, bool snapshots, BusCall *q, sd_bus_error *error) {
        int r;

        if (c->n_snapshots > 0 && !snapshots)
                return sd_bus_error_setf(error, ERROR_STILL_USED,
                                         "Container '%s' has %zu snapshots: remove them first, or destroy it together with them.",
                                         c->name, c->n_snapshots);
        if (c->executing > 0)
                return sd_bus_error_setf(error, ERROR_BUSY, "A program is being started in container '%s': try again.", c->name);
        r = begin_stopped(c, q, error);
        if (r < 0)
                return r;
        r = engine_destroy(c->manager->engine, c->slot, snapshots, (Done) { on_destroyed, c });
        if (r < 0)
                return fail_begun(c, r, "begin to destroy it", error);
        return 0;
}
