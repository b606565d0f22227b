/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "engine-state.h"

Load *load_free(Load *l);
