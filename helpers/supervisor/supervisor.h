/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The supervisor's one object, and who handles what of it. */

#include "cgroup-tree.h"
#include "child.h"
#include "decode.h"
#include "slot.h"

#include <poll.h>

#define CONNECTIONS_MAX 16    /* berthd needs two or three; more are closed at once */
#define PROCESSES_MAX 256     /* programs started by Execute, with those whose end nobody was told */
#define LAYERS_MAX 64
#define STRINGS_MAX 1024      /* arguments, environment; the message's size bounds their sum */
#define CREATE_SECONDS 10     /* from the root stage to Create */
#define HELLO_SECONDS 5       /* for the first process' own first steps */
#define START_SECONDS 30      /* for building the root, and for joining it */
#define LINGER_SECONDS 10     /* how long init's end waits for somebody to be told */

struct clone_args;

/* For functions that say in *ret_step what they were doing when they failed. */
#define STEP(name, call)                                                                                               \
        do {                                                                                                           \
                *ret_step = (name);                                                                                    \
                r = (call);                                                                                            \
                if (r < 0)                                                                                             \
                        return r;                                                                                      \
        } while (0)

typedef struct Supervisor Supervisor;

typedef struct Connection {
        int fd;
        bool more;     /* the call that is being handled may have several replies */
        bool busy;     /* a call waits for its reply */
        bool watching;
} Connection;

typedef struct LaunchPlan {
        const char *name, *creation_id, *hostname, *cwd;
        char **arguments, **environment;
} LaunchPlan;

typedef struct Process {
        uint32_t id; /* 0: free */
        pid_t joiner, pid;
        int pidfd;
        int socket;     /* until it has executed */
        int ends[3];    /* of pipes, for the caller; the terminal's master is ends[1] */
        int terminal;   /* slave, by which its size is set: a master held here would keep it from hanging up */
        bool has_terminal;
        bool ready, failed, ended;
        ChildMessage error;
        int status, signal;
        uint64_t deadline;
        Connection *caller;
} Process;

typedef enum State {
        STATE_NEW,
        STATE_CREATED,
        STATE_STARTING, /* Start or Work has been handed to the first process */
        STATE_RUNNING,  /* init has been executed, or the worker */
        STATE_ENDED,
        _STATE_MAX,
} State;

struct Supervisor {
        Slot slot;
        uid_t berth;
        CgroupTree tree;
        int listening, lock, signals;
        State state;
        bool done;       /* leave the loop */
        bool failed;
        bool stopping;   /* Halt has been called */
        uint64_t deadline;

        /* The launch plan, which lives in its message. */
        Message plan_message;
        LaunchPlan plan;
        bool worker;

        /* The first process. */
        pid_t init;
        int init_pidfd, proc, userns, netns;
        int start;       /* our end of its socket */
        bool ready, init_ended, init_told;
        ChildMessage error;
        int init_status, init_signal;
        Connection *creator, *starter;
        int control;     /* of a worker */

        /* Cgroups: payload of v2, tasks of each v1 hierarchy; opened as S. */
        int payload;
        int tasks[HIERARCHIES_MAX];
        size_t n_tasks;

        uint32_t last_id;
        Process processes[PROCESSES_MAX];
        /* Pids whose end came before a joiner said whose they are. */
        struct { pid_t pid; int status; } strangers[PROCESSES_MAX]; /* each program can be one */
        size_t n_strangers;

        Connection connections[CONNECTIONS_MAX];
};

uint64_t now_usec(void);
void supervisor_log(const char *format, ...) _printf_(1, 2);

/* root-stage.c. Becomes S; on success the listening socket listens. */
int root_stage(int connection, Supervisor *s, const char **ret_step);
/* limits.c. Root's /etc/berth/limits.conf; what the kernel does not permit is logged. */
int limits_apply(void);
int limits_apply_text(const char *text, size_t size);

/* server.c */
int server_run(Supervisor *s);
void reply(Supervisor *s, Connection *c, json_t *parameters, const int *fds, size_t n_fds);
void reply_continues(Supervisor *s, Connection *c, json_t *parameters);
void reply_error(Supervisor *s, Connection *c, const char *error, const char *step, int r);
/* Decodes; answers InvalidParameter itself. */
int request_decode(Supervisor *s, Connection *c, json_t *parameters, const Field fields[], Message *m, void *target);

typedef void (*Handler)(Supervisor *s, Connection *c, json_t *parameters, Message *m);

/* launch.c */
void handle_create(Supervisor *s, Connection *c, json_t *parameters, Message *m);
void handle_start(Supervisor *s, Connection *c, json_t *parameters, Message *m);
void start_event(Supervisor *s); /* its socket has something to say */
void launch_failed(Supervisor *s, const char *error, const char *step, int r);

/* exec.c */
void handle_execute(Supervisor *s, Connection *c, json_t *parameters, Message *m);
void process_event(Supervisor *s, Process *p);
void process_expired(Supervisor *s, Process *p);
void process_init(Process *p);
void process_free(Process *p);

/* worker.c */
void handle_work(Supervisor *s, Connection *c, json_t *parameters, Message *m);
void control_event(Supervisor *s);

/* watch.c: ends, states, signals */
void handle_get_state(Supervisor *s, Connection *c, json_t *parameters, Message *m);
void handle_watch(Supervisor *s, Connection *c, json_t *parameters, Message *m);
void handle_signal(Supervisor *s, Connection *c, json_t *parameters, Message *m);
void handle_halt(Supervisor *s, Connection *c, json_t *parameters, Message *m);
void handle_signal_process(Supervisor *s, Connection *c, json_t *parameters, Message *m);
void handle_resize_process(Supervisor *s, Connection *c, json_t *parameters, Message *m);
void children_event(Supervisor *s);
void tell_ends(Supervisor *s);

/* halt.c */
/* Which signal halts an init that handles these? SIGKILL where it is none that we know. */
int halt_signal(uint64_t handled);
int halt_signal_of(pid_t pid, int *ret);

/* cgroups.c */
int cgroups_open(Supervisor *s); /* as S */
int cgroups_join(const Supervisor *s); /* v1; in the child, while it is still S */
/* clone3() into payload; 0 in the child. where: s->payload, or another folder */
int cgroups_clone(const Supervisor *s, struct clone_args *args);
int cgroups_make_fallback(const Supervisor *s);
