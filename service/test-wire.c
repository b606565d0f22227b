/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The wire against a peer that sends raw bytes: framing, streams in one piece and in many, descriptors where they must not be,
 * sizes, ends and deadlines. */

#include "wire.h"
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static sd_event *event;
static Wire *wire;
static char folder[] = "/tmp/test-wire-XXXXXX", path[64];
static int listening, peer = -EBADF;

static struct {
        unsigned n;
        int result;
        bool continues;
        char error[64];
        long long value;
        size_t n_fds;
        bool free_it;
} got;

static void on_reply(void *userdata, WireReply *r) {
        check(userdata == &got);
        got.n++;
        got.result = r->result;
        got.continues = r->continues;
        got.n_fds = r->message->n_fds;
        (void) snprintf(got.error, sizeof(got.error), "%s", r->error ?: "");
        got.value = json_integer_value(json_object_get(r->parameters, "value"));
        if (got.free_it)
                wire = wire_free(wire);
}

static void run(unsigned n) {
        for (unsigned i = 0; got.n < n; i++) {
                check(i < 1000);
                check(sd_event_run(event, 10000) >= 0);
        }
}

static void idle(void) {
        while (sd_event_run(event, 3000) > 0)
                ;
}

static void connect_only(void) {
        peer = close_fd(peer);
        wire = wire_free(wire);
        memset(&got, 0, sizeof(got));
        check_equal(wire_new(event, path, UID_ANY, &wire), 0);
        peer = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        check(peer >= 0);
}

static int call_with(size_t fds_max, bool more, uint64_t timeout) {
        return wire_call(wire, &(WireCall) { .method = "org.example.Call", .fds_max = fds_max, .more = more,
                                             .timeout = timeout, .handler = on_reply, .userdata = &got });
}

static void call(size_t fds_max, bool more) {
        char text[256];

        connect_only();
        check_equal(call_with(fds_max, more, 5000000), 0);
        check_equal(got.n, 0);
        check(recv(peer, text, sizeof(text), 0) > 0);
        check(streq(text, more ? "{\"method\":\"org.example.Call\",\"parameters\":{},\"more\":true}"
                               : "{\"method\":\"org.example.Call\",\"parameters\":{}}"));
}

static void say(const char *bytes, size_t size, size_t n_fds) {
        char control[CMSG_SPACE(8 * sizeof(int))] = {};
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
                for (size_t i = 0; i < n_fds; i++)
                        memcpy(CMSG_DATA(c) + i * sizeof(int), &(int) { listening }, sizeof(int));
        }
        check(sendmsg(peer, &header, MSG_NOSIGNAL) == (ssize_t) size);
}

#define SAY(text, n_fds) say(text, sizeof(text), n_fds) /* with the NUL */

static void test_good(void) {
        call(0, false);
        SAY("{\"parameters\":{\"value\":7}}", 0);
        run(1);
        check(got.result == 0 && got.value == 7 && !*got.error && !got.continues);

        /* The next on the same connection; parameters may be missing; an error. */
        check_equal(call_with(0, false, UINT64_MAX), 0);
        SAY("{}", 0);
        run(2);
        check(got.result == 0 && got.value == 0);
        check_equal(call_with(0, false, UINT64_MAX), 0);
        check_equal(call_with(0, false, UINT64_MAX), -EBUSY);
        SAY("{\"error\":\"org.example.Bad\",\"parameters\":{\"value\":3}}", 0);
        run(3);
        check(got.result == 0 && streq(got.error, "org.example.Bad") && got.value == 3);

        /* One byte at a time. */
        call(2, false);
        say("{", 1, 2);
        for (const char *c = "\"parameters\":{}}"; *c; c++) {
                say(c, 1, 0);
                idle();
        }
        check_equal(got.n, 0);
        say("", 1, 0);
        run(1);
        check(got.result == 0 && got.n_fds == 2);

        /* A large one. */
        static char large[900000];
        memset(large, 'x', sizeof(large));
        call(0, false);
        say("{\"parameters\":{\"x\":\"", 20, 0);
        for (size_t i = 0; i < sizeof(large); i += 90000) {
                say(large, 90000, 0);
                idle();
        }
        SAY("\"}}", 0);
        run(1);
        check_equal(got.result, 0);
}

static void test_stream(void) {
        static const char three[] = "{\"parameters\":{\"value\":1},\"continues\":true}\0{\"parameters\":{\"value\":2},\"continues\":true}\0"
                                    "{\"parameters\":{\"value\":3}}";

        call(0, true);
        say(three, sizeof(three), 0);
        run(1);
        check(got.value == 1 && got.continues);
        run(3);
        check(got.value == 3 && !got.continues);

        /* The handler frees the wire with two more to come. */
        call(0, true);
        got.free_it = true;
        say(three, sizeof(three), 0);
        run(1);
        idle();
        check_equal(got.n, 1);

        /* The last is read although the other side is gone. */
        call(0, true);
        say(three, sizeof(three), 0);
        peer = close_fd(peer);
        run(3);
        check(got.value == 3);
        check_equal(call_with(0, false, UINT64_MAX), 0);
        run(4);
        check_equal(got.result, -EPIPE);
}

static void bad(const char *bytes, size_t size, size_t n_fds, size_t fds_max, bool more, int result) {
        call(fds_max, more);
        say(bytes, size, n_fds);
        run(1);
        if (got.result != result)
                (void) fprintf(stderr, "%s\n", bytes);
        check_equal(got.result, result);
        check(!wire_is_alive(wire));
        /* And it stays so. */
        check_equal(call_with(0, false, 100000), 0);
        run(2);
        check(got.result < 0);
}

#define BAD(text, n_fds, fds_max, more, result) bad(text, sizeof(text), n_fds, fds_max, more, result)

static void test_bad(void) {
        static char large[2000000];

        BAD("", 0, 0, false, -EBADMSG);
        BAD("[]", 0, 0, false, -EBADMSG);
        BAD("{\"parameters\":{},\"parameters\":{}}", 0, 0, false, -EBADMSG);
        BAD("{\"parameters\":[]}", 0, 0, false, -EPROTO);
        BAD("{\"parameters\":{},\"extra\":1}", 0, 0, false, -EPROTO);
        BAD("{\"error\":7}", 0, 0, false, -EPROTO);
        BAD("{\"error\":\"\"}", 0, 0, false, -EPROTO);
        BAD("{\"error\":\"org.example.Bad\",\"continues\":true}", 0, 0, true, -EPROTO);
        BAD("{\"error\":\"org.example.Bad\"}", 1, 1, false, -EPROTO);
        BAD("{\"parameters\":{},\"continues\":true}", 0, 0, false, -EPROTO);
        BAD("{\"parameters\":{}}\0{\"parameters\":{}}", 0, 0, false, -EPROTO);
        BAD("{\"parameters\":{}}\0x", 0, 0, false, -EPROTO);
        BAD("{\"parameters\":{}}", 1, 0, false, -EMFILE);
        BAD("{\"parameters\":{}}", 3, 2, false, -EMFILE);
        BAD("{\"parameters\":{}}", 1, 0, true, -EMFILE);

        /* Descriptors in the middle. */
        call(4, false);
        say("{\"para", 6, 0);
        idle();
        SAY("meters\":{}}", 1);
        run(1);
        check_equal(got.result, -EPROTO);

        /* Without an end. */
        memset(large, ' ', sizeof(large));
        call(0, false);
        for (size_t i = 0; i < 1300000 && got.n == 0; i += 100000) {
                (void) !send(peer, large, 100000, MSG_NOSIGNAL | MSG_DONTWAIT);
                idle();
        }
        run(1);
        check_equal(got.result, -EMSGSIZE);

        /* The end in the middle, and before anything. */
        call(0, false);
        say("{\"para", 6, 0);
        peer = close_fd(peer);
        run(1);
        check_equal(got.result, -EBADMSG);
        call(0, false);
        peer = close_fd(peer);
        run(1);
        check_equal(got.result, -EPIPE);

        /* What nobody asked for. */
        connect_only();
        SAY("{\"parameters\":{\"value\":9}}", 0);
        check(!wire_is_alive(wire));
        check_equal(call_with(0, false, 5000000), 0);
        run(1);
        check(got.result == 0 || got.result == -EPROTO);
}

static void test_deadline(void) {
        call(0, false);
        check_equal(wire_is_alive(wire), true);
        wire = wire_free(wire);

        connect_only();
        check_equal(call_with(0, false, 20000), 0);
        run(1);
        check_equal(got.result, -ETIMEDOUT);

        /* For each reply of a stream. */
        connect_only();
        check_equal(call_with(0, true, 50000), 0);
        for (unsigned i = 1; i <= 4; i++) {
                (void) usleep(20000);
                SAY("{\"continues\":true}", 0);
                run(i);
                check_equal(got.result, 0);
        }
        run(5);
        check_equal(got.result, -ETIMEDOUT);

        /* A call that was forgotten takes its connection along. */
        connect_only();
        check_equal(call_with(0, false, 20000), 0);
        wire_forget(wire, &wire);
        check(wire_is_alive(wire));
        wire_forget(wire, &got);
        check(!wire_is_alive(wire));
        idle();
        check_equal(got.n, 0);
}

static void test_connect(void) {
        char text[] = "/tmp/test-wire-nothing";
        Wire *wires[64] = {};
        uid_t uid;

        wire = wire_free(wire);
        memset(&got, 0, sizeof(got));
        check_equal(wire_new(event, text, UID_ANY, &wire), 0);
        check_equal(call_with(0, false, UINT64_MAX), 0);
        check_equal(got.n, 0);
        run(1);
        check_equal(got.result, -ENOENT);

        /* Another user listens there: nothing is sent. */
        wire = wire_free(wire);
        memset(&got, 0, sizeof(got));
        check_equal(wire_new(event, path, geteuid() + 1, &wire), 0);
        check_equal(call_with(0, false, UINT64_MAX), 0);
        run(1);
        check_equal(got.result, -EPERM);
        peer = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        check_equal(recv(peer, text, 1, 0), 0);
        peer = close_fd(peer);
        wire = wire_free(wire);
        check_equal(wire_new(event, path, geteuid(), &wire), 0);
        check_equal(wire_peer(wire, &uid), 0);
        check_equal(uid, geteuid());
        close(accept4(listening, NULL, NULL, SOCK_CLOEXEC));
        check(!wire_is_alive(wire));

        /* A full backlog is waited for, and the deadline counts. */
        memset(&got, 0, sizeof(got));
        for (size_t i = 0; i < ELEMENTSOF(wires); i++)
                check_equal(wire_new(event, path, UID_ANY, &wires[i]), 0);
        wire = wire_free(wire);
        check_equal(wire_new(event, path, UID_ANY, &wire), 0);
        check_equal(call_with(0, false, 30000), 0);
        run(1);
        check_equal(got.result, -ETIMEDOUT);
        wire = wire_free(wire);
        check_equal(wire_new(event, path, UID_ANY, &wire), 0);
        check_equal(call_with(0, false, 5000000), 0);
        for (size_t i = 0; i < ELEMENTSOF(wires); i++)
                wires[i] = wire_free(wires[i]);
        for (int fd; got.n < 2; close(fd)) {
                if ((fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) < 0) {
                        idle();
                        continue;
                }
                (void) send(fd, "{}", 3, MSG_NOSIGNAL);
                idle();
        }
        check_equal(got.result, 0);
}

static void test_preface(void) {
        uint32_t slot = 5, seen;
        int fd = listening;

        for (int i = 0; i < 3; i++) {
                connect_only();
                check_equal(wire_preface(wire, &slot, sizeof(slot),
                                         &(WireCall) { .fds = &fd, .n_fds = 1, .timeout = 5000000, .handler = on_reply,
                                                       .userdata = &got }),
                            0);
                check_equal(recv(peer, &seen, sizeof(seen), 0), 4);
                check_equal(seen, 5);
                if (i == 1)
                        SAY("{\"error\":\"org.example.Bad\"}", 0);
                if (i == 2)
                        SAY("{\"parameters\":{}}", 0);
                peer = close_fd(peer);
                run(1);
                check_equal(got.result, i == 0 ? -EPIPE : i == 1 ? 0 : -EPROTO);
        }
}

int main(int argc, char *argv[]) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        alarm(60);
        (void) signal(SIGPIPE, SIG_IGN);
        message_init();
        check(sd_event_new(&event) >= 0);
        check(mkdtemp(folder));
        (void) snprintf(path, sizeof(path), "%s/socket", folder);
        strcpy(address.sun_path, path);
        listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        check(bind(listening, (struct sockaddr *) &address, sizeof(address)) >= 0 && listen(listening, 4) >= 0);
        check(fcntl(listening, F_SETFL, O_NONBLOCK) >= 0);

        test_good();
        test_stream();
        test_bad();
        test_deadline();
        test_connect();
        test_preface();

        wire_free(wire);
        sd_event_unref(event);
        check(unlink(path) >= 0 && rmdir(folder) >= 0);
        return 0;
}
