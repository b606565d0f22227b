/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints the table and the places, for the tests that compare units and tmpfiles with them. Not installed. */

#include "places.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>

int main(void) {
        (void) printf("own %" PRIx64 "\n", CAPABILITIES_OWN);
        for (const Row *r = table; r->name; r++)
                (void) printf("row %s %s %s %s %" PRIx64 " %d %u %u\n", r->name, r->program, r->user, r->group, r->capabilities,
                              r->no_new_privs, r->concurrency, r->deadline);
        for (const Place *p = places; p->path; p++)
                (void) printf("place %s %04o %s %s\n", p->path, p->mode, p->user, p->group);
        return 0;
}
