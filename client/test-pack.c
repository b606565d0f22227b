/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A folder becomes a stream with everything in it, and is not changed by that; what cannot be read is an error. */

#include "client.h"
#include "test.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

static char folder[] = "/tmp/berth-test-pack-XXXXXX";
static char tar[] = "/tmp/berth-test-pack-tar-XXXXXX";

static void write_file(const char *name, const char *text, mode_t mode) {
        char path[256];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        check(fd >= 0);
        check_equal(write(fd, text, strlen(text)), strlen(text));
        check(fchmod(fd, mode) == 0);
        (void) close(fd);
}

static char *in_folder(const char *name) {
        static char path[2][256];
        static int turn;

        turn = !turn;
        (void) snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder, name);
        return path[turn];
}

static bool make(void) {
        static const char value[] = "kept";
        int fd;

        check(mkdtemp(folder));
        fd = mkostemp(tar, O_CLOEXEC);
        check(fd >= 0);
        (void) close(fd);
        check(mkdir(in_folder("etc"), 0755) == 0);
        write_file("etc/passwd", "root", 0644);
        write_file("etc/shadow", "secret", 04750);
        check(link(in_folder("etc/passwd"), in_folder("etc/again")) == 0);
        check(symlink("/etc/passwd", in_folder("link")) == 0);
        check(mkfifo(in_folder("pipe"), 0600) == 0);
        fd = open(in_folder("sparse"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        check(fd >= 0 && ftruncate(fd, 64 * 1024 * 1024) == 0 && pwrite(fd, "x", 1, 32 * 1024 * 1024) == 1);
        (void) close(fd);

        return setxattr(in_folder("etc/passwd"), "user.berth", value, sizeof(value) - 1, 0) == 0;
}

static int pack_to_tar(char **ret_error) {
        int fd = open(tar, O_WRONLY | O_TRUNC | O_CLOEXEC), r;

        check(fd >= 0);
        r = pack_folder(folder, fd, ret_error);
        (void) close(fd);

        return r;
}

static void test_content(bool attributes) {
        static const char *const expected[] = { ".", "./etc", "./etc/again", "./etc/passwd", "./etc/shadow", "./link", "./pipe",
                                                "./sparse" };
        struct archive *a = archive_read_new();
        struct archive_entry *e;
        unsigned seen = 0, links = 0, found_attributes = 0;
        struct stat before, after, st;
        char *error;

        check(stat(in_folder("etc/passwd"), &before) == 0);
        check_equal(pack_to_tar(&error), 0);
        check(stat(in_folder("etc/passwd"), &after) == 0);
        check_equal(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
        /* Holes are not packed as zeros. */
        check(stat(tar, &st) == 0);
        check(st.st_size < 4 * 1024 * 1024);

        check(archive_read_support_format_tar(a) == ARCHIVE_OK);
        check(archive_read_open_filename(a, tar, 65536) == ARCHIVE_OK);
        while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
                const char *name = archive_entry_pathname(e), *attribute;
                size_t n = strlen(name), size;
                const void *value;

                if (n > 1 && name[n - 1] == '/')
                        n--;
                for (unsigned i = 0; i < ELEMENTSOF(expected); i++)
                        if (strlen(expected[i]) == n && strncmp(name, expected[i], n) == 0)
                                seen |= 1U << i;
                links += archive_entry_hardlink(e) != NULL;
                if (streq(name, "./etc/shadow"))
                        check_equal(archive_entry_perm(e), 04750);
                if (streq(name, "./sparse")) {
                        check_equal(archive_entry_size(e), 64 * 1024 * 1024);
                        check(archive_entry_sparse_count(e) > 0);
                }
                if (streq(name, "./link"))
                        check(streq(archive_entry_symlink(e), "/etc/passwd"));
                (void) archive_entry_xattr_reset(e);
                while (archive_entry_xattr_next(e, &attribute, &value, &size) == ARCHIVE_OK)
                        found_attributes += streq(attribute, "user.berth") && size == 4 && memcmp(value, "kept", 4) == 0;
        }
        (void) archive_read_free(a);
        check_equal(seen, (1U << ELEMENTSOF(expected)) - 1);
        check_equal(links, 1);
        check_equal(found_attributes > 0, attributes); /* once a dialect of pax */
}

/* As somebody who may not read all: an error that names the file, no smaller stream. */
static void test_unreadable(void) {
        int status;
        pid_t pid;

        if (geteuid() != 0)
                return;
        check(chmod(folder, 0755) == 0 && chmod(tar, 0666) == 0);
        pid = fork();
        check(pid >= 0);
        if (pid == 0) {
                char *error = NULL;

                if (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
                        _exit(3);
                if (pack_to_tar(&error) >= 0)
                        _exit(1);
                if (error && strstr(error, "shadow"))
                        _exit(0);
                (void) fprintf(stderr, "%s\n", error ?: "no reason");
                _exit(2);
        }
        check(waitpid(pid, &status, 0) == pid);
        check_equal(status, 0);
}

static void clean(void) {
        static const char *const names[] = { "etc/passwd", "etc/shadow", "etc/again", "link", "pipe", "sparse" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                (void) unlink(in_folder(names[i]));
        (void) rmdir(in_folder("etc"));
        (void) rmdir(folder);
        (void) unlink(tar);
}

int main(void) {
        bool attributes;

        attributes = make();
        (void) atexit(clean);
        test_content(attributes);
        (void) unlink(in_folder("sparse"));
        (void) unlink(in_folder("pipe"));
        test_unreadable();

        return EXIT_SUCCESS;
}
