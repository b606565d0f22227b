/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* /var/lib/berth/containers/NAME/{config,state}: what berthd itself remembers of a container. The store's record says who
 * owns a slot and what it stands on; these say how it is configured and what was noted at its snapshots, and carry the
 * creation ID that ties both together. Every change is atomic and durable: write, fsync, rename, fsync the folder.
 *
 * A container that is being made stands in ".new.NAME" (its config is durable before the store is touched) and is renamed
 * to NAME when the store has it. So after a crash ".new.NAME" is a creation that was cut short. One that is being removed
 * is renamed to ".old.NAME" first. */

#include "config.h"
#include "names.h"

#define STATE_ROOT "/var/lib/berth/containers"
#define STATE_SIZE_MAX (2U * 1024 * 1024)

typedef struct SnapshotNote {
        char *name;
        char *comment;
} SnapshotNote;

typedef struct State {
        char creation[CREATION_ID_LENGTH + 1];
        SnapshotNote *notes;
        size_t n_notes;
} State;

void state_done(State *s);
/* comment "" takes the note away. */
int state_note(State *s, const char *snapshot, const char *comment);
const char *state_comment(const State *s, const char *snapshot); /* "" if there is none */

int state_parse(const char *text, size_t size, State *ret); /* -EBADMSG */
int state_format(const State *s, char **ret, size_t *ret_size);

typedef enum FolderKind {
        FOLDER_CONTAINER,
        FOLDER_NEW,
        FOLDER_OLD,
} FolderKind;

typedef struct Folder {
        char *name; /* without its prefix */
        FolderKind kind;
} Folder;

int state_root_open(int *ret);
int state_list(int root, Folder **ret, size_t *ret_n);
void folders_free(Folder *f, size_t n);

int state_read(int root, const char *name, State *ret); /* -ENOENT, -EBADMSG */
int state_write(int root, const char *name, const State *s);
int config_read(int root, const char *name, Config *ret, char **reterr_reason);

int state_stage(int root, const char *name, const Config *c);
int state_commit(int root, const char *name, const State *s); /* ".new.NAME" becomes NAME */
int state_make(int root, const char *name, const Config *c, const State *s);
int state_rename(int root, const char *from, const char *to);
int state_remove(int root, const char *name, FolderKind kind);
