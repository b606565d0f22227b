/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Users and groups out of /etc/passwd and /etc/group. Runs in privileged programs before they read a request; believes
 * root's files but not their grammar. */

#include "users.h"
#include "text.h"
#include "util.h"

/* (uid_t) -1 means "none" to the kernel, so it is nobody's. */
#define ID_MAX (UINT32_MAX - 1)

static int field_to_id(Span field, uint32_t *ret) {
        uint64_t value;

        if (span_to_unsigned(field, ID_MAX, &value) < 0)
                return -EUCLEAN;

        *ret = (uint32_t) value;
        return 0;
}

/* NAME:x:ID[:ID]...: the IDs of the first line with that name. ret_second may be NULL. */
static int find(const char *text, size_t size, const char *name, uint32_t *ret_first, uint32_t *ret_second) {
        Span rest = { text, size }, line;

        while (span_cut(&rest, '\n', &line)) {
                uint32_t first, second = 0;
                Span field;
                int r;

                if (!span_cut(&line, ':', &field) || !span_is(field, name))
                        continue;
                if (!span_cut(&line, ':', &field) || !span_cut(&line, ':', &field))
                        return -EUCLEAN;
                r = field_to_id(field, &first);
                if (r < 0)
                        return r;
                if (ret_second) {
                        if (!span_cut(&line, ':', &field))
                                return -EUCLEAN;
                        r = field_to_id(field, &second);
                        if (r < 0)
                                return r;
                        *ret_second = second;
                }
                *ret_first = first;
                return 0;
        }

        return -ESRCH;
}

int passwd_parse(const char *text, size_t size, const char *name, uid_t *ret_uid, gid_t *ret_gid) {
        uint32_t uid, gid;
        int r;

        r = find(text, size, name, &uid, &gid);
        if (r < 0)
                return r;

        *ret_uid = uid;
        if (ret_gid)
                *ret_gid = gid;
        return 0;
}

int group_parse(const char *text, size_t size, const char *name, gid_t *ret_gid) {
        return find(text, size, name, ret_gid, /* ret_second= */ NULL);
}

int user_find(const char *name, uid_t *ret_uid, gid_t *ret_gid) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = text_read("/etc/passwd", TEXT_FILE_MAX, &text, &size);
        if (r < 0)
                return r;

        return passwd_parse(text, size, name, ret_uid, ret_gid);
}

int group_find(const char *name, gid_t *ret_gid) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = text_read("/etc/group", TEXT_FILE_MAX, &text, &size);
        if (r < 0)
                return r;

        return group_parse(text, size, name, ret_gid);
}
