/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The bounding scan: length, depth, control bytes, unfinished strings. */

#include "scan.h"
#include "test.h"

#include <errno.h>
#include <string.h>

static int scan(const char *text) {
        return scan_message(text, strlen(text), 64, 4);
}

int main(void) {
        check_equal(scan("{}"), 0);
        check_equal(scan("{\"a\":[{\"b\":[]}]}"), 0);
        check_equal(scan("{\"a\":[{\"b\":[[]]}]}"), -EBADMSG);
        check_equal(scan("{\"a\":\"[[[[[[{{{{\"}"), 0);
        check_equal(scan("{\"a\":\"\\\"[[[[[[\"}"), 0);
        check_equal(scan("{\"a\":\"\\\\\"}"), 0);
        check_equal(scan("{\"a\":\"\\"), -EBADMSG);
        check_equal(scan("{\"a\":\"x}"), -EBADMSG);
        check_equal(scan("{"), -EBADMSG);
        check_equal(scan("}"), -EBADMSG);
        check_equal(scan("{\"a\":\n1}"), -EBADMSG);
        check_equal(scan("{\"a\":\"\x7f\"}"), -EBADMSG);
        check_equal(scan_message("{\0}", 3, 64, 4), -EBADMSG);
        check_equal(scan("{\"a\":\"0123456789012345678901234567890123456789012345678901234567890\"}"), -EMSGSIZE);
        check_equal(scan(""), 0); /* grammar is the parser's */
        return 0;
}
