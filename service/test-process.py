#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Exec over a real bus: descriptors, ends, whose a process is, and what becomes of it when its starter leaves."""

import os
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig as R  # pylint: disable=wrong-import-position

R.private()
V = R.GLib.Variant
NOTHING = V('(a{sv})', ({},))


def execute(client, *argv, options=None, fds=()):
    """Returns path and the three descriptors."""
    (path, *handles), got = client.call(R.path_of('c'), R.CONTAINER, 'Exec',
                                        V('(asa{sv})', (list(argv), options or {})), fds)
    return path, [got[h] for h in handles]


def exited(client, path):
    R.wait(lambda: [s for s in client.signals if s[0] == path and s[2] == 'Exited'], f'{path} does not end')
    ends = [s[3] for s in client.signals if s[0] == path and s[2] == 'Exited']
    assert len(ends) == 1, ends
    return ends[0]


def read_all(fd):
    text = b''
    while True:
        R.settle(0)
        part = os.read(fd, 65536)
        if not part:
            os.close(fd)
            return text
        text += part


def prepare(rig):
    """a container that runs"""
    (job,) = rig.root.manager('ImportImage', 'sh', 'base', 0, fds=[os.pipe()[0]])
    assert rig.root.finish(job)[0] == 'done'
    rig.member.create('c', config=V('a{sv}', {'lxc.environment': V('as', ['A=1', 'B=x'])}))
    rig.member.refused('NotRunning', rig.member.on, 'c', 'Exec', 'as', ['true'])
    rig.member.on('c', 'Start')


def pipes(rig):
    """exit status, signal, what goes in comes out, environment of container and caller merged"""
    m = rig.member
    path, (i, o, e) = execute(m, 'sh', '-c', 'cat; echo no >&2; exit 7')
    os.write(i, b'hello')
    os.close(i)
    assert read_all(o) == b'hello' and read_all(e) == b'no\n'
    assert exited(m, path) == (7, 0)
    assert m.get(path, R.PROCESS, 'ExitStatus') == 7
    path, fds = execute(m, 'sh', '-c', 'kill -KILL $$')
    assert exited(m, path) == (-1, 9)
    path, (i, o, e) = execute(m, '/usr/bin/env', options={'environment': V('as', ['B=y', 'C=z'])})
    environment = read_all(o).decode().splitlines()
    assert sorted(x for x in environment if x[0] in 'ABC') == ['A=1', 'B=y', 'C=z'] and 'container=lxc' in environment, environment
    exited(m, path)
    e = m.refused('NotFound', m.on, 'c', 'Exec', 'as', ['/nonexistent'])
    assert e.full == 'org.berth1.Error.NotFound'


def given(rig):
    """descriptors of the caller are used, /dev/null comes back for them; a folder, a terminal, O_PATH are refused"""
    m = rig.member
    read, write = os.pipe()
    path, (i, o, e) = execute(m, 'echo', 'x', options={'stdout': V('h', 0)}, fds=[write])
    os.close(write)
    assert os.fstat(o).st_rdev == os.stat('/dev/null').st_rdev
    assert os.fstat(e).st_rdev != os.stat('/dev/null').st_rdev
    assert read_all(read) == b'x\n'
    exited(m, path)
    before = rig.calls()
    terminal = os.openpty()[1]
    for fd in (os.open('/', os.O_RDONLY), terminal, os.open('/etc/passwd', os.O_PATH), os.open('/dev/zero', os.O_RDONLY)):
        m.refused('InvalidArgument', m.call, R.path_of('c'), R.CONTAINER, 'Exec',
                  V('(asa{sv})', (['true'], {'stdin': V('h', 0)})), [fd])
    m.refused('InvalidArgument', m.call, R.path_of('c'), R.CONTAINER, 'Exec',
              V('(asa{sv})', (['true'], {'stdin': V('h', 0), 'terminal': V('b', True)})), [read_end()])
    for argv, options in (([], {}), ([''], {}), (['x' * 4097], {}), (['x'] * 1025, {}), (['x' * 4096] * 13, {}),
                          (['x'], {'environment': V('as', ['A'])}), (['x'], {'cwd': V('s', 'a')}), (['x'], {'cwd': V('s', '/a/../b')}),
                          (['x'], {'user': V('u', 65536)}), (['x'], {'rows': V('u', 65536)})):
        m.refused('InvalidArgument', m.on, 'c', 'Exec', 'as', argv, options=options)
    assert rig.calls() == before, rig.calls()[len(before):]


def read_end():
    return os.pipe()[0]


def whose(rig):
    """a process is its starter's connection's and root's; others of the same user are refused; nobody else hears its end"""
    m, again = rig.member, R.Client(rig, 'member')
    path, fds = execute(m, 'sleep', '60')
    for client in (rig.outsider, rig.member2, again):
        client.refused('AccessDenied', client.call, path, R.PROCESS, 'Signal', V('(ia{sv})', (9, {})))
        client.refused('AccessDenied', client.call, path, R.PROCESS, 'Resize', V('(uua{sv})', (1, 1, {})))
        client.refused('AccessDenied', client.get, path, R.PROCESS, 'PID')
        client.refused('AccessDenied', client.get_all, path, R.PROCESS)
        assert client.get_all(path, '') == {}
        client.signals.clear()
    assert m.get(path, R.PROCESS, 'PID') > 0 and rig.root.get(path, R.PROCESS, 'ExitStatus') == -1
    m.refused('InvalidArgument', m.call, path, R.PROCESS, 'Signal', V('(ia{sv})', (0, {})))
    m.call(path, R.PROCESS, 'Resize', V('(uua{sv})', (31, 63, {})))
    assert rig.calls()[-1].endswith('31 63')
    rig.root.call(path, R.PROCESS, 'Signal', V('(ia{sv})', (15, {})))
    assert exited(m, path) == (-1, 15)
    m.refused('NotRunning', m.call, path, R.PROCESS, 'Signal', V('(ia{sv})', (9, {})))
    R.settle(0.1)
    for client in (rig.outsider, rig.member2, again):
        assert not [s for s in client.signals if s[1] == R.PROCESS], client.signals
    again.close()


def left(rig):
    """its starter leaves: SIGHUP, and SIGKILL five seconds later for what does not mind"""
    client = R.Client(rig, 'member')
    read, write = os.pipe()
    meek, _ = execute(client, 'sleep', '60')
    stubborn, _ = execute(client, 'sh', '-c', "trap '' HUP; echo ready; exec sleep 60", options={'stdout': V('h', 0)}, fds=[write])
    os.close(write)
    assert os.read(read, 6) == b'ready\n'
    pids = [client.get(path, R.PROCESS, 'PID') for path in (meek, stubborn)]
    client.close()
    started = time.monotonic()
    R.wait(lambda: not os.path.exists(f'/proc/{pids[0]}'), 'SIGHUP was not sent', 3)
    assert os.path.exists(f'/proc/{pids[1]}')
    R.wait(lambda: not os.path.exists(f'/proc/{pids[1]}'), 'SIGKILL was not sent', 8)
    assert time.monotonic() - started > 4
    for path in (meek, stubborn):
        R.settle(0.1)
        rig.root.refused('UnknownObject', rig.root.get, path, R.PROCESS, 'PID')


def ends(rig):
    """the container's end is the end of its processes"""
    m = rig.member
    path, _ = execute(m, 'sleep', '60')
    pid = m.get(path, R.PROCESS, 'PID')
    m.on('c', 'Kill', 'i', 9)
    assert exited(m, path) == (-1, 9)
    os.kill(pid, signal.SIGKILL)  # the engine of this test leaves it


if __name__ == '__main__':
    R.main([prepare, pipes, given, whose, left, ends])
