/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Test support: runs the real berth-worker as a supervisor would, and prints its pid and its last report. Runs as root;
 * part of no program that is installed.
 *
 * test-run WORKER unpack|delete FOLDER [ARCHIVE [LIMITS]]
 * ARCHIVE: a file, or - for standard input. LIMITS: what /etc/berth/limits.conf is to be, with its mode and owner; "" none. */
#include "worker.h"

#include "test-helper.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define FAR 100 /* where descriptors wait until they take their places */

static void provide_limits(const char *source) {
        struct stat st;
        char text[65536 + 64];
        ssize_t n;
        int fd;

        check(mkdir("/etc/berth", 0755) == 0);
        if (!*source)
                return;
        fd = open(source, O_RDONLY | O_CLOEXEC);
        check(fd >= 0);
        check(fstat(fd, &st) == 0);
        n = read(fd, text, sizeof(text) - 1);
        check(n >= 0);
        text[n] = 0;
        (void) close(fd);
        test_write_file("/etc/berth/limits.conf", text);
        check(chown("/etc/berth/limits.conf", st.st_uid, st.st_gid) == 0);
        check(chmod("/etc/berth/limits.conf", st.st_mode & 07777) == 0);
}

static int clone_folder(const char *path) {
        int fd = (int) syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

        check(fd >= 0);
        return fd;
}

/* The supervisor's first process, from its birth to its exec. */
_noreturn_ static void first_process(Slot slot, int go, int ready, int fds[static 3], const char *worker, const char *operation) {
        char byte;

        if (setgroups(0, NULL) < 0 || setresgid(slot.supervisor, slot.supervisor, slot.supervisor) < 0 ||
            setresuid(slot.supervisor, slot.supervisor, slot.supervisor) < 0 || unshare(CLONE_NEWUSER) < 0)
                _exit(120);
        if (write(ready, "", 1) != 1 || read(go, &byte, 1) != 1)
                _exit(121);
        if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0 || setgroups(0, NULL) < 0)
                _exit(122);
        if (unshare(CLONE_NEWNS) < 0)
                _exit(123);
        for (int i = 0; i < 3; i++)
                if (fds[i] >= 0 && dup2(fds[i], WORKER_SOCKET_FD + i) < 0)
                        _exit(124);
        if (close_range(fds[2] >= 0 ? WORKER_ARCHIVE_FD + 1 : WORKER_ARCHIVE_FD, ~0U, 0) < 0)
                _exit(125);
        (void) execl(worker, "berth-worker", operation, NULL);
        _exit(127);
}

static void map(pid_t pid, const char *which, uid_t base) {
        char path[64], line[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, which);
        (void) snprintf(line, sizeof(line), "0 %u %u\n", base, RANGE_SIZE);
        test_write_file(path, line);
}

/* Exits 77 where the file system knows no ID-mapped mounts. */
static void idmap_folder(int folder, pid_t pid) {
        struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };
        char path[64];
        int fd;

        (void) snprintf(path, sizeof(path), "/proc/%d/ns/user", (int) pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        check(fd >= 0);
        attr.userns_fd = (uint64_t) fd;
        if (syscall(SYS_mount_setattr, folder, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
                skip_test("no ID-mapped mount of this file system");
        (void) close(fd);
}

/* Reads until the last report, or the end. */
static WorkerReport read_reports(int socket, unsigned *ret_progress) {
        WorkerReport report = {};
        ssize_t size;

        while ((size = recv(socket, &report, sizeof(report), 0)) > 0) {
                check_equal(size, sizeof(report));
                check(report.type > 0 && report.type < _WORKER_REPORT_TYPE_MAX);
                check(memchr(report.step, 0, sizeof(report.step)));
                if (report.type != WORKER_PROGRESS)
                        return report;
                (*ret_progress)++;
        }
        report.type = 0;
        return report;
}

static void print_result(const WorkerReport *report, unsigned progress, int status, long memory) {
        static const char *const names[_WORKER_REPORT_TYPE_MAX] = {
                [0] = "none", [WORKER_DONE] = "done", [WORKER_BAD_ARCHIVE] = "bad-archive", [WORKER_FAILED] = "failed",
        };

        (void) printf("{\"type\": \"%s\", \"error\": \"%s\", \"entries\": %llu, \"bytes\": %llu, \"skipped\": %llu, "
                      "\"step\": \"%s\", \"progress\": %u, \"status\": %d, \"memory\": %ld}\n",
                      names[report->type], report->error ? strerrorname_np(report->error) : "",
                      (unsigned long long) report->entries, (unsigned long long) report->bytes,
                      (unsigned long long) report->skipped, report->step, progress, status, memory);
}

int main(int argc, char *argv[]) {
        int sockets[2], go[2], ready[2], fds[3], status;
        unsigned progress = 0;
        WorkerReport report;
        struct rusage usage;
        Slot slot;
        pid_t pid;
        char byte;

        check(argc >= 4);
        fds[1] = clone_folder(argv[3]);
        fds[2] = argc < 5 ? -EBADF : streq(argv[4], "-") ? STDIN_FILENO : open(argv[4], O_RDONLY | O_CLOEXEC);
        check(argc < 5 || fds[2] >= 0);
        test_world();
        provide_limits(argc < 6 ? "" : argv[5]);
        slot = test_slot(0);

        check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
        fds[0] = sockets[1];
        for (int i = 0; i < 3; i++)
                if (fds[i] >= 0)
                        fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FAR);
        check(pipe2(go, O_CLOEXEC) == 0 && pipe2(ready, O_CLOEXEC) == 0);
        pid = fork();
        check(pid >= 0);
        if (pid == 0)
                first_process(slot, go[0], ready[1], fds, argv[1], argv[2]);
        (void) close(ready[1]);
        (void) close(sockets[1]);
        (void) close(fds[0]);
        if (fds[2] >= 0)
                (void) close(fds[2]);
        (void) close(STDIN_FILENO);
        check_equal(read(ready[0], &byte, 1), 1);
        map(pid, "uid_map", slot.base);
        map(pid, "gid_map", slot.base);
        idmap_folder(fds[1], pid);
        (void) close(fds[1]);
        (void) printf("%d\n", (int) pid);
        (void) fflush(stdout);
        check_equal(write(go[1], "", 1), 1);

        report = read_reports(sockets[0], &progress);
        check(wait4(pid, &status, 0, &usage) == pid);
        print_result(&report, progress, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), usage.ru_maxrss);
        return EXIT_SUCCESS;
}
