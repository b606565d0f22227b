/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Deciding. Believes the bus driver for who the caller is, polkit for what it may do, and nobody else. */

#include "authorize.h"
#include "bus-error.h"
#include "container.h"
#include "limits.h"
#include "log.h"
#include "manager.h"
#include "mutation.h"
#include "bus-call.h"

#include <assert.h>
#include <stdio.h>

const char *const detail_keys[_DETAIL_MAX] = {
        [DETAIL_CONTAINER] = "container", [DETAIL_OWNER] = "owner",       [DETAIL_CALLER_OWNS] = "caller-owns",
        [DETAIL_IMAGE] = "image",         [DETAIL_VERB] = "verb",         [DETAIL_SNAPSHOT] = "snapshot",
        [DETAIL_NAME] = "name",           [DETAIL_SIGNAL] = "signal",     [DETAIL_COMMAND] = "command",
        [DETAIL_USER] = "user",
};

const Member *authorize_find(const char *interface, const char *member) {
        for (const Member *m = authorize_table; m->interface; m++)
                if (streq(m->member, member) && streq(m->interface, interface))
                        return m;
        return NULL;
}

Subject subject_of_container(const Container *c) {
        return (Subject) { .container = c->name, .creation = c->creation, .image = c->image, .owner = c->owner };
}

Asked *asked_free(Asked *a) {
        if (!a)
                return NULL;
        for (size_t i = 0; i < _DETAIL_MAX; i++)
                free(a->details[i]);
        free(a);
        return NULL;
}

static void asked_freep(Asked **a) {
        asked_free(*a);
}

int asked_new(const char *action, const char *verb, uid_t caller, const Subject *s, Asked **ret) {
        _cleanup_(asked_freep) Asked *a = NULL;
        char owner[12], signal[12] = "";

        (void) snprintf(owner, sizeof(owner), "%u", s->owner);
        if (s->signal != 0)
                (void) snprintf(signal, sizeof(signal), "%d", s->signal);

        const char *const values[_DETAIL_MAX] = {
                [DETAIL_CONTAINER] = s->container,
                [DETAIL_OWNER] = owner,
                [DETAIL_CALLER_OWNS] = s->owner == caller ? "yes" : "no",
                [DETAIL_IMAGE] = s->image,
                [DETAIL_VERB] = verb,
                [DETAIL_SNAPSHOT] = s->snapshot,
                [DETAIL_NAME] = s->name,
                [DETAIL_SIGNAL] = signal,
                [DETAIL_COMMAND] = s->command,
                [DETAIL_USER] = s->user,
        };

        a = calloc(1, sizeof(Asked));
        if (!a)
                return -ENOMEM;
        a->action = action;
        (void) snprintf(a->creation, sizeof(a->creation), "%s", s->creation ?: "");
        for (size_t i = 0; i < _DETAIL_MAX; i++) {
                a->details[i] = strdup(values[i] ?: "");
                if (!a->details[i])
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(a);
        return 0;
}

bool asked_equal(const Asked *a, const Asked *b) {
        for (size_t i = 0; i < _DETAIL_MAX; i++)
                if (!streq(a->details[i], b->details[i]))
                        return false;
        return streq(a->action, b->action) && streq(a->creation, b->creation);
}

static int refuse(const BusCall *q, PolkitAnswer answer, sd_bus_error *error) {
        switch (answer) {
        case POLKIT_CHALLENGE:
                return sd_bus_error_setf(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
                                         q->interactive ? "This needs a password, and nobody is there to ask for it: run a "
                                                          "polkit agent (pkttyagent on a terminal) and try again."
                                                        : "This needs a password: allow interactive authorization and try "
                                                          "again.");
        case POLKIT_DISMISSED:
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "Not authorized: the prompt was closed.");
        case POLKIT_UNREACHABLE:
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
                                        "Not authorized: polkit does not answer, so only root is served. See that polkit is "
                                        "installed and runs.");
        case POLKIT_NO:
        case POLKIT_YES:
                break;
        }
        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                 "Not authorized: polkit action " ACTION_PREFIX "%s was refused or its password was not given. "
                                 "An administrator may allow it in /etc/polkit-1/rules.d/.",
                                 q->member->action);
}

static void on_answer(void *userdata, PolkitAnswer answer) {
        BusCall *q = userdata;

        q->polkit = NULL;
        q->answer = answer;
        q->answered = true;
        bus_call_run(q);
}

static unsigned prompts_of(Manager *m, uid_t uid) {
        unsigned n = 0;

        LINK_FOREACH(BusCall, q, &m->requests, link)
                if (q->uid == uid && q->polkit && q->interactive)
                        n++;
        return n;
}

static int ask(BusCall *q, const Subject *s, Asked *asked, sd_bus_error *error) {
        PolkitDetail details[_DETAIL_MAX];
        char action[64];
        int r;

        if (q->interactive && prompts_of(q->manager, q->uid) >= LIMIT_CALLS_INTERACTIVE)
                return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                         "At most %u calls of one user may wait for a password.", LIMIT_CALLS_INTERACTIVE);
        for (size_t i = 0; i < _DETAIL_MAX; i++)
                details[i] = (PolkitDetail) { detail_keys[i], asked->details[i] };
        (void) snprintf(action, sizeof(action), ACTION_PREFIX "%s", asked->action);
        r = polkit_ask(q->manager->polkit,
                       &(PolkitQuestion) { .subject = q->caller->name, .action = action, .details = details,
                                           .n_details = _DETAIL_MAX, .interactive = q->interactive },
                       on_answer, q, &q->polkit);
        if (r < 0) {
                log_warning("%s %s: cannot ask polkit: %s", q->member->interface, q->member->member, strerror(-r));
                return refuse(q, POLKIT_UNREACHABLE, error);
        }
        q->asked = asked;
        /* An outsider must not be able to make the machine start processes by asking for what it will not get: only for the
         * owner of what is there already, so never for create and import, which the table leaves cold. */
        if (q->member->warm && s->owner == q->uid)
                q->warm = engine_warm(q->manager->engine, q->member->warm);
        return 0;
}

/* What is being done now against what polkit was asked about. */
static int compare(BusCall *q, const Asked *asked, sd_bus_error *error) {
        if (!MUTATION(authorize_frozen) && (!q->asked || !asked_equal(q->asked, asked)))
                return sd_bus_error_set(error, ERROR_BUSY,
                                        "What this call is about was changed while its authorization was asked for: try "
                                        "again.");
        return 1;
}

/* As authorize(), with polkit's answer told apart from what went wrong before it. */
static int decide(BusCall *q, const Subject *s, PolkitAnswer *ret_answer, sd_bus_error *error) {
        _cleanup_(asked_freep) Asked *asked = NULL;
        int r;

        assert(q->member->who == WHO_ACTION);
        if (q->uid == 0) {
                *ret_answer = POLKIT_YES;
                return 1;
        }
        r = asked_new(q->member->action, q->member->verb, q->uid, s, &asked);
        if (r < 0)
                return bus_error_internal(error, r, "remember the request");
        if (!q->answered) {
                r = ask(q, s, asked, error);
                if (r >= 0)
                        asked = NULL; /* the request's now */
                return r;
        }
        *ret_answer = q->answer;
        return compare(q, asked, error);
}

int authorize(BusCall *q, const Subject *s, sd_bus_error *error) {
        PolkitAnswer answer;
        int r;

        r = decide(q, s, &answer, error);
        if (r <= 0)
                return r;
        if (answer != POLKIT_YES)
                return refuse(q, answer, error);
        q->granted = true;
        return 1;
}

int authorize_or_less(BusCall *q, const Subject *s, bool *ret_granted, sd_bus_error *error) {
        PolkitAnswer answer;
        int r;

        r = decide(q, s, &answer, error);
        if (r <= 0)
                return r;
        *ret_granted = answer == POLKIT_YES;
        q->granted = true; /* to be told what everybody may know */
        return 1;
}

int authorize_holder(BusCall *q, bool is_holder, sd_bus_error *error) {
        assert(q->member->who == WHO_HOLDER);
        if (!MUTATION(authorize_holder) && q->uid != 0 && !is_holder)
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
                                        "Not authorized: this belongs to the one who started it.");
        q->granted = true;
        return 1;
}
