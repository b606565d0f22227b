/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What berthd finds when it begins: the store's list, and for each thing in it a supervisor that runs on, left-overs of one
 * that does not, or nothing. Running containers are taken over as they are. Whatever was half done when the last berthd
 * ended is undone: containers that were not started to the end, images and containers not sealed, trash jobs. A
 * supervisor that nobody knows is killed.
 *
 * A supervisor is what the kernel says it is (the user that called listen() is the slot's), and a container is the one that
 * the store says it is (creation ID); neither by its own word alone. */

#include "adopt.h"
#include "cgroup-tree.h"
#include "decode.h"
#include "errors.h"
#include "life.h"
#include "mutation.h"
#include "records.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#define PROCESSES_MAX 1024U

/* One thing to look at. */
typedef struct Find {
        TAILQ_ENTRY(Find) list;
        Load *load;
        const Record *record; /* NULL: the store knows nothing of it */
        Life *life;
        bool adopted;
        Request *request;
} Find;

struct Load {
        Engine *engine;
        Request *request;
        Records records;
        CgroupTree cgroups;
        bool found[SLOTS_MAX];
        TAILQ_HEAD(, Find) finds;
        unsigned pending;
};

static void find_free(Find *f) {
        TAILQ_REMOVE(&f->load->finds, f, list);
        request_free(f->request);
        life_free(f->life);
        free(f);
}

Load *load_free(Load *l) {
        if (!l)
                return NULL;

        while (!TAILQ_EMPTY(&l->finds))
                find_free(TAILQ_FIRST(&l->finds));
        request_free(l->request);
        records_done(&l->records);
        cgroup_tree_close(&l->cgroups);
        free(l);
        return NULL;
}

/* The end: tell, then watch */

static void load_fail(Load *l, const char *why) {
        Engine *e = l->engine;
        EngineError error = {};

        error_sentence(&error, "HelperFailed", "cannot read the store: %s", why);
        e->load = load_free(l);
        e->callbacks.loaded(e->userdata, NULL, 0, NULL, 0, &error);
        engine_error_done(&error);
}

static bool record_is_container(const Record *r) {
        return streq(r->kind, "container") && r->sealed;
}

/* Sealed containers come first, in place. */
static size_t load_containers(Load *l, EngineContainer **ret) {
        EngineContainer *containers;
        Find *f;
        size_t n = 0;

        containers = calloc(l->records.n_records + 1, sizeof(EngineContainer));
        if (!containers)
                return 0;
        for (size_t i = 0; i < l->records.n_records; i++)
                if (record_is_container(&l->records.records[i])) {
                        containers[n] = l->records.records[i].container; /* borrows its strings */
                        TAILQ_FOREACH(f, &l->finds, list)
                                if (f->record == &l->records.records[i] && f->adopted) {
                                        containers[n].running = true;
                                        containers[n].init_pid = f->life->init;
                                }
                        n++;
                }

        *ret = containers;
        return n;
}

static void load_finish(Load *l) {
        Engine *e = l->engine;
        EngineContainer *containers = NULL;
        size_t n;
        Find *f;

        if (l->pending > 0)
                return;

        n = load_containers(l, &containers);
        if (!containers)
                return load_fail(l, "out of memory");

        e->load = NULL;
        e->loaded = true;
        e->callbacks.loaded(e->userdata, containers, n, l->records.images, l->records.n_images, NULL);
        TAILQ_FOREACH(f, &l->finds, list)
                if (f->adopted)
                        life_run(TAKE_PTR(f->life));
        if (l->records.trash)
                trash_want(e);
        free(containers);
        load_free(l);
        engine_look_idle(e);
}

static void find_done(Find *f) {
        f->load->pending--;
        load_finish(f->load);
}

/* Undoing what was half done */

static void on_undone(void *userdata, unsigned tag, Answer *a) {
        Find *f = userdata;

        f->request = NULL;
        if (a->error)
                engine_log("slot %" PRIu32 ": cannot undo the making of %s %s: %s (%s)", f->record->container.slot,
                           f->record->kind, f->record->container.name, a->error, a->detail);
        else
                slot_pool_give(&f->load->engine->pool, f->record->container.slot);
        f->load->records.trash = true;
        find_done(f);
}

static void on_removed(void *userdata, int result) {
        Find *f = userdata;
        Engine *e = f->load->engine;
        bool trash = f->record && streq(f->record->kind, "trash");
        json_t *parameters;

        if (result < 0 || !f->record || record_is_container(f->record)) {
                if (result >= 0 && !f->record)
                        slot_pool_give(&e->pool, f->life->slot.number);
                return find_done(f);
        }

        parameters = json_pack("{s:I}", "slot", (json_int_t) f->record->container.slot);
        if (parameters && !trash)
                json_object_set_new(parameters, "snapshots", json_true());
        if (request_again(e, trash ? STORAGE_RELEASE_TRASH : STORAGE_DESTROY, parameters, on_undone, f, 0, &f->request) < 0)
                find_done(f);
}

static void find_remove(Find *f) {
        f->life->spawned = true;
        life_end(f->life, true, on_removed, f);
}

/* Asking a supervisor who it is */

typedef struct State {
        const char *state, *name, *creation_id;
        bool worker;
        uint64_t pid;
        int pidfd, userns, netns;
        json_t *processes;
} State;

static void add_processes(Find *f, json_t *processes, Answer *a) {
        struct Raw {
                const char *process;
                uint64_t pid;
        };
        static const Field fields[] = {
                { "process", FIELD_STRING, offsetof(struct Raw, process), 0, 1, PROCESS_NAME_MAX },
                { "pid", FIELD_UNSIGNED, offsetof(struct Raw, pid), 0, 0, INT32_MAX },
                {},
        };

        for (size_t i = 0; i < json_array_size(processes); i++) {
                struct Raw raw = {};
                const char *field;

                if (decode(json_array_get(processes, i), fields, a->reply->message, &raw, &field) >= 0)
                        life_add_process(f->life, raw.process);
        }
}

/* Takes the namespace, if it is that of the slot: with it the supervisor can be killed. */
static int state_decode(Find *f, Answer *a, State *ret) {
        static const Field fields[] = {
                { "state", FIELD_STRING, offsetof(State, state), 0, 1, 16 },
                { "name", FIELD_NAME, offsetof(State, name), 0, 0, 0 },
                { "creationID", FIELD_STRING, offsetof(State, creation_id), 0, 0, CREATION_ID_LENGTH },
                { "worker", FIELD_BOOL, offsetof(State, worker), 0, 0, 0 },
                { "pid", FIELD_UNSIGNED, offsetof(State, pid), 0, 0, INT32_MAX },
                { "pidFileDescriptor", FIELD_DESCRIPTOR, offsetof(State, pidfd), FIELD_NULLABLE, 0, 0 },
                { "userNamespaceFileDescriptor", FIELD_DESCRIPTOR, offsetof(State, userns), FIELD_NULLABLE, 0, 0 },
                { "networkNamespaceFileDescriptor", FIELD_DESCRIPTOR, offsetof(State, netns), FIELD_NULLABLE, 0, 0 },
                { "processes", FIELD_ARRAY, offsetof(State, processes), 0, 0, PROCESSES_MAX },
                {},
        };
        State s = { .pidfd = -EBADF, .userns = -EBADF, .netns = -EBADF };
        const char *field;
        int r;

        r = decode(a->reply->parameters, fields, a->reply->message, &s, &field);
        (void) close_fd(s.netns);
        (void) close_fd(s.pidfd);
        if (s.userns >= 0 && life_owns(f->life, s.userns))
                f->life->namespace[1] = s.userns;
        else
                (void) close_fd(s.userns);

        *ret = s;
        return r < 0 ? r : decode_check_descriptors(a->reply->message);
}

static bool state_fits(Find *f, const State *s) {
        return f->record && record_is_container(f->record) && !s->worker && f->life->namespace[1] >= 0 &&
               (streq(s->state, "running") || streq(s->state, "stopping")) &&
               streq(s->name, f->record->container.name) && streq(s->creation_id, f->record->container.creation_id);
}

static void on_state(void *userdata, unsigned tag, Answer *a) {
        Find *f = userdata;
        State s;

        f->request = NULL;
        if (a->error || state_decode(f, a, &s) < 0 || (!MUTATION(engine_adopt) && !state_fits(f, &s))) {
                engine_log("slot %" PRIu32 ": what runs as %s is not taken over (%s), removing it", f->life->slot.number,
                           f->life->folder, a->error ?: "it is not what the store says");
                return find_remove(f);
        }

        f->life->spawned = true;
        f->life->init = (pid_t) s.pid;
        add_processes(f, s.processes, a);
        f->adopted = true;
        find_done(f);
}

static int find_new(Load *l, uint32_t slot, const char *folder, const Record *record, Find **ret) {
        Find *f;
        int r;

        f = calloc(1, sizeof(Find));
        if (!f)
                return -ENOMEM;
        *f = (Find) { .load = l, .record = record };
        TAILQ_INSERT_TAIL(&l->finds, f, list);
        r = life_new(l->engine, slot, folder, &f->life);
        if (r < 0) {
                find_free(f);
                return r;
        }

        slot_pool_reserve(&l->engine->pool, slot);
        l->found[slot] = true;
        l->pending++;
        *ret = f;
        return 0;
}

static int find_ask(Find *f) {
        char path[LIFE_PATH_MAX];
        RequestTarget target;
        int r;

        life_path(f->life->folder, path);
        r = wire_new(f->load->engine->event, path, f->life->slot.supervisor, &f->life->wire);
        if (r < 0)
                return r;
        target = (RequestTarget) { .wire = f->life->wire };
        return request_new(f->load->engine, SUPERVISOR_GET_STATE, &target, NULL, NULL, 0, on_state, f, 0, &f->request);
}

/* What there is to be looked at */

static bool socket_is_there(const char *folder) {
        char path[LIFE_PATH_MAX];
        struct stat st;

        life_path(folder, path);
        return lstat(path, &st) >= 0 && S_ISSOCK(st.st_mode);
}

static bool slot_has_leftovers(Load *l, uint32_t slot) {
        return slot_is_locked(l->engine->locks, slot) || cgroup_tree_has_slot(&l->cgroups, slot) > 0;
}

static int look_at_record(Load *l, const Record *record) {
        uint32_t slot = record->container.slot;
        char folder[24];
        const char *name;
        Find *f;
        int r;

        slot_pool_reserve(&l->engine->pool, slot);
        life_folder_of_slot(slot, folder);
        name = record_is_container(record) ? record->container.name : folder;
        if (record_is_container(record) && !socket_is_there(name) && !slot_has_leftovers(l, slot))
                return 0;

        r = find_new(l, slot, name, record, &f);
        if (r < 0)
                return r;
        if (socket_is_there(name))
                return find_ask(f);
        find_remove(f);
        return 0;
}

/* A socket that belongs to nothing in the store: whoever listens there says by its user which slot it holds. */
static int look_at_stray(Load *l, const char *folder) {
        char path[LIFE_PATH_MAX];
        Wire *wire = NULL;
        uid_t uid;
        Slot slot;
        Find *f;
        int r;

        life_path(folder, path);
        r = wire_new(l->engine->event, path, UID_ANY, &wire);
        if (r < 0)
                return r;
        r = wire_peer(wire, &uid);
        if (r >= 0)
                r = slot_by_supervisor(&l->engine->table, uid, &slot);
        wire_free(wire);
        if (r < 0 || l->found[slot.number]) {
                (void) unlink(path);
                *strrchr(path, '/') = 0;
                (void) rmdir(path);
                return 0;
        }

        engine_log("slot %" PRIu32 ": a supervisor of %s runs that the store does not know", slot.number, folder);
        r = find_new(l, slot.number, folder, NULL, &f);
        return r < 0 ? r : find_ask(f);
}

static bool folder_is_known(Load *l, const char *folder) {
        Find *f;

        TAILQ_FOREACH(f, &l->finds, list)
                if (streq(f->life->folder, folder))
                        return true;

        return false;
}

static int look_at_folders(Load *l) {
        struct dirent *entry;
        DIR *d;
        int r = 0;

        d = opendir(RUN_CONTAINERS);
        if (!d)
                return 0; /* nothing has run since boot */
        while (r >= 0 && (entry = readdir(d)))
                if (!streq(entry->d_name, ".") && !streq(entry->d_name, "..") && socket_is_there(entry->d_name) &&
                    !folder_is_known(l, entry->d_name))
                        r = look_at_stray(l, entry->d_name);

        (void) closedir(d);
        return r;
}

static int look_at_slots(Load *l) {
        char folder[24];
        Find *f;
        int r;

        for (uint32_t slot = 0; slot < l->engine->table.slots; slot++) {
                if (l->found[slot] || cgroup_tree_has_slot(&l->cgroups, slot) <= 0)
                        continue;
                life_folder_of_slot(slot, folder);
                r = find_new(l, slot, folder, NULL, &f);
                if (r < 0)
                        return r;
                find_remove(f);
        }

        return 0;
}

static int load_look(Load *l) {
        Engine *e = l->engine;
        uint32_t start = 0;
        int r = 0;

        if (getrandom(&start, sizeof(start), GRND_NONBLOCK) < 0)
                start = 0;
        slot_pool_init(&e->pool, e->table.slots, start, e->locks);
        (void) cgroup_tree_open(&l->cgroups); /* none: nothing is left there, and Prepare will say why nothing starts */

        for (size_t i = 0; r >= 0 && i < l->records.n_records; i++)
                r = look_at_record(l, &l->records.records[i]);
        if (r >= 0)
                r = look_at_folders(l);
        if (r >= 0)
                r = look_at_slots(l);
        return r;
}

/* The list */

static int load_list(Load *l);

static void on_list(void *userdata, unsigned tag, Answer *a) {
        Load *l = userdata;
        int r;

        l->request = NULL;
        if (a->error)
                return load_fail(l, a->error);
        r = records_add(&l->records, &l->engine->table, a);
        if (r >= 0 && l->records.more)
                r = load_list(l);
        else if (r >= 0) {
                l->pending++; /* until all have been looked at */
                r = load_look(l);
                l->pending--;
                if (r >= 0)
                        return load_finish(l);
        }
        if (r < 0)
                load_fail(l, r == -ENOMEM ? "out of memory" : "its list makes no sense");
}

static int load_list(Load *l) {
        return request_new(l->engine, STORAGE_LIST, NULL, records_call(&l->records), NULL, 0, on_list, l, 0, &l->request);
}

int engine_load(Engine *e) {
        Load *l;
        int r;

        if (e->loaded)
                return -EALREADY;
        if (e->load)
                return -EINPROGRESS;

        if (e->locks < 0)
                e->locks = open("/run/berth/slots", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        l = calloc(1, sizeof(Load));
        if (!l)
                return -ENOMEM;
        l->engine = e;
        for (size_t i = 0; i < HIERARCHIES_MAX; i++)
                l->cgroups.hierarchies[i].root = -EBADF;
        TAILQ_INIT(&l->finds);
        r = load_list(l);
        if (r < 0) {
                load_free(l);
                return r;
        }

        e->load = l;
        return 0;
}
