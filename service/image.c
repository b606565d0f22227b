/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images on the bus. */

#include "image.h"
#include "bus.h"
#include "bus-error.h"
#include "container.h"
#include "log.h"
#include "manager.h"
#include "bus-call.h"

int image_new(Manager *m, const EngineImage *e, Image **ret) {
        Image *i;

        i = calloc(1, sizeof(Image));
        if (!i)
                return -ENOMEM;
        *i = (Image) { .manager = m, .name = strdup(e->name), .owner = e->owner, .created = e->created };
        link_init(&i->link);
        if (!i->name) {
                image_free(i);
                return -ENOMEM;
        }
        link_append(&m->images, &i->link);
        *ret = i;
        return 0;
}

Image *image_free(Image *i) {
        if (!i)
                return NULL;
        link_remove(&i->link);
        free(i->name);
        free(i);
        return NULL;
}

int image_path(const Image *i, char **ret) {
        return sd_bus_path_encode(BUS_PATH_IMAGE, i->name, ret);
}

Image *image_find(Manager *m, const char *name) {
        LINK_FOREACH(Image, i, &m->images, link)
                if (streq(i->name, name))
                        return i;
        return NULL;
}

Image *image_of_path(Manager *m, const char *path) {
        _cleanup_free_ char *name = NULL;

        if (sd_bus_path_decode(path, BUS_PATH_IMAGE, &name) <= 0)
                return NULL;
        return image_find(m, name);
}

void image_announce(const Image *i, bool added) {
        _cleanup_free_ char *path = NULL;

        if (image_path(i, &path) >= 0)
                bus_announce_path(i->manager, path, added);
}

uint32_t image_used_by(const Image *i) {
        uint32_t n = 0;

        for (size_t k = 0; k < i->manager->n_containers; k++) {
                const Container *c = i->manager->containers[k];

                /* A container that is older stands on an image of that name which is gone. */
                if (streq(c->image, i->name) && c->created >= i->created)
                        n += 1 + (uint32_t) c->n_snapshots;
        }
        return n;
}

void image_usage_changed(Manager *m, const char *name) {
        _cleanup_free_ char *path = NULL;
        Image *i = image_find(m, name);

        if (!i)
                return;
        if (image_path(i, &path) < 0 || sd_bus_emit_properties_changed(m->bus, path, BUS_INTERFACE_IMAGE, "UsedBy", NULL) < 0)
                log_warning("image %s: cannot signal its use", name);
}

typedef struct Removal {
        Image *image;
        BusCall *request;
} Removal;

static void on_removed(void *userdata, const EngineError *error) {
        Removal *x = userdata;
        Image *i = x->image;
        BusCall *q = x->request;

        free(x);
        i->busy = false;
        if (error) {
                (void) bus_call_fail_engine(q, error);
                return;
        }
        image_announce(i, false);
        image_free(i);
        (void) bus_call_reply(q, NULL);
}

int image_remove(Image *i, BusCall *q, sd_bus_error *error) {
        Removal *x;
        int r;

        if (i->busy)
                return sd_bus_error_setf(error, ERROR_BUSY, "Image '%s' is being removed already.", i->name);
        x = calloc(1, sizeof(Removal));
        if (!x)
                return -ENOMEM;
        *x = (Removal) { i, q };
        r = engine_remove_image(i->manager->engine, i->name, (Done) { on_removed, x });
        if (r < 0) {
                free(x);
                return bus_error_internal(error, r, "begin to remove the image");
        }
        i->busy = true;
        return 0;
}
