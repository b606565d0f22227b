/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The container's first process, from its birth to the execution of init or worker. Each function says in *ret_step what
 * it was doing. */

#include "supervisor.h"

/* The whole of it. */
_noreturn_ void first_process(Supervisor *s, int socket);

/* root.c: builds the container's root out of its layers (the writable one first) and moves into it. */
int root_build(const Supervisor *s, const int *layers, size_t n_layers, const char **ret_step);

/* The folder of that name in a root that is not to be believed, made if it is missing. No symbolic link is followed, and what
 * is not a folder is refused. */
int root_folder(int root, const char *name, int *ret);

/* A detached file system. options: key and value in turn, NULL value for a flag, ended by NULL. */
int mount_new(const char *type, const char *const options[], unsigned attributes, int *ret);

/* root-dev.c: /dev on *folder, which becomes its root. ret_null: a detached mount of the host's /dev/null. */
int dev_build(int *folder, int *ret_null, const char **ret_step);
/* root-api.c: /proc and /sys with their masks. */
int proc_build(int folder, int dev, int null, const char **ret_step);
int sys_build(const Supervisor *s, int folder, int dev, const char **ret_step);
