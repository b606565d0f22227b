#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Deciding, over a real bus with a real polkitd: administrators' rules, hints, prompts, what changes while polkit is asked, who
leaves meanwhile, how many may wait, and no polkit at all. polkitd is halted where a question has to stay open."""

import os
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig as R  # pylint: disable=wrong-import-position

R.private()
V = R.GLib.Variant
NOTHING = V('(a{sv})', ({},))
VERBS = {'start', 'stop', 'kill', 'exec', 'console', 'configure', 'snapshot', 'restore', 'clone', 'rename', 'destroy', 'freeze', 'info'}
WEB = '''polkit.addRule(function (action, subject) {
    if (action.id == "org.berth1.container.start" && action.lookup("container").indexOf("web") == 0 && subject.user == "outsider")
        return polkit.Result.YES;
});
'''
# Writes what it was told; polkit.log() would go to a journal that is not there.
TELL = '''polkit.addRule(function (action, subject) {
    var keys = ["container", "owner", "caller-owns", "image", "verb", "snapshot", "name", "signal", "command", "user"];
    var said = keys.map(function (k) { var v = action.lookup(k); return k + "=" + (v === undefined ? "UNSET" : v); });
    if (action.id.indexOf("org.berth1.") == 0)
        polkit.spawn(["/bin/sh", "-c", "echo \\"$0\\" >> TOLD", action.id + " " + said.join(" ")]);
});
'''


class Halted:
    """polkitd does not answer."""

    def __init__(self, rig):
        self.rig = rig

    def __enter__(self):
        self.rig.processes['polkitd'].send_signal(signal.SIGSTOP)

    def __exit__(self, *args):
        self.rig.processes['polkitd'].send_signal(signal.SIGCONT)


def prepare(rig):
    """containers of member to decide about"""
    (job,) = rig.root.manager('ImportImage', 'sh', 'base', 0, fds=[os.pipe()[0]])
    assert rig.root.finish(job)[0] == 'done'
    for name in ('web1', 'db1'):
        rig.member.create(name)


def rules(rig):
    """an administrator's rule for start on web*: start of web1 works, exec of web1 and start of db1 are denied"""
    o = rig.outsider
    o.refused('AccessDenied', o.on, 'web1', 'Start')
    rig.rule('10-web', WEB)
    o.on('web1', 'Start')
    o.refused('AccessDenied', o.on, 'web1', 'Exec', 'as', ['true'])
    o.refused('AccessDenied', o.on, 'db1', 'Start')
    o.refused('AccessDenied', o.on, 'web1', 'Stop')
    words = o.manager('Permissions', 'as', ['web1', 'db1', 'none'])[0]
    assert set(words) == {'web1', 'db1'} and set(words['web1']) == VERBS
    assert words['web1']['start'] == 'yes' and words['db1']['start'] == 'no' and words['web1']['exec'] == 'no'
    assert set(rig.member.manager('Permissions', 'as', ['web1'])[0]['web1'].values()) == {'yes'}
    assert set(rig.root.manager('Permissions', 'as', ['web1'])[0]['web1'].values()) == {'yes'}
    rig.rule('10-web', None)
    assert o.manager('Permissions', 'as', ['web1'])[0]['web1']['start'] == 'no', 'hints were kept after a change'
    o.refused('AccessDenied', o.on, 'web1', 'Start')
    rig.member.on('web1', 'Kill', 'i', 9)


def told(rig):
    """polkit is told every detail, always, and configure-privileged cannot be asked by berth"""
    path = f'{rig.folder}/polkit-rules/told'
    R.write(path, '', 0o666)
    os.chmod(os.path.dirname(path), 0o777)
    rig.rule('10-tell', TELL.replace('TOLD', path))
    m = rig.member
    m.on('web1', 'Clone', 's', 'web3')
    m.on('web3', 'Destroy')
    rig.outsider.refused('AccessDenied', rig.outsider.on, 'web1', 'Kill', 'i', 15)
    rig.outsider.refused('AccessDenied', rig.outsider.on, 'web1', 'Exec', 'as', ['sh', '-c', 'x'], options={'user': V('u', 5)})
    with open(path, encoding='utf-8') as f:
        lines = f.read().splitlines()
    own = 'container={} owner=30001 caller-owns={} image=base verb={} '
    assert lines == [
        'org.berth1.container.clone ' + own.format('web1', 'yes', 'clone') + 'snapshot= name=web3 signal= command= user=',
        'org.berth1.container.destroy ' + own.format('web3', 'yes', 'destroy') + 'snapshot= name= signal= command= user=',
        'org.berth1.container.kill ' + own.format('web1', 'no', 'kill') + 'snapshot= name= signal=15 command= user=',
        'org.berth1.container.exec ' + own.format('web1', 'no', 'exec') + 'snapshot= name= signal= command=sh user=5'], lines
    rig.rule('10-tell', None)


def challenge(rig):
    """a challenge that nobody can answer is InteractiveAuthorizationRequired, by the flag and by the option"""
    rig.rule('10-ask', WEB.replace('polkit.Result.YES', 'polkit.Result.AUTH_SELF'))
    o = rig.outsider
    o.refused('InteractiveAuthorizationRequired', o.on, 'web1', 'Start')
    o.refused('InteractiveAuthorizationRequired', o.on, 'web1', 'Start', interactive=True)
    o.refused('InteractiveAuthorizationRequired', o.on, 'web1', 'Start', options={'interactive': V('b', True)})
    assert o.manager('Permissions', 'as', ['web1'])[0]['web1']['start'] == 'challenge'


AGENT = '''
import os, sys
sys.path.insert(0, sys.argv[1])
os.environ['BERTH_RIG'] = '1'
import rig as R
V = R.GLib.Variant
os.setresgid(30003, 30003, 30003), os.setgroups([]), os.setresuid(30003, 30003, 30003)
def bus():
    flags = R.Gio.DBusConnectionFlags
    return R.Gio.DBusConnection.new_for_address_sync(sys.argv[2], flags.AUTHENTICATION_CLIENT | flags.MESSAGE_BUS_CONNECTION, None, None)
agent, caller = bus(), bus()
def method(c, sender, path, interface, member, args, invocation):
    print(member, args.unpack()[:2], flush=True)
    if member == 'CancelAuthentication':
        invocation.return_value(None)
node = R.Gio.DBusNodeInfo.new_for_xml("<node><interface name='org.freedesktop.PolicyKit1.AuthenticationAgent'><method name='BeginAuthentication'>"
    + ''.join(f"<arg type='{t}' direction='in'/>" for t in ('s', 's', 's', 'a{ss}', 's', 'a(sa{sv})'))
    + "</method><method name='CancelAuthentication'><arg type='s' direction='in'/></method></interface></node>")
agent.register_object('/agent', node.interfaces[0], method, None, None)
start = int(open('/proc/self/stat').read().rsplit(')', 1)[1].split()[19])
subject = ('unix-process', {'pid': V('u', os.getpid()), 'start-time': V('t', start), 'uid': V('i', 30003)})
agent.call_sync('org.freedesktop.PolicyKit1', '/org/freedesktop/PolicyKit1/Authority', 'org.freedesktop.PolicyKit1.Authority',
                'RegisterAuthenticationAgent', V('((sa{sv})ss)', (subject, 'C', '/agent')), None, 0, -1, None)
m = R.Gio.DBusMessage.new_method_call('org.berth1', R.path_of('web1'), R.CONTAINER, 'Start')
m.set_body(V('(a{sv})', ({'interactive': V('b', True)},)))
caller.set_exit_on_close(False)
caller.send_message_with_reply(m, 0, -1, None, lambda *a: print('answered', flush=True))
import threading
def commands():
    sys.stdin.readline()
    R.GLib.idle_add(lambda: caller.close_sync(None) and False)
threading.Thread(target=commands, daemon=True).start()
R.GLib.MainLoop().run()
'''


def prompt(rig):
    """a prompt comes with the container's name, and goes when the caller leaves the bus"""
    before = rig.calls()
    p = subprocess.Popen(['/usr/bin/python3', '-c', AGENT, os.path.dirname(os.path.abspath(__file__)), rig.address],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        line = rig.lines(p.stdout)
        said = line()
        assert said.startswith('BeginAuthentication') and "start container 'web1'" in said, said
        if os.environ.get('BERTH_LONG'):  # longer than the bus library's own patience
            R.settle(30)
        p.stdin.write(b'leave\n')
        p.stdin.flush()
        said = line()
        while said == 'answered':  # by its own library, that the connection is closed
            said = line()
        assert said.startswith('CancelAuthentication'), said
    finally:
        p.kill()
        p.wait()
    assert rig.calls() == before, rig.calls()[len(before):]
    rig.rule('10-ask', None)


def frozen(rig):
    """what is there under the name when polkit has answered is not what was asked about: nothing is done"""
    m = rig.member
    rig.rule('10-all', 'polkit.addRule(function (action, subject) { return polkit.Result.YES; });')
    for again, error in ((True, 'Busy'), (False, 'NoSuchContainer')):
        with Halted(rig):
            answers = m.send(R.path_of('db1'), R.CONTAINER, 'Start', NOTHING)
            R.settle(0.1)
            rig.root.on('db1', 'Destroy')
            if again:
                rig.root.create('db1')
        R.wait(lambda: answers, 'no answer')  # pylint: disable=cell-var-from-loop
        assert isinstance(answers[0], R.Error) and answers[0].name == error, answers
    assert not [c for c in rig.calls() if c.startswith('start db1')]
    m.create('db1')
    rig.rule('10-all', None)


def gone(rig):
    """a caller that leaves while polkit is asked: its call is forgotten, others go on"""
    client = R.Client(rig, 'member')
    before = len(rig.calls())
    with Halted(rig):
        client.send(R.path_of('db1'), R.CONTAINER, 'Start', NOTHING)
        client.send(R.path_of('db1'), R.CONTAINER, 'Destroy', NOTHING)
        R.settle(0.1)
        client.close()
        R.settle(0.1)
    rig.member.on('web1', 'Start')
    rig.member.on('web1', 'Kill', 'i', 9)
    R.settle(0.1)
    assert not [c for c in rig.calls()[before:] if c.startswith(('start db1', 'destroy db1'))]


def crowd(rig):
    """64 calls of a user wait at most, the next is refused at once; root and others are served meanwhile"""
    with Halted(rig):
        waiting = [rig.outsider.send(R.path_of('db1'), R.CONTAINER, 'Start', NOTHING) for _ in range(64)]
        R.settle(0.2)
        rig.outsider.refused('LimitsExceeded', rig.outsider.on, 'db1', 'Start')
        extra = R.Client(rig, 'outsider')
        extra.refused('LimitsExceeded', extra.on, 'db1', 'Start')
        assert not any(waiting)
        rig.root.on('db1', 'Start')
        other = rig.member.send(R.path_of('db1'), R.CONTAINER, 'Kill', V('(ia{sv})', (9, {})))
        R.settle(0.1)
        assert not other
    R.wait(lambda: other and all(waiting), 'not all are answered')
    assert not isinstance(other[0], R.Error), other
    assert {w[0].name for w in waiting} == {'AccessDenied'}
    many = [f'x{i}' for i in range(513)]
    rig.member.refused('InvalidArgument', rig.member.manager, 'Permissions', 'as', many)


def window(rig):
    """hundreds of hints at once do not exceed what the bus lets wait, and the real checks do not wait behind them"""
    names = [f'n{i}' for i in range(40)]
    for name in names:
        rig.member.create(name)
    answers = [rig.outsider.send(R.ROOT, R.MANAGER, 'Permissions', V('(asa{sv})', (names[i::3], {}))) for i in range(3)]
    rig.outsider.refused('AccessDenied', rig.outsider.on, 'db1', 'Start')
    assert not all(answers), 'the hints were quicker than one check'
    R.wait(lambda: all(answers), 'no answer')
    got = [a[0].get_body().unpack()[0] for a in answers]
    assert sum(len(g) for g in got) == 40 and all(set(w.values()) == {'no'} for g in got for w in g.values())
    for name in names:
        rig.member.on(name, 'Destroy')


def absent(rig):
    """without polkit root is served and everybody else refused, hints included; when it is back it is asked again"""
    rig.end('polkitd', signal.SIGKILL)
    R.settle(0.1)
    e = rig.member.refused('AccessDenied', rig.member.on, 'web1', 'Start')
    assert 'polkit does not answer' in e.message, e
    assert set(rig.member.get_all(R.path_of('web1'), R.CONTAINER)) == {'Name', 'State', 'OwnerUID'}
    assert set(rig.member.manager('Permissions', 'as', ['web1'])[0]['web1'].values()) == {'no'}
    rig.root.on('web1', 'Start')
    findings = {f['id']: f['status'] for f in rig.outsider.manager('CheckHost')[0]}
    assert findings['polkit'] == 'failure' and 'ids' in findings, findings
    rig.start_polkit()
    assert set(rig.member.manager('Permissions', 'as', ['web1'])[0]['web1'].values()) == {'yes'}
    rig.member.on('web1', 'Kill', 'i', 9)
    findings = {f['id']: f['status'] for f in rig.outsider.manager('CheckHost')[0]}
    assert findings['polkit'] == 'ok', findings


if __name__ == '__main__':
    R.main([prepare, rules, told, challenge, prompt, frozen, gone, crowd, window, absent])
