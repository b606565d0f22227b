/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Stop: init is asked to halt, then killed through its supervisor, then, if that does not answer, by the cgroup. Every way
 * leads to the same end, which the life tells. */

#include "operation-stop.h"
#include "decode.h"
#include "life.h"

#include <signal.h>

typedef struct StopOperation {
        Operation op;
        uint64_t timeout;
        bool killing, killed;
        Request *request;
        sd_event_source *timer;
        void (*done)(void *userdata, bool killed, const EngineError *error);
        void *userdata;
} StopOperation;

static StopOperation *stop(Operation *o) {
        return (StopOperation *) o;
}

static Life *stop_life(Operation *o) {
        return o->engine->slots[o->slot].life;
}

/* Another connection than the one that Watch streams on. */
static int stop_ask(Operation *o, Method method, json_t *parameters, RequestHandler handler) {
        Life *l = stop_life(o);
        char path[LIFE_PATH_MAX];
        RequestTarget target = { .path = path, .peer = l->slot.supervisor };

        life_path(l->folder, path);
        stop(o)->request = request_free(stop(o)->request);
        return request_new(o->engine, method, &target, parameters, NULL, 0, handler, o, 0, &stop(o)->request);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata);

static int stop_timer(Operation *o, uint64_t usec) {
        StopOperation *s = stop(o);

        s->timer = sd_event_source_disable_unref(s->timer);
        return sd_event_add_time_relative(o->engine->event, &s->timer, CLOCK_MONOTONIC, usec, 0, on_timer, o);
}

static void stop_force(Operation *o) {
        stop(o)->timer = sd_event_source_disable_unref(stop(o)->timer);
        life_kill(stop_life(o)); /* where it is ending already, that goes on */
}

static void on_killed(void *userdata, unsigned tag, Answer *a) {
        Operation *o = userdata;

        stop(o)->request = NULL;
        if (a->error)
                stop_force(o);
}

static void stop_kill(Operation *o) {
        StopOperation *s = stop(o);

        s->killing = true;
        s->killed = true;
        o->warm = o->warm ?: engine_warm(o->engine, "stop");
        if (stop_timer(o, o->engine->kill_timeout) < 0 ||
            stop_ask(o, SUPERVISOR_SIGNAL, json_pack("{s:i}", "signal", SIGKILL), on_killed) < 0)
                stop_force(o);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Operation *o = userdata;

        if (stop(o)->killing)
                stop_force(o);
        else
                stop_kill(o);
        return 0;
}

static void on_halted(void *userdata, unsigned tag, Answer *a) {
        static const Field fields[] = { { "signal", FIELD_INTEGER, 0, 0, 1, 64 }, {} };
        Operation *o = userdata;
        const char *field;
        int64_t signal = 0;

        stop(o)->request = NULL;
        if (a->error || decode(a->reply->parameters, fields, a->reply->message, &signal, &field) < 0)
                return stop_kill(o);
        if (signal == SIGKILL)
                stop(o)->killed = true;
}

static int stop_begin(Operation *o, unsigned step) {
        Life *l = stop_life(o);
        int r;

        operation_hold(o, step);
        l->stop = o;
        if (l->state != LIFE_RUNNING)
                return 0; /* ending by itself */
        if (stop(o)->timeout == 0) {
                stop_kill(o);
                return 0;
        }

        r = stop_timer(o, stop(o)->timeout);
        if (r < 0 || stop_ask(o, SUPERVISOR_HALT, NULL, on_halted) < 0)
                stop_kill(o);
        return 0;
}

void stop_over(Operation *o) {
        stop(o)->request = request_free(stop(o)->request);
        stop(o)->timer = sd_event_source_disable_unref(stop(o)->timer);
        if (operation_resume(o, 0))
                operation_step_done(o, 0);
}

static bool stop_cancel(Operation *o) {
        Life *l = stop_life(o);

        if (!l || stop(o)->killing || l->state != LIFE_RUNNING)
                return false;

        l->stop = NULL;
        stop(o)->request = request_free(stop(o)->request);
        stop(o)->timer = sd_event_source_disable_unref(stop(o)->timer);
        o->held = 0;
        return true;
}

static void stop_done(Operation *o, const EngineError *error) {
        stop(o)->done(stop(o)->userdata, stop(o)->killed, error);
}

static void stop_release(Operation *o) {
        request_free(stop(o)->request);
        sd_event_source_disable_unref(stop(o)->timer);
}

static const Step steps[] = {
        { "ending its processes", 0, stop_begin },
};

static const Recipe recipe = { "stop", steps, ELEMENTSOF(steps), stop_done, stop_release, stop_cancel };

int engine_stop(Engine *e, uint32_t slot, uint64_t timeout,
                void (*done)(void *userdata, bool killed, const EngineError *error), void *userdata, Operation **ret) {
        StopOperation *s;
        Life *l;
        int r;

        if (slot >= e->table.slots)
                return -EINVAL;
        l = e->slots[slot].life;
        r = operation_new(e, &recipe, sizeof(StopOperation), slot, l ? l->folder : "the container", NULL, &s);
        if (r < 0)
                return r;
        s->timeout = timeout;
        s->done = done;
        s->userdata = userdata;
        if (l)
                operation_begin(&s->op);
        else
                operation_refuse(&s->op, "NotRunning", "it is not running");

        if (ret)
                *ret = &s->op;
        return 0;
}
