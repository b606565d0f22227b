/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The parts that need no container: limits.conf, the choice of the signal that halts. */

#include "supervisor.h"
#include "test.h"

#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>

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
        check_equal(halt_signal(0, 0), SIGKILL);
        check_equal(halt_signal(BIT(SIGTERM), 0), SIGTERM);
        check_equal(halt_signal(BIT(SIGTERM) | BIT(SIGUSR2), 0), SIGUSR2);
        check_equal(halt_signal(BIT(SIGTERM), BIT(SIGPWR)), SIGPWR);
        check_equal(halt_signal(~UINT64_C(0), 0), 37);
        check_equal(halt_signal(0, BIT(37)), 37);
        check_equal(halt_signal(BIT(SIGHUP) | BIT(SIGINT), BIT(SIGCHLD)), SIGKILL);
}

int main(void) {
        test_limits();
        test_halt_signal();
        return EXIT_SUCCESS;
}
