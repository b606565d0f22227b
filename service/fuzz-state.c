/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The state file: whatever is accepted names what may be named, and reads the same when written again. */

#include "state-file.h"
#include "text-list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(state_done) State s = {}, again = {};
        _cleanup_free_ char *text = NULL;
        size_t n;

        if (state_parse((const char *) data, size, &s) < 0)
                return 0;
        if (!creation_id_is_valid(s.creation) || state_format(&s, &text, &n) < 0 || state_parse(text, n, &again) < 0 ||
            again.n_notes != s.n_notes)
                abort();
        for (size_t i = 0; i < s.n_notes; i++)
                if (!name_is_valid(s.notes[i].name) || !utf8_is_valid(s.notes[i].comment) ||
                    strcmp(state_comment(&again, s.notes[i].name), s.notes[i].comment) != 0)
                        abort();
        return 0;
}
