/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One method call, from its arrival to its answer. Every call of every interface takes this path:
 *
 *         arrive -> member table (not listed: refused) -> who is it -> handler -> answer
 *                                                                      ^    |
 *                                                                      |    v authorize()
 *                                                                      +- polkit
 *
 * A handler is written top down: read the arguments, look the object up, `r = authorize(...)`, `if (r <= 0) return r;`, act.
 * authorize() returns 0 when polkit has to be asked; when the answer comes the handler runs again from its top on the
 * same sealed message, looks everything up again, and authorize() compares what it is told with what was asked. So what
 * was checked is what is done, and nothing of the caller's is kept but the message.
 *
 * A handler that has begun an operation keeps the request and answers later; every request is answered exactly once, by
 * bus_call_reply() or bus_call_fail(), which free it. */

#include "authorize.h"
#include "engine.h"
#include "list.h"
#include "caller.h"
#include "polkit.h"

typedef struct Container Container;
typedef struct Image Image;
typedef struct Permissions Permissions;

struct BusCall {
        Manager *manager;
        Link link;
        Link waiting; /* in a container's list of those who wait for its stop */
        sd_bus_message *message;
        const Member *member;
        Caller *caller;
        uid_t uid; /* valid once the handler runs */
        bool interactive;
        bool granted;       /* authorize() has returned 1 */
        bool answered;      /* polkit has answered */
        PolkitAnswer answer;
        PolkitCall *polkit; /* while it is being asked */
        Asked *asked;       /* what it was asked */
        Warm *warm;
        Permissions *permissions; /* while hints are gathered */
};

/* sd-bus' handler of every method. */
int bus_call_arrive(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* The same with the row already known. */
int bus_call_begin(Manager *manager, sd_bus_message *m, const Member *member, sd_bus_error *error);

/* Runs the handler (again). q may be gone afterwards. */
void bus_call_run(BusCall *q);

/* Answers; both return 0, for handlers' last lines. types may be NULL. */
int bus_call_reply(BusCall *q, const char *types, ...);
int bus_call_reply_message(BusCall *q, sd_bus_message *reply); /* consumes the reference */
int bus_call_fail(BusCall *q, const sd_bus_error *error);
int bus_call_fail_engine(BusCall *q, const EngineError *error);
BusCall *bus_call_free(BusCall *q); /* without an answer */

void bus_calls_caller_known(Caller *p);
void bus_calls_caller_gone(Caller *p);
unsigned bus_calls_count(Manager *m, uid_t uid);

/* Options. */
typedef struct Option {
        const char *key;
        const char *signature;
        /* For "b" int, "s" const char *, "u" uint32_t, "t" uint64_t, "h" int (the message's own), "as" char **,
         * all else a function. */
        void *target;
        bool *given; /* may be NULL */
        int (*read)(sd_bus_message *m, void *target, sd_bus_error *error);
} Option;

/* Reads the last argument, options ended by {}; "interactive" is understood everywhere. Unknown or repeated: InvalidArgs. */
int bus_call_options(BusCall *q, const Option options[], sd_bus_error *error);

/* The object that the message's path names. */
int bus_call_container(BusCall *q, Container **ret, sd_bus_error *error);
int bus_call_image(BusCall *q, Image **ret, sd_bus_error *error);

int bus_call_check_name(const char *name, sd_bus_error *error);
