/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads filters that seccomp-compile made into children, makes calls there, and sees which die. */
#include "allow-seccomp.h"
#include "deny-seccomp.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLED (-1000)
#define UPPER (1UL << 32)

static const char first[] = "/dev/null", second[] = "/dev/zero", third[] = "/dev/null";
static const struct sock_fprog *program;

/* Makes one call under the filter. Returns 0 for success, the negative errno, or KILLED. */
static int try(long (*call)(const long a[]), const long a[]) {
        int status;
        pid_t pid = fork();

        assert(pid >= 0);
        if (pid == 0) {
                long r;

                if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program) < 0)
                        _exit(255);
                r = call(a);
                _exit(r < 0 ? (int) -r : 0);
        }
        assert(waitpid(pid, &status, 0) == pid);
        if (WIFSIGNALED(status)) {
                assert(WTERMSIG(status) == SIGSYS);
                return KILLED;
        }
        assert(WEXITSTATUS(status) != 255);
        return -WEXITSTATUS(status);
}

static long call_syscall(const long a[]) {
        long r = syscall(a[0], a[1], a[2], a[3], a[4]);

        return r < 0 ? -errno : 0;
}

#define TRY(...) try(call_syscall, (const long[8]) { __VA_ARGS__ })

#ifdef __x86_64__
/* A call by the i386 entry. The kernel may lack it, which then looks like a fault, so ask first. */
static long call_i386(const long a[]) {
        long r;

        __asm__ volatile("int $0x80" : "=a"(r) : "a"(a[0]), "b"(a[1]) : "memory");
        return r < 0 && r > -4096 ? r : 0;
}

static int i386_is_there(void) {
        int status;
        pid_t pid = fork();

        assert(pid >= 0);
        if (pid == 0) {
                (void) call_i386((const long[]) { 64, 0 });
                _exit(0);
        }
        assert(waitpid(pid, &status, 0) == pid);
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
#endif

static void test_allow(void) {
        program = &allow_seccomp;
        assert(allow_patch(first, second) == 0);

        assert(TRY(SYS_getppid) == 0);
        assert(TRY(SYS_setuid, 0) == KILLED);
        assert(TRY(SYS_chdir, 0) == KILLED);

        /* int: the upper half does not count; arg: it does. */
        assert(TRY(SYS_getuid, 7) == 0);
        assert(TRY(SYS_getuid, (long) (UPPER | 7)) == 0);
        assert(TRY(SYS_getuid, 8) == KILLED);
        assert(TRY(SYS_getgid, 7) == 0);
        assert(TRY(SYS_getgid, (long) (UPPER | 7)) == KILLED);

        /* Two conditions must both hold. */
        assert(TRY(SYS_geteuid, 0x5f, 4) == 0);
        assert(TRY(SYS_geteuid, 0x5f, 3) == KILLED);
        assert(TRY(SYS_geteuid, 0x4f, 4) == KILLED);

        /* The including table widens the condition of the included one. */
        assert(TRY(SYS_getegid, 2) == 0);

        assert(TRY(SYS_newfstatat) == -EPERM);
        assert(TRY(SYS_umask, 1) == -ENOENT);
        assert(TRY(SYS_umask, 2) == 0);
        assert(TRY(SYS_umask, 3) == KILLED);

        /* By number: set_mempolicy_home_node, which refuses all zeroes or does not exist. */
        assert(TRY(450) != KILLED);

        /* Patched addresses, not equal text. */
        assert(TRY(SYS_openat, AT_FDCWD, (long) first, O_RDONLY) == 0);
        assert(TRY(SYS_openat, AT_FDCWD, (long) first, O_WRONLY) == KILLED);
        assert(TRY(SYS_openat, AT_FDCWD, (long) second, O_WRONLY) == 0);
        assert(TRY(SYS_openat, AT_FDCWD, (long) third, O_RDONLY) == KILLED);
        assert(TRY(SYS_openat, AT_FDCWD, (long) ((unsigned long) first ^ UPPER), O_RDONLY) == KILLED);
        assert(allow_patch((void *) 1UL, (void *) (UPPER | 1)) < 0);

#ifdef __x86_64__
        /* getppid is in the list, but not by another entry. */
        assert(TRY(0x40000000 | SYS_getppid) == KILLED);
        if (i386_is_there())
                assert(try(call_i386, (const long[]) { 64, 0 }) == KILLED);
#endif
}

static void test_deny(void) {
#ifdef __x86_64__
        program = &deny_seccomp;
        assert(TRY(SYS_getppid) == -ENOSYS);
        assert(TRY(SYS_getuid) == 0);
        assert(TRY(SYS_umask, 2) == 0);
        assert(TRY(SYS_umask, 1) == KILLED);
        assert(TRY(SYS_umask, (long) (UPPER | 1)) == KILLED);
        assert(TRY(SYS_getpid) == -EPERM);
        assert(TRY(0x40000000 | SYS_getpid) == -EPERM);
        if (i386_is_there()) {
                assert(try(call_i386, (const long[]) { 20, 0 }) == -EPERM);
                assert(try(call_i386, (const long[]) { 60, 1 }) == KILLED);
                assert(try(call_i386, (const long[]) { 60, 2 }) == 0);
        } else
                (void) fprintf(stderr, "no i386 entry in this kernel: not tried\n");
#endif
}

int main(void) {
        test_allow();
        test_deny();
        return EXIT_SUCCESS;
}
