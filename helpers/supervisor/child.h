/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the supervisor and the children that it forks say to each other until they execute something: messages of one
 * size on a SEQPACKET pair that closes itself on exec. */

#include "util.h"

#define CHILD_FDS_MAX 80 /* 1 writable layer, 64 read-only ones, and room */

typedef enum ChildKind {
        CHILD_HELLO = 1, /* first process: dumpable, waits to be mapped */
        CHILD_START,     /* to it: descriptors are the layers, the writable one first */
        CHILD_WORK,      /* to it: descriptors are program, control socket, folder and perhaps archive */
        CHILD_PID,       /* joiner: value is the program's pid, descriptor its pidfd */
        CHILD_TERMINAL,  /* program to be: descriptors are master and slave */
        CHILD_READY,     /* nothing is left but exec */
        CHILD_ERROR,     /* value is a negative errno */
} ChildKind;

typedef struct ChildMessage {
        int32_t kind;
        int32_t value;
        char step[40];
} ChildMessage;

int child_send(int socket, const ChildMessage *message, const int *fds, size_t n_fds);

/* 1; 0 when every other end is closed; -EAGAIN if it shall not wait and nothing is there. At most max descriptors come in
 * fds, the rest is closed. */
int child_receive(int socket, bool wait, ChildMessage *ret, int *fds, size_t max, size_t *ret_n);

/* For use in the child. */
_noreturn_ void child_fail(int socket, const char *step, int r);
/* Closes all descriptors from 3 on but these; sorts them. */
int child_close_others(int *keep, size_t n);
/* Dies with the supervisor; to be called again after each change of IDs, which clears it. */
int child_die_with_parent(void);
/* Signals, mask, umask as a fresh program expects them, a session of its own. */
int child_reset(void);
/* The supervisor is protected from the OOM killer, its container is not. Needs to be dumpable. */
int child_reset_oom(void);
