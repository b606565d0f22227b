/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Permissions and the hints behind it. Each hint is one question to polkit, which is asked with what the real check would
 * tell it, but for the verb's own details: those nobody knows yet. */

#include "permissions.h"
#include "authorize.h"
#include "container.h"
#include "limits.h"
#include "manager.h"
#include "polkit.h"
#include "bus-call.h"
#include "text-list.h"

#include <stdio.h>

static const char *const verbs[] = {
        "start",    "stop",    "kill",  "exec",   "console", "configure", "snapshot",
        "restore",  "clone",   "rename", "destroy", "freeze",  "info",
};

#define VERBS ELEMENTSOF(verbs)

typedef enum Word {
        WORD_UNKNOWN,
        WORD_YES,
        WORD_CHALLENGE,
        WORD_NO,
        _WORD_MAX,
} Word;

static const char *const words[_WORD_MAX] = {
        [WORD_UNKNOWN] = "no",
        [WORD_YES] = "yes",
        [WORD_CHALLENGE] = "challenge",
        [WORD_NO] = "no",
};

/* Of one container, for one caller. The name counts too: rules look at it. */
struct Hint {
        char *name;
        char creation[CREATION_ID_LENGTH + 1];
        uint8_t words[VERBS];
};

typedef struct Question {
        Permissions *permissions;
        PolkitCall *call;
        char *name;
        char creation[CREATION_ID_LENGTH + 1];
        size_t verb;
} Question;

/* A call that gathers. */
struct Permissions {
        BusCall *request;
        char **names;
        size_t unanswered;
        Question *questions;
        size_t n_questions;
};

void hints_forget(Caller *p) {
        for (size_t i = 0; i < p->n_hints; i++)
                free(p->hints[i].name);
        free(p->hints);
        p->hints = NULL;
        p->n_hints = 0;
}

static Hint *hint_find(const Caller *p, const char *name, const char *creation) {
        for (size_t i = 0; i < p->n_hints; i++)
                if (streq(p->hints[i].creation, creation) && streq(p->hints[i].name, name))
                        return &p->hints[i];
        return NULL;
}

/* Containers come and go: what is kept of the past is bounded. */
static Hint *hint_add(Caller *p, const char *name, const char *creation) {
        Hint *grown;
        char *copy;

        if (p->n_hints >= 2 * SLOTS_MAX)
                hints_forget(p);
        copy = strdup(name);
        grown = copy ? reallocarray(p->hints, p->n_hints + 1, sizeof(Hint)) : NULL;
        if (!grown) {
                free(copy);
                return NULL;
        }
        p->hints = grown;
        grown[p->n_hints] = (Hint) { .name = copy };
        (void) snprintf(grown[p->n_hints].creation, sizeof(grown->creation), "%s", creation);
        return &grown[p->n_hints++];
}

static void hint_note(Caller *p, const char *name, const char *creation, size_t verb, Word word) {
        Hint *h = hint_find(p, name, creation);

        if (!h)
                h = hint_add(p, name, creation);
        if (h)
                h->words[verb] = (uint8_t) word;
}

Permissions *permissions_free(Permissions *p) {
        if (!p)
                return NULL;
        /* Those that wait before those that are asked: a cancelled one lets the next out. */
        for (size_t i = p->n_questions; i-- > 0;) {
                polkit_cancel(p->questions[i].call);
                free(p->questions[i].name);
        }
        free(p->questions);
        strv_free(p->names);
        free(p);
        return NULL;
}

static int append_container(BusCall *q, sd_bus_message *reply, const Container *c) {
        const Hint *h = hint_find(q->caller, c->name, c->creation);
        int r;

        r = sd_bus_message_open_container(reply, 'e', "sa{ss}");
        if (r >= 0)
                r = sd_bus_message_append(reply, "s", c->name);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{ss}");
        for (size_t i = 0; r >= 0 && i < VERBS; i++)
                r = sd_bus_message_append(reply, "{ss}", verbs[i], q->uid == 0 ? "yes" : words[h ? h->words[i] : WORD_NO]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r < 0)
                return r;
        return sd_bus_message_close_container(reply);
}

static bool is_first(char *const *names, char *const *i) {
        for (char *const *k = names; k < i; k++)
                if (streq(*k, *i))
                        return false;
        return true;
}

static int answer(BusCall *q, char *const *names) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(q->message, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "{sa{ss}}");
        for (char *const *i = names; r >= 0 && i && *i; i++) {
                const Container *c = manager_container(q->manager, *i);

                if (c && is_first(names, i))
                        r = append_container(q, reply, c);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r < 0)
                return r;
        return bus_call_reply_message(q, TAKE_PTR(reply));
}

static void finish(Permissions *p) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        BusCall *q = p->request;
        int r;

        r = answer(q, p->names);
        if (r >= 0)
                return;
        (void) bus_error_internal(&error, r, "compose its answer");
        (void) bus_call_fail(q, &error);
}

static Word word_of(PolkitAnswer a) {
        switch (a) {
        case POLKIT_YES:
                return WORD_YES;
        case POLKIT_CHALLENGE:
                return WORD_CHALLENGE;
        case POLKIT_NO:
        case POLKIT_DISMISSED:
        case POLKIT_UNREACHABLE:
                break;
        }
        return WORD_NO;
}

static void on_hint(void *userdata, PolkitAnswer a) {
        Question *question = userdata;
        Permissions *p = question->permissions;

        question->call = NULL;
        /* Without polkit nothing is kept: it does not say when it comes. */
        hint_note(p->request->caller, question->name, question->creation, question->verb,
                  a == POLKIT_UNREACHABLE ? WORD_UNKNOWN : word_of(a));
        p->unanswered--;
        if (p->unanswered == 0)
                finish(p);
}

static int ask(Permissions *p, const Container *c, size_t verb) {
        Question *question = &p->questions[p->n_questions];
        PolkitDetail details[_DETAIL_MAX];
        char bare[32], action[64];
        BusCall *q = p->request;
        Subject s = subject_of_container(c);
        Asked *asked;
        int r;

        *question = (Question) { .permissions = p, .verb = verb, .name = strdup(c->name) };
        if (!question->name)
                return -ENOMEM;
        p->n_questions++;
        (void) snprintf(question->creation, sizeof(question->creation), "%s", c->creation);
        (void) snprintf(bare, sizeof(bare), "container.%s", verbs[verb]);
        (void) snprintf(action, sizeof(action), ACTION_PREFIX "%s", bare);
        r = asked_new(bare, verbs[verb], q->uid, &s, &asked);
        if (r < 0)
                return r;
        for (size_t i = 0; i < _DETAIL_MAX; i++)
                details[i] = (PolkitDetail) { detail_keys[i], asked->details[i] };
        r = polkit_ask(q->manager->polkit,
                       &(PolkitQuestion) { .subject = q->caller->name, .action = action, .details = details,
                                           .n_details = _DETAIL_MAX, .hint = true },
                       on_hint, question, &question->call);
        asked_free(asked);
        if (r >= 0)
                p->unanswered++;
        return r;
}

static int ask_unknown(Permissions *p) {
        for (char **i = p->names; i && *i; i++) {
                const Container *c = manager_container(p->request->manager, *i);
                const Hint *h = c ? hint_find(p->request->caller, c->name, c->creation) : NULL;

                if (!c || !is_first(p->names, i))
                        continue;
                for (size_t verb = 0; verb < VERBS; verb++) {
                        int r = h && h->words[verb] != WORD_UNKNOWN ? 0 : ask(p, c, verb);

                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static unsigned gathering_of(Manager *m, uid_t uid) {
        unsigned n = 0;

        LINK_FOREACH(BusCall, q, &m->requests, link)
                if (q->permissions && q->uid == uid)
                        n++;
        return n;
}

int permissions_answer(BusCall *q, char *const *names, sd_bus_error *error) {
        Permissions *p;
        int r;

        if (q->uid == 0)
                return answer(q, names);
        if (gathering_of(q->manager, q->uid) >= LIMIT_CALLS_PERMISSIONS)
                return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                         "At most %u calls of Permissions of one user may wait for their answers.",
                                         LIMIT_CALLS_PERMISSIONS);
        p = calloc(1, sizeof(Permissions));
        if (!p)
                return -ENOMEM;
        p->request = q;
        q->permissions = p; /* freed with it */
        r = strv_copy(names, &p->names);
        if (r < 0)
                return r;
        p->questions = calloc(strv_length(p->names) * VERBS + 1, sizeof(Question));
        if (!p->questions)
                return -ENOMEM;
        r = ask_unknown(p);
        if (r < 0)
                return r;
        if (p->unanswered == 0)
                finish(p);
        return 0;
}
