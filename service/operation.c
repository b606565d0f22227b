/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The runner of operations. It knows nothing of what the steps do. */

#include "operation.h"
#include "decode.h"
#include "errors.h"
#include "life.h"

#include <assert.h>

static int on_turn(sd_event_source *s, void *userdata);

int operation_new(Engine *e, const Recipe *recipe, size_t size, uint32_t slot, const char *name, Warm *warm, void *ret) {
        Operation *o = NULL;
        int r = -ENOMEM;

        assert(size >= sizeof(Operation) && recipe->n_steps <= STEPS_MAX);

        if (slot != SLOT_NONE && e->slots[slot].operation)
                r = -EBUSY;
        else
                o = calloc(1, size);
        if (o) {
                o->name = strdup(name);
                r = o->name ? sd_event_add_defer(e->event, &o->turn, on_turn, o) : -ENOMEM;
        }
        if (!o || r < 0) {
                if (o)
                        free(o->name);
                free(o);
                warm_free(warm);
                return r;
        }

        (void) sd_event_source_set_enabled(o->turn, SD_EVENT_OFF);
        o->engine = e;
        o->recipe = recipe;
        o->slot = slot;
        o->warm = warm;
        if (slot != SLOT_NONE)
                e->slots[slot].operation = o;
        TAILQ_INSERT_TAIL(&e->all, o, list);
        e->operations++;

        *(Operation **) ret = o;
        return 0;
}

static void operation_free(Operation *o) {
        for (unsigned i = 0; i < STEPS_MAX; i++)
                request_free(o->requests[i]);
        warm_free(o->warm);
        life_free(o->life);
        if (o->recipe->release)
                o->recipe->release(o);
        engine_error_done(&o->error);
        sd_event_source_disable_unref(o->turn);
        free(o->name);
        free(o);
}

static void operation_leave(Operation *o) {
        Engine *e = o->engine;

        TAILQ_REMOVE(&e->all, o, list);
        e->operations--;
        if (o->slot != SLOT_NONE) {
                e->slots[o->slot].operation = NULL;
                if (o->give_slot && !o->stuck)
                        slot_pool_give(&e->pool, o->slot);
        }
}

static void operation_end(Operation *o) {
        Engine *e = o->engine;

        o->state = OPERATION_ENDED;
        operation_leave(o); /* so that the callback may begin the next */
        o->recipe->done(o, o->error.error ? &o->error : NULL);
        operation_free(o);
        engine_look_idle(e);
}

void operation_drop(Operation *o) {
        operation_leave(o);
        operation_free(o);
}

static void operation_turn(Operation *o) {
        (void) sd_event_source_set_enabled(o->turn, SD_EVENT_ONESHOT);
}

static unsigned all_steps(const Operation *o) {
        return o->recipe->n_steps == 0 ? 0 : ~0U >> (32 - o->recipe->n_steps);
}

static bool operation_waits(const Operation *o) {
        for (unsigned i = 0; i < o->recipe->n_steps; i++)
                if (o->requests[i])
                        return true;

        return o->held != 0;
}

void operation_hold(Operation *o, unsigned step) {
        o->held |= AFTER(step);
}

bool operation_resume(Operation *o, unsigned step) {
        o->held &= ~AFTER(step);
        if (o->state != OPERATION_RUNNING)
                operation_turn(o);
        return o->state == OPERATION_RUNNING;
}

/* No further step begins. */
static void operation_fail(Operation *o) {
        if (o->state != OPERATION_RUNNING)
                return;

        o->state = OPERATION_FAILING;
        o->warm = warm_free(o->warm);
        for (unsigned i = 0; i < o->recipe->n_steps; i++)
                if (o->requests[i] && o->recipe->steps[i].abandon)
                        o->requests[i] = request_free(o->requests[i]);
        /* Begun and not known to have failed: to be undone as well. */
        o->unsure |= o->begun & ~o->done;
        operation_turn(o);
}

void operation_step_failed(Operation *o, unsigned step, const char *error, const char *why) {
        error_of_step(&o->error, error, o->recipe->verb, o->name, o->recipe->steps[step].name, why);
        operation_fail(o);
}

static void operation_advance(Operation *o) {
        for (unsigned i = 0; i < o->recipe->n_steps && o->state == OPERATION_RUNNING; i++) {
                int r;

                if ((o->begun & AFTER(i)) || (o->recipe->steps[i].after & ~o->done))
                        continue;
                o->begun |= AFTER(i);
                r = o->recipe->steps[i].begin(o, i);
                if (r < 0)
                        operation_step_failed(o, i, r == -EMSGSIZE ? "InvalidArgument" : "HelperFailed",
                                              strerrorname_np(-r) ?: "error");
                if (r > 0)
                        o->done |= AFTER(i);
        }

        if (o->state == OPERATION_RUNNING && (o->done & all_steps(o)) == all_steps(o))
                operation_turn(o);
}

void operation_begin(Operation *o) {
        operation_advance(o);
}

void operation_step_done(Operation *o, unsigned step) {
        o->done |= AFTER(step);
        if (o->state == OPERATION_RUNNING)
                operation_advance(o);
        else
                operation_turn(o);
}

/* Nothing is expected but the answer itself. */
static int finish_empty(Answer *a) {
        static const Field none[] = { {} };
        const char *field;
        int r;

        r = decode(a->reply->parameters, none, a->reply->message, NULL, &field);
        return r < 0 ? r : 1;
}

static void on_answer(void *userdata, unsigned step, Answer *a) {
        Operation *o = userdata;
        const Step *s = &o->recipe->steps[step];
        Method method = o->methods[step];
        int r;

        if (!a->reply->continues)
                o->requests[step] = NULL; /* it has freed itself */

        if (a->error) {
                if (a->sure && o->state == OPERATION_RUNNING && s->refused && s->refused(o, step, a) == 0)
                        return;
                if (a->sure)
                        o->begun &= ~AFTER(step); /* a helper undoes its own work before it says so */
                else if (method_table[method].peer == PEER_STORAGE)
                        trash_want(o->engine); /* and one that was killed may have made a layer that nothing names */
                error_of_answer(&o->error, method, a, o->recipe->verb, o->name, s->name);
                if (o->state == OPERATION_RUNNING)
                        operation_fail(o);
                else
                        operation_turn(o);
                o->unsure &= o->begun;
                return;
        }

        r = s->finish ? s->finish(o, step, a) : finish_empty(a);
        if (r >= 0)
                r = decode_check_descriptors(a->reply->message) < 0 ? -EINVAL : r;
        if (r < 0)
                operation_step_failed(o, step, "HelperFailed", "the answer made no sense");
        else if (r > 0)
                operation_step_done(o, step);
        if (o->state == OPERATION_FAILING)
                operation_turn(o);
}

int operation_call_at(Operation *o, unsigned step, Method method, const RequestTarget *target, json_t *parameters,
                      const int *fds, size_t n_fds) {
        o->methods[step] = method;
        return request_new(o->engine, method, target, parameters, fds, n_fds, on_answer, o, step, &o->requests[step]);
}

int operation_call(Operation *o, unsigned step, Method method, json_t *parameters, const int *fds, size_t n_fds) {
        RequestTarget target = { .wire = life_wire(o->life) };

        return operation_call_at(o, step, method, method_table[method].peer == PEER_SUPERVISOR ? &target : NULL, parameters,
                                 fds, n_fds);
}

int operation_call_again(Operation *o, unsigned step, Method method, json_t *parameters) {
        o->methods[step] = method;
        return request_again(o->engine, method, parameters, on_answer, o, step, &o->requests[step]);
}

int operation_spawn(Operation *o, unsigned step, const int *listening) {
        o->methods[step] = SPAWN_SUPERVISOR;
        return request_spawn(o->engine, o->slot, listening, on_answer, o, step, &o->requests[step]);
}

static void operation_undo(Operation *o) {
        while (o->undo_next > 0) {
                unsigned i = --o->undo_next;
                const Step *s = &o->recipe->steps[i];

                if (s->undo && ((o->done | o->unsure) & AFTER(i)) && s->undo(o, i) == 0)
                        return;
        }

        operation_end(o);
}

void operation_undone(Operation *o) {
        operation_turn(o);
}

static int on_turn(sd_event_source *source, void *userdata) {
        Operation *o = userdata;

        if (o->state == OPERATION_FAILING && !operation_waits(o)) {
                o->state = OPERATION_UNDOING;
                o->undo_next = o->recipe->n_steps;
        }

        if (o->state == OPERATION_UNDOING)
                operation_undo(o);
        else if (o->state == OPERATION_RUNNING)
                operation_end(o);
        return 0;
}

void operation_refuse(Operation *o, const char *error, const char *sentence) {
        error_sentence(&o->error, error, "cannot %s %s: %s", o->recipe->verb, o->name, sentence);
        operation_fail(o);
}

void operation_cancel(Operation *o) {
        if (o->state != OPERATION_RUNNING)
                return; /* it is ending already */

        if (o->recipe->cancel && !o->recipe->cancel(o))
                return; /* too late */
        error_sentence(&o->error, "Cancelled", "%s of %s was cancelled", o->recipe->verb, o->name);
        operation_fail(o);
}
