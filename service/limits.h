/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What one user may hold at once, and what the service holds at most. Root has LIMIT_ROOT_FACTOR times as much of
 * everything but containers, of which it may have as many as there are slots. */

#define LIMIT_CONTAINERS 64U       /* defined or being made */
#define LIMIT_JOBS 16U             /* running */
#define LIMIT_CALLS 64U            /* not answered yet */
#define LIMIT_CALLS_INTERACTIVE 8U /* of these, waiting for a password */
#define LIMIT_CALLS_PERMISSIONS 4U /* of these, Permissions, each of which may ask polkit thousands of times */
#define LIMIT_PROCESSES 256U       /* started by Exec and not ended */
#define LIMIT_ROOT_FACTOR 16U

#define LIMIT_SNAPSHOTS 256U   /* of one container */
#define LIMIT_COMMENT 1024U    /* bytes of a snapshot's comment */
#define LIMIT_PERMISSIONS 512U /* names in one call */
#define LIMIT_ARGUMENTS 1024U  /* of one command, and entries of its environment */
#define LIMIT_ARGUMENT 4096U   /* bytes of each: FIELD_STRINGS of the wire has the same bound */
#define LIMIT_IMAGES 1024U

#define JOB_KEPT_USEC (10 * UINT64_C(1000000))             /* after its end */
#define PROCESS_KEPT_USEC (10 * UINT64_C(1000000))         /* after its end */
#define PROCESS_HANGUP_USEC (5 * UINT64_C(1000000))        /* from SIGHUP to SIGKILL once its starter is gone */
#define PROGRESS_INTERVAL_USEC (200 * UINT64_C(1000))      /* between two signals of a job's progress */
#define LOAD_RETRY_USEC (5 * UINT64_C(1000000))            /* when the store cannot be read */
#define STOP_TIMEOUT_USEC (10 * UINT64_C(1000000))         /* until init is killed, unless the caller says otherwise */
#define STOP_TIMEOUT_MAX_USEC (24 * 3600 * UINT64_C(1000000))
