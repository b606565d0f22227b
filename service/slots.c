/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* berthd's own book of free slots. What it says is a plan, not a proof: helpers check locks, cgroups and records by
 * themselves. Unprivileged; opens nothing but the lock files, for reading. */

#include "slots.h"
#include "util.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

bool slot_is_locked(int locks, uint32_t slot) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        _cleanup_close_ int fd = -EBADF;
        char name[16];

        (void) snprintf(name, sizeof(name), "%" PRIu32, slot);
        fd = openat(locks, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return false; /* never used, or not for us to see: the helpers look again */

        return fcntl(fd, F_GETLK, &lock) >= 0 && lock.l_type != F_UNLCK;
}

void slot_pool_init(SlotPool *p, uint32_t slots, uint32_t start, int locks) {
        assert(slots <= SLOTS_MAX);

        *p = (SlotPool) { .n = slots, .slots = slots, .locks = locks };
        for (uint32_t i = 0; i < slots; i++)
                p->queue[i] = (start % slots + i) % slots;
}

void slot_pool_reserve(SlotPool *p, uint32_t slot) {
        if (slot < p->slots)
                p->used[slot] = true; /* stays in the queue until it is met there */
}

static uint32_t pop(SlotPool *p) {
        uint32_t slot = p->queue[p->first];

        p->first = (p->first + 1) % p->slots;
        p->n--;
        return slot;
}

static void push(SlotPool *p, uint32_t slot) {
        p->queue[(p->first + p->n) % p->slots] = slot;
        p->n++;
}

int slot_pool_take(SlotPool *p, uint32_t *ret) {
        for (uint32_t left = p->n; left > 0; left--) {
                uint32_t slot = pop(p);

                if (p->used[slot])
                        continue; /* reserved since */
                if (slot_is_locked(p->locks, slot)) {
                        push(p, slot);
                        continue;
                }
                p->used[slot] = true;
                *ret = slot;
                return 0;
        }

        return -ENOSPC;
}

void slot_pool_give(SlotPool *p, uint32_t slot) {
        bool queued = false;

        if (slot >= p->slots || !p->used[slot])
                return;
        p->used[slot] = false;
        for (uint32_t i = 0; i < p->n && !queued; i++)
                queued = p->queue[(p->first + i) % p->slots] == slot;
        if (!queued)
                push(p, slot);
}
