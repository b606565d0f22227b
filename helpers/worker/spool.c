/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The spool of a worker. Runs confined; what it reads back it has written itself. */

#include "spool.h"
#include "util.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define NAME "spool"

typedef struct Record {
        int64_t seconds;
        int32_t nanoseconds;
        uint32_t path_size; /* with its NUL */
        uint32_t acl_size;
        uint32_t unused;
} Record;

_Static_assert(sizeof(Record) + PATH_LENGTH_MAX + SPOOL_VALUE_MAX <= SPOOL_BUFFER, "a record fits into the buffer");

int spool_open(Spool *s, Job *j, int folder) {
        s->fd = openat(folder, NAME, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (s->fd < 0)
                return job_failed(j, "spool", -errno);
        if (unlinkat(folder, NAME, 0) < 0)
                return job_failed(j, "spool", -errno);

        return 0;
}

void spool_done(Spool *s) {
        s->fd = close_fd(s->fd);
}

static int write_all(int fd, const char *data, size_t size, uint64_t offset) {
        ssize_t n;

        for (size_t done = 0; done < size; done += (size_t) n) {
                n = pwrite(fd, data + done, size - done, (off_t) (offset + done));
                if (n < 0 && errno == EINTR)
                        n = 0;
                if (n < 0)
                        return -errno;
        }
        return 0;
}

static int flush(Spool *s, Job *j) {
        int r;

        r = job_charge_written(j, s->n);
        if (r < 0)
                return r;
        r = write_all(s->fd, s->buffer, s->n, s->size);
        if (r < 0)
                return job_failed(j, "spool", r);

        s->size += s->n;
        s->n = 0;
        return 0;
}

int spool_add(Spool *s, Job *j, const char *path, struct timespec time, const void *acl, size_t acl_size) {
        Record record = {
                .seconds = time.tv_sec,
                .nanoseconds = (int32_t) time.tv_nsec,
                .path_size = (uint32_t) strlen(path) + 1,
                .acl_size = (uint32_t) acl_size,
        };
        int r;

        if (s->n + sizeof(record) + record.path_size + acl_size > sizeof(s->buffer)) {
                r = flush(s, j);
                if (r < 0)
                        return r;
        }

        memcpy(s->buffer + s->n, &record, sizeof(record));
        s->n += sizeof(record);
        memcpy(s->buffer + s->n, path, record.path_size);
        s->n += record.path_size;
        if (acl_size > 0)
                memcpy(s->buffer + s->n, acl, acl_size);
        s->n += acl_size;
        return 0;
}

static int apply(const Record *record, const char *path, const void *acl, Job *j, const Tree *t) {
        struct timespec times[2] = {
                { .tv_nsec = UTIME_OMIT },
                { .tv_sec = record->seconds, .tv_nsec = record->nanoseconds },
        };
        _cleanup_close_ int folder = -EBADF;

        folder = tree_open_folder(t, path);
        if (folder == -ENOENT || folder == -ENOTDIR || folder == -ELOOP)
                return 0; /* a later entry has taken its place */
        if (folder < 0)
                return job_failed(j, "open folder", folder);
        if (record->acl_size > 0 && fsetxattr(folder, "system.posix_acl_default", acl, record->acl_size, 0) < 0)
                return job_bad_archive(j, "default ACL", -errno);
        if (futimens(folder, times) < 0)
                return job_failed(j, "time", -errno);

        return 0;
}

/* Applies the records that are whole in the buffer; returns how many bytes they were. */
static int apply_buffer(const Spool *s, Job *j, const Tree *t, size_t *ret) {
        size_t at = 0;
        Record record;
        int r;

        while (s->n - at >= sizeof(record)) {
                memcpy(&record, s->buffer + at, sizeof(record));
                if (s->n - at < sizeof(record) + record.path_size + record.acl_size)
                        break;
                r = apply(&record, s->buffer + at + sizeof(record), s->buffer + at + sizeof(record) + record.path_size, j, t);
                if (r < 0)
                        return r;
                at += sizeof(record) + record.path_size + record.acl_size;
                r = job_progress(j);
                if (r < 0)
                        return r;
        }

        *ret = at;
        return 0;
}

int spool_apply(Spool *s, Job *j, const Tree *t) {
        uint64_t offset = 0;
        size_t used;
        ssize_t n;
        int r;

        r = flush(s, j);
        if (r < 0)
                return r;

        while (offset < s->size) {
                n = pread(s->fd, s->buffer, sizeof(s->buffer), (off_t) offset);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return job_failed(j, "spool", n < 0 ? -errno : -EIO);

                s->n = (size_t) n;
                r = apply_buffer(s, j, t, &used);
                if (r < 0)
                        return r;
                if (used == 0)
                        return job_failed(j, "spool", -EIO);
                offset += used;
        }
        return 0;
}
