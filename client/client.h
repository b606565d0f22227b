/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the verbs share: the connection, calls that end in a typed failure, jobs, and what is printed. A verb is a function
 * that returns the exit status. */

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "arguments.h"
#include "util.h"

#define BERTH_NAME "org.berth1"
#define BERTH_PATH "/org/berth1"
#define BERTH_INTERFACE(x) "org.berth1." #x

#define _cleanup_message_ _cleanup_(sd_bus_message_unrefp)
#define _cleanup_error_ _cleanup_(sd_bus_error_free)
static inline void json_decrefp_(json_t **j) {
        json_decref(*j);
}
#define _cleanup_json_ _cleanup_(json_decrefp_)

enum {
        EXIT_DONE = 0,
        EXIT_FAILED = 1,
        EXIT_NOT_THERE = 2,
        EXIT_DENIED = 3,
        EXIT_USAGE = 4,
        EXIT_TIMED_OUT = 124,
        /* exec and shell */
        EXIT_EXEC_FAILED = 125,
        EXIT_CANNOT_EXECUTE = 126,
        EXIT_NOT_FOUND = 127,
};

struct Client {
        sd_bus *bus; /* NULL until first used */
        const Arguments *arguments;
        pid_t agent; /* the text agent, 0 if none */
        int agent_pipe;
};

/* failure.c: prints a failure and returns the exit status of it. name: D-Bus error or a short one; object: what it is about. */
int fail(const Client *c, const char *error, const char *message);
_printf_(3, 4) int failf(const Client *c, const char *error, const char *format, ...);
int fail_bus(const Client *c, const sd_bus_error *e, int r, const char *object);
/* The short name of an error, its status for a verb, and what to do: pure, for tests. */
typedef struct Meaning {
        const char *error;
        int status, exec_status;
        const char *remedy;
} Meaning;
Meaning failure_meaning(const char *error);

/* bus.c. All return 0 or, after having said why, an exit status. */
int client_connect(Client *c);
void client_done(Client *c);
int client_method(Client *c, const char *path, const char *interface, const char *member, sd_bus_message **ret);
/* The same for what everyone may read: nobody is asked for a password. */
int client_read(Client *c, const char *path, const char *interface, const char *member, sd_bus_message **ret);
/* Sends what client_method() began; object: what it is about, for the message. */
int client_call(Client *c, sd_bus_message *m, const char *object, sd_bus_message **ret_reply);
/* A method of a container that takes nothing but options, of which there are none. */
int client_simple(Client *c, const char *name, const char *member, sd_bus_message **ret_reply);
/* Checks the name by the one grammar; the path is to be freed. */
int container_path(Client *c, const char *name, char **ret);
int image_path(Client *c, const char *name, char **ret);
int no_options(sd_bus_message *m);
void agent_open(Client *c);
int bus_timeout(sd_bus *bus); /* for poll() */

/* job.c. Signals of jobs must be listened to before the call that makes one. */
typedef struct Job {
        Client *client;
        sd_bus_slot *completed_slot, *properties_slot, *owner_slot;
        char *path; /* NULL until it is known */
        char *label; /* for the line on the terminal; NULL: none */
        bool ended, line;
        char *result, *error, *message;
        int packer_failure; /* a pipe; what can be read from it is why packing failed */
        char *unpacked;     /* that */
} Job;

#define JOB_NONE { .packer_failure = -EBADF }
int job_listen(Client *c, Job *job);
/* Reads the path from the reply and waits; exit status, result stays in the job. */
int job_wait(Job *job, sd_bus_message *reply, const char *object);
void job_done(Job *job);
#define _cleanup_job_ _cleanup_(job_done)

/* output.c */
int print_json(json_t *value); /* consumes; returns EXIT_DONE or EXIT_FAILED */
bool output_is_terminal(void);
typedef struct Table {
        size_t columns, rows, allocated;
        char **cells;
} Table;
int table_row(Table *t, size_t columns, ...); /* strings; NULL is "-" */
void table_print(Table *t);
void table_done(Table *t);
#define _cleanup_table_ _cleanup_(table_done)
char *format_time(uint64_t microseconds); /* to be freed */
char *format_user(uid_t uid);

/* pack.c: an archive as a stream; 0 or exit status. */
typedef struct Archive {
        int fd;      /* to be passed on */
        pid_t child; /* who packs, 0 if nobody */
        int failure; /* what it could not do, read side of a pipe */
} Archive;
#define ARCHIVE_NONE { .fd = -EBADF, .failure = -EBADF }
int archive_open(Client *c, const char *path, Archive *ret);
void archive_done(Archive *a);
#define _cleanup_archive_ _cleanup_(archive_done)
int pack_folder(const char *path, int fd, char **ret_error); /* 0 or negative errno */

int verb_start(Client *c, const Arguments *a);
int verb_stop(Client *c, const Arguments *a);
int verb_kill(Client *c, const Arguments *a);
int verb_clone(Client *c, const Arguments *a);
int verb_rename(Client *c, const Arguments *a);
int verb_destroy(Client *c, const Arguments *a);
int verb_create(Client *c, const Arguments *a);
int verb_image_import(Client *c, const Arguments *a);
int verb_image_list(Client *c, const Arguments *a);
int verb_image_remove(Client *c, const Arguments *a);
int verb_snapshot(Client *c, const Arguments *a);
int verb_restore(Client *c, const Arguments *a);
int verb_list(Client *c, const Arguments *a);
int verb_info(Client *c, const Arguments *a);
int verb_check(Client *c, const Arguments *a);
int verb_exec(Client *c, const Arguments *a);
int verb_shell(Client *c, const Arguments *a);
