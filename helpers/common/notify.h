/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One word to the service manager that started us ("READY=1"), by the notify protocol, without its library. 0 also if there
 * is none to tell. */
int notify_manager(const char *state);
