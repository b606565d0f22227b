/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The floor: the same container by bare system calls, with no daemon, no configuration, no library and no helper. What the
 * benchmark's bars are multiples of.
 *
 *     floor ROOTFS BASE     as root; BASE: first host ID of the range
 *
 * Starts ROOTFS/sbin/bench-init in mount, UTS, IPC, PID, network, user and cgroup namespaces, in a cgroup of its own in every
 * hierarchy below the caller's (v2: born there; v1: joined from within), with device rules, five denied system calls and a
 * cut bounding set; runs /bin/true in it as an exec would; kills it and removes the cgroups. Prints when it began, and how
 * long exec and stop took, in ns. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX 24

/* A floor that fell through a step is no floor. */
#define must(x)                                                                                                        \
        ({                                                                                                             \
                long _r = (long) (x);                                                                                  \
                if (_r < 0) {                                                                                          \
                        (void) dprintf(2, "floor: line %d: %s: %s\n", __LINE__, #x, strerror(errno));                  \
                        _exit(1);                                                                                      \
                }                                                                                                      \
                _r;                                                                                                    \
        })

static char v1_path[MAX][192], v2_path[192];
static int v1_tasks[MAX], v2_fd, n_v1;
static const char *rootfs;
static unsigned base;

static long long now(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (long long) t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int write_file(const char *path, const char *text) {
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        ssize_t n;

        if (fd < 0)
                return -1;
        n = write(fd, text, strlen(text));
        (void) close(fd);
        return n < 0 ? -1 : 0;
}

static void copy_cpuset(const char *dir, const char *file) {
        char path[256], text[256];
        ssize_t n;
        int fd;

        (void) snprintf(path, sizeof(path), "%s/../%s", dir, file);
        fd = (int) must(open(path, O_RDONLY | O_CLOEXEC));
        n = must(read(fd, text, sizeof(text) - 1));
        text[n] = '\0';
        (void) close(fd);
        (void) snprintf(path, sizeof(path), "%s/%s", dir, file);
        must(write_file(path, text));
}

static void make_cgroups(void) {
        static const char *const allowed[] = { "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm",
                                               "c 1:9 rwm", "c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm" };
        DIR *d = opendir("/sys/fs/cgroup");
        char path[256];

        must(d ? 0 : -1);
        for (struct dirent *e; (e = readdir(d));) {
                struct stat st;

                (void) snprintf(path, sizeof(path), "/sys/fs/cgroup/%.64s", e->d_name);
                if (e->d_name[0] == '.' || lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
                        continue;
                (void) snprintf(path, sizeof(path), "/sys/fs/cgroup/%.64s/cgroup.procs", e->d_name);
                if (access(path, F_OK) < 0)
                        continue;
                if (strcmp(e->d_name, "unified") == 0) {
                        (void) snprintf(v2_path, sizeof(v2_path), "/sys/fs/cgroup/unified/floor.%d", (int) getpid());
                        must(mkdir(v2_path, 0755));
                        v2_fd = (int) must(open(v2_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
                        continue;
                }
                (void) snprintf(v1_path[n_v1], sizeof(v1_path[n_v1]), "/sys/fs/cgroup/%.64s/floor.%d", e->d_name,
                                (int) getpid());
                must(mkdir(v1_path[n_v1], 0755));
                if (strcmp(e->d_name, "cpuset") == 0) {
                        copy_cpuset(v1_path[n_v1], "cpuset.cpus");
                        copy_cpuset(v1_path[n_v1], "cpuset.mems");
                }
                if (strcmp(e->d_name, "devices") == 0) {
                        (void) snprintf(path, sizeof(path), "%s/devices.deny", v1_path[n_v1]);
                        must(write_file(path, "a"));
                        (void) snprintf(path, sizeof(path), "%s/devices.allow", v1_path[n_v1]);
                        for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
                                must(write_file(path, allowed[i]));
                }
                (void) snprintf(path, sizeof(path), "%s/tasks", v1_path[n_v1]);
                v1_tasks[n_v1] = (int) must(open(path, O_WRONLY | O_CLOEXEC));
                n_v1++;
        }
        (void) closedir(d);
}

static void remove_cgroups(void) {
        for (int i = 0; i < n_v1; i++)
                must(rmdir(v1_path[i]));
        if (v2_fd >= 0)
                must(rmdir(v2_path));
}

static void confine(void) {
        static const int dropped[] = { CAP_MAC_ADMIN, CAP_MAC_OVERRIDE, CAP_SYS_TIME, CAP_SYS_MODULE, CAP_SYS_RAWIO };
        static struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 7),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kexec_load, 4, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_open_by_handle_at, 3, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_init_module, 2, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_finit_module, 1, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_delete_module, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

        for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++)
                must(prctl(PR_CAPBSET_DROP, dropped[i], 0, 0, 0));
        must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
}

static void become_root(void) {
        must(syscall(SYS_setgroups, 0, NULL));
        must(setresgid(0, 0, 0));
        must(setresuid(0, 0, 0));
}

static void join_v1(void) {
        for (int i = 0; i < n_v1; i++)
                must(write(v1_tasks[i], "0", 1));
}

static void build_root(void) {
        static const char *const nodes[] = { "null", "zero", "full", "random", "urandom", "tty" };
        struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
        int s, fd;

        must(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL));
        must(mount(rootfs, rootfs, NULL, MS_BIND, NULL));
        must(chdir(rootfs));
        must(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
        must(mount("sysfs", "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL));
        must(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "size=500000,mode=755"));
        for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
                char from[32], to[32];

                (void) snprintf(from, sizeof(from), "/dev/%s", nodes[i]);
                (void) snprintf(to, sizeof(to), "dev/%s", nodes[i]);
                fd = (int) must(open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
                (void) close(fd);
                must(mount(from, to, NULL, MS_BIND, NULL));
        }
        must(mkdir("dev/pts", 0755));
        must(mkdir("dev/shm", 01777));
        must(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"));
        must(mount("tmpfs", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, NULL));
        must(symlink("pts/ptmx", "dev/ptmx"));
        must(syscall(SYS_pivot_root, ".", "."));
        must(umount2(".", MNT_DETACH));
        must(chdir("/"));
        must(sethostname("floor", 5));
        s = (int) must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        must(ioctl(s, SIOCSIFFLAGS, &lo));
        (void) close(s);
}

static int first_process(int gate) {
        static char *const argv[] = { (char *) "/sbin/bench-init", NULL };
        char c;

        must(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
        must(read(gate, &c, 1) == 1 ? 0 : -1);
        join_v1();
        must(unshare(CLONE_NEWCGROUP));
        become_root();
        build_root();
        confine();
        must(execv(argv[0], argv));
        return 1;
}

static pid_t clone_into(uint64_t flags, int *pidfd) {
        struct clone_args args = {
                .flags = flags | CLONE_PIDFD | (v2_fd >= 0 ? CLONE_INTO_CGROUP : 0),
                .pidfd = (uintptr_t) pidfd,
                .exit_signal = SIGCHLD,
                .cgroup = v2_fd >= 0 ? (uint64_t) v2_fd : 0,
        };

        return (pid_t) must(syscall(SYS_clone3, &args, sizeof(args)));
}

static void map_ids(pid_t pid) {
        char path[64], map[64];

        (void) snprintf(map, sizeof(map), "0 %u 65536\n", base);
        (void) snprintf(path, sizeof(path), "/proc/%d/uid_map", (int) pid);
        must(write_file(path, map));
        (void) snprintf(path, sizeof(path), "/proc/%d/gid_map", (int) pid);
        must(write_file(path, map));
}

/* Joins the container as an exec does: cgroups, all namespaces, a second process, which is confined and executes. */
static void exec_true(int container) {
        static char *const argv[] = { (char *) "/bin/true", NULL };
        int pidfd, status;
        pid_t pid;

        pid = clone_into(0, &pidfd);
        if (pid == 0) {
                pid_t inner;

                join_v1();
                must(setns(container, CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET |
                                              CLONE_NEWCGROUP));
                inner = (pid_t) must(fork());
                if (inner == 0) {
                        become_root();
                        confine();
                        must(execv(argv[0], argv));
                }
                must(waitpid(inner, &status, 0));
                _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
        }
        must(waitpid(pid, &status, 0));
        must(status == 0 ? 0 : -1);
        (void) close(pidfd);
}

/* init has written /stamp: it is up. */
static void wait_for_stamp(void) {
        char path[512];

        (void) snprintf(path, sizeof(path), "%s/stamp", rootfs);
        for (int i = 0; access(path, F_OK) < 0; i++) {
                must(i < 5000 ? 0 : -1);
                (void) usleep(1000);
        }
}

int main(int argc, char *argv[]) {
        long long begin, t;
        int pidfd, gate[2];
        pid_t pid;

        begin = now();
        if (argc != 3)
                return 2;
        rootfs = argv[1];
        base = (unsigned) strtoul(argv[2], NULL, 10);
        v2_fd = -1;

        make_cgroups();
        must(pipe2(gate, O_CLOEXEC));
        pid = clone_into(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET, &pidfd);
        if (pid == 0)
                return first_process(gate[0]);
        map_ids(pid);
        must(write(gate[1], "x", 1));
        wait_for_stamp();
        (void) printf("begin: %lld\n", begin);

        (void) usleep(80000);
        t = now();
        exec_true(pidfd);
        (void) printf("exec: %lld\n", now() - t);

        (void) usleep(80000);
        t = now();
        must(kill(pid, SIGKILL));
        must(waitpid(pid, NULL, 0));
        remove_cgroups();
        (void) printf("stop: %lld\n", now() - t);
        return 0;
}
