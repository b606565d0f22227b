/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Work: the first process becomes berth-worker, whose reports are relayed.
 *
 * Runs as S. The program is Berth's own and root's, opened here and executed by descriptor; what it says is checked as if
 * it were the archive speaking, because it may be. */

#include "mutation.h"
#include "supervisor.h"
#include "sys.h"

#include "../worker/worker.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

static int open_program(int *ret) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        fd = sys_openat2(AT_FDCWD, WORKER_PROGRAM, O_PATH | O_NOFOLLOW, RESOLVE_NO_MAGICLINKS);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!MUTATION(worker_program) &&
            (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH))))
                return -EPERM;
        *ret = TAKE_FD(fd);
        return 0;
}

static int hand_over(Supervisor *s, const char *operation, int folder, int archive) {
        ChildMessage m = { .kind = CHILD_WORK };
        _cleanup_close_ int program = -EBADF, theirs = -EBADF;
        int pair[2], r;

        r = open_program(&program);
        if (r < 0)
                return r;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        s->control = pair[0];
        theirs = pair[1];
        (void) strncpy(m.step, operation, sizeof(m.step) - 1);
        return child_send(s->start, &m, (const int[]) { program, theirs, folder, archive }, archive < 0 ? 3 : 4);
}

void handle_work(Supervisor *s, Connection *c, json_t *parameters, Message *m) {
        struct {
                const char *operation;
                int folder, archive;
        } call = { .folder = -EBADF, .archive = -EBADF };
        static const Field fields[] = {
                { "operation", FIELD_STRING, 0, 0, 1, 16 },
                { "folderFileDescriptor", FIELD_DESCRIPTOR, offsetof(typeof(call), folder), 0, 0, 0 },
                { "archiveFileDescriptor", FIELD_DESCRIPTOR, offsetof(typeof(call), archive), FIELD_NULLABLE, 0, 0 },
                {},
        };
        int r;

        if (s->state != STATE_CREATED || !s->worker) {
                reply_error(s, c, "WrongState", "work", -EBUSY);
                return;
        }
        if (request_decode(s, c, parameters, fields, m, &call) >= 0) {
                bool unpack = streq(call.operation, "unpack");

                s->starter = c;
                s->state = STATE_STARTING;
                s->deadline = now_usec() + START_SECONDS * 1000000ULL;
                if (!unpack && !streq(call.operation, "delete"))
                        r = -EOPNOTSUPP;
                else if (unpack != (call.archive >= 0))
                        r = -EBADF;
                else
                        r = hand_over(s, call.operation, call.folder, call.archive);
                if (r < 0)
                        launch_failed(s, "Failed", "work", r);
        }
        closep(&call.folder);
        closep(&call.archive);
}

static json_t *report_pack(const WorkerReport *w) {
        return json_pack("{s:I, s:I, s:I}", "entries", (json_int_t) MIN(w->entries, (uint64_t) INT64_MAX), "bytes",
                         (json_int_t) MIN(w->bytes, (uint64_t) INT64_MAX), "skipped",
                         (json_int_t) MIN(w->skipped, (uint64_t) INT64_MAX));
}

/* The step goes into an error for people: printable ASCII, or nothing of it. */
static const char *report_step(WorkerReport *w) {
        w->step[sizeof(w->step) - 1] = '\0';
        for (const char *c = w->step; *c; c++)
                if (*c < 0x20 || *c > 0x7e)
                        return "worker";
        return w->step;
}

static void report(Supervisor *s, WorkerReport *w) {
        int r = w->error > 0 && w->error < 4096 ? -w->error : -EIO;

        switch ((WorkerReportType) w->type) {

        case WORKER_PROGRESS:
                if (s->starter)
                        reply_continues(s, s->starter, report_pack(w));
                return;
        case WORKER_DONE:
                s->done = true;
                if (s->starter)
                        reply(s, s->starter, report_pack(w), NULL, 0);
                return;
        case WORKER_BAD_ARCHIVE:
                launch_failed(s, "BadArchive", report_step(w), r);
                return;
        case WORKER_FAILED:
        case _WORKER_REPORT_TYPE_MAX:
                break;
        }
        launch_failed(s, "Failed", report_step(w), r);
}

void control_event(Supervisor *s) {
        WorkerReport w;
        ssize_t n;

        while (s->control >= 0 && !s->done) {
                n = recv(s->control, &w, sizeof(w), MSG_DONTWAIT | MSG_TRUNC);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n == sizeof(w))
                        report(s, &w);
                else {
                        s->control = close_fd(s->control);
                        launch_failed(s, "Failed", "worker", n == 0 ? -ECHILD : n > 0 ? -EBADMSG : -errno);
                }
        }
}
