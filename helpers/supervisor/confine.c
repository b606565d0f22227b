/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a container's processes may not do even as root of their own user namespace.
 *
 * Runs in the child, as root of the namespace, last before exec. The same code confines init and every program that Execute
 * starts, so the two cannot differ. */

#include "confine.h"

#include "container-seccomp.h"
#include "mutation.h"
#include "sys.h"
#include "util.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* Left out of the bounding set. LXC drops none of these from a container with a user namespace. The kernel honours most of them in
 * the initial namespace alone, so nothing that works is lost, while programs that look (systemd's ConditionCapability)
 * see what they are: in a container. Kept is what acts on the container's own namespaces and what is needed to be a
 * system: mounts, network, reboot, ptrace, mknod (for files with such a capability), audit messages. */
static const int dropped[] = {
        CAP_SYS_MODULE,         /* modules are the host's */
        CAP_SYS_RAWIO,          /* ports, raw disks, /proc/kcore */
        CAP_SYS_TIME,           /* the clock is the host's; time namespaces are set from outside */
        CAP_SYS_PACCT,          /* accounting writes into a file from within the kernel */
        CAP_SYSLOG,             /* the kernel's log and its addresses */
        CAP_WAKE_ALARM,         /* wakes the host */
        CAP_BLOCK_SUSPEND,      /* keeps the host awake */
        CAP_MAC_ADMIN,          /* the host's security policy */
        CAP_MAC_OVERRIDE,
        CAP_AUDIT_CONTROL,      /* the host's audit rules and log */
        CAP_AUDIT_READ,
        CAP_LINUX_IMMUTABLE,    /* files that destroying the container could not remove */
        CAP_BPF,                /* without a token of the host's no program loads; the checks of one are best not reached */
        CAP_PERFMON,            /* the host's counters */
        CAP_CHECKPOINT_RESTORE, /* choosing pids, reading others' mappings */
};

static int join_session_keyring(void) {
        if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
                return -errno;
        return 0;
}

/* No core dumps unless somebody inside asks for them: the host's handler may be a program of root's. */
static int limit_core(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_CORE, &limit) < 0)
                return -errno;
        limit.rlim_cur = 0;
        return setrlimit(RLIMIT_CORE, &limit) < 0 ? -errno : 0;
}

static int drop_capabilities(void) {
        struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
        struct __user_cap_data_struct data[2];

        for (size_t i = 0; i < ELEMENTSOF(dropped); i++)
                if (!MUTATION(bounding_set) && prctl(PR_CAPBSET_DROP, dropped[i], 0, 0, 0) < 0 && errno != EINVAL)
                        return -errno; /* EINVAL: a capability that this kernel does not have */
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || prctl(PR_SET_SECUREBITS, 0, 0, 0, 0) < 0)
                return -errno;

        if (syscall(SYS_capget, &header, data) < 0)
                return -errno;
        data[0].inheritable = data[1].inheritable = 0;
        return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

/* Without no_new_privs: setuid programs must work inside. */
static int load_seccomp(void) {
        if (MUTATION(container_seccomp))
                return 0;
        return sys_result(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &container_seccomp));
}

static int become_user(uid_t uid, gid_t gid) {
        if (setgroups(uid == 0 && gid == 0 ? 0 : 1, &gid) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
                return -errno;
        /* Changing IDs set what root has configured for setuid programs; nobody inside looks into us before the exec. */
        return sys_result(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
}

int confine(uid_t uid, gid_t gid, const char **ret_step) {
        int r;

        *ret_step = "session keyring";
        r = join_session_keyring();
        if (r < 0)
                return r;
        *ret_step = "core limit";
        r = limit_core();
        if (r < 0)
                return r;
        *ret_step = "capabilities";
        r = drop_capabilities();
        if (r < 0)
                return r;
        *ret_step = "seccomp";
        r = load_seccomp();
        if (r < 0)
                return r;
        *ret_step = "user";
        return become_user(uid, gid);
}

int confine_chdir(const char *path) {
        char *cwd;

        if (chdir(path) < 0)
                return -errno;
        cwd = getcwd(NULL, 0);
        if (!cwd)
                return -errno;
        if (cwd[0] != '/') {
                free(cwd);
                return -EXDEV; /* outside of our root */
        }
        free(cwd);
        return 0;
}
