/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state file's text and its way to the disk; the states of a container. */

#include "container.h"
#include "limits.h"
#include "state-file.h"
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define ID "0123456789abcdef0123456789abcdef"

static int parse(const char *text, State *ret) {
        return state_parse(text, strlen(text), ret);
}

static void test_text(void) {
        static const char *const bad[] = {
                "", "creation=" ID, "creation=0123\n", "creation=" ID "\ncreation=" ID "\n", "comment.a=x\n", "x\n", "\n",
                "creation=" ID "\n\n", "creation=" ID "\nname=x\n", "creation=" ID "\ncomment.=x\n", "creation=" ID "\ncomment.a=\n",
                "creation=" ID "\ncomment.a/b=x\n", "creation=" ID "\ncomment.a=x\ncomment.a=y\n", "creation=" ID "\ncomment.a=%\n",
                "creation=" ID "\ncomment.a=%4\n", "creation=" ID "\ncomment.a=%00\n", "creation=" ID "\ncomment.a=%FF\n",
                "creation=" ID "\ncomment.a=%ff\n", "creation=" ID "\ncomment.a=\x01\n", "creation=" ID " \n",
                "creation=0123456789ABCDEF0123456789abcdef\n",
        };
        _cleanup_(state_done) State s = {}, again = {};
        _cleanup_free_ char *text = NULL;
        size_t size;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                check(parse(bad[i], &s) == -EBADMSG);
        check(parse("creation=" ID "\n", &s) == 0 && s.n_notes == 0);
        check(state_note(&s, "a", "x%\n\xc3\xa4 y") == 0 && state_note(&s, "b", "z") == 0 && state_note(&s, "b", "zz") == 0);
        check(state_format(&s, &text, &size) == 0 && state_parse(text, size, &again) == 0);
        check(streq(state_comment(&again, "a"), "x%\n\xc3\xa4 y") && streq(state_comment(&again, "b"), "zz"));
        check(streq(state_comment(&again, "c"), ""));
        check(state_note(&again, "a", "") == 0 && again.n_notes == 1 && streq(state_comment(&again, "b"), "zz"));
        for (size_t i = 0; i < size; i++) { /* cut anywhere, it is never half read */
                State cut;
                int r = state_parse(text, i, &cut);

                check(r == -EBADMSG || (r == 0 && text[i - 1] == '\n'));
                if (r == 0)
                        state_done(&cut);
        }
}

static void test_folders(void) {
        char template[] = "/tmp/berth-state-XXXXXX";
        _cleanup_(config_done) Config c = {}, read = {};
        _cleanup_(state_done) State s = { .creation = ID }, got = {};
        _cleanup_close_ int root = -EBADF;
        _cleanup_free_ char *reason = NULL;
        Folder *folders;
        struct stat st;
        size_t n;

        check(mkdtemp(template));
        root = open(template, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        check(root >= 0);
        check(config_set(&c, "lxc.uts.name", "web", NULL) == 0);
        check(state_stage(root, "a", &c) == 0 && state_stage(root, "a", &c) == 0);
        check(state_list(root, &folders, &n) == 0 && n == 1 && folders[0].kind == FOLDER_NEW && streq(folders[0].name, "a"));
        folders_free(folders, n);
        check(state_read(root, "a", &got) == -ENOENT);
        check(state_commit(root, "a", &s) == 0 && state_read(root, "a", &got) == 0 && streq(got.creation, ID));
        check(config_read(root, "a", &read, &reason) == 0 && streq(read.host_name, "web"));
        check(fstatat(root, "a/state", &st, 0) == 0 && (st.st_mode & 07777) == 0600);
        check(fstatat(root, "a/state.new", &st, 0) < 0);
        check(state_note(&s, "snap", "hello") == 0 && state_write(root, "a", &s) == 0);
        state_done(&got);
        check(state_read(root, "a", &got) == 0 && streq(state_comment(&got, "snap"), "hello"));
        check(state_rename(root, "a", "b") == 0 && state_rename(root, "a", "c") == -ENOENT);
        check(state_make(root, "a", &c, &s) == 0 && state_rename(root, "a", "b") == -ENOTEMPTY);
        check(mkdirat(root, ".old.a", 0700) == 0 && mkdirat(root, ".old.a/x", 0700) == 0 && unlinkat(root, ".old.a/x", AT_REMOVEDIR) == 0);
        check(state_remove(root, "a", FOLDER_CONTAINER) == 0 && state_remove(root, "b", FOLDER_CONTAINER) == 0);
        check(state_list(root, &folders, &n) == 0 && n == 0);
        folders_free(folders, n);
        check(symlinkat("/etc", root, "link") == 0 && state_write(root, "link", &s) == -ENOTDIR);
        check(unlinkat(root, "link", 0) == 0 && rmdir(template) == 0);
}

static void test_states(void) {
        static const char *const names[] = { "stopped", "starting", "running", "stopping", "aborting", "freezing", "frozen", "thawed" };

        check(ELEMENTSOF(names) == _CONTAINER_STATE_MAX);
        for (ContainerState s = 0; s < _CONTAINER_STATE_MAX; s++) {
                check(streq(container_state_to_string(s), names[s]));
                check(s == CONTAINER_STOPPED || container_state_may_follow(s, CONTAINER_STOPPED));
        }
        check(!container_state_to_string(_CONTAINER_STATE_MAX) && !container_state_to_string(_CONTAINER_STATE_INVALID));
        check(!container_state_may_follow(CONTAINER_STOPPED, CONTAINER_STOPPING));
        check(!container_state_may_follow(CONTAINER_RUNNING, CONTAINER_STARTING));
}

int main(void) {
        test_text();
        test_folders();
        test_states();
        return 0;
}
