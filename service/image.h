/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An image as the service knows it: public, as names are. */

#include "engine.h"
#include "list.h"

#include <systemd/sd-bus.h>

typedef struct Manager Manager;
typedef struct BusCall BusCall;

typedef struct Image {
        Manager *manager;
        Link link;
        char *name;
        uid_t owner;
        uint64_t created;
        bool busy; /* being removed */
} Image;

int image_new(Manager *m, const EngineImage *e, Image **ret);
Image *image_free(Image *i);

int image_path(const Image *i, char **ret);
void image_announce(const Image *i, bool added);
Image *image_of_path(Manager *m, const char *path);
Image *image_find(Manager *m, const char *name);

/* Containers that were made from it, and their snapshots. */
uint32_t image_used_by(const Image *i);
void image_usage_changed(Manager *m, const char *name);

int image_remove(Image *i, BusCall *q, sd_bus_error *error);
