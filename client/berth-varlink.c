/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* berth-varlink - calls a method of a varlink service, for people and for tests.
 *
 * Runs as whoever calls it and has no right of its own: a helper answers org.varlink.service to root, and everything else to
 * berthd's user alone. What comes back is printed as it is, one JSON object a line; descriptors that come along are
 * counted on standard error and closed. Manual: docs/man/berth-varlink.1. */

#include "message.h"
#include "text.h"

#include <getopt.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#define FDS_MAX 16

enum { EXIT_REPLY = 0, EXIT_ERROR_REPLY = 1, EXIT_NO_REPLY = 2 };

static const char usage[] =
        "berth-varlink SOCKET METHOD [JSON] [--fd NUMBER]... [--more]\n"
        "berth-varlink info SOCKET\n"
        "berth-varlink introspect SOCKET [INTERFACE]\n";

typedef struct Request {
        const char *path, *method;
        json_t *parameters;
        bool more;
        int fds[FDS_MAX];
        size_t n_fds;
} Request;

static int complain(const char *what, int r) {
        (void) fprintf(stderr, "berth-varlink: %s: %s\n", what, strerror(-r));

        return EXIT_NO_REPLY;
}

static int connect_to(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -EBADF;

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;

        return TAKE_FD(fd);
}

static int send_call(int fd, const Request *q) {
        json_t *call = json_pack("{s:s, s:O}", "method", q->method, "parameters", q->parameters);
        int r;

        if (call && q->more && json_object_set_new(call, "more", json_true()) < 0) {
                json_decref(call);
                call = NULL;
        }
        if (!call)
                return -ENOMEM;
        r = message_send(fd, call, q->fds, q->n_fds);
        json_decref(call);

        return r;
}

static void print(json_t *object, const char *text_key) {
        json_t *text = text_key ? json_object_get(json_object_get(object, "parameters"), text_key) : NULL;

        if (json_is_string(text))
                (void) fputs(json_string_value(text), stdout);
        else
                (void) json_dumpf(object, stdout, isatty(STDOUT_FILENO) ? JSON_INDENT(2) : JSON_COMPACT);
        (void) fputc('\n', stdout);
        (void) fflush(stdout);
}

/* text_key: this parameter is printed as it is, where it is there. */
static int call(const Request *q, const char *text_key) {
        _cleanup_close_ int fd = -EBADF;
        bool continues;
        int r;

        fd = connect_to(q->path);
        if (fd < 0)
                return complain(q->path, fd);
        r = send_call(fd, q);
        if (r < 0)
                return complain("cannot send", r);
        do {
                Message m = {};
                bool error;

                r = message_receive(fd, MESSAGE_OUT_MAX, MESSAGE_FDS_MAX, &m);
                if (r < 0)
                        return complain(r == -EPIPE ? "closed without a reply" : "no reply", r);
                error = json_object_get(m.json, "error");
                continues = q->more && !error && json_is_true(json_object_get(m.json, "continues"));
                print(m.json, text_key);
                if (m.n_fds > 0)
                        (void) fprintf(stderr, "(%zu descriptors came along)\n", m.n_fds);
                message_done(&m);
                if (error)
                        return EXIT_ERROR_REPLY;
        } while (continues);

        return EXIT_REPLY;
}

/* The interface of a service that has one of its own; to be freed, NULL where that cannot be found out. */
static char *own_interface(const char *path) {
        Request q = { .path = path, .method = "org.varlink.service.GetInfo", .parameters = json_object() };
        _cleanup_close_ int fd = connect_to(path);
        json_t *interfaces, *interface;
        char *found = NULL;
        Message m = {};
        size_t i;

        if (fd >= 0 && send_call(fd, &q) >= 0 && message_receive(fd, MESSAGE_OUT_MAX, 0, &m) >= 0) {
                interfaces = json_object_get(json_object_get(m.json, "parameters"), "interfaces");
                json_array_foreach(interfaces, i, interface)
                        if (!found && json_is_string(interface) && !streq(json_string_value(interface), "org.varlink.service"))
                                found = strdup(json_string_value(interface));
                message_done(&m);
        }
        json_decref(q.parameters);

        return found;
}

static int introspect(Request *q, const char *path, const char *interface) {
        _cleanup_free_ char *own = interface ? NULL : own_interface(path);

        q->path = path;
        q->method = "org.varlink.service.GetInterfaceDescription";
        q->parameters = json_pack("{s:s}", "interface", interface ?: own ?: "org.varlink.service");

        return call(q, "description");
}

static int wrong(void) {
        (void) fputs(usage, stderr);

        return EXIT_NO_REPLY;
}

static int run(int argc, char *argv[], Request *q) {
        int r;

        if (argc < 2 || argc > 3)
                return wrong();
        if (streq(argv[0], "info")) {
                q->path = argv[1];
                q->method = "org.varlink.service.GetInfo";
                q->parameters = json_object();
                return call(q, NULL);
        }
        if (streq(argv[0], "introspect"))
                return introspect(q, argv[1], argc > 2 ? argv[2] : NULL);

        q->path = argv[0];
        q->method = argv[1];
        q->parameters = json_object();
        if (argc > 2) {
                json_decref(q->parameters);
                r = message_parse(argv[2], strlen(argv[2]), MESSAGE_OUT_MAX, &q->parameters);
                if (r < 0)
                        return complain("the parameters are no JSON object", r);
        }

        return call(q, NULL);
}

int main(int argc, char *argv[]) {
        static const struct option options[] = {
                { "fd", required_argument, NULL, 'f' },
                { "more", no_argument, NULL, 'm' },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        Request q = {};
        uint64_t fd;
        int o, status;

        message_init();
        while ((o = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (o) {
                case 'f':
                        if (q.n_fds == FDS_MAX || span_to_unsigned((Span) { optarg, strlen(optarg) }, INT32_MAX, &fd) < 0)
                                return wrong();
                        q.fds[q.n_fds++] = (int) fd;
                        break;
                case 'm':
                        q.more = true;
                        break;
                case 'h':
                        (void) fputs(usage, stdout);
                        return EXIT_REPLY;
                default:
                        return wrong();
                }

        status = run(argc - optind, argv + optind, &q);
        json_decref(q.parameters);

        return status;
}
