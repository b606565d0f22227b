/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The tree that an archive is unpacked into, and the names in it. No name is ever resolved through a symbolic link, out of
 * the tree, or onto another mount; a later entry replaces an earlier one of the same name instead of writing into it. */

#include "job.h"

#include <stdbool.h>

#define NAME_LENGTH 255U

/* A name out of the archive, made relative: no leading slash, no "." and no empty component; "" is the tree itself. */
typedef struct Place {
        char path[PATH_LENGTH_MAX];
        const char *name; /* the last component, within path */
} Place;

/* -EXDEV: ".." in it; -ENAMETOOLONG; -ELOOP: too deep; -EINVAL: NULL or an empty name. */
int place_parse(const char *raw, const Limits *limits, Place *ret);

typedef struct Tree {
        int root;
        int parent; /* of the last place asked for, whose folder was parent_path */
        char parent_path[PATH_LENGTH_MAX];
} Tree;

void tree_done(Tree *t);

/* The folder that the place is in, made if it is not there (as root's, 0755); stays the tree's. */
int tree_parent(Tree *t, Job *j, const Place *p, int *ret);
/* The folder that a hard link's target is in; the caller's to close. */
int tree_find_parent(const Tree *t, Job *j, const Place *p, int *ret);

/* Each makes a new thing, in place of what is there unless that is a folder with something in it. Names are those of
 * tree_parent(). An existing folder is kept by tree_make_folder(). */
int tree_make_file(Tree *t, Job *j, const Place *p, int *ret);
int tree_make_folder(Tree *t, Job *j, const Place *p, int *ret);
int tree_make_symlink(Tree *t, Job *j, const Place *p, const char *target, int *ret_parent);
int tree_make_fifo(Tree *t, Job *j, const Place *p, int *ret_parent);
int tree_make_link(Tree *t, Job *j, const Place *p, const Place *target);

/* An existing folder, for its times. -ENOENT, -ENOTDIR or -ELOOP if it is none any more. */
int tree_open_folder(const Tree *t, const char *path);
