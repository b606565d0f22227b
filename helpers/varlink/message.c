/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Varlink's framing on a socket. Blocking; believes nobody: every byte and descriptor is the peer's until the bounding
 * scan, jansson's strict mode and the field tables have agreed. */

#include "message.h"
#include "mutation.h"
#include "scan.h"

#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define CHUNK 4096U

void message_done(Message *m) {
        for (size_t i = 0; i < m->n_fds; i++)
                closep(&m->fds[i]);
        free(m->fds);
        if (m->json)
                json_decref(m->json);
        *m = (Message) {};
}

void message_init(void) {
        size_t seed = 1;
        const void *random = (const void *) getauxval(AT_RANDOM); /* the address of 16 bytes of the kernel's */

        if (random)
                memcpy(&seed, random, sizeof(seed));
        json_object_seed(seed ? seed : 1);
}

int message_parse(const char *text, size_t size, size_t max, json_t **ret) {
        json_error_t error;
        json_t *json;
        int r;

        r = scan_message(text, size, max, MESSAGE_DEPTH_MAX);
        if (r < 0)
                return r;

        json = json_loadb(text, size, MUTATION(message_duplicates) ? 0 : JSON_REJECT_DUPLICATES, &error);
        if (!json)
                return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
        if (!json_is_object(json)) {
                json_decref(json);
                return -EBADMSG;
        }

        *ret = json;
        return 0;
}

/* Takes the descriptors of one recvmsg(); the caller's array grows to what has come. */
static int take_descriptors(struct msghdr *header, size_t max, Message *m) {
        int r = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
                size_t n;
                int *fds;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                fds = r < 0 || m->n_fds + n > max ? NULL : realloc(m->fds, (m->n_fds + n) * sizeof(int));
                if (!fds) {
                        if (r == 0)
                                r = m->n_fds + n > max ? -EMFILE : -ENOMEM;
                        for (size_t i = 0; i < n; i++) {
                                int fd;

                                memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                                (void) close_fd(fd);
                        }
                        continue;
                }
                memcpy(fds + m->n_fds, CMSG_DATA(c), n * sizeof(int));
                m->fds = fds;
                m->n_fds += n;
        }

        if (r == 0 && (header->msg_flags & MSG_CTRUNC))
                r = -EMFILE;
        return r;
}

static ssize_t receive_some(int fd, char *buffer, size_t size, size_t fds_max, Message *m) {
        /* Room for one more than may come, so that too many is seen as such. */
        char control[CMSG_SPACE(MESSAGE_FDS_MAX * sizeof(int))];
        struct iovec iov = { buffer, size };
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;
        int r;

        if (fds_max > 0) {
                header.msg_control = control;
                header.msg_controllen = CMSG_SPACE(MIN(fds_max + 1, (size_t) MESSAGE_FDS_MAX) * sizeof(int));
        }

        do
                n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN ? -ETIMEDOUT : -errno;

        if (fds_max > 0) {
                r = take_descriptors(&header, fds_max, m);
                if (r < 0)
                        return r;
        }
        return n;
}

static int receive(int fd, size_t max, size_t fds_max, Message *m) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0, room = 0;

        for (;;) {
                size_t had;
                char *end;
                ssize_t n;

                if (room - size < CHUNK) {
                        char *grown = realloc(text, room + CHUNK * 4);

                        if (!grown)
                                return -ENOMEM;
                        text = grown;
                        room += CHUNK * 4;
                }

                had = m->n_fds;
                n = receive_some(fd, text + size, room - size, fds_max, m);
                if (n < 0)
                        return (int) n;
                if (n == 0)
                        return size == 0 ? -EPIPE : -EBADMSG;
                if (size > 0 && m->n_fds > had)
                        return -EPROTO; /* descriptors ride on a message's first byte */

                end = memchr(text + size, '\0', (size_t) n);
                size += (size_t) n;
                if (end) {
                        /* One call, then its reply: whatever follows the NUL is pipelining. */
                        if (!MUTATION(message_pipelining) && end != text + size - 1)
                                return -EPROTO;
                        return message_parse(text, size - 1, max, &m->json);
                }
                if (size > max)
                        return -EMSGSIZE;
        }
}

int message_receive(int fd, size_t max, size_t fds_max, Message *ret) {
        _cleanup_(message_done) Message m = {};
        int r;

        r = receive(fd, max, MIN(fds_max, (size_t) MESSAGE_FDS_MAX), &m);
        if (r < 0)
                return r;

        *ret = m;
        m = (Message) {};
        return 0;
}

int message_compose(json_t *json, char **ret, size_t *ret_size) {
        char *text;
        size_t size;

        text = json_dumps(json, JSON_COMPACT);
        if (!text)
                return -ENOMEM;
        size = strlen(text) + 1;
        if (size > MESSAGE_OUT_MAX) {
                free(text);
                return -EMSGSIZE;
        }

        *ret = text;
        *ret_size = size;
        return 0;
}

int message_send(int fd, json_t *json, const int *fds, size_t n_fds) {
        char control[CMSG_SPACE(MESSAGE_FDS_MAX * sizeof(int))] = {};
        _cleanup_free_ char *text = NULL;
        size_t size, done = 0;
        int r;

        if (n_fds > MESSAGE_FDS_MAX)
                return -EMFILE;
        r = message_compose(json, &text, &size);
        if (r < 0)
                return r;

        while (done < size) {
                struct iovec iov = { text + done, size - done };
                struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
                ssize_t n;

                if (done == 0 && n_fds > 0) {
                        struct cmsghdr *c;

                        header.msg_control = control;
                        header.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                        c = CMSG_FIRSTHDR(&header);
                        c->cmsg_level = SOL_SOCKET;
                        c->cmsg_type = SCM_RIGHTS;
                        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                        memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
                }
                n = sendmsg(fd, &header, MSG_NOSIGNAL);
                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return errno == EAGAIN ? -ETIMEDOUT : -errno;
                }
                done += (size_t) n;
        }

        return 0;
}
