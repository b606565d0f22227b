/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Gives what was unpacked its owner, mode and attributes. Runs confined, with CHOWN, FOWNER, FSETID and SETFCAP over the
 * range's IDs alone: what is setuid here is so for the container. Overlay's own attributes and those that only the host's
 * root may set are left out. */

#include "attributes.h"
#include "mutation.h"
#include "spool.h"
#include "util.h"

#include <archive.h>
#include <endian.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define XATTR_VALUE_MAX 65536U /* XATTR_SIZE_MAX */

int attributes_read(Job *j, struct archive_entry *entry, Attributes *ret) {
        int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
        long nanoseconds = archive_entry_mtime_nsec(entry);

        if (!MUTATION(archive_ids) && (uid < 0 || uid >= IDS_END || gid < 0 || gid >= IDS_END))
                return job_bad_archive(j, "owner or group beyond 65535", -EOVERFLOW);

        *ret = (Attributes) {
                .uid = (uid_t) uid,
                .gid = (gid_t) gid,
                .mode = archive_entry_perm(entry) & 07777,
                .time = { archive_entry_mtime(entry), nanoseconds >= 0 && nanoseconds < 1000000000 ? nanoseconds : 0 },
        };
        return 0;
}

/* Places of the kinds within an ACL: the kernel wants them in this order. */
static int acl_rank(int tag, uint16_t *ret_tag) {
        static const struct {
                int tag;
                uint16_t kernel;
        } tags[] = {
                { ARCHIVE_ENTRY_ACL_USER_OBJ, ACL_USER_OBJ }, { ARCHIVE_ENTRY_ACL_USER, ACL_USER },
                { ARCHIVE_ENTRY_ACL_GROUP_OBJ, ACL_GROUP_OBJ }, { ARCHIVE_ENTRY_ACL_GROUP, ACL_GROUP },
                { ARCHIVE_ENTRY_ACL_MASK, ACL_MASK }, { ARCHIVE_ENTRY_ACL_OTHER, ACL_OTHER },
        };

        for (size_t i = 0; i < ELEMENTSOF(tags); i++)
                if (tags[i].tag == tag) {
                        *ret_tag = tags[i].kernel;
                        return (int) i;
                }
        return -EINVAL;
}

static int acl_entry_parse(int tag, int permissions, int id, struct posix_acl_xattr_entry *ret) {
        bool named = tag == ARCHIVE_ENTRY_ACL_USER || tag == ARCHIVE_ENTRY_ACL_GROUP;
        uint16_t kernel;
        int rank;

        rank = acl_rank(tag, &kernel);
        if (rank < 0)
                return rank;
        if (named && (id < 0 || id >= IDS_END))
                return -EOVERFLOW; /* a name without a number has -1: there is nobody here to ask */

        *ret = (struct posix_acl_xattr_entry) {
                .e_tag = htole16(kernel),
                .e_perm = htole16((uint16_t) (permissions & 7)),
                .e_id = htole32(named ? (uint32_t) id : (uint32_t) ACL_UNDEFINED_ID),
        };
        return rank;
}

int acl_read(Job *j, struct archive_entry *entry, int type, char *buffer, size_t max, size_t *ret_size) {
        struct posix_acl_xattr_header header = { htole32(POSIX_ACL_XATTR_VERSION) };
        size_t size = sizeof(header), n = (size_t) archive_entry_acl_reset(entry, type);
        struct posix_acl_xattr_entry e;
        int r, got, permissions, tag, id;
        const char *name;

        if (n == 0) {
                *ret_size = 0;
                return 0;
        }
        if (sizeof(header) + n * sizeof(e) > max)
                return job_bad_archive(j, "ACL with too many entries", -E2BIG);

        memcpy(buffer, &header, sizeof(header));
        for (int rank = 0; rank < 6; rank++) {
                (void) archive_entry_acl_reset(entry, type);
                while (archive_entry_acl_next(entry, type, &got, &permissions, &tag, &id, &name) == ARCHIVE_OK) {
                        r = acl_entry_parse(tag, permissions, id, &e);
                        if (r < 0)
                                return job_bad_archive(j, "ACL entry without a number of 0 to 65535", r);
                        if (r != rank)
                                continue;
                        if (size + sizeof(e) > max)
                                return job_bad_archive(j, "ACL with too many entries", -E2BIG);
                        memcpy(buffer + size, &e, sizeof(e));
                        size += sizeof(e);
                }
        }

        *ret_size = size;
        return 0;
}

static bool xattr_is_wanted(const char *name) {
        if (streq(name, "security.capability"))
                return true;
        if (!MUTATION(overlay_xattr) && strncmp(name, "user.overlay.", strlen("user.overlay.")) == 0)
                return false;

        return strncmp(name, "user.", strlen("user.")) == 0;
}

static int apply_xattrs(Job *j, struct archive_entry *entry, int fd) {
        const char *name;
        const void *value;
        size_t size;
        int r;

        (void) archive_entry_xattr_reset(entry);
        while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
                if (!name || !xattr_is_wanted(name))
                        continue;
                if (size > XATTR_VALUE_MAX)
                        return job_bad_archive(j, "extended attribute", -E2BIG);
                r = job_charge_written(j, size);
                if (r < 0)
                        return r;
                if (fsetxattr(fd, name, value, size, 0) < 0) {
                        if (errno == EINVAL || errno == ERANGE || errno == EPERM || errno == E2BIG)
                                return job_bad_archive(j, "extended attribute", -errno);
                        return job_failed(j, "extended attribute", -errno);
                }
        }
        return 0;
}

int attributes_apply(Job *j, const Attributes *a, struct archive_entry *entry, int fd) {
        char acl[SPOOL_VALUE_MAX];
        size_t size;
        int r;

        if (fchown(fd, a->uid, a->gid) < 0)
                return job_failed(j, "owner", -errno);
        if (fchmod(fd, a->mode) < 0)
                return job_failed(j, "mode", -errno);
        r = apply_xattrs(j, entry, fd);
        if (r < 0)
                return r;
        r = acl_read(j, entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, acl, sizeof(acl), &size);
        if (r < 0)
                return r;
        if (size > 0 && fsetxattr(fd, "system.posix_acl_access", acl, size, 0) < 0) {
                if (errno == EINVAL)
                        return job_bad_archive(j, "ACL", -errno);
                return job_failed(j, "ACL", -errno);
        }

        return 0;
}

int attributes_apply_time(Job *j, const Attributes *a, int fd) {
        struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, a->time };

        return futimens(fd, times) < 0 ? job_failed(j, "time", -errno) : 0;
}

int attributes_apply_at(Job *j, const Attributes *a, int folder, const char *name, bool link) {
        struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, a->time };

        if (fchownat(folder, name, a->uid, a->gid, AT_SYMLINK_NOFOLLOW) < 0)
                return job_failed(j, "owner", -errno);
        if (!link && fchmodat(folder, name, a->mode, 0) < 0)
                return job_failed(j, "mode", -errno);
        if (utimensat(folder, name, times, AT_SYMLINK_NOFOLLOW) < 0)
                return job_failed(j, "time", -errno);

        return 0;
}
