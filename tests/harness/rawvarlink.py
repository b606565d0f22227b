# SPDX-License-Identifier: LGPL-2.1-or-later
"""Varlink by hand, as any user, for tests that send what no client would; and what a .varlink file declares."""

import array
import json
import os
import re
import socket

from . import accounts, check, system

WAIT_SECONDS = 10
MESSAGE_MAX = 64 * 1024


def interface(folder):
    """Of helpers/FOLDER: its name, and method -> {parameter: (type, may be null)}."""
    text, name = '', ''
    for entry in os.listdir(os.path.join(check.TOP, 'helpers', folder)):
        if entry.endswith('.varlink'):
            text, name = system.read(os.path.join(check.TOP, 'helpers', folder, entry)), entry[:-len('.varlink')]
    text = re.sub(r'#.*', '', text)
    found = {}
    for method, parameters in re.findall(r'^method (\w+)\(([^)]*)\)', text, re.MULTILINE):
        rows = re.findall(r'(\w+):\s*(\??)([\[\]\w]+)', parameters)
        found[method] = {key: (kind, bool(null)) for key, null, kind in rows}
    return name, found


def connect(path, uid=accounts.SERVICES['berth']):
    """A connection on which the peer sees uid; the caller is root."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    s.settimeout(WAIT_SECONDS)
    os.seteuid(uid)
    try:
        s.connect(path)
    except OSError:
        s.close()
        raise
    finally:
        os.seteuid(0)
    return s


def send(s, data, fds=()):
    try:
        if fds:
            s.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))])
        else:
            s.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass


def receive(s):
    """One message and its descriptors, closed; None when the other side closed without one, "silent" if neither comes."""
    data = b''
    while not data.endswith(b'\0'):
        try:
            more, fds, _, _ = socket.recv_fds(s, 65536, 253)
        except ConnectionResetError:
            return None
        except TimeoutError:
            return 'silent'
        for fd in fds:
            os.close(fd)
        if not more:
            return None
        data += more
    return json.loads(data[:-1].split(b'\0')[0])


def word(reply):
    """In a word: "closed", "silent", "done", "Error", "InvalidParameter PARAMETER", or "Error STEP ERRNO"."""
    if reply is None:
        return 'closed'
    if reply == 'silent':
        return reply
    if 'error' not in reply:
        return 'done'
    rest = reply.get('parameters', {})
    return ' '.join([reply['error'].rsplit('.', 1)[1], *(rest[key] for key in ('parameter', 'step', 'errnoName') if key in rest)])


def exchange(path, data, fds=(), uid=accounts.SERVICES['berth'], end=False):
    """Sends bytes on a connection of their own; what came back, in a word."""
    with connect(path, uid) as s:
        send(s, data, fds)
        if end:
            s.shutdown(socket.SHUT_WR)
        return word(receive(s))


def call(path, method, parameters, fds=(), uid=accounts.SERVICES['berth'], **more):
    return exchange(path, json.dumps({'method': method, 'parameters': parameters, **more}).encode() + b'\0', fds, uid)
