# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls to org.berth1, for the harness and for tests. The D-Bus module is loaded by the process that calls, which is
always a child: a sandbox itself stays small."""

import os
import signal
import time

NAME, ROOT = 'org.berth1', '/org/berth1'
CALL_SECONDS = 60
JOB_SECONDS = 300


class Refused(Exception):
    """A D-Bus error: its name and its message."""

    @property
    def name(self):
        return self.args[0]


def plain(value):
    """dbus-python's types to Python's own; descriptors become numbers that are ours to close."""
    import dbus   # pylint: disable=import-outside-toplevel
    if isinstance(value, dbus.types.UnixFd):
        return value.take()
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dbus.Boolean):
        return bool(value)
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


class Bus:
    """A connection of the calling process's own."""

    def __init__(self):
        import dbus   # pylint: disable=import-outside-toplevel
        self.dbus = dbus
        self.connection = dbus.SystemBus(private=True)

    def call(self, path, interface, member, signature='', *arguments):
        return self.call_at(NAME, path, f'{NAME}.{interface}' if '.' not in interface else interface, member, signature,
                            *arguments)

    def call_at(self, name, path, interface, member, signature='', *arguments):
        try:
            return plain(self.connection.call_blocking(name, path, interface, member, signature, arguments,
                                                       timeout=CALL_SECONDS))
        except self.dbus.DBusException as e:
            raise Refused(e.get_dbus_name(), e.get_dbus_message()) from None

    def manager(self, member, signature='', *arguments):
        return self.call(ROOT, 'Manager', member, signature, *arguments)

    def get(self, path, interface, name):
        return self.call(path, 'org.freedesktop.DBus.Properties', 'Get', 'ss', f'{NAME}.{interface}', name)

    def finish(self, job):
        """A job's result word; Refused if it failed."""
        deadline = time.monotonic() + JOB_SECONDS
        while time.monotonic() < deadline:
            result = self.get(job, 'Job', 'Result')
            if result in ('failed', 'cancelled'):
                raise Refused(*self.get(job, 'Job', 'Error'))
            if result:
                return result
            time.sleep(0.01)
        raise Refused('org.berth1.Error.TimedOut', f'{job} did not end')

    def import_image(self, name, archive):
        with open(archive, 'rb') as f:
            return self.finish(self.manager('ImportImage', 'sha{sv}', name, self.dbus.types.UnixFd(f), {}))

    def kill_all(self):
        """Ends every container, one after the other."""
        for _, path, state, _ in self.manager('ListContainers', 'a{sv}', {}):
            if state != 'stopped':
                try:
                    self.call(path, 'Container', 'Kill', 'ia{sv}', int(signal.SIGKILL), {})
                except Refused as e:
                    if not e.name.endswith('.NotRunning'):
                        raise


def main(verb, *arguments):
    """What the harness does through the bus, as the body of a child of its own; returns an exit status."""
    try:
        getattr(Bus(), verb)(*arguments)
        return 0
    except Refused as e:
        os.write(2, f'{verb} {" ".join(arguments)}: {e.args[0]}: {e.args[1]}\n'.encode())
        return 1
