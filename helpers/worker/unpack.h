/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "job.h"

/* Unpacks the archive at WORKER_ARCHIVE_FD into "tree" in the root folder, which must not have one yet. */
int unpack(Job *j);

/* Before confinement: lets the C library read what it wants for libarchive's character sets. */
void unpack_prepare(void);
