/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Circular doubly linked lists inside the structures they link. The head is a Link as well. */

#include "util.h"

typedef struct Link {
        struct Link *next, *previous;
} Link;

static inline void link_init(Link *l) {
        l->next = l->previous = l;
}

static inline bool link_is_alone(const Link *l) {
        return l->next == l;
}

static inline void link_append(Link *head, Link *l) {
        l->previous = head->previous;
        l->next = head;
        head->previous->next = l;
        head->previous = l;
}

static inline void link_remove(Link *l) {
        l->previous->next = l->next;
        l->next->previous = l->previous;
        link_init(l);
}

#define LINK_ENTRY(l, type, member) ((type *) (void *) ((char *) (l) - offsetof(type, member)))

/* The loop's body may take i out of the list, and no other entry. */
#define LINK_FOREACH(type, i, head, member)                                                                            \
        for (type *i = LINK_ENTRY((head)->next, type, member), *_next_##i = LINK_ENTRY(i->member.next, type, member);  \
             &i->member != (head); i = _next_##i, _next_##i = LINK_ENTRY(i->member.next, type, member))
