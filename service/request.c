/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Requests to helpers and supervisors. No privilege; believes no answer beyond the field tables that decode it. The most a
 * lying helper can do here is to make one operation fail. */

#include "request.h"
#include "decode.h"
#include "engine-state.h"

#include <stdio.h>

#define SECONDS 1000000U
#define HELPERS "/run/berth/helpers/"
#define RETRY_FIRST 1000U  /* µs */
#define RETRY_MOST 200000U

/* Deadlines: a helper's deed takes a millisecond; what waits for disks or for processes to die gets more. */
const MethodInfo method_table[_METHOD_MAX] = {
        [CGROUP_PREPARE] = { "org.berth1.Cgroup.Prepare", PEER_CGROUP, 10 * SECONDS },
        [CGROUP_SET_DEVICES] = { "org.berth1.Cgroup.SetDevices", PEER_CGROUP, 10 * SECONDS },
        [CGROUP_KILL] = { "org.berth1.Cgroup.Kill", PEER_CGROUP, 20 * SECONDS, .idempotent = true },
        [CGROUP_REMOVE] = { "org.berth1.Cgroup.Remove", PEER_CGROUP, 20 * SECONDS, .idempotent = true },
        [IDMAP_WRITE_MAP] = { "org.berth1.IdMap.WriteMap", PEER_IDMAP, 10 * SECONDS },
        [MOUNT_LAYERS] = { "org.berth1.Mount.MountLayers", PEER_MOUNT, 10 * SECONDS, .fds_max = 64 },
        [MOUNT_WRITABLE] = { "org.berth1.Mount.MountWritable", PEER_MOUNT, 10 * SECONDS, .fds_max = 1 },
        [MOUNT_TRASH] = { "org.berth1.Mount.MountTrash", PEER_MOUNT, 10 * SECONDS, .fds_max = 1 },
        [STORAGE_LIST] = { "org.berth1.Storage.List", PEER_STORAGE, 30 * SECONDS, .idempotent = true },
        [STORAGE_CREATE_CONTAINER] = { "org.berth1.Storage.CreateContainer", PEER_STORAGE, 30 * SECONDS },
        [STORAGE_CREATE_IMAGE] = { "org.berth1.Storage.CreateImage", PEER_STORAGE, 30 * SECONDS },
        [STORAGE_SEAL] = { "org.berth1.Storage.Seal", PEER_STORAGE, 60 * SECONDS },
        [STORAGE_TAKE_SNAPSHOT] = { "org.berth1.Storage.TakeSnapshot", PEER_STORAGE, 30 * SECONDS },
        [STORAGE_RESTORE_SNAPSHOT] = { "org.berth1.Storage.RestoreSnapshot", PEER_STORAGE, 30 * SECONDS },
        [STORAGE_REMOVE_SNAPSHOT] = { "org.berth1.Storage.RemoveSnapshot", PEER_STORAGE, 30 * SECONDS },
        [STORAGE_CLONE] = { "org.berth1.Storage.Clone", PEER_STORAGE, 30 * SECONDS },
        [STORAGE_RENAME] = { "org.berth1.Storage.Rename", PEER_STORAGE, 30 * SECONDS },
        [STORAGE_DESTROY] = { "org.berth1.Storage.Destroy", PEER_STORAGE, 30 * SECONDS },
        [STORAGE_REMOVE_IMAGE] = { "org.berth1.Storage.RemoveImage", PEER_STORAGE, 30 * SECONDS },
        [STORAGE_COLLECT_TRASH] = { "org.berth1.Storage.CollectTrash", PEER_STORAGE, 60 * SECONDS },
        [STORAGE_RELEASE_TRASH] = { "org.berth1.Storage.ReleaseTrash", PEER_STORAGE, 30 * SECONDS },
        [SPAWN_SUPERVISOR] = { NULL, PEER_SPAWNED, 10 * SECONDS },
        [SUPERVISOR_CREATE] = { "org.berth1.Supervisor.Create", PEER_SUPERVISOR, 10 * SECONDS, .fds_max = 3 },
        [SUPERVISOR_START] = { "org.berth1.Supervisor.Start", PEER_SUPERVISOR, 30 * SECONDS, .fds_max = 1 },
        /* An archive may come from a pipe whose other end takes its time. */
        [SUPERVISOR_WORK] = { "org.berth1.Supervisor.Work", PEER_SUPERVISOR, 300 * SECONDS, .more = true },
        [SUPERVISOR_GET_STATE] = { "org.berth1.Supervisor.GetState", PEER_SUPERVISOR, 5 * SECONDS, .fds_max = 3 },
        [SUPERVISOR_WATCH] = { "org.berth1.Supervisor.Watch", PEER_SUPERVISOR, UINT64_MAX, .more = true },
        [SUPERVISOR_SIGNAL] = { "org.berth1.Supervisor.Signal", PEER_SUPERVISOR, 5 * SECONDS },
        [SUPERVISOR_HALT] = { "org.berth1.Supervisor.Halt", PEER_SUPERVISOR, 5 * SECONDS },
        [SUPERVISOR_EXECUTE] = { "org.berth1.Supervisor.Execute", PEER_SUPERVISOR, 20 * SECONDS, .fds_max = 3 },
        [SUPERVISOR_SIGNAL_PROCESS] = { "org.berth1.Supervisor.SignalProcess", PEER_SUPERVISOR, 5 * SECONDS },
        [SUPERVISOR_RESIZE_PROCESS] = { "org.berth1.Supervisor.ResizeProcess", PEER_SUPERVISOR, 5 * SECONDS },
        [SUPERVISOR_END] = { NULL, PEER_SUPERVISOR, 10 * SECONDS },
};

static const char *const helper_sockets[_PEER_HELPERS] = {
        [PEER_CGROUP] = HELPERS "cgroup",
        [PEER_IDMAP] = HELPERS "idmap",
        [PEER_MOUNT] = HELPERS "mount",
        [PEER_STORAGE] = HELPERS "storage",
        [PEER_SPAWNED] = HELPERS "supervisor",
};

struct Warm {
        Engine *engine;
        unsigned n;
};

struct Request {
        TAILQ_ENTRY(Request) list;
        Engine *engine;
        Method method;
        Wire *wire;
        bool borrowed;   /* the wire is the caller's */
        bool holds;      /* a place at its gate */
        bool waiting;
        bool lasting;    /* tried again, while the spawner is being restarted, say */
        bool unknown;    /* whether an earlier try did it */
        unsigned tries;
        uint64_t waited; /* µs, between the tries */
        sd_event_source *again;
        json_t *parameters;
        const int *fds;
        size_t n_fds;
        uint32_t slot;   /* of a preface */
        RequestHandler handler;
        void *userdata;
        unsigned tag;
        sd_event_source *failure;
        int result;
};

void requests_init(Requests *r) {
        for (Peer p = 0; p < _PEER_HELPERS; p++) {
                r->gates[p].limit = p == PEER_STORAGE ? GATE_LIMIT_STORAGE : GATE_LIMIT;
                TAILQ_INIT(&r->gates[p].waiting);
        }
        TAILQ_INIT(&r->warm);
}

void requests_done(Requests *r) {
        WarmWire *w;

        while ((w = TAILQ_FIRST(&r->warm))) {
                TAILQ_REMOVE(&r->warm, w, list);
                wire_free(w->wire);
                free(w);
        }
}

static const MethodInfo *request_info(const Request *r) {
        return &method_table[r->method];
}

static Gate *request_gate(const Request *r) {
        return request_info(r)->peer < _PEER_HELPERS ? &r->engine->requests.gates[request_info(r)->peer] : NULL;
}

static int request_send(Request *r);

/* The next in the queue gets the place. */
static void gate_leave(Gate *g) {
        Request *next;

        g->active--;
        while (g->active < g->limit && (next = TAILQ_FIRST(&g->waiting))) {
                int r;

                TAILQ_REMOVE(&g->waiting, next, list);
                next->waiting = false;
                next->holds = true;
                g->active++;
                r = request_send(next);
                if (r < 0) {
                        next->result = r;
                        (void) sd_event_source_set_enabled(next->failure, SD_EVENT_ONESHOT);
                }
        }
}

Request *request_free(Request *r) {
        Gate *g;

        if (!r)
                return NULL;

        g = request_gate(r);
        if (r->waiting)
                TAILQ_REMOVE(&g->waiting, r, list);
        if (r->borrowed)
                wire_forget(r->wire, r);
        else
                r->wire = wire_free(r->wire);
        sd_event_source_disable_unref(r->failure);
        sd_event_source_disable_unref(r->again);
        if (r->parameters)
                json_decref(r->parameters);
        if (r->holds)
                gate_leave(g);
        free(r);
        return NULL;
}

/* What the step and errno name of a typed error say, cut and free of control characters. */
static void describe(WireReply *reply, Answer *a) {
        struct {
                const char *step, *errno_name, *parameter, *method;
        } p = {};
        static const Field fields[] = {
                { "step", FIELD_STRING, 0, FIELD_NULLABLE, 0, 80 },
                { "errnoName", FIELD_STRING, sizeof(char *), FIELD_NULLABLE, 0, 32 },
                { "parameter", FIELD_STRING, 2 * sizeof(char *), FIELD_NULLABLE, 0, 64 },
                { "method", FIELD_STRING, 3 * sizeof(char *), FIELD_NULLABLE, 0, 64 },
                {},
        };
        const char *field;

        if (decode(reply->parameters, fields, reply->message, &p, &field) < 0)
                return;
        a->missing = p.errno_name && streq(p.errno_name, "ENOENT");
        if (p.parameter)
                (void) snprintf(a->detail, sizeof(a->detail), "parameter %s", p.parameter);
        else if (p.step && p.errno_name)
                (void) snprintf(a->detail, sizeof(a->detail), "%s: %s", p.step, p.errno_name);
}

static Answer answer_of(const Request *r, WireReply *reply) {
        Answer a = { .reply = reply, .sure = true, .again = r->unknown };
        bool ends = r->method == SPAWN_SUPERVISOR || r->method == SUPERVISOR_END;

        if (reply->result == -EPIPE && ends)
                return a;
        if (reply->result < 0) {
                a.sure = false;
                a.error = reply->result == -EPIPE ? "NoAnswer"
                          : reply->result == -ETIMEDOUT ? "TimedOut"
                          : reply->result == -EPROTO || reply->result == -EBADMSG || reply->result == -EMSGSIZE ||
                                            reply->result == -EMFILE
                                  ? "Nonsense"
                                  : "Unreachable";
                if (streq(a.error, "Unreachable"))
                        (void) snprintf(a.detail, sizeof(a.detail), "%s", strerrorname_np(-reply->result) ?: "");
                return a;
        }
        if (reply->error) {
                const char *dot = strrchr(reply->error, '.');

                a.error = dot ? dot + 1 : reply->error;
                describe(reply, &a);
        }
        return a;
}

static int on_again(sd_event_source *s, uint64_t usec, void *userdata) {
        Request *r = userdata;
        int k;

        r->again = sd_event_source_disable_unref(r->again);
        k = request_send(r);
        if (k < 0) {
                r->result = k;
                return sd_event_source_set_enabled(r->failure, SD_EVENT_ONESHOT);
        }
        return 0;
}

/* A helper that was killed, or a spawner that is being restarted: at once for the first time, then after longer and longer. */
static bool request_retry(Request *r, int result) {
        uint64_t wait = r->tries == 0 ? 0 : MIN((uint64_t) RETRY_FIRST << MIN(r->tries, 16U), (uint64_t) RETRY_MOST);

        if (!r->lasting || r->borrowed || r->waited >= r->engine->retry_timeout ||
            (result != -EPIPE && result != -ECONNREFUSED && result != -ECONNRESET && result != -ENOENT))
                return false;

        r->wire = wire_free(r->wire);
        r->unknown |= result == -EPIPE || result == -ECONNRESET;
        r->tries++;
        r->waited += wait;
        return sd_event_add_time_relative(r->engine->event, &r->again, CLOCK_MONOTONIC, wait, 0, on_again, r) >= 0;
}

static void on_reply(void *userdata, WireReply *reply) {
        Request *r = userdata;
        Answer a;

        if (request_retry(r, reply->result))
                return;

        a = answer_of(r, reply);
        if (reply->continues) {
                r->handler(r->userdata, r->tag, &a);
                return;
        }

        RequestHandler handler = r->handler;
        void *owner = r->userdata;
        unsigned tag = r->tag;

        /* The place at the gate is free before the handler asks for the next one. */
        request_free(r);
        handler(owner, tag, &a);
}

static int on_failure(sd_event_source *s, void *userdata) {
        Request *r = userdata;
        Message none = {};

        r->lasting = false;
        on_reply(r, &(WireReply) { .result = r->result, .message = &none });
        return 0;
}

/* A connection that somebody made in advance. Its place at the gate comes with it. */
static Wire *take_warm(Engine *e, Peer peer) {
        WarmWire *w, *next;

        for (w = TAILQ_FIRST(&e->requests.warm); w; w = next) {
                Wire *wire = w->wire;

                next = TAILQ_NEXT(w, list);
                if (w->peer != peer)
                        continue;
                TAILQ_REMOVE(&e->requests.warm, w, list);
                free(w);
                if (wire_is_alive(wire))
                        return wire;
                wire_free(wire); /* the spawner's deadline came first */
                e->requests.gates[peer].active--;
        }

        return NULL;
}

static int request_send(Request *r) {
        const MethodInfo *info = request_info(r);
        WireCall call = {
                .method = info->name,
                .parameters = r->parameters,
                .fds = r->fds,
                .n_fds = r->n_fds,
                .fds_max = info->fds_max,
                .more = info->more,
                .timeout = r->engine->timeouts[r->method],
                .handler = on_reply,
                .userdata = r,
        };
        int k;

        if (!r->wire) {
                k = wire_new(r->engine->event, helper_sockets[info->peer], UID_ANY, &r->wire);
                if (k < 0)
                        return k;
        }

        if (r->method == SPAWN_SUPERVISOR)
                return wire_preface(r->wire, &r->slot, sizeof(r->slot), &call);
        if (r->method == SUPERVISOR_END)
                return wire_preface(r->wire, "", 0, &call);
        return wire_call(r->wire, &call);
}

/* A place at the helper's gate, with a warm connection if there is one; or a wait for it. */
static bool request_enter(Request *r) {
        Gate *g = request_gate(r);

        r->wire = take_warm(r->engine, request_info(r)->peer);
        if (!r->wire && g->active >= g->limit) {
                TAILQ_INSERT_TAIL(&g->waiting, r, list);
                r->waiting = true;
                return false;
        }
        if (!r->wire)
                g->active++;
        r->holds = true;
        return true;
}

static int request_begin(Request *r, const RequestTarget *target) {
        int k;

        k = sd_event_add_defer(r->engine->event, &r->failure, on_failure, r);
        if (k >= 0)
                k = sd_event_source_set_enabled(r->failure, SD_EVENT_OFF);
        if (k < 0)
                return k;

        if (!target) {
                if (!request_enter(r))
                        return 0;
        } else if (target->wire) {
                r->wire = target->wire;
                r->borrowed = true;
        } else {
                k = wire_new(r->engine->event, target->path, target->peer, &r->wire);
                if (k < 0)
                        return k;
        }
        return request_send(r);
}

static int request_make(Engine *e, Method method, const RequestTarget *target, Request with, Request **ret) {
        Request *r;
        int k;

        r = calloc(1, sizeof(Request));
        if (!r) {
                if (with.parameters)
                        json_decref(with.parameters);
                return -ENOMEM;
        }
        *r = with;
        r->engine = e;
        r->method = method;
        r->lasting |= method_table[method].idempotent;
        k = request_begin(r, target);
        if (k < 0) {
                request_free(r);
                return k;
        }

        *ret = r;
        return 0;
}

int request_new(Engine *e, Method method, const RequestTarget *target, json_t *parameters, const int *fds, size_t n_fds,
                RequestHandler handler, void *userdata, unsigned tag, Request **ret) {
        return request_make(e, method, target,
                            (Request) { .parameters = parameters, .fds = fds, .n_fds = n_fds, .handler = handler,
                                        .userdata = userdata, .tag = tag },
                            ret);
}

int request_again(Engine *e, Method method, json_t *parameters, RequestHandler handler, void *userdata, unsigned tag,
                  Request **ret) {
        return request_make(e, method, NULL,
                            (Request) { .parameters = parameters, .handler = handler, .userdata = userdata, .tag = tag,
                                        .lasting = true },
                            ret);
}

int request_spawn(Engine *e, uint32_t slot, const int *listening, RequestHandler handler, void *userdata, unsigned tag,
                  Request **ret) {
        return request_make(e, SPAWN_SUPERVISOR, NULL,
                            (Request) { .slot = slot, .fds = listening, .n_fds = 1, .handler = handler,
                                        .userdata = userdata, .tag = tag },
                            ret);
}

json_t *json_strings(char *const *list) {
        json_t *a = json_array();

        for (size_t i = 0; list && list[i]; i++)
                if (json_array_append_new(a, json_string(list[i])) < 0) {
                        json_decref(a);
                        return NULL;
                }

        return a;
}

Warm *warm_free(Warm *w) {
        WarmWire *i, *next;
        Engine *e;

        if (!w)
                return NULL;

        e = w->engine;
        for (i = TAILQ_FIRST(&e->requests.warm); i; i = next) {
                next = TAILQ_NEXT(i, list);
                if (i->owner != w)
                        continue;
                TAILQ_REMOVE(&e->requests.warm, i, list);
                wire_free(i->wire);
                gate_leave(&e->requests.gates[i->peer]);
                free(i);
        }
        free(w);
        return NULL;
}

static void warm_add(Warm *w, Peer peer) {
        Gate *g = &w->engine->requests.gates[peer];
        WarmWire *i;

        /* Polkit may wait for a password: prompts must not take all places from those who have their yes. */
        if (g->active >= g->limit / 2)
                return;
        i = calloc(1, sizeof(WarmWire));
        if (!i)
                return;
        *i = (WarmWire) { .owner = w, .peer = peer };
        if (wire_new(w->engine->event, helper_sockets[peer], UID_ANY, &i->wire) < 0 || !wire_is_alive(i->wire)) {
                wire_free(i->wire);
                free(i);
                return;
        }
        g->active++;
        TAILQ_INSERT_TAIL(&w->engine->requests.warm, i, list);
}

bool requests_are_warm(const Requests *r, Peer peer) {
        WarmWire *w;

        TAILQ_FOREACH(w, &r->warm, list)
                if (w->peer == peer)
                        return true;

        return false;
}

void warm_more(Warm *w, const char *verb) {
        static const struct {
                const char *verb;
                Peer peers[6];
                size_t n;
        } needs[] = {
                /* While polkit thinks it needs a processor too: what comes later in a start is begun when it has answered,
                 * beside the first steps, which wait for one another. */
                { "start", { PEER_CGROUP, PEER_SPAWNED }, 2 },
                { "start-later", { PEER_IDMAP, PEER_CGROUP, PEER_MOUNT }, 3 },
                { "stop", { PEER_CGROUP }, 1 },
                { "create", { PEER_STORAGE }, 1 },  { "snapshot", { PEER_STORAGE }, 1 }, { "restore", { PEER_STORAGE }, 1 },
                { "clone", { PEER_STORAGE }, 1 },   { "rename", { PEER_STORAGE }, 1 },   { "destroy", { PEER_STORAGE }, 1 },
                { "import", { PEER_STORAGE }, 1 },  { "remove", { PEER_STORAGE }, 1 },
        };

        for (size_t i = 0; w && i < ELEMENTSOF(needs); i++)
                if (streq(needs[i].verb, verb))
                        for (size_t k = 0; k < needs[i].n; k++)
                                warm_add(w, needs[i].peers[k]);
}

Warm *engine_warm(Engine *e, const char *verb) {
        Warm *w;

        w = calloc(1, sizeof(Warm));
        if (!w)
                return NULL;
        w->engine = e;
        warm_more(w, verb);
        return w;
}
