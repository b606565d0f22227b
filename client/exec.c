/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* exec, shell. Where a standard descriptor of ours is of a kind that may go into a container (pipe, stream socket, regular file,
 * /dev/null) it goes there itself and we never see a byte. Else, and with a terminal inside, bytes are pumped. */

#include "client.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "pump.h"
#include "terminal.h"

/* What is still in a terminal when its process has ended comes within this time. */
#define QUIET_MS 100

typedef struct Session {
        Client *client;
        char *process; /* object path, NULL until it is known */
        bool terminal, exited, lost;
        int status, signal;
        int signals; /* signalfd */
        bool direct[3];
        Pump pumps[3]; /* of those that are not direct; with a terminal only 0 and 1 */
        size_t n_pumps;
} Session;

static int on_exited(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        Session *s = userdata;

        if (s->process && streq(sd_bus_message_get_path(m), s->process) &&
            sd_bus_message_read(m, "ii", &s->status, &s->signal) >= 0)
                s->exited = true;

        return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *name, *before, *after;
        Session *s = userdata;

        if (sd_bus_message_read(m, "sss", &name, &before, &after) >= 0 && *before != '\0')
                s->lost = true;

        return 0;
}

static bool is_null(const struct stat *st) {
        return S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3);
}

/* May it go into the container as it is? */
static bool can_be_passed(int fd) {
        socklen_t size = sizeof(int);
        struct stat st;
        int type;

        if (fstat(fd, &st) < 0)
                return false;
        if (S_ISSOCK(st.st_mode))
                return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) >= 0 && type == SOCK_STREAM;

        return S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode) || is_null(&st);
}

static int append_environment(sd_bus_message *m, const Arguments *a, bool terminal, bool shell) {
        const char *term = getenv("TERM");
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "environment");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "s");
        if (r >= 0 && terminal) {
                _cleanup_free_ char *assignment = NULL;

                if (asprintf(&assignment, "TERM=%s", term && *term ? term : "vt220") < 0)
                        return -ENOMEM;
                r = sd_bus_message_append(m, "s", assignment);
        }
        if (r >= 0 && shell && a->user == 0)
                r = sd_bus_message_append(m, "s", "HOME=/root");
        for (size_t i = 0; r >= 0 && a->environment && a->environment[i]; i++)
                r = sd_bus_message_append(m, "s", a->environment[i]);
        for (size_t i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(m);

        return r;
}

static int append_options(sd_bus_message *m, const Arguments *a, Session *s, bool shell) {
        static const char *const keys[] = { "stdin", "stdout", "stderr" };
        unsigned rows = 24, columns = 80;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = append_environment(m, a, s->terminal, shell);
        if (r >= 0 && a->cwd)
                r = sd_bus_message_append(m, "{sv}", "cwd", "s", a->cwd);
        if (r >= 0 && a->given[OPTION_USER])
                r = sd_bus_message_append(m, "{sv}{sv}", "user", "u", a->user, "group", "u", a->group);
        if (r >= 0 && s->terminal) {
                /* A terminal of no size is one that does not know it. */
                if (terminal_size(STDIN_FILENO, &rows, &columns) >= 0 && (rows == 0 || columns == 0)) {
                        rows = 24;
                        columns = 80;
                }
                r = sd_bus_message_append(m, "{sv}{sv}{sv}", "terminal", "b", true, "rows", "u", rows, "columns", "u", columns);
        }
        for (int i = 0; r >= 0 && !s->terminal && i < 3; i++)
                if (s->direct[i])
                        r = sd_bus_message_append(m, "{sv}", keys[i], "h", i);

        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_command(sd_bus_message *m, char *const *command) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; r >= 0 && command[i]; i++)
                r = sd_bus_message_append(m, "s", command[i]);

        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int listen_to(Session *s) {
        int r;

        r = sd_bus_match_signal(s->client->bus, NULL, BERTH_NAME, NULL, BERTH_INTERFACE(Process), "Exited", on_exited, s);
        if (r >= 0)
                r = sd_bus_add_match(s->client->bus, NULL,
                                     "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" BERTH_NAME
                                     "'", on_owner, s);

        return r < 0 ? fail_bus(s->client, NULL, r, "Listening to the service") : 0;
}

/* The far ends belong to the message: each that is kept is duplicated. */
static int keep(int fd) {
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        return copy < 0 ? -errno : copy;
}

static int add_pump(Session *s, int from, bool own_from, int to, bool own_to) {
        if (from < 0 || to < 0)
                return from < 0 ? from : to;
        pump_init(&s->pumps[s->n_pumps++], from, own_from, to, own_to);

        return 0;
}

static int take_reply(Session *s, sd_bus_message *reply) {
        const char *path;
        int fds[3], r;

        r = sd_bus_message_read(reply, "ohhh", &path, &fds[0], &fds[1], &fds[2]);
        if (r < 0)
                return r;
        s->process = strdup(path);
        if (!s->process)
                return -ENOMEM;
        if (s->terminal) {
                r = add_pump(s, STDIN_FILENO, false, keep(fds[0]), true);
                if (r >= 0)
                        s->pumps[0].terminal = true;
                return r < 0 ? r : add_pump(s, keep(fds[0]), true, STDOUT_FILENO, false);
        }
        for (int i = 0; r >= 0 && i < 3; i++)
                if (!s->direct[i])
                        r = i == 0 ? add_pump(s, i, false, keep(fds[i]), true) : add_pump(s, keep(fds[i]), true, i, false);

        return r < 0 ? r : 0;
}

/* A signal that cannot be passed on: the process has ended. Its end is told before this, or nobody knows of it. */
static int on_told(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        Session *s = userdata;

        s->lost |= sd_bus_message_is_method_error(m, NULL) > 0;

        return 0;
}

static void tell_process(Session *s, const char *member, const char *types, unsigned a, unsigned b) {
        _cleanup_message_ sd_bus_message *m = NULL;
        bool signal = streq(member, "Signal");

        if (sd_bus_message_new_method_call(s->client->bus, &m, BERTH_NAME, s->process, BERTH_INTERFACE(Process), member) < 0 ||
            sd_bus_message_append(m, types, a, b) < 0 || no_options(m) < 0)
                return;
        /* A size that comes too late matters to nobody. */
        if (signal)
                (void) sd_bus_call_async(s->client->bus, NULL, m, on_told, s, 0);
        else if (sd_bus_message_set_expect_reply(m, false) >= 0)
                (void) sd_bus_send(s->client->bus, m, NULL);
}

static void on_signal(Session *s) {
        struct signalfd_siginfo info;
        unsigned rows, columns;

        if (read(s->signals, &info, sizeof(info)) != sizeof(info))
                return;
        if (info.ssi_signo != SIGWINCH)
                tell_process(s, "Signal", "i", info.ssi_signo, 0);
        else if (s->terminal && terminal_size(STDIN_FILENO, &rows, &columns) >= 0)
                tell_process(s, "Resize", "uu", rows, columns);
}

static int open_signals(void) {
        static const int passed_on[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH };
        sigset_t set;

        (void) signal(SIGPIPE, SIG_IGN);
        (void) sigemptyset(&set);
        for (size_t i = 0; i < ELEMENTSOF(passed_on); i++)
                (void) sigaddset(&set, passed_on[i]);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);

        return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Everything that the process has written is passed on: nothing more is to be read and nothing is left. */
static bool output_is_done(const Session *s, bool quiet) {
        for (size_t i = 0; i < s->n_pumps; i++) {
                const Pump *p = &s->pumps[i];

                if (!p->own_from || p->to < 0)
                        continue;
                if (!pump_is_empty(p) || !(p->ended || quiet))
                        return false;
        }

        return true;
}

/* After the end of the process what it has started in the background may keep its output open: what has not come while
 * nothing else happened for a moment is not waited for. */
static int loop(Session *s) {
        struct pollfd fds[2 + 2 * 3];
        bool quiet = false;
        int r;

        while (!s->lost && !(s->exited && output_is_done(s, quiet))) {
                r = sd_bus_process(s->client->bus, NULL);
                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                fds[0] = (struct pollfd) { sd_bus_get_fd(s->client->bus), (short) sd_bus_get_events(s->client->bus), 0 };
                fds[1] = (struct pollfd) { s->signals, POLLIN, 0 };
                for (size_t i = 0; i < s->n_pumps; i++)
                        pump_poll(&s->pumps[i], fds + 2 + 2 * i);
                r = poll(fds, 2 + 2 * s->n_pumps, s->exited ? QUIET_MS : bus_timeout(s->client->bus));
                if (r < 0 && errno != EINTR)
                        return -errno;
                quiet = s->exited && r == 0;
                if (fds[1].revents)
                        on_signal(s);
                for (size_t i = 0; r > 0 && i < s->n_pumps; i++)
                        pump_step(&s->pumps[i], fds + 2 + 2 * i);
        }

        return 0;
}

static void session_done(Session *s) {
        terminal_restore();
        for (size_t i = 0; i < s->n_pumps; i++)
                pump_done(&s->pumps[i]);
        (void) close_fd(s->signals);
        free(s->process);
        free(s);
}

static void session_freep(Session **s) {
        if (*s)
                session_done(*s);
}

static int run(Client *c, const Arguments *a, char *const *command, bool terminal, bool shell) {
        _cleanup_(session_freep) Session *s = calloc(1, sizeof(Session));
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        if (!s)
                return fail_bus(c, NULL, -ENOMEM, a->words[0]);
        s->client = c;
        s->terminal = terminal;
        s->signals = -EBADF;
        for (int i = 0; i < 3; i++)
                s->direct[i] = can_be_passed(i);

        r = container_path(c, a->words[0], &path);
        if (r == 0)
                r = client_connect(c);
        if (r == 0)
                r = listen_to(s);
        if (r == 0)
                r = client_method(c, path, BERTH_INTERFACE(Container), "Exec", &m);
        if (r != 0)
                return r;
        r = append_command(m, command);
        if (r >= 0)
                r = append_options(m, a, s, shell);
        if (r < 0)
                return fail_bus(c, NULL, r, a->words[0]);
        r = client_call(c, m, a->words[0], &reply);
        if (r != 0)
                return r;
        r = take_reply(s, reply);
        if (r < 0)
                return fail_bus(c, NULL, r, a->words[0]);

        /* From here on signals are the process'. Before, they end us, and the service ends what it may have started. */
        s->signals = open_signals();
        if (s->terminal && isatty(STDIN_FILENO))
                (void) terminal_make_raw(STDIN_FILENO);
        r = s->signals < 0 ? s->signals : loop(s);
        terminal_restore();
        if (r < 0)
                return fail_bus(c, NULL, r, a->words[0]);
        if (!s->exited)
                return fail(c, "Disconnected", "The end of the command is not known: it is gone, or the service is.");

        return s->signal > 0 ? 128 + s->signal : s->status;
}

int verb_exec(Client *c, const Arguments *a) {
        bool terminal = a->given[OPTION_TERMINAL] ||
                (!a->given[OPTION_NO_TERMINAL] && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));

        if (!a->command || !a->command[0])
                return fail(c, "Usage", "There is no command: berth exec NAME -- COMMAND...");

        return run(c, a, a->command, terminal, /* shell= */ false);
}

int verb_shell(Client *c, const Arguments *a) {
        static const char script[] = "[ -x /bin/bash ] && exec /bin/bash -l; exec /bin/sh -l";
        char *const command[] = { (char *) "/bin/sh", (char *) "-c", (char *) script, NULL };
        bool terminal = a->given[OPTION_TERMINAL] || (!a->given[OPTION_NO_TERMINAL] && isatty(STDIN_FILENO));

        return run(c, a, command, terminal, /* shell= */ true);
}
