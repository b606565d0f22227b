/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Layer IDs and chains of them as the store writes them: 16 hexadecimal digits each, joined by colons, uppermost first. Pure
 * functions. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "names.h"

#define CHAIN_LAYERS_MAX 64U /* overlay's mount and every path look-up grow with each layer */
#define LAYER_NAME_SIZE (LAYER_ID_LENGTH + 1)
/* "CREATED:" and the layers with a colon or the final NUL after each. */
#define CHAIN_TEXT_SIZE (21U + CHAIN_LAYERS_MAX * LAYER_NAME_SIZE)

typedef struct Chain {
        size_t n; /* 1 to CHAIN_LAYERS_MAX */
        uint64_t layers[CHAIN_LAYERS_MAX];
} Chain;

void layer_name(uint64_t id, char ret[static LAYER_NAME_SIZE]);
int layer_parse(const char *name, uint64_t *ret); /* -EUCLEAN */

/* "W:L2:L1". No layer twice. */
int chain_parse(const char *text, Chain *ret); /* -EUCLEAN */
void chain_format(const Chain *c, char ret[static CHAIN_TEXT_SIZE]);

/* "CREATED:L2:L1" */
int snapshot_parse(const char *text, uint64_t *ret_created, Chain *ret);
void snapshot_format(uint64_t created, const Chain *c, char ret[static CHAIN_TEXT_SIZE]);

/* One more layer on top; -EMLINK if there are too many. */
int chain_push(const Chain *c, uint64_t layer, Chain *ret);
/* Without the uppermost; there must be another one. */
void chain_drop(const Chain *c, Chain *ret);
