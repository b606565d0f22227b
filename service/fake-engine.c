/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An engine that touches nothing, for tests of the face: containers are rows in memory and in the file that BERTH_FAKE_STORE
 * names, what is executed runs as berthd's own child. Each call is a line in the file that BERTH_FAKE_LOG names, so that a
 * test sees what was not called as well. Names say what happens: "fail..." fails, "slow..." takes a second, "die..." ends
 * while it starts. The store's first word "error" makes loading fail. Part of tests only. */

#include "engine.h"
#include "list.h"
#include "slot.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>

#define QUICK_USEC 1000U
#define SLOW_USEC 1000000U
#define SNAPSHOTS_MAX 300U

typedef struct Row {
        bool used, busy;
        EngineContainer c;
        EngineSnapshot snapshots[SNAPSHOTS_MAX];
} Row;

typedef struct Program {
        Link link;
        Engine *engine;
        uint32_t slot;
        pid_t pid;
        char id[16];
        sd_event_source *source;
} Program;

struct Engine {
        sd_event *event;
        EngineCallbacks callbacks;
        void *userdata;
        Row rows[64];
        EngineImage images[16];
        size_t n_images;
        Link programs, operations;
        unsigned under_way;
};

struct Warm {
        char verb[16];
};

typedef enum Kind {
        KIND_LOAD,
        KIND_START,
        KIND_STOP,
        KIND_SIGNAL,
        KIND_CREATE,
        KIND_IMPORT,
        KIND_SNAPSHOT,
        KIND_CLONE,
        KIND_DONE, /* whatever answers with Done */
        KIND_EXEC,
} Kind;

/* What has been asked for and is answered from the loop. */
struct Operation {
        Link link;
        Engine *engine;
        Kind kind;
        uint32_t slot;
        const char *error;
        bool cancelled;
        char name[64];
        uid_t owner;
        int signal, fds[3];
        uint64_t ticks;
        Done done;
        void (*started)(void *userdata, pid_t init_pid, const EngineError *error);
        void (*stopped)(void *userdata, bool killed, const EngineError *error);
        void (*created)(void *userdata, const EngineContainer *container, const EngineError *error);
        void (*imported)(void *userdata, const EngineImage *image, uint64_t skipped, const EngineError *error);
        void (*taken)(void *userdata, uint64_t created, const EngineError *error);
        void (*progress)(void *userdata, uint64_t entries, uint64_t bytes);
        void (*executed)(void *userdata, const char *process, pid_t pid, int fds[static 3], const EngineError *error);
        char image[64];
        char program[16];
        pid_t pid;
        sd_event_source *timer;
};

void engine_error_done(EngineError *e) {
        free(e->message);
        *e = (EngineError) {};
}

_printf_(1, 2) static void note(const char *format, ...) {
        const char *path = getenv("BERTH_FAKE_LOG");
        va_list ap;
        FILE *f;

        f = path ? fopen(path, "ae") : NULL;
        if (!f)
                return;
        va_start(ap, format);
        (void) vfprintf(f, format, ap);
        va_end(ap);
        (void) fputc('\n', f);
        (void) fclose(f);
}

static uint64_t now_usec(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_REALTIME, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

static void save(const Engine *e) {
        const char *path = getenv("BERTH_FAKE_STORE");
        FILE *f;

        f = path ? fopen(path, "we") : NULL;
        if (!f)
                return;
        (void) fprintf(f, "store\n");
        for (size_t i = 0; i < ELEMENTSOF(e->rows); i++) {
                const EngineContainer *c = &e->rows[i].c;

                if (!e->rows[i].used)
                        continue;
                (void) fprintf(f, "container %zu %s %u %s %" PRIu64 " %s %d %d\n", i, c->name, c->owner, c->creation_id, c->created,
                               c->image[0] ? c->image : "-", c->running, c->init_pid);
                for (size_t k = 0; k < c->n_snapshots; k++)
                        (void) fprintf(f, "snapshot %zu %s %" PRIu64 "\n", i, c->snapshots[k].name, c->snapshots[k].created);
        }
        for (size_t i = 0; i < e->n_images; i++)
                (void) fprintf(f, "image %s %u %" PRIu64 "\n", e->images[i].name, e->images[i].owner, e->images[i].created);
        (void) fclose(f);
}

static void row_fill(Row *row, uint32_t slot, const char *name, uid_t owner, const char *creation, uint64_t created,
                     const char *image) {
        *row = (Row) { .used = true,
                       .c = { .slot = slot, .name = strdup(name), .owner = owner, .creation_id = strdup(creation), .created = created,
                              .image = strdup(image), .range_base = 100000 + slot * RANGE_SIZE, .range_size = RANGE_SIZE } };
        row->c.snapshots = row->snapshots;
}

static bool restore(Engine *e) {
        const char *path = getenv("BERTH_FAKE_STORE");
        char line[512], word[16], name[65], creation[65], image[65];
        unsigned slot, owner;
        int running, pid;
        uint64_t created;
        FILE *f;

        f = path ? fopen(path, "re") : NULL;
        if (!f)
                return true;
        while (fgets(line, sizeof(line), f)) {
                if (strncmp(line, "error", 5) == 0) {
                        (void) fclose(f);
                        return false;
                }
                if (sscanf(line, "container %u %64s %u %64s %" SCNu64 " %64s %d %d", &slot, name, &owner, creation, &created, image,
                           &running, &pid) == 8 && slot < ELEMENTSOF(e->rows)) {
                        row_fill(&e->rows[slot], slot, name, owner, creation, created, streq(image, "-") ? "" : image);
                        e->rows[slot].c.running = running;
                        e->rows[slot].c.init_pid = pid;
                } else if (sscanf(line, "snapshot %u %64s %" SCNu64, &slot, name, &created) == 3 && slot < ELEMENTSOF(e->rows)) {
                        EngineContainer *c = &e->rows[slot].c;

                        c->snapshots[c->n_snapshots++] = (EngineSnapshot) { strdup(name), created };
                } else if (sscanf(line, "image %64s %u %" SCNu64, name, &owner, &created) == 3)
                        e->images[e->n_images++] = (EngineImage) { strdup(name), owner, created, 0 };
                else if (sscanf(line, "%15s", word) == 1 && !streq(word, "store"))
                        abort();
        }
        (void) fclose(f);
        return true;
}

int engine_new(sd_event *event, const EngineCallbacks *callbacks, void *userdata, Engine **ret) {
        Engine *e = calloc(1, sizeof(Engine));
        sigset_t mask;

        if (!e)
                return -ENOMEM;
        e->event = sd_event_ref(event);
        e->callbacks = *callbacks;
        e->userdata = userdata;
        link_init(&e->programs);
        link_init(&e->operations);
        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        *ret = e;
        return 0;
}

static void row_clear(Row *row) {
        free(row->c.name);
        free(row->c.creation_id);
        free(row->c.image);
        for (size_t i = 0; i < row->c.n_snapshots; i++)
                free(row->snapshots[i].name);
        *row = (Row) {};
}

static void program_free(Program *p) {
        link_remove(&p->link);
        sd_event_source_unref(p->source);
        free(p);
}

static void operation_free(Operation *o) {
        link_remove(&o->link);
        sd_event_source_unref(o->timer);
        free(o);
}

static void clear(Engine *e) {
        for (size_t i = 0; i < ELEMENTSOF(e->rows); i++)
                row_clear(&e->rows[i]);
        for (size_t i = 0; i < e->n_images; i++)
                free(e->images[i].name);
        e->n_images = 0;
}

Engine *engine_free(Engine *e) {
        if (!e)
                return NULL;
        while (!link_is_alone(&e->programs))
                program_free(LINK_ENTRY(e->programs.next, Program, link));
        while (!link_is_alone(&e->operations))
                operation_free(LINK_ENTRY(e->operations.next, Operation, link));
        clear(e);
        sd_event_unref(e->event);
        free(e);
        return NULL;
}

bool engine_is_idle(Engine *e) {
        if (e->under_way > 0)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(e->rows); i++)
                if (e->rows[i].used && e->rows[i].c.running)
                        return false;
        return true;
}

Warm *engine_warm(Engine *e, const char *verb) {
        Warm *w = calloc(1, sizeof(Warm));

        note("warm %s", verb);
        if (w)
                (void) snprintf(w->verb, sizeof(w->verb), "%s", verb);
        return w;
}

Warm *warm_free(Warm *w) {
        free(w);
        return NULL;
}

static int finish(sd_event_source *source, uint64_t now, void *userdata);

static int begin(Engine *e, const Operation *template, Operation **ret) {
        bool slow = strncmp(template->name, "slow", 4) == 0;
        Operation *o = malloc(sizeof(Operation));

        if (!o)
                return -ENOMEM;
        *o = *template;
        o->engine = e;
        link_init(&o->link);
        link_append(&e->operations, &o->link);
        if (strncmp(o->name, "fail", 4) == 0 && o->kind != KIND_LOAD)
                o->error = "HelperFailed";
        e->under_way++;
        if (ret)
                *ret = o;
        return sd_event_add_time_relative(e->event, &o->timer, CLOCK_MONOTONIC, slow ? SLOW_USEC / 10 : QUICK_USEC, 1, finish, o);
}

static int begin_on(Engine *e, uint32_t slot, const Operation *template, Operation **ret) {
        Row *row = slot < ELEMENTSOF(e->rows) ? &e->rows[slot] : NULL;
        Operation o = *template;
        int r;

        if (!row || !row->used)
                return -EINVAL;
        if (row->busy)
                return -EBUSY;
        o.slot = slot;
        if (!o.name[0])
                (void) snprintf(o.name, sizeof(o.name), "%s", row->c.name);
        r = begin(e, &o, ret);
        if (r >= 0)
                row->busy = true;
        return r;
}

static Row *row_new(Engine *e, const char *name, uid_t owner, const char *image) {
        static unsigned serial;
        char creation[40];

        for (uint32_t i = 0; i < ELEMENTSOF(e->rows); i++)
                if (!e->rows[i].used) {
                        (void) snprintf(creation, sizeof(creation), "%08x%08x%016" PRIx64, getpid(), ++serial, now_usec());
                        row_fill(&e->rows[i], i, name, owner, creation, now_usec(), image);
                        return &e->rows[i];
                }
        return NULL;
}

static void finish_load(Operation *o) {
        EngineContainer list[ELEMENTSOF(o->engine->rows)];
        Engine *e = o->engine;
        size_t n = 0;

        clear(e);
        if (!restore(e)) {
                EngineError error = { "HelperFailed", (char *) (void *) "cannot read the store: test" };

                e->callbacks.loaded(e->userdata, NULL, 0, NULL, 0, &error);
                return;
        }
        for (size_t i = 0; i < ELEMENTSOF(e->rows); i++)
                if (e->rows[i].used)
                        list[n++] = e->rows[i].c;
        e->callbacks.loaded(e->userdata, list, n, e->images, e->n_images, NULL);
}

static void stop_row(Engine *e, Row *row, int status, int signal) {
        row->c.running = false;
        row->c.init_pid = 0;
        save(e);
        e->callbacks.container_stopped(e->userdata, row->c.slot, status, signal);
}

static void finish_start(Operation *o, Row *row, const EngineError *error) {
        if (error) {
                o->started(o->done.userdata, 0, error);
                return;
        }
        row->c.running = true;
        row->c.init_pid = 4000 + (pid_t) row->c.slot;
        save(o->engine);
        o->started(o->done.userdata, row->c.init_pid, NULL);
        if (strncmp(row->c.name, "die", 3) == 0)
                stop_row(o->engine, row, 1, 0);
}

static void finish_exec(Operation *o, const EngineError *error) {
        o->executed(o->done.userdata, o->program, o->pid, o->fds, error);
        for (size_t i = 0; i < 3; i++)
                close_fd(o->fds[i]);
}

static void finish_create(Operation *o, const EngineError *error) {
        Row *row = error ? NULL : row_new(o->engine, o->name, o->owner, o->image);

        if (row)
                save(o->engine);
        o->created(o->done.userdata, row ? &row->c : NULL, error);
}

static void finish_import(Operation *o, const EngineError *error) {
        Engine *e = o->engine;

        if (!error) {
                e->images[e->n_images++] = (EngineImage) { strdup(o->name), o->owner, now_usec(), 0 };
                save(e);
        }
        o->imported(o->done.userdata, error ? NULL : &e->images[e->n_images - 1], 2, error);
}

static int finish(sd_event_source *source, uint64_t now, void *userdata) {
        Operation *o = userdata;
        Engine *e = o->engine;
        Row *row = o->slot < ELEMENTSOF(e->rows) ? &e->rows[o->slot] : NULL;
        char sentence[] = "it was told to fail\x01\xff";
        EngineError failure = { o->cancelled ? "Cancelled" : o->error, sentence }, *error = failure.error ? &failure : NULL;

        if (o->ticks < 9 && strncmp(o->name, "slow", 4) == 0 && !o->cancelled) {
                o->ticks++;
                if (o->progress)
                        o->progress(o->done.userdata, o->ticks, o->ticks * 1000);
                (void) sd_event_source_set_time_relative(o->timer, SLOW_USEC / 10);
                return sd_event_source_set_enabled(o->timer, SD_EVENT_ONESHOT);
        }
        if (row)
                row->busy = false;
        e->under_way--;
        switch (o->kind) {
        case KIND_LOAD:
                finish_load(o);
                break;
        case KIND_START:
                finish_start(o, row, error);
                break;
        case KIND_STOP:
                if (!error)
                        stop_row(e, row, 0, o->signal);
                o->stopped(o->done.userdata, o->signal != 0, error);
                break;
        case KIND_SIGNAL:
                o->done.done(o->done.userdata, error);
                if (!error && o->signal == SIGKILL && row->c.running)
                        stop_row(e, row, -1, SIGKILL);
                break;
        case KIND_CREATE:
        case KIND_CLONE:
                finish_create(o, error);
                break;
        case KIND_IMPORT:
                finish_import(o, error);
                break;
        case KIND_SNAPSHOT:
                if (!error)
                        row->c.snapshots[row->c.n_snapshots++] = (EngineSnapshot) { strdup(o->name), now_usec() };
                save(e);
                o->taken(o->done.userdata, now_usec(), error);
                break;
        case KIND_DONE:
                save(e);
                o->done.done(o->done.userdata, error);
                break;
        case KIND_EXEC:
                finish_exec(o, error);
                break;
        }
        operation_free(o);
        if (engine_is_idle(e))
                e->callbacks.idle(e->userdata);
        return 0;
}

int engine_load(Engine *e) {
        return begin(e, &(Operation) { .kind = KIND_LOAD, .slot = SLOT_NONE }, NULL);
}

int engine_start(Engine *e, const StartRequest *request, Warm *warm,
                 void (*done)(void *userdata, pid_t init_pid, const EngineError *error), void *userdata, Operation **ret) {
        note("start %s %s %s %s warm=%d", request->name, request->hostname, request->argv[0], request->cwd, warm != NULL);
        warm_free(warm);
        return begin_on(e, request->slot, &(Operation) { .kind = KIND_START, .started = done, .done.userdata = userdata }, ret);
}

int engine_stop(Engine *e, uint32_t slot, uint64_t timeout, void (*done)(void *userdata, bool killed, const EngineError *error),
                void *userdata, Operation **ret) {
        note("stop %u %" PRIu64, slot, timeout);
        return begin_on(e, slot, &(Operation) { .kind = KIND_STOP, .stopped = done, .done.userdata = userdata,
                                                .signal = timeout == 0 ? SIGKILL : 0 }, ret);
}

int engine_signal(Engine *e, uint32_t slot, int signal, Done done) {
        note("signal %u %d", slot, signal);
        return begin(e, &(Operation) { .kind = KIND_SIGNAL, .slot = slot, .signal = signal, .done = done }, NULL);
}

static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata) {
        Program *p = userdata;
        Engine *e = p->engine;
        bool exited = info->si_code == CLD_EXITED;
        char id[16];
        uint32_t slot = p->slot;

        memcpy(id, p->id, sizeof(id));
        program_free(p);
        e->callbacks.process_exited(e->userdata, slot, id, exited ? info->si_status : -1, exited ? 0 : info->si_status);
        return 0;
}

static int run(Operation *o, const ExecRequest *request) {
        int theirs[3], ours[3] = { -EBADF, -EBADF, -EBADF }, pair[2];
        Program *p = calloc(1, sizeof(Program));
        static unsigned serial;

        for (int i = 0; i < 3; i++) {
                theirs[i] = request->fds[i];
                if (theirs[i] >= 0)
                        continue;
                if (pipe2(pair, O_CLOEXEC) < 0)
                        return -errno;
                theirs[i] = pair[i == 0 ? 0 : 1];
                ours[i] = pair[i == 0 ? 1 : 0];
        }
        o->pid = fork();
        if (o->pid == 0) {
                sigset_t none;

                (void) sigemptyset(&none);
                (void) sigprocmask(SIG_SETMASK, &none, NULL);
                for (int i = 0; i < 3; i++)
                        (void) dup2(theirs[i], i);
                (void) execvpe(request->argv[0], request->argv, request->environment);
                _exit(127);
        }
        for (int i = 0; i < 3; i++) {
                close_fd(theirs[i]);
                o->fds[i] = ours[i];
        }
        *p = (Program) { .engine = o->engine, .slot = o->slot, .pid = o->pid };
        (void) snprintf(p->id, sizeof(p->id), "%u", ++serial);
        memcpy(o->program, p->id, sizeof(o->program));
        link_init(&p->link);
        link_append(&o->engine->programs, &p->link);
        return sd_event_add_child(o->engine->event, &p->source, o->pid, WEXITED, on_child, p);
}

int engine_exec(Engine *e, const ExecRequest *request,
                void (*done)(void *userdata, const char *process, pid_t pid, int fds[static 3], const EngineError *error), void *userdata) {
        Operation *o;
        int r;

        note("exec %u %s user=%u terminal=%d cwd=%s", request->slot, request->argv[0], request->user, request->terminal, request->cwd);
        r = begin(e, &(Operation) { .kind = KIND_EXEC, .slot = SLOT_NONE, .executed = done, .done.userdata = userdata,
                                    .fds = { -EBADF, -EBADF, -EBADF } }, &o);
        if (r < 0)
                return r;
        o->slot = request->slot;
        if (streq(request->argv[0], "/nonexistent"))
                o->error = "NotFound";
        else
                r = run(o, request);
        o->slot = SLOT_NONE;
        return r;
}

static Program *program_find(Engine *e, const char *process) {
        LINK_FOREACH(Program, p, &e->programs, link)
                if (streq(p->id, process))
                        return p;
        return NULL;
}

int engine_process_signal(Engine *e, uint32_t slot, const char *process, int signal, Done done) {
        Program *p = program_find(e, process);

        note("process-signal %u %s %d", slot, process, signal);
        if (p)
                (void) kill(p->pid, signal);
        return begin(e, &(Operation) { .kind = KIND_DONE, .slot = SLOT_NONE, .done = done }, NULL);
}

int engine_process_resize(Engine *e, uint32_t slot, const char *process, unsigned rows, unsigned columns, Done done) {
        note("process-resize %u %s %u %u", slot, process, rows, columns);
        return begin(e, &(Operation) { .kind = KIND_DONE, .slot = SLOT_NONE, .done = done }, NULL);
}

static void copy_name(char to[static 64], const char *from) {
        (void) snprintf(to, 64, "%s", from ? from : "");
}

int engine_create(Engine *e, const char *name, uid_t owner, const char *image, int archive,
                  void (*progress)(void *userdata, uint64_t entries, uint64_t bytes),
                  void (*done)(void *userdata, const EngineContainer *container, const EngineError *error), void *userdata,
                  Operation **ret) {
        Operation o = { .kind = KIND_CREATE, .slot = SLOT_NONE, .owner = owner, .progress = progress, .created = done,
                        .done.userdata = userdata };

        note("create %s %u %s archive=%d", name, owner, image ? image : "-", archive >= 0);
        close_fd(archive);
        copy_name(o.name, name);
        copy_name(o.image, image);
        return begin(e, &o, ret);
}

int engine_import(Engine *e, const char *name, uid_t owner, int archive, void (*progress)(void *userdata, uint64_t entries, uint64_t bytes),
                  void (*done)(void *userdata, const EngineImage *image, uint64_t skipped, const EngineError *error), void *userdata,
                  Operation **ret) {
        Operation o = { .kind = KIND_IMPORT, .slot = SLOT_NONE, .owner = owner, .progress = progress, .imported = done,
                        .done.userdata = userdata };

        note("import %s %u", name, owner);
        close_fd(archive);
        copy_name(o.name, name);
        return begin(e, &o, ret);
}

int engine_remove_image(Engine *e, const char *name, Done done) {
        note("remove-image %s", name);
        for (size_t i = 0; i < e->n_images; i++)
                if (streq(e->images[i].name, name)) {
                        free(e->images[i].name);
                        e->images[i] = e->images[--e->n_images];
                        break;
                }
        return begin(e, &(Operation) { .kind = KIND_DONE, .slot = SLOT_NONE, .done = done }, NULL);
}

int engine_snapshot(Engine *e, uint32_t slot, const char *snapshot,
                    void (*done)(void *userdata, uint64_t created, const EngineError *error), void *userdata) {
        Operation o = { .kind = KIND_SNAPSHOT, .taken = done, .done.userdata = userdata };

        note("snapshot %u %s", slot, snapshot);
        copy_name(o.name, snapshot);
        return begin_on(e, slot, &o, NULL);
}

int engine_restore(Engine *e, uint32_t slot, const char *snapshot, Done done) {
        note("restore %u %s", slot, snapshot);
        return begin_on(e, slot, &(Operation) { .kind = KIND_DONE, .done = done }, NULL);
}

int engine_remove_snapshot(Engine *e, uint32_t slot, const char *snapshot, Done done) {
        EngineContainer *c = &e->rows[slot].c;

        note("remove-snapshot %u %s", slot, snapshot);
        for (size_t i = 0; i < c->n_snapshots; i++)
                if (streq(c->snapshots[i].name, snapshot)) {
                        free(c->snapshots[i].name);
                        c->n_snapshots--;
                        memmove(&c->snapshots[i], &c->snapshots[i + 1], (c->n_snapshots - i) * sizeof(EngineSnapshot));
                        break;
                }
        return begin_on(e, slot, &(Operation) { .kind = KIND_DONE, .done = done }, NULL);
}

int engine_clone(Engine *e, uint32_t slot, const char *snapshot, const char *name, uid_t owner,
                 void (*done)(void *userdata, const EngineContainer *container, const EngineError *error), void *userdata) {
        Operation o = { .kind = KIND_CLONE, .owner = owner, .created = done, .done.userdata = userdata };

        note("clone %u %s %s %u", slot, snapshot ? snapshot : "-", name, owner);
        copy_name(o.name, name);
        copy_name(o.image, e->rows[slot].c.image);
        return begin_on(e, slot, &o, NULL);
}

int engine_rename(Engine *e, uint32_t slot, const char *old_name, const char *name, Done done) {
        Operation o = { .kind = KIND_DONE, .done = done };

        note("rename %s %s", old_name, name);
        copy_name(o.name, name);
        if (strncmp(name, "fail", 4) != 0) {
                free(e->rows[slot].c.name);
                e->rows[slot].c.name = strdup(name);
        }
        return begin_on(e, slot, &o, NULL);
}

int engine_destroy(Engine *e, uint32_t slot, bool snapshots, Done done) {
        int r;

        note("destroy %s %d", e->rows[slot].c.name, snapshots);
        r = begin_on(e, slot, &(Operation) { .kind = KIND_DONE, .done = done }, NULL);
        if (r >= 0 && strncmp(e->rows[slot].c.name, "fail", 4) != 0)
                row_clear(&e->rows[slot]);
        return r;
}

void operation_cancel(Operation *o) {
        note("cancel %s", o->name);
        o->cancelled = true;
        (void) sd_event_source_set_time_relative(o->timer, 0);
        (void) sd_event_source_set_enabled(o->timer, SD_EVENT_ONESHOT);
}
