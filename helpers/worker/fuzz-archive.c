/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Archives: unpacked into a folder of their own, beside which nothing may appear. As nobody for files while it does so
 * (a tree of nobody's archives unpacks whole), so that a bug has nothing of the machine's to write to. */

#include "unpack.c"

#include <fts.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define NOBODY 65534

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char scratch[] = "/tmp/berth-fuzz-archive.XXXXXX";
static char inner[sizeof(scratch) + 8];

static void empty(const char *path) {
        char *paths[] = { (char *) path, NULL };
        FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
        FTSENT *e;

        while (fts && (e = fts_read(fts)))
                if (e->fts_level == 0)
                        continue;
                else if (e->fts_info == FTS_D)
                        (void) chmod(e->fts_accpath, 0700);
                else
                        (void) (e->fts_info == FTS_DP ? rmdir(e->fts_accpath) : unlink(e->fts_accpath));
        if (fts)
                (void) fts_close(fts);
}

static void leave(void) {
        empty(scratch);
        (void) rmdir(scratch);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
        int pair[2];

        (void) argc;
        (void) argv;
        if (!mkdtemp(scratch) || chmod(scratch, 0777) < 0 || atexit(leave) != 0)
                abort();
        (void) snprintf(inner, sizeof(inner), "%s/inner", scratch);
        if (mkdir(inner, 0777) < 0 || chmod(inner, 0777) < 0)
                abort();
        if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0 || dup2(pair[1], 20) < 0 ||
            dup2(pair[0], WORKER_SOCKET_FD) < 0 ||
            dup2(pair[0], WORKER_ARCHIVE_FD) < 0) /* from now on nobody else's number */
                abort();
        unpack_prepare();
        return 0;
}

/* As unpack(), on a folder that is not the root. */
static void unpack_into(int folder, Job *j) {
        static const Unpack fresh = { .tree = { -EBADF, -EBADF, "" }, .spool = { .fd = -EBADF } };
        static Unpack u;
        int r;

        u = fresh;
        u.job = j;
        r = tree_create(&u, folder);
        if (r < 0)
                abort(); /* the one before was not cleared away, or it is not ours */
        r = unpack_archive(&u);
        if (r >= 0)
                (void) spool_apply(&u.spool, j, &u.tree);
        (void) archive_read_free(u.archive);
        spool_done(&u.spool);
        tree_done(&u.tree);
}

static void check_alone(const char *path, const char *name) {
        char *paths[] = { (char *) path, NULL };
        FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
        FTSENT *e = fts ? fts_read(fts) : NULL;

        for (e = e ? fts_children(fts, FTS_NAMEONLY) : NULL; e; e = e->fts_link)
                if (!streq(e->fts_name, name))
                        abort();
        if (fts)
                (void) fts_close(fts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Job j = { .limits = { .entries = 200,
                              .apparent = 1 << 20,
                              .written = 1 << 20,
                              .depth = 32,
                              .path = PATH_LENGTH_MAX } };
        int archive = memfd_create("archive", MFD_CLOEXEC), folder;

        if (archive < 0 || write(archive, data, size) != (ssize_t) size || lseek(archive, 0, SEEK_SET) < 0)
                abort();
        if (dup2(archive, WORKER_ARCHIVE_FD) < 0 || close(archive) < 0)
                abort();
        folder = open(inner, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0)
                abort();
        (void) setfsgid(NOBODY);
        (void) setfsuid(NOBODY);
        unpack_into(folder, &j);
        (void) setfsuid(geteuid());
        (void) setfsgid(getegid());
        (void) close(folder);
        check_alone(scratch, "inner");
        check_alone(inner, "tree");
        empty(inner);
        return 0;
}
