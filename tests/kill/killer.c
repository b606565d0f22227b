/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Kills one process at its k-th system call, or counts calls.
 *
 *     killer K PROGRAM INDEX PID...
 *
 * As root. Traces the processes PID and all that they start. A process is called by the program that it runs and a number, from 0
 * in the order in which they are seen: the PIDs first, then each child, which is a process of the same program, and each
 * one that executes a program. So a supervisor's root stage, the supervisor, the first process and each joiner are
 * processes of berth-supervisor, and what the spawner forks is one of berth-spawner until it executes the helper. Whoever
 * executes a program that is neither Berth's nor polkitd is let go. Calls are counted from the beginning of a process, those of the
 * PIDs from now on, all threads together.
 *
 * With K > 0 the process INDEX of PROGRAM dies at the entry of its K-th call, which is not carried out. With K = 0 nobody
 * dies. Prints "ready" when it traces; then, at the death or when SIGTERM comes, one line:
 *     killed PROGRAM INDEX K CALLNUMBER SECONDS   it died by our signal; seconds of CLOCK_MONOTONIC
 *     lived PROGRAM INDEX COUNT                   it did not make so many calls
 *     absent                                      there was no such process
 * or, with K = 0, for each process that there was
 *     count PROGRAM INDEX COUNT
 * and leaves everybody else running, untraced. */

#include <dirent.h>
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
#include <time.h>
#include <unistd.h>

#define PROCESSES_MAX 1024
#define TASKS_MAX 512
#define PROGRAM_MAX 32
#define NO_PROCESS SIZE_MAX
#define OPTIONS (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC)

typedef struct Process {
        char program[PROGRAM_MAX];
        unsigned index;
        pid_t pid; /* 0: it has ended, or runs another program now */
        unsigned long count;
} Process;

typedef struct Task {
        pid_t tid;
        size_t process;
} Task;

static Process processes[PROCESSES_MAX];
static Task tasks[TASKS_MAX];
static size_t n_processes, n_tasks;
static const char *wanted_program;
static unsigned wanted_index;
static unsigned long limit;

static _Noreturn void fail(const char *what) {
        perror(what);
        exit(2);
}

static bool is_victim(const Process *p) {
        return p->index == wanted_index && strcmp(p->program, wanted_program) == 0;
}

/* What it runs, "" if that is nothing of ours. */
static void program_of(pid_t pid, char ret[static PROGRAM_MAX]) {
        char path[64], target[PATH_MAX], *base;
        ssize_t n;

        ret[0] = '\0';
        (void) snprintf(path, sizeof(path), "/proc/%d/exe", (int) pid);
        n = readlink(path, target, sizeof(target) - 1);
        if (n < 0)
                return;
        target[n] = '\0';
        base = strrchr(target, '/');
        base = base ? base + 1 : target;
        if (strncmp(base, "berth", 5) == 0 || strcmp(base, "polkitd") == 0)
                (void) snprintf(ret, PROGRAM_MAX, "%.31s", base);
}

static pid_t process_id(pid_t tid) {
        char path[64], line[128];
        int pid = -1;
        FILE *f;

        (void) snprintf(path, sizeof(path), "/proc/%d/status", (int) tid);
        f = fopen(path, "re");
        if (!f)
                return -1;
        while (fgets(line, sizeof(line), f))
                if (sscanf(line, "Tgid: %d", &pid) == 1)
                        break;
        (void) fclose(f);
        return pid;
}

/* NO_PROCESS: it is not ours to count. */
static size_t process_new(pid_t pid) {
        char program[PROGRAM_MAX];
        Process *p;

        program_of(pid, program);
        if (!program[0])
                return NO_PROCESS;
        if (n_processes == PROCESSES_MAX) {
                errno = E2BIG;
                fail("killer: processes");
        }
        p = &processes[n_processes];
        *p = (Process) { .pid = pid };
        memcpy(p->program, program, sizeof(program));
        for (size_t i = 0; i < n_processes; i++)
                if (strcmp(processes[i].program, program) == 0)
                        p->index++;
        return n_processes++;
}

static size_t process_of(pid_t tid) {
        pid_t pid = process_id(tid);

        for (size_t i = 0; i < n_processes; i++)
                if (processes[i].pid == pid)
                        return i;
        return process_new(pid);
}

static Task *task_find(pid_t tid) {
        for (size_t i = 0; i < n_tasks; i++)
                if (tasks[i].tid == tid)
                        return &tasks[i];
        return NULL;
}

static Task *task_add(pid_t tid) {
        if (n_tasks == TASKS_MAX) {
                errno = E2BIG;
                fail("killer: tasks");
        }
        tasks[n_tasks] = (Task) { tid, process_of(tid) };
        return &tasks[n_tasks++];
}

static void task_ended(pid_t tid) {
        Task *t = task_find(tid);

        if (!t)
                return;
        if (t->process != NO_PROCESS && processes[t->process].pid == tid)
                processes[t->process].pid = 0;
        *t = tasks[--n_tasks];
}

static void resume(const Task *t, int signal) {
        bool count = t->process != NO_PROCESS && (limit == 0 || is_victim(&processes[t->process]));

        if (ptrace(count ? PTRACE_SYSCALL : PTRACE_CONT, t->tid, 0, signal) < 0 && errno != ESRCH)
                perror("killer: cannot resume");
}

static void at_call(const Task *t) {
        struct __ptrace_syscall_info info;
        struct timespec now;
        Process *p;

        if (t->process == NO_PROCESS || ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, sizeof(info), &info) < 0 ||
            info.op != PTRACE_SYSCALL_INFO_ENTRY)
                return;
        p = &processes[t->process];
        p->count++;
        if (limit == 0 || !is_victim(p) || p->count < limit)
                return;
        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        if (kill(p->pid, SIGKILL) < 0)
                fail("killer: cannot kill");
        (void) printf("killed %s %u %lu %llu %lld.%09ld\n", p->program, p->index, p->count,
                      (unsigned long long) info.entry.nr, (long long) now.tv_sec, now.tv_nsec);
        exit(0);
}

/* The same process, for us another one. The threads that it had are gone. */
static void at_exec(Task *t) {
        if (t->process != NO_PROCESS)
                processes[t->process].pid = 0;
        t->process = process_new(t->tid);
        if (t->process != NO_PROCESS)
                return resume(t, 0);
        (void) ptrace(PTRACE_DETACH, t->tid, 0, 0);
        task_ended(t->tid);
}

static void at_stop(pid_t tid, int status) {
        int signal = WSTOPSIG(status), event = status >> 16;
        Task *t = task_find(tid);

        if (!t)
                t = task_add(tid);
        if (event == PTRACE_EVENT_EXEC)
                return at_exec(t);
        if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
                (void) ptrace(PTRACE_LISTEN, tid, 0, 0); /* it is stopped as any process can be */
                return;
        }
        if (event == 0 && signal == (SIGTRAP | 0x80)) {
                at_call(t);
                signal = 0;
        }
        resume(t, event == 0 ? signal : 0);
}

static void seize_threads(pid_t pid) {
        struct dirent *entry;
        char path[64];
        DIR *d;

        (void) snprintf(path, sizeof(path), "/proc/%d/task", (int) pid);
        d = opendir(path);
        if (!d)
                fail(path);
        while ((entry = readdir(d))) {
                pid_t tid = atoi(entry->d_name);

                if (tid <= 0)
                        continue;
                if (ptrace(PTRACE_SEIZE, tid, 0, OPTIONS) < 0 || ptrace(PTRACE_INTERRUPT, tid, 0, 0) < 0)
                        fail("killer: cannot trace");
                (void) task_add(tid);
        }
        (void) closedir(d);
}

static void report(void) {
        for (size_t i = 0; i < n_processes; i++) {
                const Process *p = &processes[i];

                if (limit == 0)
                        (void) printf("count %s %u %lu\n", p->program, p->index, p->count);
                else if (is_victim(p)) {
                        (void) printf("lived %s %u %lu\n", p->program, p->index, p->count);
                        return;
                }
        }
        if (limit > 0)
                (void) printf("absent\n");
}

static void look(void) {
        int status;
        pid_t tid;

        while ((tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0)
                if (WIFSTOPPED(status))
                        at_stop(tid, status);
                else
                        task_ended(tid);
}

int main(int argc, char *argv[]) {
        int signal = SIGCHLD;
        sigset_t signals;

        if (argc < 5)
                return 2;
        limit = strtoul(argv[1], NULL, 10);
        wanted_program = argv[2];
        wanted_index = (unsigned) strtoul(argv[3], NULL, 10);

        (void) sigemptyset(&signals);
        (void) sigaddset(&signals, SIGCHLD);
        (void) sigaddset(&signals, SIGTERM);
        (void) sigprocmask(SIG_BLOCK, &signals, NULL);
        (void) setvbuf(stdout, NULL, _IOLBF, 0);

        for (int i = 4; i < argc; i++)
                seize_threads(atoi(argv[i]));
        (void) printf("ready\n");
        do {
                look();
                (void) sigwait(&signals, &signal);
        } while (signal != SIGTERM);
        look();
        report();
        return 0; /* whom we trace the kernel lets go */
}
