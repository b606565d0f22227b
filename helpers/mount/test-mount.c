/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The real berth-mount on stores of the test's own: what it gives works as a container's root and cannot be written, and
 * what it refuses. Runs as root.
 *
 * test-mount PROGRAM IDENTITY SCRATCH: the helper, the program of test-identity.c, a folder on a file system of the disk. */
#include "test-store.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define LAYERS_MAX 65

static TestRow row = { .interface = "org.berth1.Mount", .user = TEST_HELPER,
                       .capabilities = UINT64_C(1) << 21 /* SYS_ADMIN */ | UINT64_C(1) << 2 /* DAC_READ_SEARCH */ };

static json_t *parameters(void) {
        return json_pack("{s:i}", "userNamespaceFileDescriptor", 0);
}

static TestFirst mapped(uint32_t slot) {
        TestFirst f = test_first(test_slot(slot).supervisor, 0);

        test_first_map(&f, test_slot(slot).base);
        return f;
}

static void refused(const char *method, int userns, const char *error, const char *step, const char *errno_name) {
        test_call_error(&row, method, parameters(), &userns, 1, error, step, errno_name);
}

static void refused_slot(const char *method, uint32_t slot, const char *error, const char *step, const char *errno_name) {
        TestFirst f = mapped(slot);

        refused(method, f.userns, error, step, errno_name);
        test_first_end(&f);
}

/* Calls and takes what comes; the writable mount is first. */
static size_t call_layers(int userns, int ret[static LAYERS_MAX]) {
        Message m = {};
        json_t *layers;
        size_t n;

        check_equal(test_call(&row, "MountLayers", parameters(), &userns, 1, &m), 0);
        check(m.json && !json_object_get(m.json, "error"));
        layers = json_object_get(json_object_get(m.json, "parameters"), "layerFileDescriptors");
        n = json_array_size(layers) + 1;
        check_equal(m.n_fds, n);
        check_equal(json_integer_value(json_object_get(json_object_get(m.json, "parameters"), "writableFileDescriptor")), 0);
        for (size_t i = 1; i < n; i++)
                check_equal(json_integer_value(json_array_get(layers, i - 1)), i);
        for (size_t i = 0; i < n; i++)
                ret[i] = TAKE_FD(m.fds[i]);
        message_done(&m);
        return n;
}

static int set_flags(int mount, uint64_t set, uint64_t clear) {
        struct { uint64_t set, clear, propagation, userns; } attr = { set, clear, 0, 0 };

        return syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

/* All that anybody who holds the mount can try against its flags. */
static void check_locked(int mount) {
        check_equal(set_flags(mount, MOUNT_ATTR_RDONLY, 0), 0);
        check_equal(set_flags(mount, 0, MOUNT_ATTR_RDONLY), -EPERM);
        check_equal(set_flags(mount, 0, MOUNT_ATTR_NOSUID), -EPERM);
        check_equal(set_flags(mount, 0, MOUNT_ATTR_NODEV), -EPERM);
        check(openat(mount, "etc/name", O_WRONLY | O_CLOEXEC) < 0);
        check_equal(errno, EROFS);
        check(openat(mount, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0);
        check_equal(errno, EROFS);
        check(mkdirat(mount, "new", 0700) < 0);
        check_equal(errno, EROFS);
}

/* The test becomes root of the namespace, as a container's first process does. */
static void enter(int userns) {
        check(setns(userns, CLONE_NEWUSER) == 0);
        check(setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0 && setgroups(0, NULL) == 0);
        check(unshare(CLONE_NEWNS) == 0);
}

/* Attaches everything to a tmpfs of its own, at /mnt/0, /mnt/1, ... */
static void attach(const int *mounts, size_t n) {
        char path[32];

        check(mount("tmpfs", "/mnt", "tmpfs", 0, NULL) == 0);
        for (size_t i = 0; i < n; i++) {
                (void) snprintf(path, sizeof(path), "/mnt/%zu", i);
                check(mkdir(path, 0755) == 0);
                check(syscall(SYS_move_mount, mounts[i], "", AT_FDCWD, path, 4 /* MOVE_MOUNT_F_EMPTY_PATH */) == 0);
        }
}

static void mount_overlay(size_t n) {
        char options[4096] = "userxattr,upperdir=/mnt/0/tree,workdir=/mnt/0/work,lowerdir=/mnt/1";

        for (size_t i = 2; i < n; i++)
                (void) snprintf(options + strlen(options), sizeof(options) - strlen(options), ":/mnt/%zu", i);
        check(mkdir("/mnt/0/tree", 0755) == 0);
        check(mkdir("/mnt/0/work", 0755) == 0);
        check(mkdir("/mnt/root", 0755) == 0);
        if (mount("overlay", "/mnt/root", "overlay", 0, options) < 0) {
                (void) fprintf(stderr, "overlay: %s: %m\n", options);
                exit(EXIT_FAILURE);
        }
}

static int run_as(const char *path, uid_t uid) {
        int status;
        pid_t pid = fork();

        check(pid >= 0);
        if (pid == 0) {
                if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
                        _exit(101);
                (void) execl(path, path, NULL);
                _exit(102);
        }
        check(waitpid(pid, &status, 0) == pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 103;
}

static void check_owner(const char *path, uid_t uid) {
        struct stat st;

        check(lstat(path, &st) == 0);
        check_equal(st.st_uid, uid);
}

static void check_text(const char *path, const char *expected) {
        char text[64] = "";
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        check(fd >= 0);
        check(read(fd, text, sizeof(text) - 1) >= 0);
        check(streq(text, expected));
        (void) close(fd);
}

static void as_container(int userns, const int *mounts, size_t n) {
        enter(userns);
        for (size_t i = 1; i < n; i++)
                check_locked(mounts[i]);
        attach(mounts, n);
        for (size_t i = 1; i < n; i++)
                check_locked(mounts[i]);
        check(mount(NULL, "/mnt/1", NULL, MS_REMOUNT | MS_BIND, NULL) < 0);
        check_equal(errno, EPERM);

        mount_overlay(n);
        check_text("/mnt/root/etc/name", "upper"); /* of the uppermost layer */
        check_text("/mnt/root/etc/only", "lower");
        check_owner("/mnt/root/etc/name", 0);
        check_owner("/mnt/root/etc/person", 1000);
        test_write_file("/mnt/root/etc/only", "changed");
        test_write_file("/mnt/root/new", "new");
        check(unlink("/mnt/root/etc/name") == 0);
        check(rename("/mnt/root/etc/person", "/mnt/root/person") == 0);
        check(rmdir("/mnt/root/folder") == 0 && mkdir("/mnt/root/folder", 0755) == 0);

        check_equal(run_as("/mnt/root/plain", 1000), 0);
        check_equal(run_as("/mnt/root/setuid", 1000), 3);
        check_equal(run_as("/mnt/root/capable", 1000), 2);
        /* The layer's own mount runs neither. */
        check_equal(run_as("/mnt/1/setuid", 1000), 0);
        check_equal(run_as("/mnt/1/capable", 1000), 0);

        /* Nothing that is mounted in here may be seen outside. */
        check(mkdir("/mnt/0/leak", 0755) == 0);
        check(mount("leak-of-test-mount", "/mnt/0/leak", "tmpfs", 0, NULL) == 0);
}

/* Returns the exit status of a child. */
static int in_child(void (*part)(int, const int *, size_t), int userns, const int *mounts, size_t n) {
        int status;
        pid_t pid = fork();

        check(pid >= 0);
        if (pid == 0) {
                part(userns, mounts, n);
                exit(EXIT_SUCCESS);
        }
        check(waitpid(pid, &status, 0) == pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void close_all(const int *mounts, size_t n) {
        for (size_t i = 0; i < n; i++)
                (void) close(mounts[i]);
}

static void test_layers(const char *identity) {
        int mounts[LAYERS_MAX];
        TestFirst f;
        size_t n;

        store_layer("00000000000000a1", "lower", identity);
        store_layer("00000000000000a2", "upper", identity);
        store_writable("00000000000000aa");
        store_chain(0, "00000000000000aa:00000000000000a2:00000000000000a1");
        check(unlink(STORE "/layers/00000000000000a2/content/tree/etc/only") == 0);

        f = mapped(0);
        n = call_layers(f.userns, mounts);
        check_equal(n, 3);
        for (size_t i = 1; i < n; i++)
                check_locked(mounts[i]); /* the host's root has no more right than anybody */
        check_equal(in_child(as_container, f.userns, mounts, n), 0);

        /* Unshifted on disk, in this slot's layer and in no other. */
        check_text(STORE "/layers/00000000000000aa/content/tree/etc/only", "changed");
        check_owner(STORE "/layers/00000000000000aa/content/tree/etc/only", 0);
        check_owner(STORE "/layers/00000000000000aa/content/tree/person", 1000);
        check_text(STORE "/layers/00000000000000a1/content/tree/etc/only", "lower");
        check_text(STORE "/layers/00000000000000a2/content/tree/etc/name", "upper");
        close_all(mounts, n);
        test_first_end(&f);
}

static void test_no_propagation(void) {
        char line[1024];
        FILE *file = fopen("/proc/self/mountinfo", "re");
        int mounts[LAYERS_MAX];
        TestFirst f = mapped(0);
        size_t n;

        /* The container is still inside when we look. */
        n = call_layers(f.userns, mounts);
        for (size_t i = 0; i < n; i++) {
                int tmpfs = (int) syscall(SYS_fsopen, "tmpfs", 1), leak;

                check(tmpfs >= 0 && syscall(SYS_fsconfig, tmpfs, 6, NULL, NULL, 0) == 0);
                leak = (int) syscall(SYS_fsmount, tmpfs, 1, 0);
                check(leak >= 0);
                check(syscall(SYS_move_mount, mounts[i], "", AT_FDCWD, "/mnt", 4) == 0);
                check(syscall(SYS_move_mount, leak, "", mounts[i], i == 0 ? "leak" : "etc", 4) == 0);
                (void) close(leak);
                (void) close(tmpfs);
        }
        check(file);
        while (fgets(line, sizeof(line), file))
                check(!strstr(line, STORE "/layers"));
        (void) fclose(file);
        for (size_t i = 0; i < n; i++)
                check(umount2("/mnt", MNT_DETACH) == 0);
        close_all(mounts, n);
        test_first_end(&f);
}

static void as_deep_container(int userns, const int *mounts, size_t n) {
        enter(userns);
        attach(mounts, n);
        mount_overlay(n);
        check_text("/mnt/root/etc/name", "63");
        check_equal(run_as("/mnt/root/setuid", 1000), 3);
}

static void test_depth(const char *identity) {
        char chain[LAYERS_MAX * 17 + 32] = "00000000000000bb", id[17], text[8];
        int mounts[LAYERS_MAX];
        TestFirst f;
        size_t n;

        store_writable("00000000000000bb");
        for (unsigned i = 0; i < LAYERS_MAX - 1; i++) {
                (void) snprintf(id, sizeof(id), "00000000000001%02x", i);
                (void) snprintf(text, sizeof(text), "%u", i == 0 ? 63 : i);
                store_layer(id, text, i == 0 ? identity : NULL);
                (void) snprintf(chain + strlen(chain), sizeof(chain) - strlen(chain), ":%s", id);
        }
        store_chain(1, chain);
        f = mapped(1);
        n = call_layers(f.userns, mounts);
        check_equal(n, LAYERS_MAX);
        for (size_t i = 1; i < n; i++)
                check_locked(mounts[i]);
        check_equal(in_child(as_deep_container, f.userns, mounts, n), 0);
        close_all(mounts, n);
        test_first_end(&f);

        (void) snprintf(chain + strlen(chain), sizeof(chain) - strlen(chain), ":00000000000000a1");
        store_chain(1, chain);
        refused_slot("MountLayers", 1, "BadRecord", "chain", "EUCLEAN");
}

/* The writable layer and the trash of a slot, for a worker. */
static void test_folders(void) {
        TestFirst f = mapped(0);
        Message m = {};
        struct stat st;

        check_equal(test_call(&row, "MountWritable", parameters(), &f.userns, 1, &m), 0);
        check_equal(m.n_fds, 1);
        check(fstat(m.fds[0], &st) == 0);
        check_equal(st.st_uid, test_slot(0).base + STORE_OWNER);
        check_equal(st.st_gid, test_slot(0).base + STORE_OWNER);
        check_equal(set_flags(m.fds[0], 0, MOUNT_ATTR_NOSUID), 0); /* not locked */
        message_done(&m);

        refused("MountTrash", f.userns, "NoSuchSlot", "trash", "ENOENT");
        store_folder("trash/0");
        store_folder("trash/0/content");
        store_folder("trash/0/content/00000000000000ff");
        check_equal(test_call(&row, "MountTrash", parameters(), &f.userns, 1, &m), 0);
        check_equal(m.n_fds, 1);
        check(faccessat(m.fds[0], "00000000000000ff", F_OK, 0) == 0);
        message_done(&m);
        test_first_end(&f);
}

static void test_bad_namespace(void) {
        int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC), net = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC),
            own = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
        char line[64];
        TestFirst f;

        refused("MountLayers", file, "BadNamespace", "owner", "EINVAL");
        refused("MountLayers", net, "BadNamespace", "owner", "EINVAL");
        refused("MountLayers", own, "BadNamespace", "owner", "EXDEV");
        (void) close(file);
        (void) close(net);
        (void) close(own);

        f = test_first(TEST_PERSON, 0);
        test_first_map(&f, test_slot(0).base);
        refused("MountLayers", f.userns, "BadNamespace", "owner", "ERANGE");
        test_first_end(&f);

        /* Linux 6.1 takes an unmapped namespace. */
        f = test_first(test_slot(0).supervisor, 0);
        {
                Message m = {};
                json_t *details;

                check(test_call(&row, "MountLayers", parameters(), &f.userns, 1, &m) != 0);
                details = json_object_get(m.json, "parameters");
                check(streq(json_string_value(json_object_get(details, "step")), "ID-mapped mount") ||
                      streq(json_string_value(json_object_get(details, "step")), "mapping"));
                check_equal(m.n_fds, 0);
                message_done(&m);
        }
        test_first_end(&f);

        /* What a supervisor can write itself: its own single ID. And what nobody but root could. */
        for (int i = 0; i < 3; i++) {
                f = test_first(test_slot(0).supervisor, 0);
                (void) snprintf(line, sizeof(line), "/proc/%d/uid_map", (int) f.pid);
                test_write_file(line, i == 0 ? "0 1879048192 1\n" : i == 1 ? "0 1879179264 65536\n" : "0 1879113728 65536\n");
                (void) snprintf(line, sizeof(line), "/proc/%d/gid_map", (int) f.pid);
                test_write_file(line, i < 2 ? "0 1879113728 65536\n" : "0 1879179264 65536\n");
                refused("MountLayers", f.userns, "BadNamespace", "mapping", "EPERM");
                refused("MountWritable", f.userns, "BadNamespace", "mapping", "EPERM");
                refused("MountTrash", f.userns, "BadNamespace", "mapping", "EPERM");
                test_first_end(&f);
        }
}

static void test_bad_chain(void) {
        static const char *const chains[] = {
                "x", ":", "00000000000000aa:", ":00000000000000aa", "00000000000000aa::00000000000000a1",
                "00000000000000aa:00000000000000A1", "00000000000000aa:../layers/../../../..",
                "00000000000000aa:00000000000000a", "00000000000000aa:00000000000000a1/",
                "00000000000000aa:../../../../../e", "00000000000000aa:00000000000000a1:00000000000000a1",
                "00000000000000aa:00000000000000aa", "00000000000000aa,00000000000000a1",
        };

        refused_slot("MountLayers", 2, "NoSuchSlot", "chain", "ENOENT");
        for (size_t i = 0; i < ELEMENTSOF(chains); i++) {
                store_chain(2, chains[i]);
                refused_slot("MountLayers", 2, "BadRecord", "chain", "EUCLEAN");
                refused_slot("MountWritable", 2, "BadRecord", "chain", "EUCLEAN");
        }
        store_chain(2, "00000000000000aa");
        refused_slot("MountLayers", 2, "NoSuchSlot", "nothing below the writable layer", "ENOENT");
        store_chain(2, "00000000000000aa:00000000000000a9");
        refused_slot("MountLayers", 2, "NoSuchSlot", "layer", "ENOENT");
        store_chain(2, "00000000000000a9:00000000000000a1");
        refused_slot("MountLayers", 2, "NoSuchSlot", "writable layer", "ENOENT");

        /* Another's link, and what is no link. */
        store_chain(2, "00000000000000aa:00000000000000a1");
        check(lchown(STORE "/slots/2/chain", 0, 0) == 0);
        refused_slot("MountLayers", 2, "BadRecord", "chain", "EUCLEAN");
        check(unlink(STORE "/slots/2/chain") == 0);
        test_write_file(STORE "/slots/2/chain", "00000000000000aa:00000000000000a1");
        check(chown(STORE "/slots/2/chain", STORE_OWNER, STORE_OWNER) == 0);
        refused_slot("MountLayers", 2, "BadRecord", "chain", "EUCLEAN");

        /* A slot that is a link to another's. */
        check(unlink(STORE "/slots/2/chain") == 0 && rmdir(STORE "/slots/2") == 0);
        check(symlink("0", STORE "/slots/2") == 0);
        refused_slot("MountLayers", 2, "BadRecord", "chain", "ELOOP");
        check(unlink(STORE "/slots/2") == 0);
}

/* What a container's root could have made of a layer while it was writable, and what an admin might mount there. */
static void test_bad_layer(void) {
        static const char layer[] = STORE "/layers/00000000000000c1", content[] = STORE "/layers/00000000000000c1/content",
                          tree[] = STORE "/layers/00000000000000c1/content/tree";

        store_writable("00000000000000cc");
        store_layer("00000000000000c1", "bad", NULL);
        store_chain(3, "00000000000000cc:00000000000000c1");

        check(rename(tree, STORE "/away") == 0);
        refused_slot("MountLayers", 3, "NoSuchSlot", "layer", "ENOENT");
        check(symlink("/", tree) == 0);
        refused_slot("MountLayers", 3, "BadRecord", "layer", "ENOTDIR");
        check(unlink(tree) == 0 && symlink("../../00000000000000a1/content/tree", tree) == 0);
        refused_slot("MountLayers", 3, "BadRecord", "layer", "ENOTDIR");
        check(unlink(tree) == 0);
        test_write_file(tree, "");
        refused_slot("MountLayers", 3, "BadRecord", "layer", "ENOTDIR");
        check(unlink(tree) == 0 && mkdir(tree, 0755) == 0);
        check(mount("tmpfs", tree, "tmpfs", 0, NULL) == 0);
        refused_slot("MountLayers", 3, "BadRecord", "layer", "EXDEV");
        check(umount2(tree, 0) == 0);

        check(chown(layer, 0, 0) == 0);
        refused_slot("MountLayers", 3, "BadRecord", "layer", "EUCLEAN");
        check(chown(layer, STORE_OWNER, STORE_OWNER) == 0);
        check(rename(content, STORE "/away2") == 0 && symlink("../00000000000000a1/content", content) == 0);
        refused_slot("MountLayers", 3, "BadRecord", "layer", "ELOOP");
        check(unlink(content) == 0 && rename(layer, STORE "/away3") == 0);
        check(symlink("00000000000000a1", layer) == 0);
        refused_slot("MountLayers", 3, "BadRecord", "layer", "ENOTDIR");
        check(unlink(layer) == 0);

        /* Its own writable layer's owner is the container's to choose, and no way around the check of the mapping. */
        check(chown(STORE "/layers/00000000000000cc/content", 0, 5) == 0);
        store_chain(3, "00000000000000cc:00000000000000a1");
        {
                TestFirst f = mapped(3);
                int mounts[LAYERS_MAX];

                check_equal(call_layers(f.userns, mounts), 2);
                close_all(mounts, 2);
                test_first_end(&f);
        }
        check(chown(STORE "/layers/00000000000000cc/content", 70000, 0) == 0);
        refused_slot("MountLayers", 3, "BadNamespace", "mapping", "EOVERFLOW");
}

/* unshare(CLONE_NEWUSER | CLONE_NEWNS) that does nothing and says it did: a kernel or a sandbox that locks nothing. */
static void as_if_unshare_did_nothing(int userns, const int *mounts, size_t n) {
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 0, 3),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLONE_NEWUSER | CLONE_NEWNS, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = { ELEMENTSOF(filter), filter };

        check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
        refused("MountLayers", userns, "Kernel", "lock: proof", "ENOLCK");
}

static void test_lock_proof(void) {
        TestFirst f = mapped(0);

        check_equal(in_child(as_if_unshare_did_nothing, f.userns, NULL, 0), 0);
        test_first_end(&f);
}

static void test_on(const char *identity) {
        test_layers(identity);
        test_no_propagation();
        test_depth(identity);
        test_folders();
        test_bad_namespace();
        test_bad_chain();
        test_bad_layer();
        test_lock_proof();
        store_end();
}

int main(int argc, char *argv[]) {
        check_equal(argc, 4);
        row.program = argv[1];
        test_world();
        store_world();

        if (store_begin(argv[3]))
                test_on(argv[2]);
        else
                (void) fprintf(stderr, "%s: no ID-mapped mounts here\n", argv[3]);
        if (store_begin(/* folder= */ NULL))
                test_on(argv[2]);
        return EXIT_SUCCESS;
}
