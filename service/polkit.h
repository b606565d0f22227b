/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asking polkit, without waiting. The subject is always a unique bus name. */

#include "util.h"

#include <systemd/sd-bus.h>

typedef struct Polkit Polkit;
typedef struct PolkitCall PolkitCall;

typedef enum PolkitAnswer {
        POLKIT_NO,
        POLKIT_YES,
        POLKIT_CHALLENGE,   /* after a password: interaction was not allowed, or nobody is there to ask */
        POLKIT_DISMISSED,   /* the user closed the prompt */
        POLKIT_UNREACHABLE, /* no polkit, or no answer that makes sense */
} PolkitAnswer;

typedef struct PolkitDetail {
        const char *key, *value;
} PolkitDetail;

typedef struct PolkitQuestion {
        const char *subject; /* unique bus name */
        const char *action;
        const PolkitDetail *details;
        size_t n_details;
        bool interactive;
        bool hint; /* for Permissions: waits behind all others */
} PolkitQuestion;

typedef void (*PolkitHandler)(void *userdata, PolkitAnswer answer);

/* changed: rules or actions are not what they were. */
int polkit_new(sd_bus *bus, void (*changed)(void *userdata), void *userdata, Polkit **ret);
Polkit *polkit_free(Polkit *p);

/* Everything is copied. The handler runs once, never before this returns, unless the call is cancelled. *ret is valid until
 * then. */
int polkit_ask(Polkit *p, const PolkitQuestion *q, PolkitHandler handler, void *userdata, PolkitCall **ret);
/* Takes a prompt off the screen. Returns NULL; NULL is allowed. */
PolkitCall *polkit_cancel(PolkitCall *c);

/* All actions that polkit knows, for the check of the host. */
int polkit_enumerate(Polkit *p, sd_bus_message_handler_t handler, void *userdata, uint64_t timeout);
