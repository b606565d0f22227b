# SPDX-License-Identifier: LGPL-2.1-or-later
"""The processes of a sandbox, kept as a service manager would keep them: bus, polkitd, spawner, berthd. The sandbox is
their parent, and the one to which orphans fall (a subreaper), so it sees every end."""

import os
import signal
import sys
import time

from . import accounts, system, tree

LIBEXEC = '/usr/libexec/berth'
BUS = 'unix:path=/run/dbus/system_bus_socket'
PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
RESTART_SECONDS = 0.1
READY_SECONDS = 20
END_SECONDS = 10

# The system bus's stock configuration but for its size. Whoever calls a name that is just being restarted waits: our
# keeper starts it again, and the "activation" only holds the message back until then.
BUS_CONFIGURATION = f"""<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <user>messagebus</user>
  <servicehelper>{tree.HOME}/bus/hold</servicehelper>
  <servicedir>{tree.HOME}/bus</servicedir>
  <auth>EXTERNAL</auth>
  <listen>{BUS}</listen>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/>
  </policy>
  <policy user="root">
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Debug.Stats"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Monitoring"/>
  </policy>
  <includedir>/usr/share/dbus-1/system.d</includedir>
  <includedir>/etc/dbus-1/system.d</includedir>
</busconfig>
"""
NAMES = {'polkitd': 'org.freedesktop.PolicyKit1', 'berthd': 'org.berth1'}

# berthd as its unit has it: no user's rights, no capability, none to be gained
UNPRIVILEGED = ['/usr/bin/setpriv', '--reuid', 'berth', '--regid', 'berth', '--clear-groups', '--bounding-set=-all',
                '--inh-caps=-all', '--ambient-caps=-all', '--no-new-privs', '--']
COMMANDS = {
    'dbus-daemon': ['/usr/bin/dbus-daemon', f'--config-file={tree.HOME}/bus/bus.conf', '--nofork', '--nopidfile', '--nosyslog'],
    'polkitd': ['/usr/lib/polkit-1/polkitd', '--no-debug'],
    'berth-spawner': [f'{LIBEXEC}/berth-spawner'],
    'berthd': UNPRIVILEGED + [f'{LIBEXEC}/berthd'],
}


def environment(user):
    """What COMMAND and everything that speaks for it gets: the caller's environment with the sandbox's own places."""
    home = '/root' if user == 'root' else f'{tree.HOME}/home/{user}'
    own = {'PATH': PATH, 'DBUS_SYSTEM_BUS_ADDRESS': BUS, 'BERTH_LXC_DIR': f'{LIBEXEC}/lxc', 'BERTH_SANDBOX': '1',
           'HOME': home, 'USER': user, 'LOGNAME': user, 'SHELL': '/bin/bash'}
    return {**{k: v for k, v in os.environ.items() if not k.startswith(('DBUS_', 'XDG_'))}, **own}


class Services:
    def __init__(self):
        self.pids = {}          # name -> pid
        self.restart_at = {}    # name -> when
        self.ends = {}          # pid -> wait status, of whatever was waited for
        self.stopping = False
        self._next_log = 0

    # Processes

    def spawn(self, command, user='root', log=None, env=None):
        """Starts a process; with a log it is a daemon: own session, no input. A function runs instead of a program, and
        its result is the exit status."""
        pid = os.fork()
        if pid:
            return pid
        try:
            if log:
                os.setsid()
                null = os.open('/dev/null', os.O_RDONLY)
                out = os.open(f'{tree.LOGS}/{log}', os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
                os.dup2(null, 0)
                os.dup2(out, 1)
                os.dup2(out, 2)
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            if user != 'root':
                uid = accounts.PEOPLE[user][0]
                os.initgroups(user, uid)
                os.setgid(uid)
                os.setuid(uid)
            if callable(command):
                os.environ.update(environment('root'))
                os._exit(command())
            os.execve(command[0], command, env or {'PATH': PATH, 'DBUS_SYSTEM_BUS_ADDRESS': BUS, 'LANG': 'C.UTF-8'})
        except OSError as e:
            print(f'sandbox: {command if callable(command) else command[0]}: {e.strerror}', file=sys.stderr)
            os._exit(127 if isinstance(e, FileNotFoundError) else 126)
        finally:
            os._exit(1)     # a child never returns into the sandbox

    def start(self, name):
        if os.access(COMMANDS[name][-1] if name == 'berthd' else COMMANDS[name][0], os.X_OK):
            self.pids[name] = self.spawn(COMMANDS[name], log=name)

    def reap(self):
        """Takes note of every end, plans restarts, carries out those that are due."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            self.ends[pid] = status
            for name, kept in list(self.pids.items()):
                if kept == pid:
                    del self.pids[name]
                    if not self.stopping:
                        self.restart_at[name] = time.monotonic() + RESTART_SECONDS
                        self.log('sandbox', f'{name} ended ({describe(status)}), starting it again')
        for name, when in list(self.restart_at.items()):
            if time.monotonic() >= when:
                del self.restart_at[name]
                self.start(name)

    def sleep(self, seconds=0.05):
        """Until something ends, a signal for us comes (returned), or the time is over."""
        if self.restart_at:
            seconds = min(seconds, RESTART_SECONDS / 2)
        got = signal.sigtimedwait(WAITED, seconds)
        self.reap()
        return got.si_signo if got and got.si_signo != signal.SIGCHLD else None

    def wait(self, pid, seconds=None):
        """The wait status of a child of ours, or None after that time or when the sandbox is told to end."""
        deadline = time.monotonic() + seconds if seconds is not None else None
        while pid not in self.ends:
            if deadline is not None and time.monotonic() > deadline:
                return None
            if self.sleep(0.05 if deadline is not None else 10) is not None:
                return None
        return self.ends[pid]

    def run(self, command, seconds, log='sandbox'):
        """A short command of the harness's own; its exit status, or 124."""
        pid = self.spawn(command, log=log, env=environment('root'))
        status = self.wait(pid, seconds)
        if status is None:
            os.kill(pid, signal.SIGKILL)
            self.wait(pid, END_SECONDS)
            return 124
        return os.waitstatus_to_exitcode(status)

    def log(self, name, line):
        with open(f'{tree.LOGS}/{name}', 'a', encoding='utf-8') as f:
            f.write(line + '\n')

    # The sandbox's life

    def begin(self):
        system.write(f'{tree.HOME}/bus/bus.conf', BUS_CONFIGURATION)
        system.write(f'{tree.HOME}/bus/hold', '#!/bin/sh\nexec setpriv --pdeathsig KILL sleep 30\n', 0o755)
        for bus_name in NAMES.values():
            system.write(f'{tree.HOME}/bus/{bus_name}.service',
                         f'[D-BUS Service]\nName={bus_name}\nExec={tree.HOME}/bus/hold\nUser=root\n')
        self.start('dbus-daemon')
        self._wait_until(lambda: os.path.exists('/run/dbus/system_bus_socket'), 'the bus')
        self.start('polkitd')
        self.start('berth-spawner')
        if 'berth-spawner' in self.pids:
            self._wait_until(lambda: os.path.exists('/run/berth/helpers/storage'), 'the spawner')
        self.start('berthd')
        for name in ('polkitd', 'berthd'):
            if name in self.pids and self.run(['/usr/bin/gdbus', 'wait', '--system', '--timeout', str(READY_SECONDS),
                                               NAMES[name]], READY_SECONDS + 5) != 0:
                raise RuntimeError(f'{name} did not appear on the bus')

    def _wait_until(self, condition, what):
        deadline = time.monotonic() + READY_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError(f'{what} did not come up')
            self.sleep(0.005)

    def end(self, names):
        """Ends these services, politely at first; returns the names of those that had to be killed."""
        self.stopping = True
        self.restart_at.clear()
        killed = []
        for name in names:
            pid = self.pids.pop(name, None)
            if pid is None:
                continue
            os.kill(pid, signal.SIGTERM)
            if self.wait_quietly(pid) is None:
                killed.append(name)
                os.kill(pid, signal.SIGKILL)
                self.wait_quietly(pid)
        return killed

    def wait_quietly(self, pid):
        """Like wait(), but a signal does not shorten it."""
        deadline = time.monotonic() + END_SECONDS
        while pid not in self.ends and time.monotonic() < deadline:
            self.sleep()
        return self.ends.get(pid)


WAITED = {signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP}


def describe(status):
    code = os.waitstatus_to_exitcode(status)
    return f'signal {-code}' if code < 0 else f'status {code}'
