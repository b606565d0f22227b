/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How a life ends, whatever state it was in. berthd cannot signal a supervisor: it waits for its end, or has berth-cgroup kill
 * it, by the namespace while it lives, by the slot once its lock is free. All of it is repeatable. */

#include "errors.h"
#include "life.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define WAIT_FIRST 500U      /* µs */
#define WAIT_MOST 100000U
#define TRIES_MAX 12U
#define TRIES_KILL 4U        /* Busy so often: something still runs in there */

enum {
        END_CLOSE,     /* wait until the supervisor closes its connection */
        END_NAMESPACE, /* kill by the namespace */
        END_LOCK,      /* wait until its lock is free */
        END_SLOT,      /* kill by the slot */
        END_REMOVE,
};

static void end_go(Life *l, int state);

static void end_finish(Life *l, int result) {
        char path[LIFE_PATH_MAX];
        LifeEnded ended = l->ended;
        void *userdata = l->ended_userdata;

        if (result < 0)
                engine_log("slot %" PRIu32 ": cannot remove what is left of its supervisor: %s", l->slot.number,
                           strerrorname_np(-result) ?: "?");
        else {
                life_path(l->folder, path);
                (void) unlink(path);
                *strrchr(path, '/') = 0;
                (void) rmdir(path); /* the face may have its own files there */
        }

        l->end_timer = sd_event_source_disable_unref(l->end_timer);
        l->warm = warm_free(l->warm);
        l->wire = wire_free(l->wire);
        l->namespace[0] = close_fd(l->namespace[0]);
        l->namespace[1] = close_fd(l->namespace[1]);
        l->state = LIFE_ENDED;
        ended(userdata, result);
}

static int on_end_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        Life *l = userdata;

        end_go(l, l->end_state);
        return 0;
}

/* Longer each time. */
static void end_again(Life *l, int state) {
        uint64_t wait = MIN((uint64_t) WAIT_FIRST << MIN(l->end_tries, 8U), (uint64_t) WAIT_MOST);
        int r;

        l->end_tries++;
        l->end_wait += wait;
        l->end_state = state;
        if (l->end_timer) {
                r = sd_event_source_set_time_relative(l->end_timer, wait);
                if (r >= 0)
                        r = sd_event_source_set_enabled(l->end_timer, SD_EVENT_ONESHOT);
        } else
                r = sd_event_add_time_relative(l->engine->event, &l->end_timer, CLOCK_MONOTONIC, wait, 0, on_end_timer, l);
        if (r < 0)
                end_finish(l, r);
}

static void on_end_answer(void *userdata, unsigned state, Answer *a) {
        Life *l = userdata;

        l->end_request = NULL;
        switch (state) {

        case END_CLOSE:
                if (a->error)
                        return end_go(l, END_NAMESPACE); /* it should have ended by itself */
                l->wire = wire_free(l->wire);
                return end_go(l, l->end_kill ? END_LOCK : END_REMOVE);

        case END_NAMESPACE:
                l->wire = wire_free(l->wire);
                l->end_kill = a->error != NULL;
                return end_go(l, END_LOCK);

        case END_SLOT:
                l->end_kill = false;
                return end_go(l, END_REMOVE);

        case END_REMOVE:
                if (!a->error)
                        return end_finish(l, 0);
                /* The last process may be on its way out of the cgroup still. */
                if (!streq(a->error, "Busy") || l->end_tries >= TRIES_MAX)
                        return end_finish(l, streq(a->error, "Busy") ? -EBUSY : -EIO);
                l->end_kill = l->end_tries == TRIES_KILL;
                return end_again(l, END_LOCK);
        }
}

static int end_request(Life *l, int state) {
        Engine *e = l->engine;
        RequestTarget target = { .wire = l->wire };

        switch (state) {

        case END_CLOSE:
                return request_new(e, SUPERVISOR_END, &target, NULL, NULL, 0, on_end_answer, l, (unsigned) state,
                                   &l->end_request);

        case END_NAMESPACE:
                return request_new(e, CGROUP_KILL, NULL, json_pack("{s:i}", "userNamespaceFileDescriptor", 0),
                                   &l->namespace[1], 1, on_end_answer, l, (unsigned) state, &l->end_request);

        case END_SLOT:
        case END_REMOVE:
                return request_new(e, state == END_SLOT ? CGROUP_KILL : CGROUP_REMOVE, NULL,
                                   json_pack("{s:I}", "slot", (json_int_t) l->slot.number), NULL, 0, on_end_answer, l,
                                   (unsigned) state, &l->end_request);
        }

        return -EINVAL;
}

static void end_go(Life *l, int state) {
        int r;

        if (state == END_CLOSE && !l->wire)
                state = END_NAMESPACE;
        if (state == END_NAMESPACE && l->namespace[1] < 0) {
                /* No namespace to name: a supervisor that young ends with its connection. */
                l->wire = wire_free(l->wire);
                state = END_LOCK;
        }
        if (state == END_LOCK) {
                if (slot_is_locked(l->engine->locks, l->slot.number)) {
                        if (l->end_wait >= (l->engine->lock_timeout))
                                return end_finish(l, -EBUSY);
                        return end_again(l, END_LOCK);
                }
                state = l->end_kill ? END_SLOT : END_REMOVE;
        }

        l->end_state = state;
        r = end_request(l, state);
        if (r < 0)
                end_finish(l, r);
}

void life_end(Life *l, bool kill, LifeEnded ended, void *userdata) {
        l->state = LIFE_ENDING;
        l->ended = ended;
        l->ended_userdata = userdata;
        l->watch = request_free(l->watch);
        l->listening = close_fd(l->listening);
        l->end_tries = 0;
        l->end_wait = 0;
        l->end_kill = kill && l->spawned;

        if (!l->spawned)
                return end_go(l, END_REMOVE);
        if (kill)
                return end_go(l, END_NAMESPACE);

        /* While the supervisor goes, the helper that removes its cgroups starts. */
        if (!requests_are_warm(&l->engine->requests, PEER_CGROUP))
                l->warm = engine_warm(l->engine, "stop");
        end_go(l, END_CLOSE);
}
