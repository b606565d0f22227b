# SPDX-License-Identifier: LGPL-2.1-or-later
"""What must be true after a process was killed while an operation was open."""

import re
import time

from harness import bus
from world import Hang, RECOVERY_SECONDS, until

# An error of ours says the step; a program's own end is told by its signal, and to a container that ends nothing can be done.
NAMES_THE_STEP = re.compile(r'cannot .+: (.+ failed \(|it has stopped)|the program ended by signal')


def attempt(operation, world):
    """None, or the error that the caller got."""
    try:
        operation.run(world)
        operation.wait(world)
    except bus.Refused as e:
        return e
    return None


def settle(world):
    """Waits for the end of the recovery; what it has left behind."""
    until(world.services_are_up, 'the services do not come back')
    deadline = time.monotonic() + RECOVERY_SECONDS
    while True:
        try:
            found = world.leaks()
        except bus.Refused as e:    # killed at the very end, and the bus has not yet seen it
            found = [repr(e)]
        if not found or time.monotonic() > deadline:
            return [f'left behind: {line}' for line in found]
        time.sleep(0.02)


def judge(world, operation, program, index, before, error):
    """program: the victim's, None if nobody was killed."""
    try:
        found = _caller(program, error) + settle(world)
        found += _outcome(world, operation, program, error)
        found += _bystanders(world, operation, program, index, before)
        found += _life(world)
        return found
    except (Hang, bus.Refused) as e:
        return [f'the caller got {error!r}', f'then: {e!r}']


def _caller(program, error):
    if error is None:
        return []
    if program is None:
        return [f'nobody was killed, and the caller got {error!r}']
    if program == 'berthd':     # there is nobody left who could name a step
        return []
    if program == 'polkitd' and error.name.endswith('.AccessDenied') and 'polkit does not answer' in error.args[1]:
        return []
    if error.name.startswith('org.berth1.') and NAMES_THE_STEP.search(error.args[1]):
        return []
    return [f'the caller got {error!r}, which names no step']


def _outcome(world, operation, program, error):
    """Done or not done, as the caller was told; whom nobody told anything may find either."""
    done = operation.done(world)
    if done is None or (error is not None and (program == 'berthd' or operation.ends)):
        return []
    if done == (error is None):
        return []
    return [f'the caller got {error!r}, and it is {"done" if done else "not done"}']


def _bystanders(world, operation, program, index, before):
    after = world.running()
    found = []
    for name, init in before.items():
        if name == 'subject' and (operation.ends or (operation.supervised and program == 'berth-supervisor' and index == 0)):
            continue
        if after.get(name) != init:
            found.append(f'{name} ran with init {init}, now {after.get(name)}')
    return found


def _life(world):
    """What is said to run answers, what is said to be stopped starts."""
    found = []
    for name, state in world.states().items():
        if name == 'marked':
            continue
        try:
            if state == 'stopped':
                world.be(name, True)
            if not world.succeeds(name):
                found.append(f'{name}, {state}, does not execute')
        except bus.Refused as e:
            found.append(f'{name}, {state}: {e!r}')
    return found
