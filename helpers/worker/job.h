/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One job of a worker: what bounds it, how far it is, why it ended. */

#include "limits.h"
#include "worker.h"

typedef struct Job {
        Limits limits;
        uint64_t entries, written, skipped;
        uint64_t apparent;
        uint64_t reported; /* when, in ms of the monotonic clock */
        WorkerReportType verdict;
        int error; /* negative errno, of the first failure */
        const char *step;
} Job;

/* Notes the first failure and returns error, which is a negative errno. */
int job_bad_archive(Job *j, const char *step, int error);
int job_failed(Job *j, const char *step, int error);

/* Tells the supervisor how far we are, if the last time was long enough ago. Fails when nobody listens any more. */
int job_progress(Job *j);

/* Sends the last report. */
int job_finish(Job *j);

/* Charges the job's limits; each fails as job_bad_archive() does. */
int job_charge_entry(Job *j);
int job_charge_apparent(Job *j, uint64_t bytes);
int job_charge_written(Job *j, uint64_t bytes);
