/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The engine's beginning and end. Runs as user berth without a capability; what it wants done, helpers do. */

#include "adopt.h"
#include "errors.h"
#include "life.h"
#include "operation.h"

#define KILL_USEC 5000000U       /* for a supervisor to see its init's end after SIGKILL */
#define LOCK_USEC 5000000U       /* for a supervisor to end with its connection */
#define RETRY_USEC 10000000U     /* for a helper to be there again, where something is undone */
#define TRASH_DELAY_USEC 300000U /* deleting does not compete with what the caller does next */

static int on_idle(sd_event_source *s, void *userdata) {
        Engine *e = userdata;

        if (engine_is_idle(e))
                e->callbacks.idle(e->userdata);
        return 0;
}

bool engine_is_idle(Engine *e) {
        return e->operations == 0 && e->lives == 0 && !e->load && !(e->trash.wanted && e->trash.failures == 0);
}

void engine_look_idle(Engine *e) {
        if (engine_is_idle(e))
                (void) sd_event_source_set_enabled(e->idle, SD_EVENT_ONESHOT);
}

int engine_new(sd_event *event, const EngineCallbacks *callbacks, void *userdata, Engine **ret) {
        Engine *e;
        int r;

        e = calloc(1, sizeof(Engine));
        if (!e)
                return -ENOMEM;
        e->event = sd_event_ref(event);
        e->callbacks = *callbacks;
        e->userdata = userdata;
        e->locks = -EBADF;
        e->kill_timeout = KILL_USEC;
        e->lock_timeout = LOCK_USEC;
        e->retry_timeout = RETRY_USEC;
        e->trash_delay = TRASH_DELAY_USEC;
        for (Method m = 0; m < _METHOD_MAX; m++)
                e->timeouts[m] = method_table[m].timeout;
        TAILQ_INIT(&e->all);
        requests_init(&e->requests);
        r = slot_table_load(&e->table);
        if (r >= 0)
                r = own_userns_get(&e->userns);
        if (r >= 0)
                r = sd_event_add_defer(event, &e->idle, on_idle, e);
        if (r >= 0)
                r = sd_event_source_set_enabled(e->idle, SD_EVENT_OFF);
        if (r < 0) {
                engine_free(e);
                return r;
        }

        *ret = e;
        return 0;
}

Engine *engine_free(Engine *e) {
        if (!e)
                return NULL;

        e->load = load_free(e->load);
        while (!TAILQ_EMPTY(&e->all))
                operation_drop(TAILQ_FIRST(&e->all));
        for (uint32_t i = 0; i < SLOTS_MAX; i++)
                e->slots[i].life = life_free(e->slots[i].life);
        requests_done(&e->requests);
        sd_event_source_disable_unref(e->trash.timer);
        sd_event_source_disable_unref(e->idle);
        (void) close_fd(e->locks);
        sd_event_unref(e->event);
        free(e);
        return NULL;
}
