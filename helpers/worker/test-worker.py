#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real berth-worker, started as a supervisor would, on archives made to harm it. Runs as root.

test-worker.py TEST_RUN BERTH_WORKER SCRATCH none|asan|coverage [unittest arguments]
An instrumented worker has wider lists, more memory and its old root: nothing about these is proven there."""
import bz2, contextlib, gzip, io, json, lzma, os, shutil, stat, struct, subprocess, sys, tarfile, tempfile, time, unittest, zlib

from archives import World, Case, MiB, acl, device, file, folder, hardlink, info, libc, mount, symlink, tar

INSTRUMENT = sys.argv[4]
release = unittest.skipUnless(INSTRUMENT == 'none', 'instrumented')


class Hostile(Case):
    """Each of these is either unpacked harmlessly inside, or refused whole."""

    def test_dotdot(self):
        for name in '..', '../x', 'a/../x', 'a/..', './../x', '/../x', 'a/b/../../../x':
            self.refuse(tar(file('before'), file(name)), 'path with ..', 'EXDEV')
        self.unpack(tar(file('..a'), file('a..'), file('...'), file('a./.b/..c/d..')))
        self.assertEqual(sorted(os.listdir(self.tree)), ['...', '..a', 'a.', 'a..'])

    def test_absolute(self):
        self.unpack(tar(file(self.secret, b'unpacked'), file('//etc//passwd', b'x'), file('./././usr/./x')))
        self.assertEqual(self.read(self.secret[1:]), b'unpacked')
        self.assertEqual(self.read('etc/passwd'), b'x')
        self.assertEqual(self.read('usr/x'), b'data')

    def test_file_through_symlink(self):
        for target in self.outside, '/', '..', '../..', '.', 'folder', 'nowhere':
            for name in 'link/x', 'link/a/x', 'link/./x', 'link//x':
                self.refuse(tar(folder('folder'), symlink('link', target), file(name)), 'path through a symbolic link', 'ELOOP')
        self.refuse(tar(symlink('link', self.outside), folder('link/x')), 'path through a symbolic link', 'ELOOP')
        self.refuse(tar(symlink('link', self.outside), symlink('link/x', 'y')), 'path through a symbolic link', 'ELOOP')
        self.refuse(tar(symlink('a', 'b'), symlink('b', 'a'), file('a/x')), 'path through a symbolic link', 'ELOOP')

    def test_file_over_symlink(self):
        """The link is replaced, never written through; a folder over a link likewise."""
        self.unpack(tar(symlink('link', self.secret), file('link', b'new'), symlink('d', self.outside), folder('d'),
                        file('d/x')))
        self.assertEqual(self.read('link'), b'new')
        self.assertTrue(stat.S_ISREG(self.lstat('link').st_mode))
        self.assertTrue(stat.S_ISDIR(self.lstat('d').st_mode))
        self.assertEqual(os.listdir(self.outside), ['secret'])

    def test_replaced_folder(self):
        """A remembered parent is forgotten when it is replaced."""
        self.refuse(tar(folder('d'), file('d/x'), symlink('d', self.outside)), 'in place of a folder', 'EISDIR')
        self.refuse(tar(folder('d'), folder('d/e'), symlink('d/e', self.outside), file('d/e/x')),
                    'path through a symbolic link', 'ELOOP')
        self.refuse(tar(folder('d'), folder('d/e/f'), symlink('d/e/f', self.outside), file('d/e/f/x')),
                    'path through a symbolic link', 'ELOOP')

    def test_hard_link_outside(self):
        self.refuse(tar(hardlink('x', self.secret)), 'hard link to what is not there', 'ENOENT')
        self.refuse(tar(hardlink('x', '../' * 20 + self.secret[1:])), 'path with ..', 'EXDEV')
        self.refuse(tar(symlink('l', self.outside), hardlink('x', 'l/secret')), 'path through a symbolic link', 'ELOOP')
        self.refuse(tar(folder('d'), hardlink('x', 'd')), 'hard link to a folder', 'EPERM')
        self.refuse(tar(hardlink('x', '/')), 'hard link to a folder', 'EPERM')
        self.refuse(tar(file('x'), hardlink('x', './x')), 'hard link to itself', 'EINVAL')
        self.refuse(tar(file('x'), hardlink('y', 'x/z')), 'path through what is no folder', 'ENOTDIR')
        self.refuse(tar(hardlink('spool', '../spool')), 'path with ..', 'EXDEV')

    def test_hard_link_to_symlink(self):
        """A second name of the link itself; what it points to is not touched."""
        self.unpack(tar(symlink('l', self.secret), hardlink('x', 'l'), file('x', b'new')))
        self.assertEqual(os.readlink(self.path('l')), self.secret)
        self.assertEqual(self.read('x'), b'new')
        with open(self.secret) as f:
            self.assertEqual(f.read(), 'secret')

    def test_write_through_hard_link(self):
        self.unpack(tar(file('a', b'first'), hardlink('b', 'a'), file('b', b'second')))
        self.assertEqual((self.read('a'), self.read('b')), (b'first', b'second'))

    def test_path_through_file(self):
        self.refuse(tar(file('f'), file('f/x')), 'path through what is no folder', 'ENOTDIR')
        self.refuse(tar((info('p', tarfile.FIFOTYPE), None), file('p/x')), 'path through what is no folder', 'ENOTDIR')

    def test_root_entry(self):
        self.unpack(tar(folder('./', mode=0o711, uid=5, gid=6), file('x')))
        st = os.lstat(self.tree)
        self.assertEqual((stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, st.st_mtime), (0o711, 5, 6, 1000000000))
        self.clear()
        self.refuse(tar(symlink('./', self.outside)), 'the tree itself is no folder', 'EISDIR')
        self.refuse(tar(symlink('/', self.outside), file('x')), 'the tree itself is no folder', 'EISDIR')
        self.refuse(tar(hardlink('.', 'x')), 'the tree itself is no folder', 'EISDIR')

    def test_devices(self):
        """Left out and counted, overlay's whiteout (0, 0) among them; fifos are made."""
        result = self.unpack(tar(device('null'), device('sda', tarfile.BLKTYPE, 8, 0), device('whiteout', major=0, minor=0),
                                 (info('fifo', tarfile.FIFOTYPE, mode=0o640, uid=1, gid=2), None), file('x')))
        self.assertEqual(result['skipped'], 3)
        self.assertEqual(sorted(os.listdir(self.tree)), ['fifo', 'x'])
        st = self.lstat('fifo')
        self.assertTrue(stat.S_ISFIFO(st.st_mode))
        self.assertEqual((stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, st.st_mtime), (0o640, 1, 2, 1000000000))

    def test_foreign_ids(self):
        for uid, gid in (65536, 0), (0, 65536), (70000, 70000), (1879113728, 0), (0xffffffff, 0), (1 << 40, 0):
            self.refuse(tar(file('x', uid=uid, gid=gid, mode=0o4755)), 'owner or group beyond 65535', 'EOVERFLOW')
        self.refuse(tar(file('x', uid=-1), format=tarfile.GNU_FORMAT), 'owner or group beyond 65535', 'EOVERFLOW')
        self.unpack(tar(file('root', mode=0o4755), file('person', uid=1000, gid=1000, mode=0o6711), file('last', uid=65535, gid=65535)))
        for name, uid, mode in ('root', 0, 0o4755), ('person', 1000, 0o6711), ('last', 65535, 0o644):
            self.assertEqual((self.lstat(name).st_uid, stat.S_IMODE(self.lstat(name).st_mode)), (uid, mode))

    def test_truncated(self):
        whole = tar(file('a', b'x' * 3000), file('b', b'y' * 700), format=tarfile.USTAR_FORMAT)
        end = 512 + 3072 + 512 + 1024
        self.assertEqual(whole[end:].strip(b'\0'), b'')
        for size in 0, 100, 511, 513, 600, 2000, 512 + 3000, 512 + 3071, 512 + 3072 + 100, end - 1, end - 512:
            self.refuse(whole[:size], 'damaged or no tar archive', 'EBADMSG')
        for size in 512 + 3072, end:
            self.refuse(whole[:size], 'truncated', 'EBADMSG')
        self.unpack(whole[:end + 1024])
        self.clear()
        self.unpack(whole[:end + 512])
        self.clear()
        for compress in gzip.compress, bz2.compress, lzma.compress:
            packed = compress(tar(*[file(str(i), os.urandom(3000)) for i in range(100)]))
            for size in 10, len(packed) // 2, len(packed) * 9 // 10:
                self.refuse(packed[:size], 'damaged or no tar archive', 'EBADMSG')

    def test_damaged(self):
        whole = bytearray(tar(file('a', b'x' * 600), file('b')))
        whole[512 + 1024 + 3] ^= 1  # a header's name: its checksum is wrong now
        self.refuse(bytes(whole), 'damaged or no tar archive', 'EBADMSG')
        packed = bytearray(lzma.compress(tar(*[file(str(i), os.urandom(300)) for i in range(100)])))
        packed[len(packed) // 2] ^= 0xff
        self.refuse(bytes(packed), 'damaged or no tar archive', 'EBADMSG')
        self.refuse(b'hello, world' * 1000, 'damaged or no tar archive', 'EBADMSG')
        self.refuse(os.urandom(20000), 'damaged or no tar archive', 'EBADMSG')
        pax = bytearray(tar(file('a', pax_headers={'path': 'a', 'comment': 'c' * 30})))
        at = pax.index(b'comment') - 3
        pax[at:at + 2] = b'99'  # a record longer than the header
        self.refuse(bytes(pax), 'damaged or no tar archive', 'EBADMSG')

    def test_other_formats(self):
        tree = os.path.join(self.outside, 'tree')
        self.refuse(lzma.compress(tar(file('x')), lzma.FORMAT_ALONE), 'damaged or no tar archive', 'EBADMSG')
        self.refuse(b'begin 644 x\n' + b'#86)C\n`\nend\n', 'damaged or no tar archive', 'EBADMSG')
        self.refuse(b'070701' + b'0' * 200, 'damaged or no tar archive', 'EBADMSG')
        self.refuse(b'PK\3\4' + bytes(500), 'damaged or no tar archive', 'EBADMSG')
        self.assertFalse(os.path.exists(tree))

    def test_compressions(self):
        whole = tar(file('x', b'x' * 100000))
        zstd = subprocess.run(['zstd', '-q'], input=whole, stdout=subprocess.PIPE, check=True).stdout if shutil.which('zstd') else None
        for packed in gzip.compress(whole), bz2.compress(whole), lzma.compress(whole), zstd:
            if packed is not None:
                self.unpack(packed)
                self.assertEqual(self.read('x'), b'x' * 100000)
                self.clear()

    def test_symlink_text(self):
        self.unpack(tar(symlink('l', '../' * 1000), symlink('m', 'x' * 4095)))
        self.assertEqual(os.readlink(self.path('l')), '../' * 1000)
        self.clear()
        self.refuse(tar(symlink('m', 'x' * 4096)), 'text of a symbolic link', 'ENAMETOOLONG')


class Limits(Case):
    def sparse(self, size, name='sparse'):
        """GNU sparse 1.0 in pax: one byte of data in a file of this size."""
        body = f'1\n{size - 1}\n1\n'.encode().ljust(512, b'\0') + b'x'
        return info(name, size=len(body), pax_headers={
            'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': name, 'GNU.sparse.realsize': str(size)}), body

    def test_sparse(self):
        result = self.unpack(tar(self.sparse(10 << 30)))
        self.assertEqual(self.lstat('sparse').st_size, 10 << 30)
        self.assertLess(self.lstat('sparse').st_blocks * 512, MiB)
        self.assertLess(result['bytes'], MiB)

    def test_sparse_bomb(self):
        self.refuse(tar(self.sparse((20 << 30) + 1)), 'limit: apparent bytes', 'EFBIG')
        self.refuse(tar(self.sparse(1 << 62)), 'limit: apparent bytes', 'EFBIG')
        self.refuse(tar(*[self.sparse(9 << 30, str(i)) for i in range(3)]), 'limit: apparent bytes', 'EFBIG')
        self.refuse(tar(self.sparse(8193)), 'limit: apparent bytes', 'EFBIG', limits='archive.apparent = 8K\n')

    def test_sparse_map(self):
        """A map that goes backwards, or beyond the file."""
        for offsets in ((1000, 0), (0, 5000)):
            body = f'2\n{offsets[0]}\n512\n{offsets[1]}\n512\n'.encode().ljust(512, b'\0') + b'x' * 1024
            entry = info('s', size=len(body), pax_headers={
                'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 's', 'GNU.sparse.realsize': '4096'}), body
            result = self.run_worker('unpack', tar(entry))
            self.assertEqual((result['type'], result['error']), ('bad-archive', 'EBADMSG'), result)
            self.assertIn(result['step'], ('map of a sparse file', 'damaged or no tar archive'))
            self.clear()

    def test_entries(self):
        limits = 'archive.entries = 10\n'
        self.unpack(tar(*[file(str(i)) for i in range(10)]), limits)
        self.clear()
        self.refuse(tar(*[file(str(i)) for i in range(11)]), 'limit: entries', 'E2BIG', limits)
        # Folders that are made without an entry of their own, and entries that leave nothing, count as well.
        self.unpack(tar(file('1/2/3/4/5/6/7/8/9/x')), limits)
        self.clear()
        self.refuse(tar(file('1/2/3/4/5/6/7/8/9/10/x')), 'limit: entries', 'E2BIG', limits)
        self.refuse(tar(*[file('same') for i in range(11)]), 'limit: entries', 'E2BIG', limits)
        self.refuse(tar(*[device(str(i)) for i in range(11)]), 'limit: entries', 'E2BIG', limits)

    def test_depth(self):
        self.unpack(tar(folder('d/' * 256)))
        self.clear()
        self.refuse(tar(folder('d/' * 257)), 'limit: depth', 'ELOOP')
        self.refuse(tar(file('a/b/c/d')), 'limit: depth', 'ELOOP', 'archive.depth = 3\n')
        self.refuse(tar(file('x'), hardlink('y', 'a/b/c/x')), 'limit: depth', 'ELOOP', 'archive.depth = 3\n')

    def test_path(self):
        name = ('x' * 200 + '/') * 20 + 'y' * 75
        self.assertEqual(len(name), 4095)
        self.unpack(tar(file(name)))
        self.clear()
        self.refuse(tar(file(name + 'y')), 'limit: path', 'ENAMETOOLONG')
        self.refuse(tar(file('x' * 256)), 'limit: path', 'ENAMETOOLONG')
        self.refuse(tar(file('x' * 256 + '/y')), 'limit: path', 'ENAMETOOLONG')
        self.unpack(tar(file('a' * 255)), 'archive.path = 256\n')
        self.clear()
        self.refuse(tar(file('abc/def')), 'limit: path', 'ENAMETOOLONG', 'archive.path = 7\n')
        self.refuse(tar(file('x' * 600000)), 'limit: path', 'ENAMETOOLONG')

    def small_disk(self, size):
        target = tempfile.mkdtemp(dir=self.outside)
        mount('tmpfs', target, 'tmpfs', 0, f'size={size}')
        self.addCleanup(os.rmdir, target)
        self.addCleanup(subprocess.run, ['umount', target], check=True)
        probe = subprocess.run([World.run, World.worker, 'delete', target], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if probe.returncode == 77:
            self.skipTest('no ID-mapped mount of a tmpfs')
        return target

    def written(self, target, archive, limit, step, error):
        result = self.run_worker('unpack', archive, f'archive.written = {limit}\n', folder=target)
        self.assertEqual((result['type'], result['step'], result['error']), ('bad-archive', step, error), result)
        st = os.statvfs(target)
        self.assertLessEqual((st.f_blocks - st.f_bfree) * st.f_frsize, limit)
        self.delete(target)

    def test_written(self):
        target = self.small_disk(32 * MiB)
        step = 'limit: written bytes', 'EFBIG'
        self.written(target, tar(file('big', bytes(4 * MiB))), 2 * MiB, *step)
        self.written(target, tar(*[file(str(i), b'x') for i in range(1000)]), 2 * MiB, *step)
        self.written(target, tar(*[file(f'{i}/' + 'd/' * 20 + 'x', b'x' * 5000) for i in range(60)]), 2 * MiB, *step)
        self.written(target, tar(*[symlink(str(i), 'x' * 4000) for i in range(1000)]), 2 * MiB, *step)
        self.written(target, tar(*[folder(f'{i:01000}' .replace('0' * 200, '0' * 199 + '/')) for i in range(500)]), 2 * MiB, *step)
        # Holes cost nothing.
        self.run_worker('unpack', tar(self.sparse(1 << 30)), f'archive.written = 64K\n', folder=target)
        self.delete(target)

    def test_disk_full(self):
        target = self.small_disk(2 * MiB)
        result = self.run_worker('unpack', tar(file('big', bytes(4 * MiB))), folder=target)
        self.assertEqual((result['type'], result['step'], result['error']), ('failed', 'write', 'ENOSPC'))
        self.delete(target)

    def test_length(self):
        """A bomb of headers: nothing of it is kept, but somebody would have to read it."""
        comment = file('x', b'', pax_headers={'comment': 'c' * 900000})
        self.refuse(gzip.compress(tar(*[comment] * 40), 1), 'limit: length of the archive', 'EFBIG', 'archive.apparent = 16M\n')
        # The same in what is only skipped: the data of an entry that has none. More than one piece of the stream.
        linked = info('y', tarfile.LNKTYPE, linkname='x', size=1 << 40)
        head = tar(file('x'))[:1024] + linked.tobuf(tarfile.PAX_FORMAT)
        random = os.urandom(2 * MiB)
        result = self.refuse(gzip.compress(head + random + bytes(40 * MiB), 1), 'limit: length of the archive', 'EFBIG', 'archive.apparent = 1M\n')
        self.assertEqual(result['entries'], 2)

    @release
    def test_memory(self):
        """What is remembered does not grow with the archive."""
        few = self.unpack(tar(*[folder(f'{i:0200}') for i in range(100)]))
        self.clear()
        many = self.unpack(tar(*[folder(f'{i % 100:0200}/{i:0200}') for i in range(20000)]))
        self.assertGreater(many['progress'], 1)
        self.assertLess(many['memory'], few['memory'] + 2048)
        self.clear()

    @release
    def test_dictionary(self):
        """xz says in its header how much memory it wants."""
        packed = bytearray(lzma.compress(tar(file('x', bytes(3 * MiB))), check=lzma.CHECK_NONE,
                                         filters=[{'id': lzma.FILTER_LZMA2, 'dict_size': 1 << 20}]))
        # The block's header after the stream's 12 bytes: size, flags, filter 0x21, one byte of properties, padding, CRC.
        self.assertEqual(packed[14:16], b'\x21\x01')
        packed[16] = 38  # 2 GiB
        size = (packed[12] + 1) * 4
        packed[12 + size - 4:12 + size] = struct.pack('<I', zlib.crc32(packed[12:12 + size - 4]))
        result = self.refuse(bytes(packed), 'limit: memory', 'ENOMEM')
        self.assertLess(result['memory'], 64 * 1024)

    def test_limits_file(self):
        step = dict(step='read /etc/berth/limits.conf', type='failed')
        archive = tar(file('x'))
        for text in ('archive.entries = 0x10\n', 'archive.entries = -1\n', 'archive.entries\n', 'archive.wrong = 1\n',
                     'archive.entries = 1 1\n', 'archive.entries =\n', 'archive.path = 4097\n', 'archive.written = 99999999T\n',
                     'archive.entries = 5X\n', 'junk\n'):
            self.refuse_limits(archive, text, 'EUCLEAN')
        self.refuse_limits(archive, ('archive.entries = 5\n', 0o666, 0), 'EPERM')
        self.refuse_limits(archive, ('archive.entries = 5\n', 0o664, 0), 'EPERM')
        self.refuse_limits(archive, ('archive.entries = 5\n', 0o644, 1879113728), 'EPERM')  # the container's root
        self.refuse_limits(archive, ('archive.entries = 5\n', 0o644, 1879113728 + 1000), 'EPERM')
        self.refuse_limits(archive, '#' * 70000, 'EFBIG')
        self.unpack(archive, ' # a comment\n\n\tarchive.entries\t=  2  \narchive.written = 1M\nother.key = words = words\n')
        self.clear()

    def refuse_limits(self, archive, limits, error):
        result = self.run_worker('unpack', archive, limits)
        self.assertEqual((result['type'], result['step'], result['error']), ('failed', 'read /etc/berth/limits.conf', error))
        self.assertEqual(os.listdir(self.folder), [])


class Content(Case):
    def test_names(self):
        names = [b'plain', 'gr\u00fcn/\u00df'.encode(), b'latin \xfc', b'\xff' * 120, 'e\u0301'.encode(), b'new\nline', b'\x01\x7f', b'-rf',
                 b'*', b'\\', b'con%s%n']
        for format in tarfile.PAX_FORMAT, tarfile.GNU_FORMAT:
            entries = []
            for name in names:
                text = name.decode('utf-8', 'surrogateescape')
                entries += [file(text), symlink('s' + text.replace('/', ''), text), hardlink('h' + text.replace('/', ''), text)]
            self.unpack(tar(*entries, format=format))
            for name in names:
                flat = name.replace(b'/', b'')
                self.assertEqual(os.readlink(self.tree.encode() + b'/s' + flat), name)
                self.assertEqual(os.lstat(self.tree.encode() + b'/' + name).st_ino, os.lstat(self.tree.encode() + b'/h' + flat).st_ino)
            self.clear()

    def test_raw_names_of_gnu_tar(self):
        """pax as GNU tar writes it, with bytes that are no UTF-8 and no word about that."""
        source = os.path.join(self.outside, 'source').encode()
        os.mkdir(source)
        for name in b'latin \xfc', b'\xff' * 120:
            open(source + b'/' + name, 'w').close()
        os.symlink(b'\xfe' * 120, source + b'/link')
        for format in 'posix', 'gnu', 'oldgnu':
            packed = subprocess.run(['tar', '-C', source, '--format', format, '-cf', '-', '.'], stdout=subprocess.PIPE, check=True).stdout
            self.unpack(packed)
            self.assertEqual(sorted(os.listdir(self.tree.encode())), sorted(os.listdir(source)))
            self.assertEqual(os.readlink(self.tree.encode() + b'/link'), b'\xfe' * 120)
            self.clear()
        shutil.rmtree(source)

    def test_xattrs(self):
        capable = struct.pack('<IIIII', 0x02000001, 1 << 13, 0, 0, 0)
        headers = {'SCHILY.xattr.user.note': 'text', 'SCHILY.xattr.user.overlay.opaque': 'y', 'SCHILY.xattr.user.overlay.redirect': '/etc',
                   'SCHILY.xattr.trusted.overlay.opaque': 'y', 'SCHILY.xattr.trusted.x': 'y', 'SCHILY.xattr.security.selinux': 'x',
                   'SCHILY.xattr.security.capability': capable.decode('latin-1')}
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT, encoding='latin-1') as t:
            i, data = file('f', pax_headers=headers, mode=0o4755, uid=3)
            t.addfile(i, io.BytesIO(data))
            del headers['SCHILY.xattr.security.capability']
            t.addfile(info('d', tarfile.DIRTYPE, pax_headers=headers))
        self.unpack(out.getvalue())
        self.assertEqual(sorted(os.listxattr(self.path('f'))), ['security.capability', 'user.note'])
        self.assertEqual(os.getxattr(self.path('f'), 'user.note'), b'text')
        self.assertEqual(stat.S_IMODE(self.lstat('f').st_mode), 0o4755)
        # Unshifted on disk, as all is: root's of whichever namespace it is mounted for.
        value = os.getxattr(self.path('f'), 'security.capability')
        self.assertEqual(struct.unpack('<IIIII', value[:20])[1], 1 << 13)
        self.assertIn(value[20:], (b'', bytes(4)))
        self.assertEqual(os.listxattr(self.path('d')), ['user.note'])

    def test_bad_xattrs(self):
        self.refuse(tar(file('f', pax_headers={'SCHILY.xattr.security.capability': 'junk'})), 'extended attribute', 'EINVAL')
        self.refuse(tar(file('f', pax_headers={'SCHILY.xattr.user.' + 'n' * 251: 'x'})), 'extended attribute', 'ERANGE')
        self.refuse(tar(file('f', pax_headers={'SCHILY.xattr.user.x': 'x' * 65537})), 'extended attribute', 'E2BIG')

    def test_acls(self):
        access = 'user::rwx,user:1000:r-x,group::r-x,group:65535:---,mask::r-x,other::---'
        default = 'user::rwx,group::r-x,group:7:rwx,mask::rwx,other::r-x'
        named = lambda text: text.replace('user:1000:', 'user:joe:').replace('r-x,group::', 'r-x:1000,group::')
        self.unpack(tar(folder('d', mode=0o750, pax_headers={'SCHILY.acl.access': access, 'SCHILY.acl.default': default}),
                        file('d/f', mode=0o640), folder('d/sub', mode=0o700), file('d/implicit/x'),
                        file('g', mode=0o750, pax_headers={'SCHILY.acl.access': named(access)})))
        expected = acl(('user_obj', 7, None), ('user', 5, 1000), ('group_obj', 5, None), ('group', 0, 65535), ('mask', 5, None),
                       ('other', 0, None))
        self.assertEqual(os.getxattr(self.path('d'), 'system.posix_acl_access'), expected)
        self.assertEqual(os.getxattr(self.path('g'), 'system.posix_acl_access'), expected)
        self.assertEqual(os.getxattr(self.path('d'), 'system.posix_acl_default'),
                         acl(('user_obj', 7, None), ('group_obj', 5, None), ('group', 7, 7), ('mask', 7, None), ('other', 5, None)))
        # Nothing inherits what was there only at the end.
        for name in 'd/f', 'd/sub', 'd/implicit', 'd/implicit/x':
            self.assertEqual(os.listxattr(self.path(name)), [])
        self.assertEqual(self.lstat('d').st_mtime, 1000000000)

    def test_bad_acls(self):
        step = 'ACL entry without a number of 0 to 65535', 'EOVERFLOW'
        for who in 'joe', '65536', '4294967295':
            self.refuse(tar(file('x', pax_headers={'SCHILY.acl.access': f'user::rwx,user:{who}:rwx,group::r-x,mask::rwx,other::r-x'})), *step)
        self.refuse(tar(file('x', pax_headers={'SCHILY.acl.access': 'user::rwx,user:5:rwx,group::r-x,other::r-x'})), 'ACL', 'EINVAL')
        many = 'user::rwx,' + ''.join(f'user:{i}:rwx,' for i in range(3000)) + 'group::r-x,mask::rwx,other::r-x'
        self.refuse(tar(file('x', pax_headers={'SCHILY.acl.access': many})), 'ACL with too many entries', 'E2BIG')

    def test_modes_and_times(self):
        self.unpack(tar(folder('closed', mode=0, mtime=5), file('closed/x', mode=0, mtime=6.25, pax_headers={'mtime': '6.25'}),
                        folder('closed/in', mode=0o1777), file('closed/in/y'), folder('set', mode=0o2775, gid=9), folder('set/sub'),
                        symlink('link', 'x', mtime=7, uid=8), file('old', mtime=-5, pax_headers={'mtime': '-5'}),
                        file('late', pax_headers={'mtime': '4000000000.5'})))
        self.assertEqual([(stat.S_IMODE(self.lstat(n).st_mode), self.lstat(n).st_mtime) for n in ('closed', 'closed/x', 'closed/in')],
                         [(0, 5), (0, 6.25), (0o1777, 1000000000)])
        self.assertEqual((stat.S_IMODE(self.lstat('set').st_mode), self.lstat('set').st_gid), (0o2775, 9))
        self.assertEqual((stat.S_IMODE(self.lstat('set/sub').st_mode), self.lstat('set/sub').st_gid), (0o755, 0))
        self.assertEqual((self.lstat('link').st_mtime, self.lstat('link').st_uid), (7, 8))
        self.assertEqual((self.lstat('old').st_mtime, self.lstat('late').st_mtime), (-5, 4000000000.5))
        self.clear()

    def test_implicit_folders(self):
        self.unpack(tar(file('a/b/x', uid=5), folder('a', mode=0o700, uid=6)))
        self.assertEqual((stat.S_IMODE(self.lstat('a').st_mode), self.lstat('a').st_uid), (0o700, 6))
        self.assertEqual((stat.S_IMODE(self.lstat('a/b').st_mode), self.lstat('a/b').st_uid), (0o755, 0))

    def test_hard_links(self):
        self.unpack(tar(file('a/x', b'1' * 5000, mode=0o4711, uid=4), hardlink('b/y', 'a/x'), hardlink('/c', './a/x')))
        self.assertEqual({self.lstat(n).st_ino for n in ('a/x', 'b/y', 'c')}, {self.lstat('c').st_ino})
        self.assertEqual((self.lstat('c').st_nlink, stat.S_IMODE(self.lstat('c').st_mode)), (3, 0o4711))

    def test_as_gnu_tar_packs(self):
        """Everything at once, packed by GNU tar from a real tree, in each of its formats."""
        source = os.path.join(self.outside, 'source')
        os.makedirs(source + '/a/b')
        with open(source + '/a/holes', 'wb') as f:
            for i in range(6):
                f.seek(i * MiB)
                f.write(b'x' * 5000)
            f.truncate(20 * MiB)
        os.link(source + '/a/holes', source + '/a/b/link')
        os.symlink('../a', source + '/a/b/symlink')
        os.mkfifo(source + '/fifo')
        os.setxattr(source + '/a', 'user.x', b'\0\xff')
        os.setxattr(source + '/a/b', 'system.posix_acl_default',
                    acl(('user_obj', 7, None), ('user', 7, 4242), ('group_obj', 5, None), ('mask', 7, None), ('other', 5, None)))
        os.chown(source + '/a', 11, 12)
        for format in 'v7', 'oldgnu', 'gnu', 'ustar', 'posix':
            options = {'v7': [], 'ustar': [], 'posix': ['-S', '--xattrs', '--acls']}.get(format, ['-S'])
            packed = subprocess.run(['tar', '-C', source, '--format', format, '--numeric-owner', *options, '-cf', '-',
                                     '--', *(['a'] if format == 'v7' else ['.'])],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True).stdout
            self.unpack(packed)
            with open(source + '/a/holes', 'rb') as f:
                self.assertEqual(self.read('a/holes'), f.read())
            if format not in ('v7', 'ustar'):
                self.assertLess(self.lstat('a/holes').st_blocks * 512, 2 * MiB)
            self.assertEqual(self.lstat('a/b/link').st_ino, self.lstat('a/holes').st_ino)
            self.assertEqual(os.readlink(self.path('a/b/symlink')), '../a')
            self.assertEqual((self.lstat('a').st_uid, self.lstat('a').st_gid), (11, 12))
            if format == 'posix':
                self.assertEqual(os.getxattr(self.path('a'), 'user.x'), b'\0\xff')
                self.assertEqual(os.getxattr(self.path('a/b'), 'system.posix_acl_default'),
                                 os.getxattr(source + '/a/b', 'system.posix_acl_default'))
            self.clear()
        shutil.rmtree(source)

    def test_tree_exists(self):
        os.mkdir(self.tree)
        result = self.run_worker('unpack', tar(file('x')))
        self.assertEqual((result['type'], result['step'], result['error']), ('failed', 'make tree', 'EEXIST'))
        self.assertEqual(os.listdir(self.tree), [])


class Delete(Case):
    def test_after_refusal(self):
        """What a refused archive has left is gone after the deleter, as in the service."""
        result = self.run_worker('unpack', tar(folder('closed', mode=0), file('closed/x', mode=0), symlink('l', self.outside),
                                               file('a/b/c', b'x' * 100000), file('../x')))
        self.assertEqual(result['step'], 'path with ..')
        self.assertNotEqual(os.listdir(self.folder), [])
        self.delete()
        self.assertEqual(os.listdir(self.outside), ['secret'])

    def test_deep(self):
        """Deeper than a path can be long, wider than a buffer, in spite of all modes."""
        here = os.open(self.folder, os.O_RDONLY)
        for i in range(3000):
            os.mkdir('d' * 200, dir_fd=here)
            if i % 500 == 0:
                for k in range(1500):
                    os.close(os.open(f'file-with-a-long-name-{k}', os.O_CREAT, 0o000, dir_fd=here))
                    if k % 10 == 0:
                        os.mkdir(f'folder-{k}', dir_fd=here)
                        os.mkdir(f'folder-{k}/in', dir_fd=here)
            there = os.open('d' * 200, os.O_RDONLY, dir_fd=here)
            os.close(here)
            os.fchmod(there, 0o000)
            here = there
        os.close(here)
        result = self.delete()
        self.assertGreater(result['entries'], 12000)

    def test_links(self):
        target = os.path.join(self.outside, 'folder')
        os.mkdir(target)
        os.symlink(self.outside, os.path.join(self.folder, 'folder'))
        os.symlink(self.secret, os.path.join(self.folder, 'file'))
        os.symlink('/', os.path.join(self.folder, 'root'))
        os.symlink('..', os.path.join(self.folder, 'up'))
        os.link(self.secret, os.path.join(self.folder, 'hard'))
        self.delete()
        self.assertEqual(sorted(os.listdir(self.outside)), ['folder', 'secret'])

    def test_kinds_and_names(self):
        for name in b'\xff', b'-rf', b'a\nb', b' ', b'...', b'*', b'\\':
            os.mkdir(self.folder.encode() + b'/' + name)
            os.mkfifo(self.folder.encode() + b'/' + name + b'/fifo')
            os.mknod(self.folder.encode() + b'/' + name + b'/device', stat.S_IFCHR | 0o600, os.makedev(1, 3))
            os.chown(self.folder.encode() + b'/' + name, 4242, 4242)
            os.chmod(self.folder.encode() + b'/' + name, 0o1000)
        self.assertEqual(self.delete()['entries'], 21)

    def test_foreign_owner(self):
        """What is not in the range is not the worker's to delete: told, and left."""
        os.mkdir(os.path.join(self.folder, 'foreign'))
        os.mkdir(os.path.join(self.folder, 'foreign', 'x'))
        os.chown(os.path.join(self.folder, 'foreign'), 100000, 100000)
        result = self.run_worker('delete')
        self.assertEqual(result['type'], 'failed', result)
        self.assertTrue(os.path.isdir(os.path.join(self.folder, 'foreign', 'x')))


class Cage(Case):
    def start(self, archive):
        p = subprocess.Popen([World.run, World.worker, 'unpack', self.folder, '-'], stdin=archive, stdout=subprocess.PIPE, text=True)
        return p, int(p.stdout.readline())

    def waiting(self):
        """A worker that has read an archive out of a pipe up to the middle of its second file, and waits for the rest."""
        r, w = os.pipe()
        p, pid = self.start(r)
        os.close(r)
        os.write(w, tar(file('first'), file('second'))[:1700])
        deadline = time.monotonic() + 20
        while not os.path.exists(self.path('second')):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        return p, pid, w

    @release
    def test_confinement(self):
        p, pid, w = self.waiting()
        with open(f'/proc/{pid}/status') as f:
            status = dict(line.rstrip('\n').split(':\t', 1) for line in f if ':\t' in line)
        capabilities = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 31  # CHOWN DAC_OVERRIDE FOWNER FSETID SETFCAP
        self.assertEqual(int(status['CapEff'], 16), capabilities)
        self.assertEqual(int(status['CapPrm'], 16), capabilities)
        for name in 'CapInh', 'CapBnd', 'CapAmb':
            self.assertEqual(int(status[name], 16), 0, name)
        self.assertEqual((status['Seccomp'], status['NoNewPrivs']), ('2', '1'))
        self.assertEqual(status['Uid'].split(), ['1879113728'] * 4)
        # The folder is all that there is, and no descriptor leads elsewhere.
        here = os.stat(self.folder)
        for link in 'root', 'cwd':
            seen = os.stat(f'/proc/{pid}/{link}/.')
            self.assertEqual((seen.st_dev, seen.st_ino), (here.st_dev, here.st_ino))
        with open(f'/proc/{pid}/mountinfo') as f:
            self.assertEqual(len(f.readlines()), 1)
        for fd in os.listdir(f'/proc/{pid}/fd'):
            target = os.readlink(f'/proc/{pid}/fd/{fd}')
            st = os.stat(f'/proc/{pid}/fd/{fd}')
            if int(fd) < 3:
                self.assertEqual(target, '/dev/null')
            elif int(fd) == 3:
                self.assertTrue(stat.S_ISSOCK(st.st_mode))
            elif int(fd) == 5:
                self.assertTrue(stat.S_ISFIFO(st.st_mode))
            else:
                self.assertEqual(st.st_dev, here.st_dev)
        os.close(w)
        result = json.loads(p.communicate()[0])
        self.assertEqual((result['type'], result['step']), ('bad-archive', 'damaged or no tar archive'))

    def test_supervisor_gone(self):
        """Nobody listens any more: the worker ends by itself."""
        p, pid, w = self.waiting()
        p.kill()
        p.wait()
        p.stdout.close()
        os.write(w, tar(file('first'), file('second'))[1700:2048])
        deadline = time.monotonic() + 20
        with self.assertRaises(BrokenPipeError):  # python ignores SIGPIPE
            while time.monotonic() < deadline:
                os.write(w, tar(file('more'))[:1024])
                time.sleep(0.01)
        os.close(w)

    def test_pipe(self):
        """A pipe is read to its end, so that who writes into it is not ended by SIGPIPE in the archive's padding."""
        r, w = os.pipe()
        p, pid = self.start(r)
        os.close(r)
        with os.fdopen(w, 'wb') as f:
            f.write(tar(file('x', bytes(300000))) + bytes(500000))
        result = json.loads(p.communicate()[0])
        self.assertEqual((result['type'], result['entries']), ('done', 1))

    def test_nonblocking_pipe(self):
        r, w = os.pipe()
        os.set_blocking(r, False)
        p, pid = self.start(r)
        os.close(r)
        whole = tar(file('x', b'y' * 3000))
        for i in range(0, len(whole), 1500):
            os.write(w, whole[i:i + 1500])
            time.sleep(0.02)
        os.close(w)
        self.assertEqual(json.loads(p.communicate()[0])['type'], 'done')

    def test_archive_descriptor(self):
        step = 'archive is no file, pipe or socket'
        for path, flags, error in (self.outside, os.O_RDONLY, 'EINVAL'), ('/dev/zero', os.O_RDONLY, 'EINVAL'), \
                (self.secret, os.O_PATH, 'EBADF'), (self.secret, os.O_WRONLY, 'EBADF'):
            fd = os.open(path, flags)
            self.refuse(fd, step, error)
            os.close(fd)


def private_mounts():
    if os.geteuid() != 0:
        print('skipped: needs root')
        sys.exit(77)
    if libc.unshare(0x00020000) != 0:
        print('skipped: needs a mount namespace of its own')
        sys.exit(77)
    mount('none', '/', None, 0x4000 | 0x40000)


def can_idmap(path):
    return subprocess.run([World.run, World.worker, 'delete', path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode != 77


def main():
    """All of it on a tmpfs, where the kernel has ID-mapped mounts of one, because that is fast; what is about content on
    the disk as well. On an older kernel all of it on the disk."""
    private_mounts()
    World.run, World.worker, SCRATCH = map(os.path.abspath, sys.argv[1:4])
    World.scratch = SCRATCH = tempfile.mkdtemp(dir=SCRATCH, prefix='test-worker-')
    os.chmod(SCRATCH, 0o755)
    disk = can_idmap(SCRATCH)
    ok = True
    if disk and len(sys.argv) == 5:
        ok = unittest.main(argv=[sys.argv[0], 'Content'], exit=False).result.wasSuccessful()
    mount('tmpfs', SCRATCH, 'tmpfs')
    if not can_idmap(SCRATCH):
        subprocess.run(['umount', SCRATCH], check=True)
        if not disk:
            print('skipped: no ID-mapped mounts')
            os.rmdir(SCRATCH)
            sys.exit(77)
    ok = unittest.main(argv=[sys.argv[0], *sys.argv[5:]], exit=False).result.wasSuccessful() and ok
    subprocess.run(['umount', '-q', SCRATCH])
    os.rmdir(SCRATCH)
    sys.exit(0 if ok else 1)


if __name__ == '__main__':
    main()
