/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A program that Exec started, for the connection that started it and for root. */

#include "list.h"
#include "caller.h"

#include <systemd/sd-event.h>

typedef struct Container Container;

typedef struct Process {
        Manager *manager;
        Link link;
        uint64_t id;
        uint32_t slot;
        char *engine_id;
        Caller *starter;
        pid_t pid;
        int status; /* -1 while it runs, or if a signal ended it */
        int signal;
        bool ended, hung_up;
        sd_event_source *timer;
} Process;

int process_new(Manager *m, uint32_t slot, const char *engine_id, pid_t pid, Caller *starter, Process **ret);
Process *process_free(Process *p);

int process_path(const Process *p, char **ret);
Process *process_of_path(Manager *m, const char *path);
Process *process_find(Manager *m, uint32_t slot, const char *engine_id);

void process_ended(Process *p, int status, int signal);
/* Its starter has gone: SIGHUP, later SIGKILL. */
void process_hang_up(Process *p);

void processes_caller_gone(Caller *caller);
void processes_container_stopped(Container *c);
unsigned processes_running(Manager *m, uid_t uid);
