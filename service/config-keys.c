/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The key table, and what a valid value of each key is. Pure functions on memory. */

#include "config.h"
#include "text-list.h"

#include <ctype.h>

static bool command_is_valid(const char *value) {
        _cleanup_strv_ char **words = NULL;

        return command_split(value, &words) >= 0 && words[0][0] == '/';
}

bool folder_is_valid(const char *path) {
        if (path[0] != '/')
                return false;
        for (const char *p = path; (p = strstr(p, "/..")); p += 3)
                if (p[3] == 0 || p[3] == '/')
                        return false;
        return true;
}

static bool host_name_is_valid(const char *value) {
        size_t n = strlen(value);

        if (n == 0 || n > 64 || !isalnum((unsigned char) value[0]))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!isalnum((unsigned char) value[i]) && !strchr(".-_", value[i]))
                        return false;
        return true;
}

bool environment_entry_is_valid(const char *entry) {
        size_t n = 0;

        while (isalnum((unsigned char) entry[n]) || entry[n] == '_')
                n++;
        return n > 0 && entry[n] == '=' && !isdigit((unsigned char) entry[0]);
}

const ConfigKey config_keys[] = {
        { "lxc.environment", CONFIG_STRINGS, offsetof(Config, environment), CONFIG_WHO_CONFIGURE, CONFIG_WHEN_START,
          environment_entry_is_valid, "NAME=value (a name alone, which LXC takes from its own environment, is refused)",
          "A variable in the environment of init and of what is executed; may be given more than once." },
        { "lxc.init.cmd", CONFIG_STRING, offsetof(Config, init_command), CONFIG_WHO_CONFIGURE, CONFIG_WHEN_START,
          command_is_valid, "an absolute path inside the container and arguments",
          "The program that becomes the container's first process, with its arguments; /sbin/init by default." },
        { "lxc.init.cwd", CONFIG_STRING, offsetof(Config, init_folder), CONFIG_WHO_CONFIGURE, CONFIG_WHEN_START,
          folder_is_valid, "an absolute path without ..", "The folder in which init starts; / by default." },
        { "lxc.uts.name", CONFIG_STRING, offsetof(Config, host_name), CONFIG_WHO_CONFIGURE, CONFIG_WHEN_START,
          host_name_is_valid, "a host name of at most 64 letters, digits, dots and hyphens",
          "The host name inside; the container's name by default." },
};

const size_t config_n_keys = ELEMENTSOF(config_keys);
