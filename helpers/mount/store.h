/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the store holds, as far as berth-mount may see it: folders and the text of links, never a file's content. */

#include "names.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STORE_PATH "/var/lib/berth/store"
#define CHAIN_MAX 65U /* the writable layer, and at most 64 below it */

typedef struct Store {
        int root;
        uid_t owner; /* berth-storage */
} Store;

/* -EBADF in root and an error that says why, if there is no store. */
int store_open(Store *ret);

/* The layers of a slot, uppermost first; the first is the writable one. */
typedef struct Chain {
        char ids[CHAIN_MAX][LAYER_ID_LENGTH + 1];
        size_t n;
} Chain;

/* "ID:ID:..." -EUCLEAN: not layer IDs, too many, or one of them twice. */
int chain_parse(const char *text, size_t size, Chain *ret);

/* -ENOENT: nothing for that slot; -EUCLEAN: damaged; other errors as openat2() has them. Descriptors are O_PATH. */
int store_read_chain(const Store *s, uint32_t slot, Chain *ret);
int store_open_writable(const Store *s, const char *id, int *ret); /* layers/ID/content */
int store_open_layer(const Store *s, const char *id, int *ret);    /* layers/ID/content/tree */
int store_open_trash(const Store *s, uint32_t slot, int *ret);     /* trash/N/content */
