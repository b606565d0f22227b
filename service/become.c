/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* berthd has no privilege: its unit, or the bus's launch helper, sees to that. Where it is started by hand as root this does,
 * and in each case it is proven before the first byte from the bus is read. */

#include "become.h"
#include "log.h"
#include "users.h"
#include "util.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define SERVICE_USER "berth"

/* Without CAP_SETPCAP it cannot be emptied: no_new_privs makes what is left of it worthless. */
static int drop_bounding_set(void) {
        for (unsigned long c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
                if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
                        return -errno;
        return 0;
}

static int become_user(void) {
        uid_t uid;
        gid_t gid;
        int r;

        r = user_find(SERVICE_USER, &uid, &gid);
        if (r < 0)
                return r;
        if (uid == 0 || gid == 0)
                return -EPERM;
        r = drop_bounding_set();
        if (r < 0)
                return r;
        if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
                return -errno;
        return 0;
}

static int empty_capabilities(void) {
        struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
        struct __user_cap_data_struct data[2] = {};

        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || syscall(SYS_capset, &header, data) < 0)
                return -errno;
        if (syscall(SYS_capget, &header, data) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(data); i++)
                if (data[i].effective || data[i].permitted || data[i].inheritable)
                        return -EPERM;
        return 0;
}

/* Messages that wait hold descriptors. */
static void raise_descriptor_limit(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
                return;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                log_warning("cannot raise the limit of descriptors, ignoring: %s", strerror(errno));
}

int become_unprivileged(void) {
        int r = 0;

        if (geteuid() == 0)
                r = become_user();
        if (r >= 0)
                r = empty_capabilities();
        if (r >= 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0))
                r = -errno;
        if (r >= 0 && (geteuid() == 0 || getuid() == 0))
                r = -EPERM;
        if (r < 0)
                log_error("cannot become an unprivileged user " SERVICE_USER ": %s", strerror(-r));
        else
                raise_descriptor_limit();
        return r;
}
