/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The one grammar of names: containers, images, snapshots. */

#include <stdbool.h>

#define NAME_LENGTH_MAX 63
#define CREATION_ID_LENGTH 32 /* hexadecimal digits, lower case */
#define LAYER_ID_LENGTH 16    /* hexadecimal digits, lower case */

/* [A-Za-z0-9][A-Za-z0-9._-]{0,62} without "..". NULL is invalid. */
bool name_is_valid(const char *name);
bool creation_id_is_valid(const char *id);
bool layer_id_is_valid(const char *id);
