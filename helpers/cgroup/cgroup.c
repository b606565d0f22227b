/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* berth-cgroup - makes, limits, freezes, empties and removes the cgroups of one slot.
 *
 * User berth-cgroup, for one call. CHOWN to make and remove, DAC_READ_SEARCH to get into folders that a container has shut;
 * SYS_ADMIN (v1), or BPF and NET_ADMIN (v2), in SetDevices alone. Believes nobody: which slot follows from a user
 * namespace's owner; a bare number is taken only while no supervisor holds that slot. The most it can do is disturb the
 * cgroups of slots: Landlock opens nothing outside the berth roots.
 * Interface: org.berth1.Cgroup.varlink. Policy: docs/threat-model.md, "berth-cgroup". */

#include "cgroups.h"
#include "confine.h"
#include "helper.h"
#include "mutation.h"

#include "cgroup-seccomp.h"
#include "org.berth1.Cgroup.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define CAPABILITIES_V1 CAP_BIT(SYS_ADMIN)
#define CAPABILITIES_V2 (CAP_BIT(BPF) | CAP_BIT(NET_ADMIN))
#define CAPABILITIES_TREE (CAP_BIT(CHOWN) | CAP_BIT(DAC_READ_SEARCH))

#define NUMBER_NONE UINT64_MAX

static CgroupTree arg_tree;
static int arg_slots = -EBADF;

typedef struct Parameters {
        uint64_t number;
        int userns;
        int64_t limits[_LIMIT_MAX];
} Parameters;

/* The slot that is meant; lock keeps a new supervisor away for as long as the descriptor is open. */
typedef struct Target {
        Slot slot;
        int lock;
} Target;

static void target_done(Target *t) {
        closep(&t->lock);
}

#define FIELD_SLOT(flags) { "slot", FIELD_UNSIGNED, offsetof(Parameters, number), (flags), 0, INT64_MAX }
#define FIELD_USERNS(flags) { "userNamespaceFileDescriptor", FIELD_DESCRIPTOR, offsetof(Parameters, userns), (flags), 0, 0 }

static const Field fields_slot[] = { FIELD_SLOT(0), {} };
static const Field fields_userns[] = { FIELD_USERNS(0), {} };
static const Field fields_either[] = { FIELD_SLOT(FIELD_NULLABLE), FIELD_USERNS(FIELD_NULLABLE), {} };
static const Field fields_limits[] = {
        FIELD_SLOT(FIELD_NULLABLE),
        FIELD_USERNS(FIELD_NULLABLE),
        { "memoryMaximum", FIELD_INTEGER, offsetof(Parameters, limits[LIMIT_MEMORY]), FIELD_NULLABLE, (uint64_t) -1, INT64_MAX },
        { "tasksMaximum", FIELD_INTEGER, offsetof(Parameters, limits[LIMIT_TASKS]), FIELD_NULLABLE, (uint64_t) -1, INT32_MAX },
        { "cpuWeight", FIELD_INTEGER, offsetof(Parameters, limits[LIMIT_WEIGHT]), FIELD_NULLABLE, 1, 10000 },
        {},
};

static int find_target(Call *call, const Parameters *p, Target *ret) {
        int r;

        if (!MUTATION(cgroup_target) && (p->number != NUMBER_NONE) == (p->userns >= 0))
                return call_error(call, "BadSlot", "slot or namespace", -EINVAL);
        if (p->userns >= 0) {
                r = slot_of_userns(&call->slots, &call->userns, p->userns, &ret->slot);
                return r < 0 ? call_error(call, "BadNamespace", "owner", r) : 0;
        }

        r = slot_by_number(&call->slots, p->number, &ret->slot);
        if (r < 0)
                return call_error(call, "BadSlot", "number", r);
        r = slot_lock_shared(arg_slots, ret->slot.number, &ret->lock);
        if (!MUTATION(cgroup_lock) && r < 0)
                return call_error(call, r == -EBUSY ? "Busy" : "Kernel", "lock", r);
        return 0;
}

/* The error of the interface that an errno stands for. */
static int call_failed(Call *call, const Step *step, int r) {
        const char *error = r == -ENODEV ? "NoController" : r == -EBUSY || r == -EEXIST || r == -ETIMEDOUT ? "Busy" : "Kernel";

        return call_error(call, error, step->text, r);
}

typedef int Deed(const Slot *slot, const Parameters *p, Step *step);

static int call_run(Call *call, const Field fields[], Deed *deed) {
        Parameters p = { NUMBER_NONE, -EBADF, { LIMIT_KEEP, LIMIT_KEEP, LIMIT_KEEP } };
        _cleanup_(target_done) Target target = { .lock = -EBADF };
        _cleanup_close_ int userns = -EBADF;
        Step step = {};
        int r;

        r = call_decode(call, fields, &p);
        userns = p.userns;
        if (r < 0)
                return r;
        r = find_target(call, &p, &target);
        if (r < 0)
                return r;
        r = deed(&target.slot, &p, &step);
        target_done(&target); /* before the answer: who gets it may start the slot's supervisor at once */
        if (r < 0)
                return call_failed(call, &step, r);
        return call_reply(call, /* parameters= */ NULL, /* fds= */ NULL, 0);
}

static int do_make(const Slot *slot, const Parameters *p, Step *step) {
        return cgroups_make(&arg_tree, slot, step);
}

static int do_devices(const Slot *slot, const Parameters *p, Step *step) {
        return cgroups_devices(&arg_tree, slot, step);
}

static int do_limit(const Slot *slot, const Parameters *p, Step *step) {
        return cgroups_limit(&arg_tree, slot, p->limits, step);
}

static int do_freeze(const Slot *slot, const Parameters *p, Step *step) {
        return cgroups_freeze(&arg_tree, slot, /* frozen= */ true, step);
}

static int do_thaw(const Slot *slot, const Parameters *p, Step *step) {
        return cgroups_freeze(&arg_tree, slot, /* frozen= */ false, step);
}

static int do_kill(const Slot *slot, const Parameters *p, Step *step) {
        return cgroups_kill(&arg_tree, slot, step);
}

static int do_remove(const Slot *slot, const Parameters *p, Step *step) {
        return cgroups_remove(&arg_tree, slot, step);
}

static int method_prepare(Call *call) {
        return call_run(call, fields_slot, do_make);
}

static int method_set_devices(Call *call) {
        return call_run(call, fields_either, do_devices);
}

static int method_set_limits(Call *call) {
        return call_run(call, fields_limits, do_limit);
}

static int method_freeze(Call *call) {
        return call_run(call, fields_userns, do_freeze);
}

static int method_thaw(Call *call) {
        return call_run(call, fields_userns, do_thaw);
}

static int method_kill(Call *call) {
        return call_run(call, fields_either, do_kill);
}

static int method_remove(Call *call) {
        return call_run(call, fields_slot, do_remove);
}

/* The tree and the locks' folder, then Landlock. A v1 devices hierarchy needs SYS_ADMIN and no bpf(), any other host the
 * opposite. */
static int prepare(uint64_t *capabilities) {
        bool v1;
        int r;

        (void) umask(022); /* supervisors enter their slot's folder */
        r = cgroup_tree_open(&arg_tree);
        if (r < 0)
                return r;
        arg_slots = open("/run/berth/slots", O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (arg_slots < 0)
                return -errno;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        r = confine_files(&arg_tree, arg_slots);
        if (r < 0)
                return r;

        v1 = cgroup_tree_find(&arg_tree, "devices");
        *capabilities &= ~(v1 ? CAPABILITIES_V2 : CAPABILITIES_V1);
        return v1 ? confine_bpf() : 0;
}

static const Method methods[] = {
        { "org.berth1.Cgroup.Prepare", method_prepare, 0, CAP_BIT(CHOWN) },
        { "org.berth1.Cgroup.SetDevices", method_set_devices, 1, CAPABILITIES_V1 | CAPABILITIES_V2 },
        { "org.berth1.Cgroup.SetLimits", method_set_limits, 1, 0 },
        { "org.berth1.Cgroup.Freeze", method_freeze, 1, CAP_BIT(DAC_READ_SEARCH) },
        { "org.berth1.Cgroup.Thaw", method_thaw, 1, CAP_BIT(DAC_READ_SEARCH) },
        { "org.berth1.Cgroup.Kill", method_kill, 1, 0 },
        { "org.berth1.Cgroup.Remove", method_remove, 0, CAPABILITIES_TREE },
        {},
};

int main(int argc, char *argv[]) {
        static const Helper helper = {
                .name = "berth-cgroup",
                .interface = "org.berth1.Cgroup",
                .description = cgroup_description,
                .methods = methods,
                .capabilities = CAPABILITIES_TREE | CAPABILITIES_V1 | CAPABILITIES_V2,
                .seccomp = &cgroup_seccomp,
                .prepare = prepare,
        };

        return helper_main(argc, argv, &helper);
}
