/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "signals.h"

#include "test.h"
#include "text.h"
#include "util.h"

#include <signal.h>
#include <sys/syscall.h>

static bool status_has(const char *line) {
        _cleanup_free_ char *text = NULL;
        size_t size;

        check(text_read("/proc/self/status", 16384, &text, &size) == 0);
        return strstr(text, line);
}

int main(void) {
        uint64_t ignore[8] = { (uint64_t) (uintptr_t) SIG_IGN };

        check(syscall(SYS_rt_sigaction, SIGUSR1, ignore, NULL, 8) == 0);
        check(syscall(SYS_rt_sigaction, 32, ignore, NULL, 8) == 0);
        check(syscall(SYS_rt_sigaction, 64, ignore, NULL, 8) == 0);
        check(status_has("\nSigIgn:\t8000000080000200\n"));
        check_equal(signals_reset(), 0);
        check(status_has("\nSigIgn:\t0000000000000000\n"));
        return EXIT_SUCCESS;
}
