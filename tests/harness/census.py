# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is left when everything should be gone: processes, cgroups, mounts, interfaces, locks, files. Each finding is a
line for people; none is good."""

import fcntl
import os
import stat
import struct

from . import cgroups, system

LOCKS = '/run/berth/slots'
CONTAINERS = '/run/berth/containers'
STORE = '/var/lib/berth/store'
RECORDS = '/var/lib/berth/slots'
KEPT_CGROUPS = {'hold'}


def processes(rows, ours):
    """Whatever is in the sandbox's cgroups (their fresh mounts) and not one of its own."""
    pids = set().union(*(cgroups.processes(row.point) for row in rows)) - ours
    return [cgroups.describe(pid) for pid in sorted(pids)]


def slot_cgroups(rows):
    found = []
    for row in rows:
        root = os.path.join(row.point, 'berth')
        for name in names(root):
            if os.path.isdir(os.path.join(root, name)) and name not in KEPT_CGROUPS:
                found.append(f'cgroup {root}/{name}')
    return found


def mounts(before):
    return [f'mount {kind} on {point}' for point, kind in
            sorted({(m[0], m[2]) for m in system.mounts()} - {(m[0], m[2]) for m in before})]


def interfaces():
    return [f'interface {name}' for name in names('/sys/class/net') if name != 'lo']


def slot_locks():
    """Slots that somebody still holds."""
    found = []
    for name in names(LOCKS):
        with open(os.path.join(LOCKS, name), 'rb') as f:
            lock = struct.pack('hhqqi4x', fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack('hhqqi4x', fcntl.fcntl(f, fcntl.F_GETLK, lock))
            if kind != fcntl.F_UNLCK:
                found.append(f'lock on slot {name}, held by {cgroups.describe(pid)}')
    return found


def runtime_files():
    return [f'file {CONTAINERS}/{name}/{inner}' for name in names(CONTAINERS)
            for inner in names(os.path.join(CONTAINERS, name)) or ['']]


def store():
    """Layers that no chain, snapshot or image names, what was left in the making, and records without a slot. Only when no
    deletion is under way. A name is a symbolic link whose text has the layers' IDs between colons."""
    named = set()
    for folder, folders, files in os.walk(STORE):
        for name in folders + files:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                named.update(os.readlink(path).split(':'))
        if folder == f'{STORE}/layers':
            folders.clear()
    found = [f'layer {name}' for name in names(f'{STORE}/layers') if name not in named]
    found += [f'{folder} {name} of the store' for folder in ('trash', 'tmp') for name in names(f'{STORE}/{folder}')]
    slots, records = names(f'{STORE}/slots'), names(RECORDS)
    found += [f'record {RECORDS}/{name} without a slot' for name in records if name not in slots]
    found += [f'slot {name} without a record' for name in slots if name not in records]
    return found


def names(path):
    try:
        return sorted(os.listdir(path)) if stat.S_ISDIR(os.stat(path).st_mode) else []
    except FileNotFoundError:
        return []
