/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Snapshots of a stopped container: links to chains.
 *
 * Take: first the chain gets a new writable layer on top (nothing that the container holds changes by that), then the link
 * to what is below it appears. In between, the container merely has one layer more. The other way round the snapshot
 * would for a moment name a layer that is still written into.
 * Restore: a new layer, then the chain. Remove: the link. */

#include "operations.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "mutation.h"
#include "slots.h"

static int count_entry(void *userdata, int folder, const char *name) {
        ++*(size_t *) userdata;
        return 0;
}

int snapshot_open(Store *s, int folder, const char *name, uint64_t *ret_created, Chain *ret) {
        char text[CHAIN_TEXT_SIZE];
        int r;

        if (!MUTATION(storage_name) && !name_is_valid(name))
                return store_fail(s, STORE_BAD_NAME, "snapshot", -EINVAL);
        r = read_link(folder, name, text, sizeof(text));
        if (r == -ENOENT)
                return store_fail(s, STORE_NO_SUCH_SNAPSHOT, "snapshot", r);
        if (r >= 0)
                r = snapshot_parse(text, ret_created, ret);
        if (r < 0)
                return store_fail(s, STORE_BAD_RECORD, "snapshot", r);

        return 0;
}

static int open_snapshots(Store *s, const Holding *h) {
        int fd;

        fd = open_folder(h->fd, "snapshots");

        return fd < 0 ? store_fail(s, STORE_BAD_RECORD, "open the snapshots", fd) : fd;
}

/* A name that can be added. */
static int check_new_snapshot(Store *s, int folder, const char *name) {
        struct stat st;
        size_t n = 0;
        int r;

        if (!MUTATION(storage_name) && !name_is_valid(name))
                return store_fail(s, STORE_BAD_NAME, "snapshot", -EINVAL);
        if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) >= 0)
                return store_fail(s, STORE_ALREADY_EXISTS, "snapshot", -EEXIST);
        if (errno != ENOENT)
                return store_fail(s, STORE_KERNEL, "snapshot", -errno);
        r = each_entry(folder, ".", count_entry, &n);
        if (r < 0)
                return store_fail(s, STORE_KERNEL, "count the snapshots", r);
        if (!MUTATION(storage_snapshots_limit) && n >= SNAPSHOTS_MAX)
                return store_fail(s, STORE_LIMIT_REACHED, "snapshots", -EMLINK);

        return 0;
}

static int link_snapshot(int folder, const char *name, uint64_t created, const Chain *chain) {
        char text[CHAIN_TEXT_SIZE];
        int r;

        snapshot_format(created, chain, text);
        if (symlinkat(text, folder, name) < 0)
                return -errno;
        r = sync_fd(folder);
        if (r < 0)
                (void) unlinkat(folder, name, 0);

        return r;
}

int take_snapshot(Store *s, const SlotTable *t, uint64_t slot, const char *name, uint64_t *ret_created) {
        _cleanup_holding_ Holding h = HOLDING_NONE;
        _cleanup_close_ int folder = -EBADF;
        Chain before, chain;
        struct timespec now;
        uint64_t created;
        uint32_t n;
        int r;

        r = store_claim(s, t, slot, &n);
        if (r < 0)
                return r;
        r = slot_open_container(s, n, &h);
        if (r < 0)
                return r;
        folder = open_snapshots(s, &h);
        if (folder < 0)
                return folder;
        r = check_new_snapshot(s, folder, name);
        if (r < 0)
                return r;
        if (clock_gettime(CLOCK_REALTIME, &now) < 0)
                return store_fail(s, STORE_KERNEL, "tell the time", -errno);
        created = (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;

        before = h.chain;
        r = chain_seal(s, &h, &chain);
        if (r < 0)
                return r;
        r = link_snapshot(folder, name, created, &chain);
        if (r < 0) {
                (void) store_fail(s, STORE_KERNEL, "make the snapshot", r);
                chain_unseal(s, &h, &before);
                return r;
        }

        *ret_created = created;
        return 0;
}

int restore_snapshot(Store *s, const SlotTable *t, uint64_t slot, const char *name) {
        _cleanup_holding_ Holding h = HOLDING_NONE;
        _cleanup_layer_ NewLayer layer = {};
        _cleanup_close_ int folder = -EBADF;
        Chain chain, restored;
        uint64_t created;
        uint32_t n;
        int r;

        r = store_claim(s, t, slot, &n);
        if (r < 0)
                return r;
        r = slot_open_container(s, n, &h);
        if (r < 0)
                return r;
        folder = open_snapshots(s, &h);
        if (folder < 0)
                return folder;
        r = snapshot_open(s, folder, name, &created, &chain);
        if (r < 0)
                return r;

        r = chain_grow(s, &chain, &layer, &restored);
        if (r < 0)
                return r;
        r = chain_replace(s, &h, &restored);
        /* Also after a failure that could not be undone the layer is in use. */
        if (h.chain.layers[0] == layer.id)
                new_layer_keep(&layer);

        return r;
}

int remove_snapshot(Store *s, const SlotTable *t, uint64_t slot, const char *name) {
        _cleanup_holding_ Holding h = HOLDING_NONE;
        _cleanup_close_ int folder = -EBADF;
        char text[CHAIN_TEXT_SIZE];
        uint32_t n;
        int r;

        r = store_claim(s, t, slot, &n);
        if (r < 0)
                return r;
        r = slot_open_container(s, n, &h);
        if (r < 0)
                return r;
        folder = open_snapshots(s, &h);
        if (folder < 0)
                return folder;
        if (!MUTATION(storage_name) && !name_is_valid(name))
                return store_fail(s, STORE_BAD_NAME, "snapshot", -EINVAL);
        /* What it says may be damaged: it goes all the same, and comes back as it was if that fails. */
        r = read_link(folder, name, text, sizeof(text));
        if (r < 0)
                return store_fail(s, r == -ENOENT ? STORE_NO_SUCH_SNAPSHOT : STORE_BAD_RECORD, "snapshot", r);
        if (unlinkat(folder, name, 0) < 0)
                return store_fail(s, STORE_KERNEL, "remove the snapshot", -errno);
        r = sync_fd(folder);
        if (r < 0) {
                (void) !symlinkat(text, folder, name);
                return store_fail(s, STORE_KERNEL, "remove the snapshot", r);
        }

        return 0;
}
