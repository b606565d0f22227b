/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "test-world.h"
#include "slot.h"
#include "test-supervisor.h"
#include "test.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define CONNECTIONS_MAX 64U

typedef struct Connection {
        int fd;
        Peer peer;
        sd_event_source *source;
        bool asked;
} Connection;

static struct {
        sd_event *event;
        sd_event_source *listeners[_PEER_HELPERS];
        Connection connections[CONNECTIONS_MAX];
        pid_t supervisors[WORLD_SLOTS];
        SlotTable table;
        OwnUserns userns;
        const char *slots, *images;
        bool trash;
        unsigned trash_entries;
        WorldShared *shared;
} world;

static const char *const sockets[_PEER_HELPERS] = { "cgroup", "idmap", "mount", "storage", "supervisor" };

const char *fault_name(Fault f) {
        static const char *const names[_FAULT_MAX] = { "none", "error", "busy", "hang", "eof", "garbage", "fields", "fds",
                                                       "twice", "lie" };

        return names[f];
}

void world_log(WorldShared *shared, const char *format, ...) {
        char line[128];
        va_list ap;
        size_t at;

        va_start(ap, format);
        (void) vsnprintf(line, sizeof(line), format, ap);
        va_end(ap);
        at = __atomic_fetch_add(&shared->n, strlen(line) + 1, __ATOMIC_SEQ_CST);
        check(at + strlen(line) + 1 < sizeof(shared->log));
        memcpy(shared->log + at, line, strlen(line));
        shared->log[at + strlen(line)] = ' ';
}

const char *world_peek(void) {
        static char copy[sizeof(world.shared->log)];
        size_t n = world.shared->n;

        memcpy(copy, world.shared->log, n);
        copy[n > 0 ? n - 1 : 0] = 0;
        return copy;
}

const char *world_calls(void) {
        const char *calls = world_peek();

        world.shared->n = 0;
        return calls;
}

bool world_is_hung(Method method) {
        return world.shared->faults[method] == FAULT_NONE; /* it has been taken */
}

void world_fault(Method method, Fault fault) {
        world.shared->faults[method] = fault;
}

Fault world_take_fault(WorldShared *shared, Method method) {
        Fault f = shared->faults[method];

        shared->faults[method] = FAULT_NONE;
        return f;
}

void world_list(const char *slots, const char *images, bool trash) {
        world.slots = slots;
        world.images = images;
        world.trash = trash;
}

void world_trash(unsigned entries) {
        world.trash_entries = entries;
}

unsigned world_connections(void) {
        unsigned n = 0;

        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
                n += world.connections[i].source != NULL;
        return n;
}

static void connection_close(Connection *c) {
        c->source = sd_event_source_disable_unref(c->source);
        c->fd = close_fd(c->fd);
}

/* Supervisors */

pid_t world_supervisor(uint32_t slot) {
        pid_t *pid = &world.supervisors[slot];

        if (*pid > 0 && waitpid(*pid, NULL, WNOHANG) == *pid)
                *pid = 0;
        return *pid;
}

static void supervisor_kill(uint32_t slot) {
        if (world_supervisor(slot) == 0)
                return;
        (void) kill(world.supervisors[slot], SIGKILL);
        (void) waitpid(world.supervisors[slot], NULL, 0);
        world.supervisors[slot] = 0;
}

static void supervisor_start(const TestSupervisor *with) {
        pid_t pid;

        check(world_supervisor(with->slot) == 0);
        pid = fork();
        check(pid >= 0);
        if (pid == 0)
                test_supervisor(world.shared, with);
        world.supervisors[with->slot] = pid;
}

void world_kill(uint32_t slot) {
        supervisor_kill(slot);
}

void world_hang_up(void) {
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
                if (world.connections[i].source && !world.connections[i].asked)
                        connection_close(&world.connections[i]);
}

void world_run(uint32_t slot, const char *name, const char *creation_id, const char *state, bool worker) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        TestSupervisor with = { .slot = slot, .connection = -EBADF, .name = *name == '.' ? "new" : name, .creation_id = creation_id, .state = state,
                                .worker = worker };
        char folder[128];

        (void) snprintf(folder, sizeof(folder), "/run/berth/containers/%s", name);
        check(mkdir(folder, 0755) >= 0 || errno == EEXIST);
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/supervisor", folder);
        with.listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        (void) unlink(address.sun_path);
        check(bind(with.listening, (struct sockaddr *) &address, sizeof(address)) >= 0);
        world.shared->ready = 0;
        supervisor_start(&with);
        close(with.listening);
        while (!__atomic_load_n(&world.shared->ready, __ATOMIC_SEQ_CST))
                usleep(500);
}

static void on_preface(Connection *c) {
        char control[CMSG_SPACE(sizeof(int))];
        uint32_t slot = UINT32_MAX;
        struct iovec iov = { &slot, sizeof(slot) };
        struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
                                 .msg_controllen = sizeof(control) };
        TestSupervisor with = { .connection = c->fd };
        Fault fault;
        ssize_t n;

        n = recvmsg(c->fd, &header, MSG_CMSG_CLOEXEC);
        if (n <= 0)
                return connection_close(c);
        check_equal(n, sizeof(slot));
        check(CMSG_FIRSTHDR(&header) && slot < WORLD_SLOTS);
        memcpy(&with.listening, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(int));
        with.slot = slot;
        world_log(world.shared, "Supervisor %u", slot);

        fault = world_take_fault(world.shared, SPAWN_SUPERVISOR);
        if (fault == FAULT_HANG)
                c->asked = true;
        if (fault == FAULT_ERROR || fault == FAULT_GARBAGE || fault == FAULT_FIELDS)
                (void) world_answer(c->fd, "Supervisor", fault, json_object(), false, NULL, &(size_t) { 0 });
        if (fault == FAULT_NONE)
                supervisor_start(&with);
        close(with.listening);
        if (fault != FAULT_HANG)
                connection_close(c);
}

/* Helpers */

static Method method_find(const char *name) {
        for (Method m = 0; m < _METHOD_MAX; m++)
                if (method_table[m].name && streq(method_table[m].name, name))
                        return m;

        check(!"a method of the table");
        return _METHOD_MAX;
}

/* The slot of the call: by number or by namespace; UINT32_MAX for neither. */
static uint32_t slot_of_call(json_t *parameters, const Message *m, bool *ret_namespace) {
        json_t *number = json_object_get(parameters, "slot"), *index;
        Slot slot;

        index = json_object_get(parameters, "userNamespaceFileDescriptor");
        *ret_namespace = index != NULL;
        if (number)
                return (uint32_t) json_integer_value(number);
        if (!index)
                return UINT32_MAX;
        check(json_integer_value(index) < (json_int_t) m->n_fds);
        check_equal(slot_of_userns(&world.table, &world.userns, m->fds[json_integer_value(index)], &slot), 0);
        return slot.number;
}

static json_t *storage_reply(Method method) {
        switch (method) {

        case STORAGE_LIST: {
                json_t *slots = json_loads(world.slots ?: "[]", 0, NULL), *images = json_loads(world.images ?: "[]", 0, NULL);

                check(slots && images);
                return json_pack("{s:o, s:o, s:b}", "slots", slots, "images", images, "trash", world.trash);
        }

        case STORAGE_CREATE_CONTAINER:
        case STORAGE_CREATE_IMAGE:
        case STORAGE_CLONE:
                return json_pack("{s:s, s:i}", "creationID", WORLD_ID, "created", 1234567);

        case STORAGE_TAKE_SNAPSHOT:
                return json_pack("{s:i}", "created", 7654321);

        case STORAGE_COLLECT_TRASH: {
                unsigned n = world.trash_entries;

                world.trash_entries = 0;
                return json_pack("{s:i}", "entries", (int) n);
        }

        default:
                return json_object();
        }
}

static json_t *reply_of(Method method, int *fds, size_t *n_fds) {
        switch (method) {

        case MOUNT_LAYERS:
                for (; *n_fds < 3; (*n_fds)++)
                        fds[*n_fds] = open("/run", O_PATH | O_DIRECTORY | O_CLOEXEC);
                return json_pack("{s:i, s:[i, i]}", "writableFileDescriptor", 0, "layerFileDescriptors", 1, 2);

        case MOUNT_WRITABLE:
        case MOUNT_TRASH:
                fds[(*n_fds)++] = open("/run", O_PATH | O_DIRECTORY | O_CLOEXEC);
                return json_pack("{s:i}", method == MOUNT_TRASH ? "trashFileDescriptor" : "writableFileDescriptor", 0);

        default:
                return storage_reply(method);
        }
}

/* In one piece, so that both are there at once. */
static void send_twice(int fd, json_t *reply) {
        _cleanup_free_ char *text = NULL, *both = NULL;
        size_t size;

        check_equal(message_compose(reply, &text, &size), 0);
        both = malloc(2 * size);
        check(both);
        memcpy(both, text, size);
        memcpy(both + size, text, size);
        (void) send(fd, both, 2 * size, MSG_NOSIGNAL);
}

/* Answers well or badly. Returns false when the connection is to be left open without an answer. */
bool world_answer(int fd, const char *interface, Fault fault, json_t *parameters, bool continues, int fds[], size_t *n_fds) {
        size_t n = *n_fds;
        json_t *reply;
        char error[64];

        (void) snprintf(error, sizeof(error), "org.berth1.%s.%s", interface, fault == FAULT_BUSY ? "Busy" : "Kernel");
        if (fault == FAULT_ERROR || fault == FAULT_BUSY) {
                json_decref(parameters);
                reply = json_pack("{s:s, s:{s:s, s:s}}", "error", error, "parameters", "step", "test", "errnoName", "EIO");
                n = 0;
        } else {
                if (fault == FAULT_FIELDS)
                        json_object_set_new(parameters, "surprise", json_true());
                if (fault == FAULT_FDS)
                        fds[n++] = open("/dev/null", O_RDONLY | O_CLOEXEC);
                *n_fds = n; /* all are the caller's to close */
                reply = json_pack("{s:o}", "parameters", parameters);
                if (continues)
                        json_object_set_new(reply, "continues", json_true());
        }
        check(reply);

        if (fault == FAULT_GARBAGE)
                (void) send(fd, "{\"parameters\":{}", 17, MSG_NOSIGNAL);
        else if (fault == FAULT_TWICE)
                send_twice(fd, reply);
        else if (fault != FAULT_HANG && fault != FAULT_EOF)
                (void) message_send(fd, reply, fds, n);
        json_decref(reply);
        return fault != FAULT_HANG;
}

/* Its lock is free or its connection closed, so it is on its way out. */
static void wait_gone(uint32_t slot) {
        for (int i = 0; world_supervisor(slot) > 0; i++) {
                check(i < 200);
                (void) usleep(1000);
        }
}

static void on_call(Connection *c) {
        _cleanup_(message_done) Message m = {};
        json_t *parameters, *reply;
        const char *name;
        bool hung = false;
        int fds[8], r;
        size_t n_fds = 0;
        bool namespace;
        uint32_t slot;
        Method method;
        Fault fault;

        r = message_receive(c->fd, MESSAGE_IN_MAX, 16, &m);
        if (r == -EPIPE)
                return connection_close(c);
        check_equal(r, 0);
        check(!c->asked); /* one call a connection */
        c->asked = true;

        name = json_string_value(json_object_get(m.json, "method"));
        check(name);
        method = method_find(name);
        check_equal(method_table[method].peer, c->peer);
        parameters = json_object_get(m.json, "parameters");
        slot = slot_of_call(parameters, &m, &namespace);
        if (slot == UINT32_MAX)
                world_log(world.shared, "%s", name + strlen("org.berth1."));
        else
                world_log(world.shared, namespace ? "%s ns%u" : "%s %u", name + strlen("org.berth1."), slot);

        fault = world_take_fault(world.shared, method);
        if (method == CGROUP_KILL && namespace && fault == FAULT_NONE)
                supervisor_kill(slot);
        if ((method == CGROUP_KILL || method == CGROUP_REMOVE) && fault == FAULT_NONE)
                wait_gone(slot);

        reply = reply_of(method, fds, &n_fds);
        if (!world_answer(c->fd, c->peer == PEER_CGROUP ? "Cgroup" : c->peer == PEER_STORAGE ? "Storage" : "Other", fault,
                          reply, false, fds, &n_fds))
                hung = true;
        while (n_fds > 0)
                close(fds[--n_fds]);
        if (!hung)
                connection_close(c);
}

static int on_connection(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        Connection *c = userdata;

        if (c->asked) /* hung: until the other side goes */
                connection_close(c);
        else if (c->peer == PEER_SPAWNED)
                on_preface(c);
        else
                on_call(c);
        return 0;
}

static int on_listener(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        Connection *c = world.connections;

        while (c->source)
                check(++c < world.connections + CONNECTIONS_MAX);
        *c = (Connection) { .peer = (Peer) (uintptr_t) userdata };
        c->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        check(c->fd >= 0);
        check(sd_event_add_io(world.event, &c->source, c->fd, EPOLLIN, on_connection, c) >= 0);
        return 0;
}

static void write_file(const char *path, const char *text) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text));
        close(fd);
}

void world_init(sd_event *event) {
        static const char line[] = "berth:1000000:589824\n"; /* supervisors, then eight slots */
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        char path[64];

        if (geteuid() != 0)
                skip_test("needs root");
        if (unshare(CLONE_NEWNS) < 0)
                skip_test("no mount namespaces here");
        check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) >= 0);
        check(mount("tmpfs", "/run", "tmpfs", 0, NULL) >= 0);
        check(mkdir("/run/berth", 0755) >= 0 && mkdir("/run/berth/helpers", 0755) >= 0);
        check(mkdir("/run/berth/containers", 0755) >= 0 && mkdir("/run/berth/slots", 0750) >= 0);
        for (unsigned i = 0; i < WORLD_SLOTS; i++) {
                (void) snprintf(path, sizeof(path), "/run/berth/slots/%u", i);
                write_file(path, "");
        }
        write_file("/run/subid", line);
        check(mount("/run/subid", "/etc/subuid", NULL, MS_BIND, NULL) >= 0);
        check(mount("/run/subid", "/etc/subgid", NULL, MS_BIND, NULL) >= 0);
        /* No cgroups: what the machine has is not for this test. */
        check(mkdir("/run/empty", 0755) >= 0 && mount("/run/empty", "/sys/fs/cgroup", NULL, MS_BIND, NULL) >= 0);

        world.shared = mmap(NULL, sizeof(*world.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        check(world.shared != MAP_FAILED);
        world.event = event;
        check_equal(slot_table_load(&world.table), 0);
        check_equal(own_userns_get(&world.userns), 0);
        for (Peer p = 0; p < _PEER_HELPERS; p++) {
                int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

                (void) snprintf(address.sun_path, sizeof(address.sun_path), "/run/berth/helpers/%s", sockets[p]);
                check(fd >= 0 && bind(fd, (struct sockaddr *) &address, sizeof(address)) >= 0 && listen(fd, 32) >= 0);
                check(sd_event_add_io(event, &world.listeners[p], fd, EPOLLIN, on_listener, (void *) (uintptr_t) p) >= 0);
                check(sd_event_source_set_io_fd_own(world.listeners[p], true) >= 0);
        }
}

void world_done(void) {
        for (uint32_t i = 0; i < WORLD_SLOTS; i++)
                supervisor_kill(i);
        for (Peer p = 0; p < _PEER_HELPERS; p++)
                world.listeners[p] = sd_event_source_disable_unref(world.listeners[p]);
}
