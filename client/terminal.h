/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The caller's terminal: raw while a terminal inside takes over, given back as it was. */

#include <stdbool.h>

int terminal_make_raw(int fd);
void terminal_restore(void);
int terminal_size(int fd, unsigned *ret_rows, unsigned *ret_columns);
