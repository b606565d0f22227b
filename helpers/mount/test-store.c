/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Test support: stores for test-mount. Runs as root; no part of any program that is installed. */

#include "test-store.h"

#include <fcntl.h>
#include <ftw.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#define PATH_SIZE 512

static char scratch[PATH_SIZE]; /* the folder that is the store, if it is no tmpfs */

void store_world(void) {
        char line[256];

        (void) snprintf(line, sizeof(line), "root:x:0:0::/:/bin/sh\nberth:x:%u:%u::/:/bin/false\nberth-storage:x:%u:%u::/:/bin/false\n",
                        TEST_BERTH, TEST_BERTH, STORE_OWNER, STORE_OWNER);
        test_write_file("/etc/passwd", line);
        check(mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755") == 0);
        check(mkdir("/var/lib/berth", 0755) == 0);
        check(mkdir(STORE, 0700) == 0);
}

static bool can_idmap(void) {
        TestFirst f = test_first(test_slot(0).supervisor, 0);
        struct { uint64_t set, clear, propagation, userns; } attr = { MOUNT_ATTR_IDMAP, 0, 0, (uint64_t) f.userns };
        int fd;
        bool ok;

        test_first_map(&f, test_slot(0).base);
        fd = (int) syscall(SYS_open_tree, AT_FDCWD, STORE, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        check(fd >= 0);
        ok = syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0;
        (void) close(fd);
        test_first_end(&f);
        return ok;
}

bool store_begin(const char *folder) {
        scratch[0] = 0;
        if (folder) {
                (void) snprintf(scratch, sizeof(scratch), "%s/test-store-XXXXXX", folder);
                check(mkdtemp(scratch));
                check(mount(scratch, STORE, NULL, MS_BIND, NULL) == 0);
        } else
                check(mount("tmpfs", STORE, "tmpfs", 0, NULL) == 0);
        check(mount(NULL, STORE, NULL, MS_SHARED, NULL) == 0);
        check(chown(STORE, STORE_OWNER, STORE_OWNER) == 0 && chmod(STORE, 0700) == 0);
        if (!can_idmap()) {
                store_end();
                return false;
        }
        store_folder("layers");
        store_folder("slots");
        store_folder("trash");
        return true;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

void store_end(void) {
        check(umount2(STORE, MNT_DETACH) == 0);
        if (scratch[0])
                check(nftw(scratch, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

static void own_path(const char *path, char ret[static PATH_SIZE]) {
        (void) snprintf(ret, PATH_SIZE, STORE "/%s", path);
}

void store_folder(const char *path) {
        char full[PATH_SIZE];

        own_path(path, full);
        check(mkdir(full, 0755) == 0 || errno == EEXIST);
        check(chown(full, STORE_OWNER, STORE_OWNER) == 0);
}

void store_chain(uint32_t slot, const char *text) {
        char path[PATH_SIZE];

        (void) snprintf(path, sizeof(path), "slots/%u", slot);
        store_folder(path);
        (void) snprintf(path, sizeof(path), STORE "/slots/%u/chain", slot);
        (void) unlink(path);
        check(symlink(text, path) == 0);
        check(lchown(path, STORE_OWNER, STORE_OWNER) == 0);
}

void store_writable(const char *id) {
        char path[PATH_SIZE];

        (void) snprintf(path, sizeof(path), "layers/%s", id);
        store_folder(path);
        (void) snprintf(path, sizeof(path), "layers/%s/content", id);
        store_folder(path);
}

static void copy_program(const char *source, const char *target, mode_t mode) {
        char buffer[65536];
        int in = open(source, O_RDONLY | O_CLOEXEC), out = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
        ssize_t n;

        check(in >= 0 && out >= 0);
        while ((n = read(in, buffer, sizeof(buffer))) > 0)
                check_equal(write(out, buffer, (size_t) n), n);
        check(fchmod(out, mode) == 0);
        (void) close(in);
        (void) close(out);
}

static void add_programs(const char *tree, const char *program) {
        const struct vfs_cap_data capable = {
                .magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
                .data = { { .permitted = 1U << CAP_NET_RAW } },
        };
        char path[PATH_SIZE + 16];

        (void) snprintf(path, sizeof(path), "%s/plain", tree);
        copy_program(program, path, 0755);
        (void) snprintf(path, sizeof(path), "%s/setuid", tree);
        copy_program(program, path, 04755);
        (void) snprintf(path, sizeof(path), "%s/capable", tree);
        copy_program(program, path, 0755);
        check(setxattr(path, "security.capability", &capable, sizeof(capable), 0) == 0);
}

void store_layer(const char *id, const char *text, const char *program) {
        static const char *const files[] = { "name", "only", "person" };
        char tree[PATH_SIZE], path[PATH_SIZE + 16];

        store_writable(id);
        (void) snprintf(tree, sizeof(tree), STORE "/layers/%s/content/tree", id);
        check(mkdir(tree, 0755) == 0);
        (void) snprintf(path, sizeof(path), "%s/folder", tree);
        check(mkdir(path, 0755) == 0);
        (void) snprintf(path, sizeof(path), "%s/etc", tree);
        check(mkdir(path, 0755) == 0);
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                (void) snprintf(path, sizeof(path), "%s/etc/%s", tree, files[i]);
                test_write_file(path, text);
        }
        check(chown(path, 1000, 1000) == 0);
        if (program)
                add_programs(tree, program);
}
