/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Chains as text. What is parsed here was written by berth-storage itself, and is checked all the same: a damaged chain must
 * not become another container's layers. */

#include "chain.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mutation.h"
#include "text.h"

void layer_name(uint64_t id, char ret[static LAYER_NAME_SIZE]) {
        (void) snprintf(ret, LAYER_NAME_SIZE, "%016" PRIx64, id);
}

static int digit_value(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;

        return -1;
}

static int layer_parse_span(Span text, uint64_t *ret) {
        uint64_t id = 0;

        if (text.n != LAYER_ID_LENGTH)
                return -EUCLEAN;

        for (size_t i = 0; i < text.n; i++) {
                int digit = digit_value(text.s[i]);

                if (digit < 0)
                        return -EUCLEAN;
                id = id << 4 | (uint64_t) digit;
        }

        *ret = id;
        return 0;
}

int layer_parse(const char *name, uint64_t *ret) {
        return layer_parse_span((Span) { name, strlen(name) }, ret);
}

static int chain_parse_span(Span text, Chain *ret) {
        Chain c = {};
        Span word;

        if (text.n == 0 || text.s[text.n - 1] == ':')
                return -EUCLEAN;

        while (span_cut(&text, ':', &word)) {
                if (c.n == CHAIN_LAYERS_MAX || layer_parse_span(word, &c.layers[c.n]) < 0)
                        return -EUCLEAN;
                for (size_t i = 0; i < c.n; i++)
                        if (c.layers[i] == c.layers[c.n])
                                return -EUCLEAN;
                c.n++;
        }

        *ret = c;
        return 0;
}

int chain_parse(const char *text, Chain *ret) {
        return chain_parse_span((Span) { text, strlen(text) }, ret);
}

void chain_format(const Chain *c, char ret[static CHAIN_TEXT_SIZE]) {
        char *p = ret;

        assert(c->n > 0 && c->n <= CHAIN_LAYERS_MAX);

        for (size_t i = 0; i < c->n; i++) {
                if (i > 0)
                        *p++ = ':';
                layer_name(c->layers[i], p);
                p += LAYER_ID_LENGTH;
        }
}

int snapshot_parse(const char *text, uint64_t *ret_created, Chain *ret) {
        Span rest = { text, strlen(text) }, created;
        uint64_t when;

        if (!span_cut(&rest, ':', &created) || span_to_unsigned(created, INT64_MAX, &when) < 0 ||
            chain_parse_span(rest, ret) < 0)
                return -EUCLEAN;

        *ret_created = when;
        return 0;
}

void snapshot_format(uint64_t created, const Chain *c, char ret[static CHAIN_TEXT_SIZE]) {
        char chain[CHAIN_TEXT_SIZE];
        int n;

        chain_format(c, chain);
        n = snprintf(ret, CHAIN_TEXT_SIZE, "%" PRIu64 ":%s", created, chain);
        assert(n > 0 && (size_t) n < CHAIN_TEXT_SIZE);
        (void) n;
}

int chain_push(const Chain *c, uint64_t layer, Chain *ret) {
        Chain pushed = { .n = c->n + 1, .layers = { layer } };

        if (!MUTATION(storage_chain_limit) && c->n >= CHAIN_LAYERS_MAX)
                return -EMLINK;
        memcpy(pushed.layers + 1, c->layers, c->n * sizeof(c->layers[0]));

        *ret = pushed;
        return 0;
}

void chain_drop(const Chain *c, Chain *ret) {
        Chain dropped = { .n = c->n - 1 };

        assert(c->n > 1);
        memcpy(dropped.layers, c->layers + 1, dropped.n * sizeof(c->layers[0]));

        *ret = dropped;
}
