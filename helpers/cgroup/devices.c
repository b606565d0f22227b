/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The device policy of a container: one table, told to the kernel in the language of either version. It is payload's: the
 * supervisor beside it is a process of the host with an ID of its own. */

#include "cgroups.h"
#include "file.h"
#include "util.h"

#include <linux/bpf.h>
#include <stdio.h>
#include <sys/syscall.h>

#define MINOR_ANY UINT32_MAX

typedef struct Device {
        uint32_t major, minor;
} Device;

/* Character devices, for reading, writing and making. */
static const Device allowed[] = {
        { 1, 3 },           /* null */
        { 1, 5 },           /* zero */
        { 1, 7 },           /* full */
        { 1, 8 },           /* random */
        { 1, 9 },           /* urandom */
        { 5, 0 },           /* tty */
        { 5, 1 },           /* console */
        { 5, 2 },           /* ptmx */
        { 136, MINOR_ANY }, /* pts */
};

static int devices_v1(int payload) {
        int r;

        r = file_write(payload, "devices.deny", "a");
        for (size_t i = 0; i < ELEMENTSOF(allowed) && r >= 0; i++) {
                char minor[16] = "*", line[64];

                if (allowed[i].minor != MINOR_ANY)
                        (void) snprintf(minor, sizeof(minor), "%u", allowed[i].minor);
                (void) snprintf(line, sizeof(line), "c %u:%s rwm", allowed[i].major, minor);
                r = file_write(payload, "devices.allow", line);
        }
        return r;
}

/* Instructions by hand: r1 points at the access, r2 to r4 hold its type, major and minor number, r0 the verdict. */
#define INSN(c, dst, src, offset, immediate) ((struct bpf_insn) { (c), (dst), (src), (offset), (immediate) })
#define LOAD(dst, field)                                                                                               \
        INSN(BPF_LDX | BPF_W | BPF_MEM, (dst), BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, field), 0)
#define SKIP_IF_NOT(register, value, n) INSN(BPF_JMP | BPF_JNE | BPF_K, (register), 0, (n), (int) (value))
#define SET(register, value) INSN(BPF_ALU64 | BPF_MOV | BPF_K, (register), 0, 0, (value))
#define KEEP_BITS(register, value) INSN(BPF_ALU64 | BPF_AND | BPF_K, (register), 0, 0, (value))
#define RETURN INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

#define INSNS_MAX (7 + 4 * ELEMENTSOF(allowed) + 2)

static size_t program_make(struct bpf_insn ret[static INSNS_MAX]) {
        size_t n = 0;

        ret[n++] = LOAD(BPF_REG_2, access_type);
        ret[n++] = KEEP_BITS(BPF_REG_2, 0xffff);
        ret[n++] = LOAD(BPF_REG_3, major);
        ret[n++] = LOAD(BPF_REG_4, minor);
        ret[n++] = SET(BPF_REG_0, 0);
        ret[n++] = INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_2, 0, 1, BPF_DEVCG_DEV_CHAR);
        ret[n++] = RETURN;
        for (size_t i = 0; i < ELEMENTSOF(allowed); i++) {
                bool any = allowed[i].minor == MINOR_ANY;

                ret[n++] = SKIP_IF_NOT(BPF_REG_3, allowed[i].major, any ? 2 : 3);
                if (!any)
                        ret[n++] = SKIP_IF_NOT(BPF_REG_4, allowed[i].minor, 2);
                ret[n++] = SET(BPF_REG_0, 1);
                ret[n++] = RETURN;
        }
        ret[n++] = SET(BPF_REG_0, 0);
        ret[n++] = RETURN;
        return n;
}

static int bpf(int command, union bpf_attr *attributes) {
        int r = (int) syscall(SYS_bpf, command, attributes, sizeof(*attributes));

        return r < 0 ? -errno : r;
}

/* Before Linux 5.11 a program counts against RLIMIT_MEMLOCK, since then against our memory cgroup: Debian 12 has 6.1. Without
 * flags there is exactly one program at payload, a second replaces it, and none can be attached below it. */
static int devices_v2(int payload) {
        struct bpf_insn program[INSNS_MAX];
        _cleanup_close_ int fd = -EBADF;
        union bpf_attr attributes;

        memset(&attributes, 0, sizeof(attributes));
        attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
        attributes.insn_cnt = (uint32_t) program_make(program);
        attributes.insns = (uint64_t) (uintptr_t) program;
        attributes.license = (uint64_t) (uintptr_t) "LGPL-2.1-or-later";
        fd = bpf(BPF_PROG_LOAD, &attributes);
        if (fd < 0)
                return fd;

        memset(&attributes, 0, sizeof(attributes));
        attributes.target_fd = (uint32_t) payload;
        attributes.attach_bpf_fd = (uint32_t) fd;
        attributes.attach_type = BPF_CGROUP_DEVICE;
        return bpf(BPF_PROG_ATTACH, &attributes);
}

int cgroups_devices(const CgroupTree *t, const Slot *slot, Step *step) {
        _cleanup_close_ int folder = -EBADF, payload = -EBADF;
        const Hierarchy *h = cgroup_tree_find(t, "devices");
        int r;

        if (!h)
                h = unified(t);
        if (!h)
                return step_failed(step, /* h= */ NULL, "devices", -ENODEV);
        folder = slot_folder_open(h, slot);
        if (folder < 0)
                return step_failed(step, h, "slot", folder);
        payload = folder_open(folder, "payload");
        if (payload < 0)
                return step_failed(step, h, "payload", payload);
        r = h->v2 ? devices_v2(payload) : devices_v1(payload);
        return r < 0 ? step_failed(step, h, "device policy", r) : 0;
}
