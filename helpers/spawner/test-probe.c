/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Stands in for a helper: tells over its connection what only it can know about itself, echoes one byte at a time, and ends
 * when the connection does. All else the test reads from /proc/PID. */

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char *argv[]) {
        struct itimerval timer = {};
        char c;

        (void) getitimer(ITIMER_REAL, &timer);
        (void) dprintf(3, "pid=%d\nargc=%d\nargv0=%s\nalarm=%ld\nsecurebits=%d\nkeepcaps=%d\n", (int) getpid(), argc, argv[0],
                       (long) timer.it_value.tv_sec, prctl(PR_GET_SECUREBITS), prctl(PR_GET_KEEPCAPS));
        if (getenv("LISTEN_FDS") == NULL)
                return EXIT_FAILURE;
        for (char **e = environ; *e; e++)
                (void) dprintf(3, "env %s\n", *e);
        (void) dprintf(3, "end\n");

        while (read(3, &c, 1) == 1)
                if (write(3, &c, 1) != 1)
                        return EXIT_FAILURE;
        return EXIT_SUCCESS;
}
