/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Kills berth-storage at its k-th system call after the request, k = 1, 2, ..., for each method; and, for each, lets the
 * k-th call fail instead. Whatever happens, the store is in the old state or in the new one, a failure that is told has
 * changed nothing, and what is left behind is collected.
 *
 * Every sixteenth place, at a random offset, unless BERTH_KILL_ALL is set. */

#include "test-world.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#define TEMPLATE "/var/lib/template"
#define CALLS_MAX 2000U

static unsigned stride = 16, offset;
static unsigned rounds, operations;

typedef struct Operation {
        const char *method;
        json_t *parameters; /* borrowed by each call */
} Operation;

typedef enum Attack { ATTACK_NONE, ATTACK_KILL, ATTACK_FAIL } Attack;

typedef struct Outcome {
        bool attacked; /* the k-th call came */
        bool answered, error;
        char *text;
        long call; /* which one it was */
} Outcome;

static void run(const char *program, char *const arguments[]) {
        int status;
        pid_t pid;

        pid = fork();
        check(pid >= 0);
        if (pid == 0) {
                (void) execv(program, arguments);
                _exit(127);
        }
        check(waitpid(pid, &status, 0) == pid);
        check_equal(status, 0);
}

static void copy(const char *from, const char *to) {
        run("/bin/rm", (char *const[]) { (char *) "rm", (char *) "-rf", (char *) to, NULL });
        run("/bin/cp", (char *const[]) { (char *) "cp", (char *) "-a", (char *) from, (char *) to, NULL });
}

static void be_traced(void) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
                _exit(125);
}

/* These end the conversation or are needed to begin it; what happens when they fail is not the store's matter. */
static bool is_spared(long call) {
#ifdef INSTRUMENT_ASAN
        if (call == SYS_mmap || call == SYS_munmap || call == SYS_madvise) /* the sanitizer's, which gives up without them */
                return true;
#endif
        return call == SYS_recvmsg || call == SYS_sendmsg || call == SYS_exit_group || call == SYS_rt_sigreturn;
}

/* A sanitizer's run time does not survive a call of its own that fails. */
#if defined(__x86_64__) && !defined(INSTRUMENT_ASAN)
/* The call does not happen: another one does, which the seccomp list lets through, and set_result() says what it returns. */
static void skip_call(pid_t pid) {
        struct user_regs_struct regs;

        check(ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0);
        regs.orig_rax = SYS_getpid;
        check(ptrace(PTRACE_SETREGS, pid, NULL, &regs) == 0);
}

static void set_result(pid_t pid, int error) {
        struct user_regs_struct regs;

        check(ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0);
        regs.rax = (unsigned long long) -(long long) error;
        check(ptrace(PTRACE_SETREGS, pid, NULL, &regs) == 0);
}
#define CAN_FAIL true
#else
static void skip_call(pid_t pid) {
}
static void set_result(pid_t pid, int error) {
}
#define CAN_FAIL false
#endif

/* Follows the helper to its end; attacks its k-th system call after it has read the request. */
static void trace(pid_t pid, Attack attack, unsigned k, Outcome *ret) {
        unsigned n = 0;
        bool reading = false, counting = false, failing = false;
        int status;

        check(waitpid(pid, &status, 0) == pid);
        check(WIFSTOPPED(status));
        check(ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0);
        for (;;) {
                struct __ptrace_syscall_info info;

                check(ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0);
                check(waitpid(pid, &status, 0) == pid);
                if (!WIFSTOPPED(status))
                        return;
                if (WSTOPSIG(status) != (SIGTRAP | 0x80))
                        continue;
                check(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0);
                if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
                        if (failing)
                                set_result(pid, EIO);
                        failing = false;
                        /* The request has come with the first of them. */
                        counting |= reading;
                        continue;
                }
                if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
                        continue;
                reading |= info.entry.nr == SYS_recvmsg;
                if (!counting || attack == ATTACK_NONE || n++ != k)
                        continue;
                ret->attacked = true;
                ret->call = (long) info.entry.nr;
                if (attack == ATTACK_KILL) {
                        check(kill(pid, SIGKILL) == 0);
                        check(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
                        return;
                }
                if (!is_spared((long) info.entry.nr)) {
                        skip_call(pid);
                        failing = true;
                }
        }
}

static Outcome call(const Operation *operation, Attack attack, unsigned k) {
        Outcome outcome = {};
        Message m = {};
        json_t *request;
        char name[128];
        int socket, r;
        pid_t pid;

        (void) snprintf(name, sizeof(name), "org.berth1.Storage.%s", operation->method);
        request = json_pack("{s:s, s:O}", "method", name, "parameters", operation->parameters);
        check(request);
        pid = test_start(&storage, be_traced, &socket);
        check(message_send(socket, request, NULL, 0) >= 0);
        json_decref(request);
        trace(pid, attack, k, &outcome);
        r = message_receive(socket, MESSAGE_OUT_MAX, 0, &m);
        (void) close(socket);
        outcome.answered = r >= 0;
        if (r >= 0) {
                outcome.error = json_object_get(m.json, "error");
                outcome.text = json_dumps(m.json, JSON_COMPACT);
        }
        message_done(&m);

        return outcome;
}

static _noreturn_ void broken(const Operation *o, Attack attack, unsigned k, const Outcome *outcome, const char *what,
                              const char *state) {
        (void) fprintf(stderr, "%s, %s at call %u (number %ld): %s\nanswer: %s\n%s", o->method,
                       attack == ATTACK_KILL ? "killed" : "failing", k, outcome->call, what, outcome->text ?: "none", state);
        exit(EXIT_FAILURE);
}

/* What a berthd does that finds the store after a crash: everything is collected, and nothing is left that is not named. */
static void clean_up(const Operation *o, Attack attack, unsigned k, const Outcome *outcome, json_t *all, const char *state) {
        json_t *entry, *collected;
        char *after;
        size_t i;

        json_array_foreach(json_object_get(all, "slots"), i, entry) {
                if (!streq(json_string_value(json_object_get(entry, "kind")), "trash"))
                        continue;
                delete_trash((uint32_t) json_integer_value(json_object_get(entry, "slot")));
                ok("ReleaseTrash", "{s:O}", "slot", json_object_get(entry, "slot"));
        }
        collected = reply("CollectTrash", "{s:i}", "slot", 15);
        if (json_integer_value(json_object_get(collected, "entries")) > 0) {
                delete_trash(15);
                ok("ReleaseTrash", "{s:i}", "slot", 15);
        }
        json_decref(collected);

        all = list_all();
        if (json_is_true(json_object_get(all, "trash")) || count_entries(STORE "/tmp") > 0 || count_entries(STORE "/trash") > 0 ||
            count_entries(PUBLIC) != count_entries(STORE "/slots"))
                broken(o, attack, k, outcome, "something is left", state);
        check_store_of(all);
        after = state_of(all, state);
        check(!strstr(after, "damaged") && !strstr(after, "trash"));
        free(after);
        json_decref(all);
}

static void attack_at(const Operation *o, Attack attack, unsigned k, const char *before, const char *after, bool *ret_more) {
        Outcome outcome;
        char *state;
        json_t *all;

        copy(TEMPLATE, "/var/lib/berth");
        outcome = call(o, attack, k);
        *ret_more = outcome.attacked;
        if (outcome.attacked) {
                rounds++;
                all = list_all();
                state = state_of(all, before);
                check_store_of(all);
                if (!streq(state, before) && !streq(state, after))
                        broken(o, attack, k, &outcome, "neither the old state nor the new one", state);
                if (outcome.answered && outcome.error && !streq(state, before))
                        broken(o, attack, k, &outcome, "an error, and a change", state);
                if (outcome.answered && !outcome.error && !streq(state, after))
                        broken(o, attack, k, &outcome, "success, and no change", state);
                /* The frame of helpers does not answer where it cannot drop what it holds. */
                if (attack == ATTACK_FAIL && !outcome.answered && outcome.call != SYS_capset &&
                    outcome.call != SYS_capget && outcome.call != SYS_prctl)
                        broken(o, attack, k, &outcome, "no answer", state);
                if (attack == ATTACK_KILL)
                        clean_up(o, attack, k, &outcome, all, state);
                free(state);
                json_decref(all);
        }
        free(outcome.text);
}

/* parameters is consumed. The store is the template's state. */
static void attack(const char *method, json_t *parameters) {
        Operation operation = { method, parameters };
        char *before, *after;
        Outcome outcome;
        bool more = true;

        check(parameters);
        copy("/var/lib/berth", TEMPLATE);
        before = state_text(NULL);
        outcome = call(&operation, ATTACK_NONE, 0);
        if (!outcome.answered || outcome.error) {
                (void) fprintf(stderr, "%s: %s\n", method, outcome.text ?: "no answer");
                exit(EXIT_FAILURE);
        }
        free(outcome.text);
        after = state_text(before);

        for (unsigned k = offset; more; k += stride) {
                check(k < CALLS_MAX);
                attack_at(&operation, ATTACK_KILL, k, before, after, &more);
                if (more && CAN_FAIL)
                        attack_at(&operation, ATTACK_FAIL, k, before, after, &more);
        }
        offset = (offset + 1) % stride;
        operations++;
        free(before);
        free(after);
        json_decref(parameters);
        copy(TEMPLATE, "/var/lib/berth");
}

/* Slot 0: container "web" on image "base", written into since snapshot "snap0"; slot 1: "fresh", untouched; slot 2: an image to
 * be sealed; slot 3: a container to be sealed; and trash. */
static void make_template(void) {
        ok("CreateImage", "{s:i, s:s, s:i}", "slot", 0, "name", "base", "ownerUID", 0);
        write_content(0, "base");
        ok("Seal", "{s:i}", "slot", 0);
        ok("CreateContainer", "{s:i, s:s, s:i, s:s}", "slot", 0, "name", "web", "ownerUID", 1000, "image", "base");
        write_content(0, "one");
        ok("TakeSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "snap0");
        write_content(0, "two");
        ok("CreateContainer", "{s:i, s:s, s:i, s:s}", "slot", 1, "name", "fresh", "ownerUID", 1000, "image", "base");
        ok("CreateImage", "{s:i, s:s, s:i}", "slot", 2, "name", "new", "ownerUID", 0);
        write_content(2, "new");
        ok("CreateContainer", "{s:i, s:s, s:i}", "slot", 3, "name", "unpacked", "ownerUID", 1000);
        write_content(3, "archive");
        ok("CreateContainer", "{s:i, s:s, s:i, s:s}", "slot", 4, "name", "rubbish", "ownerUID", 1000, "image", "base");
        write_content(4, "rubbish");
        ok("Destroy", "{s:i, s:b}", "slot", 4, "snapshots", false);
}

int main(int argc, char *argv[]) {
        check(argc == 2);
        storage_world(argv[1]);
        if (getenv("BERTH_KILL_ALL"))
                stride = 1;
        offset = (unsigned) getpid() % stride;
        make_template();

        attack("CreateContainer", json_pack("{s:i, s:s, s:i, s:s}", "slot", 5, "name", "a", "ownerUID", 1, "image", "base"));
        attack("CreateContainer", json_pack("{s:i, s:s, s:i}", "slot", 5, "name", "a", "ownerUID", 1));
        attack("CreateImage", json_pack("{s:i, s:s, s:i}", "slot", 5, "name", "a", "ownerUID", 1));
        attack("Seal", json_pack("{s:i}", "slot", 2));
        attack("Seal", json_pack("{s:i}", "slot", 3));
        attack("TakeSnapshot", json_pack("{s:i, s:s}", "slot", 0, "snapshot", "a"));
        attack("TakeSnapshot", json_pack("{s:i, s:s}", "slot", 1, "snapshot", "a"));
        attack("RestoreSnapshot", json_pack("{s:i, s:s}", "slot", 0, "snapshot", "snap0"));
        attack("RemoveSnapshot", json_pack("{s:i, s:s}", "slot", 0, "snapshot", "snap0"));
        attack("Clone", json_pack("{s:i, s:i, s:s, s:i}", "slot", 0, "targetSlot", 5, "name", "a", "ownerUID", 1));
        attack("Clone", json_pack("{s:i, s:s, s:i, s:s, s:i}", "slot", 0, "snapshot", "snap0", "targetSlot", 5, "name", "a",
                                  "ownerUID", 1));
        attack("Rename", json_pack("{s:i, s:s}", "slot", 0, "name", "a"));
        attack("Destroy", json_pack("{s:i, s:b}", "slot", 0, "snapshots", true));
        attack("RemoveImage", json_pack("{s:s}", "name", "base"));
        attack("CollectTrash", json_pack("{s:i}", "slot", 5));
        json_decref(reply("CollectTrash", "{s:i}", "slot", 5));
        attack("ReleaseTrash", json_pack("{s:i}", "slot", 5));
        delete_trash(5);
        attack("ReleaseTrash", json_pack("{s:i}", "slot", 5));
        attack("List", json_object());

        (void) printf("%u operations, %u rounds\n", operations, rounds);

        return EXIT_SUCCESS;
}
