/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A worker's way into its cage, before it has read a byte of the archive or of the folder. Runs as root of the
 * supervisor's user namespace with all capabilities there; believes whoever executed it to have given it a mount namespace
 * of its own, and dies with that namespace. */

#include "confine.h"
#include "util.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define OPEN_FILES_MAX 32
#define MEMORY_MAX (UINT64_C(512) << 20) /* xz -9 wants 65 MiB, zstd at its default 128 */

#ifdef INSTRUMENT_COVERAGE
static int old_root = -EBADF;

void confine_leave(void) {
        (void) !fchdir(old_root);
        (void) !chroot(".");
}
#endif

static int set_limit(int resource, rlim_t value) {
        struct rlimit limit = { value, value };

        return setrlimit((__rlimit_resource_t) resource, &limit) < 0 ? -errno : 0;
}

static int set_limits(void) {
        int r;

        r = set_limit(RLIMIT_CORE, 0);
        if (r < 0)
                return r;
        r = set_limit(RLIMIT_NOFILE, OPEN_FILES_MAX);
        if (r < 0)
                return r;
#ifdef INSTRUMENT_ASAN
        return 0; /* its shadow alone takes terabytes of addresses */
#else
        return set_limit(RLIMIT_AS, MEMORY_MAX);
#endif
}

/* 0 to 2 become /dev/null, so that nothing which we open later is taken for standard error. */
static int clean_descriptors(int highest_fd) {
        int fd;

        fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -errno;
#ifdef INSTRUMENT_ASAN
        const int last = STDOUT_FILENO;
#else
        const int last = STDERR_FILENO;
#endif
        for (int i = 0; i <= last; i++)
                if (dup3(fd, i, O_CLOEXEC) < 0 && fd != i)
                        return -errno;
        if (close_range((unsigned) highest_fd + 1, ~0U, 0) < 0)
                return -errno;
        return 0;
}

/* The folder becomes all that there is of the file system. */
static int enter_folder(void) {
        struct stat folder, root;

        if (mount(/* source= */ NULL, "/", /* type= */ NULL, MS_REC | MS_PRIVATE, /* data= */ NULL) < 0)
                return -errno;
        if (syscall(SYS_move_mount, WORKER_FOLDER_FD, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
                return -errno;
        if (fchdir(WORKER_FOLDER_FD) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
                return -errno;
#ifndef INSTRUMENT_COVERAGE
        if (umount2(".", MNT_DETACH) < 0)
                return -errno;
#endif
        if (chdir("/") < 0)
                return -errno;

        /* The old root lay on top of the new one: seen is what is left. */
        if (fstat(WORKER_FOLDER_FD, &folder) < 0 || stat("/", &root) < 0)
                return -errno;
        if (folder.st_dev != root.st_dev || folder.st_ino != root.st_ino)
                return -EXDEV;

        (void) close(WORKER_FOLDER_FD);
        return 0;
}

static int drop_to_capabilities(uint64_t keep) {
        struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
        struct __user_cap_data_struct data[2] = {
                { .effective = (uint32_t) keep, .permitted = (uint32_t) keep },
                { .effective = (uint32_t) (keep >> 32), .permitted = (uint32_t) (keep >> 32) },
        };

        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return -errno;
        for (unsigned c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
                if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
                        return -errno;

        return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int load_seccomp(const struct sock_fprog *filter) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;

        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter, 0, 0) < 0 ? -errno : 0;
}

int confine(Job *j, int highest_fd, uint64_t capabilities, const struct sock_fprog *filter) {
        int r;

        (void) umask(022);
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return job_failed(j, "dumpable", -errno);
#ifdef INSTRUMENT_COVERAGE
        old_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        old_root = fcntl(old_root, F_DUPFD_CLOEXEC, WORKER_ARCHIVE_FD + 1);
        highest_fd = old_root;
        capabilities |= UINT64_C(1) << CAP_SYS_CHROOT;
#endif
        r = clean_descriptors(highest_fd);
        if (r < 0)
                return job_failed(j, "descriptors", r);
        r = enter_folder();
        if (r < 0)
                return job_failed(j, "enter folder", r);
        r = set_limits();
        if (r < 0)
                return job_failed(j, "resource limits", r);
        r = drop_to_capabilities(capabilities);
        if (r < 0)
                return job_failed(j, "capabilities", r);
        r = load_seccomp(filter);
        if (r < 0)
                return job_failed(j, "seccomp", r);

        return 0;
}
