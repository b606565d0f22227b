/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The engine against a world of played helpers: every operation well, supervisors that end or lie, what an earlier berthd has
 * left. How operations fail is in test-failures.c. */

#include "test-rig.h"

#include <fcntl.h>
#include <signal.h>

/* Good ends */

static void test_life(void) {
        unsigned fds;

        settle();
        fds = count("/proc/self/fd");
        begin();
        check_equal(start_try(3, NULL), 0);
        check_equal(start_try(3, NULL), -EBUSY);
        run_until(got.done);
        check_good();
        check(got.pid > 1 && engine->slots[3].life);
        run_until(strstr(world_peek(), "Watch"));
        check(strncmp(world_calls(), CREATED, strlen(CREATED)) == 0);
        check(!engine_is_idle(engine));

        begin();
        check_equal(start_try(3, NULL), 0);
        run_until(got.done);
        check(streq(got.error, "Running"));
        check(strstr(got.message, "cannot start web1: it is running"));
        begin();
        check_equal(engine_snapshot(engine, 3, "snap0", on_created, NULL), 0);
        run_until(got.done);
        check(streq(got.error, "Running"));
        check_calls("refused", "");

        /* Its end, by itself. */
        begin();
        check_equal(engine_signal(engine, 3, SIGTERM, (Done) { on_done, NULL }), 0);
        run_until(got.stopped && got.done);
        check(got.slot == 3 && got.status == -1 && got.signal == SIGTERM);
        check(!got.killed);
        check_calls("end", "Signal " GONE);
        check_clean("life", fds);
        run_until(got.idle);
        check(engine_is_idle(engine));

        begin();
        check_equal(engine_stop(engine, 3, 0, on_stop, NULL, NULL), 0);
        run_until(got.done);
        check(streq(got.error, "NotRunning"));
        begin();
        check_equal(engine_signal(engine, 3, SIGTERM, (Done) { on_done, NULL }), 0);
        run_until(got.done);
        check(streq(got.error, "NotRunning"));
}

/* What an earlier life has left is removed, once. */
static void test_left_overs(void) {
        world_fault(CGROUP_PREPARE, FAULT_BUSY);
        begin();
        check_equal(start_try(3, NULL), 0);
        run_until(got.done);
        check_good();
        check(strncmp(world_calls(), PREPARED " " KILL_SLOT " " CREATED, strlen(PREPARED " " KILL_SLOT " " CREATED)) == 0);
        stop(3);
}

static void test_stop(void) {
        Operation *o;

        start(3);
        begin();
        check_equal(engine_stop(engine, 3, 0, on_stop, NULL, NULL), 0);
        run_until(got.done && got.stopped);
        check(got.killed && got.signal == SIGKILL && streq(got.error, ""));
        check_calls("kill", "Signal " GONE);

        start(3);
        begin();
        check_equal(engine_stop(engine, 3, 5000000, on_stop, NULL, NULL), 0);
        run_until(got.done && got.stopped);
        check(!got.killed && got.status == 0 && got.signal == 0);
        check_calls("halt", "Halt " GONE);

        /* Init does not care. */
        start(3);
        begin();
        world_fault(SUPERVISOR_END, FAULT_HANG);
        check_equal(engine_stop(engine, 3, 50000, on_stop, NULL, NULL), 0);
        run_until(got.done && got.stopped);
        check(got.killed && got.signal == SIGKILL);
        world_fault(SUPERVISOR_END, FAULT_NONE);
        check_calls("halt, then kill", "Halt Signal " GONE);

        /* Nor does the supervisor. */
        start(3);
        begin();
        engine->kill_timeout = DEADLINE;
        world_fault(SUPERVISOR_HALT, FAULT_HANG);
        world_fault(SUPERVISOR_SIGNAL, FAULT_HANG);
        check_equal(engine_stop(engine, 3, 50000, on_stop, NULL, NULL), 0);
        run_until(got.done && got.stopped);
        check(got.killed && got.status == -1 && got.signal == 0);
        check_calls("by the cgroup", "Halt Signal " KILL_NS);
        engine->kill_timeout = 5000000;

        start(3);
        begin();
        world_fault(SUPERVISOR_HALT, FAULT_HANG);
        check_equal(engine_stop(engine, 3, 5000000, on_stop, NULL, &o), 0);
        run_until(strstr(world_peek(), "Halt"));
        operation_cancel(o);
        run_until(got.done);
        check(streq(got.error, "Cancelled") && !got.stopped && engine->slots[3].life);
        stop(3);
}

/* The spawner is being restarted, or a helper was killed: what ends or undoes something waits and tries again. */
static void test_away(void) {
        uint64_t end;

        start(3);
        begin();
        check(rename("/run/berth/helpers/cgroup", "/run/berth/helpers/away") >= 0);
        check_equal(engine_stop(engine, 3, 0, on_stop, NULL, NULL), 0);
        end = now() + 100000;
        while (now() < end)
                check(sd_event_run(event, 4000) >= 0);
        check(!got.done && !got.stopped && engine->slots[3].life);
        check(rename("/run/berth/helpers/away", "/run/berth/helpers/cgroup") >= 0);
        run_until(got.done && got.stopped);
        check_good();
        check_calls("away", "Signal " GONE);

        begin();
        world_fault(SUPERVISOR_WORK, FAULT_ERROR);
        world_fault(STORAGE_DESTROY, FAULT_EOF);
        check_equal(do_import(), 0);
        run_until(got.done);
        check(streq(got.error, "HelperFailed") && strstr(world_peek(), FORGET " " FORGET));
        run_until(strstr(world_peek(), "CollectTrash"));
        settle();
        (void) world_calls();
}

/* Supervisors that end or lie. */
static void test_lost(void) {
        start(3);
        begin();
        check(kill(world_supervisor(3), SIGKILL) >= 0);
        run_until(got.stopped);
        check(got.status == -1 && got.signal == 0);
        settle();
        check_calls("killed supervisor", KILL_NS);

        for (Fault f = FAULT_GARBAGE; f <= FAULT_FDS; f++) {
                start(3);
                begin();
                world_fault(SUPERVISOR_WATCH, f);
                check_equal(engine_signal(engine, 3, SIGTERM, (Done) { on_done, NULL }), 0);
                run_until(got.stopped && got.done);
                check(got.status == -1 && got.signal == 0);
                settle();
                check_calls("watch", "Signal " KILL_NS);
        }
}

static unsigned many;

static void on_one_of_many(void *userdata, const EngineError *error) {
        check(!error);
        many++;
}

static void exec_try(int in, int out, int err, bool terminal) {
        static char *const argv[] = { (char *) "/bin/true", NULL };

        begin();
        check_equal(engine_exec(engine, &(ExecRequest) { .slot = 3, .argv = argv, .cwd = "/", .terminal = terminal,
                                                         .fds = { in, out, err } },
                                on_exec, NULL),
                    0);
        check(!got.done);
}

static void exec_close(void) {
        for (int i = 0; i < 3; i++)
                closep(&got.fds[i]);
}

static void test_exec(void) {
        unsigned fds;

        exec_try(-EBADF, -EBADF, -EBADF, false);
        run_until(got.done);
        check(streq(got.error, "NotRunning"));

        start(3);
        fds = count("/proc/self/fd");
        exec_try(-EBADF, -EBADF, -EBADF, false);
        run_until(got.exited);
        check(got.done && streq(got.error, "") && streq(got.process, "p1") && got.exit_status == 7);
        check(got.fds[0] >= 0 && got.fds[1] >= 0 && got.fds[2] >= 0);
        check((fcntl(got.fds[0], F_GETFL) & O_ACCMODE) == O_WRONLY);
        exec_close();

        exec_try(open("/dev/null", O_RDONLY | O_CLOEXEC), -EBADF, open("/dev/null", O_WRONLY | O_CLOEXEC), false);
        run_until(got.exited);
        check_good();
        check(got.fds[0] < 0 && got.fds[1] >= 0 && got.fds[2] < 0);
        exec_close();

        exec_try(-EBADF, -EBADF, -EBADF, true);
        run_until(got.exited);
        check_good();
        check(got.fds[0] < 0 && got.fds[1] >= 0 && got.fds[2] < 0);
        exec_close();

        for (Fault f = FAULT_ERROR; f < _FAULT_MAX; f++) {
                if (f == FAULT_BUSY || f == FAULT_EOF)
                        continue;
                if (f == FAULT_HANG)
                        engine->timeouts[SUPERVISOR_EXECUTE] = DEADLINE;
                world_fault(SUPERVISOR_EXECUTE, f);
                exec_try(open("/dev/null", O_RDONLY | O_CLOEXEC), -EBADF, -EBADF, false);
                run_until(got.done);
                check(streq(got.error, f == FAULT_HANG ? "TimedOut" : "HelperFailed"));
                check(got.fds[0] < 0 && got.fds[1] < 0 && got.fds[2] < 0 && engine->slots[3].life->asking == 0);
                engine->timeouts[SUPERVISOR_EXECUTE] = method_table[SUPERVISOR_EXECUTE].timeout;
        }
        /* Many at once: some wait for others, all are done. */
        begin();
        for (unsigned i = 0; i < 40; i++)
                check_equal(engine_process_signal(engine, 3, "p9", 15, (Done) { on_one_of_many, NULL }), 0);
        check_equal(engine->slots[3].life->asking, 10);
        run_until(many == 40);
        check_equal(engine->slots[3].life->asking, 0);

        begin();
        check_equal(engine_process_signal(engine, 3, "p9", 15, (Done) { on_done, NULL }), 0);
        run_until(got.done);
        check_good();
        begin();
        check_equal(engine_process_resize(engine, 3, "p9", 24, 80, (Done) { on_done, NULL }), 0);
        run_until(got.done);
        check_good();
        settle();
        check_equal(count("/proc/self/fd"), fds);

        /* Its supervisor dies meanwhile. */
        world_fault(SUPERVISOR_EXECUTE, FAULT_EOF);
        exec_try(-EBADF, -EBADF, -EBADF, false);
        run_until(got.done && got.stopped);
        check(!streq(got.error, ""));
        settle();

        /* Or later: what it had started cannot be mistaken for running. */
        start(3);
        begin();
        life_add_process(engine->slots[3].life, "p8");
        check(kill(world_supervisor(3), SIGKILL) >= 0);
        run_until(got.stopped);
        check(got.exited == 1 && got.exit_status == -1 && got.exit_signal == SIGKILL);
        settle();
        (void) world_calls();
}

static void test_store(void) {
        engine->trash_delay = UINT64_MAX / 4;
        begin();
        check_equal(engine_snapshot(engine, 3, "snap0", on_created, NULL), 0);
        check_equal(engine_destroy(engine, 3, false, (Done) { on_done, NULL }), -EBUSY);
        run_until(got.done);
        check_good();
        check(got.created == 7654321);
        begin();
        check_equal(engine_restore(engine, 3, "snap0", (Done) { on_done, NULL }), 0);
        run_until(got.done);
        begin();
        check_equal(engine_remove_snapshot(engine, 3, "snap0", (Done) { on_done, NULL }), 0);
        run_until(got.done);
        begin();
        check_equal(engine_rename(engine, 3, "web1", "web2", (Done) { on_done, NULL }), 0);
        run_until(got.done);
        begin();
        check_equal(do_clone(), 0);
        run_until(got.done);
        check_good();
        check(got.slot == 3 && engine->pool.used[3]);
        begin();
        check_equal(engine_destroy(engine, 3, true, (Done) { on_done, NULL }), 0);
        run_until(got.done);
        check_good();
        check(!engine->pool.used[3]);
        begin();
        check_equal(engine_remove_image(engine, "busybox", (Done) { on_done, NULL }), 0);
        run_until(got.done);
        check_good();
        settle();
        check_calls("store", "Storage.TakeSnapshot 3 Storage.RestoreSnapshot 3 Storage.RemoveSnapshot 3 Storage.Rename 3 "
                             "Storage.Clone 5 Storage.Destroy 3 Storage.RemoveImage");

        /* A slot that was given back rests. */
        begin();
        check_equal(engine_create(engine, "new", 1000, "busybox", -EBADF, NULL, on_container, NULL, NULL), 0);
        run_until(got.done);
        check_good();
        check(got.slot != 3);
        slot_pool_give(&engine->pool, got.slot);

        begin();
        world_fault(STORAGE_DESTROY, FAULT_BUSY);
        check_equal(engine_destroy(engine, 3, true, (Done) { on_done, NULL }), 0);
        run_until(got.done);
        check(streq(got.error, "Busy") && engine->slots[3].operation == NULL);
        settle();
        (void) world_calls();
}

/* A helper that was killed may have done it before: what may be done twice is, and the rest is undone. */
static void test_store_again(void) {
        begin();
        world_fault(STORAGE_RESTORE_SNAPSHOT, FAULT_EOF);
        check_equal(engine_restore(engine, 3, "snap0", (Done) { on_done, NULL }), 0);
        run_until(got.done);
        check_good();
        begin();
        world_fault(STORAGE_TAKE_SNAPSHOT, FAULT_EOF);
        check_equal(engine_snapshot(engine, 3, "snap1", on_created, NULL), 0);
        run_until(got.done);
        check(streq(got.error, "HelperFailed"));
        begin();
        world_fault(STORAGE_DESTROY, FAULT_EOF);
        check_equal(engine_destroy(engine, 3, true, (Done) { on_done, NULL }), 0);
        run_until(got.done);
        check_good();
        settle();
        check_calls("store again", "Storage.RestoreSnapshot 3 Storage.RestoreSnapshot 3 Storage.TakeSnapshot 3 "
                                   "Storage.RemoveSnapshot 3 Storage.Destroy 3 Storage.Destroy 3");
}

static void test_fill(void) {
        begin();
        check_equal(do_create(), 0);
        run_until(got.done);
        check_good();
        check(got.slot == 3 && got.progress == 3 && engine->pool.used[3]);
        settle();
        check_calls("create", NEW_RECORD " " WORKER " Storage.Seal 3");
        check(count("/run/berth/containers") == 0);
        slot_pool_give(&engine->pool, 3);

        begin();
        check_equal(do_import(), 0);
        run_until(got.done);
        check_good();
        check(got.skipped == 2 && !engine->pool.used[3]);
        settle();
        check_calls("import", NEW_IMAGE " " WORKER " Storage.Seal 3");

        /* Made, but nobody said so: it is found in the list and forgotten. */
        world_list("[{\"slot\":3,\"kind\":\"container\",\"name\":\"new\",\"ownerUID\":1000,\"creationID\":\"" WORLD_ID
                   "\",\"created\":1,\"sealed\":true,\"image\":\"busybox\",\"snapshots\":[]}]",
                   "[]", false);
        begin();
        world_fault(STORAGE_CREATE_CONTAINER, FAULT_EOF);
        check_equal(do_create_from_image(), 0);
        run_until(got.done);
        check(streq(got.error, "HelperFailed"));
        settle();
        check_calls("unsure", NEW_RECORD " Storage.List " FORGET);
        world_list("[]", "[]", false);

        /* All slots taken. */
        for (uint32_t i = 0; i < WORLD_SLOTS; i++)
                slot_pool_reserve(&engine->pool, i);
        begin();
        check_equal(engine_import(engine, "new", 1000, archive(), NULL, on_image, NULL, NULL), 0);
        run_until(got.done);
        check(streq(got.error, "LimitReached"));
        begin();
        check_equal(engine_clone(engine, 5, NULL, "new", 1000, on_container, NULL), 0);
        run_until(got.done);
        check(streq(got.error, "LimitReached"));
        for (uint32_t i = 0; i < WORLD_SLOTS; i++)
                slot_pool_give(&engine->pool, i);
}

/* The calls of a trash job, its slot as N: it takes whichever is next. */
static const char *trash_calls(void) {
        static char calls[1024];

        (void) snprintf(calls, sizeof(calls), "%s", world_calls());
        for (char *c = calls; *c; c++)
                if (*c >= '0' && *c < '0' + (int) WORLD_SLOTS)
                        *c = 'N';
        return calls;
}

static void test_trash(void) {
        static const char all[] = "Storage.CollectTrash N Cgroup.Prepare N Supervisor N Create IdMap.WriteMap nsN Mount.MountTrash nsN "
                                  "Work Cgroup.Remove N Storage.ReleaseTrash N";
        const char *calls;

        engine->trash.timer = sd_event_source_disable_unref(engine->trash.timer);
        engine->trash_delay = 1000;
        world_trash(2);
        trash_want(engine);
        trash_want(engine);
        run_until(!engine->trash.wanted && !engine->trash.operation);
        settle();
        calls = trash_calls();
        if (!streq(calls, all)) {
                (void) fprintf(stderr, "trash: %s\n", calls);
                exit(EXIT_FAILURE);
        }

        trash_want(engine);
        run_until(!engine->trash.wanted && !engine->trash.operation);
        settle();
        check(streq(trash_calls(), "Storage.CollectTrash N"));

        /* It fails, gives back what it had, and tries again. */
        world_trash(2);
        world_fault(SUPERVISOR_WORK, FAULT_ERROR);
        trash_want(engine);
        run_until(engine->trash.failures == 1 && !engine->trash.operation);
        settle();
        calls = trash_calls();
        check(strstr(calls, "Work Cgroup.Kill nsN Cgroup.Remove N Storage.ReleaseTrash N"));
        check(engine_is_idle(engine)); /* waiting for a retry keeps nobody */
        world_trash(2);
        run_until(engine->trash.failures == 0);
        settle();
        check(streq(trash_calls(), all));
}

static void test_warm(void) {
        Warm *w;

        w = engine_warm(engine, "start");
        check(w);
        run_until(world_connections() == 2);
        check_equal(engine->requests.gates[PEER_CGROUP].active, 1);
        warm_more(w, "start-later");
        run_until(world_connections() == 5);
        check_equal(engine->requests.gates[PEER_CGROUP].active, 2);
        check_calls("warm", "");
        w = warm_free(w);
        run_until(world_connections() == 0);
        check_equal(engine->requests.gates[PEER_CGROUP].active, 0);

        w = engine_warm(engine, "start");
        run_until(world_connections() == 2);
        world_hang_up(); /* the spawner's deadline came first */
        begin();
        check_equal(engine_start(engine, &(StartRequest) { 3, "web1", WORLD_ID, "web1", NULL, NULL, NULL }, w, on_started, NULL,
                                 NULL),
                    0);
        run_until(got.done);
        check_good();
        stop(3);

        settle();
        w = engine_warm(engine, "exec");
        check_equal(sd_event_run(event, 5000), 0);
        check_equal(world_connections(), 0);
        warm_free(w);
}

/* What an earlier berthd left */

#define RECORD(slot, kind, name, sealed)                                                                               \
        "{\"slot\":" #slot ",\"kind\":\"" kind "\",\"name\":\"" name "\",\"ownerUID\":1000,\"creationID\":\"" WORLD_ID     \
        "\",\"created\":1,\"sealed\":" sealed ",\"image\":\"\",\"snapshots\":[{\"name\":\"snap0\",\"created\":5}]}"

static void reload(void) {
        engine = engine_free(engine);
        run_until_free();
        load_only();
}

static void test_adopt(void) {
        unsigned fds;

        world_list("[" RECORD(3, "container", "web1", "true") "]",
                   "[{\"name\":\"busybox\",\"ownerUID\":0,\"created\":9,\"usedBy\":1}]", false);
        engine = engine_free(engine);
        fds = count("/proc/self/fd");

        /* A container that runs on. */
        load();
        start(3);
        reload();
        check(got.n_containers == 1 && got.n_images == 1 && got.first.running && got.first.init_pid > 1);
        check(got.first.slot == 3);
        run_until(strstr(world_peek(), "Watch"));
        check_calls("adopt", "Storage.List GetState Watch");
        stop(3);

        /* One whose supervisor died with berthd. */
        start(3);
        check(kill(world_supervisor(3), SIGKILL) >= 0);
        reload();
        check(got.n_containers == 1 && !got.first.running);
        check_calls("dead", "Storage.List " KILL_SLOT);

        /* Not started to the end; another container's; a worker; a supervisor that lies about its state. */
        for (int i = 0; i < 4; i++) {
                engine = engine_free(engine);
                world_run(3, "web1", i == 1 ? "ffffffffffffffffffffffffffffffff" : WORLD_ID, i == 0 ? "created" : "running",
                          i == 2);
                if (i == 3)
                        world_fault(SUPERVISOR_GET_STATE, FAULT_FIELDS);
                load_only();
                check(got.n_containers == 1 && !got.first.running);
                /* One that does not say which namespace it has cannot be killed, and its slot stays taken. */
                check_calls("not adopted", i == 3 ? "Storage.List GetState" : "Storage.List GetState " KILL_NS);
                check(engine->pool.used[3]);
        }
        world_kill(3);

        /* A socket where another user listens. */
        engine = engine_free(engine);
        world_run(4, "web1", WORLD_ID, "running", false);
        load_only();
        check(!got.first.running);
        check(strstr(world_calls(), "GetState") == NULL);
        world_kill(4);

        /* What the store does not know. */
        engine = engine_free(engine);
        world_run(4, "stray", WORLD_ID, "running", false);
        load_only();
        check_calls("stray", "Storage.List GetState Cgroup.Kill ns4 Cgroup.Remove 4");
        check(!engine->pool.used[4]);

        /* Half done. */
        world_list("[" RECORD(2, "container", "half", "false") "," RECORD(3, "container", "web1", "true") "," RECORD(
                           4, "image", "half", "false") "," RECORD(5, "trash", "", "false") "]",
                   "[]", false);
        engine = engine_free(engine);
        world_run(4, ".slot-4", WORLD_ID, "created", true);
        load_only();
        check(got.n_containers == 1 && got.first.slot == 3);
        const char *calls = world_calls();
        check(strstr(calls, "Storage.Destroy 2") && strstr(calls, "Storage.Destroy 4") && strstr(calls, "Storage.ReleaseTrash 5"));
        check(strstr(calls, "Cgroup.Kill 4") || strstr(calls, "Cgroup.Kill ns4"));
        check(!engine->pool.used[2] && engine->pool.used[3] && !engine->pool.used[4] && !engine->pool.used[5]);
        check(engine->trash.wanted);

        engine = engine_free(engine);
        run_until_free();
        check_equal(count("/proc/self/fd"), fds);
        check_equal(count("/run/berth/containers"), 0);
}

/* The store cannot be read, or says nonsense; then it can. */
static void test_load_fails(void) {
        static const char *const bad[] = {
                "[{\"slot\":3}]",
                "[" RECORD(9, "container", "web1", "true") "]",
                "[" RECORD(3, "container", "../x", "true") "]",
                "[" RECORD(3, "container", "a", "true") "," RECORD(3, "container", "b", "true") "]",
                "[" RECORD(4, "container", "a", "true") "," RECORD(3, "container", "b", "true") "]",
                "[7]",
        };

        begin();
        check_equal(engine_new(event, &callbacks, NULL, &engine), 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                world_list(bad[i], "[]", false);
                begin();
                check_equal(engine_load(engine), 0);
                check_equal(engine_load(engine), -EINPROGRESS);
                run_until(got.loaded);
                check(streq(got.error, "HelperFailed"));
        }

        world_list("[]", "[]", false);
        world_fault(STORAGE_LIST, FAULT_ERROR);
        begin();
        check_equal(engine_load(engine), 0);
        run_until(got.loaded);
        check(streq(got.error, "HelperFailed"));

        /* Reading is tried once more where a helper ended without an answer. */
        world_fault(STORAGE_LIST, FAULT_EOF);
        (void) world_calls();
        begin();
        check_equal(engine_load(engine), 0);
        run_until(got.loaded);
        check_good();
        check_calls("retry", "Storage.List Storage.List");
        check_equal(engine_load(engine), -EALREADY);
        engine = engine_free(engine);
}

/* The engine goes in the middle of things; nothing of its own stays. */
static void test_free(void) {
        static const Method at[] = { CGROUP_PREPARE, SPAWN_SUPERVISOR, SUPERVISOR_CREATE, MOUNT_LAYERS, SUPERVISOR_START };
        unsigned fds = count("/proc/self/fd");

        for (size_t i = 0; i < ELEMENTSOF(at); i++) {
                load();
                begin();
                world_fault(at[i], FAULT_HANG);
                check_equal(start_try(3, NULL), 0);
                run_until(world_is_hung(at[i]));
                engine = engine_free(engine);
                check(!got.done);
                run_until_free();
                run_until(!world_supervisor(3)); /* it ends with its connection */
                check_equal(count("/proc/self/fd"), fds);
                (void) world_calls();
        }
}

int main(int argc, char *argv[]) {
        alarm(120);
        (void) signal(SIGPIPE, SIG_IGN);
        message_init();
        check(sd_event_new(&event) >= 0);
        world_init(event);

        load();
        test_life();
        test_left_overs();
        test_stop();
        test_away();
        test_lost();
        test_exec();
        test_store();
        test_store_again();
        test_fill();
        test_trash();
        test_warm();
        test_failures();
        test_cancel();
        test_adopt();
        test_load_fails();
        test_free();

        world_done();
        sd_event_unref(event);
        return 0;
}
