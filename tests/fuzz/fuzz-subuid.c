/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* subuid, passwd and group files: whatever table comes out, no slot's IDs leave 32 bits or meet another's. */

#include "slot.h"
#include "users.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        SlotTable t;
        Slot s;
        uid_t uid;
        gid_t gid;

        (void) passwd_parse((const char *) data, size, "berth", &uid, &gid);
        (void) group_parse((const char *) data, size, "berth", &gid);
        if (slot_table_parse((const char *) data, size, &t) < 0)
                return 0;
        if (t.slots < 1 || t.slots > SLOTS_MAX || t.first < 65536)
                abort();
        if (slot_by_number(&t, t.slots, &s) != -ERANGE || slot_by_number(&t, t.slots - 1, &s) != 0)
                abort();
        if ((uint64_t) s.base + RANGE_SIZE > UINT32_MAX || s.base < t.first + RANGE_SIZE || s.supervisor >= t.first + RANGE_SIZE)
                abort();
        return 0;
}
