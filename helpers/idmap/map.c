/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Looks at the process and writes the maps. Believes of a descriptor only what the kernel says about it. The kernel, in
 * its turn, asks who opened and who writes a map: the namespace's owner, with CAP_SETUID and CAP_SETGID in the parent. */

#include "map.h"
#include "mutation.h"
#include "util.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#define MAP_LINE_MAX 64

const MapConstants map_constants = {
        .how = {
                .flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
        },
        .uid_map = "uid_map",
        .gid_map = "gid_map",
};
_Static_assert(sizeof(struct open_how) == 24, "idmap.seccomp says 24");

int become_effective(uid_t supervisor) {
        struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
        struct __user_cap_data_struct data[2];

        if (syscall(SYS_setresuid, (uid_t) -1, supervisor, (uid_t) -1) < 0)
                return -errno;
        if (syscall(SYS_capget, &header, data) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(data); i++)
                data[i].effective = data[i].permitted;
        return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int is_process_folder(int process) {
        struct statfs sfs;
        struct stat st;
        int flags;

        flags = fcntl(process, F_GETFL);
        if (flags < 0)
                return -errno;
        if (!MUTATION(idmap_flags) && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_PATH)))
                return -EINVAL;
        if (fstat(process, &st) < 0 || fstatfs(process, &sfs) < 0)
                return -errno;
        if (!MUTATION(idmap_folder) && !S_ISDIR(st.st_mode))
                return -EINVAL;
        if (!MUTATION(idmap_procfs) && sfs.f_type != PROC_SUPER_MAGIC)
                return -EINVAL;
        return 0;
}

/* What is dead, or no process' folder at all (/proc itself, say), has no such entry. */
static int stat_namespace(int process, const char *name, struct stat *ret) {
        if (fstatat(process, name, ret, 0) < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        return 0;
}

int process_check(int process, int userns, const char **ret_step) {
        struct stat of_process, given;
        int r;

        *ret_step = "process folder";
        r = is_process_folder(process);
        if (r < 0)
                return r;

        *ret_step = "namespace of the process";
        r = stat_namespace(process, "ns/user", &of_process);
        if (r < 0)
                return r;
        if (fstat(userns, &given) < 0)
                return -errno;
        if (!MUTATION(idmap_namespace) && (of_process.st_dev != given.st_dev || of_process.st_ino != given.st_ino))
                return -EXDEV;

        /* A zombie keeps its user namespace, but no other. */
        *ret_step = "life of the process";
        r = stat_namespace(process, "ns/mnt", &given);
        return MUTATION(idmap_alive) ? 0 : r;
}

void maps_close(Maps *m) {
        closep(&m->uid);
        closep(&m->gid);
}

static int open_map(int process, const char *name) {
        int fd;

        fd = (int) syscall(SYS_openat2, process, name, &map_constants.how, sizeof(map_constants.how));
        return fd < 0 ? -errno : fd;
}

int maps_open(int process, Maps *ret) {
        _cleanup_(maps_close) Maps m = { -EBADF, -EBADF };

        m.uid = open_map(process, map_constants.uid_map);
        if (m.uid < 0)
                return m.uid;
        m.gid = open_map(process, map_constants.gid_map);
        if (m.gid < 0)
                return m.gid;

        *ret = (Maps) { TAKE_FD(m.uid), TAKE_FD(m.gid) };
        return 0;
}

static int is_empty(int map) {
        char byte;
        ssize_t n;

        n = pread(map, &byte, 1, 0);
        if (n < 0)
                return -errno;
        return n > 0 ? -EEXIST : 0;
}

int maps_check_empty(const Maps *m) {
        int r;

        r = is_empty(m->uid);
        return r < 0 ? r : is_empty(m->gid);
}

static int write_one(int map, uid_t base) {
        char line[MAP_LINE_MAX], seen[MAP_LINE_MAX];
        ssize_t n;
        int size;

        /* as the kernel prints it */
        size = snprintf(line, sizeof(line), "%10u %10u %10u\n", 0U, base, RANGE_SIZE);
        n = write(map, line, (size_t) size);
        if (n < 0)
                return -errno;
        if (n != size)
                return -EIO;

        n = pread(map, seen, sizeof(seen), 0);
        if (n < 0)
                return -errno;
        return n == size && memcmp(seen, line, (size_t) size) == 0 ? 0 : -EIO;
}

int maps_write(const Maps *m, uid_t base, const char **ret_step) {
        int r;

        *ret_step = "uid_map";
        r = write_one(m->uid, base);
        if (r < 0)
                return r;

        *ret_step = "gid_map";
        return write_one(m->gid, base);
}
