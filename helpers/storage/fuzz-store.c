/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The store's records, chains and snapshots: what is accepted names what may be named, and reads the same when written
 * again. */

#include "chain.h"
#include "record.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition) {
        if (!condition)
                abort();
}

static bool chain_equal(const Chain *a, const Chain *b) {
        return a->n == b->n && memcmp(a->layers, b->layers, a->n * sizeof(a->layers[0])) == 0;
}

static void fuzz_record(const char *text, size_t size) {
        char written[RECORD_SIZE_MAX];
        Record r = {}, again = {};
        size_t n;

        if (record_parse(text, size, &r) < 0)
                return;
        expect(r.kind >= 0 && r.kind < SLOT_DAMAGED && creation_id_is_valid(r.creation));
        expect(r.name[0] == 0 || name_is_valid(r.name));
        expect(r.image[0] == 0 || name_is_valid(r.image));
        n = record_format(&r, written);
        expect(n <= sizeof(written) && record_parse(written, n, &again) == 0);
        expect(again.kind == r.kind && again.owner == r.owner && again.created == r.created &&
               streq(again.name, r.name) && streq(again.creation, r.creation) && streq(again.image, r.image));
}

static void fuzz_chain(const char *text) {
        char written[CHAIN_TEXT_SIZE];
        Chain c, again;
        uint64_t created, created_again;

        if (chain_parse(text, &c) == 0) {
                expect(c.n >= 1 && c.n <= CHAIN_LAYERS_MAX);
                chain_format(&c, written);
                expect(chain_parse(written, &again) == 0 && chain_equal(&c, &again) && streq(written, text));
        }
        if (snapshot_parse(text, &created, &c) == 0) {
                expect(c.n >= 1 && c.n <= CHAIN_LAYERS_MAX);
                snapshot_format(created, &c, written);
                expect(snapshot_parse(written, &created_again, &again) == 0 && created == created_again &&
                       chain_equal(&c, &again));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *text = malloc(size + 1);

        if (!text)
                return 0;
        if (size > 0)
                memcpy(text, data, size);
        text[size] = 0;
        fuzz_record((const char *) data, size);
        fuzz_chain(text);
        return 0;
}
