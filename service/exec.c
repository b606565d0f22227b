/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is asked of a running container's supervisor beside its start and stop: programs inside, signals, sizes. Each call has
 * a connection of its own, checked for who listens there. What comes back is checked before a client of ours sees it. */

#include "decode.h"
#include "errors.h"
#include "life.h"
#include "mutation.h"
#include "operation.h"

#include <ctype.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define ASKING_MAX 10U /* calls at once to one supervisor, which takes 16 connections, Watch's and a stop's among them */
#define PTMX makedev(5, 2)
#define UNIX98_MASTER_MAJOR 128

/* The operation holds no slot: any number of these run beside one another, and beside a stop. */
typedef struct Ask {
        Operation op;
        uint32_t asked;
        uint64_t life;      /* serial of the life that was asked */
        bool counted;       /* in its life's asking */
        Method method;
        json_t *parameters;
        Done plain;
        /* Execute: */
        bool terminal;
        int fds[3];         /* the caller's own */
        int sent[3];        /* those that are there, in the order of their indices */
        size_t n_sent;
        int got[3];
        char process[PROCESS_NAME_MAX + 1];
        pid_t pid;
        void (*done)(void *userdata, const char *process, pid_t pid, int fds[static 3], const EngineError *error);
        void *userdata;
} Ask;

static Ask *ask(Operation *o) {
        return (Ask *) o;
}

/* The life that was asked, if it is still that slot's. */
static Life *ask_life(Ask *a) {
        Life *l = a->op.engine->slots[a->asked].life;

        return l && l->serial == a->life ? l : NULL;
}

static int ask_begin(Operation *o, unsigned step) {
        Ask *a = ask(o);
        Life *l = ask_life(a);
        char path[LIFE_PATH_MAX];
        RequestTarget target = { .path = path, .peer = l->slot.supervisor };

        life_path(l->folder, path);
        return operation_call_at(o, step, a->method, &target, TAKE_PTR(a->parameters), a->sent, a->n_sent);
}

/* A pipe's end of the right direction, or a pseudo terminal's master: nothing else is handed to a client. */
static bool descriptor_is_good(int fd, bool terminal, int access) {
        struct stat st;
        int flags;

        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || (flags & O_PATH) || fstat(fd, &st) < 0)
                return false;
        if (MUTATION(engine_exec_descriptor))
                return true;
        if (terminal)
                return S_ISCHR(st.st_mode) && (st.st_rdev == PTMX || major(st.st_rdev) == UNIX98_MASTER_MAJOR);

        return S_ISFIFO(st.st_mode) && (flags & O_ACCMODE) == access;
}

/* With a terminal exactly its master comes, as output; else exactly those ends that the caller did not bring. */
static bool descriptors_fit(Ask *a) {
        static const int access[3] = { O_WRONLY, O_RDONLY, O_RDONLY };

        for (size_t i = 0; i < 3; i++) {
                bool wanted = a->terminal ? i == 1 : a->fds[i] < 0;

                if (wanted != (a->got[i] >= 0))
                        return false;
                if (wanted && !descriptor_is_good(a->got[i], a->terminal, access[i]))
                        return false;
        }

        return true;
}

typedef struct ExecuteReply {
        const char *process;
        uint64_t pid;
        int fds[3];
} ExecuteReply;

static int execute_finish(Operation *o, unsigned step, Answer *answer) {
        static const Field fields[] = {
                { "process", FIELD_STRING, offsetof(ExecuteReply, process), 0, 1, PROCESS_NAME_MAX },
                { "pid", FIELD_UNSIGNED, offsetof(ExecuteReply, pid), 0, 2, INT32_MAX },
                { "inputFileDescriptor", FIELD_DESCRIPTOR, offsetof(ExecuteReply, fds[0]), FIELD_NULLABLE, 0, 0 },
                { "outputFileDescriptor", FIELD_DESCRIPTOR, offsetof(ExecuteReply, fds[1]), FIELD_NULLABLE, 0, 0 },
                { "errorFileDescriptor", FIELD_DESCRIPTOR, offsetof(ExecuteReply, fds[2]), FIELD_NULLABLE, 0, 0 },
                {},
        };
        ExecuteReply x = { .fds = { -EBADF, -EBADF, -EBADF } };
        Ask *a = ask(o);
        const char *field;
        int r;

        r = decode(answer->reply->parameters, fields, answer->reply->message, &x, &field);
        memcpy(a->got, x.fds, sizeof(a->got)); /* closed with the operation */
        if (r < 0)
                return r;
        for (const char *c = x.process; *c; c++)
                if (!isascii(*c) || (!isalnum(*c) && *c != '-'))
                        return -EINVAL;
        if (!descriptors_fit(a))
                return -EINVAL;

        memcpy(a->process, x.process, strlen(x.process) + 1);
        a->pid = (pid_t) x.pid;
        return 1;
}

static void execute_done(Operation *o, const EngineError *error) {
        Ask *a = ask(o);
        Engine *e = o->engine;
        Life *l;

        for (size_t i = 0; error && i < 3; i++)
                a->got[i] = close_fd(a->got[i]);
        a->done(a->userdata, error ? NULL : a->process, error ? 0 : a->pid, a->got, error);
        l = e->slots[a->asked].life; /* the callback may have begun anything */
        if (!error && l && l->serial == a->life)
                life_add_process(l, a->process);
        else if (!error) /* its container's end came first */
                e->callbacks.process_exited(e->userdata, a->asked, a->process, -1, 0);
}

static void ask_enter(Ask *a, Life *l) {
        a->counted = true;
        l->asking++;
        operation_begin(&a->op);
}

/* The next that waits gets the place. */
static void ask_leave(Ask *a) {
        Life *l = ask_life(a);
        Operation *next;

        if (!l || !a->counted)
                return;
        l->asking--;
        next = TAILQ_FIRST(&l->waiting);
        if (next && l->state == LIFE_RUNNING) {
                TAILQ_REMOVE(&l->waiting, next, queue);
                ask_enter(ask(next), l);
        }
}

static void ask_done(Operation *o, const EngineError *error) {
        EngineError gone = { .error = "NotRunning", .message = (char *) "the container has stopped meanwhile" };
        Ask *a = ask(o);

        if (error && !streq(error->error, "NotRunning") && !ask_life(a))
                error = &gone;
        ask_leave(a);
        if (a->done)
                execute_done(o, error);
        else
                a->plain.done(a->plain.userdata, error);
}

static void ask_release(Operation *o) {
        Ask *a = ask(o);

        for (size_t i = 0; i < 3; i++) {
                (void) close_fd(a->fds[i]);
                (void) close_fd(a->got[i]);
        }
        if (a->parameters)
                json_decref(a->parameters);
}

static const Step execute_steps[] = { { "executing the program", 0, ask_begin, execute_finish, .abandon = true } };
static const Step signal_steps[] = { { "sending the signal", 0, ask_begin, .abandon = true } };
static const Step resize_steps[] = { { "setting the terminal's size", 0, ask_begin, .abandon = true } };

static const Recipe recipe_execute = { "execute in", execute_steps, 1, ask_done, ask_release };
static const Recipe recipe_signal = { "signal", signal_steps, 1, ask_done, ask_release };
static const Recipe recipe_resize = { "resize", resize_steps, 1, ask_done, ask_release };

/* Takes parameters over. */
static int ask_new(Engine *e, const Recipe *recipe, uint32_t slot, Method method, json_t *parameters, Ask **ret) {
        Life *l;
        Ask *a;
        int r = -EINVAL;

        l = slot < e->table.slots ? e->slots[slot].life : NULL;
        if (parameters && slot < e->table.slots)
                r = operation_new(e, recipe, sizeof(Ask), SLOT_NONE, l ? l->folder : "the container", NULL, &a);
        if (r < 0) {
                if (parameters)
                        json_decref(parameters);
                return r;
        }

        a->asked = slot;
        a->life = l ? l->serial : 0;
        a->method = method;
        a->parameters = parameters;
        for (size_t i = 0; i < 3; i++)
                a->fds[i] = a->got[i] = -EBADF;
        *ret = a;
        return 0;
}

static void ask_go(Ask *a) {
        Life *l = ask_life(a);

        if (!l || l->state != LIFE_RUNNING)
                operation_refuse(&a->op, "NotRunning", "it is not running");
        else if (l->asking >= ASKING_MAX)
                TAILQ_INSERT_TAIL(&l->waiting, &a->op, queue);
        else
                ask_enter(a, l);
}

static int ask_plain(Engine *e, const Recipe *recipe, uint32_t slot, Method method, json_t *parameters, Done done) {
        Ask *a;
        int r;

        r = ask_new(e, recipe, slot, method, parameters, &a);
        if (r < 0)
                return r;

        a->plain = done;
        ask_go(a);
        return 0;
}

int engine_signal(Engine *e, uint32_t slot, int signal, Done done) {
        return ask_plain(e, &recipe_signal, slot, SUPERVISOR_SIGNAL, json_pack("{s:i}", "signal", signal), done);
}

int engine_process_signal(Engine *e, uint32_t slot, const char *process, int signal, Done done) {
        return ask_plain(e, &recipe_signal, slot, SUPERVISOR_SIGNAL_PROCESS,
                         json_pack("{s:s, s:i}", "process", process, "signal", signal), done);
}

int engine_process_resize(Engine *e, uint32_t slot, const char *process, unsigned rows, unsigned columns, Done done) {
        return ask_plain(e, &recipe_resize, slot, SUPERVISOR_RESIZE_PROCESS,
                         json_pack("{s:s, s:I, s:I}", "process", process, "rows", (json_int_t) rows, "columns",
                                   (json_int_t) columns),
                         done);
}

static json_t *execute_parameters(const ExecRequest *q) {
        return json_pack("{s:o, s:o, s:s, s:I, s:I, s:b, s:I, s:I}", "arguments", json_strings(q->argv), "environment",
                         json_strings(q->environment), "workingDirectory", q->cwd ?: "/", "user", (json_int_t) q->user,
                         "group", (json_int_t) q->group, "terminal", q->terminal, "rows", (json_int_t) q->rows,
                         "columns", (json_int_t) q->columns);
}

/* Takes the caller's descriptors over and gives them their indices. */
static int execute_descriptors(Ask *a, const ExecRequest *q) {
        static const char *const names[3] = { "inputFileDescriptor", "outputFileDescriptor", "errorFileDescriptor" };

        for (size_t i = 0; i < 3; i++) {
                a->fds[i] = q->fds[i];
                if (a->fds[i] < 0)
                        continue;
                if (json_object_set_new(a->parameters, names[i], json_integer((json_int_t) a->n_sent)) < 0)
                        return -ENOMEM;
                a->sent[a->n_sent++] = a->fds[i];
        }

        return 0;
}

int engine_exec(Engine *e, const ExecRequest *q,
                void (*done)(void *userdata, const char *process, pid_t pid, int fds[static 3], const EngineError *error),
                void *userdata) {
        Ask *a;
        int r;

        r = ask_new(e, &recipe_execute, q->slot, SUPERVISOR_EXECUTE, execute_parameters(q), &a);
        if (r < 0) {
                for (size_t i = 0; i < 3; i++)
                        (void) close_fd(q->fds[i]);
                return r;
        }
        a->done = done;
        a->userdata = userdata;
        a->terminal = q->terminal;
        r = execute_descriptors(a, q);

        if (r < 0)
                operation_refuse(&a->op, "HelperFailed", "out of memory");
        else
                ask_go(a);
        return 0;
}
