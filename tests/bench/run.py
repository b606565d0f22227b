#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""run.py [--rounds N] [--containers N] - Berth, LXC and crun side by side, within a sandbox, as root (`make bench`).

Every peer starts the same static init on the same busybox root, with a user namespace of its own. Peers take turns inside
each round, in rotating order, with 80 ms of rest before each operation, two rounds to warm up. Berth is called by `member` on
an open bus connection, polkit is asked, and the number of checks is compared with the number of calls. start is init's
own stamp less the moment before the call (Berth) or before the command was spawned (peers); init reports its confinement, and a
start whose proof fails ends the benchmark. All in one run; medians and 95th percentiles, and ratios, which are what counts."""

import argparse
import io
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
from harness import images  # pylint: disable=wrong-import-position

BUILD = os.environ.get('BERTH_BUILD', os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'build'))
WORK = '/run/bench'
ROOT_BASE = 1000000      # filled in from /etc/subuid: root's own line, which the peers use
CONTROLLERS = '/sys/fs/cgroup/unified/cgroup.controllers'
REST = 0.08
WARM_UP = 2
FULL_COPIES = 3          # of every byte, to disk: seconds each
DROPPED = {'lxc': 0, 'crun': 5, 'floor': 5, 'berth': 1}  # at least so many bits are cut from the bounding set
NAMESPACES = ('mnt', 'uts', 'ipc', 'pid', 'net', 'user', 'cgroup')


def now():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def run(*command, **options):
    return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **options)


def read(path):
    with open(path, encoding='utf-8', errors='replace') as f:
        return f.read()


def wait_for(condition, what, seconds=10):
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise RuntimeError(f'{what} did not happen in {seconds} s')
        time.sleep(0.001)
    return value


class Proof:
    """What init wrote into /stamp: when it began, and how it was confined."""

    def __init__(self, text):
        self.lines = [line.split(':', 1) for line in text.splitlines() if ':' in line]
        self.stamp = int(self.one('stamp'))

    def all(self, word):
        return [value.strip() for key, value in self.lines if key == word]

    def one(self, word):
        return self.all(word)[0]

    def check(self, peer):
        own = {name: os.readlink(f'/proc/self/ns/{name}') for name in NAMESPACES}
        inside = dict(value.split(':', 1) for value in self.all('namespace'))
        for name in NAMESPACES:
            if f'{name}:{inside[name]}' == own[name]:
                raise RuntimeError(f'{peer}: its {name} namespace is ours')
        first, base, size = (int(word) for word in self.one('uid_map').split())
        if (first, size) != (0, 65536) or base == 0:
            raise RuntimeError(f'{peer}: uid_map {first} {base} {size}')
        if self.one('Seccomp') != '2':
            raise RuntimeError(f'{peer}: no seccomp filter')
        if bin(int(self.one('CapBnd'), 16)).count('1') > 41 - DROPPED[peer]:
            raise RuntimeError(f'{peer}: bounding set {self.one("CapBnd")}')
        return f'7 namespaces, uid 0 is {base}, Seccomp 2, CapBnd {self.one("CapBnd")}, {len(self.all("cgroup"))} cgroups'


class Caller:
    """The non-root caller on its open connection."""

    def __init__(self, user):
        self.calls = 0
        self.process = subprocess.Popen(['runuser', '-u', user, '--', os.path.join(BUILD, 'tests/bench/caller')],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self.line() == 'ready'

    def line(self):
        return self.process.stdout.readline().rstrip('\n')

    def send(self, *words):
        self.calls += 1
        self.process.stdin.write(' '.join(words) + '\n')
        self.process.stdin.flush()
        answer = self.line()
        if not re.fullmatch(r'\d+ \d+', answer):
            raise RuntimeError(f'{" ".join(words)}: {answer}')
        return [int(word) for word in answer.split()]

    def time(self, *words):
        begin, end = self.send(*words)
        return end - begin

    def cat(self, name, path):
        self.send('cat', name, path)
        text = ''
        while (line := self.line()) != 'end':
            text += line + '\n'
        return text


class Berth:
    name = 'berth'

    def __init__(self, caller):
        self.caller = caller
        caller.send('create', 'bench', 'bench')

    def start(self):
        self.begin, _ = self.caller.send('start', 'bench')
        proof = wait_for(self.proof, 'init\'s stamp')
        return proof.stamp - self.begin, proof

    def proof(self):
        try:
            proof = Proof(self.caller.cat('bench', '/stamp'))
        except (IndexError, RuntimeError):
            return None
        return proof if proof.stamp > self.begin else None

    def exec(self):
        return self.caller.time('exec', 'bench')

    def stop(self):
        return self.caller.time('kill', 'bench')


class Commands:
    """A peer that is used by commands and keeps its root on the machine's file system."""

    def __init__(self):
        self.root = os.path.join(WORK, self.name, 'rootfs')
        shutil.copytree(os.path.join(WORK, 'root'), self.root, symlinks=True)
        for folder, folders, files in os.walk(self.root):
            for name in ['.', *folders, *files]:
                os.lchown(os.path.join(folder, name), ROOT_BASE, ROOT_BASE)
        self.prepare()

    def timed(self, *command):
        begin = now()
        run(*command)
        return now() - begin

    def start(self):
        stamp = os.path.join(self.root, 'stamp')
        if os.path.exists(stamp):
            os.unlink(stamp)
        begin = now()
        run(*self.start_command)
        wait_for(lambda: os.path.exists(stamp), f'{self.name}\'s stamp')
        proof = Proof(read(stamp))
        return proof.stamp - begin, proof

    def exec(self):
        return self.timed(*self.exec_command)


class Lxc(Commands):
    name = 'lxc'

    def prepare(self):
        folder = os.path.join(WORK, self.name)
        place = ['-P', os.path.join(WORK, 'lxc-path')]
        os.makedirs(os.path.join(WORK, 'lxc-path', 'bench'))
        with open(os.path.join(WORK, 'lxc-path', 'bench', 'config'), 'w', encoding='utf-8') as f:
            f.write(LXC_CONFIG.format(name='bench', root=self.root, base=ROOT_BASE))
        os.chmod(folder, 0o755)
        self.start_command = ['lxc-start', *place, '-n', 'bench']
        self.exec_command = ['lxc-attach', *place, '-n', 'bench', '--', '/bin/true']
        self.stop_command = ['lxc-stop', *place, '-k', '-n', 'bench']

    def stop(self):
        taken = self.timed(*self.stop_command)
        begin = now()
        wait_for(lambda: not cgroups('lxc.payload.bench'), 'the end of LXC\'s cgroups')
        return taken + now() - begin


LXC_CONFIG = """lxc.uts.name = {name}
lxc.rootfs.path = dir:{root}
lxc.include = /usr/share/lxc/config/common.conf
lxc.include = /usr/share/lxc/config/userns.conf
lxc.idmap = u 0 {base} 65536
lxc.idmap = g 0 {base} 65536
lxc.net.0.type = empty
lxc.init.cmd = /sbin/bench-init
lxc.apparmor.profile = unconfined
lxc.tty.max = 0
lxc.pty.max = 16
lxc.cgroup.relative = 1
"""


class Crun(Commands):
    name = 'crun'

    def prepare(self):
        bundle = os.path.join(WORK, self.name)
        if os.path.exists(CONTROLLERS) and read(CONTROLLERS).strip():
            run('mount', '--bind', '/dev/null', CONTROLLERS)  # crun refuses a hybrid whose v2 tree offers any
        spec = json.loads(subprocess.run(['crun', 'spec'], cwd=bundle, check=True) and read(os.path.join(bundle, 'config.json')))
        spec['process'].update(terminal=False, args=['/sbin/bench-init'], noNewPrivileges=False)
        every = [f'CAP_{name}' for name in CAPABILITIES]
        spec['process']['capabilities'] = {kind: every for kind in ('bounding', 'effective', 'permitted')}
        spec['process'].pop('rlimits', None)
        spec['root'] = {'path': self.root}
        spec['linux']['namespaces'] = [{'type': kind} for kind in
                                       ('pid', 'network', 'ipc', 'uts', 'mount', 'cgroup', 'user')]
        spec['linux']['uidMappings'] = spec['linux']['gidMappings'] = [
            {'containerID': 0, 'hostID': ROOT_BASE, 'size': 65536}]
        spec['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_ALLOW', 'architectures': ['SCMP_ARCH_X86_64'], 'syscalls': [{
            'names': ['kexec_load', 'open_by_handle_at', 'init_module', 'finit_module', 'delete_module'],
            'action': 'SCMP_ACT_ERRNO'}]}
        with open(os.path.join(bundle, 'config.json'), 'w', encoding='utf-8') as f:
            json.dump(spec, f)
        self.start_command = ['crun', '--root', f'{WORK}/crun-state', '--cgroup-manager=cgroupfs', 'run', '-d', '-b', bundle, 'bench']
        self.exec_command = ['crun', '--root', f'{WORK}/crun-state', 'exec', 'bench', '/bin/true']
        self.stop_command = ['crun', '--root', f'{WORK}/crun-state', 'delete', '-f', 'bench']

    def stop(self):
        return self.timed(*self.stop_command)


CAPABILITIES = """CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE
SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ""".split()


class Floor(Commands):
    """One program does all three; it is asked to when start is."""

    name = 'floor'

    def prepare(self):
        self.times = {}

    def start(self):
        stamp = os.path.join(self.root, 'stamp')
        if os.path.exists(stamp):
            os.unlink(stamp)
        begin = now()
        text = subprocess.run([os.path.join(BUILD, 'tests/bench/floor'), self.root, str(ROOT_BASE)], check=True,
                              capture_output=True, text=True).stdout
        self.times = {key: int(value) for key, value in (line.split(': ') for line in text.splitlines())}
        proof = Proof(read(stamp))
        return proof.stamp - begin, proof

    def exec(self):
        return self.times['exec']

    def stop(self):
        return self.times['stop']


def cgroups(name):
    return [point for point in os.listdir('/sys/fs/cgroup') if os.path.isdir(f'/sys/fs/cgroup/{point}/{name}')]


def make_root():
    """The root that all share: busybox, and the init that stamps."""
    root = os.path.join(WORK, 'root')
    for folder in ('bin', 'sbin', 'proc', 'sys', 'dev', 'run', 'tmp', 'etc'):
        os.makedirs(os.path.join(root, folder))
    shutil.copy('/bin/busybox', os.path.join(root, 'bin'))
    for name in ('sh', 'true', 'cat'):
        os.symlink('busybox', os.path.join(root, 'bin', name))
    shutil.copy(os.path.join(BUILD, 'tests/bench/bench-init'), os.path.join(root, 'sbin'))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode='w') as tar:
        tar.add(root, arcname='.')
    path = os.path.join(WORK, 'root.tar')
    with open(path, 'wb') as f:
        f.write(archive.getvalue())
    return path


class Table:
    def __init__(self):
        self.rows = {}

    def add(self, operation, peer, nanoseconds):
        self.rows.setdefault(operation, {}).setdefault(peer, []).append(nanoseconds / 1e6)

    def median(self, operation, peer):
        return statistics.median(self.rows[operation][peer])

    def show(self):
        for operation, peers in self.rows.items():
            for peer, times in peers.items():
                ordered = sorted(times)
                p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
                print(f'{operation:24} {peer:22} median {statistics.median(times):9.2f} ms   p95 {p95:9.2f}   n {len(times)}')


def rounds(peers, table, count):
    proofs = {}
    for turn in range(count + WARM_UP):
        order = peers[turn % len(peers):] + peers[:turn % len(peers)]
        for peer in order:
            time.sleep(REST)
            taken, proof = peer.start()
            proofs[peer.name] = proof.check(peer.name)
            rows = [('start', taken)]
            for operation in ('exec', 'stop'):
                time.sleep(REST)
                rows.append((operation, getattr(peer, operation)()))
            if turn >= WARM_UP:
                for operation, nanoseconds in rows:
                    table.add(operation, peer.name, nanoseconds)
    for name, proof in proofs.items():
        print(f'proof {name}: {proof}')


def list_rounds(caller, table, arguments):
    """A list of 2n containers with state, n of them running, and what a running one costs in memory."""
    count = arguments.containers
    place = ['-P', os.path.join(WORK, 'lxc-path')]
    owners = [caller, Caller('member2')]  # one user may have 64
    for i in range(2 * count):
        owners[i % 2].send('create', f'l{i}', 'bench')
    for i in range(count):
        owners[i % 2].send('start', f'l{i}')
    print(f'memory: {supervisors_pss() / count:.0f} KiB PSS per running container in Berth\'s processes beyond berthd, {count} running')
    for _ in range(10):
        time.sleep(REST)
        table.add(f'list {2 * count}, {count} running', 'berth', caller.time('list'))
    for i in range(count):
        owners[i % 2].send('kill', f'l{i}')
    for i in range(2 * count):
        owners[i % 2].send('destroy', f'l{i}')

    for i in range(2 * count):
        folder = os.path.join(WORK, 'lxc-path', f'l{i}')
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, 'config'), 'w', encoding='utf-8') as f:
            f.write(LXC_CONFIG.format(name=f'l{i}', root=os.path.join(WORK, 'lxc', 'rootfs'), base=ROOT_BASE))
    for i in range(count):
        run('lxc-start', *place, '-n', f'l{i}')
    for _ in range(5):
        time.sleep(REST)
        begin = now()
        run('lxc-ls', *place, '-f')
        table.add(f'list {2 * count}, {count} running', 'lxc-ls -f', now() - begin)
    for i in range(count):
        run('lxc-stop', *place, '-k', '-n', f'l{i}')


def supervisors_pss():
    """KiB of all supervisors: what Berth keeps for what runs."""
    total = 0
    for pid in os.listdir('/proc'):
        try:
            if pid.isdigit() and read(f'/proc/{pid}/cmdline').startswith('berth-supervisor'):
                total += int(next(line for line in read(f'/proc/{pid}/smaps_rollup').splitlines() if line.startswith('Pss:')).split()[1])
        except (OSError, StopIteration):
            pass
    return total


def count_checks(caller):
    """As many polkit checks as calls: watched on the bus, outside of what is measured."""
    monitor = subprocess.Popen(['dbus-monitor', '--system', '--profile',
                                "interface='org.freedesktop.PolicyKit1.Authority',member='CheckAuthorization'"],
                               stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    for _ in range(5):
        caller.send('start', 'bench')
        caller.send('exec', 'bench')
        caller.send('kill', 'bench')
    time.sleep(0.5)
    monitor.terminate()
    checks = sum(line.startswith('mc') for line in monitor.communicate()[0].splitlines())
    print(f'polkit: {checks} checks for 15 calls')
    if checks != 15:
        raise RuntimeError('not as many checks as calls')


BARS = (  # operation, peer, at least so many times faster (or, with the floor, at most so many times slower)
    ('start', 'lxc', 3.5), ('start', 'floor', 3), ('exec', 'lxc', 5), ('stop', 'lxc', 4),
    ('create from an image', 'lxc-create -t busybox', 60), ('clone', 'lxc-copy -s -B overlay', 1), ('clone', 'lxc-copy', 300))


def ratios(table):
    """What counts: ratios within this run, beside the bars that the project has set itself."""
    listed = next(operation for operation in table.rows if operation.startswith('list'))
    for operation, peer, bar in (*BARS, (listed, 'lxc-ls -f', 50)):
        own, other = table.median(operation, 'berth'), table.median(operation, peer)
        if peer == 'floor':
            print(f'{operation}: {own / other:.1f} times the floor (bar: at most {bar})')
        else:
            print(f'{operation}: {other / own:.1f} times faster than {peer} (bar: {bar})')


def storage_rounds(caller, table, count):
    """create, clone, snapshot beside lxc-create and lxc-copy."""
    place = ['-P', os.path.join(WORK, 'lxc-path')]
    plain = os.path.join(WORK, 'lxc-path', 'plain', 'rootfs')
    os.makedirs(plain)
    run('tar', '-C', plain, '--numeric-owner', '-xf', images.archive('debian'))
    with open(os.path.join(WORK, 'lxc-path', 'plain', 'config'), 'w', encoding='utf-8') as f:
        f.write(f'lxc.rootfs.path = dir:{plain}\nlxc.uts.name = plain\nlxc.net.0.type = empty\n')
    caller.send('create', 'plain', 'debian')
    size = sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(plain) for name in names)
    print(f'cloned and snapshot: a Debian root of {size / 1e6:.0f} MB')
    for turn in range(count):
        for name, words in (('create from an image', ('create', f'c{turn}', 'bench')), ('clone', ('clone', 'plain', f'k{turn}')),
                            ('snapshot', ('snapshot', f'k{turn}'))):
            time.sleep(REST)
            table.add(name, 'berth', caller.time(*words))
        for name, label, command in (
                ('create from an image', 'lxc-create -t busybox', ['lxc-create', *place, '-n', f'c{turn}', '-t', 'busybox']),
                ('clone', 'lxc-copy -s -B overlay', ['lxc-copy', *place, '-n', 'plain', '-N', f's{turn}', '-s', '-B', 'overlay']),
                ('clone', 'lxc-copy', ['lxc-copy', *place, '-n', 'plain', '-N', f'f{turn}'])):
            if label == 'lxc-copy' and turn >= FULL_COPIES:
                continue
            time.sleep(REST)
            begin = now()
            run(*command, stderr=subprocess.DEVNULL)
            table.add(name, label, now() - begin)
    for turn in range(count):
        caller.send('destroy', f'c{turn}')
        caller.send('destroy', f'k{turn}')
    caller.send('destroy', 'plain')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--rounds', type=int, default=30)
    parser.add_argument('--containers', type=int, default=50)
    arguments = parser.parse_args()
    global ROOT_BASE
    ROOT_BASE = next(int(line.split(':')[1]) for line in read('/etc/subuid').splitlines() if line.startswith('root:'))

    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    os.chmod(WORK, 0o755)
    archive = make_root()
    run('berth', 'image', 'import', 'bench', archive)
    caller = Caller('member')
    table = Table()
    peers = [Berth(caller), Lxc(), Crun(), Floor()]
    try:
        rounds(peers, table, arguments.rounds)
        storage_rounds(caller, table, max(arguments.rounds // 3, 3))
        list_rounds(caller, table, arguments)
        count_checks(caller)
    finally:
        subprocess.run(['umount', '-q', CONTROLLERS], check=False)
    table.show()
    ratios(table)
    return 0


if __name__ == '__main__':
    sys.exit(main())
