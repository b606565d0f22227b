/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Kills one process at its k-th system call.
 *
 *     killer PID PROGRAM INDEX K
 *
 * As root. Traces process PID and what it starts. With INDEX -1 the victim is PID itself, its calls counted from now on. Else
 * it is the INDEX-th process (from 0) that runs PROGRAM from now on, by exec or as a child of one that does (so a
 * supervisor's root stage, the supervisor, the first process and each joiner have indexes of their own), counted from there
 * until it executes something else. The victim dies at the entry of its K-th call, which is not carried out.
 *
 * Prints "ready" when it traces; then, at the end, one line:
 *     killed PROGRAM PID CALLNUMBER K     the victim died by our signal
 *     ended PROGRAM PID COUNT             it ended, or became another program, after COUNT calls
 *     absent                              SIGTERM came before there was such a process
 *     alive PROGRAM PID COUNT             SIGTERM came while it lived, after COUNT calls
 * and leaves everybody else running, untraced. */

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRACEES_MAX 512
#define OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC)

typedef struct Tracee {
        pid_t pid;
        bool runs_program;
} Tracee;

static Tracee tracees[TRACEES_MAX];
static size_t n_tracees;
static const char *program;
static long wanted, next_index, limit, count;
static pid_t victim;

static Tracee *find(pid_t pid) {
        for (size_t i = 0; i < n_tracees; i++)
                if (tracees[i].pid == pid)
                        return &tracees[i];
        return NULL;
}

static Tracee *add(pid_t pid) {
        if (n_tracees == TRACEES_MAX) {
                (void) fprintf(stderr, "killer: too many processes\n");
                exit(2);
        }
        tracees[n_tracees] = (Tracee) { pid, false };
        return &tracees[n_tracees++];
}

static void drop(pid_t pid) {
        Tracee *t = find(pid);

        if (t)
                *t = tracees[--n_tracees];
}

static bool runs(pid_t pid) {
        char path[64], target[PATH_MAX], *base;
        ssize_t n;

        (void) snprintf(path, sizeof(path), "/proc/%d/exe", (int) pid);
        n = readlink(path, target, sizeof(target) - 1);
        if (n < 0)
                return false;
        target[n] = '\0';
        base = strrchr(target, '/');
        return base && strcmp(base + 1, program) == 0;
}

static _Noreturn void end(const char *word) {
        if (victim)
                (void) printf("%s %s %d %ld\n", word, program, (int) victim, count);
        else
                (void) printf("absent\n");
        exit(0); /* tracees are let go by the kernel */
}

/* A process that runs the program from now on: is it the one? */
static void take(Tracee *t) {
        t->runs_program = true;
        if (wanted >= 0 && next_index++ == wanted)
                victim = t->pid;
}

static void resume(pid_t pid, int signal) {
        if (ptrace(pid == victim ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0, signal) < 0 && errno != ESRCH)
                (void) fprintf(stderr, "killer: cannot resume %d: %s\n", (int) pid, strerror(errno));
}

static void at_call(pid_t pid) {
        struct __ptrace_syscall_info info;

        if (pid != victim || ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) < 0 ||
            info.op != PTRACE_SYSCALL_INFO_ENTRY)
                return;
        if (++count < limit)
                return;
        if (kill(pid, SIGKILL) < 0)
                return;
        (void) printf("killed %s %d %llu %ld\n", program, (int) pid, (unsigned long long) info.entry.nr, count);
        exit(0);
}

static void at_exec(Tracee *t) {
        if (runs(t->pid)) {
                if (!t->runs_program)
                        take(t);
        } else if (t->pid == victim && wanted >= 0)
                end("ended");
        else if (t->runs_program) {
                pid_t pid = t->pid;

                drop(pid); /* it has become somebody else's init */
                (void) ptrace(PTRACE_DETACH, pid, 0, 0);
                return;
        }
        resume(t->pid, 0);
}

static void at_child(pid_t parent) {
        Tracee *child, *t = find(parent);
        bool inherits = t && t->runs_program;
        unsigned long pid;

        if (ptrace(PTRACE_GETEVENTMSG, parent, 0, &pid) < 0)
                return;
        child = find((pid_t) pid);
        if (!child)
                child = add((pid_t) pid);
        if (inherits)
                take(child);
}

static void at_stop(pid_t pid, int status) {
        int signal = WSTOPSIG(status), event = status >> 16;
        Tracee *t = find(pid);

        if (!t)
                t = add(pid); /* the child's first stop may come before the parent's event */

        switch (event) {

        case PTRACE_EVENT_FORK:
        case PTRACE_EVENT_VFORK:
        case PTRACE_EVENT_CLONE:
                at_child(pid);
                resume(pid, 0);
                return;

        case PTRACE_EVENT_EXEC:
                at_exec(t);
                return;

        case PTRACE_EVENT_STOP:
                resume(pid, 0);
                return;

        case 0:
                if (signal == (SIGTRAP | 0x80)) {
                        at_call(pid);
                        resume(pid, 0);
                } else
                        resume(pid, signal);
                return;

        default:
                resume(pid, 0);
        }
}

int main(int argc, char *argv[]) {
        sigset_t signals;
        pid_t root;

        if (argc != 5)
                return 2;
        root = (pid_t) atoi(argv[1]);
        program = argv[2];
        wanted = atol(argv[3]);
        limit = atol(argv[4]);

        (void) sigemptyset(&signals);
        (void) sigaddset(&signals, SIGCHLD);
        (void) sigaddset(&signals, SIGTERM);
        (void) sigprocmask(SIG_BLOCK, &signals, NULL);

        (void) add(root);
        if (wanted < 0)
                victim = root;
        else
                tracees[0].runs_program = runs(root);
        if (ptrace(PTRACE_SEIZE, root, 0, OPTIONS) < 0 || ptrace(PTRACE_INTERRUPT, root, 0, 0) < 0) {
                perror("killer: cannot trace");
                return 2;
        }
        if (waitpid(root, NULL, __WALL) != root)
                return 2;
        resume(root, 0);
        (void) setvbuf(stdout, NULL, _IOLBF, 0);
        (void) printf("ready\n");

        for (;;) {
                int status, signal;
                pid_t pid;

                while ((pid = waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
                        if (WIFSTOPPED(status))
                                at_stop(pid, status);
                        else {
                                if (pid == victim)
                                        end("ended");
                                drop(pid);
                        }
                }
                if (pid < 0)
                        end(victim ? "ended" : "absent");
                (void) sigwait(&signals, &signal);
                if (signal == SIGTERM)
                        end("alive");
        }
}
