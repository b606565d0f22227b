/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* 10 MB through two pumps and a process that echoes, unharmed; half-close; a near descriptor whose flags are not ours. */

#include "pump.h"
#include "test.h"
#include "util.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define SIZE (10U * 1024 * 1024)

static unsigned char byte_at(size_t i) {
        return (unsigned char) (i * 2654435761U >> 13);
}

static pid_t child(void (*part)(int), int fd, int other) {
        pid_t pid = fork();

        check(pid >= 0);
        if (pid == 0) {
                (void) close(other);
                part(fd);
                _exit(0);
        }
        (void) close(fd);
        return pid;
}

static void produce(int fd) {
        unsigned char buffer[7777];

        for (size_t i = 0; i < SIZE;) {
                size_t n = MIN(sizeof(buffer), SIZE - i);
                ssize_t w;

                for (size_t k = 0; k < n; k++)
                        buffer[k] = byte_at(i + k);
                w = write(fd, buffer, n);
                if (w < 0)
                        _exit(1);
                i += (size_t) w;
        }
}

static void echo(int fd) {
        char buffer[5000];
        ssize_t n;

        while ((n = read(fd, buffer, sizeof(buffer))) > 0)
                if (write(fd, buffer, (size_t) n) != n)
                        _exit(1);
        /* Only after all has come, to see that the end was passed on. */
        if (write(fd, "end", 3) != 3)
                _exit(1);
}

static void consume(int fd) {
        unsigned char buffer[3000];
        size_t i = 0;
        ssize_t n;

        while ((n = read(fd, buffer, sizeof(buffer))) > 0)
                for (ssize_t k = 0; k < n; k++, i++)
                        if (i < SIZE ? buffer[k] != byte_at(i) : buffer[k] != "end"[i - SIZE])
                                _exit(1);
        if (i != SIZE + 3)
                _exit(2);
}

/* produce -> pump 0 -> echo -> pump 1 -> consume */
static void test_ten_megabytes(void) {
        static Pump pumps[2];
        int in[2], out[2], far[2], status, to, from;
        pid_t pids[3];

        check(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
        check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, far) == 0);
        pids[0] = child(produce, in[1], in[0]);
        pids[1] = child(echo, far[1], far[0]);
        pids[2] = child(consume, out[0], out[1]);
        to = fcntl(far[0], F_DUPFD_CLOEXEC, 3);
        from = far[0];
        pump_init(&pumps[0], in[0], false, to, true);
        pump_init(&pumps[1], from, true, out[1], false);

        while (!pumps[1].ended || !pump_is_empty(&pumps[1])) {
                struct pollfd fds[4];

                pump_poll(&pumps[0], fds);
                pump_poll(&pumps[1], fds + 2);
                check(poll(fds, 4, 10000) > 0);
                pump_step(&pumps[0], fds);
                pump_step(&pumps[1], fds + 2);
                /* A socket's half: what the pump has closed is one of two duplicates. */
                if (pumps[0].to < 0 && to >= 0) {
                        (void) shutdown(from, SHUT_WR);
                        to = -1;
                }
        }
        check(!(fcntl(in[0], F_GETFL) & O_NONBLOCK));
        check(!(fcntl(out[1], F_GETFL) & O_NONBLOCK));
        (void) close(out[1]);
        for (int i = 0; i < 3; i++) {
                check(waitpid(pids[i], &status, 0) == pids[i]);
                check_equal(status, 0);
        }
        pump_done(&pumps[1]);
        (void) close(in[0]);
}

/* Who does not read any more is no reason to spin or to die. */
static void test_reader_gone(void) {
        static Pump p;
        struct pollfd fds[2];
        int in[2], out[2];

        check(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
        check_equal(write(in[1], "x", 1), 1);
        (void) close(out[0]);
        pump_init(&p, in[0], false, out[1], true);
        for (int i = 0; i < 2; i++) {
                pump_poll(&p, fds);
                check(poll(fds, 2, 1000) > 0);
                pump_step(&p, fds);
        }
        check(p.to < 0);
        pump_poll(&p, fds);
        check(fds[0].fd < 0 && fds[1].fd < 0);
        (void) close(in[0]);
        (void) close(in[1]);
}

/* A terminal inside learns of the end of input by a character. */
static void test_terminal_end(void) {
        static Pump p;
        struct pollfd fds[2];
        char text[8];
        int in[2], out[2];

        check(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
        (void) close(in[1]);
        pump_init(&p, in[0], false, out[1], true);
        p.terminal = true;
        for (int i = 0; i < 2; i++) {
                pump_poll(&p, fds);
                check(poll(fds, 2, 1000) > 0);
                pump_step(&p, fds);
        }
        check_equal(read(out[0], text, sizeof(text)), 1);
        check_equal(text[0], 4);
        check(p.to >= 0);
        pump_done(&p);
        (void) close(in[0]);
        (void) close(out[0]);
}

int main(void) {
        (void) signal(SIGPIPE, SIG_IGN);
        test_ten_megabytes();
        test_reader_gone();
        test_terminal_end();

        return EXIT_SUCCESS;
}
