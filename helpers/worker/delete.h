/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "job.h"

/* Removes everything below the root folder, whatever its depth, names and modes. */
int delete_all(Job *j);
