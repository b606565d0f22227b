/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A job: an operation that outlives the call that began it. */

#include "engine.h"
#include "list.h"

#include <systemd/sd-bus.h>

typedef struct Manager Manager;

typedef enum JobKind {
        JOB_CREATE,
        JOB_IMPORT,
        JOB_STOP,
        _JOB_KIND_MAX,
        _JOB_KIND_INVALID = -EINVAL,
} JobKind;

const char *job_kind_to_string(JobKind k);

typedef struct Job {
        Manager *manager;
        Link link;
        uint64_t id;
        JobKind kind;
        char *name; /* of the container or image */
        uid_t uid;
        Operation *operation; /* NULL once it has ended */
        uint64_t bytes;
        bool progress_unsaid;
        char *result, *error, *message; /* "" while it runs */
        bool ended;
        sd_event_source *timer;
} Job;

/* On the bus at once. LimitReached. */
int job_new(Manager *m, JobKind kind, const char *name, uid_t uid, Job **ret, sd_bus_error *error);
/* Takes it away as if it had never been. */
void job_discard(Job *j);
Job *job_free(Job *j);

int job_path(const Job *j, char **ret);
Job *job_of_path(Manager *m, const char *path);

void job_progress(Job *j, uint64_t bytes);
/* error or result. Kept for a while. */
void job_finish(Job *j, const char *result, const EngineError *error);
void job_cancel(Job *j);

unsigned jobs_running(Manager *m);
