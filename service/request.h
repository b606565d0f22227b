/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One method call at one helper or supervisor: the table of all methods with their deadlines, the limit of how many run
 * at once, connections made in advance, and what an answer comes down to. */

#include "engine.h"
#include "wire.h"

#include <sys/queue.h>

typedef enum Peer {
        PEER_CGROUP,
        PEER_IDMAP,
        PEER_MOUNT,
        PEER_STORAGE,
        PEER_SPAWNED,   /* the spawner's socket for supervisors, with the preface */
        _PEER_HELPERS,
        PEER_SUPERVISOR = _PEER_HELPERS, /* a container's own socket */
        _PEER_MAX,
} Peer;

typedef enum Method {
        CGROUP_PREPARE,
        CGROUP_SET_DEVICES,
        CGROUP_KILL,
        CGROUP_REMOVE,
        IDMAP_WRITE_MAP,
        MOUNT_LAYERS,
        MOUNT_WRITABLE,
        MOUNT_TRASH,
        STORAGE_LIST,
        STORAGE_CREATE_CONTAINER,
        STORAGE_CREATE_IMAGE,
        STORAGE_SEAL,
        STORAGE_TAKE_SNAPSHOT,
        STORAGE_RESTORE_SNAPSHOT,
        STORAGE_REMOVE_SNAPSHOT,
        STORAGE_CLONE,
        STORAGE_RENAME,
        STORAGE_DESTROY,
        STORAGE_REMOVE_IMAGE,
        STORAGE_COLLECT_TRASH,
        STORAGE_RELEASE_TRASH,
        SPAWN_SUPERVISOR,
        SUPERVISOR_CREATE,
        SUPERVISOR_START,
        SUPERVISOR_WORK,
        SUPERVISOR_GET_STATE,
        SUPERVISOR_WATCH,
        SUPERVISOR_SIGNAL,
        SUPERVISOR_HALT,
        SUPERVISOR_EXECUTE,
        SUPERVISOR_SIGNAL_PROCESS,
        SUPERVISOR_RESIZE_PROCESS,
        SUPERVISOR_END, /* no call: waits until the supervisor has closed its connection */
        _METHOD_MAX,
} Method;

/* Where a method is served and how it is called. Walked by a test against the .varlink files. */
typedef struct MethodInfo {
        const char *name;
        Peer peer;
        uint64_t timeout;  /* µs for each reply */
        unsigned fds_max;  /* that may come back */
        bool more;
        bool idempotent;   /* tried again when the helper was not there or ended without an answer */
} MethodInfo;

extern const MethodInfo method_table[_METHOD_MAX];

#define ANSWER_DETAIL_MAX 160U

/* What a request came to. error NULL: it was done. Else error is the name within its interface ("Busy"), or one of
 * "NoAnswer" (ended without), "TimedOut", "Nonsense", "Unreachable", which mean that nobody knows what was done: sure is
 * false then. */
typedef struct Answer {
        const char *error;
        bool sure;
        bool again;                      /* an earlier try may have done it before its helper ended */
        bool missing;                    /* errnoName was ENOENT */
        char detail[ANSWER_DETAIL_MAX];  /* "write gid_map: EPERM", or "" */
        WireReply *reply;
} Answer;

typedef void (*RequestHandler)(void *userdata, unsigned tag, Answer *answer);
typedef struct Request Request;

typedef struct RequestTarget {
        Wire *wire;        /* a connection of the caller's, or NULL for one of the request's own: */
        const char *path;  /* to this socket, or NULL for that of the helper */
        uid_t peer;        /* with path: who must listen there */
} RequestTarget;

/* parameters are consumed, in any case; fds are borrowed until the answer. target NULL: the helper of the method. The
 * request frees itself after its last answer; the handler must forget it. */
int request_new(Engine *e, Method method, const RequestTarget *target, json_t *parameters, const int *fds, size_t n_fds,
                RequestHandler handler, void *userdata, unsigned tag, Request **ret);
/* Forgets it without an answer: closes its own connection. */
Request *request_free(Request *r);

/* To a helper, something that may be done twice though its method in general may not, such as undoing: tried again like
 * idempotent methods. */
int request_again(Engine *e, Method method, json_t *parameters, RequestHandler handler, void *userdata, unsigned tag,
                  Request **ret);
/* The spawner's preface, sent on a helper connection. */
int request_spawn(Engine *e, uint32_t slot, const int *listening, RequestHandler handler, void *userdata, unsigned tag,
                  Request **ret);

/* NULL-terminated list to an array; NULL is an empty one. */
json_t *json_strings(char *const *list);

/* At most so many connections to a helper at once; the spawner's own limits are 32, and 8 for storage. */
#define GATE_LIMIT 24U
#define GATE_LIMIT_STORAGE 6U

typedef struct Gate {
        unsigned active, limit;
        TAILQ_HEAD(, Request) waiting;
} Gate;

/* Connections made in advance, by any Warm, for any request. */
typedef struct WarmWire {
        TAILQ_ENTRY(WarmWire) list;
        Warm *owner;
        Wire *wire;
        Peer peer;
} WarmWire;

typedef struct Requests {
        Gate gates[_PEER_HELPERS];
        TAILQ_HEAD(, WarmWire) warm;
} Requests;

/* Is there a connection ready to be taken? */
/* More connections for one that has begun: verb as of engine_warm(), or "start-later". w may be NULL. */
void warm_more(Warm *w, const char *verb);
bool requests_are_warm(const Requests *r, Peer peer);
void requests_init(Requests *r);
void requests_done(Requests *r);
