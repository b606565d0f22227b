/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the engine's own files share. */

#include "engine.h"
#include "request.h"
#include "slots.h"

typedef struct Life Life;
typedef struct Load Load;

typedef struct SlotState {
        Operation *operation; /* what is changing it */
        Life *life;           /* its running container */
} SlotState;

typedef struct Trash {
        bool wanted;
        Operation *operation;
        unsigned failures;
        sd_event_source *timer;
} Trash;

struct Engine {
        sd_event *event;
        EngineCallbacks callbacks;
        void *userdata;
        SlotTable table;
        OwnUserns userns;
        int locks;           /* /run/berth/slots */
        SlotState slots[SLOTS_MAX];
        SlotPool pool;
        Requests requests;
        unsigned operations; /* under way, of any kind */
        unsigned lives;      /* of containers, running or ending */
        uint64_t serial;     /* of the last life */
        Trash trash;
        Load *load;
        bool loaded;
        bool closing;
        sd_event_source *idle;
        TAILQ_HEAD(, Operation) all;
        /* µs; tests make them short */
        uint64_t timeouts[_METHOD_MAX];
        uint64_t kill_timeout, lock_timeout, retry_timeout, trash_delay;
};

/* Something ended: tells the face if nothing else is under way. */
void engine_look_idle(Engine *e);
/* There is something to delete: soon, in the background. */
void trash_want(Engine *e);
