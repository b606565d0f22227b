/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* System calls that not every libc wraps, each returning negative errno. None is newer than Linux 5.12. */

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef MNT_DETACH
#define MNT_DETACH 2 /* <sys/mount.h> and <linux/mount.h> exclude each other */
#endif

static inline int sys_result(long r) {
        return r < 0 ? -errno : (int) r;
}

static inline int sys_clone3(struct clone_args *args) {
        return sys_result(syscall(SYS_clone3, args, sizeof(*args)));
}

static inline int sys_openat2(int folder, const char *name, uint64_t flags, uint64_t resolve) {
        const struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = resolve };

        return sys_result(syscall(SYS_openat2, folder, name, &how, sizeof(how)));
}

static inline int sys_open_tree(int folder, const char *name, unsigned flags) {
        return sys_result(syscall(SYS_open_tree, folder, name, flags | OPEN_TREE_CLOEXEC));
}

static inline int sys_fsopen(const char *type) {
        return sys_result(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
}

static inline int sys_fsconfig(int fs, unsigned command, const char *key, const char *value) {
        return sys_result(syscall(SYS_fsconfig, fs, command, key, value, 0));
}

static inline int sys_fsmount(int fs, unsigned attributes) {
        return sys_result(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes));
}

static inline int sys_move_mount(int mount, int folder, const char *name) {
        return sys_result(syscall(SYS_move_mount, mount, "", folder, name,
                                  MOVE_MOUNT_F_EMPTY_PATH | (*name ? 0 : MOVE_MOUNT_T_EMPTY_PATH)));
}

static inline int sys_mount_setattr(int mount, const char *name, unsigned flags, uint64_t set, uint64_t clear,
                                    uint64_t propagation) {
        struct mount_attr attr = { .attr_set = set, .attr_clr = clear, .propagation = propagation };

        return sys_result(syscall(SYS_mount_setattr, mount, name, flags, &attr, sizeof(attr)));
}

static inline int sys_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data) {
        return sys_result(syscall(SYS_mount, source, target, type, flags, data));
}

static inline int sys_umount2(const char *target, int flags) {
        return sys_result(syscall(SYS_umount2, target, flags));
}

static inline int sys_pivot_root(const char *new_root, const char *put_old) {
        return sys_result(syscall(SYS_pivot_root, new_root, put_old));
}

static inline int sys_pidfd_send_signal(int pidfd, int signal) {
        return sys_result(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
}

static inline int sys_close_range(unsigned first, unsigned last, unsigned flags) {
        return sys_result(syscall(SYS_close_range, first, last, flags));
}
