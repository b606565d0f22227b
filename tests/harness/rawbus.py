# SPDX-License-Identifier: LGPL-2.1-or-later
"""D-Bus by hand, for tests that send what no library lets through. A value is Python's own for its signature: a variant
is (signature, value), a dictionary a dict or a list of pairs, a string str or raw bytes, a descriptor an int or Index."""

import array
import os
import socket
import struct

SOCKET = '/run/dbus/system_bus_socket'
BERTH = 'org.berth1'
CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
NO_REPLY = 1
ALIGNMENT = {'y': 1, 'b': 4, 'n': 2, 'q': 2, 'i': 4, 'u': 4, 'x': 8, 't': 8, 'd': 8, 's': 4, 'o': 4, 'g': 1, 'a': 4, '(': 8,
             '{': 8, 'v': 1, 'h': 4}
FORMATS = {'y': 'B', 'b': 'I', 'n': 'h', 'q': 'H', 'i': 'i', 'u': 'I', 'x': 'q', 't': 'Q', 'd': 'd', 'h': 'I'}
WAIT_SECONDS = 30


class Index(int):
    """The number of a descriptor as it goes over the wire, right or wrong."""


def first_type(signature):
    """Splits one complete type off."""
    if signature[0] == 'a':
        one, rest = first_type(signature[1:])
        return 'a' + one, rest
    if signature[0] in '({':
        depth = 0
        for i, c in enumerate(signature):
            depth += (c in '({') - (c in ')}')
            if depth == 0:
                return signature[:i + 1], signature[i + 1:]
    return signature[0], signature[1:]


def types(signature):
    found = []
    while signature:
        one, signature = first_type(signature)
        found.append(one)
    return found


class Writer:
    def __init__(self):
        self.data = bytearray()
        self.fds = []

    def pad(self, n):
        self.data += b'\0' * (-len(self.data) % n)

    def put(self, one, value):
        code = one[0]
        self.pad(ALIGNMENT[code])
        if code == 'h' and not isinstance(value, Index):
            self.fds.append(value)
            value = len(self.fds) - 1
        if code in FORMATS:
            self.data += struct.pack('<' + FORMATS[code], value)
        elif code in 'so':
            text = value if isinstance(value, bytes) else value.encode()
            self.data += struct.pack('<I', len(text)) + text + b'\0'
        elif code == 'g':
            self.data += bytes([len(value)]) + value.encode() + b'\0'
        elif code == 'v':
            self.put('g', value[0])
            self.put(value[0], value[1])
        elif code == 'a':
            self.put_array(one[1:], value)
        else:
            for kind, part in zip(types(one[1:-1]), value):
                self.put(kind, part)

    def put_array(self, one, value):
        at = len(self.data)
        self.data += b'\0\0\0\0'
        self.pad(ALIGNMENT[one[0]])
        start = len(self.data)
        for item in value.items() if isinstance(value, dict) else value:
            self.put(one, item)
        self.data[at:at + 4] = struct.pack('<I', len(self.data) - start)

    def put_all(self, signature, values):
        for one, value in zip(types(signature), values):
            self.put(one, value)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def pad(self, n):
        self.at += -self.at % n

    def take(self, n):
        self.at += n
        return self.data[self.at - n:self.at]

    def get(self, one):
        code = one[0]
        self.pad(ALIGNMENT[code])
        if code in FORMATS:
            n = struct.calcsize('<' + FORMATS[code])
            return struct.unpack('<' + FORMATS[code], self.take(n))[0]
        if code in 'so':
            return self.take(self.get('u') + 1)[:-1].decode()
        if code == 'g':
            return self.take(self.get('y') + 1)[:-1].decode()
        if code == 'v':
            return self.get(self.get('g'))
        if code == 'a':
            end = self.get('u')
            self.pad(ALIGNMENT[one[1]])
            end += self.at
            items = []
            while self.at < end:
                items.append(self.get(one[1:]))
            return dict(items) if one[1] == '{' else items
        return tuple(self.get(kind) for kind in types(one[1:-1]))


class Message:
    def __init__(self, kind, fields, body, fds):
        self.kind, self.fields, self.fds = kind, fields, fds
        reader = Reader(body)
        self.values = [reader.get(one) for one in types(fields.get(8, ''))]

    def outcome(self):
        """An error's name without its usual prefixes, or "done"."""
        name = self.fields.get(4)
        if self.kind != ERROR:
            return 'done'
        for prefix in ('org.berth1.Error.', 'org.freedesktop.DBus.Error.'):
            name = name.removeprefix(prefix)
        return name

    def close(self):
        for fd in self.fds:
            os.close(fd)


def compose(kind, serial, fields, signature='', values=(), flags=0):
    body = Writer()
    body.put_all(signature, values)
    rows = [(code, ({1: 'o', 5: 'u'}.get(code, 's'), value)) for code, value in fields.items()]
    if signature:
        rows.append((8, ('g', signature)))
    if body.fds:
        rows.append((9, ('u', len(body.fds))))
    head = Writer()
    head.put_all('yyyyuua(yv)', [ord('l'), kind, flags, 1, len(body.data), serial, rows])
    head.pad(8)
    return bytes(head.data) + bytes(body.data), body.fds


class Connection:
    """One connection, as uid if given (the caller must be root then: the bus sees who connects)."""

    def __init__(self, uid=None):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.socket.settimeout(WAIT_SECONDS)
        self.serial, self.data, self.fds, self.pending = 0, b'', [], {}
        self.others = []
        if uid:
            os.seteuid(uid)
        try:
            self.socket.connect(SOCKET)
            self.socket.sendall(b'\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n')
        finally:
            os.seteuid(0) if uid else None
        text = b''
        while text.count(b'\r\n') < 3:
            more = self.socket.recv(4096)
            if not more:
                raise ConnectionError('the bus takes no more connections')
            text += more
        self.name = self.wait(self.send('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus', 'Hello')).values[0]

    def close(self):
        self.socket.close()
        for fd in self.fds:
            os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send_raw(self, data, fds=()):
        if fds:
            n = self.socket.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))])
            data = data[n:]
        self.socket.sendall(data)

    def send(self, destination, path, interface, member, signature='', values=(), flags=0, kind=CALL):
        self.serial += 1
        fields = {1: path, 2: interface, 3: member, 6: destination}
        self.send_raw(*compose(kind, self.serial, {k: v for k, v in fields.items() if v is not None}, signature, values, flags))
        return self.serial

    def receive(self):
        """The next message, or None when the bus has closed the connection."""
        while True:
            if len(self.data) >= 16:
                body, _, rows = struct.unpack_from('<III', self.data, 4)
                head = 16 + rows + (-rows % 8)
                if len(self.data) >= head + body:
                    reader = Reader(self.data[:head])
                    kind = self.data[1]
                    reader.at = 12
                    fields = dict(reader.get('a(yv)'))
                    n = fields.get(9, 0)
                    message = Message(kind, fields, self.data[head:head + body], self.fds[:n])
                    self.data, self.fds = self.data[head + body:], self.fds[n:]
                    return message
            try:
                data, fds, _, _ = socket.recv_fds(self.socket, 65536, 16)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self.data += data
            self.fds += fds

    def wait(self, serial):
        """The reply to a call; None when the bus has closed the connection."""
        while serial not in self.pending:
            message = self.receive()
            if message is None:
                return None
            if message.kind in (RETURN, ERROR):
                self.pending[message.fields[5]] = message
            else:
                self.others.append(message)
                message.close()
        return self.pending.pop(serial)

    def call(self, path, interface, member, signature='', *values):
        """A call to Berth; the reply, or None."""
        if '.' not in interface:
            interface = f'{BERTH}.{interface}'
        try:
            return self.wait(self.send(BERTH, path, interface, member, signature, values))
        except (BrokenPipeError, ConnectionResetError):
            return None

    def outcome(self, *arguments):
        """What a call comes to, in a word; "closed" when the bus closes the connection over it."""
        message = self.call(*arguments)
        if message is None:
            return 'closed'
        message.close()
        return message.outcome()
