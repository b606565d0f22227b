/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The delegation's lines, slots out of them, and what is not a supervisor's user namespace. */

#include "slot.h"
#include "test.h"
#include "util.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/wait.h>

static int parse(const char *text, SlotTable *t) {
        return slot_table_parse(text, strlen(text), t);
}

static void test_parse(void) {
        SlotTable t;
        Slot s;

        check_equal(parse("berth:1879048192:134283264\n", &t), 0);
        check_equal(t.first, 1879048192);
        check_equal(t.slots, 2048);
        check_equal(parse("joe:100000:65536\nberth:1879048192:196608", &t), 0);
        check_equal(t.slots, 2);
        check_equal(slot_by_number(&t, 1, &s), 0);
        check_equal(s.supervisor, 1879048193);
        check_equal(s.base, 1879048192U + 131072);
        check_equal(slot_by_number(&t, 2, &s), -ERANGE);
        check_equal(slot_by_number(&t, UINT64_MAX, &s), -ERANGE);
        check_equal(slot_by_supervisor(&t, 1879048192, &s), 0);
        check_equal(slot_by_supervisor(&t, 1879048191, &s), -ERANGE);
        check_equal(slot_by_supervisor(&t, 1879048194, &s), -ERANGE);
        check_equal(slot_by_supervisor(&t, 0, &s), -ERANGE);

        check_equal(parse("joe:100000:65536\n", &t), -ESRCH);
        check_equal(parse("", &t), -ESRCH);
        check_equal(parse("berth:1879048192:131071\n", &t), -EUCLEAN);
        check_equal(parse("berth:0:134283264\n", &t), -EUCLEAN);
        check_equal(parse("berth:4294900000:196608\n", &t), -EUCLEAN);
        check_equal(parse("berth:1879048192:196608\nberth:100000:196608\n", &t), -EUCLEAN);
        check_equal(parse("berth:1879048192:196608\njoe:1879048200:1\n", &t), -EUCLEAN);
        check_equal(parse("joe:1879000000:65536\nberth:1879048192:196608\n", &t), -EUCLEAN);
        check_equal(parse("berth:1879048192:196608:x\n", &t), -EUCLEAN);
        check_equal(parse("berth:-1:196608\n", &t), -EUCLEAN);
}

/* A child in a new user namespace made by uid; its ns file opened. */
static int userns_of(uid_t uid) {
        int ready[2], fd, status;
        char path[64], c;
        pid_t pid;

        check(pipe(ready) == 0);
        pid = fork();
        check(pid >= 0);
        if (pid == 0) {
                if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0 || unshare(CLONE_NEWUSER) < 0 ||
                    write(ready[1], "x", 1) != 1)
                        _exit(1);
                (void) pause();
                _exit(0);
        }
        close(ready[1]);
        if (read(ready[0], &c, 1) != 1)
                skip_test("no user namespaces");
        (void) snprintf(path, sizeof(path), "/proc/%d/ns/user", (int) pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        check(fd >= 0);
        check(kill(pid, SIGKILL) == 0);
        check(waitpid(pid, &status, 0) == pid);
        close(ready[0]);
        return fd;
}

static void test_userns(void) {
        SlotTable t = { 1879048192, 2 };
        OwnUserns own;
        Slot s;
        int fd;

        check_equal(own_userns_get(&own), 0);

        fd = userns_of(1879048193);
        check_equal(slot_of_userns(&t, &own, fd, &s), 0);
        check_equal(s.number, 1);
        close(fd);

        fd = userns_of(1879048194);
        check_equal(slot_of_userns(&t, &own, fd, &s), -ERANGE);
        close(fd);

        fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
        check_equal(slot_of_userns(&t, &own, fd, &s), -EXDEV);
        close(fd);

        fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
        check_equal(slot_of_userns(&t, &own, fd, &s), -EINVAL);
        close(fd);

        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        check_equal(slot_of_userns(&t, &own, fd, &s), -EINVAL);
        close(fd);
}

static void test_lock(void) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        char dir[] = "/tmp/berth-test-slot.XXXXXX", path[64];
        int slots, fd, held = -EBADF, status;
        pid_t pid;

        check(mkdtemp(dir));
        slots = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        check(slots >= 0);
        check_equal(slot_lock_shared(slots, 5, &held), 0);
        check_equal(held, -EBADF);

        (void) snprintf(path, sizeof(path), "%s/5", dir);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
        check(fd >= 0);
        check(fcntl(fd, F_SETLK, &lock) == 0);
        pid = fork(); /* the lock is ours, not the child's */
        if (pid == 0)
                _exit(slot_lock_shared(slots, 5, &held) == -EBUSY ? 0 : 1);
        check(waitpid(pid, &status, 0) == pid);
        check_equal(status, 0);
        close(fd);

        check_equal(slot_lock_shared(slots, 5, &held), 0);
        check(held >= 0);
        pid = fork();
        if (pid == 0) {
                fd = open(path, O_RDWR | O_CLOEXEC);
                _exit(fcntl(fd, F_SETLK, &lock) < 0 ? 0 : 1);
        }
        check(waitpid(pid, &status, 0) == pid);
        check_equal(status, 0);
        close(held);
        close(slots);
        check(unlink(path) == 0);
        check(rmdir(dir) == 0);
}

int main(void) {
        test_parse();
        test_lock();
        if (geteuid() == 0)
                test_userns();
        return 0;
}
