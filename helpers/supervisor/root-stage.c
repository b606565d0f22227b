/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The root stage: from uid 0 to S, the slot's own ID.
 *
 * Runs as root with SETUID SETGID SYS_ADMIN SYS_RESOURCE, and is all of the supervisor that does. Reads 4 bytes and one
 * descriptor from berthd and believes neither: the ID follows from root's own files, the slot's lock says that nobody else
 * has it. No JSON, no path but compiled-in ones. The most it can do is become one of berth's supervisors. */

#include "mutation.h"
#include "supervisor.h"
#include "sys.h"

#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* Whatever socket it is: listen() takes no other kind than one that is bound, and each connection shows its user. */
static int receive_preface(int connection, uint32_t *ret_number, int *ret_socket) {
        char control[CMSG_SPACE(sizeof(int))];
        struct iovec iov = { ret_number, sizeof(*ret_number) };
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
        struct cmsghdr *c;

        if (recvmsg(connection, &header, MSG_CMSG_CLOEXEC) != sizeof(*ret_number) || (header.msg_flags & MSG_CTRUNC))
                return -EBADMSG;
        c = CMSG_FIRSTHDR(&header);
        if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
                return -EBADMSG;
        memcpy(ret_socket, CMSG_DATA(c), sizeof(int));
        return 0;
}

/* Goes on in a child that was born in ROOT/SLOT/supervisor of v2; no cgroup.procs is written, which waits for 10 ms. */
static int be_born(const Supervisor *s) {
        const Hierarchy *v2 = cgroup_tree_find(&s->tree, NULL);
        struct clone_args args = { .flags = CLONE_PARENT };
        char path[32];
        int r;

        (void) snprintf(path, sizeof(path), "%u/supervisor", s->slot.number);
        if (v2 && v2->root >= 0) {
                r = sys_openat2(v2->root, path, O_PATH | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
                if (r < 0)
                        return r;
                args.flags |= CLONE_INTO_CGROUP;
                args.cgroup = (uint64_t) r;
        }
        r = sys_clone3(&args);
        if (r > 0)
                _exit(EXIT_SUCCESS);
        return r;
}

static int join_v1(const Supervisor *s) {
        char path[32];

        (void) snprintf(path, sizeof(path), "%u/tasks", s->slot.number);
        for (size_t i = 0; i < s->tree.n; i++) {
                const Hierarchy *h = &s->tree.hierarchies[i];
                _cleanup_close_ int tasks = -EBADF;

                if (h->v2 || h->root < 0)
                        continue;
                tasks = sys_openat2(h->root, path, O_WRONLY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
                if (tasks < 0)
                        return tasks;
                if (write(tasks, "0", 1) < 0)
                        return -errno;
        }
        return 0;
}

/* Held until this process ends; a fork does not inherit it. */
static int lock_slot(uint32_t number, int *ret) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        _cleanup_close_ int fd = -EBADF;
        char path[64];

        (void) snprintf(path, sizeof(path), "/run/berth/slots/%u", number);
        fd = sys_openat2(AT_FDCWD, path, O_RDWR | O_NOCTTY | O_NONBLOCK, RESOLVE_NO_SYMLINKS);
        if (fd < 0)
                return fd;
        if (!MUTATION(slot_lock) && fcntl(fd, F_SETLK, &lock) < 0)
                return errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

/* The host's setuid programs are dead in it; it covers nothing of /proc and /sys, or the container could mount neither. */
static int enter_mount_namespace(void) {
        if (unshare(CLONE_NEWNS) < 0)
                return -errno;
        return sys_mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, MUTATION(host_nosuid) ? 0 : MOUNT_ATTR_NOSUID, 0, MS_SLAVE);
}

static int become_supervisor(uid_t s) {
        struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
        struct __user_cap_data_struct none[2] = {};

        if (setgroups(0, NULL) < 0 || setresgid(s, s, s) < 0 || setresuid(s, s, s) < 0)
                return -errno;
        return syscall(SYS_capset, &header, none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

int root_stage(int connection, Supervisor *s, const char **ret_step) {
        uint32_t number = 0;
        SlotTable table;
        int r;

        /* What does not depend on the slot comes first: berthd connects in advance. */
        STEP("slot", slot_table_load(&table));
        STEP("mount namespace", enter_mount_namespace());
        STEP("cgroup root", cgroup_tree_open(&s->tree));
        STEP("limits", limits_apply());
        STEP("preface", receive_preface(connection, &number, &s->listening));
        STEP("slot", slot_by_number(&table, number, &s->slot));
        STEP("cgroup", be_born(s));
        STEP("cgroup", join_v1(s));
        STEP("lock", lock_slot(number, &s->lock));
        STEP("user", become_supervisor(s->slot.supervisor));
        STEP("listen", sys_result(listen(s->listening, CONNECTIONS_MAX)));
        return 0;
}
