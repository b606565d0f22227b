/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The asynchronous side of varlink: berthd as the client of helpers and supervisors, on sd-event. One call at a time on a
 * connection. A handler never runs before the call that named it has returned, and it may free the wire. */

#include "message.h"

#include <systemd/sd-event.h>

#define WIRE_ERROR_MAX 128U

typedef struct Wire Wire;

/* What came back. result is 0 when a message did, else: -EPIPE the other side ended without an answer; -ETIMEDOUT; -EPROTO,
 * -EBADMSG, -EMSGSIZE, -EMFILE an answer that is none; anything else: not connected, not sent. */
typedef struct WireReply {
        int result;
        const char *error;   /* full name, NULL for success */
        json_t *parameters;  /* NULL for {} */
        Message *message;    /* its descriptors; what is not taken is closed afterwards */
        bool continues;      /* more will come */
} WireReply;

typedef void (*WireHandler)(void *userdata, WireReply *reply);

typedef struct WireCall {
        const char *method;
        json_t *parameters;  /* borrowed; NULL for {} */
        const int *fds;      /* borrowed until the first reply */
        size_t n_fds;
        size_t fds_max;      /* how many may come back */
        bool more;
        uint64_t timeout;    /* µs for each reply, UINT64_MAX for none; counts the connecting too */
        WireHandler handler;
        void *userdata;
} WireCall;

#define UID_ANY ((uid_t) -1)

/* Begins to connect. peer: the user that must have called listen() there, else nothing is sent. What goes wrong is told
 * to the first call. */
int wire_new(sd_event *event, const char *path, uid_t peer, Wire **ret);
Wire *wire_free(Wire *w);

int wire_call(Wire *w, const WireCall *call);
/* The supervisor's preface: raw bytes and the call's descriptors, then the end of the connection (-EPIPE, which is
 * success) or an error object. */
int wire_preface(Wire *w, const void *bytes, size_t size, const WireCall *call);

/* Forgets the call that this userdata waits for, and with it the connection: nobody could tell its answer from the next. */
void wire_forget(Wire *w, const void *userdata);

/* Who listens at the other end: the user that it had when it called listen(). Only once connected. */
int wire_peer(const Wire *w, uid_t *ret);
/* Connected, and the other side has not closed. */
bool wire_is_alive(const Wire *w);
