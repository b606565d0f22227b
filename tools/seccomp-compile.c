/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* seccomp-compile - turns a seccomp table into a C header with the filter's bytes.
 *
 * Runs at build time, as whoever builds. So that no privileged program links libseccomp or spends milliseconds on
 * compiling. Language and header: README.md beside this file.
 *
 * Usage: seccomp-compile [--instrument none|asan|coverage] [--default kill|log|trap] [--depfile FILE] INPUT OUTPUT */
#include "seccomp-table.h"

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void check(int r, const char *what, const char *object) {
        if (r < 0)
                errx(EXIT_FAILURE, "%s: %s: %s", what, object, strerror(-r));
}

static size_t filter_build(const Table *t, struct sock_filter *ret, size_t max) {
        scmp_filter_ctx context;
        ssize_t n;
        int fd;

        /* The kernel that builds is not the kernel that runs. */
        check(seccomp_api_set(6), "API level", "6");
        context = seccomp_init(t->default_action);
        if (!context)
                errx(EXIT_FAILURE, "seccomp_init failed");
        check(seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "attribute", "bad architecture");
        check(seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2), "attribute", "optimize");
        if (t->n_arches > 0)
                check(seccomp_arch_remove(context, SCMP_ARCH_NATIVE), "architecture", "native");
        for (size_t i = 0; i < t->n_arches; i++)
                check(seccomp_arch_add(context, t->arches[i]), "architecture", "add");
        for (size_t i = 0; i < t->n_rules; i++) {
                const Rule *r = t->rules + i;
                int k;

                if (r->dropped)
                        continue;
                k = seccomp_rule_add_array(context, r->action, r->number, r->n_conditions, r->conditions);
                if (k < 0 && k != -EEXIST)
                        errx(EXIT_FAILURE, "%s:%u: %s: %s", r->file, r->line, r->name, strerror(-k));
        }

        fd = memfd_create("filter", MFD_CLOEXEC);
        if (fd < 0)
                err(EXIT_FAILURE, "memfd_create");
        check(seccomp_export_bpf(context, fd), "export", "filter");
        n = pread(fd, ret, max * sizeof(*ret), 0);
        if (n <= 0 || (size_t) n % sizeof(*ret) != 0 || (size_t) n == max * sizeof(*ret))
                errx(EXIT_FAILURE, "the filter is too long");
        (void) close(fd);
        seccomp_release(context);
        return (size_t) n / sizeof(*ret);
}

/* Where the filter compares with this half of a placeholder. An ordinary constant of the same value would be patched as
 * well, so the halves are unlikely ones, and a comparison must be there at all. */
static void places_write(FILE *f, const struct sock_filter *filter, size_t n, uint32_t half, const char *value) {
        size_t found = 0;

        for (size_t i = 0; i < n; i++)
                if (filter[i].code == (BPF_JMP | BPF_JEQ | BPF_K) && filter[i].k == half) {
                        fprintf(f, "        filter[%zu].k = (__u32) (%s);\n", i, value);
                        found++;
                }
        if (found == 0)
                errx(EXIT_FAILURE, "a placeholder's half (%08x) is not in the filter", half);
}

static void patch_write(FILE *f, const Table *t, const char *name, const struct sock_filter *filter, size_t n) {
        fprintf(f,
                "\n/* To be called before the filter is loaded, with the addresses that stand for the placeholders. -1 if\n"
                " * they differ in the upper half, which the filter compares once for all. */\n"
                "static inline int %s_patch(",
                name);
        for (size_t i = 0; i < t->n_placeholders; i++)
                fprintf(f, "%sconst void *%s", i > 0 ? ", " : "", t->placeholders[i]);
        fprintf(f, ") {\n        struct sock_filter *filter = %s_filter;\n\n", name);
        for (size_t i = 1; i < t->n_placeholders; i++)
                fprintf(f, "        if ((__u64) (unsigned long) %s >> 32 != (__u64) (unsigned long) %s >> 32)\n"
                           "                return -1;\n",
                        t->placeholders[i], t->placeholders[0]);

        for (size_t i = 0; i < t->n_placeholders; i++) {
                char value[128];

                if (i == 0) {
                        (void) snprintf(value, sizeof(value), "(__u64) (unsigned long) %s >> 32", t->placeholders[0]);
                        places_write(f, filter, n, PLACEHOLDER_HIGH, value);
                }
                (void) snprintf(value, sizeof(value), "(unsigned long) %s", t->placeholders[i]);
                places_write(f, filter, n, (uint32_t) (PLACEHOLDER_LOW + i), value);
        }
        fprintf(f, "        return 0;\n}\n");
}

/* "dir/lxc-init.seccomp" -> "lxc_init" */
static void name_of(const char *path, char ret[static NAME_MAX_LENGTH + 1]) {
        const char *slash = strrchr(path, '/'), *start = slash ? slash + 1 : path;
        size_t n = strcspn(start, ".");

        if (n == 0 || n > NAME_MAX_LENGTH)
                errx(EXIT_FAILURE, "%s: no name for the filter in it", path);
        for (size_t i = 0; i < n; i++)
                ret[i] = isalnum((unsigned char) start[i]) ? start[i] : '_';
        ret[n] = 0;
}

static void header_write(FILE *f, const Table *t, const char *input, const struct sock_filter *filter, size_t n) {
        const char *slash = strrchr(input, '/'), *constness = t->n_placeholders > 0 ? "" : "const ";
        char name[NAME_MAX_LENGTH + 1];

        name_of(input, name);
        fprintf(f,
                "/* SPDX-License-Identifier: LGPL-2.1-or-later */\n"
                "/* Made by seccomp-compile from %s. */\n#pragma once\n\n#include <linux/filter.h>\n\n"
                "static %sstruct sock_filter %s_filter[] __attribute__((unused)) = {\n",
                slash ? slash + 1 : input, constness, name);
        for (size_t i = 0; i < n; i++)
                fprintf(f, "        { 0x%02x, %u, %u, 0x%08x },\n", filter[i].code, filter[i].jt, filter[i].jf, filter[i].k);
        fprintf(f,
                "};\n\nstatic const struct sock_fprog %s_seccomp __attribute__((unused)) = {\n"
                "        .len = %zu,\n        .filter = (struct sock_filter *) %s_filter,\n};\n",
                name, n, name);
        if (t->n_placeholders > 0)
                patch_write(f, t, name, filter, n);
}

static void depfile_write(const Table *t, const char *path, const char *output) {
        FILE *f = fopen(path, "we");

        if (!f)
                err(EXIT_FAILURE, "%s", path);
        fprintf(f, "%s:", output);
        for (size_t i = 0; i < t->n_files; i++)
                fprintf(f, " %s", t->files[i]);
        fprintf(f, "\n");
        if (fclose(f) != 0)
                err(EXIT_FAILURE, "%s", path);
}

int main(int argc, char *argv[]) {
        static const struct option options[] = {
                { "instrument", required_argument, NULL, 'i' },
                { "default", required_argument, NULL, 'd' },
                { "depfile", required_argument, NULL, 'M' },
                {},
        };
        static struct sock_filter filter[BPF_MAXINSNS + 1];
        static Table table;
        const char *instrument = NULL, *instead = "kill", *depfile = NULL;
        size_t n;
        FILE *f;
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                if (c == 'i')
                        instrument = strcmp(optarg, "none") == 0 ? NULL : optarg;
                else if (c == 'd')
                        instead = optarg;
                else if (c == 'M')
                        depfile = optarg;
                else
                        return EXIT_FAILURE;
        if (argc - optind != 2)
                errx(EXIT_FAILURE, "usage: seccomp-compile [OPTIONS] INPUT OUTPUT");

        table_read(&table, argv[optind], instrument);
        if (table.default_action == SCMP_ACT_KILL_PROCESS && strcmp(instead, "kill") != 0) {
                if (strcmp(instead, "log") != 0 && strcmp(instead, "trap") != 0)
                        errx(EXIT_FAILURE, "%s: not a default action", instead);
                table.default_action = strcmp(instead, "log") == 0 ? SCMP_ACT_LOG : SCMP_ACT_TRAP;
        }
        table_check(&table);
        n = filter_build(&table, filter, BPF_MAXINSNS + 1);

        f = fopen(argv[optind + 1], "we");
        if (!f)
                err(EXIT_FAILURE, "%s", argv[optind + 1]);
        header_write(f, &table, argv[optind], filter, n);
        if (fclose(f) != 0)
                err(EXIT_FAILURE, "%s", argv[optind + 1]);
        if (depfile)
                depfile_write(&table, depfile, argv[optind + 1]);
        table_done(&table);
        return EXIT_SUCCESS;
}
