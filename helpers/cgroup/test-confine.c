/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What Landlock and the seccomp lists leave to somebody who runs code in berth-cgroup with the capabilities of Remove, the
 * most that it ever holds outside the device method. */

#include "cgroup-tree.h"
#include "confine.h"
#include "test-cgroups.h"
#include "test-helper.h"

#include "cgroup-seccomp.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define BIT(c) (UINT64_C(1) << (c))

static const TestRow row = { NULL, NULL, TEST_HELPER, BIT(CAP_CHOWN) | BIT(CAP_DAC_READ_SEARCH) };
static CgroupTree tree;
static int held_passwd = -EBADF;

static void helper_alone(void) {
        test_become(&row);
}

static void confine_with(bool v1) {
        int slots;

        test_become(&row);
        check_equal(cgroup_tree_open(&tree), 0);
        slots = open("/run/berth/slots", O_PATH | O_DIRECTORY | O_CLOEXEC);
        check(slots >= 0);
        check_equal(confine_files(&tree, slots), 0);
        if (v1)
                check_equal(confine_bpf(), 0);
        check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &cgroup_seccomp, 0, 0) == 0);
}

static void confine(void) {
        confine_with(false);
}

static void confine_v1(void) {
        confine_with(true);
}

#define result(x) ((x) < 0 ? -errno : 0)

/* The list has openat2() where a program would use open(). */
static int try_open(const char *path, uint64_t flags) {
        const uint64_t how[3] = { flags };

        return result(syscall(SYS_openat2, AT_FDCWD, path, how, sizeof(how)));
}

static int read_passwd(int unused) {
        return try_open("/etc/passwd", O_RDONLY);
}

static int read_secret(int unused) {
        return try_open("/run/secret/file", O_RDONLY); /* in a folder that is root's: DAC_READ_SEARCH */
}

static int write_own(int unused) {
        return try_open("/run/own", O_WRONLY);
}

static int list_folder(int unused) {
        return try_open("/run/secret", O_RDONLY | O_DIRECTORY);
}

static int read_above(int unused) {
        return try_open("/sys/fs/cgroup/cgroup.procs", O_RDONLY);
}

static int read_lock(int unused) {
        return result(syscall(SYS_openat, AT_FDCWD, "/run/berth/slots/0", O_RDONLY));
}

static int write_lock(int unused) {
        return result(syscall(SYS_openat, AT_FDCWD, "/run/berth/slots/0", O_WRONLY));
}

static int make_outside(int unused) {
        return result(mkdirat(AT_FDCWD, "/run/own-folder/new", 0755));
}

static int remove_outside(int unused) {
        return result(unlinkat(AT_FDCWD, "/run/own-folder/empty", AT_REMOVEDIR));
}

static int remove_file(int unused) {
        return result(unlinkat(AT_FDCWD, "/run/own-folder/file", 0));
}

static int chown_by_path(int unused) {
        return result(fchownat(AT_FDCWD, "/run/victim", TEST_HELPER, TEST_HELPER, 0));
}

static int chown_path_only(int unused) {
        const uint64_t how[3] = { O_PATH };
        int fd = (int) syscall(SYS_openat2, AT_FDCWD, "/run/victim", how, sizeof(how));

        return fd < 0 ? -ENODATA : result(fchown(fd, TEST_HELPER, TEST_HELPER));
}

static int make_setuid(int unused) {
        return result(fchmod(held_passwd, 04755));
}

static int load_program(int unused) {
        union bpf_attr attributes = {};

        return result(syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof(attributes)));
}

static int make_map(int unused) {
        union bpf_attr attributes = {};

        return result(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes)));
}

static int make_socket(int unused) {
        return result(socket(AF_INET, SOCK_STREAM, 0));
}

static int make_mount(int unused) {
        return result(mount("tmpfs", "/run/own-folder", "tmpfs", 0, NULL));
}

static int enter_namespace(int unused) {
        return result(setns(held_passwd, 0));
}

static int open_berth(int unused) {
        return try_open("/sys/fs/cgroup/berth", O_RDONLY | O_DIRECTORY);
}

static int make_berth(int unused) {
        return result(mkdirat(AT_FDCWD, "/sys/fs/cgroup/berth/5", 0755));
}

#define REFUSED 2 /* with whatever errno this kernel has for it */

typedef struct Attack {
        const char *name;
        int (*try)(int);
        int expected;
        int without; /* what the same gets with the user and capabilities alone */
} Attack;

static const Attack attacks[] = {
        { "read a file of root's", read_passwd, -EACCES, 0 },
        { "read what only DAC_READ_SEARCH reads", read_secret, -EACCES, 0 },
        { "list what only DAC_READ_SEARCH lists", list_folder, -EACCES, 0 },
        { "write a file of its own", write_own, -EACCES, 0 },
        { "read the hierarchy above the root", read_above, -EACCES, 0 },
        { "write a lock", write_lock, TEST_KILLED, -EACCES },
        { "make a folder", make_outside, -EACCES, 0 },
        { "remove a folder", remove_outside, -EACCES, 0 },
        { "remove a file", remove_file, TEST_KILLED, 0 },
        { "give away by path", chown_by_path, TEST_KILLED, 0 },
        { "give away without opening", chown_path_only, -EBADF, -EBADF },
        { "make a file setuid", make_setuid, TEST_KILLED, -EPERM },
        { "make a BPF map", make_map, TEST_KILLED, REFUSED },
        { "make a socket", make_socket, TEST_KILLED, 0 },
        { "mount", make_mount, TEST_KILLED, -EPERM },
        { "enter a namespace", enter_namespace, TEST_KILLED, -EINVAL },
        /* and its work */
        { "read a lock", read_lock, 0, 0 },
        { "open the root", open_berth, 0, 0 },
        { "make a cgroup", make_berth, 0, 0 },
};

static void prepare_files(void) {
        check(mkdir("/run/secret", 0700) == 0 && mkdir("/run/own-folder", 0755) == 0);
        test_write_file("/run/secret/file", "");
        test_write_file("/run/victim", "");
        test_write_file("/run/own", "");
        check(chown("/run/own", TEST_HELPER, TEST_HELPER) == 0 && chown("/run/own-folder", TEST_HELPER, TEST_HELPER) == 0);
        held_passwd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
        check(held_passwd >= 0);
}

static void reset_files(void) {
        check(rmdir("/run/own-folder/new") == 0 || errno == ENOENT);
        check(mkdir("/run/own-folder/empty", 0755) == 0 || errno == EEXIST);
        test_write_file("/run/own-folder/file", "");
        check(rmdir("/sys/fs/cgroup/berth/5") == 0 || errno == ENOENT);
}

static void expect(const Attack *a, void (*confined)(void), const char *how, int expected) {
        int r;

        reset_files();
        r = test_attack(a->try, 0, confined);
        if (expected == REFUSED ? r >= 0 : r != expected) {
                (void) fprintf(stderr, "%s, %s: %d, not %d\n", a->name, how, r, expected);
                exit(EXIT_FAILURE);
        }
}

static void run(void) {
        test_world();
        test_make_roots(TEST_HELPER);
        prepare_files();
        for (size_t i = 0; i < ELEMENTSOF(attacks); i++) {
                expect(attacks + i, helper_alone, "not confined", attacks[i].without);
                expect(attacks + i, confine, "confined", attacks[i].expected);
        }
        check_equal(test_attack(load_program, 0, confine_v1), TEST_KILLED);
        check(test_attack(load_program, 0, confine) < 0); /* the kernel's answer to nonsense, or to having no CAP_BPF */
        reset_files();
}

int main(void) {
        if (TEST_INSTRUMENTED)
                return 0;
        return test_in_cgroups(/* v2_only= */ true, run);
}
