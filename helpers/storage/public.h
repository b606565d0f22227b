/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What everyone may know of a slot, in /var/lib/berth/slots/N: grants and shares are given to a container by it. So it is
 * withdrawn before a change of what it says, prepared beside it and published after it: what it says is true. After a
 * crash it may be missing; CollectTrash then publishes it again. */

#include "store.h"

int public_withdraw(Store *s, uint32_t slot);
int public_prepare(Store *s, const Record *record);
int public_publish(Store *s, uint32_t slot);
/* For undoing: says again what was withdrawn, as well as may be. */
void public_restore(Store *s, uint32_t slot, const Record *record);
bool public_exists(Store *s, uint32_t slot);
