/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The real berth-idmap on real namespaces: what it maps, each thing it refuses, and what its seccomp list leaves to
 * somebody who runs code in it. */

#include "map.h"
#include "test-helper.h"

#include "idmap-seccomp.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define BIT(c) (UINT64_C(1) << (c))

static TestRow row = { NULL, "org.berth1.IdMap", 0, BIT(CAP_SETUID) | BIT(CAP_SETGID) };

static json_t *parameters(void) {
        return json_pack("{s:i, s:i}", "processFileDescriptor", 0, "userNamespaceFileDescriptor", 1);
}

static void refused(int process, int userns, const char *error, const char *step, const char *errno_name) {
        test_call_error(&row, "WriteMap", parameters(), (const int[]) { process, userns }, 2, error, step, errno_name);
}

static void check_map(const TestFirst *f, const char *name, const char *expected) {
        _cleanup_close_ int fd = openat(f->process, name, O_RDONLY | O_CLOEXEC);
        char text[256] = "";

        check(fd >= 0);
        check(read(fd, text, sizeof(text) - 1) >= 0);
        if (!streq(text, expected)) {
                (void) fprintf(stderr, "%s is \"%s\", not \"%s\"\n", name, text, expected);
                exit(EXIT_FAILURE);
        }
}

static void check_mapped(const TestFirst *f, uid_t base) {
        char expected[64];

        (void) snprintf(expected, sizeof(expected), "%10u %10u %10u\n", 0U, base, RANGE_SIZE);
        check_map(f, "uid_map", expected);
        check_map(f, "gid_map", expected);
}

static void test_maps(void) {
        for (uint32_t n = 0; n < TEST_SLOTS; n += TEST_SLOTS - 1) {
                TestFirst f = test_first(test_slot(n).supervisor, 0);

                test_call_ok(&row, "WriteMap", parameters(), (const int[]) { f.process, f.userns }, 2);
                check_mapped(&f, test_slot(n).base);
                refused(f.process, f.userns, "BadNamespace", "empty maps", "EEXIST");
                check_mapped(&f, test_slot(n).base);
                test_first_end(&f);
        }
}

static void test_half_mapped(void) {
        static const char *const names[] = { "uid_map", "gid_map" };

        for (unsigned i = 0; i < 2; i++) {
                TestFirst f = test_first(test_slot(0).supervisor, 0);
                _cleanup_close_ int fd = openat(f.process, names[i], O_WRONLY | O_CLOEXEC);

                check_equal(write(fd, "0 1 1", 5), 5);
                refused(f.process, f.userns, "BadNamespace", "empty maps", "EEXIST");
                check_map(&f, names[!i], "");
                test_first_end(&f);
        }
}

/* The nested namespace's owner is a supervisor's ID too: only its parent gives it away. */
static void enter_nested(uid_t supervisor, int outer_done, int mapped) {
        char byte;

        if (setresgid(supervisor, supervisor, supervisor) < 0 || setresuid(supervisor, supervisor, supervisor) < 0 ||
            unshare(CLONE_NEWUSER) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0 || write(outer_done, "", 1) != 1 ||
            read(mapped, &byte, 1) != 1 || unshare(CLONE_NEWUSER) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0 ||
            write(outer_done, "", 1) != 1)
                _exit(1);
        for (;;)
                (void) pause();
}

static void test_nested(void) {
        _cleanup_close_ int process = -EBADF, userns = -EBADF, uid_map = -EBADF, gid_map = -EBADF;
        char path[64], line[64], byte;
        int up[2], down[2];
        pid_t pid;

        check(pipe2(up, O_CLOEXEC) == 0 && pipe2(down, O_CLOEXEC) == 0);
        pid = fork();
        check(pid >= 0);
        if (pid == 0)
                enter_nested(test_slot(3).supervisor, up[1], down[0]);
        check_equal(read(up[0], &byte, 1), 1);
        (void) snprintf(path, sizeof(path), "/proc/%d", (int) pid);
        process = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void) snprintf(line, sizeof(line), "0 %u 1", test_slot(3).supervisor);
        uid_map = openat(process, "uid_map", O_WRONLY | O_CLOEXEC);
        gid_map = openat(process, "gid_map", O_WRONLY | O_CLOEXEC);
        check_equal(write(uid_map, line, strlen(line)), strlen(line));
        check_equal(write(gid_map, line, strlen(line)), strlen(line));
        check_equal(write(down[1], "", 1), 1);
        check_equal(read(up[0], &byte, 1), 1);

        userns = openat(process, "ns/user", O_RDONLY | O_CLOEXEC);
        refused(process, userns, "BadNamespace", "owner", "EXDEV");
        test_end(pid);
        for (unsigned i = 0; i < 2; i++) {
                (void) close(up[i]);
                (void) close(down[i]);
        }
}

static void test_namespaces(void) {
        TestFirst f = test_first(test_slot(1).supervisor, CLONE_NEWNET), person = test_first(TEST_PERSON, 0),
                  beyond = test_first(TEST_FIRST + TEST_SLOTS, 0);
        _cleanup_close_ int net = openat(f.process, "ns/net", O_RDONLY | O_CLOEXEC),
                            own = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC),
                            pid = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC),
                            null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        refused(f.process, net, "BadNamespace", "owner", "EINVAL");
        refused(f.process, pid, "BadNamespace", "owner", "EINVAL"); /* has a parent too, so its kind must be looked at */
        refused(f.process, null, "BadNamespace", "owner", "EINVAL");
        refused(f.process, own, "BadNamespace", "owner", "EXDEV");
        refused(person.process, person.userns, "BadNamespace", "owner", "ERANGE");
        refused(beyond.process, beyond.userns, "BadNamespace", "owner", "ERANGE");
        check_map(&f, "uid_map", "");
        test_first_end(&f);
        test_first_end(&person);
        test_first_end(&beyond);
}

static void test_processes(void) {
        TestFirst f = test_first(test_slot(1).supervisor, 0), sibling = test_first(test_slot(1).supervisor, 0);
        _cleanup_close_ int path_only = openat(f.process, ".", O_PATH | O_DIRECTORY | O_CLOEXEC),
                            file = openat(f.process, "status", O_RDONLY | O_CLOEXEC),
                            writable = openat(f.process, "uid_map", O_RDWR | O_CLOEXEC),
                            proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fake = -EBADF;
        char target[64];

        check(path_only >= 0 && file >= 0 && writable >= 0 && proc >= 0);
        check(mkdir("/run/fake", 0755) == 0 && mkdir("/run/fake/ns", 0755) == 0);
        (void) snprintf(target, sizeof(target), "/proc/%d/ns/user", (int) f.pid);
        check(symlink(target, "/run/fake/ns/user") == 0);
        (void) snprintf(target, sizeof(target), "/proc/%d/ns/mnt", (int) f.pid);
        check(symlink(target, "/run/fake/ns/mnt") == 0);
        fake = open("/run/fake", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        refused(path_only, f.userns, "BadProcess", "process folder", "EINVAL");
        refused(file, f.userns, "BadProcess", "process folder", "EINVAL");
        refused(writable, f.userns, "BadProcess", "process folder", "EINVAL");
        refused(fake, f.userns, "BadProcess", "process folder", "EINVAL");
        refused(proc, f.userns, "BadProcess", "namespace of the process", "ESRCH");
        refused(sibling.process, f.userns, "BadProcess", "namespace of the process", "EXDEV");
        check_map(&f, "uid_map", "");
        check_map(&sibling, "uid_map", "");

        check(kill(f.pid, SIGKILL) == 0);
        check(waitid(P_PID, (id_t) f.pid, &(siginfo_t) {}, WEXITED | WNOWAIT) == 0);
        refused(f.process, f.userns, "BadProcess", "life of the process", "ESRCH"); /* a zombie */
        check(waitpid(f.pid, NULL, 0) == f.pid);
        refused(f.process, f.userns, "BadProcess", "namespace of the process", "ESRCH");
        (void) close(f.process);
        (void) close(f.userns);
        test_first_end(&sibling);
}

static void enter_undumpable(const void *argument) {
        const Slot *slot = argument;

        if (setresgid(slot->supervisor, slot->supervisor, slot->supervisor) < 0 ||
            setresuid(slot->supervisor, slot->supervisor, slot->supervisor) < 0 || unshare(CLONE_NEWUSER) < 0 ||
            prctl(PR_SET_DUMPABLE, 0) < 0)
                _exit(1);
}

/* Its files are root's, and its supervisor may not write them. */
static void test_undumpable(void) {
        const Slot slot = test_slot(2);
        _cleanup_close_ int process = -EBADF, userns = -EBADF;
        char path[64];
        pid_t pid;

        pid = test_fork(enter_undumpable, &slot);
        (void) snprintf(path, sizeof(path), "/proc/%d", (int) pid);
        process = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        userns = openat(process, "ns/user", O_RDONLY | O_CLOEXEC);
        refused(process, userns, "BadProcess", "namespace of the process", "EACCES");
        test_end(pid);
}

static void test_parameters(void) {
        static const char invalid[] = "org.varlink.service.InvalidParameter";
        TestFirst f = test_first(test_slot(2).supervisor, 0);

        test_call_error(&row, "WriteMap", json_pack("{s:i}", "processFileDescriptor", 0), &f.process, 1, invalid, NULL, NULL);
        test_call_error(&row, "WriteMap", json_pack("{s:i, s:i}", "processFileDescriptor", 0, "userNamespaceFileDescriptor", 0),
                        (const int[]) { f.process, f.userns }, 2, invalid, NULL, NULL);
        test_call_error(&row, "WriteMap",
                        json_pack("{s:i, s:i, s:i}", "processFileDescriptor", 0, "userNamespaceFileDescriptor", 1, "range", 0),
                        (const int[]) { f.process, f.userns }, 2, invalid, NULL, NULL);
        check_map(&f, "uid_map", "");
        test_first_end(&f);
}

static void become_mapper(const void *argument) {
        const uid_t supervisor = test_slot(0).supervisor;
        uid_t real, effective, saved;

        if (become_effective(supervisor) < 0 || getresuid(&real, &effective, &saved) < 0 || real != 0 ||
            effective != supervisor || saved != 0)
                _exit(1);
}

/* Real and saved ID stay 0, so that a supervisor cannot kill the process that maps for it. */
static void test_signal(void) {
        const uid_t supervisor = test_slot(0).supervisor;
        pid_t victim, attacker;
        int status;

        victim = test_fork(become_mapper, NULL);
        attacker = fork();
        check(attacker >= 0);
        if (attacker == 0)
                _exit(setresuid(supervisor, supervisor, supervisor) == 0 && kill(victim, SIGKILL) < 0 && errno == EPERM ? 0 : 1);
        check(waitpid(attacker, &status, 0) == attacker);
        check_equal(status, 0);
        test_end(victim);
}

/* What an attacker with code execution would try. */
typedef struct Attack {
        const char *name;
        int (*try)(int folder);
        int expected;
} Attack;

#define result(x) ((x) < 0 ? -errno : 0)

static int open_plainly(int folder) {
        return result(syscall(SYS_openat, AT_FDCWD, "/run/victim", O_WRONLY));
}

static int read_plainly(int folder) {
        return result(syscall(SYS_openat, AT_FDCWD, "/run/victim", O_RDONLY));
}

static int open_own_name(int folder) {
        static const char name[16] = "uid_map";

        return result(syscall(SYS_openat2, folder, name, &map_constants.how, sizeof(struct open_how)));
}

static int open_own_how(int folder) {
        struct open_how how = { .flags = O_RDWR };

        return result(syscall(SYS_openat2, folder, map_constants.uid_map, &how, sizeof(how)));
}

static int open_constants(int folder) {
        return result(syscall(SYS_openat2, folder, map_constants.uid_map, &map_constants.how, sizeof(struct open_how)));
}

static int open_constants_gid(int folder) {
        return result(syscall(SYS_openat2, folder, map_constants.gid_map, &map_constants.how, sizeof(struct open_how)));
}

static int open_longer_how(int folder) {
        return result(syscall(SYS_openat2, folder, map_constants.uid_map, &map_constants.how, 32));
}

static void *page_of_constants(void) {
        return (void *) ((uintptr_t) &map_constants & ~(uintptr_t) 4095);
}

static int unprotect(int folder) {
        return result(mprotect(page_of_constants(), 4096, PROT_READ | PROT_WRITE));
}

static int map_over(int folder) {
        return mmap(page_of_constants(), 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
                               MAP_FAILED ? -errno : 0;
}

static int unmap(int folder) {
        return result(munmap(page_of_constants(), 4096));
}

static int move_over(int folder) {
        static char other[8192];
        void *page = (void *) (((uintptr_t) other + 4095) & ~(uintptr_t) 4095);

        return mremap(page, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, page_of_constants()) == MAP_FAILED ? -errno : 0;
}

static int write_memory(int folder) {
        char byte = 'x';
        struct iovec local = { &byte, 1 }, remote = { (void *) map_constants.uid_map, 1 };

        return result(process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
}

static int full_socket = -EBADF;

static int receive_over(int folder) {
        struct iovec iov = { (void *) map_constants.uid_map, 1 };
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

        return result(recvmsg(full_socket, &header, 0));
}

static int become_root_for_good(int folder) {
        return result(syscall(SYS_setresuid, 0, 0, 0));
}

static int execute(int folder) {
        char *const arguments[] = { (char *) "true", NULL };

        return result(execve("/bin/true", arguments, NULL));
}

static void load_list(void) {
        if (idmap_patch(map_constants.uid_map, &map_constants.how, map_constants.gid_map) < 0 ||
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &idmap_seccomp, 0, 0) < 0)
                _exit(99);
}

static void test_attacks(void) {
        static const Attack attacks[] = {
                { "open for writing", open_plainly, TEST_KILLED },
                { "open for reading", read_plainly, TEST_KILLED },
                { "a name of its own", open_own_name, TEST_KILLED },
                { "an open_how of its own", open_own_how, TEST_KILLED },
                { "a longer open_how", open_longer_how, TEST_KILLED },
                { "make the constants writable", unprotect, TEST_KILLED },
                { "map over the constants", map_over, TEST_KILLED },
                { "unmap the constants", unmap, TEST_KILLED },
                { "move over the constants", move_over, TEST_KILLED },
                { "write through another call", write_memory, TEST_KILLED },
                { "receive over the constants", receive_over, -EFAULT },
                { "become root", become_root_for_good, TEST_KILLED },
                { "execute", execute, TEST_KILLED },
                { "the two maps", open_constants, 0 },
                { "the two maps", open_constants_gid, 0 },
        };
        TestFirst f = test_first(test_slot(0).supervisor, 0);
        int pair[2];

        test_write_file("/run/victim", "");
        check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        check_equal(write(pair[0], "x", 1), 1);
        full_socket = pair[1];
        for (size_t i = 0; i < ELEMENTSOF(attacks); i++) {
                int r = test_attack(attacks[i].try, f.process, load_list);

                if (r != attacks[i].expected) {
                        (void) fprintf(stderr, "%s: %d instead of %d\n", attacks[i].name, r, attacks[i].expected);
                        exit(EXIT_FAILURE);
                }
        }

        /* The control: without the list these work. */
        for (size_t i = 0; i < 6; i++)
                if (i != 4)
                        check_equal(test_attack(attacks[i].try, f.process, NULL), 0);
        test_first_end(&f);
}

/* A folder of the peer's with something else under the two names. */
static void test_bait(void) {
        _cleanup_close_ int folder = -EBADF;

        check(mkdir("/run/bait", 0755) == 0);
        test_write_file("/run/bait/uid_map", "");
        check(mount("/run/victim", "/run/bait/uid_map", NULL, MS_BIND, NULL) == 0);
        check(symlink("/run/victim", "/run/bait/gid_map") == 0);
        folder = open("/run/bait", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        check_equal(test_attack(open_constants, folder, load_list), -EXDEV);
        check_equal(test_attack(open_constants_gid, folder, load_list), -ELOOP);
}

int main(int argc, char *argv[]) {
        check(argc == 2);
        row.program = argv[1];
        test_world();

        test_maps();
        test_half_mapped();
        test_nested();
        test_namespaces();
        test_processes();
        test_undumpable();
        test_parameters();
        test_signal();
        if (!TEST_INSTRUMENTED) {
                test_attacks();
                test_bait();
        }
        return 0;
}
