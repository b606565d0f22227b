# SPDX-License-Identifier: LGPL-2.1-or-later
"""For tests in Python: the lines that tests/run counts, the sandbox around the test, and calls on the bus as somebody."""

import os
import pickle
import subprocess
import sys

from . import accounts, bus

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_failed = 0


def in_sandbox(images=''):
    """Runs the calling script again in a sandbox, unless it is in one."""
    if 'BERTH_SANDBOX' not in os.environ:
        sandbox = os.path.join(TOP, 'tests', 'sandbox')
        os.execv(sandbox, [sandbox, '--images', images, '--', os.path.abspath(sys.argv[0]), *sys.argv[1:]])


def ok(condition, text, detail=''):
    """Prints the verdict; what else is known goes below it when it is bad."""
    global _failed
    print(f'{"ok" if condition else "not ok"} - {text}', flush=True)
    if not condition:
        _failed += 1
        for line in str(detail).splitlines():
            print(f'#   {line}', flush=True)
    return bool(condition)


def equal(got, wanted, text):
    return ok(got == wanted, text, f'got    {got!r}\nwanted {wanted!r}')


def skip(text, reason):
    print(f'skip - {text} - {reason}', flush=True)


def done():
    sys.exit(1 if _failed else 0)


def become(user):
    """This process, for good: a person, a service, root, or a bare ID."""
    if isinstance(user, int):
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        return
    known = {'root': 0, **accounts.SERVICES, **{name: uid for name, (uid, _) in accounts.PEOPLE.items()}}
    uid = known[user]
    os.initgroups(user, uid)
    os.setgid(uid)
    os.setuid(uid)


def as_user(user, function, *arguments):
    """Calls a function in a child that has become that user; returns (value, None) or (None, exception)."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            become(user)
            outcome = (function(*arguments), None)
        except BaseException as e:  # pylint: disable=broad-except
            outcome = (None, e)
        try:
            data = pickle.dumps(outcome)
        except Exception:           # pylint: disable=broad-except
            data = pickle.dumps((None, RuntimeError(repr(outcome))))
        with os.fdopen(writer, 'wb') as f:
            f.write(data)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, 'rb') as f:
        data = f.read()
    os.waitpid(pid, 0)
    return pickle.loads(data)


def run(*command, user='root', data=None, seconds=60):
    """A command as somebody; CompletedProcess with text output."""
    return subprocess.run(command, capture_output=True, text=True, input=data, timeout=seconds, check=False,
                          preexec_fn=None if user == 'root' else lambda: become(user))


def berth(*arguments, user='member', **more):
    return run('/usr/bin/berth', *arguments, user=user, **more)


def _call(path, interface, member, signature, arguments):
    return bus.Bus().call(path, interface, member, signature, *arguments)


def call(user, path, interface, member, signature='', *arguments):
    """A D-Bus call as somebody. Returns its value, or the Refused."""
    value, error = as_user(user, _call, path, interface, member, signature, arguments)
    if error is None:
        return value
    if isinstance(error, bus.Refused):
        return error
    raise error


def outcome(value):
    """What a call came to, in a word: an error's name without its usual prefixes, or "done"."""
    if isinstance(value, bus.Refused):
        for prefix in ('org.berth1.Error.', 'org.freedesktop.DBus.Error.'):
            if value.name.startswith(prefix):
                return value.name[len(prefix):]
        return value.name
    return 'done'
