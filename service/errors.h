/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* From what a helper answered to what the caller of the D-Bus API hears. */

#include "request.h"

/* The contract's name for an error of a method's helper. */
const char *error_name(Method method, const Answer *answer);

/* "cannot start web1: mapping its IDs failed (write gid_map: EPERM)", with a word on what to do where there is one. All
 * set *ret only if it is not set yet: the first failure is the one to tell. */
void error_of_answer(EngineError *ret, Method method, const Answer *answer, const char *verb, const char *name,
                     const char *step);
void error_of_step(EngineError *ret, const char *error, const char *verb, const char *name, const char *step,
                   const char *why);
void error_sentence(EngineError *ret, const char *error, const char *format, ...) _printf_(3, 4);

/* One line on standard error. */
void engine_log(const char *format, ...) _printf_(1, 2);
