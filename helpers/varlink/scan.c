/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The bounding scan. Runs on bytes of whoever reached the socket, in programs that hold capabilities: so it is a loop
 * with three variables. */

#include "scan.h"
#include "mutation.h"

#include <errno.h>
#include <stdbool.h>

int scan_message(const char *text, size_t size, size_t max, unsigned depth) {
        bool in_string = false;
        unsigned level = 0;

        if (!MUTATION(message_size) && size > max)
                return -EMSGSIZE;

        for (size_t i = 0; i < size; i++) {
                unsigned char c = (unsigned char) text[i];

                if (!MUTATION(message_control) && (c < 0x20 || c == 0x7f))
                        return -EBADMSG;
                if (in_string) {
                        if (c == '\\')
                                i++; /* the next byte cannot end the string; a control byte is refused by the parser */
                        else if (c == '"')
                                in_string = false;
                        continue;
                }
                if (c == '"')
                        in_string = true;
                else if (c == '{' || c == '[') {
                        if (!MUTATION(message_depth) && level == depth)
                                return -EBADMSG;
                        level++;
                } else if (c == '}' || c == ']') {
                        if (level == 0)
                                return -EBADMSG;
                        level--;
                }
        }

        return in_string || level > 0 ? -EBADMSG : 0;
}
