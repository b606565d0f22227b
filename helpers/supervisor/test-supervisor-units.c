/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The parts that need no container: limits.conf, the choice of the signal that halts, as seen on a process. */

#include "supervisor.h"
#include "test.h"

#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

void supervisor_log(const char *format, ...) {
}

static int apply(const char *text) {
        return limits_apply_text(text, strlen(text));
}

static void test_limits(void) {
        struct rlimit limit;

        check_equal(apply(""), 0);
        check_equal(apply("# a comment\n\nnofile=100:200\n"), 0);
        check_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        check_equal(limit.rlim_cur, 100);
        check_equal(limit.rlim_max, 200);
        check_equal(apply("core=0:unlimited\n"), 0);
        check_equal(apply("oom_score_adj=500\n"), 0);
        check_equal(apply("nofile=90"), -EUCLEAN);
        check_equal(apply("nofile=90:"), -EUCLEAN);
        check_equal(apply("nofile=90:80\n"), -EUCLEAN);
        check_equal(apply("nofile=90:80x\n"), -EUCLEAN);
        check_equal(apply("nofile=-1:80\n"), -EUCLEAN);
        check_equal(apply("nofile 90:80\n"), -EUCLEAN);
        check_equal(apply("nofiles=80:90\n"), -EUCLEAN);
        check_equal(apply("oom_score_adj=1001\n"), -EUCLEAN);
        check_equal(apply("oom_score_adj=--5\n"), -EUCLEAN);
        check_equal(apply("oom_score_adj=\n"), -EUCLEAN);
}

#define BIT(s) (UINT64_C(1) << ((s) - 1))

static void test_halt_signal(void) {
        check_equal(halt_signal(0), SIGKILL);
        check_equal(halt_signal(BIT(SIGTERM)), SIGTERM);
        check_equal(halt_signal(BIT(SIGTERM) | BIT(SIGUSR2)), SIGUSR2);
        check_equal(halt_signal(BIT(SIGTERM) | BIT(SIGPWR)), SIGPWR);
        check_equal(halt_signal(~UINT64_C(0)), 37);
        check_equal(halt_signal(BIT(SIGHUP) | BIT(SIGINT) | BIT(SIGCHLD)), SIGKILL);
}

/* The signal for a child that waits in this way; what is said before it waits does not count. */
static int halts_by(void (*wait)(void)) {
        int ready[2], found = SIGKILL;
        char byte;
        pid_t pid;

        check(pipe(ready) == 0);
        pid = fork();
        check(pid >= 0);
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                check(write(ready[1], "x", 1) == 1);
                wait();
                _exit(EXIT_FAILURE);
        }
        check(read(ready[0], &byte, 1) == 1);
        for (int i = 0; i < 50 && found == SIGKILL; i++) {
                (void) usleep(10000);
                check_equal(halt_signal_of(pid, &found), 0);
        }
        check(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
        return found;
}

static sigset_t waited_set(void) {
        sigset_t set;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGPWR);
        (void) sigaddset(&set, SIGUSR2);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        return set;
}

static void wait_by_sigtimedwait(void) {
        sigset_t set = waited_set();

        (void) sigtimedwait(&set, NULL, NULL);
}

static void wait_blocked(void) {
        (void) waited_set();
        (void) pause();
}

static void on_signal(int number) {
}

static void wait_by_handler(void) {
        (void) signal(SIGPWR, on_signal);
        (void) signal(SIGUSR2, on_signal);
        (void) pause();
}

static void wait_deaf(void) {
        (void) pause();
}

static void test_halt_signal_of(void) {
        int found;

        check_equal(halts_by(wait_by_sigtimedwait), SIGPWR);
        check_equal(halts_by(wait_blocked), SIGPWR);
        check_equal(halts_by(wait_by_handler), SIGPWR);
        check_equal(halts_by(wait_deaf), SIGKILL);
        check_equal(halt_signal_of(INT32_MAX, &found), -ENOENT);
}

int main(void) {
        test_limits();
        test_halt_signal();
        test_halt_signal_of();
        return EXIT_SUCCESS;
}
