# SPDX-License-Identifier: LGPL-2.1-or-later
"""The two images that every sandbox knows, as tar files in a cache: `busybox` (one static program and its names) and
`debian` (minbase; fetched once)."""

import fcntl
import hashlib
import io
import os
import subprocess
import sys
import tarfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUSYBOX = '/bin/busybox'
NAMES = ('busybox', 'debian')

INITTAB = """::sysinit:/etc/rc
::shutdown:/bin/true
"""
RC = """#!/bin/sh
hostname >/run/started
"""
# minbase has no init of its own
DEBIAN_INIT = """#!/bin/sh
# Stands in for an init system: waits for the end, and takes orphans in.
trap 'exit 0' TERM PWR
while :; do sleep 3600 & wait $!; done
"""


def cache():
    folder = os.environ.get('BERTH_CACHE') or os.path.join(TOP, '.cache')
    os.makedirs(folder, exist_ok=True)
    return folder


def archive(name):
    """The path of an image's tar file, made first if need be."""
    make, key = {'busybox': (_busybox, _busybox_key), 'debian': (_debian, _debian_key)}[name]
    path = os.path.join(cache(), f'{name}-{key()[:12]}.tar')
    if not os.path.exists(path):
        with open(os.path.join(cache(), f'{name}.lock'), 'w', encoding='utf-8') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(path):
                make(f'{path}.new.tar')
                os.rename(f'{path}.new.tar', path)
    return path


def _hash(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else part.encode())
    return digest.hexdigest()


def _read(path):
    with open(path, 'rb') as f:
        return f.read()


def _busybox_key():
    status = os.stat(BUSYBOX)
    return _hash(f'{status.st_size} {status.st_mtime_ns}', _read(__file__))


def _busybox(path):
    applets = subprocess.run([BUSYBOX, '--list-full'], check=True, capture_output=True, text=True).stdout.split()
    with tarfile.open(path, 'w') as tar:
        def add(name, content=b'', mode=0o755, kind=tarfile.REGTYPE, link=''):
            entry = tarfile.TarInfo('./' + name)
            entry.type, entry.mode, entry.linkname, entry.size = kind, mode, link, len(content)
            tar.addfile(entry, io.BytesIO(content))

        for name in ('bin', 'sbin', 'usr', 'usr/bin', 'usr/sbin', 'etc', 'dev', 'proc', 'sys', 'run', 'root', 'var', 'mnt'):
            add(name, kind=tarfile.DIRTYPE)
        add('tmp', kind=tarfile.DIRTYPE, mode=0o1777)
        add('bin/busybox', _read(BUSYBOX))
        for applet in applets:
            if applet != 'bin/busybox':
                add(applet, kind=tarfile.SYMTYPE, link='/bin/busybox')
        add('etc/passwd', b'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n', 0o644)
        add('etc/group', b'root:x:0:\ntty:x:5:\nuser:x:1000:\n', 0o644)
        add('etc/inittab', INITTAB.encode(), 0o644)
        add('etc/rc', RC.encode())


def _debian_key():
    return _hash(_read(os.path.join(TOP, 'tests', 'debian-root')), DEBIAN_INIT)


def _debian(path):
    print('sandbox: making the debian image, once', file=sys.stderr, flush=True)
    init = os.path.join(cache(), 'debian-init')
    with open(init, 'w', encoding='utf-8') as f:
        f.write(DEBIAN_INIT)
    os.chmod(init, 0o755)
    subprocess.run([os.path.join(TOP, 'tests', 'debian-root'), path, f'--customize-hook=copy-in {init} /tmp',
                    '--customize-hook=mv "$1/tmp/debian-init" "$1/usr/sbin/init"'], check=True, stdout=sys.stderr)
