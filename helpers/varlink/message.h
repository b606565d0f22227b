/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Varlink messages on a UNIX stream socket: a JSON object ended by NUL, descriptors attached to its first byte. Byte
 * compatible with sd-varlink. What comes in is bounded (scan.h) before any parser sees it. */

#include "util.h"

#include <jansson.h>

#define MESSAGE_IN_MAX (64U * 1024)
#define MESSAGE_OUT_MAX (1024U * 1024)
#define MESSAGE_DEPTH_MAX 16U
#define MESSAGE_FDS_MAX 253U /* the kernel's SCM_MAX_FD */

typedef struct Message {
        json_t *json; /* an object */
        int *fds;     /* each -EBADF once taken */
        size_t n_fds;
} Message;

void message_done(Message *m);

/* Seeds jansson's hash from AT_RANDOM, so that it opens no file later. Before seccomp. */
void message_init(void);

/* Parses exactly size bytes (without the NUL). -EBADMSG: not a bounded, strict JSON object. */
int message_parse(const char *text, size_t size, size_t max, json_t **ret);

/* Blocking read of one message, nothing beyond it (pipelining is -EPROTO). fds_max 0: descriptors are not received at
 * all. -EPIPE: closed before a byte came; -EBADMSG; -EMSGSIZE; -EPROTO; -EMFILE: too many descriptors; -ETIMEDOUT where
 * the socket has SO_RCVTIMEO. On every error all descriptors are closed. */
int message_receive(int fd, size_t max, size_t fds_max, Message *ret);

/* Blocking write. The descriptors go with the first byte and stay the caller's. */
int message_send(int fd, json_t *json, const int *fds, size_t n_fds);

/* Buffers for sides that do not block: take one message out of bytes that came, compose one to be written. */
int message_compose(json_t *json, char **ret, size_t *ret_size); /* with the NUL */
