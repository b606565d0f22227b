/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The frame of every helper: what it does before it reads, the one call, the one reply.
 *
 * Runs with all that the spawner's row gave, until it has cut that down itself. Believes: root's files (passwd, subuid), the
 * kernel. Not: its starter's environment, the peer. The order is the security argument: limits, roots, capabilities,
 * seccomp, then the first byte; the method's own capabilities, then its parameters. */

#include "helper.h"
#include "mutation.h"
#include "users.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define SOCKET_FD 3
#define OPEN_FILES_MAX 256     /* 64 layers, twice, and what is open anyway */
#define FILE_SIZE_MAX (1 << 20) /* records only; no helper writes content */

#ifdef INSTRUMENT_ASAN
/* The leak check at exit clones a thread that traces the process: neither under a seccomp list nor undumpable. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void) {
        return "detect_leaks=0";
}
#endif

static int set_limit(int resource, rlim_t value) {
        struct rlimit limit = { value, value };

        return setrlimit((__rlimit_resource_t) resource, &limit) < 0 ? -errno : 0;
}

static int get_capabilities(uint64_t *ret_permitted) {
        struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
        struct __user_cap_data_struct data[2];

        if (syscall(SYS_capget, &header, data) < 0)
                return -errno;

        *ret_permitted = (uint64_t) data[1].permitted << 32 | data[0].permitted;
        return 0;
}

/* Permitted and effective become the set, inheritable empty. */
static int set_capabilities(uint64_t set) {
        struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
        struct __user_cap_data_struct data[2] = {
                { .effective = (uint32_t) set, .permitted = (uint32_t) set },
                { .effective = (uint32_t) (set >> 32), .permitted = (uint32_t) (set >> 32) },
        };

        return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/* What is not there any more (prepare() may have narrowed the row) is not asked for. */
static int drop_to(uint64_t set) {
        uint64_t have = 0;
        int r;

        r = get_capabilities(&have);
        if (r < 0)
                return r;
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return -errno;

        return set_capabilities(have & set);
}

static int load_seccomp(const struct sock_fprog *program) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;

        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) < 0 ? -errno : 0;
}

/* Exactly one connected UNIX stream socket, at 3, handed over by the socket activation protocol. */
static int check_socket(void) {
        const char *fds = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
        int domain, type, listening;
        char own[16];

        (void) snprintf(own, sizeof(own), "%d", (int) getpid());
        if (!fds || !streq(fds, "1") || !pid || !streq(pid, own))
                return -EINVAL;
        if (getsockopt(SOCKET_FD, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){ sizeof(int) }) < 0 ||
            getsockopt(SOCKET_FD, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){ sizeof(int) }) < 0 ||
            getsockopt(SOCKET_FD, SOL_SOCKET, SO_ACCEPTCONN, &listening, &(socklen_t){ sizeof(int) }) < 0)
                return -errno;
        if (domain != AF_UNIX || type != SOCK_STREAM || listening)
                return -EINVAL;
        if (fcntl(SOCKET_FD, F_SETFD, FD_CLOEXEC) < 0)
                return -errno;

        return 0;
}

/* Takes nothing over from whoever started us but the socket and standard error. */
static int clean_inheritance(void) {
        int r;

        if (close_range(SOCKET_FD + 1, ~0U, 0) < 0)
                return -errno;
        if (clearenv() != 0)
                return -ENOMEM;
        (void) umask(077);
        if (chdir("/") < 0)
                return -errno;
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return -errno;

        r = set_limit(RLIMIT_CORE, 0);
        if (r < 0)
                return r;
        r = set_limit(RLIMIT_NOFILE, OPEN_FILES_MAX);
        if (r < 0)
                return r;
        return set_limit(RLIMIT_FSIZE, FILE_SIZE_MAX);
}

static int prepare(const Helper *helper, Call *call, uid_t *ret_peer) {
        uint64_t row = helper->capabilities;
        struct ucred peer;
        int r;

        r = check_socket();
        if (r < 0)
                return r;
        if (getsockopt(SOCKET_FD, SOL_SOCKET, SO_PEERCRED, &peer, &(socklen_t){ sizeof(peer) }) < 0)
                return -errno;
        r = clean_inheritance();
        if (r < 0)
                return r;
        r = user_find("berth", &call->berth, /* ret_gid= */ NULL);
        if (r < 0)
                return r;
        r = slot_table_load(&call->slots);
        if (r < 0)
                return r;
        r = own_userns_get(&call->userns);
        if (r < 0)
                return r;
        message_init();

        if (helper->prepare) {
                r = helper->prepare(&row);
                if (r < 0)
                        return r;
        }
        r = drop_to(row & helper->capabilities);
        if (r < 0)
                return r;
        r = load_seccomp(helper->seccomp);
        if (r < 0)
                return r;

        *ret_peer = peer.uid;
        return 0;
}

void call_log(const Call *call, const char *format, ...) {
        char text[512], line[640];
        va_list ap;
        int n;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        for (char *c = text; *c; c++)
                if ((unsigned char) *c < 0x20 || *c == 0x7f)
                        *c = '?';

        n = snprintf(line, sizeof(line), "%s: %s\n", call->helper->name, text);
        if (n > 0)
                (void) !write(STDERR_FILENO, line, MIN((size_t) n, sizeof(line) - 1));
}

static bool is_oneway(const Call *call) {
        return json_is_true(json_object_get(call->message.json, "oneway"));
}

static int answer(Call *call, json_t *reply, const int *fds, size_t n_fds) {
        int r = 0;

        if (!reply)
                return -ENOMEM;
        if (!call->answered && !is_oneway(call))
                r = message_send(call->socket, reply, fds, n_fds);
        call->answered = true;
        json_decref(reply);
        return r;
}

int call_reply(Call *call, json_t *parameters, const int *fds, size_t n_fds) {
        return answer(call, json_pack("{s:o}", "parameters", parameters ? parameters : json_object()), fds, n_fds);
}

/* An error with its own parameters; never carries descriptors. Returns a negative errno so that main exits with failure. */
static int answer_error(Call *call, const char *name, json_t *parameters) {
        int r;

        r = answer(call, json_pack("{s:s, s:o}", "error", name, "parameters", parameters), /* fds= */ NULL, 0);
        return r < 0 ? r : -EREMOTEIO;
}

static int invalid_parameter(Call *call, const char *parameter) {
        return answer_error(call, "org.varlink.service.InvalidParameter", json_pack("{s:s}", "parameter", parameter));
}

int call_error(Call *call, const char *error, const char *step, int r) {
        const char *errno_name = strerrorname_np(r < 0 ? -r : r);
        char name[256];

        (void) snprintf(name, sizeof(name), "%s%s%s", strchr(error, '.') ? "" : call->helper->interface,
                        strchr(error, '.') ? "" : ".", error);
        call_log(call, "%s: %s: %s (%s)", call->method ? call->method->name : "?", error, step,
                 errno_name ? errno_name : "?");
        return answer_error(call, name,
                            json_pack("{s:s, s:s}", "step", step, "errnoName", errno_name ? errno_name : "EIO"));
}

int call_decode(Call *call, const Field fields[], void *target) {
        const char *field = "";
        int r;

        r = decode(call->parameters, fields, &call->message, target, &field);
        if (r == -EINVAL)
                return invalid_parameter(call, field);
        if (r < 0)
                return r;
        if (decode_check_descriptors(&call->message) < 0)
                return invalid_parameter(call, "fileDescriptors");

        return 0;
}

static int get_info(Call *call) {
        static const Field none[] = { {} };
        int r;

        r = call_decode(call, none, NULL);
        if (r < 0)
                return r;
        return call_reply(call,
                          json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor", "Berth", "product", call->helper->name,
                                    "version", BERTH_VERSION, "url", "", "interfaces", call->helper->interface,
                                    "org.varlink.service"),
                          /* fds= */ NULL, 0);
}

static const char service_description[] =
        "interface org.varlink.service\n\n"
        "method GetInfo() -> (vendor: string, product: string, version: string, url: string, interfaces: []string)\n\n"
        "method GetInterfaceDescription(interface: string) -> (description: string)\n\n"
        "error InterfaceNotFound(interface: string)\n\nerror MethodNotFound(method: string)\n\n"
        "error MethodNotImplemented(method: string)\n\nerror InvalidParameter(parameter: string)\n\n"
        "error PermissionDenied()\n\nerror ExpectedMore()\n";

static int get_interface_description(Call *call) {
        static const Field fields[] = {
                { "interface", FIELD_STRING, 0, 0, 0, 256 },
                {},
        };
        const char *interface = NULL, *text = NULL;
        int r;

        r = call_decode(call, fields, &interface);
        if (r < 0)
                return r;
        if (streq(interface, call->helper->interface))
                text = call->helper->description;
        else if (streq(interface, "org.varlink.service"))
                text = service_description;
        if (!text)
                return answer_error(call, "org.varlink.service.InterfaceNotFound",
                                    json_pack("{s:s}", "interface", interface));

        return call_reply(call, json_pack("{s:s}", "description", text), /* fds= */ NULL, 0);
}

static const Method service_methods[] = {
        { "org.varlink.service.GetInfo", get_info, 0, 0 },
        { "org.varlink.service.GetInterfaceDescription", get_interface_description, 0, 0 },
        {},
};

static const Method *find_method(const Method *methods, const char *name) {
        for (const Method *m = methods; m->name; m++)
                if (streq(m->name, name))
                        return m;

        return NULL;
}

static int not_found(Call *call, const char *name) {
        const char *dot = strrchr(name, '.');
        char interface[256];

        if (dot && (size_t) (dot - name) < sizeof(interface)) {
                (void) snprintf(interface, sizeof(interface), "%.*s", (int) (dot - name), name);
                if (!streq(interface, call->helper->interface) && !streq(interface, "org.varlink.service"))
                        return answer_error(call, "org.varlink.service.InterfaceNotFound",
                                            json_pack("{s:s}", "interface", interface));
        }
        return answer_error(call, "org.varlink.service.MethodNotFound", json_pack("{s:s}", "method", name));
}

/* {"method": string, "parameters": object?, "oneway": bool?, "more": bool?} and nothing else. */
static int unpack_call(Call *call, const char **ret_method) {
        json_t *json = call->message.json, *value, *oneway, *more;
        const char *key;

        json_object_foreach(json, key, value)
                if (!streq(key, "method") && !streq(key, "parameters") && !streq(key, "oneway") && !streq(key, "more"))
                        return -EBADMSG;

        value = json_object_get(json, "method");
        if (!json_is_string(value) || json_string_length(value) > 255)
                return -EBADMSG;
        *ret_method = json_string_value(value);

        value = json_object_get(json, "parameters");
        if (value && !json_is_null(value) && !json_is_object(value))
                return -EBADMSG;
        call->parameters = json_is_object(value) ? value : NULL;

        oneway = json_object_get(json, "oneway");
        more = json_object_get(json, "more");
        if ((oneway && !json_is_boolean(oneway)) || (more && !json_is_boolean(more)) ||
            (json_is_true(oneway) && json_is_true(more)))
                return -EBADMSG;

        return 0;
}

static int dispatch(Call *call, uid_t peer) {
        const char *name;
        bool own;
        int r;

        r = unpack_call(call, &name);
        if (r < 0)
                return r; /* as sd-varlink does: no reply to what is not a call */

        call->method = find_method(call->helper->methods, name);
        own = call->method;
        if (!own)
                call->method = find_method(service_methods, name);
        if (!call->method)
                return not_found(call, name);
        if (!MUTATION(peer_uid) && own && peer != call->berth)
                return answer_error(call, "org.varlink.service.PermissionDenied", json_object());
        if (call->message.n_fds > call->method->descriptors_max)
                return invalid_parameter(call, "fileDescriptors");

        r = MUTATION(method_capabilities) ? 0 : drop_to(call->method->capabilities);
        if (r < 0)
                return r;
        r = call->method->handler(call);
        if (r < 0 && !call->answered)
                (void) call_error(call, "Kernel", "internal", r);
        return r;
}

static unsigned descriptors_max(const Helper *helper) {
        unsigned max = 0;

        for (const Method *m = helper->methods; m->name; m++)
                max = MAX(max, m->descriptors_max);

        return max;
}

int helper_main(int argc, char *argv[], const Helper *helper) {
        Call call = { .helper = helper, .socket = SOCKET_FD };
        uid_t peer = (uid_t) -1;
        int r;

        if (argc != 1) {
                call_log(&call, "takes no arguments, only a connected socket");
                return EXIT_FAILURE;
        }
        r = prepare(helper, &call, &peer);
        if (r < 0) {
                call_log(&call, "cannot prepare: %s", strerrorname_np(-r));
                return EXIT_FAILURE;
        }
        if (peer != call.berth && peer != 0)
                return EXIT_FAILURE;

        r = message_receive(SOCKET_FD, MESSAGE_IN_MAX, descriptors_max(helper), &call.message);
        if (r == -EPIPE)
                return EXIT_SUCCESS; /* connected in advance and not needed after all */
        if (r >= 0)
                r = dispatch(&call, peer);
        message_done(&call.message);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
