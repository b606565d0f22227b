/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table. The units in data/ repeat its sockets and the union of its capabilities; a test compares them. */

#include "table.h"

#include "util.h"

#define HELPERS_AT_ONCE 32
#define HELPER_SECONDS 30

/* A helper holds one message of 64 KiB and what it becomes; 64 layers and as many descriptors come and go. */
#define HELPER_LIMITS                                                                                                  \
        .n_limits = ELEMENTSOF(((const Limit[]) { HELPER_LIMIT_LIST })), .limits = { HELPER_LIMIT_LIST }
#ifdef INSTRUMENT_ASAN
#define HELPER_LIMIT_LIST { RLIMIT_CORE, 0, 0 }, { RLIMIT_NOFILE, 512, 512 }
#else
#define HELPER_LIMIT_LIST { RLIMIT_CORE, 0, 0 }, { RLIMIT_NOFILE, 512, 512 }, { RLIMIT_DATA, 64 << 20, 64 << 20 }
#endif

const Row table[] = {
        {
                .name = "supervisor",
                .program = LIBEXECDIR "/berth-supervisor",
                .user = "root",
                .group = "berth",
                .capabilities = CAP(SETUID) | CAP(SETGID) | CAP(SYS_ADMIN) | CAP(SYS_RESOURCE),
                .concurrency = 2048,
                /* The container inherits these, so the soft ones are what programs are used to. */
                .n_limits = 3,
                .limits = {
                        { RLIMIT_NOFILE, 1024, 1048576 },
                        { RLIMIT_MEMLOCK, 8 << 20, RLIM_INFINITY },
                        { RLIMIT_CORE, 0, RLIM_INFINITY },
                },
        },
        {
                .name = "idmap",
                .program = LIBEXECDIR "/berth-idmap",
                .user = "root",
                .group = "berth",
                .capabilities = CAP(SETUID) | CAP(SETGID),
                .no_new_privs = true,
                .concurrency = HELPERS_AT_ONCE,
                .deadline = HELPER_SECONDS,
                HELPER_LIMITS,
        },
        {
                .name = "mount",
                .program = LIBEXECDIR "/berth-mount",
                .user = "berth-mount",
                .group = "berth-mount",
                .capabilities = CAP(SYS_ADMIN) | CAP(DAC_READ_SEARCH),
                .no_new_privs = true,
                .concurrency = HELPERS_AT_ONCE,
                .deadline = HELPER_SECONDS,
                HELPER_LIMITS,
        },
        {
                .name = "cgroup",
                .program = LIBEXECDIR "/berth-cgroup",
                .user = "berth-cgroup",
                .group = "berth-cgroup",
                /* SYS_ADMIN for device rules of v1, BPF and NET_ADMIN for those of v2: the helper looks which of the two
                 * is mounted and gives the other up before it reads. */
                .capabilities = CAP(CHOWN) | CAP(DAC_READ_SEARCH) | CAP(BPF) | CAP(NET_ADMIN) | CAP(SYS_ADMIN),
                .no_new_privs = true,
                .concurrency = HELPERS_AT_ONCE,
                .deadline = HELPER_SECONDS,
                HELPER_LIMITS,
        },
        {
                .name = "storage",
                .program = LIBEXECDIR "/berth-storage",
                .user = "berth-storage",
                .group = "berth-storage",
                .no_new_privs = true,
                .concurrency = 8, /* they wait for one another's lock anyway */
                .deadline = 60,
                HELPER_LIMITS,
        },
        {},
};
