/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Resource limits of a supervisor and its container, from root's /etc/berth/limits.conf:
 *
 *         nofile=1024:1048576     soft and hard limit; "unlimited" is a number too
 *         oom_score_adj=-500      of the supervisor; the container's processes have 0
 *
 * Runs in the root stage. A line that it does not understand is an error; a limit that the kernel does not let us set (a
 * hard limit wants CAP_SYS_RESOURCE) is logged, and what is there stays. */

#include "supervisor.h"
#include "text.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>

#define LIMITS_FILE "/etc/berth/limits.conf"
#define LIMITS_SIZE_MAX 16384U

static const struct {
        const char *name;
        int resource;
} limits[] = {
        { "as", RLIMIT_AS },           { "core", RLIMIT_CORE },         { "cpu", RLIMIT_CPU },
        { "data", RLIMIT_DATA },       { "fsize", RLIMIT_FSIZE },       { "memlock", RLIMIT_MEMLOCK },
        { "msgqueue", RLIMIT_MSGQUEUE }, { "nofile", RLIMIT_NOFILE },   { "nproc", RLIMIT_NPROC },
        { "rtprio", RLIMIT_RTPRIO },   { "sigpending", RLIMIT_SIGPENDING }, { "stack", RLIMIT_STACK },
};

static int parse_limit(Span value, rlim_t *ret) {
        uint64_t number;
        int r;

        if (span_is(value, "unlimited")) {
                *ret = RLIM_INFINITY;
                return 0;
        }
        r = span_to_unsigned(value, INT64_MAX, &number);
        if (r < 0)
                return r;
        *ret = number;
        return 0;
}

static int apply_limit(int resource, const char *name, Span value) {
        struct rlimit limit;
        Span soft;

        if (!span_cut(&value, ':', &soft) || parse_limit(soft, &limit.rlim_cur) < 0 || parse_limit(value, &limit.rlim_max) < 0 ||
            limit.rlim_cur > limit.rlim_max)
                return -EUCLEAN;
        if (setrlimit((__rlimit_resource_t) resource, &limit) < 0)
                supervisor_log("limit %s: %s, ignoring", name, strerrorname_np(errno));
        return 0;
}

static int apply_oom(Span value) {
        _cleanup_close_ int fd = -EBADF;
        bool negative = value.n > 0 && value.s[0] == '-';
        Span digits = negative ? (Span) { value.s + 1, value.n - 1 } : value;
        uint64_t number;

        if (span_to_unsigned(digits, 1000, &number) < 0)
                return -EUCLEAN;
        fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -errno;
        if (write(fd, value.s, value.n) < 0)
                supervisor_log("oom_score_adj: %s, ignoring", strerrorname_np(errno));
        return 0;
}

static int apply_line(Span line) {
        Span key;

        if (!span_cut(&line, '=', &key))
                return -EUCLEAN;
        if (span_is(key, "oom_score_adj"))
                return apply_oom(line);
        for (size_t i = 0; i < ELEMENTSOF(limits); i++)
                if (span_is(key, limits[i].name))
                        return apply_limit(limits[i].resource, limits[i].name, line);
        return -EUCLEAN;
}

int limits_apply_text(const char *text, size_t size) {
        Span rest = { text, size }, line;
        int r;

        while (span_cut(&rest, '\n', &line)) {
                if (line.n == 0 || line.s[0] == '#')
                        continue;
                r = apply_line(line);
                if (r < 0)
                        return r;
        }
        return 0;
}

int limits_apply(void) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = text_read(LIMITS_FILE, LIMITS_SIZE_MAX, &text, &size);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        return limits_apply_text(text, size);
}
