/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who may do what. One table maps every member of every interface to how it is decided; a member that is not in it is
 * refused. Root is answered without polkit, so that the service can be administered when polkit is absent; then everybody
 * else is refused. The service's own user has no privilege here. */

#include "util.h"

#include <systemd/sd-bus.h>

typedef struct BusCall BusCall;
typedef struct Container Container;

typedef enum MemberWho {
        WHO_EVERYBODY, /* what it tells is public */
        WHO_ACTION,    /* whom polkit lets, and root */
        WHO_HOLDER,    /* who started the job or process, and root */
} MemberWho;

typedef struct Member {
        const char *interface, *member; /* "Properties.Get" and "Properties.GetAll" stand for reading what is not public */
        MemberWho who;
        const char *action; /* polkit's, without "org.berth1." */
        const char *verb;   /* detail "verb" */
        const char *warm;   /* engine_warm()'s verb: helpers that may start while polkit thinks */
        int (*handler)(BusCall *q, sd_bus_error *error);
} Member;

extern const Member authorize_table[]; /* ended by {} */
const Member *authorize_find(const char *interface, const char *member);

#define ACTION_PREFIX "org.berth1."

/* What polkit's rules are told, all of it always, "" where it does not apply. */
typedef enum DetailKey {
        DETAIL_CONTAINER,
        DETAIL_OWNER,       /* decimal user ID of the container's (image's) owner */
        DETAIL_CALLER_OWNS, /* "yes" or "no": is the caller that owner? */
        DETAIL_IMAGE,
        DETAIL_VERB,
        DETAIL_SNAPSHOT,
        DETAIL_NAME,        /* the new name, of rename and clone */
        DETAIL_SIGNAL,      /* decimal */
        DETAIL_COMMAND,     /* argv[0] of exec */
        DETAIL_USER,        /* decimal user ID inside, of exec */
        _DETAIL_MAX,
} DetailKey;

extern const char *const detail_keys[_DETAIL_MAX];

/* What the request is about. Strings may be NULL. */
typedef struct Subject {
        const char *container, *creation, *image, *snapshot, *name, *command, *user;
        uid_t owner;
        int signal; /* 0: none */
} Subject;

Subject subject_of_container(const Container *c);

/* What polkit was asked. */
typedef struct Asked {
        const char *action;
        char creation[64]; /* not a detail, but it has to be the same container still */
        char *details[_DETAIL_MAX];
} Asked;

int asked_new(const char *action, const char *verb, uid_t caller, const Subject *s, Asked **ret);
Asked *asked_free(Asked *a);
bool asked_equal(const Asked *a, const Asked *b);

/* 1 granted, 0 polkit is being asked (return 0), else refused with error set. */
int authorize(BusCall *q, const Subject *s, sd_bus_error *error);

/* 1, or refused. */
int authorize_holder(BusCall *q, bool is_holder, sd_bus_error *error);

/* For reading properties: like authorize(), and if refused 1 as well, with *ret_granted false. */
int authorize_or_less(BusCall *q, const Subject *s, bool *ret_granted, sd_bus_error *error);
