/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the store has against what our own folders say, at the start. The creation ID ties a slot and a folder together, and
 * the store's word stands:
 *
 *         slot and folder                     a container; if their names differ the store's wins (a rename was cut short)
 *         slot, and ".new.NAME"               a creation was cut short: the slot is destroyed
 *         slot and a damaged folder, or none  kept, with what can be read: a lost file must not cost a container
 *         folder without a slot               removed (a destruction was cut short) */

#include "bus.h"
#include "container.h"
#include "image.h"
#include "log.h"
#include "manager.h"

#include <stdio.h>

typedef struct Found {
        Folder folder;
        State state;
        bool readable, used;
} Found;

typedef struct Findings {
        Found *found;
        size_t n;
} Findings;

static void findings_done(Findings *f) {
        for (size_t i = 0; i < f->n; i++) {
                free(f->found[i].folder.name);
                state_done(&f->found[i].state);
        }
        free(f->found);
}

static int findings_read(Manager *m, Findings *ret) {
        Findings f = {};
        Folder *folders;
        size_t n;
        int r;

        r = state_list(m->root, &folders, &n);
        if (r < 0)
                return r;
        f.found = calloc(n + 1, sizeof(Found));
        if (!f.found) {
                folders_free(folders, n);
                return -ENOMEM;
        }
        for (size_t i = 0; i < n; i++) {
                Found *x = &f.found[f.n++];

                x->folder = folders[i];
                if (x->folder.kind != FOLDER_CONTAINER)
                        continue;
                r = state_read(m->root, x->folder.name, &x->state);
                x->readable = r >= 0;
                if (r < 0)
                        log_error("%s: cannot read its state: %s", x->folder.name, strerror(-r));
        }
        free(folders);
        *ret = f;
        return 0;
}

static Found *find_creation(const Findings *f, const char *creation) {
        for (size_t i = 0; i < f->n; i++)
                if (f->found[i].readable && !f->found[i].used && streq(f->found[i].state.creation, creation))
                        return &f->found[i];
        return NULL;
}

static Found *find_name(const Findings *f, const char *name, FolderKind kind) {
        for (size_t i = 0; i < f->n; i++)
                if (f->found[i].folder.kind == kind && !f->found[i].used && !f->found[i].readable &&
                    streq(f->found[i].folder.name, name))
                        return &f->found[i];
        return NULL;
}

static void publish_when_clean(Manager *m) {
        int r;

        if (m->cleanups > 0 || m->on_bus)
                return;
        r = manager_publish(m);
        if (r < 0) {
                log_error("cannot appear on the bus: %s", strerror(-r));
                (void) sd_event_exit(m->event, r);
        }
}

static void on_cleaned(void *userdata, const EngineError *error) {
        Manager *m = userdata;

        if (error)
                log_error("cannot destroy a container whose creation was cut short: %s",
                          error->message ? error->message : error->error);
        m->cleanups--;
        publish_when_clean(m);
}

static void destroy_half_made(Manager *m, const EngineContainer *e) {
        int r;

        log_warning("%s: its creation was cut short, destroying it", e->name);
        r = engine_destroy(m->engine, e->slot, true, (Done) { on_cleaned, m });
        if (r < 0)
                log_error("%s: cannot destroy it: %s", e->name, strerror(-r));
        else
                m->cleanups++;
}

static int follow_name(Manager *m, const char *folder, const char *name) {
        int r;

        if (streq(folder, name))
                return 0;
        log_warning("%s: is called %s in the store, renaming its folder", folder, name);
        r = state_rename(m->root, folder, name);
        if (r == -ENOTEMPTY || r == -EEXIST) {
                /* Something without a slot has that name: its own would have been found first. */
                (void) state_remove(m->root, name, FOLDER_CONTAINER);
                r = state_rename(m->root, folder, name);
        }
        return r;
}

static void read_config(Manager *m, Container *c) {
        int r = config_read(m->root, c->name, &c->config, &c->config_error);

        if (r >= 0)
                return;
        if (!c->config_error)
                c->config_error = strdup(strerror(-r));
        log_error("%s: cannot read its configuration: %s", c->name, c->config_error ?: "out of memory");
}

static void forget_stale_comments(Container *c) {
        for (size_t i = c->state_file.n_notes; i-- > 0;)
                if (!container_snapshot(c, c->state_file.notes[i].name))
                        (void) state_note(&c->state_file, c->state_file.notes[i].name, "");
}

/* Nothing of ours says what it is: a new folder with nothing in it but the ID. */
static int restore_folder(Manager *m, Container *c, Found *damaged) {
        log_error("%s: its folder is %s, writing it anew", c->name, damaged ? "damaged" : "gone");
        (void) snprintf(c->state_file.creation, sizeof(c->state_file.creation), "%s", c->creation);
        if (damaged) {
                damaged->used = true;
                return state_write(m->root, c->name, &c->state_file);
        }
        (void) state_remove(m->root, c->name, FOLDER_CONTAINER); /* another creation's, which no slot has */
        return state_make(m->root, c->name, &c->config, &c->state_file);
}

static int load_container(Manager *m, const EngineContainer *e, Findings *f) {
        Container *c;
        Found *x;
        int r;

        x = find_creation(f, e->creation_id);
        if (!x && find_name(f, e->name, FOLDER_NEW)) {
                destroy_half_made(m, e);
                return 0;
        }
        r = container_new(m, e, &c);
        if (r < 0)
                return r;
        if (x) {
                x->used = true;
                c->state_file = x->state;
                x->state = (State) {};
                forget_stale_comments(c);
                r = follow_name(m, x->folder.name, c->name);
        } else
                r = restore_folder(m, c, find_name(f, e->name, FOLDER_CONTAINER));
        if (r < 0)
                log_error("%s: cannot bring its folder in line: %s", c->name, strerror(-r));
        read_config(m, c);
        r = manager_add_container(m, c);
        if (r < 0) {
                log_error("%s: the store has it twice", c->name);
                container_free(c);
                return r == -EEXIST ? 0 : r;
        }
        return 0;
}

static void remove_leftovers(Manager *m, const Findings *f) {
        for (size_t i = 0; i < f->n; i++) {
                const Folder *folder = &f->found[i].folder;
                int r;

                if (f->found[i].used || (folder->kind == FOLDER_CONTAINER && manager_container(m, folder->name)))
                        continue;
                log_warning("%s: a folder without a container, removing it", folder->name);
                r = state_remove(m->root, folder->name, folder->kind);
                if (r < 0)
                        log_error("%s: cannot remove a folder without a container: %s", folder->name, strerror(-r));
        }
}

static int load(Manager *m, const EngineContainer *containers, size_t n_containers, const EngineImage *images, size_t n_images) {
        _cleanup_(findings_done) Findings f = {};
        int r;

        r = findings_read(m, &f);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n_containers; i++) {
                r = load_container(m, &containers[i], &f);
                if (r < 0)
                        return r;
        }
        remove_leftovers(m, &f);
        for (size_t i = 0; i < n_images; i++) {
                Image *image;

                r = image_new(m, &images[i], &image);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int on_retry(sd_event_source *source, uint64_t now, void *userdata) {
        Manager *m = userdata;
        int r;

        m->retry = sd_event_source_unref(m->retry);
        r = engine_load(m->engine);
        if (r < 0)
                log_error("cannot ask the store again: %s", strerror(-r));
        return r;
}

void manager_on_loaded(void *userdata, const EngineContainer *containers, size_t n_containers, const EngineImage *images,
                       size_t n_images, const EngineError *error) {
        Manager *m = userdata;
        int r;

        if (m->store_readable)
                return;
        if (error) {
                log_error("cannot read the store: %s", error->message ? error->message : error->error);
                (void) sd_event_add_time_relative(m->event, &m->retry, CLOCK_MONOTONIC, LOAD_RETRY_USEC, 0, on_retry, m);
                publish_when_clean(m);
                return;
        }
        r = load(m, containers, n_containers, images, n_images);
        if (r < 0) {
                log_error("cannot read what there is: %s", strerror(-r));
                (void) sd_event_exit(m->event, r);
                return;
        }
        m->store_readable = true;
        if (m->on_bus) {
                for (size_t i = 0; i < m->n_containers; i++)
                        container_announce(m->containers[i], true);
                LINK_FOREACH(Image, i, &m->images, link)
                        image_announce(i, true);
        }
        publish_when_clean(m);
}
