# SPDX-License-Identifier: LGPL-2.1-or-later
"""The file system that a sandbox sees: the machine's own, with the project laid over its final paths and with accounts,
polkit folders, /run and /var/lib of its own. All of it in a private mount namespace; nothing is written to the machine."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess

from . import accounts, system

HOME = '/run/sandbox'                      # whatever the harness itself needs inside
STAGE = f'{HOME}/stage'
LOGS = f'{HOME}/log'
# Ours alone inside, with what polkit itself needs: other packages' files there do not matter to a test.
REPLACED = {
    '/usr/share/polkit-1/actions': 'org.freedesktop.policykit.policy',
    '/usr/share/polkit-1/rules.d': '50-default.rules',
    '/usr/share/dbus-1/system.d': 'org.freedesktop.PolicyKit1.conf',
}
OPAQUE = 'trusted.overlay.opaque'


@contextlib.contextmanager
def staged(build):
    """The build installed into BUILD/stage, renewed if the build is newer; kept as it is while the context lasts."""
    stage = os.path.join(build, 'stage')
    with open(os.path.join(build, 'stage.lock'), 'w', encoding='utf-8') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_current(build, stage):
            shutil.rmtree(stage, ignore_errors=True)
            subprocess.run(['meson', 'install', '-C', build, '--no-rebuild', '--quiet'], check=True,
                           stdout=subprocess.DEVNULL, env={**os.environ, 'DESTDIR': stage})
            os.makedirs(stage, exist_ok=True)
            os.utime(stage)
        yield stage


def _is_current(build, stage):
    plan = os.path.join(build, 'meson-info', 'intro-install_plan.json')
    if not os.path.isdir(stage):
        return False
    since = os.stat(stage).st_mtime
    sources = [plan] + [source for kind in json.loads(system.read(plan)).values() for source in kind]
    return all(os.stat(source).st_mtime < since for source in sources if os.path.exists(source))


def build(build_folder, first, disk):
    """In fresh mount and network namespaces: makes the view. disk: a folder for the store, or None for a tmpfs."""
    system.mount(None, '/', None, system.MS_REC | system.MS_PRIVATE)
    nosuid = system.MS_NOSUID | system.MS_NODEV
    system.mount('tmpfs', '/run', 'tmpfs', nosuid, 'mode=755')
    for path in ('/run/lock', '/run/user', '/run/dbus', HOME, LOGS, f'{HOME}/home'):
        os.mkdir(path)
    with staged(build_folder) as stage:
        shutil.copytree(stage, STAGE, symlinks=True)

    system.mount('proc', '/proc', 'proc', nosuid | system.MS_NOEXEC)
    system.mount('sysfs', '/sys', 'sysfs', nosuid | system.MS_NOEXEC)

    _lay_over('/etc', _etc(first), writable=True)
    _lay_over('/var/lib', _var_lib(), writable=True)
    for path in _places(STAGE, '/usr'):
        _lay_over(path, STAGE + path)
    for path, kept in REPLACED.items():
        os.makedirs(STAGE + path, exist_ok=True)
        if os.path.exists(f'{path}/{kept}'):
            shutil.copy(f'{path}/{kept}', STAGE + path)
        os.makedirs(path, exist_ok=True)
        system.mount(STAGE + path, path, None, system.MS_BIND)

    if disk:
        system.mount(disk, '/var/lib/berth', None, system.MS_BIND)
    else:
        system.mount('tmpfs', '/var/lib/berth', 'tmpfs', nosuid, 'mode=755')
    for name, (uid, _) in accounts.PEOPLE.items():
        os.mkdir(f'{HOME}/home/{name}', 0o700)
        os.chown(f'{HOME}/home/{name}', uid, uid)


def tmpfs_can_hold_the_store():
    """User attributes came to tmpfs (Linux 6.6) after ID-mapped mounts of it (6.3); the store needs both."""
    path = f'/dev/shm/berth-probe.{os.getpid()}'
    system.write(path, '')
    try:
        os.setxattr(path, 'user.probe', b'1')
        return True
    except OSError:
        return False
    finally:
        os.unlink(path)


def _etc(first):
    layer = f'{HOME}/etc'
    if os.path.isdir(f'{STAGE}/etc'):
        shutil.copytree(f'{STAGE}/etc', layer)
    for name, (content, mode) in accounts.files(first).items():
        system.write(f'{layer}/{name}', content, mode)
    for name in ('polkit-1/rules.d', 'berth', 'dbus-1/system.d'):
        os.makedirs(f'{layer}/{name}', exist_ok=True)
        os.setxattr(f'{layer}/{name}', OPAQUE, b'y')   # nothing of the machine's shines through
    return layer


def _var_lib():
    layer = f'{HOME}/var-lib'
    for name in ('berth', 'lxc', 'polkit-1'):
        os.makedirs(f'{layer}/{name}')
        os.setxattr(f'{layer}/{name}', OPAQUE, b'y')
    return layer


def _places(stage, path):
    """The folders that need an overlay: the topmost ones in which the stage has something that is not there."""
    inside = stage + path
    if not os.path.isdir(inside):
        return []
    names = os.listdir(inside)
    if any(not os.path.isdir(os.path.join(inside, n)) or not os.path.isdir(os.path.join(path, n))
                           for n in names):
        return [path]
    return [place for name in names for place in _places(stage, os.path.join(path, name))]


def _lay_over(path, layer, writable=False):
    if path in REPLACED:
        return
    if writable:
        work = layer + '.work'
        os.mkdir(work)
        options = f'lowerdir={path},upperdir={layer},workdir={work}'
    else:
        options = f'lowerdir={layer}:{path}'
    system.mount('overlay', path, 'overlay', 0, options)
