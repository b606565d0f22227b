/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See terminal.h. The settings are kept here so that every way out can give them back. */

#include "terminal.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static int saved_fd = -1;

int terminal_make_raw(int fd) {
        struct termios raw;

        if (tcgetattr(fd, &saved) < 0)
                return -errno;
        raw = saved;
        cfmakeraw(&raw);
        if (tcsetattr(fd, TCSADRAIN, &raw) < 0)
                return -errno;
        saved_fd = fd;

        return 0;
}

void terminal_restore(void) {
        if (saved_fd >= 0)
                (void) tcsetattr(saved_fd, TCSADRAIN, &saved);
        saved_fd = -1;
}

int terminal_size(int fd, unsigned *ret_rows, unsigned *ret_columns) {
        struct winsize size;

        if (ioctl(fd, TIOCGWINSZ, &size) < 0)
                return -errno;
        *ret_rows = size.ws_row;
        *ret_columns = size.ws_col;

        return 0;
}
