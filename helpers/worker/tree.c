/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Names out of a hostile archive, and the making of what they name. Runs confined: even a mistake here could not leave the
 * tree's own mount. Believes the kernel's openat2() alone. */

#include "tree.h"
#include "mutation.h"
#include "util.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int place_parse(const char *raw, const Limits *limits, Place *ret) {
        size_t depth = 0, size = 0, name = 0, n;

        if (!raw || !*raw)
                return -EINVAL;

        for (const char *c = raw; *c; c += n) {
                if (*c == '/') {
                        n = 1;
                        continue;
                }
                n = strcspn(c, "/");
                if (n == 1 && c[0] == '.')
                        continue;
                if (!MUTATION(place_dotdot) && n == 2 && c[0] == '.' && c[1] == '.')
                        return -EXDEV;
                if (n > NAME_LENGTH)
                        return -ENAMETOOLONG;
                if (!MUTATION(limit_depth) && ++depth > limits->depth)
                        return -ELOOP;
                if (size + (size > 0) + n >= (MUTATION(limit_path) ? PATH_LENGTH_MAX : limits->path))
                        return -ENAMETOOLONG;

                if (size > 0)
                        ret->path[size++] = '/';
                name = size;
                memcpy(ret->path + size, c, n);
                size += n;
        }

        ret->path[size] = 0;
        ret->name = ret->path + name;
        return 0;
}

void tree_done(Tree *t) {
        t->root = close_fd(t->root);
        t->parent = close_fd(t->parent);
}

static int open_in(int folder, const char *path, uint64_t flags, mode_t mode) {
        struct open_how how = {
                .flags = flags | O_CLOEXEC,
                .mode = mode,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
        };
        long fd;

        if (MUTATION(tree_links))
                how.resolve = RESOLVE_BENEATH;
        do
                fd = syscall(SYS_openat2, folder, path, &how, sizeof(how));
        while (fd < 0 && errno == EINTR);
        return fd < 0 ? -errno : (int) fd;
}

int tree_open_folder(const Tree *t, const char *path) {
        return open_in(t->root, *path ? path : ".", O_RDONLY | O_DIRECTORY, 0);
}

/* Walks down from the root and makes what is missing. */
static int make_parents(const Tree *t, Job *j, const char *path) {
        _cleanup_close_ int folder = -EBADF;
        char name[NAME_LENGTH + 1];
        size_t n;
        int next, r;

        folder = open_in(t->root, ".", O_PATH | O_DIRECTORY, 0);
        if (folder < 0)
                return folder;

        for (const char *c = path; *c; c += n + (c[n] == '/')) {
                n = strcspn(c, "/");
                (void) snprintf(name, sizeof(name), "%.*s", (int) n, c);
                if (mkdirat(folder, name, 0755) == 0) {
                        r = job_charge_entry(j);
                        if (r < 0)
                                return r;
                        r = job_charge_written(j, 1);
                        if (r < 0)
                                return r;
                } else if (errno != EEXIST)
                        return -errno;

                next = open_in(folder, name, O_PATH | O_DIRECTORY, 0);
                if (next < 0)
                        return next;
                (void) close(folder);
                folder = next;
        }
        return TAKE_FD(folder);
}

/* Which of the two is to blame. */
static int path_error(Job *j, int r) {
        if (r == -ELOOP)
                return job_bad_archive(j, "path through a symbolic link", r);
        if (r == -ENOTDIR)
                return job_bad_archive(j, "path through what is no folder", r);
        if (r == -EXDEV)
                return job_bad_archive(j, "path out of the tree", r);
        return job_failed(j, "path", r);
}

static void split(const Place *p, char ret[static PATH_LENGTH_MAX]) {
        size_t n = (size_t) (p->name - p->path);

        memcpy(ret, p->path, n);
        ret[n > 0 ? n - 1 : 0] = 0;
}

int tree_parent(Tree *t, Job *j, const Place *p, int *ret) {
        char path[PATH_LENGTH_MAX];
        int fd;

        split(p, path);
        if (t->parent < 0 || !streq(path, t->parent_path)) {
                fd = open_in(t->root, *path ? path : ".", O_PATH | O_DIRECTORY, 0);
                if (fd == -ENOENT)
                        fd = make_parents(t, j, path);
                if (fd < 0)
                        return path_error(j, fd);

                t->parent = close_fd(t->parent);
                t->parent = fd;
                (void) snprintf(t->parent_path, sizeof(t->parent_path), "%s", path);
        }

        *ret = t->parent;
        return 0;
}

int tree_find_parent(const Tree *t, Job *j, const Place *p, int *ret) {
        char path[PATH_LENGTH_MAX];
        int fd;

        split(p, path);
        fd = open_in(t->root, *path ? path : ".", O_PATH | O_DIRECTORY, 0);
        if (fd == -ENOENT)
                return job_bad_archive(j, "hard link to what is not there", fd);
        if (fd < 0)
                return path_error(j, fd);

        *ret = fd;
        return 0;
}

/* Removes what an earlier entry made there. */
static int make_room(Tree *t, Job *j, int parent, const Place *p) {
        if (unlinkat(parent, p->name, 0) == 0)
                return 0;
        if (errno == EISDIR && unlinkat(parent, p->name, AT_REMOVEDIR) == 0) {
                /* What was remembered may be what was removed. */
                t->parent_path[0] = 0;
                t->parent = close_fd(t->parent);
                return 0;
        }
        if (errno == ENOTEMPTY || errno == EEXIST)
                return job_bad_archive(j, "in place of a folder", -EISDIR);
        return job_failed(j, "replace", -errno);
}

typedef struct Maker {
        const char *step;
        const char *target;
        int folder; /* a hard link's target is in it */
        int fd;     /* what was opened */
        int (*make)(int parent, const char *name, struct Maker *m);
} Maker;

static int make_file(int parent, const char *name, Maker *m) {
        m->fd = open_in(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
        return m->fd < 0 ? m->fd : 0;
}

static int make_folder(int parent, const char *name, Maker *m) {
        if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
                return -errno;

        m->fd = open_in(parent, name, O_RDONLY | O_DIRECTORY, 0);
        if (m->fd == -ENOTDIR || m->fd == -ELOOP)
                return -EEXIST;
        return m->fd < 0 ? m->fd : 0;
}

static int make_symlink(int parent, const char *name, Maker *m) {
        return symlinkat(m->target, parent, name) < 0 ? -errno : 0;
}

static int make_fifo(int parent, const char *name, Maker *m) {
        return mknodat(parent, name, S_IFIFO | 0600, 0) < 0 ? -errno : 0;
}

static int make_link(int parent, const char *name, Maker *m) {
        return linkat(m->folder, m->target, parent, name, 0) < 0 ? -errno : 0;
}

/* Makes it; if something is there, removes that and makes it again. */
static int make(Tree *t, Job *j, const Place *p, Maker *m, int *ret_parent) {
        int parent, r;

        if (!*p->path)
                return job_bad_archive(j, "the tree itself is no folder", -EISDIR);
        r = job_charge_written(j, 1);
        if (r < 0)
                return r;
        r = tree_parent(t, j, p, &parent);
        if (r < 0)
                return r;

        r = m->make(parent, p->name, m);
        if (r == -EEXIST) {
                r = make_room(t, j, parent, p);
                if (r < 0)
                        return r;
                r = tree_parent(t, j, p, &parent);
                if (r < 0)
                        return r;
                r = m->make(parent, p->name, m);
        }
        if (r == -ENOENT && m->folder >= 0)
                return job_bad_archive(j, "hard link to what is not there", r);
        if (r == -EPERM && m->folder >= 0)
                return job_bad_archive(j, "hard link to a folder", r);
        if (r == -EMLINK || r == -ENAMETOOLONG)
                return job_bad_archive(j, m->step, r);
        if (r < 0)
                return job_failed(j, m->step, r);

        if (ret_parent)
                *ret_parent = parent;
        return 0;
}

int tree_make_file(Tree *t, Job *j, const Place *p, int *ret) {
        Maker m = { "make file", NULL, -EBADF, -EBADF, make_file };
        int r;

        r = make(t, j, p, &m, /* ret_parent= */ NULL);
        if (r < 0)
                return r;

        *ret = m.fd;
        return 0;
}

int tree_make_folder(Tree *t, Job *j, const Place *p, int *ret) {
        Maker m = { "make folder", NULL, -EBADF, -EBADF, make_folder };
        int r;

        if (!*p->path) {
                m.fd = tree_open_folder(t, "");
                r = m.fd < 0 ? job_failed(j, "open tree", m.fd) : 0;
        } else
                r = make(t, j, p, &m, /* ret_parent= */ NULL);
        if (r < 0)
                return r;

        *ret = m.fd;
        return 0;
}

int tree_make_symlink(Tree *t, Job *j, const Place *p, const char *target, int *ret_parent) {
        Maker m = { "make symbolic link", target, -EBADF, -EBADF, make_symlink };

        if (!target || !*target || strlen(target) >= PATH_LENGTH_MAX)
                return job_bad_archive(j, "text of a symbolic link", -ENAMETOOLONG);

        return make(t, j, p, &m, ret_parent);
}

int tree_make_fifo(Tree *t, Job *j, const Place *p, int *ret_parent) {
        Maker m = { "make fifo", NULL, -EBADF, -EBADF, make_fifo };

        return make(t, j, p, &m, ret_parent);
}

int tree_make_link(Tree *t, Job *j, const Place *p, const Place *target) {
        _cleanup_close_ int folder = -EBADF;
        Maker m = { "make hard link", target->name, -EBADF, -EBADF, make_link };
        int r;

        if (streq(p->path, target->path))
                return job_bad_archive(j, "hard link to itself", -EINVAL);
        if (!*target->path)
                return job_bad_archive(j, "hard link to a folder", -EPERM);
        r = tree_find_parent(t, j, target, &folder);
        if (r < 0)
                return r;

        m.folder = folder;
        return make(t, j, p, &m, /* ret_parent= */ NULL);
}
