/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Test support: starts the real helpers as the spawner would. Runs as root in namespaces of its own; no part of any
 * program that is installed. */

#include "test-helper.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#define ANSWER_SECONDS 60

void test_write_file(const char *path, const char *text) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        check(fd >= 0);
        check_equal(write(fd, text, strlen(text)), strlen(text));
}

static void write_delegation(const char *path) {
        char text[128];

        (void) snprintf(text, sizeof(text), "root:100000:65536\nberth:%u:%u\n", TEST_FIRST,
                        (TEST_SLOTS + 1) * RANGE_SIZE);
        test_write_file(path, text);
}

void test_world(void) {
        char line[256];

        if (geteuid() != 0)
                skip_test("needs root");
        if (unshare(CLONE_NEWNS) < 0)
                skip_test("needs a mount namespace of its own");
        (void) umask(022);
        check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
        check(mount("tmpfs", "/etc", "tmpfs", 0, "mode=0755") == 0);
        check(mount("tmpfs", "/run", "tmpfs", 0, "mode=0755") == 0);

        (void) snprintf(line, sizeof(line), "root:x:0:0::/:/bin/sh\nberth:x:%u:%u::/:/bin/false\nhelper:x:%u:%u::/:/bin/false\n",
                        TEST_BERTH, TEST_BERTH, TEST_HELPER, TEST_HELPER);
        test_write_file("/etc/passwd", line);
        (void) snprintf(line, sizeof(line), "root:x:0:\nberth:x:%u:\nhelper:x:%u:\n", TEST_BERTH, TEST_HELPER);
        test_write_file("/etc/group", line);
        write_delegation("/etc/subuid");
        write_delegation("/etc/subgid");

        check(mkdir("/run/berth", 0755) == 0);
        check(mkdir("/run/berth/slots", 0750) == 0);
        check(chown("/run/berth/slots", 0, TEST_BERTH) == 0);
        for (unsigned i = 0; i < TEST_SLOTS; i++) {
                (void) snprintf(line, sizeof(line), "/run/berth/slots/%u", i);
                test_write_file(line, "");
                check(chmod(line, 0640) == 0);
                check(chown(line, 0, TEST_BERTH) == 0);
        }
}

Slot test_slot(uint32_t number) {
        return (Slot) { number, TEST_FIRST + number, TEST_FIRST + RANGE_SIZE + number * RANGE_SIZE };
}

pid_t test_fork(void (*part)(const void *), const void *argument) {
        int ready[2];
        char byte;
        pid_t pid;

        check(pipe2(ready, O_CLOEXEC) == 0);
        pid = fork();
        check(pid >= 0);
        if (pid == 0) {
                part(argument);
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) !write(ready[1], "", 1);
                for (;;)
                        (void) pause();
        }
        (void) close(ready[1]);
        check_equal(read(ready[0], &byte, 1), 1);
        (void) close(ready[0]);
        return pid;
}

void test_end(pid_t pid) {
        check(kill(pid, SIGKILL) == 0);
        check(waitpid(pid, NULL, 0) == pid);
}

static void take_lock(const void *argument) {
        const struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        const uint32_t *number = argument;
        char path[64];
        int fd;

        (void) snprintf(path, sizeof(path), "/run/berth/slots/%u", *number);
        fd = open(path, O_RDWR);
        if (fd < 0 || fcntl(fd, F_SETLK, &lock) < 0)
                _exit(1);
}

pid_t test_lock(uint32_t number) {
        return test_fork(take_lock, &number);
}

/* Groups, bounding set, IDs, capabilities, no_new_privs: the spawner's order. */
static int become_row(const TestRow *row) {
        struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
        struct __user_cap_data_struct data[2] = {};

        if (setgroups(1, (const gid_t[]) { TEST_BERTH }) < 0 || prctl(PR_SET_KEEPCAPS, 1) < 0)
                return -1;
        for (unsigned long c = 0; prctl(PR_CAPBSET_READ, c) >= 0; c++)
                if (!(row->capabilities & (UINT64_C(1) << c)) && prctl(PR_CAPBSET_DROP, c) < 0)
                        return -1;
        if (setresgid(row->user, row->user, row->user) < 0 || setresuid(row->user, row->user, row->user) < 0)
                return -1;
        for (unsigned i = 0; i < 2; i++)
                data[i].effective = data[i].permitted = data[i].inheritable = (uint32_t) (row->capabilities >> (32 * i));
        if (syscall(SYS_capset, &header, data) < 0)
                return -1;
        for (unsigned long c = 0; c < 64; c++)
                if ((row->capabilities & (UINT64_C(1) << c)) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0) < 0)
                        return -1;
        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

_noreturn_ static void run_helper(const TestRow *row, int socket) {
        char pid[16], listen_pid[32];
        char *const environment[] = { (char *) "LISTEN_FDS=1", listen_pid, (char *) "LISTEN_FDNAMES=varlink", NULL };
        char *const arguments[] = { (char *) row->program, NULL };
        int null = open("/dev/null", O_RDWR);

        (void) snprintf(pid, sizeof(pid), "%d", (int) getpid());
        (void) snprintf(listen_pid, sizeof(listen_pid), "LISTEN_PID=%s", pid);
        (void) dup2(null, 0);
        (void) dup2(null, 1);
        if (dup2(socket, 3) < 0 || close_range(4, ~0U, 0) < 0 || become_row(row) < 0)
                _exit(126);
        (void) execve(row->program, arguments, environment);
        _exit(127);
}

/* Both ends are the making process' in the kernel's eyes, so it is berthd's user for that moment. */
static void socket_of_berth(int ret[static 2]) {
        check(seteuid(TEST_BERTH) == 0);
        check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret) == 0);
        check(seteuid(0) == 0);
}

pid_t test_start(const TestRow *row, void (*before)(void), int *ret_socket) {
        const struct timeval deadline = { .tv_sec = ANSWER_SECONDS };
        int pair[2];
        pid_t pid;

        socket_of_berth(pair);
        check(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline)) == 0);
        pid = fork();
        check(pid >= 0);
        if (pid == 0) {
                if (before)
                        before();
                run_helper(row, pair[1]);
        }
        (void) close(pair[1]);
        *ret_socket = pair[0];
        return pid;
}

int test_call(const TestRow *row, const char *method, json_t *parameters, const int *fds, size_t n_fds, Message *ret) {
        Message m = {};
        json_t *call;
        char name[256];
        int socket, status, r;
        pid_t pid;

        pid = test_start(row, /* before= */ NULL, &socket);
        (void) snprintf(name, sizeof(name), "%s.%s", row->interface, method);
        call = json_pack("{s:s, s:o}", "method", name, "parameters", parameters ? parameters : json_object());
        check(call);
        r = message_send(socket, call, fds, n_fds);
        json_decref(call);
        if (r >= 0)
                r = message_receive(socket, MESSAGE_OUT_MAX, MESSAGE_FDS_MAX, &m);
        check(r >= 0 || r == -EPIPE || r == -ECONNRESET);
        (void) close(socket);
        check(waitpid(pid, &status, 0) == pid);

        if (ret)
                *ret = m;
        else
                message_done(&m);
        return status;
}

static _noreturn_ void unexpected(const char *method, const Message *m, int status, const char *expected) {
        char *text = m->json ? json_dumps(m->json, JSON_COMPACT) : NULL;

        (void) fprintf(stderr, "%s: expected %s, got %s (wait status 0x%x)\n", method, expected, text ? text : "no answer", status);
        free(text);
        exit(EXIT_FAILURE);
}

void test_call_ok(const TestRow *row, const char *method, json_t *parameters, const int *fds, size_t n_fds) {
        Message m = {};
        int status = test_call(row, method, parameters, fds, n_fds, &m);

        if (status != 0 || !json_is_object(m.json) || json_object_get(m.json, "error"))
                unexpected(method, &m, status, "a reply");
        message_done(&m);
}

static bool is_text(json_t *object, const char *key, const char *expected) {
        const char *value = json_string_value(json_object_get(object, key));

        return !expected || (value && streq(value, expected));
}

void test_call_error(const TestRow *row, const char *method, json_t *parameters, const int *fds, size_t n_fds,
                     const char *error, const char *step, const char *errno_name) {
        char name[256], expected[512];
        Message m = {};
        json_t *details;
        int status;

        status = test_call(row, method, parameters, fds, n_fds, &m);
        (void) snprintf(name, sizeof(name), "%s%s%s", strchr(error, '.') ? "" : row->interface,
                        strchr(error, '.') ? "" : ".", error);
        (void) snprintf(expected, sizeof(expected), "%s (%s, %s)", name, step ? step : "*", errno_name ? errno_name : "*");
        details = json_object_get(m.json, "parameters");
        if (!m.json || !is_text(m.json, "error", name) || !is_text(details, "step", step) ||
            !is_text(details, "errnoName", errno_name))
                unexpected(method, &m, status, expected);
        check(WIFEXITED(status) && WEXITSTATUS(status) != 0);
        message_done(&m);
}

typedef struct FirstArgument {
        uid_t owner;
        int flags;
} FirstArgument;

static void enter_first(const void *argument) {
        const FirstArgument *a = argument;

        if (setgroups(0, NULL) < 0 || setresgid(a->owner, a->owner, a->owner) < 0 ||
            setresuid(a->owner, a->owner, a->owner) < 0 || unshare(CLONE_NEWUSER | a->flags) < 0 ||
            prctl(PR_SET_DUMPABLE, 1) < 0)
                _exit(1);
}

TestFirst test_first(uid_t owner, int flags) {
        const FirstArgument argument = { owner, flags };
        TestFirst f = { -1, -EBADF, -EBADF };
        char path[64];

        f.pid = test_fork(enter_first, &argument);
        (void) snprintf(path, sizeof(path), "/proc/%d", (int) f.pid);
        f.process = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        check(f.process >= 0);
        f.userns = openat(f.process, "ns/user", O_RDONLY | O_CLOEXEC);
        check(f.userns >= 0);
        return f;
}

void test_first_map(const TestFirst *f, uid_t base) {
        char line[64];

        (void) snprintf(line, sizeof(line), "0 %u %u\n", base, RANGE_SIZE);
        for (unsigned i = 0; i < 2; i++) {
                _cleanup_close_ int fd = openat(f->process, i == 0 ? "uid_map" : "gid_map", O_WRONLY | O_CLOEXEC);

                check(fd >= 0);
                check_equal(write(fd, line, strlen(line)), strlen(line));
        }
}

void test_first_end(TestFirst *f) {
        test_end(f->pid);
        f->process = close_fd(f->process);
        f->userns = close_fd(f->userns);
}

int test_attack(int (*try)(int argument), int argument, void (*confine)(void)) {
        int status;
        pid_t pid;

        pid = fork();
        check(pid >= 0);
        if (pid == 0) {
                if (confine)
                        confine();
                _exit(-try(argument));
        }
        check(waitpid(pid, &status, 0) == pid);
        if (WIFSIGNALED(status)) {
                check_equal(WTERMSIG(status), SIGSYS);
                return TEST_KILLED;
        }
        return -WEXITSTATUS(status);
}

void test_become(const TestRow *row) {
        check(become_row(row) == 0);
}
