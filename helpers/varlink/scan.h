/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One pass over a message before any parser sees it: bounds its length and depth, refuses control bytes. It does not judge
 * grammar beyond that; what it lets through the parser can take without recursing deeper than depth. */

#include <stddef.h>

/* 0; -EMSGSIZE: longer than max; -EBADMSG: a control byte, deeper than depth, or an unfinished string. */
int scan_message(const char *text, size_t size, size_t max, unsigned depth);
