/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Slots: who is whose supervisor, and which IDs belong to it. All follows from berth's line in /etc/subuid and
 * /etc/subgid ("berth:FIRST:COUNT", the same in both): the first 65,536 IDs are supervisors' (slot N's is FIRST + N),
 * then come the slots' ranges of 65,536 each. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SLOTS_MAX 2048U
#define RANGE_SIZE 65536U
#define SLOT_INVALID UINT32_MAX

typedef struct SlotTable {
        uid_t first;
        uint32_t slots; /* how many the delegation has room for, at most SLOTS_MAX */
} SlotTable;

typedef struct Slot {
        uint32_t number;
        uid_t supervisor;
        uid_t base; /* host ID of the container's 0 */
} Slot;

/* Reads both files. -ESRCH: no line for berth; -EUCLEAN: damaged, not the same in both, overlapping another line, too
 * small for one slot. */
int slot_table_load(SlotTable *ret);
/* The same on the text of one file. */
int slot_table_parse(const char *text, size_t size, SlotTable *ret);

int slot_by_number(const SlotTable *t, uint64_t number, Slot *ret);  /* -ERANGE */
int slot_by_supervisor(const SlotTable *t, uid_t uid, Slot *ret);    /* -ERANGE */

/* Identity of our own user namespace, taken at start, before seccomp forbids to look. */
typedef struct OwnUserns {
        dev_t device;
        ino_t inode;
} OwnUserns;

int own_userns_get(OwnUserns *ret);

/* The slot whose supervisor owns this user namespace. Checks that it is a user namespace, not our own, child of our own,
 * and owned by a supervisor's ID: -EINVAL, -EXDEV, -EPERM, -ERANGE. Needs ioctl and fstat only. */
int slot_of_userns(const SlotTable *t, const OwnUserns *own, int userns, Slot *ret);

/* Is this /run/berth/slots/N lock held by somebody? slots: descriptor of that folder. Returns 0 and a descriptor with a
 * shared lock, which keeps a new supervisor away until it is closed (-EBADF and 0 if there is no such file: no
 * supervisor has ever run there, and the spawner, which makes the files, has not been started), or -EBUSY. */
int slot_lock_shared(int slots, uint32_t number, int *ret);
