/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The language of configuration: LXC's keys. One table describes each key once; parser, validator and documents are made
 * from it. A key that is not in it is an error with file and line, and so is everything else that is not understood. */

#include "util.h"

#define CONFIG_SIZE_MAX (256U * 1024) /* of a file: what is longer is refused before it is written */
#define CONFIG_VALUE_MAX 4096U

typedef struct Config {
        char *init_command;
        char *init_folder;
        char *host_name;
        char **environment; /* "KEY=value" */
} Config;

typedef enum ConfigType {
        CONFIG_STRING,
        CONFIG_STRINGS, /* may be given more than once */
} ConfigType;

typedef enum ConfigWho {
        CONFIG_WHO_CONFIGURE, /* whoever may configure the container */
        CONFIG_WHO_GRANT,     /* only with a grant */
} ConfigWho;

typedef enum ConfigWhen {
        CONFIG_WHEN_START,
        CONFIG_WHEN_CREATE,
        CONFIG_WHEN_LIVE,
} ConfigWhen;

typedef struct ConfigKey {
        const char *key;
        ConfigType type;
        size_t offset; /* of a char * or char ** in Config */
        ConfigWho who;
        ConfigWhen when;
        bool (*is_valid)(const char *value);
        const char *expected; /* what a valid value is, for the error */
        const char *help;
} ConfigKey;

extern const ConfigKey config_keys[];
extern const size_t config_n_keys;

void config_done(Config *c);
int config_copy(const Config *c, Config *ret);

/* Sets one value, as a line "KEY = VALUE" does; an empty value takes back what was set. -EINVAL with a sentence in
 * *reterr_reason. */
int config_set(Config *c, const char *key, const char *value, char **reterr_reason);

/* The whole text of a file; size is bounded by the caller. -EBADMSG with "FILE:LINE: ..." in *reterr_reason. */
int config_parse(const char *text, size_t size, const char *file, Config *ret, char **reterr_reason);
int config_format(const Config *c, char **ret, size_t *ret_size);

/* init's arguments: the command split at white space, quotes respected; /sbin/init if it was not set. */
int config_init_arguments(const Config *c, char ***ret);
int command_split(const char *command, char ***ret); /* -EINVAL: an open quote, or nothing */

/* What a program inside finds as its environment: defaults, then the configured, then more; the last of a name wins. */
int config_environment(const Config *c, char *const *more, char ***ret);
bool environment_entry_is_valid(const char *entry); /* NAME=value */
bool folder_is_valid(const char *path);             /* absolute, without ".." */
