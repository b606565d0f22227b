/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Error names and sentences. Pure functions. */

#include "errors.h"

#include <stdarg.h>
#include <stdio.h>

/* A typed error of a peer, and what it is called on the bus. Whatever is not here is HelperFailed. */
static const struct {
        Peer peer;
        const char *error;
        const char *name;
} names[] = {
        { PEER_STORAGE, "AlreadyExists", "AlreadyExists" },
        { PEER_STORAGE, "NoSuchImage", "NoSuchImage" },
        { PEER_STORAGE, "NoSuchSnapshot", "NoSuchSnapshot" },
        { PEER_STORAGE, "Busy", "Busy" },
        { PEER_STORAGE, "StillUsed", "StillUsed" },
        { PEER_STORAGE, "LimitReached", "LimitReached" },
        { PEER_STORAGE, "BadName", "InvalidArgument" },
        { PEER_CGROUP, "Busy", "Busy" },
        { PEER_CGROUP, "NoController", "Unsupported" },
        { PEER_SUPERVISOR, "LimitReached", "LimitReached" },
        { PEER_SUPERVISOR, "BadDescriptor", "InvalidArgument" },
        { PEER_SUPERVISOR, "BadArchive", "InvalidArgument" },
        { PEER_SUPERVISOR, "CannotExecute", "CannotExecute" },
        { PEER_SUPERVISOR, "NoSuchProcess", "NotRunning" },
};

/* What to do about it. */
static const struct {
        const char *error;
        const char *remedy;
} remedies[] = {
        { "NoAnswer", "the helper ended without an answer; the log of berth-spawner says why" },
        { "TimedOut", "no answer in time; the machine may be overloaded, try again" },
        { "Nonsense", "the answer made no sense; helpers and berthd must be of the same version" },
        { "Unreachable", "not reachable; is berth-spawner running?" },
        { "LimitReached", "a limit is reached" },
        { "NoController", "a cgroup controller that is needed is not mounted" },
        { "Busy", "something of an earlier run is still there; try again" },
        { "BadArchive", "the archive is damaged or refused" },
        { "WrongState", "not possible in this state" },
};

const char *error_name(Method method, const Answer *answer) {
        if (streq(answer->error, "TimedOut"))
                return "TimedOut";
        if (method_table[method].peer == PEER_SUPERVISOR && streq(answer->error, "CannotExecute") && answer->missing)
                return "NotFound";
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (answer->sure && names[i].peer == method_table[method].peer && streq(names[i].error, answer->error))
                        return names[i].name;

        return "HelperFailed";
}

void engine_error_done(EngineError *e) {
        free(e->message);
        *e = (EngineError) {};
}

void error_sentence(EngineError *ret, const char *error, const char *format, ...) {
        va_list ap;

        if (ret->error)
                return;
        va_start(ap, format);
        if (vasprintf(&ret->message, format, ap) < 0)
                ret->message = NULL; /* the name alone tells enough */
        va_end(ap);
        ret->error = error;
}

static const char *remedy_of(const char *error) {
        for (size_t i = 0; i < ELEMENTSOF(remedies); i++)
                if (streq(remedies[i].error, error))
                        return remedies[i].remedy;

        return NULL;
}

void error_of_answer(EngineError *ret, Method method, const Answer *answer, const char *verb, const char *name,
                     const char *step) {
        const char *remedy = remedy_of(answer->error);

        error_sentence(ret, error_name(method, answer), "cannot %s %s: %s failed (%s%s%s)%s%s", verb, name, step,
                       answer->error, *answer->detail ? ": " : "", answer->detail, remedy ? "; " : "",
                       remedy ? remedy : "");
}

void error_of_step(EngineError *ret, const char *error, const char *verb, const char *name, const char *step,
                   const char *why) {
        error_sentence(ret, error, "cannot %s %s: %s failed (%s)", verb, name, step, why);
}

void engine_log(const char *format, ...) {
        char line[512];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(line, sizeof(line), format, ap);
        va_end(ap);
        (void) fprintf(stderr, "berthd: %s\n", line);
}
