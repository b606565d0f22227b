/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs inside a container of test-supervisor.py: tries what container.seccomp denies and tells where the answer is another
 * than the table's. Most of these the kernel would refuse too, but with another error for the nonsense that is asked here:
 * so the error proves the list. Static, since the container has no libc. */

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void expect(const char *name, long result, int error) {
        if (result != -1 || errno != error)
                printf("wrong: %s: result %ld, errno %d\n", name, result, result < 0 ? errno : 0);
}

static void expect_family(int family, int error) {
        char name[32];
        int fd = socket(family, SOCK_STREAM, 0);

        (void) snprintf(name, sizeof(name), "socket %d", family);
        expect(name, fd, error);
        if (fd >= 0)
                (void) close(fd);
}

#ifdef __x86_64__
/* As a program of i386 asks. Addresses must be below 4 GiB, which those of a static program are. */
static long call_i386(long number, long a, long b, long c) {
        long result;

        __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c), "S"(0L), "D"(0L) : "memory", "r8", "r9", "r10", "r11");
        if (result < 0 && result > -4096) {
                errno = (int) -result;
                return -1;
        }
        return result;
}

/* Not every kernel, nor every hypervisor below it, has the gate. */
static int has_i386(void) {
        int status;
        pid_t pid = fork();

        if (pid == 0)
                _exit(call_i386(20, 0, 0, 0) == getpid() ? 0 : 1);
        return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void other_architectures(void) {
        static unsigned vsock[3] = { AF_VSOCK, SOCK_STREAM, 0 };
        static unsigned local[3] = { AF_UNIX, SOCK_STREAM, 0 };

        expect("x32 bpf", syscall(0x40000000L | SYS_bpf, 9999, 1, 0), EPERM);
        expect("x32 keyctl", syscall(0x40000000L | SYS_keyctl, 0, -3, 0), ENOSYS);
        if (!has_i386()) {
                printf("no i386 here\n");
                return;
        }
        expect("i386 ioctl", call_i386(54, -1, TIOCSTI, 1), EPERM);
        expect("i386 bpf", call_i386(357, 9999, 1, 0), EPERM);
        expect("i386 keyctl", call_i386(288, 0, -3, 0), ENOSYS);
        expect("i386 init_module", call_i386(128, 1, 1, 1), EPERM);
        expect("i386 open_by_handle_at", call_i386(342, -1, 1, 0), EPERM);
        expect("i386 vm86", call_i386(166, 0, 0, 0), ENOSYS);
        expect("i386 umount2", call_i386(52, 1, MNT_FORCE, 0), EACCES);
        expect("i386 clock_settime64", call_i386(404, 99, 1, 0), EPERM);
        expect("i386 socket", call_i386(359, AF_VSOCK, SOCK_STREAM, 0), EAFNOSUPPORT);
        expect("i386 socketcall", call_i386(102, 1, (long) vsock, 0), EAFNOSUPPORT);
        expect("i386 socketcall for a family that may be", call_i386(102, 1, (long) local, 0), EAFNOSUPPORT);
}
#else
static void other_architectures(void) {
}
#endif

#define BAD ((void *) 1) /* EFAULT wherever the kernel would look at it */

int main(void) {
        expect("kexec_load", syscall(SYS_kexec_load, 0, 0, BAD, 0), EPERM);
        expect("kexec_file_load", syscall(SYS_kexec_file_load, -1, -1, 0, BAD, 0), EPERM);
        expect("init_module", syscall(SYS_init_module, BAD, 1, BAD), EPERM);
        expect("finit_module", syscall(SYS_finit_module, -1, BAD, 0), EPERM);
        expect("delete_module", syscall(SYS_delete_module, BAD, 0), EPERM);
        expect("open_by_handle_at", syscall(SYS_open_by_handle_at, -1, BAD, 0), EPERM);
        expect("syslog", syscall(SYS_syslog, 99, BAD, -1), EPERM);
        expect("settimeofday", syscall(SYS_settimeofday, BAD, BAD), EPERM);
        expect("clock_settime", syscall(SYS_clock_settime, 99, BAD), EPERM);
        expect("swapon", syscall(SYS_swapon, BAD, 0), EPERM);
        expect("acct", syscall(SYS_acct, BAD), EPERM);
        expect("quotactl", syscall(SYS_quotactl, -1, BAD, 0, BAD), EPERM);
        expect("bpf", syscall(SYS_bpf, 9999, BAD, 0), EPERM);
        expect("perf_event_open", syscall(SYS_perf_event_open, BAD, 0, -1, -1, 0), EPERM);
        expect("userfaultfd", syscall(SYS_userfaultfd, ~0), EPERM);
        expect("io_uring_setup", syscall(SYS_io_uring_setup, 1, BAD), ENOSYS);
        expect("add_key", syscall(SYS_add_key, BAD, BAD, BAD, 0, 0), ENOSYS);
        expect("request_key", syscall(SYS_request_key, BAD, BAD, BAD, 0), ENOSYS);
        expect("keyctl", syscall(SYS_keyctl, 0, -3, 0), ENOSYS);
        expect("TIOCSTI", ioctl(-1, TIOCSTI, BAD), EPERM);
        expect("TIOCLINUX", ioctl(-1, TIOCLINUX, BAD), EPERM);
        /* The kernel looks at 32 bits: so must the list. */
        expect("TIOCSTI with an upper half", syscall(SYS_ioctl, -1L, 0x100000000L | TIOCSTI, BAD), EPERM);
        expect("umount2 by force", umount2("/proc", MNT_FORCE), EACCES);
        for (int family = 3; family <= 45; family++)
                if (family != AF_NETLINK && family != AF_PACKET && family != AF_INET6 && family != AF_KEY && family != 24 &&
                    family != 29 && family != 7 && family != 13 && family != 14)
                        expect_family(family, EAFNOSUPPORT);

        other_architectures();

        /* What must be left. */
        expect("ioctl", ioctl(-1, TIOCGWINSZ, BAD), EBADF);
        expect("mount", mount("x", "/nowhere", "tmpfs", 0, NULL), ENOENT);
        expect("ptrace", syscall(SYS_ptrace, 16, 999999, 0, 0), ESRCH);
        expect("setns", syscall(SYS_setns, -1, 0), EBADF);
        expect("reboot", syscall(SYS_reboot, 1, 2, 3, 4), EINVAL);
        if (unshare(CLONE_NEWNS) < 0)
                printf("wrong: unshare: %d\n", errno);
        printf("done\n");
        return 0;
}
