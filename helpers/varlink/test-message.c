/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Golden byte streams over a real socket, descriptors among them, and what is refused. */

#include "message.h"
#include "test.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int pair[2];

static void connect_pair(void) {
        check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
}

static void close_pair(void) {
        pair[0] = close_fd(pair[0]);
        pair[1] = close_fd(pair[1]);
}

static void send_bytes(const char *bytes, size_t size, const int *fds, size_t n_fds) {
        char control[CMSG_SPACE(16 * sizeof(int))] = {};
        struct iovec iov = { (void *) bytes, size };
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (n_fds > 0) {
                struct cmsghdr *c;

                header.msg_control = control;
                header.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                c = CMSG_FIRSTHDR(&header);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
        }
        check(sendmsg(pair[0], &header, MSG_NOSIGNAL) == (ssize_t) size);
}

static int open_descriptors(void) {
        int n = 0;

        for (int fd = 0; fd < 256; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

/* One stream in, one result. */
static int receive(const char *bytes, size_t size, size_t fds_max, const int *fds, size_t n_fds) {
        Message m = {};
        int r, before = open_descriptors();

        connect_pair();
        if (size > 0)
                send_bytes(bytes, size, fds, n_fds);
        check(shutdown(pair[0], SHUT_WR) == 0);
        r = message_receive(pair[1], MESSAGE_IN_MAX, fds_max, &m);
        if (r >= 0)
                check_equal(m.n_fds, MIN(n_fds, fds_max));
        message_done(&m);
        close_pair();
        check_equal(open_descriptors(), before);
        return r;
}

#define RECEIVE(s) receive(s, sizeof(s) - 1, 0, NULL, 0)

static void test_receive(void) {
        int fds[3] = { 0, 1, 2 };
        char *large;

        check_equal(RECEIVE("{\"method\":\"a.B\",\"parameters\":{}}\0"), 0);
        check_equal(RECEIVE(""), -EPIPE);
        check_equal(RECEIVE("{\"method\":\"a.B\""), -EBADMSG);
        check_equal(RECEIVE("{}{}\0"), -EBADMSG);
        check_equal(RECEIVE("[]\0"), -EBADMSG);
        check_equal(RECEIVE("\0"), -EBADMSG);
        check_equal(RECEIVE("{\"a\":1,\"a\":2}\0"), -EBADMSG);
        check_equal(RECEIVE("{\"a\":\"\\u0000\"}\0"), -EBADMSG);
        check_equal(RECEIVE("{\"a\":\"\xff\"}\0"), -EBADMSG);
        check_equal(RECEIVE("{\"a\":NaN}\0"), -EBADMSG);
        check_equal(RECEIVE("{\"a\":99999999999999999999}\0"), -EBADMSG);
        check_equal(RECEIVE("{}\0{}\0"), -EPROTO);
        check_equal(RECEIVE("{}\0x"), -EPROTO);

        check_equal(receive("{}\0", 3, 2, fds, 2), 0);
        check_equal(receive("{}\0", 3, 2, fds, 3), -EMFILE);
        check_equal(receive("{}\0", 3, 0, fds, 3), 0); /* the kernel drops what there is no room for */

        large = malloc(MESSAGE_IN_MAX + 16);
        check(large);
        memset(large, ' ', MESSAGE_IN_MAX + 16);
        large[0] = '{';
        large[MESSAGE_IN_MAX - 1] = '}';
        large[MESSAGE_IN_MAX] = '\0';
        check_equal(receive(large, MESSAGE_IN_MAX + 1, 0, NULL, 0), 0);
        large[MESSAGE_IN_MAX - 1] = ' ';
        large[MESSAGE_IN_MAX] = '}';
        large[MESSAGE_IN_MAX + 1] = '\0';
        check_equal(receive(large, MESSAGE_IN_MAX + 2, 0, NULL, 0), -EMSGSIZE);
        free(large);
}

/* Descriptors that come after the first byte belong to no message. (The kernel hands over both writes at once if they wait
 * together: so the second is written when the first has been read.) */
static void test_late_descriptors(void) {
        Message m = {};
        int fd = 0, status, queued = 1;
        pid_t pid;

        connect_pair();
        send_bytes("{", 1, NULL, 0);
        pid = fork();
        check(pid >= 0);
        if (pid == 0) {
                while (queued > 0)
                        if (ioctl(pair[0], SIOCOUTQ, &queued) < 0)
                                _exit(1);
                send_bytes("}\0", 2, &fd, 1);
                _exit(0);
        }
        check_equal(message_receive(pair[1], MESSAGE_IN_MAX, 4, &m), -EPROTO);
        check(waitpid(pid, &status, 0) == pid);
        check_equal(status, 0);
        close_pair();
}

static void test_send(void) {
        static const char golden[] = "{\"parameters\":{\"layerFileDescriptors\":[0,1]}}";
        char buffer[256];
        json_t *json;
        int fds[2] = { 0, 1 };
        Message m = {};

        json = json_pack("{s:{s:[i,i]}}", "parameters", "layerFileDescriptors", 0, 1);
        connect_pair();
        check_equal(message_send(pair[0], json, NULL, 0), 0);
        check_equal(recv(pair[1], buffer, sizeof(buffer), 0), sizeof(golden));
        check(memcmp(buffer, golden, sizeof(golden)) == 0);

        check_equal(message_send(pair[0], json, fds, 2), 0);
        check_equal(message_receive(pair[1], MESSAGE_IN_MAX, 2, &m), 0);
        check_equal(m.n_fds, 2);
        check(fcntl(m.fds[0], F_GETFD) == FD_CLOEXEC);
        message_done(&m);

        pair[1] = close_fd(pair[1]);
        check_equal(message_send(pair[0], json, NULL, 0), -EPIPE);
        close_pair();
        json_decref(json);
}

int main(void) {
        message_init();
        test_receive();
        test_late_descriptors();
        test_send();
        return 0;
}
