/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table of methods against the interfaces' own text: each method is there, has a deadline where it must, and asks for
 * "more" exactly where the text says so. Argument: the folder of the helpers' sources. */

#include "request.h"
#include "test.h"
#include "text.h"

static const char *const files[] = { "cgroup/org.berth1.Cgroup", "idmap/org.berth1.IdMap", "mount/org.berth1.Mount",
                                     "storage/org.berth1.Storage", "supervisor/org.berth1.Supervisor" };

static const char *file_of(const char *method) {
        size_t n = (size_t) (strrchr(method, '.') - method);

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                const char *interface = strchr(files[i], '/') + 1;

                if (strlen(interface) == n && strncmp(interface, method, n) == 0)
                        return files[i];
        }

        return NULL;
}

/* Does the comment right above the declaration say that it needs "more"? */
static bool says_more(const char *text, const char *declaration) {
        const char *from = declaration;

        while (from > text && !(from[-1] == '\n' && from > text + 1 && from[-2] == '\n'))
                from--;
        for (const char *c = from; c < declaration; c++)
                if (strncmp(c, "\"more\"", 6) == 0)
                        return true;

        return false;
}

int main(int argc, char *argv[]) {
        check(argc == 2);
        for (Method m = 0; m < _METHOD_MAX; m++) {
                const MethodInfo *info = &method_table[m];
                _cleanup_free_ char *text = NULL;
                char path[512], wanted[128];
                const char *at;
                size_t size;

                check(info->timeout > 0 && info->peer < _PEER_MAX);
                check(info->timeout != UINT64_MAX || m == SUPERVISOR_WATCH);
                check(!info->idempotent || info->peer < _PEER_HELPERS);
                if (!info->name) {
                        check(m == SPAWN_SUPERVISOR || m == SUPERVISOR_END);
                        continue;
                }
                check(file_of(info->name));
                (void) snprintf(path, sizeof(path), "%s/%s.varlink", argv[1], file_of(info->name));
                check_equal(text_read(path, TEXT_FILE_MAX, &text, &size), 0);
                (void) snprintf(wanted, sizeof(wanted), "\nmethod %s(", strrchr(info->name, '.') + 1);
                at = strstr(text, wanted);
                if (!at)
                        (void) fprintf(stderr, "%s is not in %s\n", info->name, path);
                check(at);
                check_equal(says_more(text, at), info->more);
        }

        return 0;
}
