# SPDX-License-Identifier: LGPL-2.1-or-later
"""The accounts of a sandbox: the system's few, Berth's, and three people. Each sandbox delegates an ID range of its own to Berth."""

import fcntl
import os

# People: in berth-users or not.
PEOPLE = {'member': (60001, True), 'member2': (60002, True), 'outsider': (60003, False)}
SERVICES = {name: 960 + i for i, name in enumerate((
    'berth', 'berth-mount', 'berth-cgroup', 'berth-network', 'berth-lsm', 'berth-storage', 'berth-grant', 'berth-pull',
    'berth-dnsmasq', 'messagebus', 'polkitd'))}
BERTH_USERS = 980

# A sandbox has 256 slots, and one range more for root (which lxc's unprivileged containers need). Below what a real
# installation is given, above what adduser gives to people.
RANGE = 65536
SLOTS = 256
FIRST = 0x60000000
CHUNK = RANGE * (1 + SLOTS + 1)
CHUNKS = 15


def claim():
    """An ID chunk of our own, held by a file lock for as long as the returned descriptor (or a fork's) is open."""
    os.makedirs('/run/lock', exist_ok=True)
    for index in range(CHUNKS):
        fd = os.open(f'/run/lock/berth-sandbox.{index}', os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd, FIRST + index * CHUNK
        except BlockingIOError:
            os.close(fd)
    raise RuntimeError(f'{CHUNKS} sandboxes run already')


def files(first):
    """Name below /etc -> (content, mode)."""
    passwd = ['root:x:0:0:root:/root:/bin/bash', 'daemon:x:1:1::/usr/sbin:/usr/sbin/nologin']
    group = ['root:x:0:', 'daemon:x:1:', 'tty:x:5:', 'sudo:x:27:', 'shadow:x:42:', 'users:x:100:']
    for name, uid in SERVICES.items():
        passwd.append(f'{name}:x:{uid}:{uid}::/nonexistent:/usr/sbin/nologin')
        group.append(f'{name}:x:{uid}:')
    for name, (uid, _) in PEOPLE.items():
        passwd.append(f'{name}:x:{uid}:{uid}::/run/sandbox/home/{name}:/bin/bash')
        group.append(f'{name}:x:{uid}:')
    members = ','.join(name for name, (_, inside) in PEOPLE.items() if inside)
    group.append(f'berth-users:x:{BERTH_USERS}:{members}')
    passwd.append('nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin')
    group.append('nogroup:x:65534:')

    delegated = RANGE * (1 + SLOTS)
    subordinate = f'berth:{first}:{delegated}\nroot:{first + delegated}:{RANGE}\n'
    names = [line.split(':', 1)[0] for line in passwd]
    return {
        'passwd': ('\n'.join(passwd) + '\n', 0o644),
        'group': ('\n'.join(group) + '\n', 0o644),
        'shadow': (''.join(f'{name}:*:19000:0:99999:7:::\n' for name in names), 0o600),
        'gshadow': ('', 0o600),
        'subuid': (subordinate, 0o644),
        'subgid': (subordinate, 0o644),
    }
