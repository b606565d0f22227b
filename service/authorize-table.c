/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table: every member of every interface, who decides about it, and what polkit is told. What is not here nobody may
 * call. Defaults of the actions are in polkit/org.berth1.policy, the rule for members of berth-users in 50-berth.rules. */

#include "authorize.h"
#include "bus.h"

#define MANAGER BUS_INTERFACE_MANAGER
#define CONTAINER BUS_INTERFACE_CONTAINER
#define SNAPSHOT BUS_INTERFACE_SNAPSHOT
#define IMAGE BUS_INTERFACE_IMAGE
#define JOB BUS_INTERFACE_JOB
#define PROCESS BUS_INTERFACE_PROCESS

const Member authorize_table[] = {
        /* interface, member                who            action                verb               warm        handler */
        { MANAGER, "CreateContainer",       WHO_ACTION,    "container.create",   "create",          NULL,       manager_method_create_container },
        { MANAGER, "GetContainer",          WHO_EVERYBODY, NULL,                 NULL,              NULL,       manager_method_get_container },
        { MANAGER, "ListContainers",        WHO_EVERYBODY, NULL,                 NULL,              NULL,       manager_method_list_containers },
        { MANAGER, "ImportImage",           WHO_ACTION,    "image.import",       "import",          NULL,       manager_method_import_image },
        { MANAGER, "GetImage",              WHO_EVERYBODY, NULL,                 NULL,              NULL,       manager_method_get_image },
        { MANAGER, "CheckHost",             WHO_EVERYBODY, NULL,                 NULL,              NULL,       manager_method_check_host },
        { MANAGER, "Permissions",           WHO_EVERYBODY, NULL,                 NULL,              NULL,       manager_method_permissions },

        { CONTAINER, "Start",               WHO_ACTION,    "container.start",    "start",           "start",    container_method_start },
        { CONTAINER, "Stop",                WHO_ACTION,    "container.stop",     "stop",            NULL,       container_method_stop },
        { CONTAINER, "Kill",                WHO_ACTION,    "container.kill",     "kill",            NULL,       container_method_kill },
        { CONTAINER, "Destroy",             WHO_ACTION,    "container.destroy",  "destroy",         "destroy",  container_method_destroy },
        { CONTAINER, "Rename",              WHO_ACTION,    "container.rename",   "rename",          "rename",   container_method_rename },
        { CONTAINER, "Clone",               WHO_ACTION,    "container.clone",    "clone",           "clone",    container_method_clone },
        { CONTAINER, "TakeSnapshot",        WHO_ACTION,    "container.snapshot", "snapshot",        "snapshot", container_method_take_snapshot },
        { CONTAINER, "RestoreSnapshot",     WHO_ACTION,    "container.restore",  "restore",         "restore",  container_method_restore_snapshot },
        { CONTAINER, "Exec",                WHO_ACTION,    "container.exec",     "exec",            NULL,       container_method_exec },
        { CONTAINER, "Properties.Get",      WHO_ACTION,    "container.info",     "info",            NULL,       container_properties },
        { CONTAINER, "Properties.GetAll",   WHO_ACTION,    "container.info",     "info",            NULL,       container_properties },

        { SNAPSHOT, "Remove",               WHO_ACTION,    "container.snapshot", "remove-snapshot", NULL,       snapshot_method_remove },
        { SNAPSHOT, "Properties.Get",       WHO_ACTION,    "container.info",     "info",            NULL,       snapshot_properties },
        { SNAPSHOT, "Properties.GetAll",    WHO_ACTION,    "container.info",     "info",            NULL,       snapshot_properties },

        { IMAGE, "Remove",                  WHO_ACTION,    "image.remove",       "remove",          "remove",   image_method_remove },

        { JOB, "Cancel",                    WHO_HOLDER,    NULL,                 NULL,              NULL,       job_method_cancel },

        { PROCESS, "Signal",                WHO_HOLDER,    NULL,                 NULL,              NULL,       process_method_signal },
        { PROCESS, "Resize",                WHO_HOLDER,    NULL,                 NULL,              NULL,       process_method_resize },
        { PROCESS, "Properties.Get",        WHO_HOLDER,    NULL,                 NULL,              NULL,       process_properties },
        { PROCESS, "Properties.GetAll",     WHO_HOLDER,    NULL,                 NULL,              NULL,       process_properties },
        {},
};
