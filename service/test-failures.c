/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every operation with every kind of failure at every step, and cancelled at every step: the undo calls are exactly the
 * expected ones, and no descriptor, connection, supervisor, socket or slot is left. */

#include "test-rig.h"

/* A row: an operation, the method that goes wrong, and the calls that are seen then: up to it, and the undoing. */
typedef struct Row {
        int (*operation)(void);
        Method method;
        const char *before;      /* with the call itself */
        const char *undo;        /* after a typed error */
        const char *undo_unsure; /* after anything else */
        bool unordered;          /* the calls before may come in any order */
} Row;

static const Row rows[] = {
        { do_start, CGROUP_PREPARE, PREPARED, "", GONE },
        { do_start, SPAWN_SUPERVISOR, SPAWNED, KILL_SLOT, KILL_SLOT },
        { do_start, SUPERVISOR_CREATE, CREATED, KILL_SLOT, KILL_SLOT },
        { do_start, IDMAP_WRITE_MAP, NULL, KILL_NS, KILL_NS },
        { do_start, CGROUP_SET_DEVICES, NULL, KILL_NS, KILL_NS },
        { do_start, MOUNT_LAYERS, NULL, KILL_NS, KILL_NS },
        { do_start, SUPERVISOR_START, NULL, KILL_NS, KILL_NS },
        { do_create, STORAGE_CREATE_CONTAINER, NEW_RECORD, "", "Storage.List" },
        { do_create, CGROUP_PREPARE, NEW_RECORD " " PREPARED, FORGET, GONE " " FORGET },
        { do_create, SPAWN_SUPERVISOR, NULL, KILL_SLOT " " FORGET, KILL_SLOT " " FORGET },
        { do_create, SUPERVISOR_CREATE, NULL, KILL_SLOT " " FORGET, KILL_SLOT " " FORGET },
        { do_create, IDMAP_WRITE_MAP, NULL, KILL_NS " " FORGET, KILL_NS " " FORGET },
        { do_create, MOUNT_WRITABLE, NULL, KILL_NS " " FORGET, KILL_NS " " FORGET },
        { do_create, SUPERVISOR_WORK, NULL, KILL_NS " " FORGET, KILL_NS " " FORGET },
        { do_create, STORAGE_SEAL, NULL, FORGET, FORGET },
        { do_import, STORAGE_CREATE_IMAGE, NEW_IMAGE, "", "Storage.List" },
        { do_import, SUPERVISOR_WORK, NULL, KILL_NS " " FORGET, KILL_NS " " FORGET },
        { do_import, STORAGE_SEAL, NULL, FORGET, "Storage.RemoveImage " FORGET },
        { do_create_from_image, STORAGE_CREATE_CONTAINER, NEW_RECORD, "", "Storage.List" },
        { do_clone, STORAGE_CLONE, "Storage.Clone 5", "", "Storage.List" },
};

static void test_row(const Row *row, Fault fault) {
        bool sure = fault == FAULT_ERROR, late = fault == FAULT_TWICE;
        const char *undo = sure ? row->undo : row->undo_unsure, *calls;
        char what[128];
        unsigned fds;

        (void) snprintf(what, sizeof(what), "%s %s", method_table[row->method].name ?: "preface", fault_name(fault));
        settle();
        fds = count("/proc/self/fd");
        (void) world_calls();
        begin();
        if (fault == FAULT_HANG)
                engine->timeouts[row->method] = DEADLINE;
        world_fault(row->method, fault);
        check_equal(row->operation(), 0);
        check(!got.done);
        run_until(got.done);
        if (late && !*got.error) /* the second reply came when nobody listened any more */
                check(!"a second answer must be seen");
        if (!*got.error || !*got.message || strstr(got.message, "failed") == NULL) {
                (void) fprintf(stderr, "%s: '%s' '%s'\n", what, got.error, got.message);
                exit(EXIT_FAILURE);
        }
        check(streq(got.error, fault == FAULT_HANG ? "TimedOut" : "HelperFailed"));
        engine->timeouts[row->method] = method_table[row->method].timeout;
        calls = world_calls();
        if (row->before && strncmp(calls, row->before, strlen(row->before)) != 0) {
                (void) fprintf(stderr, "%s\n  expected %s first\n  but got  %s\n", what, row->before, calls);
                exit(EXIT_FAILURE);
        }
        if (strlen(calls) < strlen(undo) || !streq(calls + strlen(calls) - strlen(undo), undo) ||
            (row->before && strlen(calls) != strlen(row->before) + (*undo ? 1 : 0) + strlen(undo))) {
                (void) fprintf(stderr, "%s\n  expected %s %s\n  but got  %s\n", what, row->before ?: "...", undo, calls);
                exit(EXIT_FAILURE);
        }
        check_clean(what, fds);
        if (getenv("VERBOSE"))
                (void) fprintf(stderr, "%s: %s\n", what, got.message);
}

static bool applies(const Row *row, Fault fault) {
        if (fault == FAULT_LIE)
                return row->operation == do_start &&
                       (row->method == SUPERVISOR_CREATE || row->method == SUPERVISOR_START);
        if (row->method != SPAWN_SUPERVISOR)
                return fault != FAULT_BUSY;

        /* Its end without a word is success; what then does not listen is found by the next step. */
        return fault == FAULT_ERROR || fault == FAULT_HANG || fault == FAULT_GARBAGE || fault == FAULT_FIELDS;
}

void test_failures(void) {
        engine->trash_delay = UINT64_MAX / 4; /* not now */
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                for (Fault f = FAULT_ERROR; f < _FAULT_MAX; f++)
                        if (applies(&rows[i], f))
                                test_row(&rows[i], f);
}

/* Cancelled while the step hangs: the undoing waits for a helper that has been asked, not for a supervisor. */
void test_cancel(void) {
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const Row *row = &rows[i];
                Operation *o;
                unsigned fds;

                if (row->operation == do_clone)
                        continue;
                settle();
                fds = count("/proc/self/fd");
                (void) world_calls();
                begin();
                engine->timeouts[row->method] = 6 * DEADLINE;
                world_fault(row->method, FAULT_HANG);
                check_equal(row->operation(), 0);
                o = TAILQ_FIRST(&engine->all);
                run_until(world_is_hung(row->method));
                operation_cancel(o);
                operation_cancel(o);
                run_until(got.done);
                check(streq(got.error, "Cancelled"));
                check_clean("cancel", fds);
                engine->timeouts[row->method] = method_table[row->method].timeout;
        }

        /* At once. */
        (void) world_calls();
        begin();
        Operation *o;
        check_equal(start_try(3, &o), 0);
        operation_cancel(o);
        run_until(got.done);
        check(streq(got.error, "Cancelled"));
        settle();
        check_calls("cancel at once", PREPARED " " GONE);
}
