/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Locks mounts. Runs with SYS_ADMIN.
 *
 * Whoever holds a detached mount and owns the user namespace that he attaches it in may clear its read-only flag, and then
 * write into an image that all containers share. The kernel locks a mount's flags where a mount namespace is copied into a
 * less privileged user namespace. So a child attaches the mounts in a mount namespace of its own, copies that into a fresh
 * user namespace, and clones the mounts there: the clones keep the locks.
 *
 * The child shares our memory and our table of descriptors (we stand still until it has ended) and puts each clone in its
 * mount's place. Where one of its steps does nothing and says nothing, the mounts would go out unlocked: so the parent
 * tries to break each lock itself. */

#include "lock.h"
#include "mutation.h"
#include "store.h"
#include "util.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* MS_PRIVATE of <sys/mount.h>, which cannot be included beside <linux/mount.h>. */
#define PROPAGATION_PRIVATE (1 << 18)

#define STACK_SIZE (64U * 1024)

typedef struct Lock {
        const int *mounts;
        size_t n;
        const char *step; /* the child's last */
        int error;
} Lock;

/* A tmpfs to attach to, on the one folder that is surely there (not on the root: who has something on top of his root may
 * make no user namespace). It becomes the working folder, because that is what a copy of the mount namespace follows. */
static int enter_tmpfs(void) {
        int filesystem, root;

        filesystem = (int) syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
        if (filesystem < 0)
                return -errno;
        if (syscall(SYS_fsconfig, filesystem, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return -errno;
        root = (int) syscall(SYS_fsmount, filesystem, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
        if (root < 0)
                return -errno;
        if (syscall(SYS_move_mount, root, "", AT_FDCWD, STORE_PATH, MOVE_MOUNT_F_EMPTY_PATH) < 0)
                return -errno;
        if (fchdir(root) < 0)
                return -errno;

        (void) close(filesystem);
        (void) close(root);
        return 0;
}

static int attach(int mount, size_t index) {
        char name[24];

        (void) snprintf(name, sizeof(name), "%zu", index);
        if (mkdirat(AT_FDCWD, name, 0700) < 0)
                return -errno;

        return syscall(SYS_move_mount, mount, "", AT_FDCWD, name, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

static int lock_in_child(Lock *l) {
        struct mount_attr private = { .propagation = PROPAGATION_PRIVATE };
        char name[24];
        int clone, r;

        l->step = "lock: mount namespace";
        if (unshare(CLONE_NEWNS) < 0)
                return -errno;
        l->step = "lock: private mounts";
        if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof(private)) < 0)
                return -errno;
        l->step = "lock: tmpfs";
        r = enter_tmpfs();
        if (r < 0)
                return r;
        l->step = "lock: attach";
        for (size_t i = 0; i < l->n; i++) {
                r = attach(l->mounts[i], i);
                if (r < 0)
                        return r;
        }
        l->step = "lock: user namespace";
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
                return -errno;

        l->step = "lock: clone";
        for (size_t i = 0; i < l->n; i++) {
                (void) snprintf(name, sizeof(name), "%zu", i);
                clone = (int) syscall(SYS_open_tree, AT_FDCWD, name,
                                      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
                if (clone < 0 || dup3(clone, l->mounts[i], O_CLOEXEC) < 0)
                        return -errno;
                (void) close(clone);
        }
        l->step = NULL;
        return 0;
}

/* The address sanitizer would take our memory's stack for this one's at _exit(). */
__attribute__((no_sanitize("address"))) static int child(void *argument) {
        Lock *l = argument;

        l->error = lock_in_child(l);
        _exit(EXIT_SUCCESS);
}

/* The same change that is refused when it would clear the flag is granted when it would set it: so it is the lock that
 * refuses, and not a right that we lack. */
static int prove_lock(int mount) {
        struct mount_attr set = { .attr_set = MOUNT_ATTR_RDONLY }, clear = { .attr_clr = MOUNT_ATTR_RDONLY };

        if (syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &set, sizeof(set)) < 0)
                return -errno;
        if (syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &clear, sizeof(clear)) == 0)
                return -ENOLCK;

        return errno == EPERM ? 0 : -errno;
}

static int run_child(Lock *l) {
        static _Alignas(16) char stack[STACK_SIZE];
        int status;
        pid_t pid;

        pid = clone(child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, l);
        if (pid < 0)
                return -errno;
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;

        /* Killed: what it has noted is not the end. */
        return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS ? 0 : -EPROTO;
}

int lock_mounts(const int *mounts, size_t n, const char **ret_step) {
        Lock lock = { .mounts = mounts, .n = n, .step = "lock: child" };
        int r;

        r = run_child(&lock);
        if (r < 0 || lock.step) {
                *ret_step = lock.step;
                return r < 0 ? r : lock.error;
        }

        for (size_t i = 0; i < n; i++) {
                r = MUTATION(lock_proof) ? 0 : prove_lock(mounts[i]);
                if (r < 0) {
                        *ret_step = "lock: proof";
                        return r;
                }
        }
        return 0;
}
