/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One line a failure on standard error, with the priority that systemd's journal reads. Names that were checked and %m
 * only: nothing unsanitized is logged. */

#include <stdio.h>
#include <systemd/sd-daemon.h>

#define log_error(format, ...) (void) fprintf(stderr, SD_ERR "berthd: " format "\n" __VA_OPT__(, ) __VA_ARGS__)
#define log_warning(format, ...) (void) fprintf(stderr, SD_WARNING "berthd: " format "\n" __VA_OPT__(, ) __VA_ARGS__)
#define log_info(format, ...) (void) fprintf(stderr, SD_INFO "berthd: " format "\n" __VA_OPT__(, ) __VA_ARGS__)
