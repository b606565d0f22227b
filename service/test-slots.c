/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The pool: each slot once, given back ones last, reserved and locked ones never. */

#include "slots.h"
#include "test.h"
#include "util.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static SlotPool pool;

static void test_order(void) {
        uint32_t slot, first;

        slot_pool_init(&pool, 4, 4000000002U, -EBADF);
        check_equal(slot_pool_take(&pool, &first), 0);
        check_equal(first, 4000000002U % 4);
        slot_pool_give(&pool, first);
        slot_pool_give(&pool, first); /* twice is once */
        for (uint32_t i = 1; i < 4; i++) {
                check_equal(slot_pool_take(&pool, &slot), 0);
                check_equal(slot, (first + i) % 4);
        }
        check_equal(slot_pool_take(&pool, &slot), 0);
        check_equal(slot, first);
        check_equal(slot_pool_take(&pool, &slot), -ENOSPC);
        slot_pool_give(&pool, 7); /* not one of ours */
        check_equal(slot_pool_take(&pool, &slot), -ENOSPC);

        slot_pool_init(&pool, 0, 5, -EBADF);
        check_equal(slot_pool_take(&pool, &slot), -ENOSPC);
}

static void test_reserved(void) {
        uint32_t slot;

        slot_pool_init(&pool, 3, 0, -EBADF);
        slot_pool_reserve(&pool, 0);
        slot_pool_reserve(&pool, 2);
        slot_pool_reserve(&pool, 9);
        check_equal(slot_pool_take(&pool, &slot), 0);
        check_equal(slot, 1);
        check_equal(slot_pool_take(&pool, &slot), -ENOSPC);
        slot_pool_give(&pool, 2);
        check_equal(slot_pool_take(&pool, &slot), 0);
        check_equal(slot, 2);
        check_equal(slot_pool_take(&pool, &slot), -ENOSPC);

        /* Reserved while queued, given back before it was met. */
        slot_pool_init(&pool, 2, 0, -EBADF);
        slot_pool_reserve(&pool, 0);
        slot_pool_give(&pool, 0);
        check_equal(slot_pool_take(&pool, &slot), 0);
        check_equal(slot_pool_take(&pool, &slot), 0);
        check_equal(slot_pool_take(&pool, &slot), -ENOSPC);
}

static void test_locked(void) {
        char folder[] = "/tmp/test-slots-XXXXXX", path[64];
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        int folder_fd, fd, ready[2], end[2];
        uint32_t slot;
        pid_t pid;
        char c;

        check(mkdtemp(folder));
        folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void) snprintf(path, sizeof(path), "%s/1", folder);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        check(folder_fd >= 0 && fd >= 0 && pipe(ready) >= 0 && pipe(end) >= 0);
        check(!slot_is_locked(folder_fd, 1));
        check(!slot_is_locked(folder_fd, 0)); /* never used */

        pid = fork();
        check(pid >= 0);
        if (pid == 0) {
                check(fcntl(fd, F_SETLK, &lock) >= 0);
                check(write(ready[1], "", 1) == 1);
                _exit(read(end[0], &c, 1) == 1 ? 0 : 1);
        }
        check(read(ready[0], &c, 1) == 1);
        check(slot_is_locked(folder_fd, 1));

        slot_pool_init(&pool, 2, 1, folder_fd);
        check_equal(slot_pool_take(&pool, &slot), 0);
        check_equal(slot, 0);
        check_equal(slot_pool_take(&pool, &slot), -ENOSPC);
        check(write(end[1], "", 1) == 1);
        check(waitpid(pid, NULL, 0) == pid);
        check_equal(slot_pool_take(&pool, &slot), 0);
        check_equal(slot, 1);

        check(unlink(path) >= 0 && rmdir(folder) >= 0);
}

int main(int argc, char *argv[]) {
        test_order();
        test_reserved();
        test_locked();
        return 0;
}
