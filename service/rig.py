# SPDX-License-Identifier: LGPL-2.1-or-later
"""A bus, polkitd and a berthd with an engine that touches nothing, for tests of the face. Everything is in a private mount
namespace with accounts, rules and /var/lib/berth of its own; nothing of the machine is changed.

Users: root, member and member2 (in berth-users), outsider (not). One process speaks for all of them: a connection belongs
to the effective user that it was opened with."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import gi
gi.require_version('Gio', '2.0')
from gi.repository import Gio, GLib  # pylint: disable=wrong-import-position

SKIP = 77
PEOPLE = {'root': 0, 'member': 30001, 'member2': 30002, 'outsider': 30003}
BERTH = 30010
MANAGER, CONTAINER, SNAPSHOT, IMAGE, JOB, PROCESS = (
    f'org.berth1.{name}' for name in ('Manager', 'Container', 'Snapshot', 'Image', 'Job', 'Process'))
ROOT = '/org/berth1'
POLKITD = '/usr/lib/polkit-1/polkitd'
POLKIT_CONF = '/usr/share/dbus-1/system.d/org.freedesktop.PolicyKit1.conf'
SECONDS = 20


def private():
    """Starts the test again in a mount namespace of its own; skips where that cannot be."""
    if os.environ.get('BERTH_RIG') == '1':
        return
    missing = [p for p in ('/usr/bin/dbus-daemon', POLKITD, POLKIT_CONF) if not os.path.exists(p)]
    if os.geteuid() != 0 or missing:
        print('skip: needs root,', ', '.join(missing))
        sys.exit(SKIP)
    os.environ['BERTH_RIG'] = '1'
    os.execv('/usr/bin/unshare', ['unshare', '--mount', '--propagation', 'private', '/usr/bin/python3', *sys.argv])


def run(*words):
    subprocess.run(words, check=True)


def write(path, text, mode=0o644):
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)
    os.chmod(path, mode)


class Error(Exception):
    """name of a D-Bus error, without its prefix, and its sentence."""

    def __init__(self, error):
        remote = Gio.dbus_error_get_remote_error(error)
        Gio.dbus_error_strip_remote_error(error)
        super().__init__(f'{remote}: {error.message}')
        self.full = remote or ''
        self.name = self.full.rsplit('.', 1)[-1]
        self.message = error.message


class Client:
    """A connection to the bus as one user."""

    def __init__(self, rig, user):
        os.seteuid(PEOPLE[user])
        try:
            flags = Gio.DBusConnectionFlags
            self.bus = Gio.DBusConnection.new_for_address_sync(
                rig.address, flags.AUTHENTICATION_CLIENT | flags.MESSAGE_BUS_CONNECTION, None, None)
        finally:
            os.seteuid(0)
        self.bus.set_exit_on_close(False)
        self.user = user
        self.name = self.bus.get_unique_name()
        self.signals = []
        self.bus.signal_subscribe('org.berth1', None, None, None, None, Gio.DBusSignalFlags.NONE,
                                  lambda c, s, path, i, member, args: self.signals.append((path, i, member, args.unpack())))

    def _message(self, path, interface, member, args, fds, interactive):
        message = Gio.DBusMessage.new_method_call('org.berth1', path, interface, member)
        if args is not None:
            message.set_body(args if isinstance(args, GLib.Variant) else GLib.Variant(*args))
        if fds:
            message.set_unix_fd_list(Gio.UnixFDList.new_from_array([os.dup(fd) for fd in fds]))
        if interactive:
            message.set_flags(Gio.DBusMessageFlags.ALLOW_INTERACTIVE_AUTHORIZATION)
        return message

    def send(self, path, interface, member, args=None, fds=(), interactive=False):
        """Sends without waiting; returns a list that the answer will be put into."""
        answers = []

        def done(bus, result):
            try:
                reply = bus.send_message_with_reply_finish(result)
                reply.to_gerror()
                answers.append(reply)
            except GLib.Error as e:
                answers.append(Error(e))
        self.bus.send_message_with_reply(self._message(path, interface, member, args, fds, interactive),
                                         Gio.DBusSendMessageFlags.NONE, SECONDS * 1000, None, done)
        return answers

    def call(self, path, interface, member, args=None, fds=(), interactive=False):
        """Returns the values, and descriptors where there are any."""
        answers = self.send(path, interface, member, args, fds, interactive)
        wait(lambda: answers, f'{member} is not answered')
        if isinstance(answers[0], Error):
            raise answers[0]
        reply = answers[0]
        body = reply.get_body().unpack() if reply.get_body() else ()
        got = reply.get_unix_fd_list()
        return (body, got.steal_fds()) if got else body

    # The verbs, short

    def manager(self, member, signature='', *values, options=None, fds=()):
        return self.call(ROOT, MANAGER, member, GLib.Variant(f'({signature}a{{sv}})', (*values, options or {})), fds)

    def on(self, name, member, signature='', *values, options=None, fds=(), interactive=False):
        return self.call(path_of(name), CONTAINER, member, GLib.Variant(f'({signature}a{{sv}})', (*values, options or {})), fds,
                         interactive)

    def get(self, path, interface, name):
        return self.call(path, 'org.freedesktop.DBus.Properties', 'Get', GLib.Variant('(ss)', (interface, name)))[0]

    def get_all(self, path, interface):
        return self.call(path, 'org.freedesktop.DBus.Properties', 'GetAll', GLib.Variant('(s)', (interface,)))[0]

    def finish(self, job):
        """Waits for a job's end; returns result, error, message."""
        wait(lambda: self.get(job, JOB, 'Result'), f'{job} does not end')
        return (self.get(job, JOB, 'Result'), *self.get(job, JOB, 'Error'))

    def create(self, name, **options):
        (job,) = self.manager('CreateContainer', 's', name, options={'image': GLib.Variant('s', 'base'), **options})
        result = self.finish(job)
        assert result[0] == 'done', result

    def refused(self, error, function, *args, **kwargs):
        """Calls function, which must fail with that error."""
        try:
            got = function(*args, **kwargs)
        except Error as e:
            assert e.name == error, f'{self.user}: {e}, expected {error}'
            return e
        raise AssertionError(f'{self.user}: answered {got}, expected {error}')

    def close(self):
        self.bus.close_sync(None)


def path_of(name):
    return f'{ROOT}/container/' + ''.join(
        c if c.isalnum() and not (i == 0 and c.isdigit()) else f'_{ord(c):02x}' for i, c in enumerate(name))


def wait(condition, complaint, seconds=SECONDS):
    end = time.monotonic() + seconds
    context = GLib.MainContext.default()
    while not condition():
        assert time.monotonic() < end, complaint
        if not context.iteration(False):
            time.sleep(0.002)


def settle(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not GLib.MainContext.default().iteration(False):
            time.sleep(0.002)


class Rig:
    def __init__(self, berthd):
        self.folder = tempfile.mkdtemp(prefix='berth-rig-')
        self.berthd_program = berthd
        self.address = f'unix:path={self.folder}/bus'
        self.processes = {}
        self.top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        self.mounts()
        os.environ['DBUS_SYSTEM_BUS_ADDRESS'] = self.address
        self.start('bus', ['/usr/bin/dbus-daemon', f'--config-file={self.folder}/bus.conf', '--nofork', '--nopidfile', '--nosyslog'])
        wait(lambda: os.path.exists(f'{self.folder}/bus'), 'the bus does not start')
        self.root = Client(self, 'root')
        self.start_polkit()
        self.start_berthd()
        self.member, self.member2, self.outsider = (Client(self, user) for user in ('member', 'member2', 'outsider'))

    def mounts(self):
        os.chmod(self.folder, 0o755)
        run('mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', self.folder)
        os.mkdir(f'{self.folder}/polkit-rules')
        passwd = open('/etc/passwd', encoding='utf-8').read() + ''.join(
            f'{name}:x:{uid}:{uid}::/nonexistent:/bin/sh\n' for name, uid in {**PEOPLE, 'berth': BERTH}.items() if uid)
        group = open('/etc/group', encoding='utf-8').read() + ''.join(
            f'{name}:x:{uid}:\n' for name, uid in {**PEOPLE, 'berth': BERTH}.items() if uid) + 'berth-users:x:30020:member,member2\n'
        keep = [line for line in passwd.splitlines() if line.split(':')[0] != 'berth' or line.split(':')[2] == str(BERTH)]
        write(f'{self.folder}/passwd', '\n'.join(keep) + '\n')
        write(f'{self.folder}/group', group)
        run('mount', '--bind', f'{self.folder}/passwd', '/etc/passwd')
        run('mount', '--bind', f'{self.folder}/group', '/etc/group')
        for place in ('/usr/share/polkit-1/actions', '/usr/share/polkit-1/rules.d', '/etc/polkit-1/rules.d', '/run', '/var/lib'):
            run('mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', place)
        shutil.copy(f'{self.top}/polkit/org.berth1.policy', '/usr/share/polkit-1/actions/')
        shutil.copy(f'{self.top}/polkit/50-berth.rules', '/usr/share/polkit-1/rules.d/')
        os.makedirs('/var/lib/berth/containers')
        os.makedirs('/var/lib/polkit-1', exist_ok=True)
        os.chown('/var/lib/berth/containers', BERTH, BERTH)
        os.chmod('/var/lib/berth/containers', 0o700)
        write(f'{self.folder}/bus.conf', f'''<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>{self.address}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><deny own="*"/><deny send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
<allow send_destination="org.freedesktop.DBus"/></policy>
<include>{POLKIT_CONF}</include><include>{self.top}/dbus/org.berth1.conf</include></busconfig>''')

    def start(self, name, command, **environment):
        with open(f'{self.folder}/{name}.log', 'ab') as log:
            self.processes[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                    env={**os.environ, **environment}, start_new_session=True)

    def owner(self, name):
        return self.root.bus.call_sync('org.freedesktop.DBus', '/', 'org.freedesktop.DBus', 'NameHasOwner',
                                       GLib.Variant('(s)', (name,)), None, 0, -1, None).unpack()[0]

    def start_polkit(self):
        self.start('polkitd', [POLKITD, '--no-debug'])
        wait(lambda: self.owner('org.freedesktop.PolicyKit1'), 'polkitd does not start')

    def start_berthd(self, *arguments, ready=True):
        for name in ('store', 'calls'):
            path = f'{self.folder}/{name}'
            if not os.path.exists(path):
                write(path, 'store\n' if name == 'store' else '')
                os.chown(path, BERTH, BERTH)
        self.start('berthd', [self.berthd_program, *arguments], BERTH_FAKE_STORE=f'{self.folder}/store',
                   BERTH_FAKE_LOG=f'{self.folder}/calls', ASAN_OPTIONS='detect_leaks=1')
        if ready:
            wait(lambda: self.owner('org.berth1'), 'berthd does not start')

    def end(self, name, number=signal.SIGTERM):
        process = self.processes.pop(name)
        process.send_signal(number)
        return process.wait(SECONDS)

    def lines(self, stream):
        """A function that gives the next line of a process, in time."""
        os.set_blocking(stream.fileno(), False)
        text = ['']

        def line():
            def more():
                try:
                    text[0] += os.read(stream.fileno(), 65536).decode()
                except BlockingIOError:
                    pass
                return '\n' in text[0]
            wait(more, 'no line comes')
            first, text[0] = text[0].split('\n', 1)
            return first
        return line

    def rule(self, name, text):
        """An administrator's rule; polkitd reads it at once and says so."""
        changed = []
        sub = self.root.bus.signal_subscribe('org.freedesktop.PolicyKit1', None, 'Changed', None, None, 0,
                                             lambda *args: changed.append(True))
        path = f'/etc/polkit-1/rules.d/{name}.rules'
        if not text:
            os.unlink(path)
        for _ in range(4):  # a change that comes while polkitd reloads it may miss
            if text:  # in one step: each step that polkitd sees is a reload
                write(f'{path}.new', text)
                os.rename(f'{path}.new', path)
            try:
                wait(lambda: changed or self.processes['polkitd'].poll() is not None, 'polkitd does not see the rule', 10)
                break
            except AssertionError:
                if not text:  # nothing to do again: a file of another name makes it look
                    write(f'/etc/polkit-1/rules.d/{name}-gone.rules', '// nothing\n')
        assert changed or self.processes['polkitd'].poll() is not None, 'polkitd does not see the rule'
        assert self.processes['polkitd'].poll() is None, f'polkitd ended with {self.processes["polkitd"].poll()}'
        self.root.bus.signal_unsubscribe(sub)

    def calls(self):
        return open(f'{self.folder}/calls', encoding='utf-8').read().splitlines()

    def log(self, name='berthd'):
        return open(f'{self.folder}/{name}.log', encoding='utf-8', errors='replace').read()

    def close(self):
        for name in list(self.processes):
            self.end(name, signal.SIGKILL if name == 'polkitd' else signal.SIGTERM)


def main(tests):
    """Runs the tests in order on one rig; berthd's end must be clean."""
    rig = Rig(os.path.abspath(sys.argv[1]))
    failed = 0
    for test in tests:
        try:
            test(rig)
            print(f'ok - {test.__doc__}', flush=True)
        except Exception as e:  # pylint: disable=broad-except
            failed += 1
            import traceback
            traceback.print_exc()
            print(f'not ok - {test.__doc__}: {e}', flush=True)
            ends = {name: p.poll() for name, p in rig.processes.items() if p.poll() is not None}
            if ends:
                print(f'ended meanwhile: {ends}')
                break
    status = rig.end('berthd') if rig.processes['berthd'].poll() is None else rig.processes.pop('berthd').returncode
    if status != 0:
        failed += 1
        print(f'not ok - berthd ended with {status}')
    if failed:
        print(rig.log())
    rig.close()
    run('umount', '-l', rig.folder)
    os.rmdir(rig.folder)
    sys.exit(1 if failed else 0)
