/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Names of errors on the bus. docs and clients rely on them. */

#include "engine.h"

#include <systemd/sd-bus.h>

#define ERROR_NO_SUCH_CONTAINER "org.berth1.Error.NoSuchContainer"
#define ERROR_NO_SUCH_IMAGE "org.berth1.Error.NoSuchImage"
#define ERROR_NO_SUCH_SNAPSHOT "org.berth1.Error.NoSuchSnapshot"
#define ERROR_ALREADY_EXISTS "org.berth1.Error.AlreadyExists"
#define ERROR_NOT_RUNNING "org.berth1.Error.NotRunning"
#define ERROR_RUNNING "org.berth1.Error.Running"
#define ERROR_BUSY "org.berth1.Error.Busy"
#define ERROR_INVALID_NAME "org.berth1.Error.InvalidName"
#define ERROR_INVALID_ARGUMENT "org.berth1.Error.InvalidArgument"
#define ERROR_LIMIT_REACHED "org.berth1.Error.LimitReached"
#define ERROR_STILL_USED "org.berth1.Error.StillUsed"
#define ERROR_HELPER_FAILED "org.berth1.Error.HelperFailed"
#define ERROR_UNSUPPORTED "org.berth1.Error.Unsupported"
#define ERROR_TIMED_OUT "org.berth1.Error.TimedOut"
#define ERROR_CANCELLED "org.berth1.Error.Cancelled"
#define ERROR_NOT_FOUND "org.berth1.Error.NotFound"
#define ERROR_CANNOT_EXECUTE "org.berth1.Error.CannotExecute"

#define ERROR_SENTENCE_MAX 1024U

/* The bus name and the sentence of what the engine reports. The sentence may carry words of a helper or a supervisor, so
 * whatever is not printable ASCII is replaced and its length is bounded. Always fills ret. */
void bus_error_from_engine(const EngineError *e, sd_bus_error *ret);

/* A negative errno of our own (memory, files), with what was being done; returns a negative errno. */
int bus_error_internal(sd_bus_error *error, int r, const char *what);

/* What was done on the bus when the name on the left was reported; NULL-terminated, for tests and documents. */
extern const char *const bus_engine_errors[];
