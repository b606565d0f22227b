/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What goes to standard output: one JSON value, or a table that fits the terminal. */

#include "client.h"

#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>

#define COLUMNS_MAX 12U
#define GAP 2U

bool output_is_terminal(void) {
        return isatty(STDOUT_FILENO);
}

int print_json(json_t *value) {
        int r;

        if (!value)
                return EXIT_FAILED;
        r = json_dumpf(value, stdout, JSON_ENCODE_ANY | (output_is_terminal() ? JSON_INDENT(2) : JSON_COMPACT));
        json_decref(value);
        (void) fputc('\n', stdout);

        return r < 0 || fflush(stdout) != 0 ? EXIT_FAILED : EXIT_DONE;
}

int table_row(Table *t, size_t columns, ...) {
        va_list ap;
        char **cells;

        t->columns = columns;
        cells = reallocarray(t->cells, (t->rows + 1) * columns, sizeof(char *));
        if (!cells)
                return -ENOMEM;
        t->cells = cells;
        va_start(ap, columns);
        for (size_t i = 0; i < columns; i++) {
                const char *text = va_arg(ap, const char *);

                cells[t->rows * columns + i] = strdup(text && *text ? text : "-");
        }
        va_end(ap);
        t->rows++;

        return 0;
}

void table_done(Table *t) {
        for (size_t i = 0; i < t->rows * t->columns; i++)
                free(t->cells[i]);
        free(t->cells);
        *t = (Table) {};
}

/* 0: no limit. */
static size_t terminal_width(void) {
        struct winsize size;

        if (!output_is_terminal() || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
                return 0;

        return size.ws_col;
}

static size_t cell_width(const char *text) {
        return text ? strlen(text) : 0;
}

/* The widest column gives way until all fit; none becomes narrower than its head. */
static void fit(const Table *t, size_t widths[static COLUMNS_MAX], size_t limit) {
        for (;;) {
                size_t sum = 0, widest = t->columns;

                for (size_t i = 0; i < t->columns; i++) {
                        sum += widths[i] + GAP;
                        if (widths[i] > cell_width(t->cells[i]) && (widest == t->columns || widths[i] > widths[widest]))
                                widest = i;
                }
                if (limit == 0 || sum <= limit + GAP || widest == t->columns)
                        return;
                widths[widest]--;
        }
}

void table_print(Table *t) {
        size_t widths[COLUMNS_MAX] = {};
        bool colour = output_is_terminal() && !getenv("NO_COLOR");

        if (t->columns > COLUMNS_MAX)
                return;
        for (size_t i = 0; i < t->rows * t->columns; i++)
                widths[i % t->columns] = MAX(widths[i % t->columns], cell_width(t->cells[i]));
        fit(t, widths, terminal_width());

        for (size_t row = 0; row < t->rows; row++) {
                if (row == 0 && colour)
                        (void) fputs("\033[1m", stdout);
                for (size_t i = 0; i < t->columns; i++) {
                        const char *text = t->cells[row * t->columns + i] ?: "";
                        int width = (int) widths[i];

                        if (i + 1 == t->columns)
                                (void) printf("%.*s", width, text);
                        else
                                (void) printf("%-*.*s  ", width, width, text);
                }
                (void) fputs(row == 0 && colour ? "\033[0m\n" : "\n", stdout);
        }
}

char *format_time(uint64_t microseconds) {
        time_t seconds = (time_t) (microseconds / 1000000);
        char text[64];
        struct tm tm;

        if (microseconds == 0 || !localtime_r(&seconds, &tm) || strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm) == 0)
                return NULL;

        return strdup(text);
}

char *format_user(uid_t uid) {
        struct passwd *user = getpwuid(uid);
        char *text;

        if (user)
                return strdup(user->pw_name);

        return asprintf(&text, "%u", uid) < 0 ? NULL : text;
}
