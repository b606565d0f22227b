/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Start, stop, kill. What the engine tells of init's end is the one source of "stopped": an answer that says the container
 * was stopped waits for it, so that an end of an earlier run is never taken for that of a later one. */

#include "bus.h"
#include "container.h"
#include "job.h"
#include "limits.h"
#include "log.h"
#include "manager.h"
#include "process.h"
#include "bus-call.h"
#include "text-list.h"

#include <signal.h>

static int engine_refused(Container *c, int r, const char *what, sd_bus_error *error) {
        (void) container_end(c);
        return bus_error_internal(error, r, what);
}

/* Nothing runs any more, and the engine has said so. */
static void settle_stopped(Container *c) {
        processes_container_stopped(c);
        container_set_state(c, CONTAINER_STOPPED, 0);
        while (!link_is_alone(&c->waiting_for_stop))
                (void) bus_call_reply(LINK_ENTRY(c->waiting_for_stop.next, BusCall, waiting), NULL);
}

static void on_started(void *userdata, pid_t init_pid, const EngineError *error) {
        Container *c = userdata;
        bool ended = c->ended;
        BusCall *q = container_end(c);

        if (error) {
                container_set_state(c, CONTAINER_ABORTING, 0);
                container_set_state(c, CONTAINER_STOPPED, 0);
                (void) bus_call_fail_engine(q, error);
                return;
        }
        container_set_state(c, CONTAINER_RUNNING, init_pid);
        if (ended) /* it was over before we were told that it had begun */
                settle_stopped(c);
        (void) bus_call_reply(q, NULL);
}

int container_start(Container *c, BusCall *q, sd_bus_error *error) {
        _cleanup_strv_ char **arguments = NULL, **environment = NULL;
        int r;

        if (c->state != CONTAINER_STOPPED)
                return sd_bus_error_setf(error, c->state == CONTAINER_RUNNING ? ERROR_RUNNING : ERROR_BUSY,
                                         "Container '%s' is %s already.", c->name, container_state_to_string(c->state));
        if (c->config_error)
                return sd_bus_error_setf(error, ERROR_INVALID_ARGUMENT, "Container '%s' has a configuration that Berth does not "
                                         "understand: %s", c->name, c->config_error);
        r = config_init_arguments(&c->config, &arguments);
        if (r >= 0)
                r = config_environment(&c->config, /* more= */ NULL, &environment);
        if (r < 0)
                return bus_error_internal(error, r, "read its configuration");
        r = container_begin(c, q, error);
        if (r < 0)
                return r;

        StartRequest request = {
                .slot = c->slot,
                .name = c->name,
                .creation_id = c->creation,
                .hostname = c->config.host_name ?: c->name,
                .argv = arguments,
                .environment = environment,
                .cwd = c->config.init_folder ?: "/",
        };

        r = engine_start(c->manager->engine, &request, TAKE_PTR(q->warm), on_started, c, /* ret= */ NULL);
        if (r < 0)
                return engine_refused(c, r, "begin to start the container", error);
        container_set_state(c, CONTAINER_STARTING, 0);
        return 0;
}

static void finish_stop(Container *c) {
        Job *job = c->job;
        bool killed = c->stop_killed;

        (void) container_end(c);
        job_finish(job, killed ? "killed" : "done", /* error= */ NULL);
}

static void on_stop_done(void *userdata, bool killed, const EngineError *error) {
        Container *c = userdata;

        if (error && !c->ended) {
                Job *job = c->job;

                (void) container_end(c);
                container_set_state(c, CONTAINER_RUNNING, c->init_pid);
                while (!link_is_alone(&c->waiting_for_stop))
                        (void) bus_call_fail_engine(LINK_ENTRY(c->waiting_for_stop.next, BusCall, waiting), error);
                job_finish(job, NULL, error);
                return;
        }
        c->stop_done = true;
        c->stop_killed = killed && !error;
        if (c->ended)
                finish_stop(c);
}

void container_on_stopped(Container *c, int status, int signal) {
        log_info("%s: init has ended (status %d, signal %d)", c->name, status, signal);
        if (c->state == CONTAINER_STARTING) {
                c->ended = true;
                return;
        }
        settle_stopped(c);
        if (!c->job)
                return;
        c->ended = true;
        if (c->stop_done)
                finish_stop(c);
}

/* Begins a stop with a job of its own; q is not answered here. */
static int begin_stop(Container *c, uint64_t timeout, BusCall *q, Job **ret, sd_bus_error *error) {
        Job *job;
        int r;

        r = container_check_running(c, error);
        if (r < 0)
                return r;
        r = container_begin(c, /* request= */ NULL, error);
        if (r < 0)
                return r;
        r = job_new(c->manager, JOB_STOP, c->name, q->uid, &job, error);
        if (r < 0) {
                (void) container_end(c);
                return r;
        }
        c->job = job;
        r = engine_stop(c->manager->engine, c->slot, timeout, on_stop_done, c, &job->operation);
        if (r < 0) {
                (void) engine_refused(c, r, "begin to stop the container", error);
                job_discard(job);
                return -EIO;
        }
        container_set_state(c, timeout == 0 ? CONTAINER_ABORTING : CONTAINER_STOPPING, c->init_pid);
        *ret = job;
        return 0;
}

int container_stop(Container *c, uint64_t timeout, BusCall *q, sd_bus_error *error) {
        _cleanup_free_ char *path = NULL;
        Job *job;
        int r;

        r = begin_stop(c, timeout, q, &job, error);
        if (r < 0)
                return r;
        r = job_path(job, &path);
        if (r < 0)
                return bus_error_internal(error, r, "name the job");
        return bus_call_reply(q, "o", path);
}

static void on_signalled(void *userdata, const EngineError *error) {
        BusCall *q = userdata;

        if (error)
                (void) bus_call_fail_engine(q, error);
        else
                (void) bus_call_reply(q, NULL);
}

static void on_killed(void *userdata, const EngineError *error) {
        /* Whoever waits is answered when the container is stopped; if the signal did not arrive the stop that is under way
         * goes on and kills by itself. */
}

static int kill_now(Container *c, BusCall *q, sd_bus_error *error) {
        Job *job;
        int r;

        if (c->state == CONTAINER_STOPPING) /* a stop that takes its time: cut it short */
                r = engine_signal(c->manager->engine, c->slot, SIGKILL, (Done) { on_killed, c });
        else if (c->state == CONTAINER_ABORTING)
                r = 0;
        else
                return begin_stop(c, 0, q, &job, error);
        if (r < 0)
                return bus_error_internal(error, r, "kill the container");
        return 0;
}

int container_kill(Container *c, int signal, BusCall *q, sd_bus_error *error) {
        int r;

        if (c->state == CONTAINER_STOPPED || c->state == CONTAINER_STARTING)
                return container_check_running(c, error);
        if (signal == SIGKILL) {
                r = kill_now(c, q, error);
                if (r < 0)
                        return r;
                link_append(&c->waiting_for_stop, &q->waiting);
                return 0;
        }
        r = engine_signal(c->manager->engine, c->slot, signal, (Done) { on_signalled, q });
        if (r < 0)
                return bus_error_internal(error, r, "signal init");
        return 0;
}
