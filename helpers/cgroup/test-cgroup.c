/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The real berth-cgroup on real hierarchies, v1 with a bare v2 tree and v2 alone: what it makes, each thing it refuses. What
 * its seccomp list and Landlock leave to an attacker is test-confine.c's. */

#include "cgroup-tree.h"
#include "test-cgroups.h"
#include "test-helper.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#define BIT(c) (UINT64_C(1) << (c))
#define INVALID "org.varlink.service.InvalidParameter"

static TestRow row = {
        NULL,
        "org.berth1.Cgroup",
        TEST_HELPER,
        BIT(CAP_CHOWN) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_SYS_ADMIN) | BIT(CAP_BPF) | BIT(CAP_NET_ADMIN),
};
static CgroupTree tree;
static bool hybrid;

static json_t *slot_number(int n) {
        return json_pack("{s:i}", "slot", n);
}

static json_t *namespace_only(void) {
        return json_pack("{s:i}", "userNamespaceFileDescriptor", 0);
}

static void done(const char *method, json_t *parameters) {
        test_call_ok(&row, method, parameters, NULL, 0);
}

static void refused(const char *method, json_t *parameters, const char *error, const char *step, const char *errno_name) {
        test_call_error(&row, method, parameters, NULL, 0, error, step, errno_name);
}

/* "7/payload/tasks" in a hierarchy */
static int at(const Hierarchy *h, const char *path, int flags) {
        return openat(h->root, path, flags | O_CLOEXEC);
}

static const Hierarchy *v2(void) {
        return cgroup_tree_find(&tree, NULL);
}

static bool there(const Hierarchy *h, const char *path) {
        return faccessat(h->root, path, F_OK, 0) == 0;
}

static bool nothing_left(const char *slot) {
        for (size_t i = 0; i < tree.n; i++)
                if (there(tree.hierarchies + i, slot))
                        return false;
        return true;
}

static void put(const Hierarchy *h, const char *path, const char *text) {
        _cleanup_close_ int fd = at(h, path, O_WRONLY);

        check(fd >= 0);
        check_equal(write(fd, text, strlen(text)), strlen(text));
}

static void check_text(const Hierarchy *h, const char *path, const char *expected) {
        _cleanup_close_ int fd = at(h, path, O_RDONLY);
        char text[4096] = "";

        check(fd >= 0);
        check(read(fd, text, sizeof(text) - 1) >= 0);
        text[strcspn(text, "\n")] = '\0';
        if (!streq(text, expected)) {
                (void) fprintf(stderr, "%s %s is \"%s\", not \"%s\"\n", h->name, path, text, expected);
                exit(EXIT_FAILURE);
        }
}

static void check_owner(const Hierarchy *h, const char *path, uid_t uid, gid_t gid, mode_t mode) {
        struct stat st;

        check(fstatat(h->root, path, &st, AT_SYMLINK_NOFOLLOW) == 0);
        if (st.st_uid != uid || st.st_gid != gid || (st.st_mode & 07777) != mode) {
                (void) fprintf(stderr, "%s %s: %u:%u %o, not %u:%u %o\n", h->name, path, st.st_uid, st.st_gid,
                               st.st_mode & 07777, uid, gid, mode);
                exit(EXIT_FAILURE);
        }
}

static void check_owners(const Hierarchy *h, const Slot *slot) {
        bool freezer = !h->v2 && streq(h->name, "freezer");
        uid_t payload = freezer ? TEST_HELPER : slot->base;

        check_owner(h, "0", TEST_HELPER, TEST_HELPER, 0755);
        check_owner(h, "0/cgroup.procs", h->v2 ? slot->supervisor : TEST_HELPER, TEST_HELPER, 0644);
        check_owner(h, "0/payload", payload, payload, 0755);
        check_owner(h, "0/payload/cgroup.procs", slot->supervisor, slot->base, 0664);
        if (h->v2) {
                check_owner(h, "0/supervisor", TEST_HELPER, TEST_HELPER, 0755);
                check_owner(h, "0/supervisor/cgroup.procs", 0, 0, 0644);
                check_owner(h, "0/payload/cgroup.threads", slot->base, slot->base, 0644);
                check_owner(h, "0/payload/cgroup.subtree_control", slot->base, slot->base, 0644);
                check_owner(h, "0/payload/cgroup.freeze", TEST_HELPER, TEST_HELPER, 0644);
                check_owner(h, "0/cgroup.kill", TEST_HELPER, TEST_HELPER, 0200);
                check_text(h, "0/cgroup.max.descendants", "4096");
        } else {
                check_owner(h, "0/tasks", 0, 0, 0644);
                check_owner(h, "0/payload/tasks", slot->supervisor, slot->base, 0664);
        }
}

static void test_prepare(void) {
        const Slot slot = test_slot(0);
        char last[16] = "2";

        done("Prepare", slot_number(0));
        for (size_t i = 0; i < tree.n; i++)
                check_owners(tree.hierarchies + i, &slot);
        refused("Prepare", slot_number(0), "Busy", NULL, "EEXIST");
        check_owners(v2(), &slot);

        refused("Prepare", slot_number(TEST_SLOTS), "BadSlot", "number", "ERANGE");
        refused("Prepare", json_pack("{s:I}", "slot", (json_int_t) 1 << 40), "BadSlot", "number", "ERANGE");
        refused("Prepare", slot_number(-1), INVALID, NULL, NULL);
        refused("Prepare", json_object(), INVALID, NULL, NULL);
        refused("Prepare", json_pack("{s:s}", "slot", "../0"), INVALID, NULL, NULL);

        /* Found in the last hierarchy only: what was made before is gone again. */
        check(mkdirat(tree.hierarchies[tree.n - 1].root, last, 0755) == 0);
        refused("Prepare", slot_number(2), "Busy", NULL, "EEXIST");
        for (size_t i = 0; i + 1 < tree.n; i++)
                check(!there(tree.hierarchies + i, last));
        check(unlinkat(tree.hierarchies[tree.n - 1].root, last, AT_REMOVEDIR) == 0);
}

static void test_missing_root(void) {
        const Hierarchy *memory = cgroup_tree_find(&tree, "memory");

        if (!memory)
                return;
        check(rename("/sys/fs/cgroup/memory/berth", "/sys/fs/cgroup/memory/away") == 0);
        refused("Prepare", slot_number(2), "NoController", "memory: berth root", "ENODEV");
        check(nothing_left("2"));
        check(rename("/sys/fs/cgroup/memory/away", "/sys/fs/cgroup/memory/berth") == 0);
}

static void test_lock_held(void) {
        static const char *const methods[] = { "Prepare", "SetDevices", "SetLimits", "Kill", "Remove" };
        pid_t holder = test_lock(0);

        for (size_t i = 0; i < ELEMENTSOF(methods); i++)
                refused(methods[i], slot_number(0), "Busy", "lock", "EBUSY");
        test_end(holder);
}

static void test_targets(void) {
        static const char *const either[] = { "SetDevices", "SetLimits", "Kill" };
        static const char *const by_namespace[] = { "SetDevices", "SetLimits", "Kill", "Freeze", "Thaw" };
        TestFirst own = test_first(test_slot(0).supervisor, 0), person = test_first(TEST_PERSON, 0);

        for (size_t i = 0; i < ELEMENTSOF(either); i++) {
                refused(either[i], json_object(), "BadSlot", "slot or namespace", "EINVAL");
                test_call_error(&row, either[i], json_pack("{s:i, s:i}", "slot", 0, "userNamespaceFileDescriptor", 0),
                                &own.userns, 1, "BadSlot", "slot or namespace", "EINVAL");
                refused(either[i], slot_number(TEST_SLOTS), "BadSlot", "number", "ERANGE");
        }
        for (size_t i = 0; i < ELEMENTSOF(by_namespace); i++)
                test_call_error(&row, by_namespace[i], namespace_only(), &person.userns, 1, "BadNamespace", "owner", "ERANGE");
        refused("Freeze", slot_number(0), INVALID, NULL, NULL);
        test_first_end(&own);
        test_first_end(&person);
}

static int enter_as(uid_t uid, const Hierarchy *h, const char *path) {
        int status;
        pid_t pid;

        pid = fork();
        check(pid >= 0);
        if (pid == 0) {
                struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
                struct __user_cap_data_struct data[2] = {};
                int fd;

                if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0 || syscall(SYS_capset, &header, data) < 0)
                        _exit(255);
                fd = at(h, path, O_WRONLY);
                _exit(fd < 0 || write(fd, "0", 1) != 1 ? errno : 0);
        }
        check(waitpid(pid, &status, 0) == pid);
        check(WIFEXITED(status));
        return WEXITSTATUS(status);
}

/* Who can join: the root stage without any capability the slot, S its payload/, nobody else either. */
static void test_join(void) {
        const uid_t own = test_slot(0).supervisor, other = test_slot(1).supervisor;

        for (size_t i = 0; i < tree.n; i++) {
                const Hierarchy *h = tree.hierarchies + i;

                if (h->v2)
                        continue; /* nobody moves there but from a common ancestor */
                check_equal(enter_as(0, h, "0/tasks"), 0);
                check_equal(enter_as(own, h, "0/payload/tasks"), 0);
                check_equal(enter_as(own, h, "0/tasks"), EACCES);
                check_equal(enter_as(other, h, "0/payload/tasks"), EACCES);
                check_equal(enter_as(0, h, "0/payload/tasks"), EACCES);
        }
        check_equal(enter_as(other, v2(), "0/payload/cgroup.procs"), EACCES);
        check_equal(enter_as(other, v2(), "0/cgroup.procs"), EACCES);
        check_equal(enter_as(own, v2(), "0/supervisor/cgroup.procs"), EACCES);
}

static void do_nothing(const void *argument) {
}

/* A process in payload/ of every hierarchy that writes into a pipe as long as it runs. */
typedef struct Payload {
        pid_t pid;
        int pipe;
} Payload;

static Payload payload_start(void) {
        Payload p;
        char byte;
        int ends[2];

        check(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
        p.pid = fork();
        check(p.pid >= 0);
        if (p.pid == 0) {
                for (size_t i = 0; i < tree.n; i++)
                        put(tree.hierarchies + i, tree.hierarchies[i].v2 ? "0/payload/cgroup.procs" : "0/payload/tasks", "0");
                for (;;) {
                        (void) !write(ends[1], "x", 1);
                        (void) usleep(1000);
                }
        }
        (void) close(ends[1]);
        p.pipe = ends[0];
        while (read(p.pipe, &byte, 1) != 1)
                (void) usleep(1000);
        return p;
}

static bool runs(const Payload *p) {
        char text[65536];

        while (read(p->pipe, text, sizeof(text)) > 0)
                ;
        (void) usleep(50000);
        return read(p->pipe, text, sizeof(text)) > 0;
}

static void payload_reap(Payload *p) {
        int status;

        check(waitpid(p->pid, &status, WNOHANG) == p->pid); /* gone already */
        check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        (void) close(p->pipe);
}

static int open_device(int minor) {
        char path[64];
        int fd, r;

        (void) snprintf(path, sizeof(path), "/run/device-%d", minor);
        if (mknod(path, S_IFCHR | 0666, makedev(1, (unsigned) minor)) < 0 && errno != EEXIST)
                return errno;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        r = fd < 0 ? errno : 0;
        (void) close_fd(fd);
        return r;
}

/* What a process in payload/ gets when it opens 1:minor. */
static int device_from_payload(int minor) {
        const Hierarchy *h = cgroup_tree_find(&tree, "devices");
        int status;
        pid_t pid;

        pid = fork();
        check(pid >= 0);
        if (pid == 0) {
                if (h)
                        put(h, "0/payload/tasks", "0");
                else
                        put(v2(), "0/payload/cgroup.procs", "0");
                _exit(open_device(minor));
        }
        check(waitpid(pid, &status, 0) == pid);
        check(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void test_devices(void) {
        TestFirst f = test_first(test_slot(0).supervisor, 0), other = test_first(test_slot(1).supervisor, 0);

        check_equal(open_device(11), 0);
        check_equal(device_from_payload(11), 0); /* kmsg: the control */
        done("SetDevices", slot_number(0));
        check_equal(device_from_payload(11), EPERM);
        for (int minor = 3; minor <= 9; minor++)
                check_equal(device_from_payload(minor), minor == 4 || minor == 6 ? EPERM : 0);
        test_call_ok(&row, "SetDevices", namespace_only(), &f.userns, 1); /* again */
        check_equal(device_from_payload(11), EPERM);
        check_equal(device_from_payload(5), 0);
        check_equal(open_device(11), 0);

        test_call_error(&row, "SetDevices", namespace_only(), &other.userns, 1, "Kernel", NULL, "ENOENT");
        test_first_end(&f);
        test_first_end(&other);
}

static void test_limits_v1(void) {
        const Hierarchy *memory = cgroup_tree_find(&tree, "memory"), *pids = cgroup_tree_find(&tree, "pids"),
                        *cpu = cgroup_tree_find(&tree, "cpu");
        TestFirst f = test_first(test_slot(0).supervisor, 0);

        check(memory && pids && cpu);
        test_call_ok(&row, "SetLimits",
                     json_pack("{s:i, s:i, s:i, s:i}", "userNamespaceFileDescriptor", 0, "memoryMaximum", 67108864,
                               "tasksMaximum", 100, "cpuWeight", 200),
                     &f.userns, 1);
        check_text(memory, "0/memory.limit_in_bytes", "67108864");
        check_text(pids, "0/pids.max", "100");
        check_text(cpu, "0/cpu.shares", "2048");

        /* More tasks than the kernel has numbers for: refused, and the memory limit is what it was. */
        refused("SetLimits", json_pack("{s:i, s:i, s:i}", "slot", 0, "memoryMaximum", 134217728, "tasksMaximum", 2000000000),
                "Kernel", "pids: pids.max", "EINVAL");
        check_text(memory, "0/memory.limit_in_bytes", "67108864");
        check_text(pids, "0/pids.max", "100");

        done("SetLimits", json_pack("{s:i, s:i}", "slot", 0, "tasksMaximum", -1));
        check_text(pids, "0/pids.max", "max");
        check_text(memory, "0/memory.limit_in_bytes", "67108864");
        done("SetLimits", json_pack("{s:i, s:i}", "slot", 0, "memoryMaximum", -1));
        check_text(memory, "0/memory.limit_in_bytes", "9223372036854771712");
        refused("SetLimits", json_pack("{s:i, s:i}", "slot", 0, "cpuWeight", 0), INVALID, NULL, NULL);
        refused("SetLimits", json_pack("{s:i, s:i}", "slot", 0, "cpuWeight", 10001), INVALID, NULL, NULL);
        refused("SetLimits", json_pack("{s:i, s:i}", "slot", 0, "memoryMaximum", -2), INVALID, NULL, NULL);
        test_first_end(&f);
}

static void test_limits_v2(void) {
        if (there(v2(), "0/memory.max")) {
                done("SetLimits", json_pack("{s:i, s:i}", "slot", 0, "memoryMaximum", 67108864));
                check_text(v2(), "0/memory.max", "67108864");
                done("SetLimits", json_pack("{s:i, s:i}", "slot", 0, "memoryMaximum", -1));
                check_text(v2(), "0/memory.max", "max");
                check(there(v2(), "0/payload/memory.max"));
                done("SetLimits", json_pack("{s:i, s:i, s:i}", "slot", 0, "tasksMaximum", 100, "cpuWeight", 200));
                check_text(v2(), "0/pids.max", "100");
                check_text(v2(), "0/cpu.weight", "200");
        } else
                refused("SetLimits", json_pack("{s:i, s:i}", "slot", 0, "memoryMaximum", 67108864), "NoController", "memory",
                        "ENODEV");
}

static void test_freeze(void) {
        TestFirst f = test_first(test_slot(0).supervisor, 0), other = test_first(test_slot(1).supervisor, 0);
        Payload p = payload_start();

        check(runs(&p));
        test_call_ok(&row, "Freeze", namespace_only(), &f.userns, 1);
        check(!runs(&p));
        test_call_ok(&row, "Thaw", namespace_only(), &f.userns, 1);
        check(runs(&p));

        /* The container's root has shut its folder. */
        check(fchmodat(v2()->root, "0/payload", 0, 0) == 0);
        test_call_ok(&row, "Freeze", namespace_only(), &f.userns, 1);
        check(!runs(&p));
        test_call_error(&row, "Freeze", namespace_only(), &other.userns, 1, "Kernel", NULL, "ENOENT");

        /* What is frozen dies as well. */
        done("Kill", slot_number(0));
        payload_reap(&p);
        check(fchmodat(v2()->root, "0/payload", 0755, 0) == 0);
        test_call_ok(&row, "Thaw", namespace_only(), &f.userns, 1);
        test_first_end(&f);
        test_first_end(&other);
}

static void test_kill(void) {
        TestFirst f = test_first(test_slot(0).supervisor, 0);
        Payload p = payload_start(), q = payload_start();
        pid_t bystander = test_fork(do_nothing, NULL);

        refused("Remove", slot_number(0), "Busy", "processes", "EBUSY");
        for (size_t i = 0; i < tree.n; i++)
                check(there(tree.hierarchies + i, "0/payload"));
        test_call_ok(&row, "Kill", namespace_only(), &f.userns, 1);
        payload_reap(&p);
        payload_reap(&q);
        done("Kill", slot_number(0));  /* nobody in them */
        done("Kill", slot_number(14)); /* never made */
        check_equal(waitpid(bystander, NULL, WNOHANG), 0);
        test_end(bystander);
        test_first_end(&f);
}

/* What a container's root may leave: deep, wide, shut, and with a process where the v2 tree has none. */
static void test_remove(void) {
        const Hierarchy *h = hybrid ? cgroup_tree_find(&tree, "memory") : v2();
        const uid_t base = test_slot(0).base;
        const unsigned depth = hybrid ? 300 : 60;
        _cleanup_close_ int folder = at(h, "0/payload", O_RDONLY | O_DIRECTORY);
        char name[16];

        for (unsigned i = 0; i < depth; i++) {
                int next;

                check(mkdirat(folder, "deep", 0755) == 0);
                next = openat(folder, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                check(next >= 0 && fchown(next, base + 1000, base + 1000) == 0 && fchmod(next, 0) == 0);
                (void) close(folder);
                folder = next;
        }
        for (unsigned i = 0; i < 200; i++) {
                (void) snprintf(name, sizeof(name), "%u", i);
                check(mkdirat(folder, name, 0755) == 0);
        }
        done("Remove", slot_number(0));
        check(nothing_left("0"));
        done("Remove", slot_number(0));
        refused("Remove", slot_number(TEST_SLOTS), "BadSlot", "number", "ERANGE");

        done("Prepare", slot_number(0));
        if (hybrid) {
                pid_t stray = test_fork(do_nothing, NULL);

                (void) snprintf(name, sizeof(name), "%d", (int) stray);
                put(h, "0/payload/tasks", name);
                refused("Remove", slot_number(0), "Busy", "memory: remove", "EBUSY");
                test_end(stray);
        }
        done("Remove", slot_number(0));
        check(nothing_left("0"));
}

static void run(void) {
        test_world();
        test_make_roots(TEST_HELPER);
        check_equal(cgroup_tree_open(&tree), 0);
        hybrid = cgroup_tree_find(&tree, "systemd");

        test_prepare();
        test_missing_root();
        test_lock_held();
        test_targets();
        test_join();
        test_devices();
        if (hybrid)
                test_limits_v1();
        else
                test_limits_v2();
        test_freeze();
        test_kill();
        test_remove();
}

int main(int argc, char *argv[]) {
        check(argc == 3);
        row.program = argv[1];
        return test_in_cgroups(/* v2_only= */ streq(argv[2], "v2"), run);
}
