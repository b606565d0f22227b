/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the supervisor and a worker agree on. The supervisor's first process executes berth-worker as root of its user
 * namespace, in a mount namespace of its own, with exactly these descriptors; argv[1] is "unpack" or "delete". */

#include <stdint.h>

#define WORKER_SOCKET_FD 3  /* a UNIX socket, seqpacket or stream: the worker sends reports and reads nothing */
#define WORKER_FOLDER_FD 4  /* the detached mount that berth-mount made: a writable layer, or trash */
#define WORKER_ARCHIVE_FD 5 /* for unpack alone: a regular file, pipe or stream socket, open for reading */

#define WORKER_STEP_LENGTH 64

typedef enum WorkerReportType {
        WORKER_PROGRESS = 1, /* every 100 ms or so; left out while the socket is full */
        WORKER_DONE,         /* the last report, as is each of those that follow */
        WORKER_BAD_ARCHIVE,  /* the archive is damaged, or is refused; what was unpacked is trash */
        WORKER_FAILED,       /* something else; what was unpacked is trash */
        _WORKER_REPORT_TYPE_MAX,
} WorkerReportType;

/* One send() each, native byte order. A worker that ends without a last report has been killed. */
typedef struct WorkerReport {
        uint32_t type;
        int32_t error;    /* positive errno; 0 unless BAD_ARCHIVE or FAILED */
        uint64_t entries; /* seen in the archive and made for it; or deleted */
        uint64_t bytes;   /* written, in whole blocks */
        uint64_t skipped; /* device nodes and sockets that were left out */
        char step[WORKER_STEP_LENGTH]; /* ends in NUL, printable */
} WorkerReport;

_Static_assert(sizeof(WorkerReport) == 96, "a report has no holes");
