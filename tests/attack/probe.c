/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* attack-probe - makes each of the attempts of a table, one a line: NAME ERRNO ("OK" where the kernel did it).
 *
 * For tests: runs as a container's root, and, as the control, as the host's. Has no right of its own. Arguments of
 * what would hurt are wrong on purpose: a caller who may hears EFAULT or EINVAL of them, one who may not hears EPERM.
 * `attack-probe` makes all; `attack-probe pid N` those that are about one process that is not ours. */

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <linux/tiocl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define STALE "/run/attack-probe-node"

static long own_terminal(unsigned long request, void *argument) {
        int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
        long r;

        if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
                return -1;
        slave = open(ptsname(master), O_RDWR | O_NOCTTY);
        if (slave < 0)
                return -1;
        r = ioctl(slave, request, argument);
        return r;
}

static long tiocsti(void) {
        return own_terminal(TIOCSTI, (char[]){ "x" });
}
static long tiocsti_high(void) {
        return own_terminal(TIOCSTI | 1UL << 32, (char[]){ "x" });
}
static long tioclinux(void) {
        return own_terminal(TIOCLINUX, (char[]){ TIOCL_GETMOUSEREPORTING, 0 });
}
static long kexec_load(void) {
        return syscall(SYS_kexec_load, 0, 1000, NULL, 0);
}
static long kexec_file_load(void) {
        return syscall(SYS_kexec_file_load, -1, -1, 0, NULL, ~0UL);
}
static long init_module(void) {
        return syscall(SYS_init_module, NULL, 0, "");
}
static long finit_module(void) {
        return syscall(SYS_finit_module, -1, "", 0);
}
static long delete_module(void) {
        return syscall(SYS_delete_module, "no-such-module", O_NONBLOCK);
}
static long bpf_load(void) {
        return syscall(SYS_bpf, 5, NULL, 0);
}
static long bpf_map(void) {
        return syscall(SYS_bpf, 0, (char[128]){}, 72);
}
static long perf(void) {
        return syscall(SYS_perf_event_open, (char[128]){}, -1, 0, -1, 0);
}
static long handle(void) {
        struct {
                struct file_handle h;
                char data[16];
        } f = { .h = { .handle_bytes = 8, .handle_type = 1 } };
        return syscall(SYS_open_by_handle_at, AT_FDCWD, &f, O_RDONLY);
}
static long kernel_log(void) {
        return syscall(SYS_syslog, 3, (char[16]){}, 16);
}
static long set_clock(void) {
        return syscall(SYS_clock_settime, 0, (struct timespec[]){ { -1, -1 } });
}
static long swap_on(void) {
        return swapon("/no-such-file", 0);
}
static long account(void) {
        return syscall(SYS_acct, "/no-such-file");
}
static long ports(void) {
        return syscall(SYS_iopl, 3);
}
static long fault(void) {
        return syscall(SYS_userfaultfd, 0);
}
static long ring(void) {
        return syscall(SYS_io_uring_setup, 0, NULL);
}
static long key_add(void) {
        return syscall(SYS_add_key, "user", "berth-probe", "x", 1, KEY_SPEC_PROCESS_KEYRING);
}
static long key_of_user(void) {
        return syscall(SYS_keyctl, KEYCTL_READ, KEY_SPEC_USER_KEYRING, NULL, 0);
}
static long key_ask(void) {
        return syscall(SYS_request_key, "user", "berth-probe", NULL, 0);
}
static long node(mode_t mode, unsigned major_number, unsigned minor_number) {
        long r;

        (void) unlink(STALE);
        r = mknod(STALE, mode | 0600, makedev(major_number, minor_number));
        if (r == 0)
                (void) unlink(STALE);
        return r;
}
static long node_disk(void) {
        return node(S_IFBLK, 8, 0);
}
static long node_memory(void) {
        return node(S_IFCHR, 1, 1);
}
static long node_ports(void) {
        return node(S_IFCHR, 1, 4);
}
static long node_fuse(void) {
        return node(S_IFCHR, 10, 229);
}
static long disk_mount(void) {
        int fd = (int) syscall(SYS_fsopen, "ext4", 0);
        return fd < 0 && errno == ENODEV ? (errno = EPERM, -1)
               : fd < 0                  ? -1
                                         : syscall(SYS_fsconfig, fd, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0);
}
static long debug_mount(void) {
        return mount("debugfs", "/mnt", "debugfs", 0, NULL);
}
static long trace_mount(void) {
        return mount("tracefs", "/mnt", "tracefs", 0, NULL);
}
static long security_mount(void) {
        return mount("securityfs", "/mnt", "securityfs", 0, NULL);
}
static long devtmpfs_mount(void) {
        return mount("devtmpfs", "/mnt", "devtmpfs", 0, NULL);
}
static long write_file(const char *path, const char *text) {
        int fd = open(path, O_WRONLY);
        return fd < 0 ? -1 : write(fd, text, strlen(text));
}
/* The value that is there is written back: a control changes nothing. */
static long rewrite(const char *path) {
        char text[4096] = "";
        int fd = open(path, O_RDONLY);

        if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
                return -1;
        (void) close(fd);
        return write_file(path, text);
}
static long sysctl_panic(void) {
        return rewrite("/proc/sys/kernel/panic");
}
static long sysctl_core(void) {
        return rewrite("/proc/sys/kernel/core_pattern");
}
static long sysctl_modprobe(void) {
        return rewrite("/proc/sys/kernel/modprobe");
}
static long sysctl_vm(void) {
        return rewrite("/proc/sys/vm/overcommit_memory");
}
static long sysctl_fs(void) {
        return rewrite("/proc/sys/fs/file-max");
}
static long sysrq(void) {
        return write_file("/proc/sysrq-trigger", "?");
}
static long oom_score(void) {
        return write_file("/proc/self/oom_score_adj", "-1000");
}
static long thread_host_priority(void) {
        return syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, (int[]){ 50 });
}
static long vsock(void) {
        return socket(AF_VSOCK, SOCK_STREAM, 0);
}
static long algorithm(void) {
        return socket(AF_ALG, SOCK_SEQPACKET, 0);
}
static long audit(void) {
        int fd = socket(AF_NETLINK, SOCK_RAW, 9);
        struct {
                uint32_t length;
                uint16_t type, flags;
                uint32_t sequence, pid;
        } get = { 16, 1000, 5, 1, 0 };
        char answer[256];
        int32_t error = 0;

        if (fd < 0 || send(fd, &get, sizeof(get), 0) < 0 || recv(fd, answer, sizeof(answer), MSG_DONTWAIT) < 20)
                return -1;
        memcpy(&error, answer + 16, sizeof(error));
        if (((uint16_t) (unsigned char) answer[4] | (uint16_t) (unsigned char) answer[5] << 8) == 2 && error < 0)
                return errno = -error, -1;
        return 0;
}

typedef struct Attempt {
        const char *name;
        long (*make)(void);
} Attempt;

static const Attempt attempts[] = {
        { "tiocsti", tiocsti },
        { "tiocsti-high-bits", tiocsti_high },
        { "tioclinux", tioclinux },
        { "kexec_load", kexec_load },
        { "kexec_file_load", kexec_file_load },
        { "init_module", init_module },
        { "finit_module", finit_module },
        { "delete_module", delete_module },
        { "bpf-program", bpf_load },
        { "bpf-map", bpf_map },
        { "perf_event_open", perf },
        { "open_by_handle_at", handle },
        { "syslog", kernel_log },
        { "clock_settime", set_clock },
        { "swapon", swap_on },
        { "acct", account },
        { "iopl", ports },
        { "userfaultfd", fault },
        { "io_uring_setup", ring },
        { "add_key", key_add },
        { "keyctl-user-keyring", key_of_user },
        { "request_key", key_ask },
        { "mknod-disk", node_disk },
        { "mknod-mem", node_memory },
        { "mknod-port", node_ports },
        { "mknod-fuse", node_fuse },
        { "mount-ext4", disk_mount },
        { "mount-debugfs", debug_mount },
        { "mount-tracefs", trace_mount },
        { "mount-securityfs", security_mount },
        { "mount-devtmpfs", devtmpfs_mount },
        { "sysctl-panic", sysctl_panic },
        { "sysctl-core_pattern", sysctl_core },
        { "sysctl-modprobe", sysctl_modprobe },
        { "sysctl-overcommit", sysctl_vm },
        { "sysctl-file-max", sysctl_fs },
        { "sysrq-trigger", sysrq },
        { "oom_score_adj", oom_score },
        { "realtime-priority", thread_host_priority },
        { "socket-vsock", vsock },
        { "socket-alg", algorithm },
        { "audit", audit },
        {},
};

/* About a process of somebody else's. */
static pid_t target;

static long p_signal(void) {
        return kill(target, 0);
}
static long p_trace(void) {
        long r = ptrace(PTRACE_SEIZE, target, NULL, NULL);
        if (r == 0)
                (void) ptrace(PTRACE_DETACH, target, NULL, NULL);
        return r;
}
static long p_open(const char *name, int flags) {
        char path[64];
        int fd;

        (void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) target, name);
        fd = open(path, flags);
        if (fd >= 0)
                (void) close(fd);
        return fd;
}
static long p_root(void) {
        return p_open("root/etc", O_RDONLY);
}
static long p_cwd(void) {
        return p_open("cwd/.", O_RDONLY);
}
static long p_memory(void) {
        return p_open("mem", O_RDONLY);
}
static long p_fds(void) {
        return p_open("fd", O_RDONLY);
}
static long p_environment(void) {
        return p_open("environ", O_RDONLY);
}
static long p_userns(void) {
        return p_open("ns/user", O_RDONLY);
}
static long p_mntns(void) {
        return p_open("ns/mnt", O_RDONLY);
}
static long p_map(void) {
        return p_open("uid_map", O_WRONLY);
}
static long p_score(void) {
        return p_open("oom_score_adj", O_WRONLY);
}
static long p_read(void) {
        char byte;
        struct iovec here = { &byte, 1 }, there = { (void *) 0x400000, 1 };
        long r = syscall(SYS_process_vm_readv, target, &here, 1UL, &there, 1UL, 0UL);

        return r < 0 && errno == EFAULT ? 0 : r;
}
static long p_steal(void) {
        int pidfd = (int) syscall(SYS_pidfd_open, target, 0);
        return pidfd < 0 ? -1 : syscall(SYS_pidfd_getfd, pidfd, 0, 0);
}
static long p_setns(void) {
        int pidfd = (int) syscall(SYS_pidfd_open, target, 0), status = 0;
        pid_t pid;

        if (pidfd < 0)
                return -1;
        pid = fork();
        if (pid == 0)
                _exit(syscall(SYS_setns, pidfd, CLONE_NEWUTS) < 0 ? errno : 0);
        if (pid < 0 || waitpid(pid, &status, 0) < 0)
                return -1;
        errno = WEXITSTATUS(status);
        return errno ? -1 : 0;
}
static long p_limit(void) {
        return syscall(SYS_prlimit64, target, 7, NULL, (char[16]){});
}
static long p_priority(void) {
        return syscall(SYS_sched_setaffinity, target, 128UL, memset((char[128]){}, 0xff, 128));
}

static const Attempt process_attempts[] = {
        { "kill", p_signal },
        { "ptrace", p_trace },
        { "process_vm_readv", p_read },
        { "pidfd_getfd", p_steal },
        { "setns", p_setns },
        { "prlimit", p_limit },
        { "sched_setaffinity", p_priority },
        { "proc-root", p_root },
        { "proc-cwd", p_cwd },
        { "proc-mem", p_memory },
        { "proc-fd", p_fds },
        { "proc-environ", p_environment },
        { "proc-ns-user", p_userns },
        { "proc-ns-mnt", p_mntns },
        { "proc-uid_map", p_map },
        { "proc-oom_score_adj", p_score },
        {},
};

/* Each in a child: one that stops or ends its process takes nothing along. */
static void make_all(const Attempt *list) {
        for (const Attempt *a = list; a->name; a++) {
                int status = 0;
                pid_t pid = fork();

                if (pid == 0) {
                        (void) alarm(5);
                        errno = 0;
                        _exit(a->make() < 0 ? errno : 0);
                }
                if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
                        (void) printf("%s ENDED\n", a->name);
                else
                        (void) printf("%s %s\n", a->name,
                                      WEXITSTATUS(status) ? strerrorname_np(WEXITSTATUS(status)) : "OK");
        }
}

int main(int argc, char *argv[]) {
        (void) setvbuf(stdout, NULL, _IONBF, 0);
        if (argc == 3 && strcmp(argv[1], "pid") == 0) {
                target = (pid_t) atoi(argv[2]);
                make_all(process_attempts);
        } else
                make_all(attempts);
        return EXIT_SUCCESS;
}
