/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Accounts of a worker's job and its reports to the supervisor. Runs with the worker's rights; reads nothing. */

#include "job.h"
#include "mutation.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#define PROGRESS_INTERVAL 100U /* ms */
#define BLOCK 4096U            /* what the smallest thing on disk is counted as */

static int fail(Job *j, WorkerReportType verdict, const char *step, int error) {
        if (j->error == 0) {
                j->verdict = verdict;
                j->step = step;
                j->error = error;
        }
        return error;
}

int job_bad_archive(Job *j, const char *step, int error) {
        return fail(j, WORKER_BAD_ARCHIVE, step, error);
}

int job_failed(Job *j, const char *step, int error) {
        return fail(j, WORKER_FAILED, step, error);
}

static int send_report(const Job *j, WorkerReportType type, int flags) {
        WorkerReport report = {
                .type = type,
                .error = type == WORKER_BAD_ARCHIVE || type == WORKER_FAILED ? -j->error : 0,
                .entries = j->entries,
                .bytes = j->written,
                .skipped = j->skipped,
        };
        ssize_t n;

        (void) snprintf(report.step, sizeof(report.step), "%s", j->step ? j->step : "");
        do
                n = send(WORKER_SOCKET_FD, &report, sizeof(report), MSG_NOSIGNAL | flags);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;

        return (size_t) n == sizeof(report) ? 0 : -EIO;
}

static uint64_t now(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000;
}

int job_progress(Job *j) {
        uint64_t t = now();
        int r;

        if (t - j->reported < PROGRESS_INTERVAL)
                return 0;

        j->reported = t;
        r = send_report(j, WORKER_PROGRESS, MSG_DONTWAIT);
        if (r < 0 && r != -EAGAIN)
                return job_failed(j, "report", r);
        return 0;
}

int job_finish(Job *j) {
        return send_report(j, j->error == 0 ? WORKER_DONE : j->verdict, 0);
}

int job_charge_entry(Job *j) {
        j->entries++;
        if (!MUTATION(limit_entries) && j->entries > j->limits.entries)
                return job_bad_archive(j, "limit: entries", -E2BIG);

        return job_progress(j);
}

int job_charge_apparent(Job *j, uint64_t bytes) {
        if (!MUTATION(limit_apparent) && bytes > j->limits.apparent - j->apparent)
                return job_bad_archive(j, "limit: apparent bytes", -EFBIG);

        j->apparent += bytes;
        return 0;
}

int job_charge_written(Job *j, uint64_t bytes) {
        bytes = (bytes + BLOCK - 1) / BLOCK * BLOCK;
        if (!MUTATION(limit_written) && bytes > j->limits.written - j->written)
                return job_bad_archive(j, "limit: written bytes", -EFBIG);

        j->written += bytes;
        return job_progress(j);
}
