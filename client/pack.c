/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A folder as a tar stream, as the caller can read it: with owners, modes, times, hard links, sparse files, extended attributes
 * and ACLs. It is opened for reading alone. (RESTORE_ATIME of libarchive is left off: with it files of others than the
 * caller cannot be opened.)
 *
 * A stream that breaks off must not look like a small root file system: whoever packs and fails keeps the pipe open and
 * says why on another one, so that the job is cancelled before it sees an end. */

#include "client.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

typedef struct Packer {
        struct archive *disk, *tar;
        struct archive_entry_linkresolver *links;
        const char *root;
        char **ret_error;
} Packer;

static void packer_done(Packer *p) {
        archive_entry_linkresolver_free(p->links);
        (void) archive_read_free(p->disk);
        (void) archive_write_free(p->tar);
}

static int packer_fail(Packer *p, struct archive *a, const char *what) {
        if (asprintf(p->ret_error, "%s: %s", what, archive_error_string(a) ?: "cannot be packed") < 0)
                *p->ret_error = NULL;

        return -EIO;
}

static int copy_content(Packer *p, const char *name) {
        static const char zeros[65536];
        const void *block;
        int64_t offset, at = 0;
        size_t size;
        int r;

        while ((r = archive_read_data_block(p->disk, &block, &size, &offset)) == ARCHIVE_OK) {
                /* Holes come as offsets; where the header has said that they are holes, only what is between them is
                 * asked for. */
                while (at < offset) {
                        la_ssize_t n = archive_write_data(p->tar, zeros, (size_t) MIN(offset - at, (int64_t) sizeof(zeros)));

                        if (n <= 0)
                                return packer_fail(p, p->tar, name);
                        at += n;
                }
                if (size > 0 && archive_write_data(p->tar, block, size) < 0)
                        return packer_fail(p, p->tar, name);
                at += (int64_t) size;
        }

        return r == ARCHIVE_EOF ? 0 : packer_fail(p, p->disk, name);
}

static int write_entry(Packer *p, struct archive_entry *entry) {
        const char *name = archive_entry_pathname(entry);

        /* Only a warning (a name that is no UTF-8, a time out of range) is no reason to stop. */
        if (archive_write_header(p->tar, entry) < ARCHIVE_WARN)
                return packer_fail(p, p->tar, name);
        if (archive_entry_filetype(entry) == AE_IFREG && archive_entry_size(entry) > 0)
                return copy_content(p, name);

        return 0;
}

/* "/srv/root/etc/passwd" becomes "./etc/passwd". */
static int shorten(Packer *p, struct archive_entry *entry) {
        const char *full = archive_entry_pathname(entry);
        _cleanup_free_ char *relative = NULL;
        size_t n = strlen(p->root);

        if (!full || strncmp(full, p->root, n) != 0)
                return -EINVAL;
        if (asprintf(&relative, ".%s", full + n) < 0)
                return -ENOMEM;
        archive_entry_set_pathname(entry, relative);

        return 0;
}

static int pack_next(Packer *p, struct archive_entry *entry) {
        struct archive_entry *rest = NULL;
        int r;

        r = archive_read_next_header2(p->disk, entry);
        if (r == ARCHIVE_EOF)
                return 0;
        if (r < ARCHIVE_OK)
                return packer_fail(p, p->disk, archive_entry_pathname(entry) ?: p->root);
        r = archive_read_disk_descend(p->disk);
        if (r < ARCHIVE_WARN)
                return packer_fail(p, p->disk, archive_entry_pathname(entry));
        if (archive_entry_filetype(entry) == AE_IFSOCK)
                return 1; /* tar has none, and none is of use */
        r = shorten(p, entry);
        if (r < 0)
                return r;
        archive_entry_linkify(p->links, &entry, &rest);
        r = entry ? write_entry(p, entry) : 0;

        return r < 0 ? r : 1;
}

int pack_folder(const char *path, int fd, char **ret_error) {
        Packer p = { archive_read_disk_new(), archive_write_new(), archive_entry_linkresolver_new(), NULL, ret_error };
        struct archive_entry *entry = archive_entry_new();
        _cleanup_free_ char *root = realpath(path, NULL);
        int r;

        *ret_error = NULL;
        if (!root || !p.disk || !p.tar || !p.links || !entry) {
                r = root ? -ENOMEM : -errno;
                goto finish;
        }
        p.root = streq(root, "/") ? "" : root;
        (void) archive_read_disk_set_symlink_physical(p.disk);
        /* One file system: /proc of a running system and the like are none of its root. */
        (void) archive_read_disk_set_behavior(p.disk, ARCHIVE_READDISK_NO_TRAVERSE_MOUNTS);
        (void) archive_read_disk_set_standard_lookup(p.disk);
        if (archive_write_set_format_pax(p.tar) < ARCHIVE_OK || archive_write_add_filter_none(p.tar) < ARCHIVE_OK ||
            archive_write_open_fd(p.tar, fd) < ARCHIVE_OK) {
                r = packer_fail(&p, p.tar, path);
                goto finish;
        }
        archive_entry_linkresolver_set_strategy(p.links, archive_format(p.tar));
        if (archive_read_disk_open(p.disk, root) < ARCHIVE_OK) {
                r = packer_fail(&p, p.disk, path);
                goto finish;
        }
        do {
                archive_entry_clear(entry);
                r = pack_next(&p, entry);
        } while (r > 0);
        if (r >= 0 && archive_write_close(p.tar) < ARCHIVE_OK)
                r = packer_fail(&p, p.tar, path);
finish:
        archive_entry_free(entry);
        packer_done(&p);
        return r;
}

_noreturn_ static void run_packer(const char *path, int out, int failure) {
        _cleanup_free_ char *error = NULL;
        int r;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) signal(SIGPIPE, SIG_IGN);
        (void) signal(SIGINT, SIG_IGN); /* the client cancels the job */
        r = pack_folder(path, out, &error);
        if (r >= 0)
                _exit(EXIT_SUCCESS);
        if (!error && asprintf(&error, "%s: %s", path, strerror(-r)) < 0)
                _exit(EXIT_FAILURE);
        (void) !write(failure, error, strlen(error));
        /* The stream stays open until the client has cancelled the job and ends us. */
        for (;;)
                (void) pause();
}

static int start_packer(const char *path, Archive *ret) {
        _cleanup_close_ int out = -EBADF, said = -EBADF;
        Archive a = ARCHIVE_NONE;
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        a.fd = fds[0];
        out = fds[1];
        if (pipe2(fds, O_CLOEXEC) < 0) {
                archive_done(&a);
                return -errno;
        }
        a.failure = fds[0];
        said = fds[1];
        a.child = fork();
        if (a.child == 0) {
                (void) close_fd(a.fd);
                (void) close_fd(a.failure);
                run_packer(path, out, said);
        }
        if (a.child < 0) {
                int r = -errno;

                a.child = 0;
                archive_done(&a);
                return r;
        }

        *ret = a;
        return 0;
}

int archive_open(Client *c, const char *path, Archive *ret) {
        Archive a = ARCHIVE_NONE;
        struct stat st;
        int r;

        if (streq(path, "-")) {
                a.fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
                if (a.fd >= 0 && isatty(a.fd)) {
                        archive_done(&a);
                        return fail(c, "Usage", "An archive is wanted on standard input, which is a terminal.");
                }
        } else
                a.fd = open(path, O_RDONLY | O_CLOEXEC);
        if (a.fd < 0)
                return failf(c, "Usage", "%s: %s.", path, strerror(errno));
        if (fstat(a.fd, &st) < 0 || !S_ISDIR(st.st_mode)) {
                *ret = a;
                return 0;
        }

        archive_done(&a);
        r = start_packer(path, ret);

        return r < 0 ? failf(c, "Failed", "%s: %s.", path, strerror(-r)) : 0;
}

void archive_done(Archive *a) {
        a->fd = close_fd(a->fd);
        a->failure = close_fd(a->failure);
        if (a->child > 0) {
                (void) kill(a->child, SIGKILL);
                (void) waitpid(a->child, NULL, 0);
        }
        a->child = 0;
}
