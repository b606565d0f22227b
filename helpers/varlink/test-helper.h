/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For unit tests: a world of the test's own (private mount namespace, /etc and /run of its own) in which the real helper
 * binaries are started as the spawner would start them, and called. Needs root. Every failure ends the test. */

#include "message.h"
#include "slot.h"
#include "test.h"

#include <stdint.h>
#include <sys/types.h>

#define TEST_BERTH 12345U         /* berthd's user and group */
#define TEST_HELPER 12346U        /* a helper's own user and group */
#define TEST_PERSON 1000U
#define TEST_FIRST 1879048192U    /* supervisors' IDs begin here */
#define TEST_SLOTS 16U

/* /etc and /run become empty tmpfs in a new private mount namespace; passwd, group, subuid, subgid and /run/berth/slots
 * are made (with a lock file for each slot). Skips the test without root. */
void test_world(void);
void test_write_file(const char *path, const char *text);
Slot test_slot(uint32_t number);

/* A child that has done its part and waits to be killed; it does not outlive the test. */
pid_t test_fork(void (*part)(const void *), const void *argument);
void test_end(pid_t pid); /* kills and reaps it */

/* Takes the slot's lock as its supervisor would, in a child of its own; test_end() ends that. */
pid_t test_lock(uint32_t number);

/* A helper's row in the spawner's table. */
typedef struct TestRow {
        const char *program; /* path of the binary */
        const char *interface;
        uid_t user; /* and group */
        uint64_t capabilities;
} TestRow;

/* Starts the helper with one end of a connected socket and returns the other, user berth's. before: run in the child while it
 * is still root, may be NULL. */
pid_t test_start(const TestRow *row, void (*before)(void), int *ret_socket);

/* Calls INTERFACE.method on a fresh process of the helper, as user berth; parameters are consumed (NULL: {}).
 * fds are sent along. Returns what the process' waitpid() said; ret may be NULL. No answer leaves ret->json NULL. */
int test_call(const TestRow *row, const char *method, json_t *parameters, const int *fds, size_t n_fds, Message *ret);

/* The same, and the answer must be a reply, or the error with that short name, step and errno name (each NULL: any). */
void test_call_ok(const TestRow *row, const char *method, json_t *parameters, const int *fds, size_t n_fds);
void test_call_error(const TestRow *row, const char *method, json_t *parameters, const int *fds, size_t n_fds,
                     const char *error, const char *step, const char *errno_name);

/* A process that waits in a fresh user namespace made by owner, as the first process of a container does: dumpable, not
 * mapped. Further namespaces may be asked for with CLONE_NEW*. */
typedef struct TestFirst {
        pid_t pid;
        int process; /* /proc/PID */
        int userns;
} TestFirst;

TestFirst test_first(uid_t owner, int flags);
void test_first_map(const TestFirst *f, uid_t base); /* by root */
void test_first_end(TestFirst *f);

/* Groups, user, capabilities of the row, as the spawner would; for a child of the test. */
void test_become(const TestRow *row);

/* Instrumented builds have wider seccomp lists: nothing to be proven there. */
#if defined INSTRUMENT_ASAN || defined INSTRUMENT_COVERAGE
#define TEST_INSTRUMENTED true
#else
#define TEST_INSTRUMENTED false
#endif

/* What somebody with code execution would get: confine (NULL: nothing) and then try in a child of ours. 0 if it worked, the
 * negative errno if not, TEST_KILLED if a seccomp list ended it. */
#define TEST_KILLED 1
int test_attack(int (*try)(int argument), int argument, void (*confine)(void));
