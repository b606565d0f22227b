/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See test-world.h. Root in namespaces of its own. */

#include "test-world.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>

TestRow storage = { .interface = "org.berth1.Storage", .user = TEST_HELPER };

static char cgroup_folder[128]; /* of the machine: a child of its v2 tree, ours */

void storage_world(const char *program) {
        storage.program = program;
        if (geteuid() != 0)
                skip_test("needs root");
        (void) snprintf(cgroup_folder, sizeof(cgroup_folder), "/sys/fs/cgroup/unified/berth-test-storage-%d", (int) getpid());
        if (mkdir(cgroup_folder, 0755) < 0) {
                (void) snprintf(cgroup_folder, sizeof(cgroup_folder), "/sys/fs/cgroup/berth-test-storage-%d", (int) getpid());
                if (mkdir(cgroup_folder, 0755) < 0)
                        skip_test("needs a cgroup of its own");
        }
        (void) atexit(storage_world_end);
        test_world();

        /* The machine's tree stays reachable at /run/cgroup; what the helper sees is our child alone. */
        check(mkdir("/run/cgroup", 0755) == 0);
        check(mount(cgroup_folder, "/run/cgroup", NULL, MS_BIND, NULL) == 0);
        check(mkdir("/run/cgroup/berth", 0755) == 0);
        check(mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, "mode=0755") == 0);
        check(mkdir("/sys/fs/cgroup/unified", 0755) == 0);
        check(mount("/run/cgroup", "/sys/fs/cgroup/unified", NULL, MS_BIND, NULL) == 0);

        check(mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755") == 0);
        check(mkdir("/var/lib/berth", 0755) == 0);
        check(mkdir(STORE, 0700) == 0 && chown(STORE, TEST_HELPER, TEST_HELPER) == 0);
        check(mkdir(PUBLIC, 0755) == 0 && chown(PUBLIC, TEST_HELPER, TEST_HELPER) == 0);
}

void storage_world_end(void) {
        char path[64];

        for (uint32_t i = 0; i < TEST_SLOTS; i++) {
                (void) snprintf(path, sizeof(path), "/run/cgroup/berth/%u", i);
                (void) rmdir(path);
        }
        (void) rmdir("/run/cgroup/berth");
        (void) umount2("/sys/fs/cgroup/unified", MNT_DETACH);
        (void) umount2("/sys/fs/cgroup", MNT_DETACH);
        (void) umount2("/run/cgroup", MNT_DETACH);
        (void) rmdir(cgroup_folder);
}

void cgroup_make(uint32_t slot) {
        char path[64];

        (void) snprintf(path, sizeof(path), "/run/cgroup/berth/%u", slot);
        check(mkdir(path, 0755) == 0);
}

void cgroup_remove(uint32_t slot) {
        char path[64];

        (void) snprintf(path, sizeof(path), "/run/cgroup/berth/%u", slot);
        check(rmdir(path) == 0);
}

static json_t *pack(const char *format, va_list ap) {
        json_t *json;

        if (streq(format, ""))
                return json_object();
        json = json_vpack_ex(NULL, 0, format, ap);
        check(json);
        return json;
}

void ok(const char *method, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        test_call_ok(&storage, method, pack(format, ap), NULL, 0);
        va_end(ap);
}

void refused(const char *error, const char *step, const char *method, const char *format, ...) {
        char *before = state_text(NULL), *after;
        va_list ap;

        va_start(ap, format);
        test_call_error(&storage, method, pack(format, ap), NULL, 0, error, step, NULL);
        va_end(ap);

        after = state_text(NULL);
        if (!streq(before, after)) {
                (void) fprintf(stderr, "%s was refused and changed\n%sto\n%s", method, before, after);
                exit(EXIT_FAILURE);
        }
        free(before);
        free(after);
}

json_t *reply(const char *method, const char *format, ...) {
        json_t *parameters;
        Message m = {};
        va_list ap;

        va_start(ap, format);
        check_equal(test_call(&storage, method, pack(format, ap), NULL, 0, &m), 0);
        va_end(ap);
        check(m.json && !json_object_get(m.json, "error"));
        parameters = json_incref(json_object_get(m.json, "parameters"));
        message_done(&m);

        return parameters;
}

json_t *list_all(void) {
        json_t *all = reply("List", ""), *next;

        while ((next = json_object_get(all, "next"))) {
                json_t *page = reply("List", "{s:I}", "first", json_integer_value(next));

                check(json_array_size(json_object_get(all, "images")) == 0);
                check(json_array_extend(json_object_get(all, "slots"), json_object_get(page, "slots")) == 0);
                check(json_object_set(page, "slots", json_object_get(all, "slots")) == 0);
                json_decref(all);
                all = page;
        }

        return all;
}

json_t *slot_of(json_t *all, uint32_t slot) {
        json_t *entry;
        size_t i;

        json_array_foreach(json_object_get(all, "slots"), i, entry)
                if (json_integer_value(json_object_get(entry, "slot")) == (json_int_t) slot)
                        return entry;

        return NULL;
}

static char *link_text(const char *path) {
        char text[4096];
        ssize_t n;

        n = readlink(path, text, sizeof(text) - 1);
        if (n < 0)
                return NULL;
        text[n] = '\0';

        return strdup(text);
}

char *writable_layer(uint32_t slot, char ret[static 17]) {
        char path[128], *chain;

        (void) snprintf(path, sizeof(path), STORE "/slots/%u/chain", slot);
        chain = link_text(path);
        check(chain && strlen(chain) >= 16);
        memcpy(ret, chain, 16);
        ret[16] = '\0';
        free(chain);

        return ret;
}

void write_content(uint32_t slot, const char *text) {
        char layer[17], path[256];

        (void) snprintf(path, sizeof(path), STORE "/layers/%s/content/tree", writable_layer(slot, layer));
        if (mkdir(path, 0755) < 0)
                check(errno == EEXIST);
        (void) snprintf(path, sizeof(path), STORE "/layers/%s/content/tree/mark", layer);
        test_write_file(path, text);
        /* As an unpacking worker or a first process would: root of its namespace, which is nobody here. */
        (void) snprintf(path, sizeof(path), STORE "/layers/%s/content", layer);
        check(chown(path, 0, 0) == 0 && chmod(path, 0700) == 0);
}

/* What the layers of a chain hold, uppermost first; what is empty does not count. */
static void print_content(FILE *f, const char *chain) {
        char layer[17], path[256], text[64];

        for (const char *p = chain; p; p = strchr(p, ':') ? strchr(p, ':') + 1 : NULL) {
                ssize_t n;
                int fd;

                (void) snprintf(layer, sizeof(layer), "%.16s", p);
                (void) snprintf(path, sizeof(path), STORE "/layers/%s/content", layer);
                if (access(path, F_OK) < 0) {
                        (void) fprintf(stderr, "layer %s is missing\n", layer);
                        exit(EXIT_FAILURE);
                }
                (void) snprintf(path, sizeof(path), STORE "/layers/%s/content/tree/mark", layer);
                fd = open(path, O_RDONLY | O_CLOEXEC);
                if (fd < 0)
                        continue;
                n = read(fd, text, sizeof(text));
                check(n >= 0);
                (void) fprintf(f, " %.*s", (int) n, text);
                (void) close(fd);
        }
        (void) fprintf(f, "\n");
}

static const char *text_of(json_t *object, const char *key) {
        const char *text = json_string_value(json_object_get(object, key));

        check(text);
        return text;
}

static void print_slot(FILE *f, json_t *entry, const char *known) {
        int slot = (int) json_integer_value(json_object_get(entry, "slot"));
        const char *creation = text_of(entry, "creationID");
        json_t *snapshot;
        char path[256];
        size_t i;
        char *chain;

        (void) fprintf(f, "slot %d %s %s %s %lld image %s sealed %d:", slot, text_of(entry, "kind"), text_of(entry, "name"),
                       !known || strstr(known, creation) ? creation : "new",
                       json_integer_value(json_object_get(entry, "ownerUID")), text_of(entry, "image"),
                       json_is_true(json_object_get(entry, "sealed")));
        (void) snprintf(path, sizeof(path), STORE "/slots/%d/chain", slot);
        chain = link_text(path);
        if (chain)
                print_content(f, chain);
        else
                (void) fprintf(f, "\n");
        free(chain);
        json_array_foreach(json_object_get(entry, "snapshots"), i, snapshot) {
                (void) fprintf(f, "  snapshot %s:", text_of(snapshot, "name"));
                (void) snprintf(path, sizeof(path), STORE "/slots/%d/snapshots/%s", slot, text_of(snapshot, "name"));
                chain = link_text(path);
                check(chain && strchr(chain, ':'));
                print_content(f, strchr(chain, ':') + 1);
                free(chain);
        }
}

char *state_of(json_t *all, const char *known) {
        json_t *entry;
        char path[256], *text = NULL, *chain;
        size_t size, i;
        FILE *f;

        f = open_memstream(&text, &size);
        check(f);
        json_array_foreach(json_object_get(all, "slots"), i, entry)
                print_slot(f, entry, known);
        json_array_foreach(json_object_get(all, "images"), i, entry) {
                (void) fprintf(f, "image %s %lld used %lld:", text_of(entry, "name"),
                               json_integer_value(json_object_get(entry, "ownerUID")),
                               json_integer_value(json_object_get(entry, "usedBy")));
                (void) snprintf(path, sizeof(path), STORE "/images/%s/chain", text_of(entry, "name"));
                chain = link_text(path);
                check(chain);
                print_content(f, chain);
                free(chain);
        }
        check(fclose(f) == 0);

        return text;
}

char *state_text(const char *known) {
        json_t *all = list_all();
        char *text = state_of(all, known);

        json_decref(all);

        return text;
}

/* How often any chain, snapshot or image names the layer. */
typedef struct Uses {
        char *text;
        size_t size;
        FILE *f;
} Uses;

static FILE *uses_stream;

static int note_link(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        char *text;

        if (type == FTW_SL) {
                text = link_text(path);
                check(text);
                (void) fprintf(uses_stream, "%s:", text);
                free(text);
        }
        return 0;
}

static void check_public(json_t *entry) {
        char path[64], expected[512], text[512];
        ssize_t n;
        int fd;

        (void) snprintf(path, sizeof(path), PUBLIC "/%d", (int) json_integer_value(json_object_get(entry, "slot")));
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return;
        n = read(fd, text, sizeof(text) - 1);
        check(n >= 0);
        text[n] = '\0';
        (void) close(fd);
        (void) snprintf(expected, sizeof(expected), "kind=%s\nname=%s\nowner=%lld\ncreation=%s\n", text_of(entry, "kind"),
                        text_of(entry, "name"), json_integer_value(json_object_get(entry, "ownerUID")),
                        text_of(entry, "creationID"));
        if (!streq(text, expected)) {
                (void) fprintf(stderr, "%s says\n%sinstead of\n%s", path, text, expected);
                exit(EXIT_FAILURE);
        }
}

void check_store_of(json_t *all) {
        json_t *entry;
        Uses uses = {};
        size_t i;

        uses.f = open_memstream(&uses.text, &uses.size);
        check(uses.f);
        uses_stream = uses.f;
        check(nftw(STORE "/slots", note_link, 16, FTW_PHYS) == 0);
        check(nftw(STORE "/images", note_link, 16, FTW_PHYS) == 0);
        check(fclose(uses.f) == 0);

        json_array_foreach(json_object_get(all, "slots"), i, entry) {
                char layer[17], *first;

                check(!streq(text_of(entry, "kind"), "damaged"));
                if (streq(text_of(entry, "kind"), "trash"))
                        continue;
                check_public(entry);
                first = strstr(uses.text, writable_layer((uint32_t) json_integer_value(json_object_get(entry, "slot")), layer));
                check(first);
                if (strstr(first + 1, layer)) {
                        (void) fprintf(stderr, "writable layer %s is named twice\n", layer);
                        exit(EXIT_FAILURE);
                }
        }
        free(uses.text);
}

void check_store(void) {
        json_t *all = list_all();

        check_store_of(all);
        json_decref(all);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return ftw->level == 0 ? 0 : remove(path);
}

void remove_all(const char *path) {
        check(nftw(path, remove_one, 16, FTW_PHYS | FTW_DEPTH) == 0);
}

void delete_trash(uint32_t slot) {
        char path[64];

        (void) snprintf(path, sizeof(path), STORE "/trash/%u/content", slot);
        remove_all(path);
        check(chown(path, 0, 0) == 0 && chmod(path, 0) == 0);
}

size_t count_entries(const char *path) {
        struct dirent *entry;
        size_t n = 0;
        DIR *d;

        d = opendir(path);
        check(d);
        while ((entry = readdir(d)))
                n += !streq(entry->d_name, ".") && !streq(entry->d_name, "..");
        (void) closedir(d);

        return n;
}
