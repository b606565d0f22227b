/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One supervisor's life on a slot, of a container or of a worker: its folder and socket, the connection to it, the
 * namespace by which it can be killed, and how everything of it is removed. */

#include "engine-state.h"

#define RUN_CONTAINERS "/run/berth/containers"
#define PROCESS_NAME_MAX 32U

typedef enum LifeState {
        LIFE_LAUNCHING, /* an operation's */
        LIFE_RUNNING,   /* a container's, in the slot's state */
        LIFE_ENDING,
        LIFE_ENDED,
} LifeState;

typedef void (*LifeEnded)(void *userdata, int result);

typedef struct Process {
        TAILQ_ENTRY(Process) list;
        char name[PROCESS_NAME_MAX + 1];
        bool known;  /* told to the face */
        bool ended;
        int status, signal;
} Process;

struct Life {
        Engine *engine;
        uint64_t serial;   /* no other life has it */
        Slot slot;
        LifeState state;
        char *folder;      /* below RUN_CONTAINERS */
        json_t *plan;
        bool worker;
        bool spawned;      /* a supervisor may be there */
        int listening;     /* its socket, until it has a copy */
        Wire *wire;
        int namespace[2];  /* /proc/PID of the first process, its user namespace */
        pid_t init;

        Request *watch;
        unsigned asking;   /* calls under way on connections of their own */
        TAILQ_HEAD(, Operation) waiting; /* calls that wait for one of those to end */
        TAILQ_HEAD(, Process) processes;
        size_t n_processes;
        bool reported;     /* init's end */
        int status, signal;
        Operation *stop;   /* told when it is over */
        Warm *warm;

        int end_state;
        bool end_kill;
        bool swept;
        unsigned end_tries;
        uint64_t end_wait;
        Request *end_request;
        sd_event_source *end_timer;
        LifeEnded ended;
        void *ended_userdata;
};

int life_new(Engine *e, uint32_t slot, const char *folder, Life **ret);
/* Only when nothing of it is left, or when berthd goes. */
Life *life_free(Life *l);
Wire *life_wire(Life *l); /* NULL for NULL */
/* "/run/berth/containers/FOLDER/supervisor" */
#define LIFE_PATH_MAX 108U
void life_path(const char *folder, char ret[static LIFE_PATH_MAX]);
/* For a slot that has no container's name: images, trash. No container's name begins with a dot. */
void life_folder_of_slot(uint32_t slot, char ret[static 24]);

/* Is this the namespace of that slot, by the kernel's word? */
bool life_owns(const Life *l, int userns);

/* Removes what there is: waits for the supervisor's end, or kills it; then its cgroups, socket and folder. result is
 * negative if something stayed. */
void life_end(Life *l, bool kill, LifeEnded ended, void *userdata);

/* The container runs: from now on the slot's, watched. */
void life_run(Life *l);
/* Kills at once, by the namespace; the end comes as any other. */
void life_kill(Life *l);

/* A process that was executed has this name; tells its end if that came before. */
void life_add_process(Life *l, const char *name);
