/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Deletes what a container has left, which its root made as it pleased: any depth, any name, any mode. Runs confined, with
 * DAC_OVERRIDE and FOWNER over the range's IDs. Follows no link and enters no other mount.
 *
 * A link is removed as what it is: only what could not be removed because it is a folder with something in it is ever opened.
 *
 * One descriptor and one buffer whatever the depth, and no names are remembered: go down into the first folder that is not
 * empty; at the bottom go up by ".." and read again, where what was emptied is now the first to be removed. Nobody else
 * writes in here, and root is the folder itself, so ".." cannot lead out. */

#include "delete.h"
#include "util.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#define BUFFER_SIZE (32U * 1024)

/* As the kernel writes them. */
typedef struct Entry {
        uint64_t inode;
        int64_t offset;
        unsigned short size;
        unsigned char type;
        char name[];
} Entry;

static int open_folder(int parent, const char *name) {
        struct open_how how = {
                .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
        };
        long fd;

        fd = syscall(SYS_openat2, parent, name, &how, sizeof(how));
        return fd < 0 ? -errno : (int) fd;
}

/* Removes one entry. 1: it is a folder that is not empty. */
static int remove_entry(int folder, const Entry *e) {
        if (e->type != DT_DIR) {
                if (unlinkat(folder, e->name, 0) == 0)
                        return 0;
                if (errno != EISDIR)
                        return -errno;
        }
        if (unlinkat(folder, e->name, AT_REMOVEDIR) == 0)
                return 0;

        return errno == ENOTEMPTY || errno == EEXIST ? 1 : -errno;
}

/* Removes what is in the folder up to the first folder that is not empty, and opens that. 0: none, it is empty now. */
static int empty_folder(Job *j, int folder, int *ret_child) {
        _Alignas(Entry) char buffer[BUFFER_SIZE];
        const Entry *e;
        long n;
        int r;

        for (;;) {
                n = syscall(SYS_getdents64, folder, buffer, sizeof(buffer));
                if (n < 0)
                        return job_failed(j, "read folder", -errno);
                if (n == 0)
                        return 0;

                for (long i = 0; i < n; i += e->size) {
                        e = (const Entry *) (buffer + i);
                        if (streq(e->name, ".") || streq(e->name, ".."))
                                continue;
                        r = remove_entry(folder, e);
                        if (r < 0)
                                return job_failed(j, "remove", r);
                        if (r > 0) {
                                r = open_folder(folder, e->name);
                                if (r < 0)
                                        return job_failed(j, "open folder", r);
                                *ret_child = r;
                                return 1;
                        }
                        j->entries++;
                        r = job_progress(j);
                        if (r < 0)
                                return r;
                }
        }
}

int delete_all(Job *j) {
        _cleanup_close_ int folder = -EBADF;
        uint64_t depth = 0;
        int next = -EBADF, r;

        folder = open_folder(AT_FDCWD, "/");
        if (folder < 0)
                return job_failed(j, "open folder", folder);

        for (;;) {
                r = empty_folder(j, folder, &next);
                if (r < 0)
                        return r;
                if (r == 0) {
                        if (depth == 0)
                                return 0;
                        next = open_folder(folder, "..");
                        if (next < 0)
                                return job_failed(j, "parent folder", next);
                }
                depth = r > 0 ? depth + 1 : depth - 1;
                (void) close(folder);
                folder = next;
        }
}
