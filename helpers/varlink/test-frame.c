/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The frame of a helper: this program is a helper too, started as the spawner would, with a method that tells what it
 * holds. Needs root, to be several users. */

#include "helper.h"
#include "test.h"
#include "users.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define BERTH 12345

static int tell(Call *call) {
        static const Field fields[] = { { "name", FIELD_NAME, 0, FIELD_NULLABLE, 0, 0 }, {} };
        struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
        struct __user_cap_data_struct data[2];
        const char *name = "";
        int r;

        r = call_decode(call, fields, &name);
        if (r < 0)
                return r;
        if (streq(name, "fail"))
                return call_error(call, "Broken", "failing", -EPERM);
        if (syscall(SYS_capget, &header, data) < 0)
                return -errno;
        return call_reply(call,
                          json_pack("{s:I, s:i, s:i, s:s}", "permitted",
                                    (json_int_t) ((uint64_t) data[1].permitted << 32 | data[0].permitted), "seccomp",
                                    prctl(PR_GET_SECCOMP), "noNewPrivileges", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), "name",
                                    name),
                          NULL, 0);
}

static const Method methods[] = {
        { "org.berth1.Test.Tell", tell, 1, CAP_BIT(CHOWN) },
        { "org.berth1.Test.TellNothing", tell, 0, 0 },
        {},
};

static struct sock_filter allow[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
static const struct sock_fprog filter = { 1, allow };
static const Helper test_helper = {
        "berth-test", "org.berth1.Test", "interface org.berth1.Test\n", methods, CAP_BIT(CHOWN) | CAP_BIT(KILL), &filter, NULL,
};

/* Runs ourselves as the helper and calls it once as uid; the reply in compact text, "" for none. */
static char *call_as(uid_t uid, const char *text, size_t n_fds) {
        static char reply[4096];
        int pair[2], status;
        Message m = {};
        pid_t pid, caller;
        int answer[2];

        check(pipe2(answer, O_CLOEXEC) == 0);
        caller = fork();
        check(caller >= 0);
        if (caller == 0) {
                /* socketpair() notes the credentials of whoever calls it: so the caller makes it */
                if (setresuid(uid, uid, 0) < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
                    setresuid(0, 0, 0) < 0)
                        _exit(1);
                pid = fork();
                if (pid == 0) {
                        char own[16];

                        (void) dup2(pair[1], 3);
                        (void) snprintf(own, sizeof(own), "%d", (int) getpid());
                        (void) setenv("LISTEN_FDS", "1", 1);
                        (void) setenv("LISTEN_PID", own, 1);
                        (void) execl("/proc/self/exe", "berth-test", NULL);
                        _exit(1);
                }
                (void) close(pair[1]);
                if (n_fds > 0) {
                        json_t *json = json_loads(text, 0, NULL);
                        int fds[2] = { 0, 0 };

                        (void) message_send(pair[0], json, fds, n_fds);
                } else
                        (void) !write(pair[0], text, strlen(text) + 1);
                if (message_receive(pair[0], MESSAGE_OUT_MAX, 0, &m) >= 0) {
                        char *compact = json_dumps(m.json, JSON_COMPACT);

                        (void) !write(answer[1], compact, strlen(compact));
                }
                (void) waitpid(pid, &status, 0);
                _exit(0);
        }
        close(answer[1]);
        memset(reply, 0, sizeof(reply));
        for (size_t n = 0;;) {
                ssize_t r = read(answer[0], reply + n, sizeof(reply) - 1 - n);

                if (r <= 0)
                        break;
                n += (size_t) r;
        }
        close(answer[0]);
        check(waitpid(caller, &status, 0) == caller);
        check_equal(status, 0);
        return reply;
}

static void expect(uid_t uid, const char *text, size_t n_fds, const char *reply) {
        const char *got = call_as(uid, text, n_fds);

        if (!streq(got, reply)) {
                (void) fprintf(stderr, "%s\nanswered %s\nexpected %s\n", text, got, reply);
                exit(EXIT_FAILURE);
        }
}

static void write_file(const char *path, const char *text) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        check(fd >= 0);
        check(write(fd, text, strlen(text)) == (ssize_t) strlen(text));
        close(fd);
}

/* Our own passwd and subuid, in a mount namespace of our own. */
static void make_world(void) {
        check(unshare(CLONE_NEWNS) == 0);
        check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
        check(mount("tmpfs", "/mnt", "tmpfs", 0, NULL) == 0);
        write_file("/mnt/passwd", "root:x:0:0::/:/bin/sh\nberth:x:12345:12345::/:/bin/false\n");
        write_file("/mnt/subuid", "berth:1879048192:196608\n");
        if (access("/etc/subuid", F_OK) < 0 || access("/etc/subgid", F_OK) < 0)
                skip_test("no /etc/subuid to cover");
        check(mount("/mnt/passwd", "/etc/passwd", NULL, MS_BIND, NULL) == 0);
        check(mount("/mnt/subuid", "/etc/subuid", NULL, MS_BIND, NULL) == 0);
        check(mount("/mnt/subuid", "/etc/subgid", NULL, MS_BIND, NULL) == 0);
}

int main(int argc, char *argv[]) {
        if (streq(argv[0], "berth-test"))
                return helper_main(argc, argv, &test_helper);
        if (geteuid() != 0)
                skip_test("needs root");
        make_world();

        expect(BERTH, "{\"method\":\"org.berth1.Test.Tell\",\"parameters\":{\"name\":\"web1\"}}", 0,
               "{\"parameters\":{\"permitted\":1,\"seccomp\":2,\"noNewPrivileges\":1,\"name\":\"web1\"}}");
        expect(BERTH, "{\"method\":\"org.berth1.Test.TellNothing\"}", 0,
               "{\"parameters\":{\"permitted\":0,\"seccomp\":2,\"noNewPrivileges\":1,\"name\":\"\"}}");
        expect(BERTH, "{\"method\":\"org.berth1.Test.Tell\",\"parameters\":{\"name\":\"fail\"}}", 0,
               "{\"error\":\"org.berth1.Test.Broken\",\"parameters\":{\"step\":\"failing\",\"errnoName\":\"EPERM\"}}");
        expect(BERTH, "{\"method\":\"org.berth1.Test.Tell\",\"parameters\":{\"name\":\"..\"}}", 0,
               "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"name\"}}");
        expect(BERTH, "{\"method\":\"org.berth1.Test.Tell\",\"parameters\":{\"more\":1}}", 0,
               "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"more\"}}");
        expect(BERTH, "{\"method\":\"org.berth1.Test.Tell\"}", 1,
               "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"fileDescriptors\"}}");
        expect(BERTH, "{\"method\":\"org.berth1.Test.TellNothing\"}", 1,
               "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"fileDescriptors\"}}");
        expect(BERTH, "{\"method\":\"org.berth1.Test.Nothing\"}", 0,
               "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":\"org.berth1.Test.Nothing\"}}");
        expect(BERTH, "{\"method\":\"org.example.Tell\"}", 0,
               "{\"error\":\"org.varlink.service.InterfaceNotFound\",\"parameters\":{\"interface\":\"org.example\"}}");
        expect(0, "{\"method\":\"org.berth1.Test.Tell\"}", 0,
               "{\"error\":\"org.varlink.service.PermissionDenied\",\"parameters\":{}}");
        expect(0, "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{\"interface\":\"org.berth1.Test\"}}", 0,
               "{\"parameters\":{\"description\":\"interface org.berth1.Test\\n\"}}");
        expect(0, "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{\"interface\":\"x.y\"}}", 0,
               "{\"error\":\"org.varlink.service.InterfaceNotFound\",\"parameters\":{\"interface\":\"x.y\"}}");
        expect(0, "{\"method\":\"org.varlink.service.GetInfo\"}", 0,
               "{\"parameters\":{\"vendor\":\"Berth\",\"product\":\"berth-test\",\"version\":\"0.1.0\",\"url\":\"\",\"interfaces\":[\"org.berth1.Test\",\"org.varlink.service\"]}}");
        expect(1000, "{\"method\":\"org.varlink.service.GetInfo\"}", 0, "");

        /* No reply to what is not a call. */
        expect(BERTH, "{\"method\":\"org.berth1.Test.Tell\",\"upgrade\":true}", 0, "");
        expect(BERTH, "{\"method\":\"org.berth1.Test.Tell\",\"oneway\":true}", 0, "");
        expect(BERTH, "{\"method\":\"org.berth1.Test.Tell\",\"oneway\":true,\"more\":true}", 0, "");
        expect(BERTH, "{\"method\":1}", 0, "");
        expect(BERTH, "{\"parameters\":{}}", 0, "");
        expect(BERTH, "{\"method\":\"org.berth1.Test.Tell\",\"parameters\":[]}", 0, "");
        expect(BERTH, "[]", 0, "");
        return 0;
}
