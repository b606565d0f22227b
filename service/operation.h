/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One running sequence: a table of steps, each with what must be done before it and with how to undo it. Steps that do not
 * wait for one another run side by side. When one fails, or the operation is cancelled, those under way are waited for
 * (a helper that has been asked cannot be called back), then everything that was done is undone in reverse. */

#include "engine-state.h"

#define STEPS_MAX 16U
#define AFTER(step) (1U << (step))

typedef struct Step {
        /* For the sentence "cannot start web1: mapping its IDs failed". */
        const char *name;
        unsigned after; /* AFTER() of the steps that must be done before */
        /* Sends a request with operation_call(). 0: under way; 1: done, or nothing to do; or negative errno. */
        int (*begin)(Operation *o, unsigned step);
        /* Takes what a good answer brought. 1: the step is done; 0: it goes on; or negative errno. NULL:
         * it must be empty. */
        int (*finish)(Operation *o, unsigned step, Answer *answer);
        /* May turn an error answer to good: 0: it has sent something else; 1: it is an error. NULL: it is. */
        int (*refused)(Operation *o, unsigned step, Answer *answer);
        /* Undoes it, also when nobody knows whether it was done. 0: under way until operation_undone(); 1: done. */
        int (*undo)(Operation *o, unsigned step);
        /* Its request may be dropped when another fails: what serves it is killed by an undo. */
        bool abandon;
} Step;

typedef struct Recipe {
        const char *verb; /* "start" */
        const Step *steps;
        unsigned n_steps;
        /* Tells the caller; error NULL for success. */
        void (*done)(Operation *o, const EngineError *error);
        /* Frees what the operation owns; after done, or instead of it. May be NULL. */
        void (*release)(Operation *o);
        /* May still be cancelled? NULL: yes, as long as it has not ended. */
        bool (*cancel)(Operation *o);
} Recipe;

typedef enum OperationState {
        OPERATION_RUNNING,
        OPERATION_FAILING, /* waits for requests under way */
        OPERATION_UNDOING,
        OPERATION_ENDED,
} OperationState;

/* The kinds embed it as their first member. */
struct Operation {
        TAILQ_ENTRY(Operation) list;
        TAILQ_ENTRY(Operation) queue; /* while it waits for another to end, see exec.c */
        Engine *engine;
        const Recipe *recipe;
        OperationState state;
        uint32_t slot;      /* held by it, or SLOT_NONE */
        bool give_slot;     /* it goes back to the pool at the end, */
        bool stuck;         /* unless something of it could not be undone */
        char *name;         /* of the container or image, for sentences */
        unsigned begun, done, unsure;
        Request *requests[STEPS_MAX];
        Method methods[STEPS_MAX];
        unsigned held;      /* steps under way that have no request */
        unsigned undo_next; /* steps below this one are still to be undone */
        Warm *warm;
        Life *life;
        EngineError error;
        sd_event_source *turn;
};

/* Allocates size bytes (at least an Operation) and occupies the slot. -EBUSY: something else is changing it. warm is
 * taken over, in any case. */
int operation_new(Engine *e, const Recipe *recipe, size_t size, uint32_t slot, const char *name, Warm *warm, void *ret);
/* The first steps begin at once, but nothing is told before the caller has returned. */
void operation_begin(Operation *o);
/* Ends it without a word: the engine is being freed. */
void operation_drop(Operation *o);

/* To the method's helper, what may be done twice: see request_again(). */
int operation_call_again(Operation *o, unsigned step, Method method, json_t *parameters);
/* To the method's helper, or on the connection of the operation's life. parameters are consumed. */
int operation_call(Operation *o, unsigned step, Method method, json_t *parameters, const int *fds, size_t n_fds);
/* To a supervisor, on a connection of its own. */
int operation_call_at(Operation *o, unsigned step, Method method, const RequestTarget *target, json_t *parameters,
                      const int *fds, size_t n_fds);
int operation_spawn(Operation *o, unsigned step, const int *listening);
/* For steps that go on without a request: nothing is undone until operation_resume(), which says whether to go on. */
void operation_hold(Operation *o, unsigned step);
bool operation_resume(Operation *o, unsigned step);
/* For steps that end otherwise than by an answer. */
void operation_step_done(Operation *o, unsigned step);
void operation_step_failed(Operation *o, unsigned step, const char *error, const char *why);
void operation_undone(Operation *o);

/* Refuses before anything was done: the caller hears it from the event loop. */
void operation_refuse(Operation *o, const char *error, const char *sentence);
