# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel says about Berth's processes in this sandbox."""

import os
import pwd
import socket
import time

from . import check, system

LIBEXEC = '/usr/libexec/berth'
NAMESPACES = ('user', 'mnt', 'pid', 'uts', 'ipc', 'net', 'cgroup')
WAIT_SECONDS = 5
CAPABILITIES = ('chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable '
                'net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot '
                'sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease '
                'audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read '
                'perfmon bpf checkpoint_restore').split()


def status(pid):
    """/proc/PID/status: field -> its words."""
    rows = (line.split(':', 1) for line in system.read(f'/proc/{pid}/status').splitlines())
    return {key: value.split() for key, value in rows}


def capabilities(row, kind='CapEff'):
    """Names of a set in a status."""
    value = int(row[kind][0], 16)
    return {name for bit, name in enumerate(CAPABILITIES) if value >> bit & 1}


def namespaces(pid):
    return {name: os.readlink(f'/proc/{pid}/ns/{name}') for name in NAMESPACES}


def find(program, parent=None):
    """Processes of ours that run this program, by their executable; needs root."""
    found = []
    network = os.readlink('/proc/self/ns/net')
    for name in os.listdir('/proc'):
        try:
            if name.isdigit() and os.readlink(f'/proc/{name}/exe') == f'{LIBEXEC}/{program}':
                if os.readlink(f'/proc/{name}/ns/net') == network and parent in (None, int(status(name)['PPid'][0])):
                    found.append(int(name))
        except OSError:
            pass                # not ours to see, or gone
    return sorted(found)


def eventually(look, seconds=WAIT_SECONDS):
    """The first true value, or the last false one."""
    deadline = time.monotonic() + seconds
    while True:
        value = look()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(0.02)


class WaitingHelper:
    """A helper that berthd's user has called and that waits for its first byte: its status is row, if it came up."""

    def __init__(self, name, spawner):
        self.name, self.spawner = name, spawner
        self.child = None
        self.row = None

    def __enter__(self):
        ready, tell = os.pipe()
        wait, self.release = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            try:
                os.close(self.release)
                check.become('berth')
                connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                connection.connect(f'/run/berth/helpers/{self.name}')
                os.write(tell, b'x')
                os.read(wait, 1)
            finally:
                os._exit(0)
        os.close(tell)
        os.close(wait)
        connected = os.read(ready, 1) == b'x'
        os.close(ready)
        if connected:
            self.row = eventually(self._confined)
        return self

    def _confined(self):
        for pid in find(f'berth-{self.name}', self.spawner):
            row = status(pid)
            if row['Seccomp'] == ['2']:
                return row
        return None

    def __exit__(self, *_):
        os.close(self.release)
        os.waitpid(self.child, 0)


def user_name(uid):
    try:
        return pwd.getpwuid(int(uid)).pw_name
    except KeyError:
        return str(uid)
