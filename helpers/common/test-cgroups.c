/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Test support: real cgroups that harm nobody. Runs as root; makes child cgroups only, and removes them. */

#include "test-cgroups.h"

#include "test.h"
#include "util.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>

#define CGROUPS "/sys/fs/cgroup"
#define GROUPS_MAX 24
#define REMOVE_TRIES 500 /* every 10 ms */

typedef struct Group {
        char hierarchy[64]; /* "memory", "systemd"; "" is v2 */
        char mount[128];
        char folder[PATH_MAX]; /* ours, as the machine names it */
} Group;

static Group groups[GROUPS_MAX];
static size_t n_groups;

static bool is_plain_v2(void) {
        struct statfs sfs;

        return statfs(CGROUPS, &sfs) == 0 && sfs.f_type == CGROUP2_SUPER_MAGIC;
}

static void put(const char *folder, const char *file, const char *text) {
        char path[PATH_MAX + 64];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/%s", folder, file);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t) strlen(text)) {
                (void) fprintf(stderr, "%s: \"%s\": %m\n", path, text);
                exit(EXIT_FAILURE);
        }
        (void) close(fd);
}

static void copy_cpuset(const char *from, const char *to) {
        static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                char path[PATH_MAX + 64], text[256] = "";
                _cleanup_close_ int fd = -EBADF;

                (void) snprintf(path, sizeof(path), "%s/%s", from, files[i]);
                fd = open(path, O_RDONLY | O_CLOEXEC);
                check(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
                put(to, files[i], text);
        }
}

static bool is_v1(const Group *g, const char *name) {
        return strstr(g->hierarchy, name);
}

/* A line of /proc/self/cgroup: "4:memory:/path" */
static void add_group(char *line) {
        char *hierarchy = strchr(line, ':'), *path = hierarchy ? strchr(hierarchy + 1, ':') : NULL, parent[PATH_MAX];
        Group *g = groups + n_groups;

        check(path && n_groups < GROUPS_MAX);
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        hierarchy++;
        if (strncmp(hierarchy, "name=", 5) == 0)
                hierarchy += 5;
        (void) snprintf(g->hierarchy, sizeof(g->hierarchy), "%s", hierarchy);
        (void) snprintf(g->mount, sizeof(g->mount), "%s%s%s", CGROUPS, is_plain_v2() ? "" : "/",
                        is_plain_v2() ? "" : hierarchy[0] ? hierarchy : "unified");
        if (access(g->mount, F_OK) < 0)
                return;
        (void) snprintf(parent, sizeof(parent), "%s%s", g->mount, streq(path, "/") ? "" : path);
        check(snprintf(g->folder, sizeof(g->folder), "%s/berth-test-%d", parent, (int) getpid()) < (int) sizeof(g->folder));
        check(mkdir(g->folder, 0755) == 0);
        n_groups++;
        if (is_v1(g, "cpuset"))
                copy_cpuset(parent, g->folder);
}

static void make_groups(void) {
        FILE *f = fopen("/proc/self/cgroup", "re");
        char line[PATH_MAX + 64];

        check(f);
        n_groups = 0;
        while (fgets(line, sizeof(line), f))
                add_group(line);
        (void) fclose(f);
}

static void remove_group(const char *folder) {
        DIR *d = opendir(folder);
        struct dirent *de;

        if (!d)
                return;
        while ((de = readdir(d)))
                if (de->d_type == DT_DIR && de->d_name[0] != '.') {
                        char path[PATH_MAX];

                        if (snprintf(path, sizeof(path), "%s/%s", folder, de->d_name) < (int) sizeof(path))
                                remove_group(path);
                }
        (void) closedir(d);
        for (unsigned i = 0; i < REMOVE_TRIES && rmdir(folder) < 0 && errno == EBUSY; i++)
                (void) usleep(10000);
}

/* What a failed test left running goes with its cgroup. */
static void remove_groups(void) {
        for (size_t i = 0; i < n_groups; i++)
                if (groups[i].hierarchy[0] == '\0')
                        put(groups[i].folder, "cgroup.kill", "1");
        for (size_t i = 0; i < n_groups; i++) {
                remove_group(groups[i].folder);
                check(access(groups[i].folder, F_OK) < 0);
        }
}

/* Out of the namespace's root, so that it can hand on the controllers that it has been given. */
static void enable_v2(const char *mount) {
        static const char *const wanted[] = { "memory", "pids", "cpu", "cpuset", "io" };
        char path[256], available[512] = "", word[16];
        _cleanup_close_ int fd = -EBADF;

        (void) snprintf(path, sizeof(path), "%s/test", mount);
        check(mkdir(path, 0755) == 0);
        put(path, "cgroup.procs", "0");
        (void) snprintf(path, sizeof(path), "%s/cgroup.controllers", mount);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        check(fd >= 0 && read(fd, available, sizeof(available) - 1) >= 0);
        for (size_t i = 0; i < ELEMENTSOF(wanted); i++)
                if (strstr(available, wanted[i])) {
                        (void) snprintf(word, sizeof(word), "+%s", wanted[i]);
                        put(mount, "cgroup.subtree_control", word);
                }
}

static void mount_group(const Group *g) {
        const char *v1 = g->hierarchy;
        char options[80];

        if (mkdir(g->mount, 0755) < 0)
                check(errno == EEXIST);
        if (v1[0] == '\0') {
                check(mount("cgroup2", g->mount, "cgroup2", 0, NULL) == 0);
                enable_v2(g->mount);
                return;
        }
        check(snprintf(options, sizeof(options), "%s%s", streq(v1, "systemd") ? "none,name=" : "", v1) < (int) sizeof(options));
        check(mount("cgroup", g->mount, "cgroup", 0, options) == 0);
}

static void enter_groups(bool v2_only) {
        for (size_t i = 0; i < n_groups; i++)
                put(groups[i].folder, "cgroup.procs", "0");
        check(unshare(CLONE_NEWNS | CLONE_NEWCGROUP) == 0);
        check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
        if (v2_only || is_plain_v2()) {
                if (is_plain_v2()) /* a second mount of the same on top is refused */
                        check(umount2(CGROUPS, MNT_DETACH) == 0);
                check(mount("cgroup2", CGROUPS, "cgroup2", 0, NULL) == 0);
                enable_v2(CGROUPS);
                return;
        }
        check(mount("tmpfs", CGROUPS, "tmpfs", 0, "mode=0755") == 0);
        for (size_t i = 0; i < n_groups; i++)
                mount_group(groups + i);
}

int test_in_cgroups(bool v2_only, void (*run)(void)) {
        int status;
        pid_t pid;

        if (geteuid() != 0)
                skip_test("needs root");
        if (!v2_only && is_plain_v2())
                skip_test("no v1 hierarchy is mounted");
        make_groups();
        pid = fork();
        check(pid >= 0);
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                enter_groups(v2_only);
                run();
                exit(0);
        }
        check(waitpid(pid, &status, 0) == pid);
        remove_groups();
        return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

static void make_root(const char *hierarchy, bool v2, uid_t owner) {
        static const char *const files[] = { "cgroup.procs", "cgroup.subtree_control" };
        char folder[256], path[320];

        (void) snprintf(folder, sizeof(folder), "%s/berth", hierarchy);
        check(mkdir(folder, 0755) == 0);
        if (strstr(hierarchy, "cpuset"))
                copy_cpuset(hierarchy, folder);
        check(chown(folder, owner, owner) == 0);
        for (size_t i = 0; v2 && i < ELEMENTSOF(files); i++) {
                (void) snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
                check(chown(path, owner, owner) == 0);
        }
}

void test_make_roots(uid_t owner) {
        if (is_plain_v2()) {
                make_root(CGROUPS, true, owner);
                return;
        }
        for (size_t i = 0; i < n_groups; i++)
                make_root(groups[i].mount, groups[i].hierarchy[0] == '\0', owner);
}
