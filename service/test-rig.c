/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the tests of the engine share: callbacks that note what they were told, and the operations that they begin. */

#include "test-rig.h"

#include <dirent.h>
#include <fcntl.h>

sd_event *event;
Engine *engine;
Got got;

static void note(const EngineError *error) {
        check(!got.done);
        got.done = true;
        (void) snprintf(got.error, sizeof(got.error), "%s", error ? error->error : "");
        (void) snprintf(got.message, sizeof(got.message), "%s", error && error->message ? error->message : "");
}

void on_done(void *userdata, const EngineError *error) {
        note(error);
}

void on_started(void *userdata, pid_t pid, const EngineError *error) {
        got.pid = pid;
        note(error);
}

void on_stop(void *userdata, bool killed, const EngineError *error) {
        got.killed = killed;
        note(error);
}

void on_created(void *userdata, uint64_t created, const EngineError *error) {
        got.created = created;
        note(error);
}

void on_container(void *userdata, const EngineContainer *c, const EngineError *error) {
        check(!c == !!error);
        got.slot = c ? c->slot : SLOT_NONE;
        if (c)
                check(streq(c->creation_id, WORLD_ID) && c->created == 1234567 && c->range_size == 65536);
        note(error);
}

void on_image(void *userdata, const EngineImage *i, uint64_t skipped, const EngineError *error) {
        check(!i == !!error);
        got.skipped = skipped;
        note(error);
}

void on_exec(void *userdata, const char *process, pid_t pid, int fds[static 3], const EngineError *error) {
        (void) snprintf(got.process, sizeof(got.process), "%s", process ?: "");
        for (int i = 0; i < 3; i++)
                got.fds[i] = TAKE_FD(fds[i]);
        note(error);
}

void on_progress(void *userdata, uint64_t entries, uint64_t bytes) {
        check(entries * 1000 == bytes);
        got.progress++;
}

static void cb_loaded(void *userdata, const EngineContainer *containers, size_t n, const EngineImage *images, size_t n_images,
                      const EngineError *error) {
        got.loaded = true;
        got.n_containers = n;
        got.n_images = n_images;
        got.first = n > 0 ? containers[0] : (EngineContainer) {};
        (void) snprintf(got.error, sizeof(got.error), "%s", error ? error->error : "");
}

static void cb_stopped(void *userdata, uint32_t slot, int status, int sig) {
        check(!got.stopped);
        got.stopped = true;
        got.slot = slot;
        got.status = status;
        got.signal = sig;
}

static void cb_exited(void *userdata, uint32_t slot, const char *process, int status, int sig) {
        if (*got.process)
                check(streq(process, got.process));
        got.exited++;
        got.exit_status = status;
        got.exit_signal = sig;
}

static void cb_idle(void *userdata) {
        got.idle = true;
}

const EngineCallbacks callbacks = { cb_loaded, cb_stopped, cb_exited, cb_idle };

unsigned count(const char *path) {
        struct dirent *e;
        unsigned n = 0;
        DIR *d;

        d = opendir(path);
        check(d);
        while ((e = readdir(d)))
                n += e->d_name[0] != '.' || e->d_name[1] == 's';
        closedir(d);
        return n;
}

uint64_t now(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

void settle(void) {
        run_until(engine->operations == 0 && world_connections() == 0);
        while (sd_event_run(event, 2000) > 0)
                ;
}

void check_calls(const char *what, const char *expected) {
        const char *calls = world_calls();

        if (!streq(calls, expected)) {
                (void) fprintf(stderr, "%s\n  expected %s\n  but got  %s\n", what, expected, calls);
                exit(EXIT_FAILURE);
        }
}

void begin(void) {
        memset(&got, 0, sizeof(got));
        got.slot = SLOT_NONE;
}

void load_only(void) {
        (void) world_calls();
        begin();
        check_equal(engine_new(event, &callbacks, NULL, &engine), 0);
        engine->lock_timeout = 10 * DEADLINE;
        check_equal(engine_load(engine), 0);
        check(!got.loaded);
        run_until(got.loaded);
        check_good();
}

void load(void) {
        load_only();
        (void) world_calls();
        begin();
}

/* Without an engine. */
void run_until_free(void) {
        run_until(world_connections() == 0);
        while (sd_event_run(event, 2000) > 0)
                ;
}

int start_try(uint32_t slot, Operation **ret) {
        static char *const argv[] = { (char *) "/sbin/init", NULL }, *const environment[] = { (char *) "A=b", NULL };

        return engine_start(engine, &(StartRequest) { slot, "web1", WORLD_ID, "web1", argv, environment, "/" }, NULL,
                            on_started, NULL, ret);
}

void start(uint32_t slot) {
        begin();
        check_equal(start_try(slot, NULL), 0);
        check(!got.done);
        run_until(got.done);
        if (*got.error)
                (void) fprintf(stderr, "%s: %s\n", got.error, got.message);
        check_good();
        run_until(strstr(world_peek(), "Watch"));
        (void) world_calls();
}

void stop(uint32_t slot) {
        begin();
        check_equal(engine_stop(engine, slot, 0, on_stop, NULL, NULL), 0);
        run_until(got.done && got.stopped);
        check_good();
        (void) world_calls();
}

/* The pool gives this one next. */
static void only_slot(uint32_t slot) {
        SlotPool *p = &engine->pool;

        for (uint32_t i = 0; i < p->n; i++)
                if (p->queue[(p->first + i) % p->slots] == slot) {
                        p->queue[(p->first + i) % p->slots] = p->queue[p->first];
                        p->queue[p->first] = slot;
                        return;
                }
        check(!"slot is free");
}

int do_start(void) {
        return start_try(3, NULL);
}

int archive(void) {
        int fds[2];

        check(pipe2(fds, O_CLOEXEC) >= 0);
        close(fds[1]);
        return fds[0];
}

int do_create(void) {
        only_slot(3);
        return engine_create(engine, "new", 1000, NULL, archive(), on_progress, on_container, NULL, NULL);
}

int do_import(void) {
        only_slot(3);
        return engine_import(engine, "new", 1000, archive(), on_progress, on_image, NULL, NULL);
}

int do_create_from_image(void) {
        only_slot(3);
        return engine_create(engine, "new", 1000, "busybox", -EBADF, NULL, on_container, NULL, NULL);
}

int do_clone(void) {
        only_slot(3);
        return engine_clone(engine, 5, "snap0", "new", 1000, on_container, NULL);
}

/* Nothing is left of it. */
void check_clean(const char *what, unsigned fds) {
        unsigned n;

        settle();
        run_until(!world_supervisor(3));
        n = count("/proc/self/fd");
        if (n != fds || count("/run/berth/containers") != 0 || engine->lives != 0 || engine->slots[3].operation) {
                (void) fprintf(stderr, "%s: %u descriptors, were %u; %u folders; %u lives\n", what, n, fds,
                               count("/run/berth/containers"), engine->lives);
                exit(EXIT_FAILURE);
        }
        for (Peer p = 0; p < _PEER_HELPERS; p++)
                check_equal(engine->requests.gates[p].active, 0);
        for (uint32_t i = 0; i < 3; i++)
                check_equal(engine->pool.used[3], 0);
}

