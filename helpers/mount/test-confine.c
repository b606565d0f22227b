/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the seccomp list leaves to somebody who runs code in berth-mount, with its capabilities, before and after. */

#include "test-helper.h"

#include "mount-seccomp.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define BIT(c) (UINT64_C(1) << (c))
#define SECRET "/run/secret/file"
#define SIZE 6

static const TestRow row = { NULL, NULL, TEST_HELPER, BIT(CAP_SYS_ADMIN) | BIT(CAP_DAC_READ_SEARCH) };

static void helper_alone(void) {
        test_become(&row);
}

static void confine(void) {
        test_become(&row);
        check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &mount_seccomp, 0, 0) == 0);
}

#define result(x) ((x) < 0 ? -errno : 0)

/* The one call of the list that opens. */
static int open_secret(void) {
        const uint64_t how[3] = { O_RDONLY };

        return (int) syscall(SYS_openat2, AT_FDCWD, SECRET, how, sizeof(how));
}

static int open_plainly(int unused) {
        return result(syscall(SYS_openat, AT_FDCWD, SECRET, O_RDONLY));
}

static int read_file(int unused) {
        char text[SIZE];

        return result(read(open_secret(), text, sizeof(text)));
}

static int pread_file(int unused) {
        char text[SIZE];

        return result(pread(open_secret(), text, sizeof(text), 0));
}

static int readv_file(int unused) {
        char text[SIZE];
        struct iovec v = { text, sizeof(text) };

        return result(readv(open_secret(), &v, 1));
}

static int map_file(int unused) {
        const char *text = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, open_secret(), 0);

        return text == MAP_FAILED ? -errno : 0;
}

static int send_file(int unused) {
        return result(sendfile(STDERR_FILENO, open_secret(), NULL, 0));
}

static int splice_file(int unused) {
        int pipes[2];

        return pipe(pipes) < 0 ? -errno : result(splice(open_secret(), NULL, pipes[1], NULL, SIZE, 0));
}

static int list_folder(int unused) {
        const uint64_t how[3] = { O_RDONLY | O_DIRECTORY };
        char buffer[256];

        return result(syscall(SYS_getdents64, syscall(SYS_openat2, AT_FDCWD, "/run/secret", how, sizeof(how)), buffer,
                              sizeof(buffer)));
}

static int write_file(int unused) {
        const uint64_t how[3] = { O_WRONLY };

        return result(write((int) syscall(SYS_openat2, AT_FDCWD, "/run/own", how, sizeof(how)), "x", 1));
}

static int execute(int unused) {
        char *const none[] = { NULL };

        return result(execve("/bin/true", (char *[]) { (char *) "true", NULL }, none));
}

static int fork_plainly(int unused) {
        pid_t pid = (pid_t) syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

        if (pid == 0)
                _exit(0);
        return result(pid);
}

static int unshare_flags(int flags) {
        return result(unshare(flags));
}

static int mount_old(int unused) {
        return result(mount("tmpfs", "/run/own-folder", "tmpfs", 0, NULL));
}

static int unmount(int unused) {
        return result(umount2("/run/mounted", MNT_DETACH));
}

static int enter_namespace(int unused) {
        return result(setns(STDERR_FILENO, CLONE_NEWNS));
}

static int make_socket(int unused) {
        return result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int trace(int unused) {
        return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int stop_berthd(int unused) {
        return result(kill(getppid(), 0));
}

static int find_folder(int unused) {
        const uint64_t how[3] = { O_PATH | O_DIRECTORY };

        return result(syscall(SYS_openat2, AT_FDCWD, "/run/secret", how, sizeof(how)));
}

static int clone_mount(int unused) {
        return result(syscall(SYS_open_tree, AT_FDCWD, "/run/secret", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
}

typedef struct Attack {
        const char *name;
        int (*try)(int);
        int argument;
        int expected;
        int without; /* what the same gets with the user and capabilities alone: the control */
} Attack;

static const Attack attacks[] = {
        { "open a file", open_plainly, 0, TEST_KILLED, 0 },
        { "read a file", read_file, 0, TEST_KILLED, 0 },
        { "read a file at an offset", pread_file, 0, TEST_KILLED, 0 },
        { "read a file into pieces", readv_file, 0, TEST_KILLED, 0 },
        { "map a file", map_file, 0, TEST_KILLED, 0 },
        { "send a file", send_file, 0, TEST_KILLED, 0 },
        { "splice a file", splice_file, 0, TEST_KILLED, 0 },
        { "list a folder", list_folder, 0, TEST_KILLED, 0 },
        { "write a file", write_file, 0, TEST_KILLED, 0 },
        { "execute", execute, 0, TEST_KILLED, 0 },
        { "fork", fork_plainly, 0, TEST_KILLED, 0 },
        { "make a network namespace", unshare_flags, CLONE_NEWNET, TEST_KILLED, 0 },
        { "make a user namespace alone", unshare_flags, CLONE_NEWUSER, TEST_KILLED, 0 },
        { "mount by path", mount_old, 0, TEST_KILLED, 0 },
        { "unmount", unmount, 0, TEST_KILLED, 0 },
        { "enter a namespace", enter_namespace, 0, TEST_KILLED, -EINVAL },
        { "make a socket", make_socket, 0, TEST_KILLED, 0 },
        { "trace", trace, 0, TEST_KILLED, 0 },
        { "signal", stop_berthd, 0, TEST_KILLED, -EPERM },
        /* and its work */
        { "find a folder", find_folder, 0, 0, 0 },
        { "clone a mount", clone_mount, 0, 0, 0 },
};

static void expect(const Attack *a, void (*how)(void), const char *as, int expected) {
        int r = test_attack(a->try, a->argument, how);

        if (r == expected)
                return;
        (void) fprintf(stderr, "%s (%s): got %d, expected %d\n", a->name, as, r, expected);
        exit(EXIT_FAILURE);
}

int main(void) {
        if (TEST_INSTRUMENTED)
                return EXIT_SUCCESS; /* its list is wider */
        test_world();
        check(mkdir("/run/secret", 0700) == 0 && mkdir("/run/own-folder", 0755) == 0 && mkdir("/run/mounted", 0755) == 0);
        test_write_file(SECRET, "secret");
        test_write_file("/run/own", "");
        check(chown("/run/own", TEST_HELPER, TEST_HELPER) == 0);

        for (size_t i = 0; i < ELEMENTSOF(attacks); i++)
                for (unsigned k = 0; k < 2; k++) {
                        check(mount("tmpfs", "/run/mounted", "tmpfs", 0, NULL) == 0);
                        expect(attacks + i, k == 0 ? helper_alone : confine, k == 0 ? "without the list" : "confined",
                               k == 0 ? attacks[i].without : attacks[i].expected);
                        (void) umount2("/run/mounted", MNT_DETACH);
                        (void) umount2("/run/own-folder", MNT_DETACH);
                }
        return EXIT_SUCCESS;
}
