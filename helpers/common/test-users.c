/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* passwd and group lines, whole and damaged. */

#include "test.h"
#include "users.h"

#include <errno.h>
#include <string.h>

static int passwd(const char *text, const char *name, uid_t *uid, gid_t *gid) {
        return passwd_parse(text, strlen(text), name, uid, gid);
}

int main(void) {
        uid_t uid = 7;
        gid_t gid = 7;

        check_equal(passwd("root:x:0:0:root:/root:/bin/sh\nberth:x:990:991::/:/bin/false\n", "berth", &uid, &gid), 0);
        check_equal(uid, 990);
        check_equal(gid, 991);
        check_equal(passwd("berth:x:990:991", "berth", &uid, NULL), 0);
        check_equal(passwd("berthx:x:1:1:\nxberth:x:1:1:\n", "berth", &uid, &gid), -ESRCH);
        check_equal(passwd("", "berth", &uid, &gid), -ESRCH);
        check_equal(passwd("berth", "berth", &uid, &gid), -EUCLEAN);
        check_equal(passwd("berth:x:", "berth", &uid, &gid), -EUCLEAN);
        check_equal(passwd("berth:x::5:", "berth", &uid, &gid), -EUCLEAN);
        check_equal(passwd("berth:x:-1:5:", "berth", &uid, &gid), -EUCLEAN);
        check_equal(passwd("berth:x: 1:5:", "berth", &uid, &gid), -EUCLEAN);
        check_equal(passwd("berth:x:01:5:", "berth", &uid, &gid), -EUCLEAN);
        check_equal(passwd("berth:x:4294967295:5:", "berth", &uid, &gid), -EUCLEAN);
        check_equal(passwd("berth:x:99999999999999999999999:5:", "berth", &uid, &gid), -EUCLEAN);
        check_equal(uid, 990);

        check_equal(group_parse("a:x:1:\nberth:x:5:m\n", 20, "berth", &gid), 0);
        check_equal(gid, 5);
        check_equal(user_find("root", &uid, &gid), 0);
        check_equal(uid, 0);
        check_equal(group_find("no such group here", &gid), -ESRCH);
        return 0;
}
