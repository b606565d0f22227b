/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state file's text: "key=value" lines, strictly. Pure functions on memory, fuzzed. */

#include "limits.h"
#include "state-file.h"
#include "text-list.h"
#include "text.h"

#include <stdio.h>

#define COMMENT_PREFIX "comment."

void state_done(State *s) {
        for (size_t i = 0; i < s->n_notes; i++) {
                free(s->notes[i].name);
                free(s->notes[i].comment);
        }
        free(s->notes);
        *s = (State) {};
}

static SnapshotNote *note_find(const State *s, const char *snapshot) {
        for (size_t i = 0; i < s->n_notes; i++)
                if (streq(s->notes[i].name, snapshot))
                        return &s->notes[i];
        return NULL;
}

const char *state_comment(const State *s, const char *snapshot) {
        const SnapshotNote *n = note_find(s, snapshot);

        return n ? n->comment : "";
}

static void note_remove(State *s, SnapshotNote *n) {
        free(n->name);
        free(n->comment);
        *n = s->notes[--s->n_notes];
}

int state_note(State *s, const char *snapshot, const char *comment) {
        _cleanup_free_ char *name = NULL, *copy = NULL;
        SnapshotNote *n = note_find(s, snapshot), *grown;

        if (comment[0] == 0) {
                if (n)
                        note_remove(s, n);
                return 0;
        }
        copy = strdup(comment);
        if (!copy)
                return -ENOMEM;
        if (n) {
                free(n->comment);
                n->comment = TAKE_PTR(copy);
                return 0;
        }
        name = strdup(snapshot);
        grown = name ? reallocarray(s->notes, s->n_notes + 1, sizeof(SnapshotNote)) : NULL;
        if (!grown)
                return -ENOMEM;
        s->notes = grown;
        s->notes[s->n_notes++] = (SnapshotNote) { TAKE_PTR(name), TAKE_PTR(copy) };
        return 0;
}

static int hex_digit(char c) {
        static const char digits[] = "0123456789abcdef";
        const char *p = c ? strchr(digits, c) : NULL;

        return p ? (int) (p - digits) : -1;
}

static int comment_decode(Span s, char **ret) {
        _cleanup_free_ char *comment = NULL;
        size_t n = 0;

        comment = malloc(s.n + 1);
        if (!comment)
                return -ENOMEM;
        for (size_t i = 0; i < s.n; i++) {
                int high, low;

                if (s.s[i] != '%') {
                        if (s.s[i] < 0x20 || s.s[i] == 0x7f) /* bytes above are encoded too */
                                return -EBADMSG;
                        comment[n++] = s.s[i];
                        continue;
                }
                if (i + 2 >= s.n)
                        return -EBADMSG;
                high = hex_digit(s.s[i + 1]);
                low = hex_digit(s.s[i + 2]);
                if (high < 0 || low < 0 || (high == 0 && low == 0))
                        return -EBADMSG;
                comment[n++] = (char) (high << 4 | low);
                i += 2;
        }
        comment[n] = 0;
        if (n == 0 || n > LIMIT_COMMENT || !utf8_is_valid(comment))
                return -EBADMSG;
        *ret = TAKE_PTR(comment);
        return 0;
}

static int parse_comment(State *s, Span key, Span value) {
        _cleanup_free_ char *snapshot = NULL, *comment = NULL;
        size_t prefix = strlen(COMMENT_PREFIX);
        int r;

        snapshot = strndup(key.s + prefix, key.n - prefix);
        if (!snapshot)
                return -ENOMEM;
        if (!name_is_valid(snapshot) || note_find(s, snapshot) || s->n_notes >= LIMIT_SNAPSHOTS)
                return -EBADMSG;
        r = comment_decode(value, &comment);
        if (r < 0)
                return r;
        return state_note(s, snapshot, comment);
}

static int parse_line(State *s, Span line) {
        Span key;

        if (memchr(line.s, 0, line.n) || !memchr(line.s, '=', line.n) || !span_cut(&line, '=', &key))
                return -EBADMSG;
        if (span_is(key, "creation")) {
                if (s->creation[0] || line.n != CREATION_ID_LENGTH)
                        return -EBADMSG;
                memcpy(s->creation, line.s, line.n);
                return creation_id_is_valid(s->creation) ? 0 : -EBADMSG;
        }
        if (key.n > strlen(COMMENT_PREFIX) && memcmp(key.s, COMMENT_PREFIX, strlen(COMMENT_PREFIX)) == 0)
                return parse_comment(s, key, line);
        return -EBADMSG;
}

int state_parse(const char *text, size_t size, State *ret) {
        _cleanup_(state_done) State s = {};
        Span rest = { text, size }, line;

        if (size == 0 || text[size - 1] != '\n') /* cut short */
                return -EBADMSG;
        while (span_cut(&rest, '\n', &line)) {
                int r = parse_line(&s, line);

                if (r < 0)
                        return r;
        }
        if (!s.creation[0])
                return -EBADMSG;
        *ret = s;
        s = (State) {};
        return 0;
}

int state_format(const State *s, char **ret, size_t *ret_size) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        (void) fprintf(f, "creation=%s\n", s->creation);
        for (size_t i = 0; i < s->n_notes; i++) {
                (void) fprintf(f, COMMENT_PREFIX "%s=", s->notes[i].name);
                for (const unsigned char *p = (const unsigned char *) s->notes[i].comment; *p; p++)
                        (void) fprintf(f, *p < 0x20 || *p >= 0x7f || *p == '%' ? "%%%02x" : "%c", *p);
                (void) fputc('\n', f);
        }
        if (fclose(f) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}
