/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Running a program in a container. Its starter's connection owns it: gone before the answer, it is ended at once. */

#include "bus.h"
#include "container.h"
#include "limits.h"
#include "manager.h"
#include "process.h"
#include "bus-call.h"

#include <fcntl.h>
#include <signal.h>

typedef struct Execution {
        Container *container;
        BusCall *request;
        bool terminal;
} Execution;

void container_on_process_exited(Container *c, const char *process, int status, int signal) {
        Process *p = process_find(c->manager, c->slot, process);

        if (p)
                process_ended(p, status, signal);
}

static int null_open(int *ret) {
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        *ret = fd;
        return 0;
}

/* The signature has three descriptors: a terminal is all of them, and what the caller gave itself is /dev/null. */
static int answer(BusCall *q, const Process *p, bool terminal, const int fds[static 3]) {
        const int *in = terminal ? &fds[1] : &fds[0], *err = terminal ? &fds[1] : &fds[2];
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_close_ int null = -EBADF;
        _cleanup_free_ char *path = NULL;
        int r;

        r = process_path(p, &path);
        if (r < 0)
                return r;
        r = null_open(&null);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_return(q->message, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_append(reply, "ohhh", path, *in >= 0 ? *in : null, fds[1] >= 0 ? fds[1] : null,
                                  *err >= 0 ? *err : null);
        if (r < 0)
                return r;
        return bus_call_reply_message(q, TAKE_PTR(reply));
}

static void on_abandoned(void *userdata, const EngineError *error) {
        /* Nobody is left to tell. */
}

static void on_executed(void *userdata, const char *process, pid_t pid, int fds[static 3], const EngineError *error) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        Execution *x = userdata;
        Container *c = x->container;
        BusCall *q = x->request;
        bool terminal = x->terminal;
        Process *p = NULL;
        Caller *starter;
        int r;

        free(x);
        c->executing--;
        if (error) {
                (void) bus_call_fail_engine(q, error);
                return;
        }
        r = process_new(c->manager, c->slot, process, pid, q->caller, &p);
        if (r < 0) {
                (void) engine_process_signal(c->manager->engine, c->slot, process, SIGKILL,
                                             (Done) { on_abandoned, NULL });
                (void) bus_error_internal(&e, r, "remember the process");
                (void) bus_call_fail(q, &e);
                return;
        }
        starter = p->starter;
        r = answer(q, p, terminal, fds);
        if (r < 0) {
                (void) bus_error_internal(&e, r, "answer with the process");
                (void) bus_call_fail(q, &e);
        }
        /* After the answer, which names the process. */
        if (r < 0 || starter->gone)
                process_hang_up(p);
}

static void close_all(ExecRequest *request) {
        for (size_t i = 0; i < ELEMENTSOF(request->fds); i++)
                request->fds[i] = close_fd(request->fds[i]);
}

int container_exec(Container *c, ExecRequest *request, BusCall *q, sd_bus_error *error) {
        Execution *x = NULL;
        int r;

        r = container_check_running(c, error);
        if (r < 0)
                goto fail;
        if (processes_running(c->manager, q->uid) >= manager_limit(q->uid, LIMIT_PROCESSES)) {
                r = sd_bus_error_setf(error, ERROR_LIMIT_REACHED, "At most %u processes of one user may run in containers.",
                                      LIMIT_PROCESSES);
                goto fail;
        }
        x = calloc(1, sizeof(Execution));
        if (!x) {
                r = -ENOMEM;
                goto fail;
        }
        *x = (Execution) { c, q, request->terminal };
        request->slot = c->slot;
        r = engine_exec(c->manager->engine, request, on_executed, x);
        if (r < 0) {
                free(x);
                return bus_error_internal(error, r, "begin to execute the program");
        }
        c->executing++;
        return 0;
fail:
        close_all(request);
        return r;
}
