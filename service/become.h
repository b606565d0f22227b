/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Gives up whatever a starter left us: becomes user berth if started as root, empties every capability set, sets
 * no_new_privs, and refuses to be dumped. Must be called before anything is read. Logs by itself. */
int become_unprivileged(void);
