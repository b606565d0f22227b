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

static json_t *created_pack(const Created *c) {
        return json_pack("{s:s, s:I}", "creationID", c->id, "created", (json_int_t) c->time);
}

static const Field list_fields[] = { { "first", FIELD_UNSIGNED, PLACE(first), FIELD_NULLABLE, 0, SLOTS_MAX }, {} };

static int act_list(const SlotTable *slots, const Request *q, json_t **ret) {
        return list(&store, q->first, ret);
}

static const Field create_container_fields[] = {
        SLOT_FIELD("slot", slot), STRING_FIELD("name", name, 0), OWNER_FIELD, STRING_FIELD("image", image, FIELD_NULLABLE), {},
};

static int act_create_container(const SlotTable *slots, const Request *q, json_t **ret) {
        Created created = {};
        int r;

        r = create_container(&store, slots, &(NewSlot) { q->slot, q->name, (uid_t) q->owner }, q->image, &created);
        if (r >= 0)
                *ret = created_pack(&created);
        return r;
}

static const Field create_image_fields[] = { SLOT_FIELD("slot", slot), STRING_FIELD("name", name, 0), OWNER_FIELD, {} };

static int act_create_image(const SlotTable *slots, const Request *q, json_t **ret) {
        Created created = {};
        int r;

        r = create_image(&store, slots, &(NewSlot) { q->slot, q->name, (uid_t) q->owner }, &created);
        if (r >= 0)
                *ret = created_pack(&created);
        return r;
}

static const Field slot_fields[] = { SLOT_FIELD("slot", slot), {} };

static int act_seal(const SlotTable *slots, const Request *q, json_t **ret) {
        return seal(&store, slots, q->slot);
}

static const Field snapshot_fields[] = { SLOT_FIELD("slot", slot), STRING_FIELD("snapshot", snapshot, 0), {} };

static int act_take_snapshot(const SlotTable *slots, const Request *q, json_t **ret) {
        uint64_t created;
        int r;

        r = take_snapshot(&store, slots, q->slot, q->snapshot, &created);
        if (r >= 0)
                *ret = json_pack("{s:I}", "created", (json_int_t) created);
        return r;
}

static int act_restore_snapshot(const SlotTable *slots, const Request *q, json_t **ret) {
        return restore_snapshot(&store, slots, q->slot, q->snapshot);
}

static int act_remove_snapshot(const SlotTable *slots, const Request *q, json_t **ret) {
        return remove_snapshot(&store, slots, q->slot, q->snapshot);
}

static const Field clone_fields[] = {
        SLOT_FIELD("slot", slot), STRING_FIELD("snapshot", snapshot, FIELD_NULLABLE), SLOT_FIELD("targetSlot", target),
        STRING_FIELD("name", name, 0), OWNER_FIELD, {},
};

static int act_clone(const SlotTable *slots, const Request *q, json_t **ret) {
        Created created = {};
        int r;

        r = clone_container(&store, slots, q->slot, q->snapshot, &(NewSlot) { q->target, q->name, (uid_t) q->owner }, &created);
        if (r >= 0)
                *ret = created_pack(&created);
        return r;
}

static const Field rename_fields[] = { SLOT_FIELD("slot", slot), STRING_FIELD("name", name, 0), {} };

static int act_rename(const SlotTable *slots, const Request *q, json_t **ret) {
        return rename_container(&store, slots, q->slot, q->name);
}

static const Field destroy_fields[] = { SLOT_FIELD("slot", slot), { "snapshots", FIELD_BOOL, PLACE(snapshots), 0, 0, 0 }, {} };

static int act_destroy(const SlotTable *slots, const Request *q, json_t **ret) {
        return destroy(&store, slots, q->slot, q->snapshots);
}

static const Field remove_image_fields[] = { STRING_FIELD("name", name, 0), {} };

static int act_remove_image(const SlotTable *slots, const Request *q, json_t **ret) {
        return remove_image(&store, q->name);
}

static int act_collect_trash(const SlotTable *slots, const Request *q, json_t **ret) {
        uint64_t entries;
        int r;

        r = collect_trash(&store, slots, q->slot, &entries);
        if (r >= 0)
                *ret = json_pack("{s:I}", "entries", (json_int_t) entries);
        return r;
}

static int act_release_trash(const SlotTable *slots, const Request *q, json_t **ret) {
        return release_trash(&store, slots, q->slot);
}

/* What each method takes and does. All but List change the store, and have it for themselves meanwhile. */
static const struct {
        const char *method;
        const Field *fields;
        int (*act)(const SlotTable *slots, const Request *request, json_t **ret); /* *ret stays NULL for {} */
        bool reads_only;
} deeds[] = {
        { "List",            list_fields,             act_list,             true },
        { "CreateContainer", create_container_fields, act_create_container, false },
        { "CreateImage",     create_image_fields,     act_create_image,     false },
        { "Seal",            slot_fields,             act_seal,             false },
        { "TakeSnapshot",    snapshot_fields,         act_take_snapshot,    false },
        { "RestoreSnapshot", snapshot_fields,         act_restore_snapshot, false },
        { "RemoveSnapshot",  snapshot_fields,         act_remove_snapshot,  false },
        { "Clone",           clone_fields,            act_clone,            false },
        { "Rename",          rename_fields,           act_rename,           false },
        { "Destroy",         destroy_fields,          act_destroy,          false },
        { "RemoveImage",     remove_image_fields,     act_remove_image,     false },
        { "CollectTrash",    slot_fields,             act_collect_trash,    false },
        { "ReleaseTrash",    slot_fields,             act_release_trash,    false },
};

/* Decodes, takes the store's lock, does the deed, lets go, answers. */
static int handle(Call *call) {
        json_t *parameters = NULL;
        Request request = {};
        size_t i = 0;
        int r;

        while (i < ELEMENTSOF(deeds) && !streq(deeds[i].method, strrchr(call->method->name, '.') + 1))
                i++;
        if (i == ELEMENTSOF(deeds))
                return -ENOSYS; /* in methods[] alone: a slip of ours that any test of the method shows */
        r = call_decode(call, deeds[i].fields, &request);
        if (r < 0)
                return r;
        if (!store.step) /* else prepare() could not open something */
                (void) store_lock(&store, !deeds[i].reads_only);
        if (store.step)
                return fail(call);

        r = deeds[i].act(&call->slots, &request, &parameters);
        store_release(&store);
        if (r < 0) {
                json_decref(parameters);
                return fail(call);
        }
        return call_reply(call, parameters, /* fds= */ NULL, 0);
}

#define METHOD(name) { "org.berth1.Storage." name, handle, 0, 0 }

static const Method methods[] = {
        METHOD("List"),           METHOD("CreateContainer"), METHOD("CreateImage"),  METHOD("Seal"),   METHOD("TakeSnapshot"),
        METHOD("RestoreSnapshot"), METHOD("RemoveSnapshot"), METHOD("Clone"),        METHOD("Rename"), METHOD("Destroy"),
        METHOD("RemoveImage"),    METHOD("CollectTrash"),    METHOD("ReleaseTrash"), {},
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
