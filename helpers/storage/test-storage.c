/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* berth-storage as a real process, started as the spawner would: every method, every refusal with its typed error, limits,
 * eight at once. */

#include "test-world.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define NEW "{s:i, s:s, s:i}"
#define ON "{s:i, s:s, s:i, s:s}"
#define CLONE "{s:i, s:i, s:s, s:i}"
#define CLONE_AT "{s:i, s:s, s:i, s:s, s:i}"

/* A fresh image "base" (slot 15 is free again afterwards). */
static void import(const char *name) {
        ok("CreateImage", NEW, "slot", 15, "name", name, "ownerUID", 0);
        write_content(15, name);
        ok("Seal", "{s:i}", "slot", 15);
}

static void create(uint32_t slot, const char *name) {
        ok("CreateContainer", ON, "slot", (int) slot, "name", name, "ownerUID", TEST_PERSON, "image", "base");
}

static void expect_state(const char *expected) {
        char *state = state_text("");

        check_store();
        if (!streq(state, expected)) {
                (void) fprintf(stderr, "expected\n%sgot\n%s", expected, state);
                exit(EXIT_FAILURE);
        }
        free(state);
}

/* Everything away, nothing left. */
static void clear(void) {
        json_t *all = list_all(), *entry, *collected;
        size_t i;

        json_array_foreach(json_object_get(all, "slots"), i, entry)
                ok("Destroy", "{s:O, s:b}", "slot", json_object_get(entry, "slot"), "snapshots", true);
        json_array_foreach(json_object_get(all, "images"), i, entry)
                ok("RemoveImage", "{s:O}", "name", json_object_get(entry, "name"));
        json_decref(all);
        collected = reply("CollectTrash", "{s:i}", "slot", 3);
        if (json_integer_value(json_object_get(collected, "entries")) > 0) {
                delete_trash(3);
                ok("ReleaseTrash", "{s:i}", "slot", 3);
        }
        json_decref(collected);

        check_equal(count_entries(STORE "/layers"), 0);
        check_equal(count_entries(STORE "/slots"), 0);
        check_equal(count_entries(STORE "/images"), 0);
        check_equal(count_entries(STORE "/trash"), 0);
        check_equal(count_entries(STORE "/tmp"), 0);
        check_equal(count_entries(PUBLIC), 0);
        expect_state("");
}

static void test_life(void) {
        import("base");
        expect_state("image base 0 used 0: base\n");
        create(0, "web");
        expect_state("slot 0 container web new 1000 image base sealed 1: base\nimage base 0 used 1: base\n");

        write_content(0, "one");
        ok("TakeSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "snap0");
        write_content(0, "two");
        expect_state("slot 0 container web new 1000 image base sealed 1: two one base\n"
                     "  snapshot snap0: one base\nimage base 0 used 2: base\n");
        ok("RestoreSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "snap0");
        expect_state("slot 0 container web new 1000 image base sealed 1: one base\n"
                     "  snapshot snap0: one base\nimage base 0 used 2: base\n");

        /* As it is, as it was, and what one writes the other does not see. */
        write_content(0, "three");
        ok("Clone", CLONE, "slot", 0, "targetSlot", 1, "name", "copy", "ownerUID", 1001);
        ok("Clone", CLONE_AT, "slot", 0, "snapshot", "snap0", "targetSlot", 2, "name", "old", "ownerUID", 1001);
        write_content(0, "four");
        write_content(1, "five");
        expect_state("slot 0 container web new 1000 image base sealed 1: four three one base\n"
                     "  snapshot snap0: one base\n"
                     "slot 1 container copy new 1001 image base sealed 1: five three one base\n"
                     "slot 2 container old new 1001 image base sealed 1: one base\nimage base 0 used 4: base\n");

        /* Layers on which others stand stay. */
        ok("RemoveSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "snap0");
        ok("Destroy", "{s:i, s:b}", "slot", 0, "snapshots", false);
        ok("RemoveImage", "{s:s}", "name", "base");
        ok("Rename", "{s:i, s:s}", "slot", 1, "name", "web");
        json_decref(reply("CollectTrash", "{s:i}", "slot", 4));
        delete_trash(4);
        ok("ReleaseTrash", "{s:i}", "slot", 4);
        expect_state("slot 1 container web new 1001 image base sealed 1: five three one base\n"
                     "slot 2 container old new 1001 image base sealed 1: one base\n");
        clear();
}

/* What is answered is what the list says afterwards. */
static void expect_created(json_t *answer, uint32_t slot) {
        json_t *all = list_all();
        json_t *entry = slot_of(all, slot);

        check(entry && json_object_size(answer) == 2);
        check(json_equal(json_object_get(answer, "creationID"), json_object_get(entry, "creationID")));
        check(json_equal(json_object_get(answer, "created"), json_object_get(entry, "created")));
        json_decref(all);
        json_decref(answer);
}

static void test_created(void) {
        expect_created(reply("CreateContainer", NEW, "slot", 0, "name", "web", "ownerUID", TEST_PERSON), 0);
        expect_created(reply("CreateImage", NEW, "slot", 1, "name", "base", "ownerUID", 0), 1);
        write_content(0, "archive");
        ok("Seal", "{s:i}", "slot", 0);
        expect_created(reply("Clone", CLONE, "slot", 0, "targetSlot", 2, "name", "copy", "ownerUID", TEST_PERSON), 2);
        clear();
}

static void test_unpacked(void) {
        json_t *all;

        ok("CreateContainer", NEW, "slot", 0, "name", "web", "ownerUID", TEST_PERSON);
        refused("BadRecord", "nothing to seal", "Seal", "{s:i}", "slot", 0);
        write_content(0, "archive");
        expect_state("slot 0 container web new 1000 image  sealed 0: archive\n");
        refused("BadSlot", "not sealed", "TakeSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "a");
        refused("BadSlot", "not sealed", "Clone", CLONE, "slot", 0, "targetSlot", 1, "name", "b", "ownerUID", 0);
        ok("Seal", "{s:i}", "slot", 0);
        expect_state("slot 0 container web new 1000 image  sealed 1: archive\n");
        /* A second time is no harm. */
        ok("Seal", "{s:i}", "slot", 0);
        expect_state("slot 0 container web new 1000 image  sealed 1: archive\n");

        /* An image under construction is no container, and is gone as one. */
        ok("CreateImage", NEW, "slot", 1, "name", "web", "ownerUID", 0);
        refused("BadSlot", "not a container", "TakeSnapshot", "{s:i, s:s}", "slot", 1, "snapshot", "a");
        refused("BadSlot", "not a container", "Rename", "{s:i, s:s}", "slot", 1, "name", "b");
        refused("NoSuchImage", NULL, "CreateContainer", ON, "slot", 2, "name", "c", "ownerUID", 0, "image", "web");
        refused("AlreadyExists", "name", "CreateImage", NEW, "slot", 2, "name", "web", "ownerUID", 0);
        ok("Destroy", "{s:i, s:b}", "slot", 1, "snapshots", false);
        all = list_all();
        check(json_is_true(json_object_get(all, "trash")));
        json_decref(all);
        clear();
}

/* Nothing written since: no layer is added, however often. */
static void test_empty(void) {
        size_t layers;

        import("base");
        create(0, "web");
        write_content(0, "one");
        ok("TakeSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "a");
        layers = count_entries(STORE "/layers");
        ok("TakeSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "b");
        check_equal(count_entries(STORE "/layers"), layers);
        ok("Clone", CLONE, "slot", 0, "targetSlot", 1, "name", "copy", "ownerUID", 0);
        check_equal(count_entries(STORE "/layers"), layers + 1);
        clear();
}

static void test_names(void) {
        static const char *const bad[] = { "", ".a", "a/b", "..", "a..b", "-a", "a b", "a\xc3\xa4",
                                           "0123456789012345678901234567890123456789012345678901234567890123" };

        import("base");
        create(0, "web");
        ok("TakeSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "a");
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                refused("BadName", "name", "CreateContainer", NEW, "slot", 1, "name", bad[i], "ownerUID", 0);
                refused("BadName", "name", "CreateImage", NEW, "slot", 1, "name", bad[i], "ownerUID", 0);
                refused("BadName", "image", "CreateContainer", ON, "slot", 1, "name", "b", "ownerUID", 0, "image", bad[i]);
                refused("BadName", "snapshot", "TakeSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", bad[i]);
                refused("BadName", "snapshot", "RestoreSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", bad[i]);
                refused("BadName", "snapshot", "RemoveSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", bad[i]);
                refused("BadName", "name", "Clone", CLONE, "slot", 0, "targetSlot", 1, "name", bad[i], "ownerUID", 0);
                refused("BadName", "snapshot", "Clone", CLONE_AT, "slot", 0, "snapshot", bad[i], "targetSlot", 1, "name", "b",
                        "ownerUID", 0);
                refused("BadName", "name", "Rename", "{s:i, s:s}", "slot", 0, "name", bad[i]);
                refused("BadName", "image", "RemoveImage", "{s:s}", "name", bad[i]);
        }

        /* Taken, as the same kind of thing. */
        refused("AlreadyExists", "name", "CreateContainer", NEW, "slot", 1, "name", "web", "ownerUID", 0);
        refused("AlreadyExists", "name", "CreateImage", NEW, "slot", 1, "name", "base", "ownerUID", 0);
        refused("AlreadyExists", "name", "Clone", CLONE, "slot", 0, "targetSlot", 1, "name", "web", "ownerUID", 0);
        ok("Rename", "{s:i, s:s}", "slot", 0, "name", "web"); /* done before, and asked again */
        refused("AlreadyExists", "snapshot", "TakeSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "a");
        ok("CreateContainer", ON, "slot", 1, "name", "base", "ownerUID", 0, "image", "base");
        clear();
}

static void test_slots(void) {
        import("base");
        create(0, "web");
        json_decref(reply("CollectTrash", "{s:i}", "slot", 9)); /* nothing */

        /* No slot's number. */
        refused("BadSlot", "slot", "CreateContainer", NEW, "slot", TEST_SLOTS, "name", "a", "ownerUID", 0);
        refused("BadSlot", "slot", "Destroy", "{s:i, s:b}", "slot", 2048, "snapshots", true);
        refused("org.varlink.service.InvalidParameter", NULL, "Seal", "{s:i}", "slot", -1);
        refused("org.varlink.service.InvalidParameter", NULL, "CreateContainer", "{s:i, s:s, s:I}", "slot", 1, "name", "a",
                "ownerUID", (json_int_t) UINT32_MAX);
        refused("org.varlink.service.InvalidParameter", NULL, "List", "{s:i}", "first", 2049);

        /* Nothing there. */
        refused("NoSuchSlot", NULL, "Seal", "{s:i}", "slot", 1);
        refused("NoSuchSlot", NULL, "TakeSnapshot", "{s:i, s:s}", "slot", 1, "snapshot", "a");
        refused("NoSuchSlot", NULL, "Destroy", "{s:i, s:b}", "slot", 1, "snapshots", true);
        refused("NoSuchSlot", NULL, "Rename", "{s:i, s:s}", "slot", 1, "name", "a");
        refused("NoSuchSlot", NULL, "Clone", CLONE, "slot", 1, "targetSlot", 2, "name", "a", "ownerUID", 0);
        refused("NoSuchSlot", NULL, "ReleaseTrash", "{s:i}", "slot", 0);
        refused("NoSuchImage", NULL, "RemoveImage", "{s:s}", "name", "other");
        refused("NoSuchImage", NULL, "CreateContainer", ON, "slot", 1, "name", "a", "ownerUID", 0, "image", "other");
        refused("NoSuchSnapshot", NULL, "RestoreSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "a");
        refused("NoSuchSnapshot", NULL, "RemoveSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "a");
        refused("NoSuchSnapshot", NULL, "Clone", CLONE_AT, "slot", 0, "snapshot", "a", "targetSlot", 1, "name", "b", "ownerUID", 0);

        /* Taken, by a container and by trash. */
        refused("AlreadyExists", "slot", "CreateContainer", NEW, "slot", 0, "name", "a", "ownerUID", 0);
        refused("AlreadyExists", "slot", "Clone", CLONE, "slot", 0, "targetSlot", 0, "name", "a", "ownerUID", 0);
        refused("AlreadyExists", "slot", "CollectTrash", "{s:i}", "slot", 0);
        create(1, "other");
        write_content(1, "rubbish");
        ok("Destroy", "{s:i, s:b}", "slot", 1, "snapshots", false);
        json_decref(reply("CollectTrash", "{s:i}", "slot", 1));
        expect_state("slot 0 container web new 1000 image base sealed 1: base\nslot 1 trash   0 image  sealed 0:\n"
                     "image base 0 used 1: base\n");
        refused("AlreadyExists", "slot", "CreateContainer", NEW, "slot", 1, "name", "a", "ownerUID", 0);
        refused("AlreadyExists", "slot", "CreateImage", NEW, "slot", 1, "name", "a", "ownerUID", 0);
        refused("AlreadyExists", "slot", "CollectTrash", "{s:i}", "slot", 1);
        refused("NoSuchSlot", NULL, "Seal", "{s:i}", "slot", 1);

        /* What a worker has left is trash again, though it gave the folder away. */
        check(chown(STORE "/trash/1/content", 0, 0) == 0 && chmod(STORE "/trash/1/content", 0) == 0);
        ok("ReleaseTrash", "{s:i}", "slot", 1);
        json_decref(reply("CollectTrash", "{s:i}", "slot", 2));
        check_equal(count_entries(STORE "/trash/2/content"), 1);
        delete_trash(2);
        ok("ReleaseTrash", "{s:i}", "slot", 2);
        clear();
}

/* Each changing method while the slot lives. */
static void all_busy(const char *step) {
        refused("Busy", step, "Seal", "{s:i}", "slot", 0);
        refused("Busy", step, "TakeSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "b");
        refused("Busy", step, "RestoreSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "a");
        refused("Busy", step, "RemoveSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "a");
        refused("Busy", step, "Clone", CLONE, "slot", 0, "targetSlot", 2, "name", "b", "ownerUID", 0);
        refused("Busy", step, "Clone", CLONE, "slot", 1, "targetSlot", 0, "name", "b", "ownerUID", 0);
        refused("Busy", step, "Rename", "{s:i, s:s}", "slot", 0, "name", "b");
        refused("Busy", step, "Destroy", "{s:i, s:b}", "slot", 0, "snapshots", true);
        refused("Busy", step, "CreateContainer", NEW, "slot", 0, "name", "b", "ownerUID", 0);
        refused("Busy", step, "CreateImage", NEW, "slot", 0, "name", "b", "ownerUID", 0);
        refused("Busy", step, "CollectTrash", "{s:i}", "slot", 0);
        refused("Busy", step, "ReleaseTrash", "{s:i}", "slot", 0);
}

static void test_busy(void) {
        pid_t holder;

        import("base");
        create(0, "web");
        create(1, "other");
        ok("TakeSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "a");
        holder = test_lock(0);
        all_busy("slot lock");
        test_end(holder);
        cgroup_make(0);
        all_busy("slot cgroups");
        cgroup_remove(0);
        ok("TakeSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "b");
        clear();
}

static void test_still_used(void) {
        import("base");
        create(0, "web");
        ok("TakeSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "a");
        refused("StillUsed", "snapshots", "Destroy", "{s:i, s:b}", "slot", 0, "snapshots", false);
        ok("Destroy", "{s:i, s:b}", "slot", 0, "snapshots", true);
        clear();
}

static void test_limits(void) {
        char name[16], path[128], target[2048] = {};

        import("base");
        create(0, "web");
        for (int i = 2; i < 64; i++) {
                write_content(0, "x");
                (void) snprintf(name, sizeof(name), "snap%d", i);
                ok("TakeSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", name);
        }
        write_content(0, "x");
        refused("LimitReached", "layers", "TakeSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "more");
        refused("LimitReached", "layers", "Clone", CLONE, "slot", 0, "targetSlot", 1, "name", "b", "ownerUID", 0);
        /* As it was is no more than it has. */
        ok("Clone", CLONE_AT, "slot", 0, "snapshot", "snap63", "targetSlot", 1, "name", "b", "ownerUID", 0);
        ok("RestoreSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "snap63");
        target[readlink(STORE "/slots/0/snapshots/snap2", target, sizeof(target) - 1)] = '\0';
        for (int i = 64; i < 513; i++) {
                (void) snprintf(path, sizeof(path), STORE "/slots/0/snapshots/snap%d", i);
                check(symlink(target, path) == 0);
        }
        ok("TakeSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "last");
        refused("LimitReached", "snapshots", "TakeSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "more");
        clear();
}

static void replace_link(const char *path, const char *text) {
        (void) unlink(path);
        check(symlink(text, path) == 0);
}

/* What cannot be read is said, hinders the sweep, and can be destroyed. */
static void test_damage(void) {
        json_t *all;

        import("base");
        create(0, "web");
        create(1, "other");
        ok("TakeSnapshot", "{s:i, s:s}", "slot", 1, "snapshot", "a");
        replace_link(STORE "/slots/0/chain", "../../etc");
        all = list_all();
        check(streq(json_string_value(json_object_get(slot_of(all, 0), "kind")), "damaged"));
        check(json_is_false(json_object_get(all, "trash")));
        json_decref(all);
        test_call_error(&storage, "TakeSnapshot", json_pack("{s:i, s:s}", "slot", 0, "snapshot", "a"), NULL, 0, "BadRecord",
                        "read the chain", NULL);
        test_call_error(&storage, "CollectTrash", json_pack("{s:i}", "slot", 5), NULL, 0, "BadRecord", "damaged chain", NULL);
        ok("Destroy", "{s:i, s:b}", "slot", 0, "snapshots", true);

        test_write_file(STORE "/slots/1/record", "kind=container\nname=../x\n");
        test_call_error(&storage, "Rename", json_pack("{s:i, s:s}", "slot", 1, "name", "b"), NULL, 0, "BadRecord",
                        "read the record", NULL);
        check(unlink(STORE "/slots/1/record") == 0);
        replace_link(STORE "/slots/1/record", "/etc/passwd");
        test_call_error(&storage, "Rename", json_pack("{s:i, s:s}", "slot", 1, "name", "b"), NULL, 0, "BadRecord",
                        "read the record", NULL);
        ok("Destroy", "{s:i, s:b}", "slot", 1, "snapshots", true);
        create(0, "web");
        ok("TakeSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "a");
        replace_link(STORE "/slots/0/snapshots/a", "123");
        test_call_error(&storage, "CollectTrash", json_pack("{s:i}", "slot", 5), NULL, 0, "BadRecord", "damaged chain", NULL);
        test_call_error(&storage, "RestoreSnapshot", json_pack("{s:i, s:s}", "slot", 0, "snapshot", "a"), NULL, 0, "BadRecord",
                        "snapshot", NULL);
        ok("RemoveSnapshot", "{s:i, s:s}", "slot", 0, "snapshot", "a");

        /* No folder of the store is a link to another. */
        check(rename(STORE "/slots/0", STORE "/moved") == 0);
        replace_link(STORE "/slots/0", "../moved");
        test_call_error(&storage, "TakeSnapshot", json_pack("{s:i, s:s}", "slot", 0, "snapshot", "a"), NULL, 0, "Kernel",
                        "look up", "ENOTDIR");
        check(unlink(STORE "/slots/0") == 0);
        check(rename(STORE "/moved", STORE "/slots/0") == 0);
        clear();
}

/* A missing public record comes back, one of nobody goes. */
static void test_public(void) {
        struct stat st;
        json_t *all;

        import("base");
        create(0, "web");
        check(stat(PUBLIC "/0", &st) == 0);
        check_equal(st.st_mode & 07777, 0644);
        check(unlink(PUBLIC "/0") == 0);
        test_write_file(PUBLIC "/7", "kind=container\n");
        all = list_all();
        check(json_is_true(json_object_get(all, "trash")));
        json_decref(all);
        json_decref(reply("CollectTrash", "{s:i}", "slot", 5));
        check(stat(PUBLIC "/0", &st) == 0);
        check(stat(PUBLIC "/7", &st) < 0);
        check_store();
        all = list_all();
        check(json_is_false(json_object_get(all, "trash")));
        json_decref(all);
        clear();
}

/* A slot like slot 0, made by hand: slots that this test's delegation has no room for, and quicker. */
static void copy_slot(uint32_t slot, unsigned snapshots) {
        char path[128], text[512], chain[2048] = {}, link[2100];
        _cleanup_close_ int fd = -EBADF;

        check(readlink(STORE "/slots/0/chain", chain, sizeof(chain) - 1) > 0);
        (void) snprintf(path, sizeof(path), STORE "/slots/%u", slot);
        check(mkdir(path, 0700) == 0 && chown(path, TEST_HELPER, TEST_HELPER) == 0);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        check(fd >= 0 && mkdirat(fd, "snapshots", 0700) == 0 && fchownat(fd, "snapshots", TEST_HELPER, TEST_HELPER, 0) == 0);
        check(symlinkat(chain, fd, "chain") == 0);
        for (unsigned i = 0; i < snapshots; i++) {
                (void) snprintf(path, sizeof(path), "snapshots/snapshot-with-a-rather-long-name-as-people-like-them-%u", i);
                (void) snprintf(link, sizeof(link), "%u:%s", i, chain + 17);
                check(symlinkat(link, fd, path) == 0);
        }
        (void) snprintf(text, sizeof(text), "kind=container\nname=copy%u\nowner=0\ncreation=%032u\ncreated=1\nimage=base\n", slot,
                        slot);
        (void) snprintf(path, sizeof(path), STORE "/slots/%u/record", slot);
        test_write_file(path, text);
        (void) snprintf(path, sizeof(path), PUBLIC "/%u", slot);
        (void) snprintf(text, sizeof(text), "kind=container\nname=copy%u\nowner=0\ncreation=%032u\n", slot, slot);
        test_write_file(path, text);
}

/* Processor time of the helpers so far: what a busy machine does meanwhile does not count. */
static unsigned long long helpers_ms(void) {
        struct rusage usage;

        check(getrusage(RUSAGE_CHILDREN, &usage) == 0);
        return (unsigned long long) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
                (unsigned long long) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

/* More than one message holds; and 2,000 containers, the time of which is printed. */
static void test_pages(void) {
        unsigned long long begin;
        json_t *all, *page;

        import("base");
        create(0, "web");
        for (uint32_t i = 100; i < 140; i++)
                copy_slot(i, 512);
        page = reply("List", "");
        check(json_object_get(page, "next"));
        check_equal(json_array_size(json_object_get(page, "images")), 0);
        json_decref(page);
        all = list_all();
        check_equal(json_array_size(json_object_get(all, "slots")), 41);
        check_equal(json_array_size(json_object_get(slot_of(all, 139), "snapshots")), 512);
        check_equal(json_integer_value(json_object_get(json_array_get(json_object_get(all, "images"), 0), "usedBy")),
                    41 + 40 * 512);
        json_decref(all);
        remove_all(STORE "/slots");
        remove_all(PUBLIC);

        create(0, "web");
        for (uint32_t i = 1; i < 2000; i++)
                copy_slot(i, 0);
        begin = helpers_ms();
        all = list_all();
        (void) printf("List of 2,000 containers: %llu ms\n", helpers_ms() - begin);
        check_equal(json_array_size(json_object_get(all, "slots")), 2000);
        json_decref(all);
        begin = helpers_ms();
        refused("AlreadyExists", "name", "Rename", "{s:i, s:s}", "slot", 0, "name", "copy1999");
        (void) printf("a name among 2,000: %llu ms, two Lists included\n", helpers_ms() - begin);
        remove_all(STORE "/slots");
        remove_all(PUBLIC);
        clear();
}

static void test_not_open(void) {
        check(chmod(STORE, 0755) == 0);
        test_call_error(&storage, "List", NULL, NULL, 0, "Kernel", "open the store", "EPERM");
        check(chmod(STORE, 0700) == 0);
        check(rename(PUBLIC, PUBLIC "-away") == 0);
        test_call_error(&storage, "List", NULL, NULL, 0, "Kernel", "open the public records", "ENOENT");
        check(rename(PUBLIC "-away", PUBLIC) == 0);
}

/* Eight at once, each with a slot of its own and all after the same names. */
static void test_concurrency(void) {
        pid_t pids[8];
        json_t *all;

        import("base");
        for (int i = 0; i < 8; i++) {
                pids[i] = fork();
                check(pids[i] >= 0);
                if (pids[i] == 0) {
                        Message m = {};
                        char name[16];
                        int won = 0;

                        for (int k = 0; k < 8; k++) {
                                int status;

                                (void) snprintf(name, sizeof(name), "c%d", k);
                                status = test_call(&storage, "CreateContainer",
                                                   json_pack(ON, "slot", i, "name", name, "ownerUID", 0, "image", "base"), NULL,
                                                   0, &m);
                                won += status == 0;
                                message_done(&m);
                        }
                        /* Slot and names are as many as we are: each wins exactly one. */
                        _exit(won == 1 ? 0 : 1);
                }
        }
        for (int i = 0; i < 8; i++) {
                int status;

                check(waitpid(pids[i], &status, 0) == pids[i]);
                check_equal(status, 0);
        }
        check_store();
        all = list_all();
        check_equal(json_array_size(json_object_get(all, "slots")), 8);
        json_decref(all);
        clear();
}

int main(int argc, char *argv[]) {
        check(argc == 2);
        storage_world(argv[1]);

        test_life();
        test_created();
        test_unpacked();
        test_empty();
        test_names();
        test_slots();
        test_busy();
        test_still_used();
        test_damage();
        test_public();
        test_pages();
        test_not_open();
        test_concurrency();
        test_limits();

        return EXIT_SUCCESS;
}
