/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The frame of a helper: one process, one connected socket at descriptor 3, one call, one reply, exit.
 *
 * helper_main() trusts its starter only for what it cannot check: it insists on no arguments, exactly one connected UNIX
 * stream socket, clears environment, umask, limits and dumpability, notes the peer's user, lets the helper open its
 * compiled-in roots (prepare), cuts capabilities to the helper's row, loads the seccomp list, and only then reads.
 * After the method's name has been matched, capabilities are cut to the method's own, then its parameters are decoded. */

#include "decode.h"
#include "slot.h"

#include <linux/capability.h>
#include <linux/filter.h>
#include <stdint.h>

#define CAP_BIT(c) (UINT64_C(1) << CAP_##c)

typedef struct Call Call;
typedef struct Helper Helper;

typedef struct Method {
        const char *name;             /* full: "org.berth1.IdMap.WriteMap" */
        int (*handler)(Call *call);   /* returns what call_reply(), call_error() or call_decode() returned */
        unsigned descriptors_max;     /* how many may come with the call */
        uint64_t capabilities;        /* kept for it */
} Method;

struct Helper {
        const char *name;             /* "berth-idmap" */
        const char *interface;        /* "org.berth1.IdMap" */
        const char *description;      /* text of its .varlink file (generated header: idmap_description) */
        const Method *methods;        /* ended by {} */
        uint64_t capabilities;        /* the helper's row; helper_main() refuses to run without exactly these or fewer */
        const struct sock_fprog *seccomp;
        /* May be NULL. Before seccomp and before the first byte: open compiled-in roots, narrow the row (clear bits of
         * *capabilities). Nothing from the peer is known yet. */
        int (*prepare)(uint64_t *capabilities);
};

struct Call {
        const Helper *helper;
        const Method *method;
        int socket;
        Message message;
        json_t *parameters; /* borrowed from message; NULL for {} */
        SlotTable slots;
        OwnUserns userns;
        uid_t berth;        /* berthd's user */
        bool answered;
};

/* Decodes the parameters; answers InvalidParameter itself on failure (then return its result at once). */
int call_decode(Call *call, const Field fields[], void *target);

/* Sends the reply; consumes parameters (NULL: {}). The descriptors stay the caller's. */
int call_reply(Call *call, json_t *parameters, const int *fds, size_t n_fds);

/* error: name within the helper's interface ("BadNamespace"), or a full name with dots. step: what was being done, in a word or
 * three; r: negative errno, whose name goes with it. */
int call_error(Call *call, const char *error, const char *step, int r);

/* One line on standard error: operation, object, peer, result. Sanitized. */
void call_log(const Call *call, const char *format, ...) _printf_(2, 3);

int helper_main(int argc, char *argv[], const Helper *helper);
