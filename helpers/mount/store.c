/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Finds a slot's layers in the store. Runs with DAC_READ_SEARCH, so that it could read everything: hence beneath one
 * compiled-in folder, by names that it has made itself, through no link and no other mount. Believes what berth-storage
 * owns; not what is inside a layer's content, which a container's root has made. */

#include "store.h"
#include "mutation.h"
#include "text.h"
#include "users.h"
#include "util.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PATH_LENGTH_MAX 64U

static int open_beneath(int folder, const char *path, uint64_t flags) {
        struct open_how how = {
                .flags = O_PATH | O_CLOEXEC | O_NOFOLLOW | flags,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
        };
        long fd;

        if (MUTATION(mount_links))
                how.resolve = 0;
        do
                fd = syscall(SYS_openat2, folder, path, &how, sizeof(how));
        while (fd < 0 && errno == EINTR);
        return fd < 0 ? -errno : (int) fd;
}

int store_open(Store *ret) {
        uid_t owner = 0;
        int fd, r;

        *ret = (Store) { -EBADF, 0 };
        r = user_find("berth-storage", &owner, /* ret_gid= */ NULL);
        if (r < 0)
                return r;
        fd = open(STORE_PATH, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;

        *ret = (Store) { fd, owner };
        return 0;
}

/* Something that berth-storage has made itself. */
static int open_own(const Store *s, const char *path, mode_t type, int *ret) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        fd = open_beneath(s->root, path, type == S_IFDIR ? O_DIRECTORY : 0);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!MUTATION(mount_type) && (st.st_mode & S_IFMT) != type)
                return -EUCLEAN;
        if (!MUTATION(mount_owner) && st.st_uid != s->owner)
                return -EUCLEAN;

        *ret = TAKE_FD(fd);
        return 0;
}

int chain_parse(const char *text, size_t size, Chain *ret) {
        Span rest = { text, size }, id;
        Chain chain = {};

        while (span_cut(&rest, ':', &id)) {
                if (chain.n == CHAIN_MAX || id.n != LAYER_ID_LENGTH)
                        return -EUCLEAN;
                memcpy(chain.ids[chain.n], id.s, id.n);
                if (!MUTATION(chain_grammar) && !layer_id_is_valid(chain.ids[chain.n]))
                        return -EUCLEAN;
                for (size_t i = 0; i < chain.n; i++)
                        if (!MUTATION(chain_twice) && streq(chain.ids[i], chain.ids[chain.n]))
                                return -EUCLEAN;
                chain.n++;
        }
        if (chain.n == 0 || text[size - 1] == ':')
                return -EUCLEAN;

        *ret = chain;
        return 0;
}

int store_read_chain(const Store *s, uint32_t slot, Chain *ret) {
        char path[PATH_LENGTH_MAX], text[CHAIN_MAX * (LAYER_ID_LENGTH + 1) + 1];
        _cleanup_close_ int fd = -EBADF;
        ssize_t n;
        int r;

        (void) snprintf(path, sizeof(path), "slots/%" PRIu32 "/chain", slot);
        r = open_own(s, path, S_IFLNK, &fd);
        if (r < 0)
                return r;
        n = readlinkat(fd, "", text, sizeof(text));
        if (n < 0)
                return -errno;
        if ((size_t) n == sizeof(text))
                return -EUCLEAN; /* cut off */

        return chain_parse(text, (size_t) n, ret);
}

/* parent is berth-storage's; what is below may have got another owner from the container's root. */
static int open_content(const Store *s, const char *parent, const char *name, int *ret) {
        _cleanup_close_ int folder = -EBADF;
        int fd, r;

        r = open_own(s, parent, S_IFDIR, &folder);
        if (r < 0)
                return r;
        fd = open_beneath(folder, name, O_DIRECTORY);
        if (fd < 0)
                return fd;

        *ret = fd;
        return 0;
}

int store_open_writable(const Store *s, const char *id, int *ret) {
        char path[PATH_LENGTH_MAX];

        (void) snprintf(path, sizeof(path), "layers/%s", id);
        return open_content(s, path, "content", ret);
}

int store_open_layer(const Store *s, const char *id, int *ret) {
        char path[PATH_LENGTH_MAX];

        (void) snprintf(path, sizeof(path), "layers/%s", id);
        return open_content(s, path, "content/tree", ret);
}

int store_open_trash(const Store *s, uint32_t slot, int *ret) {
        char path[PATH_LENGTH_MAX];

        (void) snprintf(path, sizeof(path), "trash/%" PRIu32, slot);
        return open_content(s, path, "content", ret);
}
