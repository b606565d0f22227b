/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Unpacks a root file system out of an archive that somebody made to harm us. Runs confined: as root of one container's
 * range, without anything of the host's in sight, without network, with the calls of unpack.seccomp. Believes libarchive
 * no more than the archive: whatever the parser says is checked again here, and whatever an attacker makes of the parser
 * is in the same cage.
 *
 * All or nothing: the first thing that is not understood refuses the archive whole, and storage throws the layer away.
 * Left out, and counted, are only device nodes and sockets; not taken over are attributes that xattr_is_wanted() does not
 * know. No locale is set: libarchive then leaves names the bytes that they are. */

#include "unpack.h"
#include "attributes.h"
#include "mutation.h"
#include "spool.h"
#include "tree.h"
#include "util.h"

#include <archive.h>
#include <fcntl.h>
#include <iconv.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

#define READ_SIZE (64U * 1024)
#define DRAIN_MAX (1U << 20)
#define BLOCK 4096

typedef struct Unpack {
        Job *job;
        struct archive *archive;
        int read_error; /* of the descriptor, not of what came out of it */
        Tree tree;
        Spool spool;
        char buffer[READ_SIZE];
} Unpack;

static ssize_t read_some(Unpack *u) {
        struct pollfd p = { .fd = WORKER_ARCHIVE_FD, .events = POLLIN };
        ssize_t n;

        for (;;) {
                n = read(WORKER_ARCHIVE_FD, u->buffer, sizeof(u->buffer));
                if (n >= 0)
                        return n;
                if (errno == EAGAIN)
                        (void) poll(&p, 1, -1);
                else if (errno != EINTR)
                        return -errno;
        }
}

/* Decompressing costs time even where nothing of it is kept. */
static int check_length(Unpack *u) {
        uint64_t length = (uint64_t) archive_filter_bytes(u->archive, 0);

        if (!MUTATION(limit_length) && length > u->job->limits.apparent)
                return job_bad_archive(u->job, "limit: length of the archive", -EFBIG);
        return 0;
}

static la_ssize_t archive_read(struct archive *archive, void *userdata, const void **ret) {
        Unpack *u = userdata;
        ssize_t n;

        /* Skipping, the reader may go through all of it before it comes back to us. */
        if (check_length(u) < 0 || job_progress(u->job) < 0) {
                archive_set_error(archive, EFBIG, "limit");
                return ARCHIVE_FATAL;
        }
        n = read_some(u);
        if (n < 0) {
                u->read_error = (int) n;
                archive_set_error(archive, (int) -n, "read");
                return ARCHIVE_FATAL;
        }
        *ret = u->buffer;
        return n;
}

/* libarchive's complaint as ours. */
static int damaged(Unpack *u) {
        if (u->read_error < 0)
                return job_failed(u->job, "read archive", u->read_error);
        if (archive_errno(u->archive) == ENOMEM)
                return job_bad_archive(u->job, "limit: memory", -ENOMEM);
        return job_bad_archive(u->job, "damaged or no tar archive", -EBADMSG);
}

static int archive_open(Unpack *u) {
        struct archive *a;

        a = u->archive = archive_read_new();
        if (!a)
                return job_failed(u->job, "memory", -ENOMEM);

        /* ARCHIVE_WARN would mean that libarchive executes a program for it. */
        if (archive_read_support_format_tar(a) != ARCHIVE_OK || archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
            archive_read_support_filter_bzip2(a) != ARCHIVE_OK || archive_read_support_filter_xz(a) != ARCHIVE_OK ||
            archive_read_support_filter_zstd(a) != ARCHIVE_OK)
                return job_failed(u->job, "libarchive", -EOPNOTSUPP);
        if (archive_read_open(a, u, NULL, archive_read, NULL) != ARCHIVE_OK)
                return damaged(u);

        return 0;
}

/* A name that is no UTF-8 in an archive that says it is, is only remarked upon, and kept. */
static bool is_about_charset(struct archive *a) {
        const char *text = archive_error_string(a);

        return text && strstr(text, "can't be converted from");
}

/* 1: an entry; 0: the end, which was there. */
static int next_entry(Unpack *u, struct archive_entry **ret) {
        int r;

        r = archive_read_next_header(u->archive, ret);
        if (r == ARCHIVE_EOF) {
                /* The reader takes the end of the file for the end of the archive. */
                if (!MUTATION(archive_end) &&
                    archive_filter_bytes(u->archive, 0) <= archive_read_header_position(u->archive))
                        return job_bad_archive(u->job, "truncated", -EBADMSG);
                return 0;
        }
        if (r != ARCHIVE_OK && (r != ARCHIVE_WARN || !is_about_charset(u->archive)))
                return damaged(u);

        return 1;
}

static int write_block(int fd, const char *data, size_t size, off_t offset) {
        ssize_t n;

        for (size_t done = 0; done < size; done += (size_t) n) {
                n = pwrite(fd, data + done, size - done, offset + (off_t) done);
                if (n < 0 && errno == EINTR)
                        n = 0;
                if (n < 0)
                        return -errno;
        }
        return 0;
}

static int write_data(Unpack *u, int fd, int64_t size) {
        int64_t end = 0, page = 0, first, last, offset;
        const void *data;
        size_t n;
        int r;

        for (;;) {
                r = archive_read_data_block(u->archive, &data, &n, &offset);
                if (r == ARCHIVE_EOF)
                        break;
                if (r != ARCHIVE_OK)
                        return damaged(u);
                if (n == 0)
                        continue;
                if (!MUTATION(sparse_map) && (offset < end || offset > size || (int64_t) n > size - offset))
                        return job_bad_archive(u->job, "map of a sparse file", -EBADMSG);
                end = offset + (int64_t) n;

                first = MAX(offset / BLOCK, page);
                last = (end + BLOCK - 1) / BLOCK;
                page = last;
                r = job_charge_written(u->job, (uint64_t) MAX(last - first, 0) * BLOCK);
                if (r < 0)
                        return r;
                r = check_length(u);
                if (r < 0)
                        return r;
                r = write_block(fd, data, n, offset);
                if (r < 0)
                        return job_failed(u->job, "write", r);
        }

        /* What a hole at the end leaves open. */
        if (end < size && ftruncate(fd, size) < 0)
                return job_failed(u->job, "length of a file", -errno);
        return 0;
}

static int unpack_file(Unpack *u, struct archive_entry *entry, const Place *p, const Attributes *a) {
        _cleanup_close_ int fd = -EBADF;
        int64_t size = archive_entry_size(entry);
        int r;

        if (size < 0)
                return job_bad_archive(u->job, "length of a file", -EINVAL);
        r = job_charge_apparent(u->job, (uint64_t) size);
        if (r < 0)
                return r;
        r = tree_make_file(&u->tree, u->job, p, &fd);
        if (r < 0)
                return r;
        r = write_data(u, fd, size);
        if (r < 0)
                return r;
        r = attributes_apply(u->job, a, entry, fd);
        if (r < 0)
                return r;

        return attributes_apply_time(u->job, a, fd);
}

static int unpack_folder(Unpack *u, struct archive_entry *entry, const Place *p, const Attributes *a) {
        _cleanup_close_ int fd = -EBADF;
        char acl[SPOOL_VALUE_MAX];
        size_t size;
        int r;

        r = tree_make_folder(&u->tree, u->job, p, &fd);
        if (r < 0)
                return r;
        r = attributes_apply(u->job, a, entry, fd);
        if (r < 0)
                return r;
        r = acl_read(u->job, entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, acl, sizeof(acl), &size);
        if (r < 0)
                return r;

        return spool_add(&u->spool, u->job, p->path, a->time, acl, size);
}

static int unpack_symlink(Unpack *u, struct archive_entry *entry, const Place *p, const Attributes *a) {
        int parent, r;

        r = tree_make_symlink(&u->tree, u->job, p, archive_entry_symlink(entry), &parent);
        if (r < 0)
                return r;

        return attributes_apply_at(u->job, a, parent, p->name, /* link= */ true);
}

static int unpack_fifo(Unpack *u, const Place *p, const Attributes *a) {
        int parent, r;

        r = tree_make_fifo(&u->tree, u->job, p, &parent);
        if (r < 0)
                return r;

        return attributes_apply_at(u->job, a, parent, p->name, /* link= */ false);
}

static int place_read(Unpack *u, const char *raw, Place *ret) {
        int r;

        r = place_parse(raw, &u->job->limits, ret);
        switch (r) {
        case 0:
                return 0;
        case -EXDEV:
                return job_bad_archive(u->job, "path with ..", r);
        case -ELOOP:
                return job_bad_archive(u->job, "limit: depth", r);
        case -ENAMETOOLONG:
                return job_bad_archive(u->job, "limit: path", r);
        default:
                return job_bad_archive(u->job, "path", r);
        }
}

static int unpack_entry(Unpack *u, struct archive_entry *entry) {
        const char *link = archive_entry_hardlink(entry);
        Place place, target;
        Attributes a;
        int r;

        r = place_read(u, archive_entry_pathname(entry), &place);
        if (r < 0)
                return r;
        if (link) {
                r = place_read(u, link, &target);
                if (r < 0)
                        return r;
                return tree_make_link(&u->tree, u->job, &place, &target);
        }
        r = attributes_read(u->job, entry, &a);
        if (r < 0)
                return r;

        switch (archive_entry_filetype(entry)) {
        case AE_IFREG:
                return unpack_file(u, entry, &place, &a);
        case AE_IFDIR:
                return unpack_folder(u, entry, &place, &a);
        case AE_IFLNK:
                return unpack_symlink(u, entry, &place, &a);
        case AE_IFIFO:
                return unpack_fifo(u, &place, &a);
        case AE_IFCHR:
        case AE_IFBLK:
        case AE_IFSOCK:
                u->job->skipped++;
                return 0;
        default:
                return job_bad_archive(u->job, "entry of an unknown kind", -EINVAL);
        }
}

/* Whoever writes into a pipe is not to be ended by its closing while it writes the archive's padding. */
static void drain(Unpack *u) {
        size_t left = DRAIN_MAX;
        ssize_t n;

        do {
                n = read_some(u);
                left -= MIN(left, n > 0 ? (size_t) n : left);
        } while (n > 0 && left > 0);
}

static int unpack_archive(Unpack *u) {
        struct archive_entry *entry;
        int r;

        r = archive_open(u);
        if (r < 0)
                return r;

        while ((r = next_entry(u, &entry)) > 0) {
                r = job_charge_entry(u->job);
                if (r < 0)
                        return r;
                r = check_length(u);
                if (r < 0)
                        return r;
                r = unpack_entry(u, entry);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;

        drain(u);
        return 0;
}

static int tree_create(Unpack *u, int folder) {
        if (mkdirat(folder, "tree", 0755) < 0)
                return job_failed(u->job, "make tree", -errno);
        u->tree.root = openat(folder, "tree", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (u->tree.root < 0)
                return job_failed(u->job, "open tree", -errno);

        return spool_open(&u->spool, u->job, folder);
}

/* The conversion that libarchive asks for; the C library then reads its tables' index, once in a process. */
void unpack_prepare(void) {
        iconv_t conversion = iconv_open("ANSI_X3.4-1968", "UTF-8");

        if (conversion != (iconv_t) -1)
                (void) iconv_close(conversion);
}

int unpack(Job *j) {
        static Unpack u = { .tree = { -EBADF, -EBADF, "" }, .spool = { .fd = -EBADF } };
        _cleanup_close_ int folder = -EBADF;
        int r;

        u.job = j;
        folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0)
                return job_failed(j, "open folder", -errno);

        r = tree_create(&u, folder);
        if (r >= 0)
                r = unpack_archive(&u);
        if (r >= 0)
                r = spool_apply(&u.spool, j, &u.tree);
        if (r >= 0 && syncfs(folder) < 0)
                r = job_failed(j, "write to disk", -errno);

        (void) archive_read_free(u.archive);
        spool_done(&u.spool);
        tree_done(&u.tree);
        return r;
}
