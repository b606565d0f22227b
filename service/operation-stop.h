/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "operation.h"

/* What the stop waited for: the life is over and removed. */
void stop_over(Operation *o);
