/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making containers and images: jobs. The archive is the caller's stream, and goes to a worker unread. */

#include "bus.h"
#include "bus-error.h"
#include "container.h"
#include "image.h"
#include "job.h"
#include "log.h"
#include "manager.h"
#include "bus-call.h"

static void on_progress(void *userdata, uint64_t entries, uint64_t bytes) {
        job_progress(userdata, bytes);
}

static int answer_with(Job *job, BusCall *q, sd_bus_error *error) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = job_path(job, &path);
        if (r < 0)
                return bus_error_internal(error, r, "name the job");
        return bus_call_reply(q, "o", path);
}

static void fail_job(Job *job, int r, const char *what) {
        _cleanup_free_ char *sentence = NULL;

        errno = -r;
        if (asprintf(&sentence, "berthd failed to %s: %m.", what) < 0)
                sentence = NULL;
        job_finish(job, NULL, &(EngineError) { "HelperFailed", sentence });
}

static void on_created(void *userdata, const EngineContainer *container, const EngineError *error) {
        Job *job = userdata;
        Manager *m = job->manager;
        Container *c;
        int r;

        if (error) {
                r = state_remove(m->root, job->name, FOLDER_NEW);
                if (r < 0)
                        log_warning("%s: cannot remove its staged folder: %s", job->name, strerror(-r));
                job_finish(job, NULL, error);
                return;
        }
        r = manager_adopt(m, container, &c);
        if (r < 0) {
                fail_job(job, r, "write the container's state");
                return;
        }
        image_usage_changed(m, c->image);
        job_finish(job, "done", /* error= */ NULL);
}

int manager_create(Manager *m, const char *name, const char *image, int archive, Config *config, BusCall *q,
                   sd_bus_error *error) {
        _cleanup_close_ int stream = archive;
        Job *job;
        int r;

        r = manager_check_new_container(m, name, q->uid, error);
        if (r < 0)
                return r;
        if (image && !image_find(m, image))
                return sd_bus_error_setf(error, ERROR_NO_SUCH_IMAGE, "There is no image '%s': import it first.", image);
        r = job_new(m, JOB_CREATE, name, q->uid, &job, error);
        if (r < 0)
                return r;
        r = state_stage(m->root, name, config);
        if (r < 0) {
                job_discard(job);
                return bus_error_internal(error, r, "write the container's configuration");
        }
        r = engine_create(m->engine, name, q->uid, image, TAKE_FD(stream), on_progress, on_created, job, &job->operation);
        if (r < 0) {
                (void) state_remove(m->root, name, FOLDER_NEW);
                job_discard(job);
                return bus_error_internal(error, r, "begin to make the container");
        }
        return answer_with(job, q, error);
}

static void on_imported(void *userdata, const EngineImage *image, uint64_t skipped, const EngineError *error) {
        Job *job = userdata;
        Image *i;
        int r;

        if (error) {
                job_finish(job, NULL, error);
                return;
        }
        if (skipped > 0)
                log_info("image %s: %" PRIu64 " entries that are no files of a container were skipped", image->name, skipped);
        r = image_new(job->manager, image, &i);
        if (r < 0) {
                fail_job(job, r, "remember the image");
                return;
        }
        image_announce(i, true);
        job_finish(job, "done", /* error= */ NULL);
}

int manager_import(Manager *m, const char *name, int archive, BusCall *q, sd_bus_error *error) {
        _cleanup_close_ int stream = archive;
        unsigned n = 0;
        Job *job;
        int r;

        if (manager_image_name_taken(m, name))
                return sd_bus_error_setf(error, ERROR_ALREADY_EXISTS, "There is an image '%s' already.", name);
        LINK_FOREACH(Image, i, &m->images, link)
                n++;
        if (n >= LIMIT_IMAGES)
                return sd_bus_error_setf(error, ERROR_LIMIT_REACHED, "There are %u images, which is as many as there may be.",
                                         LIMIT_IMAGES);
        r = job_new(m, JOB_IMPORT, name, q->uid, &job, error);
        if (r < 0)
                return r;
        r = engine_import(m->engine, name, q->uid, TAKE_FD(stream), on_progress, on_imported, job, &job->operation);
        if (r < 0) {
                job_discard(job);
                return bus_error_internal(error, r, "begin to import the image");
        }
        return answer_with(job, q, error);
}
