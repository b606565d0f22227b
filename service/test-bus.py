#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of containers over a real bus with a real polkitd, every member as everybody, and what is not everybody's business."""

import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig as R  # pylint: disable=wrong-import-position

R.private()
V = R.GLib.Variant
PUBLIC = {'Name', 'State', 'OwnerUID'}


def archive():
    read, write = os.pipe()
    os.write(write, b'tar')
    os.close(write)
    return read


def state(client, name):
    return {c[0]: c[2] for c in client.manager('ListContainers')[0]}.get(name)


def images(rig):
    """an image is imported: a job, an object, signals; a folder is no archive"""
    (job,) = rig.root.manager('ImportImage', 'sh', 'base', 0, fds=[archive()])
    assert rig.root.finish(job) == ('done', '', '')
    (path,) = rig.outsider.manager('GetImage', 's', 'base')
    assert rig.outsider.get_all(path, R.IMAGE)['OwnerUID'] == 0
    assert [s for s in rig.outsider.signals if s[2] == 'InterfacesAdded' and s[3][0] == path]
    assert len([s for s in rig.outsider.signals if s[2] == 'Completed' and s[0] == job]) == 1
    rig.root.refused('InvalidArgument', rig.root.manager, 'ImportImage', 'sh', 'x', 0, fds=[os.open('/', os.O_RDONLY)])
    rig.root.refused('InvalidArgument', rig.root.manager, 'ImportImage', 'sh', 'x', 0, fds=[os.open('/', os.O_PATH)])
    rig.root.refused('AlreadyExists', rig.root.manager, 'ImportImage', 'sh', 'base', 0, fds=[archive()])
    rig.root.refused('InvalidName', rig.root.manager, 'ImportImage', 'sh', '../x', 0, fds=[archive()])


def life(rig):
    """create, start, stop, kill, snapshot, restore, clone, rename, destroy as a member"""
    m = rig.member
    m.create('web1', config=V('a{sv}', {'lxc.uts.name': V('s', 'web'), 'lxc.environment': V('as', ['A=1', 'B=2'])}))
    with open('/var/lib/berth/containers/web1/config', encoding='utf-8') as f:
        assert f.read() == 'lxc.environment = A=1\nlxc.environment = B=2\nlxc.uts.name = web\n'
    assert os.stat('/var/lib/berth/containers/web1').st_mode & 0o777 == 0o700
    m.on('web1', 'Start')
    assert state(m, 'web1') == 'running'
    assert rig.calls()[-1] == 'start web1 web /sbin/init / warm=1', rig.calls()[-1]
    m.refused('Running', m.on, 'web1', 'Start')
    for verb, args in (('Destroy', ()), ('Rename', ('s', 'x')), ('Clone', ('s', 'x')), ('TakeSnapshot', ('s', ''))):
        m.refused('Running', m.on, 'web1', verb, *args)
    (job,) = m.on('web1', 'Stop')
    assert m.finish(job) == ('done', '', '')
    assert state(m, 'web1') == 'stopped'
    m.refused('NotRunning', m.on, 'web1', 'Stop')
    m.refused('NotRunning', m.on, 'web1', 'Kill', 'i', 9)
    assert m.on('web1', 'TakeSnapshot', 's', '', options={'comment': V('s', 'ä % b')}) == (R.path_of('web1') + '/snapshot/snap0',)
    m.on('web1', 'TakeSnapshot', 's', 'named')
    assert [(s[0], s[2]) for s in m.get(R.path_of('web1'), R.CONTAINER, 'Snapshots')] == [('snap0', 'ä % b'), ('named', '')]
    assert m.get_all(R.path_of('web1') + '/snapshot/snap0', R.SNAPSHOT)['Comment'] == 'ä % b'
    m.refused('AlreadyExists', m.on, 'web1', 'TakeSnapshot', 's', 'named')
    m.refused('NoSuchSnapshot', m.on, 'web1', 'RestoreSnapshot', 's', 'other')
    m.on('web1', 'RestoreSnapshot', 's', 'snap0')
    assert m.on('web1', 'Clone', 's', 'web2', options={'snapshot': V('s', 'snap0')}) == (R.path_of('web2'),)
    assert rig.calls()[-1].startswith('clone 0 snap0 web2 30001')
    m.refused('AlreadyExists', m.on, 'web1', 'Clone', 's', 'web2')
    m.on('web2', 'Rename', 's', 'db2')
    assert state(m, 'web2') is None and state(m, 'db2') == 'stopped'
    assert sorted(os.listdir('/var/lib/berth/containers')) == ['db2', 'web1']
    m.refused('StillUsed', m.on, 'web1', 'Destroy')
    m.call(R.path_of('web1') + '/snapshot/named', R.SNAPSHOT, 'Remove', V('(a{sv})', ({},)))
    m.on('web1', 'Destroy', options={'snapshots': V('b', True)})
    m.on('db2', 'Destroy')
    assert m.manager('ListContainers') == ([],)
    assert os.listdir('/var/lib/berth/containers') == []
    m.refused('NoSuchContainer', m.manager, 'GetContainer', 's', 'web1')


def signals(rig):
    """each change is signalled once, private values never"""
    o, m = rig.outsider, rig.member
    o.signals.clear()
    m.create('web1')
    m.on('web1', 'Start')
    m.on('web1', 'Kill', 'i', 9)
    R.settle(0.1)
    path = R.path_of('web1')
    mine = [s for s in o.signals if s[0] == path or (s[2].startswith('Interfaces') and s[3][0] == path)]
    assert mine[0][2] == 'InterfacesAdded' and set(mine[0][3][1][R.CONTAINER]) == PUBLIC, mine[0]
    changes = [s[3] for s in mine[1:]]
    assert [c[1].get('State') for c in changes] == ['starting', 'running', 'aborting', 'stopped'], changes
    assert [c[2] for c in changes] == [[], ['InitPID'], [], ['InitPID']], changes
    m.on('web1', 'Destroy')
    R.settle(0.05)
    assert [s for s in o.signals if s[2] == 'InterfacesRemoved' and s[3][0] == path]


def private_properties(rig):
    """what is not public is told to those who may info, by no way to others"""
    o, m = rig.outsider, rig.member
    m.create('secret')
    path = R.path_of('secret')
    m.on('secret', 'TakeSnapshot', 's', 's1', options={'comment': V('s', 'hush')})
    assert set(m.get_all(path, R.CONTAINER)) == PUBLIC | {'InitPID', 'IDRange', 'CreatedAt', 'Image', 'Snapshots'}
    assert m.get(path, R.CONTAINER, 'Image') == 'base'
    for client in (o, rig.member2):
        assert set(client.get_all(path, R.CONTAINER)) == PUBLIC
        assert set(client.get_all(path, '')) == PUBLIC, client.get_all(path, '')
        assert client.get(path, R.CONTAINER, 'State') == 'stopped'
        for name in ('InitPID', 'IDRange', 'CreatedAt', 'Image', 'Snapshots'):
            client.refused('AccessDenied', client.get, path, R.CONTAINER, name)
        assert client.get_all(path + '/snapshot/s1', R.SNAPSHOT) == {}
        assert client.get_all(path + '/snapshot/none', R.SNAPSHOT) == {}
        client.refused('AccessDenied', client.get, path + '/snapshot/s1', R.SNAPSHOT, 'Comment')
        client.refused('AccessDenied', client.get, path + '/snapshot/none', R.SNAPSHOT, 'Comment')
        # another way to write the same path, and an interface that is not at the path
        client.refused('AccessDenied', client.get, f'{R.ROOT}/container/_73ecret', R.CONTAINER, 'Image')
        client.refused('NoSuchContainer', client.get, R.ROOT, R.CONTAINER, 'Image')
        assert 'hush' not in client.call(path, 'org.freedesktop.DBus.Introspectable', 'Introspect')[0]
        objects = client.call(R.ROOT, 'org.freedesktop.DBus.ObjectManager', 'GetManagedObjects')[0]
        assert set(objects[path][R.CONTAINER]) == PUBLIC, objects[path]
        assert not [p for p in objects if 'snapshot' in p or 'process' in p], list(objects)
    m.refused('NoSuchSnapshot', m.get, path + '/snapshot/none', R.SNAPSHOT, 'Comment')
    m.refused('UnknownProperty', m.get, path, R.CONTAINER, 'Nothing')
    m.on('secret', 'Destroy', options={'snapshots': V('b', True)})


MEMBERS = [  # member, signature, values, verb of the action
    ('Start', '', ()), ('Stop', '', ()), ('Kill', 'i', (9,)), ('Destroy', '', ()), ('Rename', 's', ('other',)),
    ('Clone', 's', ('other',)), ('TakeSnapshot', 's', ('',)), ('RestoreSnapshot', 's', ('s1',)), ('Exec', 'as', (['true'],))]


def everybody(rig):
    """every member as outsider, as another member, and as root: denied, denied, done; nothing reaches the engine"""
    m, before = rig.member, None
    m.create('theirs')
    m.on('theirs', 'TakeSnapshot', 's', 's1')
    before = rig.calls()
    snapshot = R.path_of('theirs') + '/snapshot/s1'
    for client in (rig.outsider, rig.member2):
        for member, signature, values in MEMBERS:
            client.refused('AccessDenied', client.on, 'theirs', member, signature, *values)
        client.refused('AccessDenied', client.call, snapshot, R.SNAPSHOT, 'Remove', V('(a{sv})', ({},)))
        client.refused('AccessDenied', client.call, R.ROOT + '/image/base', R.IMAGE, 'Remove', V('(a{sv})', ({},)))
    rig.outsider.refused('AccessDenied', rig.outsider.manager, 'CreateContainer', 's', 'new', options={'image': V('s', 'base')})
    rig.outsider.refused('AccessDenied', rig.outsider.manager, 'ImportImage', 'sh', 'new', 0, fds=[archive()])
    for property_ in ('State', 'Name'):
        rig.outsider.refused('PropertyReadOnly', rig.outsider.call, R.path_of('theirs'), 'org.freedesktop.DBus.Properties', 'Set',
                             V('(ssv)', (R.CONTAINER, property_, V('s', 'x'))))
    assert rig.calls() == before, rig.calls()[len(before):]
    assert state(m, 'theirs') == 'stopped'
    for member, signature, values in MEMBERS:
        if member in ('Destroy', 'Rename', 'Stop'):
            continue
        try:
            rig.root.on('theirs', member, signature, *values)
        except R.Error as e:
            assert e.name in ('NotRunning', 'Running'), e
    rig.root.on('theirs', 'Destroy', options={'snapshots': V('b', True)})
    rig.root.on('other', 'Destroy')


def arguments(rig):
    """unknown, mistyped and repeated options, bad names, signals, states: a typed error each"""
    m = rig.member
    m.create('a1')
    m.refused('InvalidArgs', m.on, 'a1', 'Start', options={'intractive': V('b', True)})
    m.refused('InvalidArgs', m.on, 'a1', 'Start', options={'interactive': V('s', 'yes')})
    m.refused('InvalidArgs', m.on, 'a1', 'Stop', options={'timeout': V('u', 1)})
    m.refused('InvalidArgs', m.call, R.path_of('a1'), R.CONTAINER, 'Start', V('()', ()))
    m.refused('InvalidArgument', m.on, 'a1', 'Stop', options={'timeout': V('t', 2**63)})
    for number in (0, -1, 65):
        m.refused('InvalidArgument', m.on, 'a1', 'Kill', 'i', number)
    for name in ('', '.a', 'a..b', 'a/b', 'a b', 'ä', 'x' * 64, '-a'):
        m.refused('InvalidName', m.on, 'a1', 'Rename', 's', name)
        m.refused('InvalidName', m.manager, 'CreateContainer', 's', name, options={'image': V('s', 'base')})
    m.refused('AlreadyExists', m.manager, 'CreateContainer', 's', 'a1', options={'image': V('s', 'base')})
    m.refused('NoSuchImage', m.manager, 'CreateContainer', 's', 'a2', options={'image': V('s', 'none')})
    m.refused('InvalidArgument', m.manager, 'CreateContainer', 's', 'a2')
    m.refused('InvalidArgument', m.manager, 'CreateContainer', 's', 'a2',
              options={'image': V('s', 'base'), 'rootfs': V('h', 0)}, fds=[archive()])
    for key, value in (('lxc.init.cmd', V('s', 'relative')), ('lxc.net.0.type', V('s', 'veth')), ('lxc.uts.name', V('s', 'a\nb')),
                       ('lxc.environment', V('as', ['A']))):
        e = m.refused('InvalidArgument', m.manager, 'CreateContainer', 's', 'a2',
                      options={'image': V('s', 'base'), 'config': V('a{sv}', {key: value})})
        assert key in e.message, e
    m.refused('UnknownObject', m.on, 'none', 'Start')
    m.refused('InvalidArgument', m.on, 'a1', 'TakeSnapshot', 's', '', options={'comment': V('s', 'x' * 1025)})
    assert os.listdir('/var/lib/berth/containers') == ['a1']
    m.on('a1', 'Destroy')


def failures(rig):
    """what the engine reports reaches the caller as a typed error with clean text, and leaves nothing behind"""
    m = rig.member
    (job,) = m.manager('CreateContainer', 's', 'fail1', options={'image': V('s', 'base')})
    result, error, message = m.finish(job)
    assert (result, error) == ('failed', 'org.berth1.Error.HelperFailed') and message == 'it was told to fail??', message
    assert os.listdir('/var/lib/berth/containers') == []
    m.create('a1')
    m.refused('HelperFailed', m.on, 'a1', 'Rename', 's', 'failed')
    assert os.listdir('/var/lib/berth/containers') == ['a1'] and state(m, 'a1') == 'stopped'
    m.refused('HelperFailed', m.on, 'a1', 'Clone', 's', 'failed')
    assert os.listdir('/var/lib/berth/containers') == ['a1']
    m.on('a1', 'Rename', 's', 'die')
    m.on('die', 'Start')
    R.wait(lambda: state(m, 'die') == 'stopped', 'a container that ends at once is not seen')
    m.on('die', 'Start')
    R.wait(lambda: state(m, 'die') == 'stopped', 'a container that ends at once is not seen')
    m.on('die', 'Destroy')


def jobs(rig):
    """a job is cancelled by its user or root alone; two verbs at once: Busy; Kill cuts a stop short; progress is coalesced"""
    m = rig.member
    (job,) = m.manager('CreateContainer', 's', 'slow1', options={'image': V('s', 'base')})
    cancel = (job, R.JOB, 'Cancel', V('(a{sv})', ({},)))
    rig.outsider.refused('AccessDenied', rig.outsider.call, *cancel)
    rig.member2.refused('AccessDenied', rig.member2.call, *cancel)
    m.refused('AlreadyExists', m.manager, 'CreateContainer', 's', 'slow1', options={'image': V('s', 'base')})
    m.call(*cancel)
    assert m.finish(job)[:2] == ('cancelled', 'org.berth1.Error.Cancelled')
    m.call(*cancel)  # too late is no error
    m.signals.clear()
    started = time.monotonic()
    m.create('slow2')
    steps = [s for s in m.signals if s[2] == 'PropertiesChanged' and 'Bytes' in s[3][1]]
    assert 1 <= len(steps) <= 5 * (time.monotonic() - started) + 2, len(steps)
    first, second = (m.send(R.path_of('slow2'), R.CONTAINER, 'Start', V('(a{sv})', ({},))) for _ in range(2))
    R.wait(lambda: first and second, 'no answer')
    assert isinstance(second[0], R.Error) and second[0].name == 'Busy', second
    assert state(m, 'slow2') == 'running'
    (job,) = m.on('slow2', 'Stop')
    assert state(m, 'slow2') == 'stopping'
    m.refused('NotRunning', m.on, 'slow2', 'Exec', 'as', ['true'])
    m.on('slow2', 'Kill', 'i', 9)
    assert state(m, 'slow2') == 'stopped'
    assert m.finish(job)[0] == 'done'
    m.on('slow2', 'Destroy')


def kept(rig):
    """job objects end some seconds after their end"""
    objects = rig.root.call(R.ROOT, 'org.freedesktop.DBus.ObjectManager', 'GetManagedObjects')[0]
    assert [p for p in objects if '/job/' in p]
    R.wait(lambda: not [p for p in rig.root.call(R.ROOT, 'org.freedesktop.DBus.ObjectManager', 'GetManagedObjects')[0]
                        if '/job/' in p], 'jobs stay', 15)


if __name__ == '__main__':
    R.main([images, life, signals, private_properties, everybody, arguments, failures, jobs, kept])
