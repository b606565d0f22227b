#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the next berthd makes of what it finds: running containers, operations that were cut short, damaged files, a store that
cannot be read; and how it leaves."""

import os
import shutil
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig as R  # pylint: disable=wrong-import-position

R.private()
V = R.GLib.Variant
FOLDER = '/var/lib/berth/containers'


def listed(client):
    return {c[0]: (c[2], c[3]) for c in client.manager('ListContainers')[0]}


def store(rig, *lines):
    """Adds lines to the store, or replaces words in it."""
    path = f'{rig.folder}/store'
    with open(path, encoding='utf-8') as f:
        text = f.read()
    for old, new in lines:
        assert not old or old in text, (old, text)
        text = text.replace(old, new) if old else text + new + '\n'
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)


def own(path):
    os.chown(path, R.BERTH, R.BERTH)
    for name in os.listdir(path):
        os.chown(f'{path}/{name}', R.BERTH, R.BERTH)


def creation(name):
    with open(f'{FOLDER}/{name}/state', encoding='utf-8') as f:
        return f.readline().strip().split('=')[1]


def survives(rig):
    """killed berthd: containers, states, snapshots, comments and owners are there again, the running one runs"""
    (job,) = rig.root.manager('ImportImage', 'sh', 'base', 0, fds=[os.pipe()[0]])
    assert rig.root.finish(job)[0] == 'done'
    m = rig.member
    for name in ('a', 'b', 'c', 'd'):
        m.create(name, config=V('a{sv}', {'lxc.uts.name': V('s', f'host-{name}')}))
    m.on('a', 'TakeSnapshot', 's', 's1', options={'comment': V('s', 'kept')})
    m.on('a', 'Start')
    rig.end('berthd', signal.SIGKILL)
    rig.start_berthd()
    assert listed(m) == {'a': ('running', 30001), 'b': ('stopped', 30001), 'c': ('stopped', 30001), 'd': ('stopped', 30001)}
    assert m.get(R.path_of('a'), R.CONTAINER, 'Snapshots')[0][2] == 'kept'
    assert m.get(R.path_of('a'), R.CONTAINER, 'InitPID') > 0
    m.on('a', 'Kill', 'i', 9)
    m.on('b', 'Start')
    assert 'start b host-b' in rig.calls()[-1]
    m.on('b', 'Kill', 'i', 9)
    assert rig.outsider.manager('GetImage', 's', 'base')


def cut_short(rig):
    """creation, rename and destruction that were cut short are ended the way that the store went"""
    m = rig.member
    rig.end('berthd', signal.SIGKILL)
    # a creation: staged, and the store has it; another: staged only; a destruction: the store has lost it; one half removed
    for name in ('.new.half', '.new.staged', '.old.removed'):
        os.mkdir(f'{FOLDER}/{name}')
        R.write(f'{FOLDER}/{name}/config', '')
        own(f'{FOLDER}/{name}')
    store(rig, ('', f'container 9 half 30001 {"ab" * 16} 5 base 0 0'))
    shutil.copytree(f'{FOLDER}/d', f'{FOLDER}/lost')
    R.write(f'{FOLDER}/lost/state', f'creation={"cd" * 16}\n')
    own(f'{FOLDER}/lost')
    # a rename: the store says b, the folder is still called c2; and one that the store has not seen
    os.rename(f'{FOLDER}/b', f'{FOLDER}/b-new')
    store(rig, (' c 30001', ' c-new 30001'))
    before = len(rig.calls())
    rig.start_berthd()
    assert set(listed(m)) == {'a', 'b', 'c-new', 'd'}, listed(m)
    assert sorted(os.listdir(FOLDER)) == ['a', 'b', 'c-new', 'd'], os.listdir(FOLDER)
    assert [c for c in rig.calls()[before:] if c.startswith('destroy')] == ['destroy half 1']
    m.on('c-new', 'Start')
    assert 'start c-new host-c' in rig.calls()[-1]
    m.on('c-new', 'Kill', 'i', 9)


def damaged(rig):
    """a lost or damaged file costs no container; one whose configuration is not understood is not started"""
    m = rig.member
    rig.end('berthd', signal.SIGKILL)
    shutil.rmtree(f'{FOLDER}/a')
    R.write(f'{FOLDER}/b/state', 'creation=')
    R.write(f'{FOLDER}/d/config', 'lxc.uts.name = d\nlxc.unknown = 1\n')
    rig.start_berthd()
    assert set(listed(m)) == {'a', 'b', 'c-new', 'd'}
    m.on('b', 'Start')
    assert 'start b host-b' in rig.calls()[-1], rig.calls()[-1]
    m.on('b', 'Kill', 'i', 9)
    e = m.refused('InvalidArgument', m.on, 'd', 'Start')
    assert '/d/config:2: ' in e.message and 'lxc.unknown' in e.message, e
    rig.end('berthd', signal.SIGKILL)
    rig.start_berthd()
    assert len(creation('a')) == 32 and len(creation('b')) == 32
    m.on('a', 'Destroy', options={'snapshots': V('b', True)})


def unreadable(rig):
    """a store that cannot be read: reads are answered, the rest refused, nothing is removed; it is tried again"""
    m = rig.member
    rig.end('berthd', signal.SIGKILL)
    folders = sorted(os.listdir(FOLDER))
    store(rig, ('store\n', 'error\n'))
    rig.start_berthd()
    assert listed(m) == {} and sorted(os.listdir(FOLDER)) == folders
    m.refused('HelperFailed', m.manager, 'CreateContainer', 's', 'x', options={'image': V('s', 'base')})
    assert {f['id']: f['status'] for f in m.manager('CheckHost')[0]}['store'] == 'failure'
    m.signals.clear()
    store(rig, ('error\n', 'store\n'))
    R.wait(lambda: listed(m), 'the store is not tried again', 10)
    assert set(listed(m)) == {'b', 'c-new', 'd'}
    assert len([s for s in m.signals if s[2] == 'InterfacesAdded' and '/container/' in s[3][0]]) == 3


def one(rig):
    """a second berthd waits for the first to leave, and takes over"""
    first = rig.processes.pop('berthd')
    rig.start_berthd(ready=False)
    R.settle(0.5)
    assert first.poll() is None and rig.processes['berthd'].poll() is None
    assert listed(rig.member)
    first.terminate()
    assert first.wait(R.SECONDS) == 0
    R.wait(lambda: rig.owner('org.berth1'), 'the second does not take over')
    assert listed(rig.member)


def idle(rig):
    """idle exit: not while something runs, and no call is lost when it leaves"""
    rig.end('berthd')
    rig.start_berthd('--idle-exit=1')
    rig.member.on('b', 'Start')
    R.settle(2)
    assert rig.processes['berthd'].poll() is None, 'it left while a container ran'
    rig.member.on('b', 'Kill', 'i', 9)
    R.wait(lambda: rig.processes['berthd'].poll() is not None, 'it does not leave', 5)
    assert rig.processes['berthd'].wait() == 0
    for _ in range(3):  # calls around the moment of leaving
        rig.processes.pop('berthd')
        rig.start_berthd('--idle-exit=1')
        end = time.monotonic() + 0.95
        while time.monotonic() < end:
            R.settle(0.01)
        answers = []
        while rig.owner('org.berth1'):
            answers.append(rig.member.send(R.ROOT, R.MANAGER, 'ListContainers', V('(a{sv})', ({},))))
            R.settle(0.3)
            assert len(answers) < 20
            if len(answers) > 2:
                R.settle(1.2)
        R.wait(lambda: all(answers), 'a call was lost')  # pylint: disable=cell-var-from-loop
        assert not [a for a in answers if isinstance(a[0], R.Error) and a[0].name == 'NoReply'], answers
        rig.processes['berthd'].wait(R.SECONDS)
    rig.processes.pop('berthd')
    rig.start_berthd()


if __name__ == '__main__':
    R.main([survives, cut_short, damaged, unreadable, one, idle])
