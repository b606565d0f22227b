/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* berth-idmap - writes the ID maps of one fresh user namespace.
 *
 * Real uid 0, effective uid the supervisor's once known, CAP_SETUID and CAP_SETGID, for one call. Believes nobody: the peer
 * may be a berthd that somebody has taken over. Which range is written follows from who owns the namespace, never
 * from the message. The most it can do is map a slot's own range a first time.
 * Interface: org.berth1.IdMap.varlink. Policy: docs/threat-model.md, "berth-idmap". */

#include "helper.h"
#include "map.h"
#include "mutation.h"

#include "idmap-seccomp.h"
#include "org.berth1.IdMap.h"

#include <malloc.h>

typedef struct Parameters {
        int process, userns;
} Parameters;

static void parameters_done(Parameters *p) {
        closep(&p->process);
        closep(&p->userns);
}

static int write_map(Call *call) {
        static const Field fields[] = {
                { "processFileDescriptor", FIELD_DESCRIPTOR, offsetof(Parameters, process), 0, 0, 0 },
                { "userNamespaceFileDescriptor", FIELD_DESCRIPTOR, offsetof(Parameters, userns), 0, 0, 0 },
                {},
        };
        _cleanup_(parameters_done) Parameters p = { -EBADF, -EBADF };
        _cleanup_(maps_close) Maps maps = { -EBADF, -EBADF };
        const char *step;
        Slot slot;
        int r;

        r = call_decode(call, fields, &p);
        if (r < 0)
                return r;
        r = slot_of_userns(&call->slots, &call->userns, p.userns, &slot);
        if (r < 0)
                return call_error(call, "BadNamespace", "owner", r);
        r = become_effective(slot.supervisor);
        if (r < 0)
                return call_error(call, "Kernel", "effective user", r);
        r = process_check(p.process, p.userns, &step);
        if (r < 0)
                return call_error(call, "BadProcess", step, r);
        r = maps_open(p.process, &maps);
        if (r < 0)
                return call_error(call, "BadProcess", "open maps", r);
        r = maps_check_empty(&maps);
        if (!MUTATION(idmap_empty) && r < 0)
                return call_error(call, "BadNamespace", "empty maps", r);
        r = maps_write(&maps, slot.base, &step);
        if (r < 0)
                return call_error(call, "Kernel", step, r);

        call_log(call, "slot %u mapped to %u", slot.number, slot.base);
        return call_reply(call, /* parameters= */ NULL, /* fds= */ NULL, 0);
}

/* The filter learns where the constants are; memory comes from brk() alone. */
static int prepare(uint64_t *capabilities) {
#ifndef INSTRUMENT_ASAN
        if (mallopt(M_MMAP_MAX, 0) != 1)
                return -ENOMEM;
#endif
        return idmap_patch(map_constants.uid_map, &map_constants.how, map_constants.gid_map) < 0 ? -EFAULT : 0;
}

static const Method methods[] = {
        { "org.berth1.IdMap.WriteMap", write_map, 2, CAP_BIT(SETUID) | CAP_BIT(SETGID) },
        {},
};

int main(int argc, char *argv[]) {
        static const Helper helper = {
                .name = "berth-idmap",
                .interface = "org.berth1.IdMap",
                .description = idmap_description,
                .methods = methods,
                .capabilities = CAP_BIT(SETUID) | CAP_BIT(SETGID),
                .seccomp = &idmap_seccomp,
                .prepare = prepare,
        };

        return helper_main(argc, argv, &helper);
}
