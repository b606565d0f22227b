/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Slots out of root's delegation files, and the slot behind a user namespace. Runs in every helper and in the supervisor's
 * root stage; believes the two files as far as they agree, and of a descriptor only what the kernel says about it. */

#include "slot.h"
#include "mutation.h"
#include "text.h"
#include "util.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* IDs below are the system's and people's: a delegation that reaches into them is somebody's mistake. */
#define FIRST_MIN 65536U

typedef struct Delegation {
        uint64_t first, count;
} Delegation;

static int delegation_parse(Span line, Span *ret_name, Delegation *ret) {
        Span first, count;
        Delegation d;

        if (!span_cut(&line, ':', ret_name) || !span_cut(&line, ':', &first) || !span_cut(&line, ':', &count) ||
            line.n != 0)
                return -EUCLEAN;
        if (span_to_unsigned(first, UINT32_MAX - 1, &d.first) < 0 || span_to_unsigned(count, UINT32_MAX, &d.count) < 0)
                return -EUCLEAN;
        if (d.first + d.count > (uint64_t) UINT32_MAX)
                return -EUCLEAN;

        *ret = d;
        return 0;
}

static bool overlaps(const Delegation *a, const Delegation *b) {
        return a->first < b->first + b->count && b->first < a->first + a->count;
}

int slot_table_parse(const char *text, size_t size, SlotTable *ret) {
        Delegation berth = {}, other;
        Span rest, line, name;
        bool found = false;
        uint64_t slots;
        int r;

        rest = (Span) { text, size };
        while (span_cut(&rest, '\n', &line)) {
                name = (Span) {};
                r = delegation_parse(line, &name, &other);
                if (!span_is(name, "berth"))
                        continue; /* a line of another user that we cannot read is not ours to judge */
                if (r < 0 || found)
                        return -EUCLEAN;
                berth = other;
                found = true;
        }
        if (!found)
                return -ESRCH;
        if (berth.first < FIRST_MIN || berth.count < 2 * (uint64_t) RANGE_SIZE)
                return -EUCLEAN;

        /* An ID of ours that somebody else may map too would make their processes our supervisors. */
        rest = (Span) { text, size };
        while (span_cut(&rest, '\n', &line))
                if (delegation_parse(line, &name, &other) == 0 && !span_is(name, "berth") && overlaps(&berth, &other))
                        return -EUCLEAN;

        slots = berth.count / RANGE_SIZE - 1;
        *ret = (SlotTable) { (uid_t) berth.first, (uint32_t) MIN(slots, (uint64_t) SLOTS_MAX) };
        return 0;
}

static int slot_table_of_file(const char *path, SlotTable *ret) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = text_read(path, TEXT_FILE_MAX, &text, &size);
        if (r < 0)
                return r;

        return slot_table_parse(text, size, ret);
}

int slot_table_load(SlotTable *ret) {
        SlotTable users, groups;
        int r;

        r = slot_table_of_file("/etc/subuid", &users);
        if (r < 0)
                return r;
        r = slot_table_of_file("/etc/subgid", &groups);
        if (r < 0)
                return r;
        if (users.first != groups.first || users.slots != groups.slots)
                return -EUCLEAN;

        *ret = users;
        return 0;
}

int slot_by_number(const SlotTable *t, uint64_t number, Slot *ret) {
        if (!MUTATION(slot_number) && number >= t->slots)
                return -ERANGE;

        *ret = (Slot) {
                .number = (uint32_t) number,
                .supervisor = t->first + (uint32_t) number,
                .base = t->first + RANGE_SIZE + (uint32_t) number * RANGE_SIZE,
        };
        return 0;
}

int slot_by_supervisor(const SlotTable *t, uid_t uid, Slot *ret) {
        if (uid < t->first)
                return -ERANGE;

        return slot_by_number(t, uid - t->first, ret);
}

int own_userns_get(OwnUserns *ret) {
        struct stat st;

        if (stat("/proc/self/ns/user", &st) < 0)
                return -errno;

        *ret = (OwnUserns) { st.st_dev, st.st_ino };
        return 0;
}

int slot_of_userns(const SlotTable *t, const OwnUserns *own, int userns, Slot *ret) {
        _cleanup_close_ int parent = -EBADF;
        struct stat st;
        uid_t owner;
        int type;

        type = ioctl(userns, NS_GET_NSTYPE);
        if (type < 0)
                return errno == ENOTTY ? -EINVAL : -errno;
        if (!MUTATION(userns_type) && type != CLONE_NEWUSER)
                return -EINVAL;
        if (fstat(userns, &st) < 0)
                return -errno;
        if (st.st_dev == own->device && st.st_ino == own->inode)
                return -EXDEV;

        parent = ioctl(userns, NS_GET_PARENT);
        if (parent < 0)
                return -errno; /* EPERM: it is not below ours */
        if (fcntl(parent, F_SETFD, FD_CLOEXEC) < 0 || fstat(parent, &st) < 0)
                return -errno;
        if (!MUTATION(userns_parent) && (st.st_dev != own->device || st.st_ino != own->inode))
                return -EXDEV;

        if (ioctl(userns, NS_GET_OWNER_UID, &owner) < 0)
                return -errno;
        return slot_by_supervisor(t, owner, ret);
}

int slot_lock_shared(int slots, uint32_t number, int *ret) {
        struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
        _cleanup_close_ int fd = -EBADF;
        char name[16];

        (void) snprintf(name, sizeof(name), "%" PRIu32, number);
        fd = openat(slots, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
        if (fd < 0) {
                if (errno != ENOENT)
                        return -errno;
                *ret = -EBADF;
                return 0;
        }
        if (fcntl(fd, F_SETLK, &lock) < 0)
                return errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;

        *ret = TAKE_FD(fd);
        return 0;
}
