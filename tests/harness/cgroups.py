# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cgroups of a sandbox: one child, berth-sandbox.PID, of the cgroup that we were started in, in every hierarchy that is
mounted; seen from inside through a cgroup namespace and fresh mounts as the roots of their hierarchies."""

import os
import signal
import time

from . import system

PREFIX = 'berth-sandbox.'
V1_NOT_CONTROLLERS = {'rw', 'ro', 'xattr', 'noprefix', 'clone_children'}
KILL_SECONDS = 10


class Hierarchy:
    def __init__(self, point, root, kind, options):
        self.point = point                 # where it is mounted
        self.v2 = kind == 'cgroup2'
        self.words = set(options.split(',')) - V1_NOT_CONTROLLERS
        self.options = ','.join(o for o in options.split(',') if o not in ('rw', 'ro')) if not self.v2 else None
        own = self._own_path()
        relative = os.path.relpath(own, root)
        self.outer = point if relative == '.' else os.path.join(point, relative)
        self.path = None                   # our child, once made

    def _own_path(self):
        for line in system.read('/proc/self/cgroup').splitlines():
            _, controllers, path = line.split(':', 2)
            if (self.v2 and controllers == '') or (controllers and set(controllers.split(',')) <= self.words):
                return path
        raise RuntimeError(f'/proc/self/cgroup does not name the hierarchy at {self.point}')


def hierarchies():
    rows, seen = [], set()
    for point, root, kind, options in system.mounts():
        if kind in ('cgroup', 'cgroup2') and point.startswith('/sys/fs/cgroup') and point not in seen:
            seen.add(point)
            rows.append(Hierarchy(point, root, kind, options))
    if not rows:
        raise RuntimeError('no cgroup hierarchy is mounted below /sys/fs/cgroup')
    return rows


def processes(path):
    """The processes in a cgroup and in all below it."""
    pids = set()
    for folder, _, _ in os.walk(path):
        try:
            pids.update(int(pid) for pid in system.read(os.path.join(folder, 'cgroup.procs')).split())
        except OSError:
            pass                           # it went away, or holds threads only
    return pids - {0}


def remove(path):
    """Removes a cgroup and all below it; False if a process sits in one."""
    gone = True
    for folder, _, _ in os.walk(path, topdown=False):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            pass
        except OSError:
            gone = False
    return gone


def _thaw(path):
    """On v1 a frozen process does not even die."""
    for folder, _, files in os.walk(path):
        if 'freezer.state' in files:
            try:
                system.poke(os.path.join(folder, 'freezer.state'), 'THAWED')
            except OSError:
                pass


def kill(paths, spare=frozenset()):
    """Kills whatever is in these cgroups, until they are empty; returns what was there."""
    found = {}
    deadline = time.monotonic() + KILL_SECONDS
    while time.monotonic() < deadline:
        pids = set().union(*(processes(path) for path in paths)) - spare
        if not pids:
            break
        for path in paths:
            _thaw(path)
        for pid in pids:
            found.setdefault(pid, describe(pid))
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.01)
    return found


def describe(pid):
    try:
        line = system.read(f'/proc/{pid}/cmdline').replace('\0', ' ').strip() or f"[{system.read(f'/proc/{pid}/comm').strip()}]"
        uid = next(l.split()[1] for l in system.read(f'/proc/{pid}/status').splitlines() if l.startswith('Uid:'))
        return f'process {pid} of user {uid}: {line[:120]}'
    except OSError:
        return f'process {pid}'


def sweep(rows):
    """Removes what a sandbox that was killed together with its keeper has left: its name carries its keeper's pid."""
    for row in rows:
        for name in os.listdir(row.outer):
            pid = name[len(PREFIX):]
            if name.startswith(PREFIX) and pid.isdigit() and not os.path.exists(f'/proc/{pid}'):
                path = os.path.join(row.outer, name)
                kill([path])
                remove(path)


def make(rows, pid):
    for row in rows:
        row.path = os.path.join(row.outer, f'{PREFIX}{pid}')
        os.mkdir(row.path)
        if row.v2:
            _enable_controllers(row.outer)
        elif 'cpuset' in row.words:
            for name in ('cpuset.cpus', 'cpuset.mems'):
                system.poke(os.path.join(row.path, name), system.read(os.path.join(row.outer, name)).strip())


def _enable_controllers(path):
    """On v2, as many controllers as the cgroup above lets us have (none where processes sit beside us)."""
    for controller in system.read(os.path.join(path, 'cgroup.controllers')).split():
        try:
            system.poke(os.path.join(path, 'cgroup.subtree_control'), f'+{controller}')
        except OSError:
            pass


def enter(rows, leaf=True):
    """Moves this process, a single thread, into the sandbox's cgroups and makes them the roots of its view. On v1 by
    `tasks`, which does not wait. On v2 it moves on into a leaf, since controllers and processes exclude each other; a
    systemd does so by itself."""
    for row in rows:
        system.poke(os.path.join(row.path, 'cgroup.procs' if row.v2 else 'tasks'), '0')
    system.unshare(system.CLONE_NEWCGROUP)
    for row in rows:
        if row.v2 and leaf:
            folder = os.path.join(row.path, 'sandbox')
            os.mkdir(folder)
            system.poke(os.path.join(folder, 'cgroup.procs'), '0')
            _enable_controllers(row.path)


def mount_fresh(rows):
    """Inside the namespaces, below a fresh sysfs: each hierarchy at the place where it was."""
    base = '/sys/fs/cgroup'
    flags = system.MS_NOSUID | system.MS_NODEV | system.MS_NOEXEC
    if all(row.point != base for row in rows):
        system.mount('tmpfs', base, 'tmpfs', flags, 'mode=755')
    for row in rows:
        os.makedirs(row.point, exist_ok=True)
        system.mount('cgroup', row.point, 'cgroup2' if row.v2 else 'cgroup', flags, row.options)
