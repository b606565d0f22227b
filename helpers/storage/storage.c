/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* berth-storage - makes, seals, renames and trashes what the store holds.
 *
 * User berth-storage, no capability, for one call. Owns the store and is the only one who writes records. Believes nobody:
 * the peer may be a berthd that somebody has taken over. A slot that a message names is touched only while its lock is
 * free and its cgroups are gone. The most it can do is what the methods do: lose the layers of stopped containers to the
 * trash, and give a new container the layers of an image or of a stopped one. It never opens a file inside a layer.
 * Interface: org.berth1.Storage.varlink. */

#include "helper.h"
#include "operations.h"

#include <assert.h>
#include <stddef.h>
#include <sys/stat.h>

#include "org.berth1.Storage.h"
#include "storage-seccomp.h"

/* The descriptors that prepare() opened; a handler is given nothing but the call. */
static Store store = STORE_NONE;

/* What a method may be given; each takes some of it. */
typedef struct Request {
        uint64_t slot, target, first;
        const char *name, *image, *snapshot;
        uint64_t owner;
        bool snapshots;
} Request;

#define PLACE(member) offsetof(Request, member)
#define SLOT_FIELD(key, member) { key, FIELD_UNSIGNED, PLACE(member), 0, 0, UINT32_MAX }
/* Any string: whether it is a name is said by a typed error of ours. */
#define STRING_FIELD(key, member, flags) { key, FIELD_STRING, PLACE(member), flags, 0, 4096 }
#define OWNER_FIELD { "ownerUID", FIELD_UNSIGNED, PLACE(owner), 0, 0, UINT32_MAX - 1 }

static int fail(Call *call) {
        return call_error(call, store_error_name(store.error), store.step ?: "internal", store.cause);
}

/* Decodes, then takes the store's lock. */
static int begin(Call *call, const Field fields[], bool exclusive, Request *ret) {
        int r;

        r = call_decode(call, fields, ret);
        if (r < 0)
                return r;
        if (!store.step) /* else prepare() could not open something */
                (void) store_lock(&store, exclusive);

        return store.step ? fail(call) : 0;
}

/* The answer of an operation: parameters are consumed, and made only where it succeeded. */
static int finish(Call *call, int r, json_t *parameters) {
        store_release(&store);
        if (r < 0) {
                json_decref(parameters);
                return fail(call);
        }

        return call_reply(call, parameters, /* fds= */ NULL, 0);
}

static json_t *created_pack(const Created *c) {
        return json_pack("{s:s, s:I}", "creationID", c->id, "created", (json_int_t) c->time);
}

static int handle_list(Call *call) {
        static const Field fields[] = {
                { "first", FIELD_UNSIGNED, PLACE(first), FIELD_NULLABLE, 0, SLOTS_MAX },
                {},
        };
        Request request = {};
        json_t *page = NULL;
        int r;

        r = begin(call, fields, /* exclusive= */ false, &request);
        if (r < 0)
                return r;
        r = list(&store, request.first, &page);

        return finish(call, r, page);
}

static int handle_create_container(Call *call) {
        static const Field fields[] = {
                SLOT_FIELD("slot", slot), STRING_FIELD("name", name, 0), OWNER_FIELD,
                STRING_FIELD("image", image, FIELD_NULLABLE), {},
        };
        Request q = {};
        Created created = {};
        int r;

        r = begin(call, fields, /* exclusive= */ true, &q);
        if (r < 0)
                return r;
        r = create_container(&store, &call->slots, &(NewSlot) { q.slot, q.name, (uid_t) q.owner }, q.image, &created);

        return finish(call, r, created_pack(&created));
}

static int handle_create_image(Call *call) {
        static const Field fields[] = { SLOT_FIELD("slot", slot), STRING_FIELD("name", name, 0), OWNER_FIELD, {} };
        Request q = {};
        Created created = {};
        int r;

        r = begin(call, fields, /* exclusive= */ true, &q);
        if (r < 0)
                return r;
        r = create_image(&store, &call->slots, &(NewSlot) { q.slot, q.name, (uid_t) q.owner }, &created);

        return finish(call, r, created_pack(&created));
}

static int handle_seal(Call *call) {
        static const Field fields[] = { SLOT_FIELD("slot", slot), {} };
        Request q = {};
        int r;

        r = begin(call, fields, /* exclusive= */ true, &q);
        if (r < 0)
                return r;

        return finish(call, seal(&store, &call->slots, q.slot), NULL);
}

static const Field snapshot_fields[] = { SLOT_FIELD("slot", slot), STRING_FIELD("snapshot", snapshot, 0), {} };

static int handle_take_snapshot(Call *call) {
        uint64_t created = 0;
        Request q = {};
        int r;

        r = begin(call, snapshot_fields, /* exclusive= */ true, &q);
        if (r < 0)
                return r;
        r = take_snapshot(&store, &call->slots, q.slot, q.snapshot, &created);

        return finish(call, r, json_pack("{s:I}", "created", (json_int_t) created));
}

static int handle_restore_snapshot(Call *call) {
        Request q = {};
        int r;

        r = begin(call, snapshot_fields, /* exclusive= */ true, &q);
        if (r < 0)
                return r;

        return finish(call, restore_snapshot(&store, &call->slots, q.slot, q.snapshot), NULL);
}

static int handle_remove_snapshot(Call *call) {
        Request q = {};
        int r;

        r = begin(call, snapshot_fields, /* exclusive= */ true, &q);
        if (r < 0)
                return r;

        return finish(call, remove_snapshot(&store, &call->slots, q.slot, q.snapshot), NULL);
}

static int handle_clone(Call *call) {
        static const Field fields[] = {
                SLOT_FIELD("slot", slot), STRING_FIELD("snapshot", snapshot, FIELD_NULLABLE),
                SLOT_FIELD("targetSlot", target), STRING_FIELD("name", name, 0), OWNER_FIELD, {},
        };
        Request q = {};
        Created created = {};
        int r;

        r = begin(call, fields, /* exclusive= */ true, &q);
        if (r < 0)
                return r;
        r = clone_container(&store, &call->slots, q.slot, q.snapshot, &(NewSlot) { q.target, q.name, (uid_t) q.owner }, &created);

        return finish(call, r, created_pack(&created));
}

static int handle_rename(Call *call) {
        static const Field fields[] = { SLOT_FIELD("slot", slot), STRING_FIELD("name", name, 0), {} };
        Request q = {};
        int r;

        r = begin(call, fields, /* exclusive= */ true, &q);
        if (r < 0)
                return r;

        return finish(call, rename_container(&store, &call->slots, q.slot, q.name), NULL);
}

static int handle_destroy(Call *call) {
        static const Field fields[] = { SLOT_FIELD("slot", slot), { "snapshots", FIELD_BOOL, PLACE(snapshots), 0, 0, 0 }, {} };
        Request q = {};
        int r;

        r = begin(call, fields, /* exclusive= */ true, &q);
        if (r < 0)
                return r;

        return finish(call, destroy(&store, &call->slots, q.slot, q.snapshots), NULL);
}

static int handle_remove_image(Call *call) {
        static const Field fields[] = { STRING_FIELD("name", name, 0), {} };
        Request q = {};
        int r;

        r = begin(call, fields, /* exclusive= */ true, &q);
        if (r < 0)
                return r;

        return finish(call, remove_image(&store, q.name), NULL);
}

static int handle_collect_trash(Call *call) {
        static const Field fields[] = { SLOT_FIELD("slot", slot), {} };
        uint64_t entries = 0;
        Request q = {};
        int r;

        r = begin(call, fields, /* exclusive= */ true, &q);
        if (r < 0)
                return r;
        r = collect_trash(&store, &call->slots, q.slot, &entries);

        return finish(call, r, json_pack("{s:I}", "entries", (json_int_t) entries));
}

static int handle_release_trash(Call *call) {
        static const Field fields[] = { SLOT_FIELD("slot", slot), {} };
        Request q = {};
        int r;

        r = begin(call, fields, /* exclusive= */ true, &q);
        if (r < 0)
                return r;

        return finish(call, release_trash(&store, &call->slots, q.slot), NULL);
}

static const Method methods[] = {
        { "org.berth1.Storage.List",            handle_list,             0, 0 },
        { "org.berth1.Storage.CreateContainer", handle_create_container, 0, 0 },
        { "org.berth1.Storage.CreateImage",     handle_create_image,     0, 0 },
        { "org.berth1.Storage.Seal",            handle_seal,             0, 0 },
        { "org.berth1.Storage.TakeSnapshot",    handle_take_snapshot,    0, 0 },
        { "org.berth1.Storage.RestoreSnapshot", handle_restore_snapshot, 0, 0 },
        { "org.berth1.Storage.RemoveSnapshot",  handle_remove_snapshot,  0, 0 },
        { "org.berth1.Storage.Clone",           handle_clone,            0, 0 },
        { "org.berth1.Storage.Rename",          handle_rename,           0, 0 },
        { "org.berth1.Storage.Destroy",         handle_destroy,          0, 0 },
        { "org.berth1.Storage.RemoveImage",     handle_remove_image,     0, 0 },
        { "org.berth1.Storage.CollectTrash",    handle_collect_trash,    0, 0 },
        { "org.berth1.Storage.ReleaseTrash",    handle_release_trash,    0, 0 },
        {},
};

static int prepare(uint64_t *capabilities) {
        /* Folders of layers and public records are for others to enter and to read. */
        (void) umask(022);
        /* A failure is told in the answer: whoever calls learns what is missing. */
        (void) store_open(&store);

        return 0;
}

int main(int argc, char *argv[]) {
        return helper_main(argc, argv, &(const Helper) { "berth-storage", "org.berth1.Storage", storage_description, methods,
                                                         /* capabilities= */ 0, &storage_seccomp, prepare });
}
