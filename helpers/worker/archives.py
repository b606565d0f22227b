# SPDX-License-Identifier: LGPL-2.1-or-later
"""What test-worker.py makes its archives with, and how it runs the real worker."""
import contextlib, ctypes, io, json, os, shutil, struct, subprocess, tarfile, tempfile, unittest


class World:
    """Set by main(): the two programs, and a folder to work in."""
    run = worker = scratch = None


MiB = 1 << 20
libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, kind, flags=0, data=None):
    if libc.mount(source.encode(), target.encode(), kind and kind.encode(), flags, data and data.encode()) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


def info(name, kind=tarfile.REGTYPE, **attributes):
    i = tarfile.TarInfo(name)
    i.type = kind
    i.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    i.mtime = 1000000000
    for key, value in attributes.items():
        setattr(i, key, value)
    return i


def file(name, data=b'data', **attributes):
    return info(name, size=len(data), **attributes), data


def folder(name, **attributes):
    return info(name, tarfile.DIRTYPE, **attributes), None


def symlink(name, target, **attributes):
    return info(name, tarfile.SYMTYPE, linkname=target, **attributes), None


def hardlink(name, target):
    return info(name, tarfile.LNKTYPE, linkname=target), None


def device(name, kind=tarfile.CHRTYPE, major=1, minor=3):
    return info(name, kind, devmajor=major, devminor=minor), None


def tar(*entries, format=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=format, encoding='utf-8', errors='surrogateescape') as t:
        for i, data in entries:
            t.addfile(i, io.BytesIO(data) if data is not None else None)
    return out.getvalue()


def acl(*entries):
    """Value of system.posix_acl_*: (tag, permissions, ID or None)."""
    tags = {'user_obj': 1, 'user': 2, 'group_obj': 4, 'group': 8, 'mask': 16, 'other': 32}
    return struct.pack('<I', 2) + b''.join(
        struct.pack('<HHI', tags[t], p, 0xffffffff if i is None else i) for t, p, i in entries)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(dir=World.scratch)
        self.outside = tempfile.mkdtemp(dir=World.scratch)
        self.secret = os.path.join(self.outside, 'secret')
        with open(self.secret, 'w') as f:
            f.write('secret')
        self.tree = os.path.join(self.folder, 'tree')
        self.addCleanup(shutil.rmtree, self.outside)
        self.addCleanup(subprocess.run, ['rm', '-rf', self.folder], check=True)

    def run_worker(self, operation, archive=None, limits=None, folder=None):
        arguments = [World.run, World.worker, operation, folder or self.folder]
        with contextlib.ExitStack() as stack:
            stdin = subprocess.DEVNULL
            if archive is not None:
                stdin = stack.enter_context(tempfile.TemporaryFile(dir=World.scratch)) if isinstance(archive, bytes) else archive
                if isinstance(archive, bytes):
                    stdin.write(archive)
                    stdin.seek(0)
                arguments += ['-']
            if limits is not None:
                path = stack.enter_context(tempfile.NamedTemporaryFile('w', dir=World.scratch))
                path.write(limits if isinstance(limits, str) else limits[0])
                path.flush()
                os.chmod(path.name, 0o644 if isinstance(limits, str) else limits[1])
                os.chown(path.name, 0 if isinstance(limits, str) else limits[2], 0)
                arguments += [path.name]
            done = subprocess.run(arguments, stdin=stdin, stdout=subprocess.PIPE, timeout=300)
        self.assertEqual(done.returncode, 0)
        result = json.loads(done.stdout.decode().splitlines()[1])
        # How it ended must be what it said.
        self.assertEqual(result['status'], 0 if result['type'] == 'done' else 1, result)
        return result

    def unpack(self, archive, limits=None, **arguments):
        result = self.run_worker('unpack', archive, limits, **arguments)
        self.assertEqual((result['type'], result['error'], result['step']), ('done', '', ''), result)
        return result

    def refuse(self, archive, step, error, limits=None, type='bad-archive', **arguments):
        """Refused whole, and nothing outside is touched."""
        result = self.run_worker('unpack', archive, limits, **arguments)
        self.assertEqual((result['type'], result['step'], result['error']), (type, step, error), result)
        self.assertEqual(os.listdir(self.outside), ['secret'])
        with open(self.secret) as f:
            self.assertEqual(f.read(), 'secret')
        self.clear()
        return result

    def clear(self):
        """For the next archive; the worker's own deleting has tests of its own."""
        subprocess.run(['find', self.folder, '-mindepth', '1', '-delete'], check=True)

    def delete(self, folder=None):
        result = self.run_worker('delete', folder=folder)
        self.assertEqual(result['type'], 'done', result)
        self.assertEqual(os.listdir(folder or self.folder), [])
        return result

    def path(self, *names):
        return os.path.join(self.tree, *names)

    def lstat(self, *names):
        return os.lstat(self.path(*names))

    def read(self, *names):
        with open(self.path(*names), 'rb') as f:
            return f.read()


