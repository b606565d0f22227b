# SPDX-License-Identifier: LGPL-2.1-or-later
"""The containers of the kill tests, used by a member on one bus connection, and what the kernel says about all slots."""

import fcntl
import io
import os
import select
import signal
import struct
import tarfile
import time

from harness import accounts, bus, census, cgroups, proc, system

ARCHIVE = '/run/sandbox/small.tar'
RECOVERY_SECONDS = 15
OUTPUT_SECONDS = 15
LIBEXEC = '/usr/libexec/berth'
SERVICES = ('berthd', 'berth-spawner', 'berth-hold')


class Hang(Exception):
    """Something did not come about in time."""


def until(look, what, seconds=RECOVERY_SECONDS):
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise Hang(f'{what}: not within {seconds} s')
        time.sleep(0.01)


def make_archive(path):
    """Few entries, of each kind: every one costs some calls."""
    with tarfile.open(path, 'w') as tar:
        def add(name, kind, content=b'', link=''):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.size, entry.linkname = kind, 0o755, len(content), link
            tar.addfile(entry, io.BytesIO(content))

        add('./etc', tarfile.DIRTYPE)
        add('./etc/file', tarfile.REGTYPE, b'content')
        add('./etc/hard', tarfile.LNKTYPE, link='./etc/file')
        add('./etc/symbolic', tarfile.SYMTYPE, link='file')


def member_bus():
    uid = accounts.PEOPLE['member'][0]
    os.setegid(uid)
    os.seteuid(uid)
    try:
        return bus.Bus()
    finally:
        os.seteuid(0)
        os.setegid(0)


class World:
    def __init__(self):
        bus.CALL_SECONDS = 40
        self.bus = member_bus()         # the caller under test
        self.root = bus.Bus()           # who looks, and needs no polkit for it
        self.rows = cgroups.hierarchies()
        self.mounts = system.mounts()
        make_archive(ARCHIVE)
        line = system.read('/etc/subuid').split('\n', 1)[0].split(':')
        self.first = int(line[1])
        self.range = range(self.first, self.first + int(line[2]))
        self.mark = False
        for name in ('witness', 'subject', 'marked'):
            self.make(name)
        self.container('marked', 'TakeSnapshot', 'sa{sv}', 'empty')
        self.be('witness', True)

    # Containers

    def make(self, name):
        self.bus.finish(self.bus.manager('CreateContainer', 'sa{sv}', name, {'image': 'busybox'}))

    def listed(self):
        return {name: (path, state) for name, path, state, _ in self.root.manager('ListContainers', 'a{sv}', {})}

    def states(self):
        return {name: state for name, (_, state) in self.listed().items()}

    def path(self, name):
        return f'/org/berth1/container/{name}'

    def container(self, name, member, signature='a{sv}', *arguments):
        return self.bus.call(self.path(name), 'Container', member, signature, *arguments, {})

    def get(self, name, member):
        return self.root.get(self.path(name), 'Container', member)

    def slot(self, name):
        return (self.get(name, 'IDRange')[0] - self.first) // accounts.RANGE - 1

    def running(self):
        """name -> pid of init"""
        return {name: self.get(name, 'InitPID') for name, state in self.states().items() if state == 'running'}

    def snapshots(self, name):
        return [row[0] for row in self.get(name, 'Snapshots')]

    def be(self, name, running):
        """Running or stopped, as wanted."""
        state = self.states()[name]
        if running and state == 'stopped':
            self.container(name, 'Start')
        elif not running and state != 'stopped':
            self.container(name, 'Kill', 'ia{sv}', 9)

    def remove(self, name):
        if name in self.states():
            self.be(name, False)
            self.container(name, 'Destroy')
        self.wait_for_trash()

    def remove_snapshot(self, name, snapshot):
        if snapshot in self.snapshots(name):
            self.bus.call(f'{self.path(name)}/snapshot/{snapshot}', 'Snapshot', 'Remove', 'a{sv}', {})
        self.wait_for_trash()

    def has_image(self, name):
        try:
            self.root.manager('GetImage', 'sa{sv}', name, {})
            return True
        except bus.Refused as e:
            if e.name.endswith('.NoSuchImage'):
                return False
            raise

    def remove_image(self, name):
        if self.has_image(name):
            self.bus.call(self.bus.manager('GetImage', 'sa{sv}', name, {}), 'Image', 'Remove', 'a{sv}', {})
        self.wait_for_trash()

    def execute(self, name, *command):
        """What a command prints; Refused if it is not run to its end."""
        process, *fds = self.container(name, 'Exec', 'asa{sv}', ['sh', '-c', f'{" ".join(command) or "true"} && echo yes'])
        try:
            text = read_all(fds[1])
        finally:
            for fd in fds:
                os.close(fd)
        if not text:
            self._look_at_end(process)
        return text

    def _look_at_end(self, process):
        deadline = time.monotonic() + OUTPUT_SECONDS
        while time.monotonic() < deadline:
            status, number = (self.bus.get(process, 'Process', f'Exit{what}') for what in ('Status', 'Signal'))
            if number:
                raise bus.Refused('org.berth1.ended', f'the program ended by signal {number}')
            if status >= 0:
                return
            time.sleep(0.01)
        raise Hang('a program that has ended is not said to have ended')

    def succeeds(self, name, *command):
        return self.execute(name, *command) == b'yes\n'

    # Everybody

    def roots(self, operation):
        """Whom to trace: the services, and the supervisor that an operation is about."""
        pids = [self.service('org.berth1'), self.service('org.freedesktop.PolicyKit1'), *proc.find('berth-spawner')[:1]]
        if operation.supervised:
            pids.append(lock_holders()[self.slot('subject')])
        return pids

    def service(self, name):
        return self.root.call_at('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus',
                                   'GetConnectionUnixProcessID', 's', name)

    def services_are_up(self):
        """Bus names are there and the spawner listens."""
        try:
            self.service('org.berth1')
            self.service('org.freedesktop.PolicyKit1')
        except bus.Refused:
            return False
        return any(line.endswith(' /run/berth/helpers/storage') and line.split()[3] == '00010000'
                   for line in system.read('/proc/net/unix').splitlines())

    def wait_for_trash(self):
        until(lambda: not census.store(), 'trash is not deleted')
        until(lambda: not self.leaks(), 'what deletes does not end')

    def leaks(self):
        """What there is beyond the containers in the list and what those of them that run need."""
        listed = self.listed()
        if any(state not in ('running', 'stopped') for _, state in listed.values()):
            return [f'states {self.states()}']
        running = {self.slot(name): name for name, (_, state) in listed.items() if state == 'running'}
        holders = lock_holders()
        found = [f'slot {slot} is held by {cgroups.describe(pid)}' for slot, pid in holders.items() if slot not in running]
        found += [f'{name} is said to run and has no supervisor' for slot, name in running.items() if slot not in holders]
        found += self._cgroups(running) + self._files(listed, running) + self._processes(running, holders)
        found += census.store() + census.mounts(self.mounts)
        return found

    def _cgroups(self, running):
        found = []
        for row in self.rows:
            root = os.path.join(row.point, 'berth')
            there = {name for name in os.listdir(root) if os.path.isdir(os.path.join(root, name))} - census.KEPT_CGROUPS
            found += [f'cgroup {root}/{name}' for name in there - {str(slot) for slot in running}]
            found += [f'no cgroup {root}/{slot}' for slot in running if str(slot) not in there]
        return found

    def _files(self, listed, running):
        names = set(running.values())
        found = [f'{census.CONTAINERS}/{name}' for name in set(os.listdir(census.CONTAINERS)) - names]
        found += [f'{name} runs without {census.CONTAINERS}/{name}/supervisor' for name in names
                  if not os.path.exists(f'{census.CONTAINERS}/{name}/supervisor')]
        kept = set(os.listdir('/var/lib/berth/containers'))
        found += [f'/var/lib/berth/containers/{name}' for name in kept - set(listed)]
        slots = os.listdir(f'{census.STORE}/slots')
        records = [system.read(f'{census.STORE}/slots/{slot}/record') for slot in slots]
        for slot, record in zip(slots, records):
            fields = dict(line.split('=', 1) for line in record.splitlines())
            if fields.get('name') not in listed or fields.get('kind') != 'container':
                found.append(f'slot {slot} of the store: {fields.get("kind")} {fields.get("name")}')
            elif (there := census.names(f'{census.STORE}/slots/{slot}/snapshots')) != sorted(self.snapshots(fields['name'])):
                found.append(f'snapshots of {fields["name"]}: {self.snapshots(fields["name"])}, in the store {there}')
        if len(slots) < len(listed):
            found.append(f'{len(listed)} containers in {len(slots)} slots')
        return found

    def _processes(self, running, holders):
        """Of slots that are not running, and Berth's own that ought to have ended."""
        found = []
        kept = {holders.get(slot) for slot in running}
        for name in os.listdir('/proc'):
            if not name.isdigit():
                continue
            try:
                uid = int(proc.status(name)['Uid'][0])
                program = os.readlink(f'/proc/{name}/exe') if self._is_ours(name) else ''
            except (OSError, KeyError):
                continue        # it has ended, or is the kernel's
            slot = (uid - self.first) // accounts.RANGE - 1 if uid >= self.first + accounts.RANGE else uid - self.first
            if uid in self.range and slot not in running:
                found.append(f'{cgroups.describe(name)} of slot {slot}')
            elif program.startswith(LIBEXEC) and os.path.basename(program) not in SERVICES and int(name) not in kept:
                found.append(cgroups.describe(name))
        return found

    @staticmethod
    def _is_ours(name):
        return os.readlink(f'/proc/{name}/ns/net') == os.readlink('/proc/self/ns/net')

    def recover(self):
        """After a round that left something behind: a new berthd, which is another chance to clear up."""
        try:
            until(self.services_are_up, 'services')
            os.kill(self.service('org.berth1'), signal.SIGKILL)
            time.sleep(0.5)
            until(self.services_are_up, 'services')
            self.wait_for_trash()
            print('# a new berthd has put that right', flush=True)
            for name in ('witness', 'subject', 'marked'):
                if name not in self.states():
                    self.make(name)
            self.be('witness', True)
            self.mark = False
            if 'empty' not in self.snapshots('marked'):
                self.be('marked', False)
                self.container('marked', 'TakeSnapshot', 'sa{sv}', 'empty')
        except (Hang, bus.Refused) as e:
            print(f'# no recovery: {e!r}', flush=True)


def read_all(fd):
    data = b''
    deadline = time.monotonic() + OUTPUT_SECONDS
    while True:
        if not select.select([fd], [], [], max(0, deadline - time.monotonic()))[0]:
            raise Hang('the output of a program does not end')
        more = os.read(fd, 4096)
        if not more:
            return data
        data += more


def lock_holders():
    """slot -> pid of its supervisor"""
    found = {}
    for name in os.listdir(census.LOCKS):
        with open(f'{census.LOCKS}/{name}', 'rb') as f:
            lock = struct.pack('hhqqi4x', fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack('hhqqi4x', fcntl.fcntl(f, fcntl.F_GETLK, lock))
        if kind != fcntl.F_UNLCK:
            found[int(name)] = pid
    return found
