/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* berthd's end of a connection to a helper or a supervisor.
 *
 * Runs without any privilege. What comes in is hostile input: bounded, parsed strictly, its descriptors counted, and each
 * error ends the connection. The most it can do is to send what the engine composed.
 *
 * Descriptors ride on a message's first byte, so they may come only when nothing is buffered. Several replies (to a call
 * with "more") may come in one piece; each gets a turn of the event loop of its own, because a handler may free the wire. */

#include "wire.h"
#include "decode.h"
#include "mutation.h"

#include <limits.h>
#include <sys/socket.h>
#include <sys/un.h>

#define WIRE_IN_MAX (1024U * 1024) /* one reply */
#define WIRE_CHUNK 4096U
#define WIRE_OUT_FDS_MAX 64U
#define WIRE_RETRY_USEC 2000U      /* between two attempts at a full backlog */

struct Wire {
        sd_event *event;
        struct sockaddr_un address;
        uid_t peer;
        int fd;
        int failed;                /* negative errno: nothing more will come of this wire */
        bool connected;
        bool eof;
        bool active;               /* a call is under way */
        bool preface;
        WireCall call;
        char *out;
        size_t out_size, out_done;
        char *in;
        size_t in_size, in_room;
        Message message;           /* descriptors that have come for the message that is coming */
        sd_event_source *io, *timer, *turn, *retry;
};

static void wire_disconnect(Wire *w) {
        w->io = sd_event_source_disable_unref(w->io);
        w->retry = sd_event_source_disable_unref(w->retry);
        w->fd = close_fd(w->fd);
        w->connected = false;
}

/* Ends the call and tells the handler, which may free the wire: always the last thing that a caller of this does. */
static void wire_deliver(Wire *w, WireReply *reply) {
        WireHandler handler = w->call.handler;
        void *userdata = w->call.userdata;

        if (!reply->continues) {
                w->active = false;
                w->timer = sd_event_source_disable_unref(w->timer);
                free(w->out);
                w->out = NULL;
        } else if (w->timer)
                (void) sd_event_source_set_time_relative(w->timer, w->call.timeout);

        handler(userdata, reply);
}

static void wire_fail(Wire *w, int r) {
        Message none = {};

        w->failed = r;
        wire_disconnect(w);
        message_done(&w->message);
        if (w->active)
                wire_deliver(w, &(WireReply) { .result = r, .message = &none });
}

static int on_io(sd_event_source *s, int fd, uint32_t events, void *userdata);
static int on_retry(sd_event_source *s, uint64_t usec, void *userdata);

static void wire_turn(Wire *w) {
        if (w->turn)
                (void) sd_event_source_set_enabled(w->turn, SD_EVENT_ONESHOT);
}

/* From a function that has not returned to its caller yet. */
static void wire_fail_later(Wire *w, int r) {
        w->failed = r;
        wire_turn(w);
}

static int wire_send_some(Wire *w) {
        char control[CMSG_SPACE(WIRE_OUT_FDS_MAX * sizeof(int))] = {};
        struct iovec iov = { w->out + w->out_done, w->out_size - w->out_done };
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;

        if (w->out_done == 0 && w->call.n_fds > 0) {
                struct cmsghdr *c;

                header.msg_control = control;
                header.msg_controllen = CMSG_SPACE(w->call.n_fds * sizeof(int));
                c = CMSG_FIRSTHDR(&header);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(w->call.n_fds * sizeof(int));
                memcpy(CMSG_DATA(c), w->call.fds, w->call.n_fds * sizeof(int));
        }

        n = sendmsg(w->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;

        w->out_done += (size_t) n;
        return 0;
}

static int wire_send(Wire *w) {
        int r;

        r = w->out_done < w->out_size ? wire_send_some(w) : 0;
        /* Whoever closes without reading may have answered before: what it said is read first. */
        if (r < 0 && r != -EPIPE && r != -ECONNRESET)
                return r;
        if (r < 0)
                w->out_done = w->out_size;

        return sd_event_source_set_io_events(w->io, w->out_done < w->out_size ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

int wire_peer(const Wire *w, uid_t *ret) {
        struct ucred c;
        socklen_t size = sizeof(c);

        if (!w->connected)
                return -ENOTCONN;
        if (getsockopt(w->fd, SOL_SOCKET, SO_PEERCRED, &c, &size) < 0)
                return -errno;

        *ret = c.uid;
        return 0;
}

/* Listens and sends; the event source is made with the first call. */
static int wire_start(Wire *w) {
        int r;

        r = w->io ? sd_event_source_set_enabled(w->io, SD_EVENT_ON)
                  : sd_event_add_io(w->event, &w->io, w->fd, EPOLLIN, on_io, w);
        return r < 0 ? r : wire_send(w);
}

static int wire_connected(Wire *w) {
        uid_t uid = UID_ANY;
        int r;

        w->connected = true;
        if (w->peer != UID_ANY) {
                r = wire_peer(w, &uid);
                if (r < 0)
                        return r;
                if (!MUTATION(wire_peer) && uid != w->peer)
                        return -EPERM;
        }

        return w->active ? wire_start(w) : 0;
}

/* A UNIX socket connects at once, or its backlog is full. */
static int wire_connect(Wire *w) {
        int r;

        if (connect(w->fd, (struct sockaddr *) &w->address, sizeof(w->address)) >= 0)
                return wire_connected(w);
        if (errno != EAGAIN)
                return -errno;

        if (w->retry) {
                r = sd_event_source_set_time_relative(w->retry, WIRE_RETRY_USEC);
                return r < 0 ? r : sd_event_source_set_enabled(w->retry, SD_EVENT_ONESHOT);
        }
        return sd_event_add_time_relative(w->event, &w->retry, CLOCK_MONOTONIC, WIRE_RETRY_USEC, 0, on_retry, w);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        Wire *w = userdata;
        int r;

        r = wire_connect(w);
        if (r < 0)
                wire_fail(w, r);
        return 0;
}

static int take_descriptors(Wire *w, struct msghdr *header) {
        size_t max = w->active ? w->call.fds_max : 0;
        int r = header->msg_flags & MSG_CTRUNC ? -EMFILE : 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
                size_t n;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                if (n > 0 && w->in_size > 0)
                        r = -EPROTO;
                for (size_t i = 0; i < n; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                        if (w->message.n_fds >= max)
                                r = r < 0 ? r : -EMFILE;
                        if (r < 0) {
                                (void) close_fd(fd);
                                continue;
                        }
                        if (!w->message.fds)
                                w->message.fds = calloc(max, sizeof(int));
                        if (!w->message.fds) {
                                (void) close_fd(fd);
                                r = -ENOMEM;
                                continue;
                        }
                        w->message.fds[w->message.n_fds++] = fd;
                }
        }

        return r;
}

static int wire_grow(Wire *w) {
        size_t room;
        char *in;

        if (w->in_room - w->in_size >= WIRE_CHUNK)
                return 0;
        room = MAX(w->in_room * 2, WIRE_CHUNK * 2);
        in = realloc(w->in, room);
        if (!in)
                return -ENOMEM;
        w->in = in;
        w->in_room = room;
        return 0;
}

/* One read. Room for too many descriptors, so that they are seen as such. */
static int wire_receive(Wire *w) {
        char control[CMSG_SPACE(MESSAGE_FDS_MAX * sizeof(int))];
        struct iovec iov;
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
        ssize_t n;
        int r;

        r = wire_grow(w);
        if (r < 0)
                return r;
        iov = (struct iovec) { w->in + w->in_size, w->in_room - w->in_size };

        n = recvmsg(w->fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n < 0 && errno == ECONNRESET) /* ended with our call unread */
                n = 0;
        if (n < 0)
                return -errno;
        r = take_descriptors(w, &header);
        if (r < 0)
                return r;
        if (n == 0)
                w->eof = true;

        w->in_size += (size_t) n;
        return 0;
}

/* The envelope: parameters, error, continues; nothing else. */
static int reply_decode(Message *m, WireReply *ret) {
        static const Field fields[] = {
                { "parameters", FIELD_OBJECT, offsetof(WireReply, parameters), FIELD_NULLABLE, 0, 0 },
                { "error", FIELD_STRING, offsetof(WireReply, error), FIELD_NULLABLE, 1, WIRE_ERROR_MAX },
                { "continues", FIELD_BOOL, offsetof(WireReply, continues), FIELD_NULLABLE, 0, 0 },
                {},
        };
        WireReply reply = { .message = m };
        const char *field;
        int r;

        r = decode(m->json, fields, m, &reply, &field);
        if (r < 0)
                return r == -ENOMEM ? r : -EPROTO;
        if (reply.error && (reply.continues || m->n_fds > 0))
                return -EPROTO;

        *ret = reply;
        return 0;
}

static int wire_take(Wire *w, size_t size, Message *m, WireReply *reply) {
        int r;

        r = message_parse(w->in, size, WIRE_IN_MAX, &w->message.json);
        if (r < 0)
                return r;
        *m = w->message;
        w->message = (Message) {};

        r = reply_decode(m, reply);
        if (r < 0)
                return r;
        if (reply->continues && !w->call.more)
                return -EPROTO;
        if (w->preface && !reply->error)
                return -EPROTO;

        w->in_size -= size + 1;
        memmove(w->in, w->in + size + 1, w->in_size);
        if (!reply->continues && w->in_size > 0)
                return -EPROTO; /* we asked for one answer */
        if (w->in_size == 0) {
                free(w->in);
                w->in = NULL;
                w->in_room = 0;
        }
        return 0;
}

/* Deals with what is buffered: at most one message a turn. */
static void wire_process(Wire *w) {
        _cleanup_(message_done) Message m = {};
        WireReply reply;
        char *end;
        int r;

        if (w->failed < 0)
                return wire_fail(w, w->failed);

        end = w->in_size > 0 ? memchr(w->in, '\0', w->in_size) : NULL;
        if (!end) {
                if (w->in_size > WIRE_IN_MAX)
                        return wire_fail(w, -EMSGSIZE);
                if (w->eof)
                        return wire_fail(w, w->in_size > 0 ? -EBADMSG : -EPIPE);
                return;
        }
        if (!w->active)
                return wire_fail(w, -EPROTO); /* nobody asked */

        r = wire_take(w, (size_t) (end - w->in), &m, &reply);
        if (r < 0)
                return wire_fail(w, r);

        if (w->in_size > 0 || w->eof)
                wire_turn(w);
        if (!reply.continues && w->io) /* until the next call the end of the connection interests nobody */
                (void) sd_event_source_set_enabled(w->io, SD_EVENT_OFF);
        wire_deliver(w, &reply);
}

static int on_turn(sd_event_source *s, void *userdata) {
        wire_process(userdata);
        return 0;
}

static int on_io(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        Wire *w = userdata;
        int r = 0;

        if (events & EPOLLOUT)
                r = wire_send(w);
        if (r >= 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !w->eof)
                r = wire_receive(w);
        if (r < 0) {
                wire_fail(w, r);
                return 0;
        }
        if (w->eof)
                (void) sd_event_source_set_enabled(w->io, SD_EVENT_OFF);

        wire_process(w);
        return 0;
}

static int on_timeout(sd_event_source *s, uint64_t usec, void *userdata) {
        wire_fail(userdata, -ETIMEDOUT);
        return 0;
}

Wire *wire_free(Wire *w) {
        if (!w)
                return NULL;

        wire_disconnect(w);
        sd_event_source_disable_unref(w->timer);
        sd_event_source_disable_unref(w->turn);
        message_done(&w->message);
        free(w->out);
        free(w->in);
        free(w);
        return NULL;
}

int wire_new(sd_event *event, const char *path, uid_t peer, Wire **ret) {
        Wire *w;
        int r;

        w = calloc(1, sizeof(Wire));
        if (!w)
                return -ENOMEM;
        w->event = event;
        w->peer = peer;
        w->address.sun_family = AF_UNIX;
        w->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        r = w->fd < 0 ? -errno : 0;
        if (r >= 0 && strlen(path) >= sizeof(w->address.sun_path))
                r = -ENAMETOOLONG;
        if (r >= 0) {
                strcpy(w->address.sun_path, path);
                r = sd_event_add_defer(event, &w->turn, on_turn, w);
        }
        if (r >= 0)
                r = sd_event_source_set_enabled(w->turn, SD_EVENT_OFF);
        if (r < 0) {
                wire_free(w);
                return r;
        }

        r = wire_connect(w);
        if (r < 0)
                w->failed = r; /* said to whoever calls */
        *ret = w;
        return 0;
}

void wire_forget(Wire *w, const void *userdata) {
        if (!w->active || w->call.userdata != userdata)
                return;

        w->active = false;
        w->timer = sd_event_source_disable_unref(w->timer);
        w->failed = -ECANCELED;
        wire_disconnect(w);
        message_done(&w->message);
}

static int wire_begin(Wire *w, const WireCall *call) {
        int r;

        w->call = *call;
        w->out_done = 0;
        if (call->timeout != UINT64_MAX) {
                r = sd_event_add_time_relative(w->event, &w->timer, CLOCK_MONOTONIC, call->timeout, 0, on_timeout, w);
                if (r < 0)
                        return r;
        }
        w->active = true;
        if (w->failed < 0 || w->in_size > 0) {
                wire_fail_later(w, w->failed < 0 ? w->failed : -EPROTO);
                return 0;
        }
        if (w->eof) {
                wire_fail_later(w, -EPIPE);
                return 0;
        }
        if (!w->connected)
                return 0; /* sent once it is */

        r = wire_start(w);
        if (r < 0)
                wire_fail_later(w, r);
        return 0;
}

static int compose(const WireCall *call, char **ret, size_t *ret_size) {
        json_t *message;
        int r;

        message = json_pack("{s:s, s:o}", "method", call->method, "parameters",
                            call->parameters ? json_incref(call->parameters) : json_object());
        if (!message)
                return -ENOMEM;
        r = call->more && json_object_set_new(message, "more", json_true()) < 0 ? -ENOMEM
                                                                                : message_compose(message, ret, ret_size);
        json_decref(message);
        return r < 0 ? r : *ret_size > MESSAGE_IN_MAX ? -EMSGSIZE : 0;
}

int wire_call(Wire *w, const WireCall *call) {
        int r;

        if (w->active)
                return -EBUSY;
        if (call->n_fds > WIRE_OUT_FDS_MAX)
                return -EMFILE;
        free(w->out);
        w->out = NULL;
        r = compose(call, &w->out, &w->out_size);
        if (r < 0)
                return r;

        w->preface = false;
        return wire_begin(w, call);
}

int wire_preface(Wire *w, const void *bytes, size_t size, const WireCall *call) {
        if (w->active)
                return -EBUSY;
        free(w->out);
        w->out = malloc(size + 1);
        if (!w->out)
                return -ENOMEM;
        memcpy(w->out, bytes, size);
        w->out_size = size;

        w->preface = true;
        return wire_begin(w, call);
}

bool wire_is_alive(const Wire *w) {
        char c;

        if (!w->connected || w->failed < 0 || w->eof || w->in_size > 0)
                return false;
        return recv(w->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}
