# SPDX-License-Identifier: LGPL-2.1-or-later
"""A machine of its own for tests of the supervisor, which stand in for berthd and all helpers: private mounts over /run, /etc
and the cgroup hierarchies, one container at a time. Nothing of the real machine changes but child cgroups, which are removed."""

import array
import ctypes
import errno
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

INSIDE = "BERTH_TEST_INSIDE"
BERTH = 9001
FIRST, SLOTS = 1500000000, 4
RANGE = 65536
IDS = 65536
CREATION = "0123456789abcdef0123456789abcdef"
CGROUPS = pathlib.Path("/sys/fs/cgroup")
SLOT_LOCKS = pathlib.Path("/run/berth/slots")
# CHOWN of the row is not the supervisor's; SYS_RESOURCE is left out where the machine has none.
CAPABILITIES = {"SETGID": 6, "SETUID": 7, "SYS_ADMIN": 21, "SYS_RESOURCE": 24}

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def supervisor_id(slot: int) -> int:
    return FIRST + slot


def base_id(slot: int) -> int:
    return FIRST + IDS + slot * RANGE


def syscall(number: int, *arguments: object) -> int:
    result = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def run(*command: object, **options: object) -> None:
    subprocess.run([str(c) for c in command], check=True, **options)


def hierarchies() -> list[tuple[str, bool]]:
    """Mount points below /sys/fs/cgroup, and whether each is v2. A plain v2 tree has the name ""."""
    found: dict[str, bool] = {}
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        left, right = line.split(" - ")
        point, kind = left.split()[4], right.split()[0]
        if kind in ("cgroup", "cgroup2") and point.startswith(str(CGROUPS)):
            found[point[len(str(CGROUPS)) :].lstrip("/")] = kind == "cgroup2"
    return list(found.items())


def enter() -> None:
    """Runs the calling script again in a mount and cgroup namespace of its own, below child cgroups made for it."""
    if os.geteuid() != 0:
        print("skipped: needs root", file=sys.stderr)
        sys.exit(77)
    if INSIDE in os.environ:
        return
    name = f"berth-test-supervisor.{os.getpid()}"
    own = [CGROUPS / h / name for h, _ in hierarchies()]
    for path in own:
        path.mkdir()
        copy_cpuset(path)

    def join() -> None:
        for path in own:
            (path / "cgroup.procs").write_text("0")

    os.environ[INSIDE] = "1"
    command = ["unshare", "--mount", "--cgroup", "--propagation", "private", sys.executable, *sys.argv]
    process = subprocess.Popen(command, preexec_fn=join)
    status = process.wait()
    for path in own:  # what a test that failed has left: only ever processes of ours
        for procs in path.rglob("cgroup.procs"):
            for pid in procs.read_text().split():
                os.kill(int(pid), signal.SIGKILL)
    for path in own:
        remove_cgroups(path)
    sys.exit(status if status >= 0 else 1)


def remove_cgroups(path: pathlib.Path) -> None:
    if not path.exists():
        return
    for child in path.iterdir():
        if child.is_dir():
            remove_cgroups(child)
    deadline = time.monotonic() + 10
    while True:
        try:
            path.rmdir()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def furnish() -> None:
    mounts = hierarchies()
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    os.makedirs("/run/etc/upper")
    os.makedirs("/run/etc/work")
    run("mount", "-t", "overlay", "-o", "lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work", "overlay", "/etc")
    pathlib.Path("/etc/passwd").write_text(f"root:x:0:0::/root:/bin/sh\nberth:x:{BERTH}:{BERTH}::/:/bin/false\n")
    pathlib.Path("/etc/group").write_text(f"root:x:0:\nberth:x:{BERTH}:\n")
    for name in ("subuid", "subgid"):
        pathlib.Path("/etc", name).write_text(f"berth:{FIRST}:{IDS + SLOTS * RANGE}\n")
    shutil.rmtree("/etc/berth", ignore_errors=True)
    SLOT_LOCKS.mkdir(parents=True)
    os.chown(SLOT_LOCKS, 0, BERTH)
    SLOT_LOCKS.chmod(0o750)
    for slot in range(SLOTS):
        (SLOT_LOCKS / str(slot)).touch(0o640)
        os.chown(SLOT_LOCKS / str(slot), 0, BERTH)
    furnish_cgroups(mounts)


def furnish_cgroups(mounts: list[tuple[str, bool]]) -> None:
    """The same hierarchies again, seen from our own cgroups."""
    plain = mounts == [("", True)]
    if not plain:
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", CGROUPS)
    for name, v2 in mounts:
        (CGROUPS / name).mkdir(exist_ok=True)
        if v2:
            run("mount", "-t", "cgroup2", "cgroup2", CGROUPS / name)
        else:
            options = "none,name=systemd" if name == "systemd" else name
            run("mount", "-t", "cgroup", "-o", options, "cgroup", CGROUPS / name)
        if v2:  # a cgroup that hands controllers on has no processes itself
            (CGROUPS / name / "test").mkdir()
            (CGROUPS / name / "test/cgroup.procs").write_text("0")
            enable_controllers(CGROUPS / name)
        (CGROUPS / name / "berth").mkdir(exist_ok=True)
        if v2:
            enable_controllers(CGROUPS / name / "berth")
        else:
            copy_cpuset(CGROUPS / name / "berth")


def enable_controllers(path: pathlib.Path) -> None:
    wanted = [c for c in (path / "cgroup.controllers").read_text().split() if c in ("memory", "pids", "cpu", "cpuset", "io")]
    if wanted:
        (path / "cgroup.subtree_control").write_text(" ".join(f"+{c}" for c in wanted))


def copy_cpuset(path: pathlib.Path) -> None:
    for file in ("cpuset.cpus", "cpuset.mems"):
        if (path / file).exists() and (path.parent / file).exists() and (text := (path.parent / file).read_text().strip()):
            (path / file).write_text(text)


def prepare_cgroups(slot: int) -> None:
    """What berth-cgroup's Prepare does."""
    for name, v2 in hierarchies():
        top = CGROUPS / name / "berth" / str(slot)
        for path in (top, top / "supervisor", top / "payload") if v2 else (top, top / "payload"):
            path.mkdir()
            if not v2:
                copy_cpuset(path)
        if v2:
            enable_controllers(top)
        if v2:
            os.chown(top / "cgroup.procs", supervisor_id(slot), -1)
        payload = top / "payload"
        os.chown(payload, base_id(slot), base_id(slot))
        for file in ("cgroup.procs",) if v2 else ("cgroup.procs", "tasks"):
            (payload / file).chmod(0o664)
            os.chown(payload / file, supervisor_id(slot), base_id(slot))
        for file in ("cgroup.subtree_control", "cgroup.threads"):
            if (payload / file).exists():
                os.chown(payload / file, base_id(slot), base_id(slot))


def clear_cgroups(slot: int) -> None:
    for name, _ in hierarchies():
        remove_cgroups(CGROUPS / name / "berth" / str(slot))


def busybox_root(path: pathlib.Path) -> None:
    for folder in ("bin", "dev", "proc", "sys", "run", "tmp", "etc", "root"):
        (path / folder).mkdir(parents=True)
    shutil.copy("/bin/busybox", path / "bin/busybox")
    applets = subprocess.run(["/bin/busybox", "--list"], check=True, capture_output=True, text=True).stdout.split()
    for applet in applets:
        if not (path / "bin" / applet).exists():
            (path / "bin" / applet).symlink_to("busybox")


# struct mount_attr: set, clear, propagation, user namespace
def layer_mount(path: pathlib.Path, userns: int, read_only: bool) -> int:
    fd = syscall(428, -100, os.fsencode(path), 0x1 | os.O_CLOEXEC)  # open_tree, OPEN_TREE_CLONE
    attr = struct.pack("QQQQ", 0x100000 | (0x1 if read_only else 0) | 0x4, 0, 0, userns)
    syscall(442, fd, b"", 0x1000, attr, len(attr))  # mount_setattr, AT_EMPTY_PATH
    return fd


class Reply(Exception):
    """An error reply."""

    def __init__(self, message: dict) -> None:
        super().__init__(json.dumps(message))
        self.name = message["error"].rpartition(".")[2]
        self.step = message["parameters"].get("step")
        self.errno = message["parameters"].get("errnoName")


class Connection:
    def __init__(self, path: pathlib.Path, uid: int = BERTH) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(40)
        os.seteuid(uid)
        try:
            self.socket.connect(str(path))
        finally:
            os.seteuid(0)
        self.buffer, self.fds = b"", []

    def send(self, method: str, parameters: dict | None = None, fds: list[int] = (), more: bool = False) -> None:
        call: dict = {"method": method if "." in method else f"org.berth1.Supervisor.{method}", "parameters": parameters or {}}
        if more:
            call["more"] = True
        data = json.dumps(call).encode() + b"\0"
        self.socket.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])

    def receive(self) -> tuple[dict, list[int], bool]:
        while b"\0" not in self.buffer:
            data, control, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(64 * 4))
            for _, _, payload in control:
                fds = array.array("i")
                fds.frombytes(payload[: len(payload) - len(payload) % 4])
                self.fds += list(fds)
            if not data:
                raise EOFError
            self.buffer += data
        text, _, self.buffer = self.buffer.partition(b"\0")
        fds, self.fds = self.fds, []
        message = json.loads(text)
        if "error" in message:
            raise Reply(message)
        return message["parameters"], fds, message.get("continues", False)

    def call(self, method: str, parameters: dict | None = None, fds: list[int] = ()) -> tuple[dict, list[int]]:
        self.send(method, parameters, fds)
        result, got, continues = self.receive()
        assert not continues
        return result, got

    def closed(self) -> bool:
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()


def limit_capabilities() -> None:
    for capability in range(64):
        if capability not in CAPABILITIES.values():
            libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def preface(program: str, slot: int, path: pathlib.Path, uid: int = BERTH, data: bytes | None = None,
            copies: int = 1) -> socket.socket:
    """Starts a supervisor as the spawner does, and sends it the preface. Returns the connection."""
    os.seteuid(uid)
    ours, theirs = socket.socketpair()
    os.seteuid(0)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listening.bind(str(path))
    os.chmod(path, 0o666)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.dup2(theirs.fileno(), 3)
        os.set_inheritable(3, True)
        limit_capabilities()
        os.environ["LISTEN_FDS"], os.environ["LISTEN_PID"] = "1", str(os.getpid())
        os.execv(program, [program])
    theirs.close()
    if data is None:
        data = struct.pack("I", slot)
    if copies:
        socket.send_fds(ours, [data], [listening.fileno()] * copies)
    elif data:
        ours.sendall(data)
    else:
        ours.shutdown(socket.SHUT_WR)
    listening.close()
    ours.settimeout(20)
    return ours


def start_supervisor(program: str, slot: int, name: str) -> pathlib.Path:
    path = pathlib.Path("/run/berth/containers", name, "supervisor")
    connection = preface(program, slot, path)
    said = connection.recv(4096)
    connection.close()
    if said:
        raise Reply(json.loads(said.rstrip(b"\0")))
    return path


def reap() -> list[int]:
    """Statuses of supervisors that have ended."""
    statuses = []
    try:
        while (pid := os.waitpid(-1, os.WNOHANG))[0]:
            statuses.append(pid[1])
    except ChildProcessError:
        pass
    return statuses


def wait_for(condition, seconds: float = 20, what: str = "not in time") -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.005)


def alive(pid: int) -> bool:
    reap()
    return pathlib.Path("/proc", str(pid)).exists()


def status_of(pid: int | str) -> dict[str, str]:
    text = pathlib.Path("/proc", str(pid), "status").read_text()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


class Container:
    """One life of a container on slot 0."""

    def __init__(self, program: str, root: pathlib.Path, arguments: list[str], *, slot: int = 0, layers: list[pathlib.Path] = (),
                 start: bool = True, worker: bool = False, hostname: str = "box", cwd: str = "/") -> None:
        self.slot, self.root = slot, root
        prepare_cgroups(slot)
        self.path = start_supervisor(program, slot, f"box{slot}")
        self.main = Connection(self.path)
        self.supervisor = struct.unpack("iii", self.main.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        plan = {"name": "box", "creationID": CREATION, "hostname": hostname, "arguments": arguments,
                "environment": ["PATH=/bin", "container=berth"], "workingDirectory": cwd}
        begin = time.monotonic()
        _, (self.proc, self.userns, self.netns) = self.main.call("Create", {"plan": plan, "worker": worker})
        self.seconds = time.monotonic() - begin
        for name in ("uid_map", "gid_map"):
            fd = os.open(name, os.O_WRONLY, dir_fd=self.proc)
            os.write(fd, f"0 {base_id(slot)} {RANGE}".encode())
            os.close(fd)
        self.writable = root.parent / f"{root.name}.writable"
        self.writable.mkdir(exist_ok=True)
        os.chown(self.writable, 0, 0)
        self.layers = [root, *layers]
        if start:
            self.start()

    def start(self) -> None:
        fds = [layer_mount(self.writable, self.userns, False), *(layer_mount(l, self.userns, True) for l in self.layers)]
        begin = time.monotonic()
        try:
            reply, (self.pidfd,) = self.main.call(
                "Start", {"writableFileDescriptor": 0, "layerFileDescriptors": list(range(1, len(fds)))}, fds)
        finally:
            for fd in fds:
                os.close(fd)
        self.seconds += time.monotonic() - begin
        self.pid = reply["pid"]

    def connect(self, uid: int = BERTH) -> Connection:
        return Connection(self.path, uid)

    def execute(self, *arguments: str, fds: dict[str, int] | None = None, connection: Connection | None = None,
                **parameters: object) -> tuple[dict, dict[str, int]]:
        """Returns the reply and the returned descriptors by the names in, out, err."""
        fields = {"in": "inputFileDescriptor", "out": "outputFileDescriptor", "err": "errorFileDescriptor"}
        call = {"arguments": list(arguments), "environment": ["PATH=/bin"], "workingDirectory": "/", "user": 0, "group": 0,
                "terminal": False, "rows": 0, "columns": 0, **parameters}
        sent = []
        for name, fd in (fds or {}).items():
            call[fields[name]] = len(sent)
            sent.append(fd)
        own = connection or self.connect()
        reply, got = own.call("Execute", call, sent)
        if not connection:
            own.close()
        return reply, {name: got[reply[field]] for name, field in fields.items() if field in reply}

    def output(self, *arguments: str, **parameters: object) -> str:
        _, fds = self.execute(*arguments, **parameters)
        os.close(fds["in"])
        with os.fdopen(fds["out"]) as out, os.fdopen(fds["err"]) as err:
            return out.read() + err.read()

    def kill(self) -> None:
        try:
            os.kill(self.supervisor, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.end()

    def end(self) -> None:
        """Waits for the end, and proves that nothing is left."""
        wait_for(lambda: not alive(self.supervisor), what="the supervisor does not end")
        for fd in ("proc", "userns", "netns", "pidfd"):
            if getattr(self, fd, -1) >= 0:
                os.close(getattr(self, fd))
                setattr(self, fd, -1)
        self.main.close()
        clear_cgroups(self.slot)
        shutil.rmtree(self.writable, ignore_errors=True)


def errno_of(call, *arguments: object) -> int:
    try:
        call(*arguments)
    except OSError as error:
        return error.errno or errno.EIO
    return 0
