# SPDX-License-Identifier: LGPL-2.1-or-later
"""A machine of its own for tests of the spawner: processes, private mounts over /run, /var/lib, the programs, the accounts.

Nothing of the real machine changes. enter() runs the calling script again inside; it needs root, else the test is skipped."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

INSIDE = "BERTH_TEST_INSIDE"
USERS = {"berth": 9001, "berth-mount": 9002, "berth-cgroup": 9003, "berth-storage": 9004, "berth-grant": 9005}
OUTSIDER = 9100
FIRST, SLOTS = 1879048192, 40
HELPERS = pathlib.Path("/run/berth/helpers")


def enter() -> None:
    if os.geteuid() != 0:
        print("skipped: needs root", file=sys.stderr)
        sys.exit(77)
    if INSIDE not in os.environ:
        os.environ[INSIDE] = str(os.getpid())
        # A process namespace, so that whatever a failed test leaves behind ends with it; a shell is its init and reaps.
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc",
                              "sh", "-c", '"$@"; exit $?', "sh", sys.executable, *sys.argv])


def run(*command: object) -> None:
    subprocess.run([str(c) for c in command], check=True)


def furnish(libexec: pathlib.Path, programs: dict[str, str], cgroups: bool = False) -> None:
    """programs: file name in libexec -> what is copied there."""
    files = {
        "passwd": "root:x:0:0::/root:/bin/sh\n" + "".join(f"{n}:x:{i}:{i}::/:/bin/false\n" for n, i in USERS.items()),
        "group": "root:x:0:\n" + "".join(f"{n}:x:{i}:\n" for n, i in USERS.items()),
        "subuid": f"berth:{FIRST}:{(SLOTS + 1) * 65536}\n",
        "subgid": f"berth:{FIRST}:{(SLOTS + 1) * 65536}\n",
    }
    above = libexec
    while not above.exists():
        above = above.parent
    for folder in ("/run", "/var/lib", above if above != libexec else libexec.parent):
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
    if not cgroups:
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/sys/fs/cgroup")
    for name, text in files.items():
        path = pathlib.Path("/run", name)
        path.write_text(text)
        run("mount", "--bind", path, pathlib.Path("/etc", name))
    libexec.mkdir(parents=True)
    for name, source in programs.items():
        shutil.copy(source, libexec / name)
        (libexec / name).chmod(0o755)


class Spawner:
    """One running spawner; its log is a file."""

    count = 0

    def __init__(self, program: str, *, before: tuple[str, ...] = (), fails: bool = False, **popen: object) -> None:
        Spawner.count += 1
        self.log = pathlib.Path(f"/run/log-{Spawner.count}")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = f"/run/notify-{Spawner.count}"
        notify.bind(address)
        os.chmod(address, 0o666)
        notify.settimeout(20)
        with self.log.open("wb") as log:
            environment = {**os.environ, "NOTIFY_SOCKET": address, "SECRET": "1", **popen.pop("env", {})}
            self.process = subprocess.Popen([*before, program], stderr=log, env=environment, **popen)
        if fails:
            assert self.process.wait(timeout=20) == 1, self.text()
            return
        deadline = time.monotonic() + 30
        while True:
            notify.settimeout(0.2)
            try:
                assert notify.recv(64) == b"READY=1"
                break
            except TimeoutError:
                assert self.process.poll() is None and time.monotonic() < deadline, self.text()

    def text(self) -> str:
        return self.log.read_text()

    def end(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        status = self.process.wait(timeout=20)
        assert status == (-number if number == signal.SIGKILL else 0), (status, self.text())


class Connection:
    """A connection to a helper's socket, made as some user."""

    def __init__(self, name: str, uid: int = USERS["berth"]) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.seteuid(uid)
        try:
            self.socket.connect(str(HELPERS / name))
        finally:
            os.seteuid(0)

    def answers(self, seconds: float) -> bool:
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1, socket.MSG_PEEK) != b""
        except (TimeoutError, ConnectionResetError):
            return False

    def ended(self, seconds: float) -> bool:
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def report(self) -> dict:
        """What the probe says, and what /proc says about it."""
        self.socket.settimeout(20)
        text = b""
        while b"end\n" not in text:
            more = self.socket.recv(4096)
            assert more, f"closed after {text!r}"
            text += more
        lines = text.partition(b"end\n")[0].decode().splitlines()
        result: dict = dict(line.split("=", 1) for line in lines if not line.startswith("env "))
        result["environment"] = sorted(line[4:] for line in lines if line.startswith("env "))
        proc = pathlib.Path("/proc", result["pid"])
        for line in (proc / "status").read_text().splitlines():
            key, _, value = line.partition(":")
            result[key] = value.split()
        result["fds"] = {int(p.name): os.readlink(p) for p in (proc / "fd").iterdir()}
        limits = (proc / "limits").read_text().splitlines()[1:]
        result["limits"] = {line[:26].strip(): line[26:].split()[:2] for line in limits}
        result["cwd"] = os.readlink(proc / "cwd")
        result["sid"] = os.getsid(int(result["pid"]))
        return result

    def echoes(self) -> bool:
        self.socket.settimeout(20)
        self.socket.sendall(b"x")
        return self.socket.recv(1) == b"x"

    def close(self) -> None:
        self.socket.close()


def wait_for(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.01)
