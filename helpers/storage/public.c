/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See public.h. */

#include "public.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

int public_withdraw(Store *s, uint32_t slot) {
        char name[SLOT_NAME_SIZE];

        slot_name(slot, name);
        if (unlinkat(s->public_slots, name, 0) < 0)
                return errno == ENOENT ? 0 : store_fail(s, STORE_KERNEL, "withdraw the public record", -errno);
        /* Durable before the change: else a crash could leave a record that is no longer true. */
        if (fsync(s->public_slots) < 0)
                return store_fail(s, STORE_KERNEL, "withdraw the public record", -errno);

        return 0;
}

int public_prepare(Store *s, const Record *record) {
        char text[RECORD_SIZE_MAX];
        int r;

        r = write_new(s->public_slots, PUBLIC_NEW, 0644, text, record_format_public(record, text));

        return r < 0 ? store_fail(s, STORE_KERNEL, "write the public record", r) : 0;
}

int public_publish(Store *s, uint32_t slot) {
        char name[SLOT_NAME_SIZE];

        /* Not synced: that it is missing after a crash is no harm, and CollectTrash sees it. */
        slot_name(slot, name);
        if (renameat(s->public_slots, PUBLIC_NEW, s->public_slots, name) < 0)
                return store_fail(s, STORE_KERNEL, "publish the record", -errno);

        return 0;
}

void public_restore(Store *s, uint32_t slot, const Record *record) {
        (void) unlinkat(s->public_slots, PUBLIC_NEW, 0);
        if (public_prepare(s, record) >= 0)
                (void) public_publish(s, slot);
}

bool public_exists(Store *s, uint32_t slot) {
        char name[SLOT_NAME_SIZE];
        struct stat st;

        slot_name(slot, name);

        return fstatat(s->public_slots, name, &st, AT_SYMLINK_NOFOLLOW) >= 0;
}
