/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table of verbs: parser, help and manual follow it. */

#include "client.h"

const Verb verbs[] = {
        { "create", "NAME --image NAME | --rootfs FILE|DIR [--set KEY=VALUE]... [--start]", "Create a container", 1, 1, false,
          OPTION_BIT(IMAGE) | OPTION_BIT(ROOTFS) | OPTION_BIT(SET) | OPTION_BIT(START), verb_create },
        { "start", "NAME", "Start a container", 1, 1, false, 0, verb_start },
        { "stop", "NAME [--timeout TIME | --kill]", "Halt a container, kill it if that takes too long", 1, 1, false,
          OPTION_BIT(TIMEOUT) | OPTION_BIT(KILL), verb_stop },
        { "kill", "NAME [SIGNAL]", "Send init a signal, SIGKILL if none is named", 1, 2, false, 0, verb_kill },
        { "exec", "NAME [--terminal | --no-terminal] [--user UID[:GID]] [--cwd DIR] [--env KEY=VALUE]... -- COMMAND...",
          "Run a command inside", 1, 1, true,
          OPTION_BIT(TERMINAL) | OPTION_BIT(NO_TERMINAL) | OPTION_BIT(USER) | OPTION_BIT(CWD) | OPTION_BIT(ENV), verb_exec },
        { "shell", "NAME [--user UID[:GID]] [--cwd DIR] [--env KEY=VALUE]...", "Run a login shell inside", 1, 1, false,
          OPTION_BIT(TERMINAL) | OPTION_BIT(NO_TERMINAL) | OPTION_BIT(USER) | OPTION_BIT(CWD) | OPTION_BIT(ENV), verb_shell },
        { "snapshot", "NAME [SNAPSHOT] [--comment TEXT] | NAME --remove SNAPSHOT", "Keep the state of a stopped container", 1, 2,
          false, OPTION_BIT(COMMENT) | OPTION_BIT(REMOVE), verb_snapshot },
        { "restore", "NAME SNAPSHOT", "Go back to a snapshot", 2, 2, false, 0, verb_restore },
        { "clone", "NAME NEWNAME [--snapshot SNAPSHOT]", "Make a container like another", 2, 2, false, OPTION_BIT(SNAPSHOT),
          verb_clone },
        { "rename", "NAME NEWNAME", "Rename a stopped container", 2, 2, false, 0, verb_rename },
        { "destroy", "NAME [--snapshots]", "Forget a stopped container and all it holds", 1, 1, false, OPTION_BIT(SNAPSHOTS),
          verb_destroy },
        { "list", "", "List the containers", 0, 0, false, 0, verb_list },
        { "info", "NAME", "Show everything about a container", 1, 1, false, 0, verb_info },
        { "image import", "NAME FILE|DIR|-", "Make an image of an archive or a folder", 2, 2, false, 0, verb_image_import },
        { "image list", "", "List the images", 0, 0, false, 0, verb_image_list },
        { "image remove", "NAME", "Forget an image", 1, 1, false, 0, verb_image_remove },
        { "check", "", "Is this host fit for containers?", 0, 0, false, 0, verb_check },
        {},
};
