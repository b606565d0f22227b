/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The folders of containers, user berth's own. Everything is done below a descriptor of STATE_ROOT by single names. */

#include "state-file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define FOLDERS_MAX 8192U /* two a slot and room for leftovers */

typedef struct FolderName {
        char text[NAME_LENGTH_MAX + 8];
} FolderName;

static const char *const kind_prefix[] = {
        [FOLDER_CONTAINER] = "",
        [FOLDER_NEW] = ".new.",
        [FOLDER_OLD] = ".old.",
};

static FolderName folder_name(const char *name, FolderKind kind) {
        FolderName n;

        (void) snprintf(n.text, sizeof(n.text), "%s%s", kind_prefix[kind], name);
        return n;
}

int state_root_open(int *ret) {
        int fd = open(STATE_ROOT, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        *ret = fd;
        return 0;
}

static int folder_open(int root, const char *name, FolderKind kind, int *ret) {
        int fd = openat(root, folder_name(name, kind).text, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        *ret = fd;
        return 0;
}

void folders_free(Folder *f, size_t n) {
        for (size_t i = 0; i < n; i++)
                free(f[i].name);
        free(f);
}

static int folders_add(Folder **f, size_t *n, const char *entry) {
        FolderKind kind = FOLDER_CONTAINER;
        Folder *grown;
        char *copy;

        if (strncmp(entry, kind_prefix[FOLDER_NEW], 5) == 0)
                kind = FOLDER_NEW;
        else if (strncmp(entry, kind_prefix[FOLDER_OLD], 5) == 0)
                kind = FOLDER_OLD;
        entry += strlen(kind_prefix[kind]);
        if (!name_is_valid(entry))
                return 0;
        if (*n >= FOLDERS_MAX)
                return -E2BIG;
        copy = strdup(entry);
        if (!copy)
                return -ENOMEM;
        grown = reallocarray(*f, *n + 1, sizeof(Folder));
        if (!grown) {
                free(copy);
                return -ENOMEM;
        }
        *f = grown;
        (*f)[(*n)++] = (Folder) { copy, kind };
        return 0;
}

static void closedirp(DIR **d) {
        if (*d)
                closedir(*d);
}

static int dir_open(int fd, DIR **ret) {
        int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d;

        if (copy < 0)
                return -errno;
        d = fdopendir(copy);
        if (!d) {
                close_fd(copy);
                return -errno;
        }
        *ret = d;
        return 0;
}

int state_list(int root, Folder **ret, size_t *ret_n) {
        _cleanup_(closedirp) DIR *d = NULL;
        Folder *folders = NULL;
        size_t n = 0;
        int r;

        r = dir_open(root, &d);
        if (r < 0)
                return r;
        for (;;) {
                struct dirent *e;

                errno = 0;
                e = readdir(d);
                if (!e)
                        break;
                r = folders_add(&folders, &n, e->d_name);
                if (r < 0)
                        goto fail;
        }
        r = -errno;
        if (r < 0)
                goto fail;
        *ret = folders;
        *ret_n = n;
        return 0;
fail:
        folders_free(folders, n);
        return r;
}

static int read_all(int folder, const char *name, size_t max, char **ret, size_t *ret_size) {
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *text = NULL;
        struct stat st;
        size_t n = 0;

        fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_size < 0 || (size_t) st.st_size > max)
                return -EBADMSG;
        text = malloc((size_t) st.st_size + 1);
        if (!text)
                return -ENOMEM;
        while (n < (size_t) st.st_size) {
                ssize_t k = read(fd, text + n, (size_t) st.st_size - n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                if (k == 0)
                        break;
                n += (size_t) k;
        }
        *ret = TAKE_PTR(text);
        *ret_size = n;
        return 0;
}

int state_read(int root, const char *name, State *ret) {
        _cleanup_close_ int folder = -EBADF;
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = folder_open(root, name, FOLDER_CONTAINER, &folder);
        if (r < 0)
                return r;
        r = read_all(folder, "state", STATE_SIZE_MAX, &text, &size);
        if (r < 0)
                return r;
        return state_parse(text, size, ret);
}

int config_read(int root, const char *name, Config *ret, char **reterr_reason) {
        _cleanup_close_ int folder = -EBADF;
        _cleanup_free_ char *text = NULL, *file = NULL;
        size_t size;
        int r;

        r = folder_open(root, name, FOLDER_CONTAINER, &folder);
        if (r < 0)
                return r;
        r = read_all(folder, "config", CONFIG_SIZE_MAX, &text, &size);
        if (r < 0)
                return r;
        if (asprintf(&file, STATE_ROOT "/%s/config", name) < 0) {
                file = NULL;
                return -ENOMEM;
        }
        return config_parse(text, size, file, ret, reterr_reason);
}

/* Under a passing name first: a reader sees the old file or the new one, whole. */
static int write_file(int folder, const char *name, const char *text, size_t size) {
        _cleanup_close_ int fd = -EBADF;
        char passing[32];
        int r;

        (void) snprintf(passing, sizeof(passing), "%s.new", name);
        fd = openat(folder, passing, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        for (size_t n = 0; n < size;) {
                ssize_t k = write(fd, text + n, size - n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        goto fail;
                n += (size_t) k;
        }
        if (fsync(fd) < 0 || renameat(folder, passing, folder, name) < 0)
                goto fail;
        return fsync(folder) < 0 ? -errno : 0;
fail:
        r = -errno;
        (void) unlinkat(folder, passing, 0);
        return r;
}

static int write_state(int folder, const State *s) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = state_format(s, &text, &size);
        if (r < 0)
                return r;
        return write_file(folder, "state", text, size);
}

int state_write(int root, const char *name, const State *s) {
        _cleanup_close_ int folder = -EBADF;
        int r;

        r = folder_open(root, name, FOLDER_CONTAINER, &folder);
        if (r < 0)
                return r;
        return write_state(folder, s);
}

int state_stage(int root, const char *name, const Config *c) {
        _cleanup_close_ int folder = -EBADF;
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = config_format(c, &text, &size);
        if (r < 0)
                return r;
        if (mkdirat(root, folder_name(name, FOLDER_NEW).text, 0700) < 0 && errno != EEXIST)
                return -errno;
        r = folder_open(root, name, FOLDER_NEW, &folder);
        if (r < 0)
                return r;
        r = write_file(folder, "config", text, size);
        if (r >= 0 && fsync(root) < 0)
                r = -errno;
        if (r < 0)
                (void) state_remove(root, name, FOLDER_NEW);
        return r;
}

static int rename_durably(int root, const char *from, const char *to) {
        if (renameat(root, from, root, to) < 0)
                return -errno;
        return fsync(root) < 0 ? -errno : 0;
}

int state_commit(int root, const char *name, const State *s) {
        _cleanup_close_ int folder = -EBADF;
        int r;

        r = folder_open(root, name, FOLDER_NEW, &folder);
        if (r < 0)
                return r;
        r = write_state(folder, s);
        if (r < 0)
                return r;
        return rename_durably(root, folder_name(name, FOLDER_NEW).text, name);
}

int state_make(int root, const char *name, const Config *c, const State *s) {
        int r;

        r = state_stage(root, name, c);
        if (r < 0)
                return r;
        return state_commit(root, name, s);
}

int state_rename(int root, const char *from, const char *to) {
        return rename_durably(root, from, to);
}

int state_remove(int root, const char *name, FolderKind kind) {
        _cleanup_(closedirp) DIR *d = NULL;
        _cleanup_close_ int folder = -EBADF;
        FolderName old = folder_name(name, FOLDER_OLD);
        int r;

        if (kind != FOLDER_OLD) {
                r = rename_durably(root, folder_name(name, kind).text, old.text);
                if (r == -ENOTEMPTY || r == -EEXIST) { /* an older leftover of the same name */
                        r = state_remove(root, name, FOLDER_OLD);
                        if (r >= 0)
                                r = rename_durably(root, folder_name(name, kind).text, old.text);
                }
                if (r < 0)
                        return r;
        }
        r = folder_open(root, name, FOLDER_OLD, &folder);
        if (r < 0)
                return r;
        r = dir_open(folder, &d);
        if (r < 0)
                return r;
        for (struct dirent *e; (e = readdir(d));)
                if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
                        (void) unlinkat(folder, e->d_name, 0);
        return unlinkat(root, old.text, AT_REMOVEDIR) < 0 ? -errno : 0;
}
