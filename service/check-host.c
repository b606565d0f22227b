/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Is this host fit? What berthd can see with no privilege at all. Features are probed; each finding says what follows from it
 * and what to do. */

#include "bus-error.h"
#include "cgroup-tree.h"
#include "manager.h"
#include "bus-call.h"
#include "slot.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>

#define FINDINGS_MAX 32U
#define POLKIT_USEC (10 * UINT64_C(1000000))
#define HELPERS_FOLDER "/run/berth/helpers/"

typedef enum Status {
        STATUS_OK,
        STATUS_WARNING,
        STATUS_FAILURE,
        _STATUS_MAX,
} Status;

static const char *const status_names[_STATUS_MAX] = {
        [STATUS_OK] = "ok",
        [STATUS_WARNING] = "warning",
        [STATUS_FAILURE] = "failure",
};

typedef struct Finding {
        const char *id;
        Status status;
        char title[160];
        const char *consequence, *remedy;
} Finding;

typedef struct Findings {
        Finding list[FINDINGS_MAX];
        size_t n;
} Findings;

_printf_(6, 7) static void add(Findings *f, const char *id, Status status, const char *consequence, const char *remedy,
                               const char *format, ...) {
        Finding *x = &f->list[f->n];
        va_list ap;

        if (f->n >= FINDINGS_MAX)
                return;
        f->n++;
        *x = (Finding) { .id = id, .status = status, .consequence = status == STATUS_OK ? "" : consequence,
                         .remedy = status == STATUS_OK ? "" : remedy };
        va_start(ap, format);
        (void) vsnprintf(x->title, sizeof(x->title), format, ap);
        va_end(ap);
}

static void check_ids(Findings *f) {
        static const char consequence[] = "No container can be created or started.";
        static const char remedy[] = "Add the line 'berth:1879048192:134283264' to /etc/subuid and to /etc/subgid; it must be the same in "
                                     "both and overlap no other line.";
        SlotTable t;
        int r;

        r = slot_table_load(&t);
        if (r >= 0)
                add(f, "ids", STATUS_OK, NULL, NULL, "IDs are delegated for %u containers", t.slots);
        else if (r == -ESRCH)
                add(f, "ids", STATUS_FAILURE, consequence, remedy, "No IDs are delegated to user berth");
        else if (r == -EUCLEAN)
                add(f, "ids", STATUS_FAILURE, consequence, remedy, "The delegation in /etc/subuid or /etc/subgid is damaged");
        else
                add(f, "ids", STATUS_FAILURE, consequence, remedy, "/etc/subuid or /etc/subgid cannot be read: %s", strerror(-r));
}

static void check_store(Manager *m, Findings *f) {
        if (m->store_readable)
                add(f, "store", STATUS_OK, NULL, NULL, "The store answers");
        else
                add(f, "store", STATUS_FAILURE, "Nothing can be done but read.",
                    "See that /var/lib/berth/store belongs to user berth-storage and that berth-spawner runs; berthd's log says more.",
                    "The store does not answer");
}

static void check_helpers(Findings *f) {
        static const char *const helpers[] = { "supervisor", "idmap", "mount", "cgroup", "storage" };
        char missing[96] = "";

        for (size_t i = 0; i < ELEMENTSOF(helpers); i++) {
                char path[64];
                size_t n = strlen(missing);

                (void) snprintf(path, sizeof(path), HELPERS_FOLDER "%s", helpers[i]);
                if (access(path, W_OK) < 0)
                        (void) snprintf(missing + n, sizeof(missing) - n, "%s%s", n > 0 ? " " : "", helpers[i]);
        }
        if (missing[0])
                add(f, "helpers", STATUS_FAILURE, "Nothing privileged can be done: no container starts.",
                    "Start berth-spawner: systemctl start berth-spawner.socket, or run it at boot.",
                    "Sockets of helpers are missing in " HELPERS_FOLDER ": %s", missing);
        else
                add(f, "helpers", STATUS_OK, NULL, NULL, "Helpers can be started");
}

static void check_cgroups(Findings *f) {
        bool v1 = false, v2 = false;
        unsigned rootless = 0;
        CgroupTree t;
        int r;

        r = cgroup_tree_open(&t);
        if (r < 0) {
                add(f, "cgroups", STATUS_FAILURE, "No container can be started.",
                    "Start berth-containers.service, or make the folder 'berth' in each hierarchy below /sys/fs/cgroup for user "
                    "berth-cgroup (berth's tmpfiles do).",
                    "No cgroup hierarchy has a place for containers");
                return;
        }
        for (size_t i = 0; i < t.n; i++) {
                if (t.hierarchies[i].root < 0)
                        rootless++;
                *(t.hierarchies[i].v2 ? &v2 : &v1) = true;
        }
        cgroup_tree_close(&t);
        if (rootless > 0)
                add(f, "cgroups", STATUS_WARNING, "Containers share those hierarchies' root: their use of it is neither seen nor bounded.",
                    "Make the folder 'berth' there for user berth-cgroup (berth's tmpfiles do).",
                    "%u cgroup hierarchies have no place for containers", rootless);
        else
                add(f, "cgroups", STATUS_OK, NULL, NULL, "cgroup hierarchies are ready (%s)", v1 && v2 ? "v1 and v2" : v2 ? "v2" : "v1");
        if (v1)
                add(f, "cgroups-v1", STATUS_WARNING,
                    "A limit that an administrator sets on berth-containers.service does not bind the containers' memory and processes.",
                    "Boot with systemd.unified_cgroup_hierarchy=1, or set limits on each container.", "Controllers are on cgroup v1");
}

static void check_number(Findings *f, const char *id, const char *path, const char *title, const char *remedy) {
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (text_read(path, 64, &text, &size) < 0)
                return; /* a switch that this kernel does not have forbids nothing */
        if (text[0] == '0')
                add(f, id, STATUS_FAILURE, "No container can be started: its supervisor may not make a user namespace.", remedy,
                    "%s", title);
}

static bool has_call(long number) {
        /* Arguments that no kernel accepts: only ENOSYS says that there is no such call. */
        return syscall(number, -1, NULL, -1, NULL, 0) >= 0 || errno != ENOSYS;
}

static void check_kernel(Findings *f) {
        static const struct {
                const char *name;
                long number;
        } calls[] = {
                { "mount_setattr", SYS_mount_setattr }, { "openat2", SYS_openat2 },
                { "pidfd_open", SYS_pidfd_open },       { "open_tree", SYS_open_tree },
        };
        _cleanup_free_ char *text = NULL;
        size_t size, n = f->n;

        for (size_t i = 0; i < ELEMENTSOF(calls); i++)
                if (!has_call(calls[i].number))
                        add(f, "kernel", STATUS_FAILURE, "No container can be started.", "Run Linux 6.1 or newer.",
                            "The kernel has no %s()", calls[i].name);
        check_number(f, "user-namespaces", "/proc/sys/user/max_user_namespaces", "User namespaces are switched off",
                     "Set the sysctl user.max_user_namespaces to some thousands.");
        check_number(f, "user-namespaces", "/proc/sys/kernel/unprivileged_userns_clone",
                     "User namespaces are switched off for all but root", "Set the sysctl kernel.unprivileged_userns_clone to 1.");
        if (text_read("/proc/filesystems", 64 * 1024, &text, &size) >= 0 && !strstr(text, "\toverlay\n"))
                add(f, "overlay", STATUS_WARNING, "Containers on images cannot be started unless the module can be loaded.",
                    "Load the module: modprobe overlay.", "The kernel does not list overlay");
        if (f->n == n)
                add(f, "kernel", STATUS_OK, NULL, NULL, "The kernel has what is needed");
}

typedef struct HostCheck {
        BusCall *request;
        Findings findings;
} HostCheck;

static int append_finding(sd_bus_message *reply, const Finding *f) {
        return sd_bus_message_append(reply, "a{sv}", 5, "id", "s", f->id, "status", "s", status_names[f->status], "title", "s",
                                     f->title, "consequence", "s", f->consequence, "remedy", "s", f->remedy);
}

static void answer(HostCheck *check) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        BusCall *q = check->request;
        int r;

        r = sd_bus_message_new_method_return(q->message, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; r >= 0 && i < check->findings.n; i++)
                r = append_finding(reply, &check->findings.list[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0) {
                (void) bus_call_reply_message(q, TAKE_PTR(reply));
                return;
        }
        (void) bus_error_internal(&error, r, "compose its answer");
        (void) bus_call_fail(q, &error);
}

/* (s action, ...) of each: is one of ours among them? */
static bool knows_our_actions(sd_bus_message *m) {
        const char *action;

        if (sd_bus_message_enter_container(m, 'a', "(ssssssuuua{ss})") < 0)
                return false;
        while (sd_bus_message_enter_container(m, 'r', "ssssssuuua{ss}") > 0) {
                if (sd_bus_message_read(m, "s", &action) < 0)
                        return false;
                if (streq(action, ACTION_PREFIX "container.start"))
                        return true;
                if (sd_bus_message_skip(m, "sssssuuua{ss}") < 0 || sd_bus_message_exit_container(m) < 0)
                        return false;
        }
        return false;
}

static int on_actions(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        HostCheck *check = userdata;

        if (sd_bus_message_is_method_error(m, NULL))
                add(&check->findings, "polkit", STATUS_FAILURE, "Only root is served, everybody else is refused.",
                    "Install polkitd and see that it runs.", "polkit does not answer");
        else if (!knows_our_actions(m))
                add(&check->findings, "polkit", STATUS_FAILURE, "Only root is served, everybody else is refused.",
                    "Install org.berth1.policy in /usr/share/polkit-1/actions/.", "polkit does not know Berth's actions");
        else
                add(&check->findings, "polkit", STATUS_OK, NULL, NULL, "polkit answers and knows Berth's actions");
        answer(check);
        free(check);
        return 0;
}

int manager_check_host(Manager *m, BusCall *q) {
        HostCheck *check = calloc(1, sizeof(HostCheck));
        int r;

        if (!check)
                return -ENOMEM;
        check->request = q;
        check_ids(&check->findings);
        check_kernel(&check->findings);
        check_cgroups(&check->findings);
        check_helpers(&check->findings);
        check_store(m, &check->findings);
        r = polkit_enumerate(m->polkit, on_actions, check, POLKIT_USEC);
        if (r < 0)
                free(check);
        return r;
}
