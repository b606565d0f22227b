/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Which slots are free. A queue: taken at the front, given back at the end, so that a slot rests as long as possible
 * before somebody else gets its IDs. It begins at a random slot, so that a restart does not undo that. */

#include "slot.h"

typedef struct SlotPool {
        uint32_t queue[SLOTS_MAX];
        uint32_t first, n;
        bool used[SLOTS_MAX];
        uint32_t slots;
        int locks; /* /run/berth/slots, or -EBADF */
} SlotPool;

/* All slots are free. start: where to begin. */
void slot_pool_init(SlotPool *p, uint32_t slots, uint32_t start, int locks);
/* Found occupied. */
void slot_pool_reserve(SlotPool *p, uint32_t slot);
/* -ENOSPC. Passes over slots whose lock somebody holds: a supervisor that should not be there. */
int slot_pool_take(SlotPool *p, uint32_t *ret);
void slot_pool_give(SlotPool *p, uint32_t slot);

/* Does somebody hold that slot's lock? Only a look: berthd takes none. */
bool slot_is_locked(int locks, uint32_t slot);
