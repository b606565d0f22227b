/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of the engine share. */

#include "engine-state.h"
#include "life.h"
#include "test-world.h"
#include "test.h"

#define DEADLINE 60000U /* µs, where one is meant to pass */

/* What the callbacks were told. */
typedef struct Got {
        bool done, loaded, stopped, idle, killed;
        char error[32], message[256], process[33];
        size_t n_containers, n_images;
        EngineContainer first;
        int status, signal, exit_status, exit_signal;
        uint32_t slot;
        pid_t pid;
        unsigned progress, exited;
        uint64_t skipped, created;
        int fds[3];
} Got;

extern sd_event *event;
extern Engine *engine;
extern Got got;
extern const EngineCallbacks callbacks;

void on_done(void *userdata, const EngineError *error);
void on_started(void *userdata, pid_t pid, const EngineError *error);
void on_stop(void *userdata, bool killed, const EngineError *error);
void on_created(void *userdata, uint64_t created, const EngineError *error);
void on_container(void *userdata, const EngineContainer *c, const EngineError *error);
void on_image(void *userdata, const EngineImage *i, uint64_t skipped, const EngineError *error);
void on_exec(void *userdata, const char *process, pid_t pid, int fds[static 3], const EngineError *error);
void on_progress(void *userdata, uint64_t entries, uint64_t bytes);

/* Says what went wrong where nothing should have. */
#define check_good()                                                                                                   \
        do {                                                                                                           \
                if (*got.error) {                                                                                      \
                        (void) fprintf(stderr, "%s:%d: %s: %s; calls: %s\n", __FILE__, __LINE__, got.error, got.message, \
                                       world_calls());                                                                 \
                        exit(EXIT_FAILURE);                                                                            \
                }                                                                                                      \
        } while (0)

/* Until the condition holds, at most some seconds. */
#define run_until(condition)                                                                                           \
        do {                                                                                                           \
                uint64_t _end = now() + 8000000;                                                                       \
                while (!(condition)) {                                                                                 \
                        if (now() > _end) {                                                                            \
                                (void) fprintf(stderr, "%s:%d: never %s; calls: %s; error %s (%s)\n", __FILE__,        \
                                               __LINE__, #condition, world_calls(), got.error, got.message);           \
                                exit(EXIT_FAILURE);                                                                    \
                        }                                                                                              \
                        check(sd_event_run(event, 4000) >= 0);                                                       \
                }                                                                                                      \
        } while (0)

unsigned count(const char *path); /* entries of a folder */
uint64_t now(void);
void settle(void); /* until nothing is under way */
void check_calls(const char *what, const char *expected);
void begin(void); /* forgets what the callbacks were told */

void load_only(void);
void load(void);
void run_until_free(void);
int start_try(uint32_t slot, Operation **ret);
void start(uint32_t slot);
void stop(uint32_t slot);

/* The operations that the tests let fail; each in slot 3. */
int archive(void);
int do_start(void);
int do_create(void);
int do_import(void);
int do_create_from_image(void);
int do_clone(void);
void check_clean(const char *what, unsigned fds); /* nothing is left */

#define S "3" /* the slot of these tests */
#define PREPARED "Cgroup.Prepare " S
#define SPAWNED PREPARED " Supervisor " S
#define CREATED SPAWNED " Create"
#define GONE "Cgroup.Remove " S
#define KILL_SLOT "Cgroup.Kill " S " " GONE
#define KILL_NS "Cgroup.Kill ns" S " " GONE
#define NEW_RECORD "Storage.CreateContainer " S
#define NEW_IMAGE "Storage.CreateImage " S
#define WORKER PREPARED " Supervisor " S " Create IdMap.WriteMap ns" S " Mount.MountWritable ns" S " Work " GONE
#define FORGET "Storage.Destroy " S

/* test-failures.c */
void test_failures(void);
void test_cancel(void);
