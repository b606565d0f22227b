/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* By which signal an init halts: found out by what it handles, since nobody says which init it is.
 *
 * Runs as S, and believes nothing that init could write, only fields of /proc that the kernel fills. A wrong answer harms
 * that container alone. */

#include "supervisor.h"

#include "text.h"
#include "util.h"

#include <signal.h>
#include <stdio.h>

#define SIGNAL_HALT 37 /* SIGRTMIN+3 of glibc, by which systemd halts */

int halt_signal(uint64_t handled) {
        static const int candidates[] = { SIGNAL_HALT, SIGPWR, SIGUSR2, SIGTERM };

        for (size_t i = 0; i < ELEMENTSOF(candidates); i++)
                if (handled >> (candidates[i] - 1) & 1)
                        return candidates[i];
        return SIGKILL;
}

static int mask_of(const char *status, const char *key, uint64_t *ret) {
        const char *line = strstr(status, key);
        char *end;

        if (!line)
                return -EUCLEAN;
        errno = 0;
        *ret = strtoull(line + strlen(key), &end, 16);
        return errno != 0 || *end != '\n' ? -EUCLEAN : 0;
}

/* A process that sits in sigwait(): what it waits for the kernel shows as unblocked for that time, and only a process in its
 * own namespace may see more. */
static int waits_for_signals(pid_t pid) {
        static const char place[] = "do_sigtimedwait";
        _cleanup_free_ char *text = NULL;
        char path[32];
        size_t size;
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%d/wchan", (int) pid);
        r = text_read(path, 512, &text, &size);
        return r < 0 ? r : strncmp(text, place, strlen(place)) == 0;
}

static int signals_handled(pid_t pid, uint64_t *ret) {
        _cleanup_free_ char *text = NULL;
        uint64_t caught, blocked;
        char path[32];
        size_t size;
        int r;

        /* Its name may hold anything but a newline, and its escapes: a line begins with our key only if the kernel wrote it. */
        (void) snprintf(path, sizeof(path), "/proc/%d/status", (int) pid);
        r = text_read(path, 16384, &text, &size);
        if (r < 0)
                return r;
        r = mask_of(text, "\nSigCgt:\t", &caught);
        if (r < 0)
                return r;
        r = mask_of(text, "\nSigBlk:\t", &blocked);
        if (r < 0)
                return r;

        /* Blocked ones are waited for by signalfd, or will be by sigwait. */
        *ret = caught | blocked;
        return 0;
}

int halt_signal_of(pid_t pid, int *ret) {
        uint64_t handled;
        int r;

        /* Twice: between the looks it may have begun to wait, or ceased. */
        for (int i = 0; i < 2; i++) {
                r = signals_handled(pid, &handled);
                if (r < 0)
                        return r;
                *ret = halt_signal(handled);
                if (*ret != SIGKILL)
                        return 0;
                r = waits_for_signals(pid);
                if (r < 0)
                        return r;
                if (r > 0) {
                        *ret = SIGPWR; /* busybox's; one that an init does not wait for is lost on it */
                        return 0;
                }
        }
        return 0;
}
