/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Test support: stores of the test's own at the compiled-in path, in the test's mount namespace. */

#include "test-helper.h"

#define STORE "/var/lib/berth/store"
#define STORE_OWNER 107U /* berth-storage, a system user: its ID is one of a container's too */

/* After test_world(): adds berth-storage to passwd, and covers /var/lib. */
void store_world(void);

/* An empty store in a new folder below this one, or on a tmpfs (NULL); its mount is shared, as under systemd. False if
 * the file system has no ID-mapped mounts. */
bool store_begin(const char *folder);
void store_end(void);

void store_folder(const char *path); /* berth-storage's, within the store */
void store_chain(uint32_t slot, const char *text);
void store_writable(const char *id);

/* A layer with etc/name and etc/only of this text, etc/person of user 1000, an empty folder, and if program is given that
 * program as "plain", "setuid" and "capable" (CAP_NET_RAW). */
void store_layer(const char *id, const char *text, const char *program);
