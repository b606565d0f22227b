/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs on the bus. */

#include "job.h"
#include "bus.h"
#include "bus-error.h"
#include "limits.h"
#include "log.h"
#include "manager.h"

#include <assert.h>

static const char *const kind_names[_JOB_KIND_MAX] = {
        [JOB_CREATE] = "create",
        [JOB_IMPORT] = "import",
        [JOB_STOP] = "stop",
};

const char *job_kind_to_string(JobKind k) {
        return k >= 0 && k < _JOB_KIND_MAX ? kind_names[k] : NULL;
}

static unsigned running_of(Manager *m, uid_t uid) {
        unsigned n = 0;

        LINK_FOREACH(Job, j, &m->jobs, link)
                if (!j->ended && j->uid == uid)
                        n++;
        return n;
}

unsigned jobs_running(Manager *m) {
        unsigned n = 0;

        LINK_FOREACH(Job, j, &m->jobs, link)
                if (!j->ended)
                        n++;
        return n;
}

int job_path(const Job *j, char **ret) {
        return asprintf(ret, BUS_PATH_JOB "/%" PRIu64, j->id) < 0 ? -ENOMEM : 0;
}

Job *job_of_path(Manager *m, const char *path) {
        uint64_t id = bus_path_number(path, BUS_PATH_JOB);

        LINK_FOREACH(Job, j, &m->jobs, link)
                if (j->id == id)
                        return j;
        return NULL;
}

int job_new(Manager *m, JobKind kind, const char *name, uid_t uid, Job **ret, sd_bus_error *error) {
        Job *j;

        if (running_of(m, uid) >= manager_limit(uid, LIMIT_JOBS))
                return sd_bus_error_setf(error, ERROR_LIMIT_REACHED, "At most %u jobs of one user may run at once.", LIMIT_JOBS);
        j = calloc(1, sizeof(Job));
        if (!j)
                return -ENOMEM;
        *j = (Job) { .manager = m, .id = ++m->last_job, .kind = kind, .uid = uid, .name = strdup(name),
                     .result = strdup(""), .error = strdup(""), .message = strdup("") };
        link_init(&j->link);
        if (!j->name || !j->result || !j->error || !j->message) {
                job_free(j);
                return -ENOMEM;
        }
        link_append(&m->jobs, &j->link);
        bus_announce(m, BUS_PATH_JOB, j->id, true);
        *ret = j;
        return 0;
}

Job *job_free(Job *j) {
        if (!j)
                return NULL;
        link_remove(&j->link);
        sd_event_source_unref(j->timer);
        free(j->name);
        free(j->result);
        free(j->error);
        free(j->message);
        free(j);
        return NULL;
}

void job_discard(Job *j) {
        bus_announce(j->manager, BUS_PATH_JOB, j->id, false);
        manager_activity(j->manager);
        job_free(j);
}

static void signal_changed(Job *j, const char *a, const char *b) {
        _cleanup_free_ char *path = NULL;

        if (job_path(j, &path) < 0 ||
            sd_bus_emit_properties_changed(j->manager->bus, path, BUS_INTERFACE_JOB, a, b, NULL) < 0)
                log_warning("job %" PRIu64 ": cannot signal a change", j->id);
}

static int on_timer(sd_event_source *source, uint64_t now, void *userdata) {
        Job *j = userdata;

        if (j->ended) {
                job_discard(j);
                return 0;
        }
        j->timer = sd_event_source_unref(j->timer);
        if (j->progress_unsaid)
                job_progress(j, j->bytes);
        return 0;
}

static void arm(Job *j, uint64_t usec) {
        j->timer = sd_event_source_unref(j->timer);
        if (sd_event_add_time_relative(j->manager->event, &j->timer, CLOCK_MONOTONIC, usec, 0, on_timer, j) < 0)
                log_warning("job %" PRIu64 ": cannot set a timer", j->id);
}

void job_progress(Job *j, uint64_t bytes) {
        j->bytes = bytes;
        if (j->ended)
                return;
        j->progress_unsaid = j->timer != NULL;
        if (j->timer)
                return;
        signal_changed(j, "Bytes", NULL);
        arm(j, PROGRESS_INTERVAL_USEC);
}

static void set_end(Job *j, const char *result, const EngineError *error) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *word = NULL, *name = NULL, *message = NULL;

        if (error) {
                bus_error_from_engine(error, &e);
                result = e.name && streq(e.name, ERROR_CANCELLED) ? "cancelled" : "failed";
        }
        word = strdup(result);
        name = strdup(e.name ?: "");
        message = strdup(e.message ?: "");
        if (!word || !name || !message) {
                log_error("job %" PRIu64 ": out of memory, its result is lost", j->id);
                return;
        }
        free(j->result);
        free(j->error);
        free(j->message);
        j->result = TAKE_PTR(word);
        j->error = TAKE_PTR(name);
        j->message = TAKE_PTR(message);
}

void job_finish(Job *j, const char *result, const EngineError *error) {
        _cleanup_free_ char *path = NULL;

        assert(!j->ended);
        set_end(j, result, error);
        j->ended = true;
        j->operation = NULL;
        if (j->progress_unsaid)
                signal_changed(j, "Bytes", NULL);
        signal_changed(j, "Result", "Error");
        if (job_path(j, &path) < 0 || sd_bus_emit_signal(j->manager->bus, path, BUS_INTERFACE_JOB, "Completed", "sss", j->result,
                                                         j->error, j->message) < 0)
                log_warning("job %" PRIu64 ": cannot signal its end", j->id);
        arm(j, JOB_KEPT_USEC);
        manager_activity(j->manager);
}

void job_cancel(Job *j) {
        if (!j->ended && j->operation)
                operation_cancel(j->operation);
}
