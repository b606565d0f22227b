#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real supervisor with a busybox root; the test stands in for berthd and the helpers."""

import fcntl
import os
import pathlib
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import testbed
from testbed import Connection, Container, Reply, run

PROGRAM = os.path.abspath(sys.argv[1])
scratch = pathlib.Path()
root = pathlib.Path()
INIT = ["/bin/sh", "-c", "trap 'exit 9' TERM; while :; do sleep 1000 & wait; done"]


def box(arguments: list[str] = INIT, **options: object) -> Container:
    return Container(PROGRAM, options.pop("root", root), arguments, **options)


def expect(name: str, step: str | None, errno_name: str | None, call, *arguments: object, **options: object) -> None:
    try:
        call(*arguments, **options)
    except Reply as reply:
        assert (reply.name, reply.step, reply.errno) == (name, step, errno_name), str(reply)
        return
    raise AssertionError(f"{name} did not come")


def read_all(fd: int) -> bytes:
    with os.fdopen(fd, "rb") as f:
        return f.read()


def watch(c: Container) -> Connection:
    connection = c.connect()
    connection.send("Watch", more=True)
    return connection


def processes(c: Container) -> list[dict]:
    state, fds = c.connect().call("GetState")
    for fd in fds:
        os.close(fd)
    return state["processes"]


def test_boots_and_executes() -> None:
    c = box()
    assert c.output("hostname") == "box\n"
    assert c.output("cat", "/proc/1/cmdline").startswith("/bin/sh\0-c\0trap")
    assert c.output("readlink", "-f", "/bin/ls") == "/bin/busybox\n"
    assert "UP" in c.output("ip", "link", "show", "lo")
    testbed.wait_for(lambda: processes(c) == [])
    state, fds = c.connect().call("GetState")
    assert (state["state"], state["name"], state["creationID"], state["worker"], state["pid"]) == (
        "running", "box", testbed.CREATION, False, c.pid), state
    assert len(fds) == 3
    for fd in fds:
        os.close(fd)
    c.kill()


def test_supervisor_has_no_privilege() -> None:
    c = box()
    status = testbed.status_of(c.supervisor)
    s = str(testbed.supervisor_id(0))
    assert status["Uid"].split() == [s] * 4 and status["Gid"].split() == [s] * 4 and status["Groups"] == "", status
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
    assert status["NoNewPrivs"] == "0"
    for line in pathlib.Path(f"/proc/{c.supervisor}/mountinfo").read_text().splitlines():
        assert "nosuid" in line.split()[5].split(","), line
        assert "shared:" not in line, line
    fds = {os.readlink(f"/proc/{c.supervisor}/fd/{fd}") for fd in os.listdir(f"/proc/{c.supervisor}/fd")}
    assert not [fd for fd in fds if fd.startswith(("/var", "/etc", "/home", "/root"))], fds
    assert os.stat(f"/proc/{c.supervisor}/environ").st_uid == 0  # not dumpable
    for line in pathlib.Path(f"/proc/{c.supervisor}/cgroup").read_text().splitlines():
        assert line.endswith("/berth/0/supervisor" if line.startswith("0::") else "/berth/0"), line
    for line in pathlib.Path(f"/proc/{c.pid}/cgroup").read_text().splitlines():
        assert line.endswith("/berth/0/payload"), line
    c.kill()


def test_exec_equals_init() -> None:
    """Field by field; left out are numbers of the process itself and what its program does with signals and memory."""
    c = box(["/bin/sleep", "1000"])
    reply, fds = c.execute("/bin/sleep", "1000")
    own = {"Pid", "PPid", "Tgid", "NStgid", "NSpid", "NSpgid", "NSsid", "FDSize", "VmPeak", "VmSize", "VmHWM", "VmRSS", "RssAnon",
           "RssFile", "VmData", "VmPTE", "VmStk", "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches", "State"}
    one, two = testbed.status_of(c.pid), testbed.status_of(reply["pid"])
    assert {k: v for k, v in one.items() if k not in own} == {k: v for k, v in two.items() if k not in own}
    for name in ("user", "mnt", "pid", "uts", "ipc", "net", "cgroup"):
        a, b = (os.readlink(f"/proc/{pid}/ns/{name}") for pid in (c.pid, reply["pid"]))
        assert a == b != os.readlink(f"/proc/self/ns/{name}"), name
    for name in ("cgroup", "limits", "oom_score_adj", "uid_map"):
        a, b = (pathlib.Path(f"/proc/{pid}/{name}").read_text() for pid in (c.pid, reply["pid"]))
        assert a == b, (name, a, b)
    assert os.stat(f"/proc/{c.pid}/root").st_ino == os.stat(f"/proc/{reply['pid']}/root").st_ino
    # Its mount namespace has nothing of the host's below.
    assert os.stat(f"/proc/{reply['pid']}/root").st_dev == os.stat(f"/proc/{c.pid}/root").st_dev
    for fd in fds.values():
        os.close(fd)
    c.kill()


def test_confinement() -> None:
    c = box(["/bin/sleep", "1000"])
    status = testbed.status_of(c.pid)
    bounding = int(status["CapBnd"], 16)
    for bit in (16, 17, 20, 25, 32, 33, 34, 35, 36, 37, 30, 9, 38, 39, 40):
        assert not bounding >> bit & 1, bit
    for bit in (0, 1, 6, 7, 8, 12, 18, 19, 21, 22, 27):
        assert bounding >> bit & 1, bit
    assert int(status["CapEff"], 16) == bounding and int(status["CapInh"], 16) == 0
    assert (status["Seccomp"], status["NoNewPrivs"], status["Groups"], status["Umask"]) == ("2", "0", "", "0022")
    assert status["SigIgn"] == status["SigBlk"] == "0" * 16
    assert os.listdir(f"/proc/{c.pid}/fd") == ["0", "1", "2"], os.listdir(f"/proc/{c.pid}/fd")
    for fd in range(3):
        st = os.stat(f"/proc/{c.pid}/fd/{fd}")
        assert (os.major(st.st_rdev), os.minor(st.st_rdev)) == (1, 3)
    assert c.output("sh", "-c", "ls /proc/self/fd | wc -l") in ("4\n",)
    assert "Read-only" in c.output("sh", "-c", "echo 1 >/proc/sys/kernel/panic")
    assert c.output("cat", "/proc/keys", "/proc/timer_list") == ""
    assert c.output("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward; cat /proc/sys/net/ipv4/ip_forward") == "1\n"
    assert c.output("ls", "/sys/firmware") == ""
    mounts = pathlib.Path(f"/proc/{c.pid}/mountinfo").read_text().splitlines()
    assert [line.split()[4] for line in mounts].count("/") == 1
    for line in mounts:
        assert line.split()[4].startswith(("/dev", "/proc", "/sys", "/run")) or line.split()[4] == "/", line
        assert " ext4 " not in line, line
    # A terminal of its own, and a nested container's proc.
    assert "nested" in c.output("unshare", "-U", "-r", "-p", "-f", "-m", "sh", "-c", "mount -t proc proc /proc && echo nested")
    c.kill()


def test_seccomp() -> None:
    probe = os.environ["BERTH_PROBE"]
    shutil.copy(probe, root / "bin/probe")
    c = box(["/bin/sleep", "1000"])
    output = c.output("probe")
    assert output.splitlines()[-1:] == ["done"], output
    if "no i386 here" in output:
        print("# this machine has no i386: its rules are not tried")
    assert not [line for line in output.splitlines() if line.startswith("wrong")], output
    c.kill()


def test_exit_status_and_signal() -> None:
    c = box()
    seven, a = c.execute("sh", "-c", "exit 7")
    w = watch(c)
    assert w.receive() == ({"process": seven["process"], "status": 7, "signal": 0}, [], True)
    nine, b = c.execute("sleep", "1000")
    c.connect().call("SignalProcess", {"process": nine["process"], "signal": 9})
    assert w.receive()[0] == {"process": nine["process"], "status": -1, "signal": 9}
    expect("NoSuchProcess", "process", "ESRCH", c.connect().call, "SignalProcess", {"process": nine["process"], "signal": 9})
    expect("NoSuchProcess", "process", "ESRCH", c.connect().call, "SignalProcess", {"process": "x1", "signal": 9})
    for _ in range(30):  # ends that are there before the reply is
        true, fds = c.execute("true")
        assert w.receive()[0] == {"process": true["process"], "status": 0, "signal": 0}
        for fd in fds.values():
            os.close(fd)
    for fd in (*a.values(), *b.values()):
        os.close(fd)
    c.connect().call("Signal", {"signal": 15})
    assert w.receive() == ({"process": "", "status": 9, "signal": 0}, [], False)
    c.end()


def test_init_that_ends_at_once() -> None:
    c = box(["/bin/sh", "-c", "exit 3"])
    w = watch(c)
    assert w.receive() == ({"process": "", "status": 3, "signal": 0}, [], False)
    assert w.closed()
    c.end()


def test_pipes() -> None:
    c = box(["/bin/sleep", "1000"])
    _, fds = c.execute("sh", "-c", "cat; echo done >&2")
    data = os.urandom(10 << 20)
    if os.fork() == 0:
        os.close(fds["out"])
        with os.fdopen(fds["in"], "wb") as f:
            f.write(data)
        os._exit(0)
    os.close(fds["in"])
    assert read_all(fds["out"]) == data
    assert read_all(fds["err"]) == b"done\n"
    # The caller's own: a regular file, a pipe, a stream socket, /dev/null.
    with tempfile.TemporaryFile(dir=scratch) as file:
        ours, theirs = socket.socketpair()
        null = os.open("/dev/null", os.O_RDWR)
        _, fds = c.execute("sh", "-c", "echo out; echo err >&2", fds={"in": null, "out": file.fileno(), "err": theirs.fileno()})
        theirs.close()
        assert fds == {}
        assert ours.recv(100) == b"err\n" and ours.recv(1) == b""
        file.seek(0)
        assert file.read() == b"out\n"
    c.kill()


def test_refused_descriptors() -> None:
    c = box(["/bin/sleep", "1000"])
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("")
    listening.listen()
    master, slave = os.openpty()
    bad = {
        os.open("/", os.O_RDONLY): "EISDIR",
        os.open("/", os.O_PATH): "EBADF",
        os.open("/etc/passwd", os.O_PATH): "EBADF",
        slave: "ENODEV",
        master: "ENODEV",
        os.open("/dev/zero", os.O_RDWR): "ENODEV",
        listening.fileno(): "ESOCKTNOSUPPORT",
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).detach(): "ESOCKTNOSUPPORT",
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).detach(): "EAFNOSUPPORT",
    }
    for fd, name in bad.items():
        for which, step in (("in", "standard input"), ("out", "standard output"), ("err", "standard error")):
            expect("BadDescriptor", step, name, c.execute, "true", fds={which: fd})
    expect("BadDescriptor", "standard input", "EINVAL", c.execute, "true", fds={"in": os.open("/dev/null", os.O_RDWR)}, terminal=True)
    c.kill()


def test_terminal() -> None:
    c = box(["/bin/sleep", "1000"])
    reply, fds = c.execute("sh", "-c", "tty; stty size; read x; stty size; echo $x; exit 4", terminal=True, rows=30, columns=70)
    assert list(fds) == ["out"]
    assert os.isatty(fds["out"])
    text = b""
    while b"30 70" not in text:
        text += os.read(fds["out"], 1000)
    assert text.startswith(b"/dev/pts/0"), text
    c.connect().call("ResizeProcess", {"process": reply["process"], "rows": 31, "columns": 71})
    os.write(fds["out"], b"word\n")
    while True:
        try:
            text += os.read(fds["out"], 1000)
        except OSError:
            break
    assert b"31 71\r\nword\r\n" in text, text
    assert watch(c).receive()[0] == {"process": reply["process"], "status": 4, "signal": 0}
    # Whoever closes the terminal hangs its program up.
    reply, fds = c.execute("sleep", "1000", terminal=True, rows=30, columns=70)
    os.close(fds["out"])
    assert watch(c).receive()[0] == {"process": reply["process"], "status": -1, "signal": 1}
    pipe, fds = c.execute("sleep", "1000")
    expect("BadDescriptor", "terminal", "ENOTTY", c.connect().call, "ResizeProcess",
           {"process": pipe["process"], "rows": 1, "columns": 1})
    c.kill()


def test_hostile_terminal_folder() -> None:
    c = box(["/bin/sleep", "1000"])
    c.output("sh", "-c", "umount /dev/pts; mount -t tmpfs tmpfs /dev/pts; ln -s /dev/null /dev/pts/ptmx")
    expect("Failed", "terminal", "ENODEV", c.execute, "sh", terminal=True, rows=1, columns=1)
    c.output("sh", "-c", "umount /dev/pts; rmdir /dev/pts; ln -s /proc/1/root/dev/pts /dev/pts")
    expect("Failed", "terminal", "ELOOP", c.execute, "sh", terminal=True, rows=1, columns=1)
    c.kill()


def test_users() -> None:
    c = box(["/bin/sleep", "1000"])
    assert c.output("id", user=1000, group=100) == "uid=1000 gid=100 groups=100\n"
    assert c.output("id") == "uid=0 gid=0\n"
    text = c.output("cat", "/proc/self/status", user=1000, group=100)
    status = dict(line.split(":", 1) for line in text.splitlines())
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
    assert status["Seccomp"].strip() == "2"
    expect("InvalidParameter", None, None, c.execute, "id", user=65536)
    assert c.output("sh", "-c", "pwd; cd ..; pwd", workingDirectory="/tmp") == "/tmp\n/\n"
    expect("Failed", "working directory", "ENOENT", c.execute, "true", workingDirectory="/nowhere")
    c.kill()


def test_programs_that_cannot_be_executed() -> None:
    (root / "etc/text").write_text("no program\n")
    (root / "etc/broken").write_text("#!/nowhere\n")
    (root / "etc/broken").chmod(0o755)
    c = box(["/bin/sleep", "1000"])
    expect("CannotExecute", "execute", "ENOENT", c.execute, "/bin/nothing")
    expect("CannotExecute", "execute", "ENOENT", c.execute, "nothing")
    expect("CannotExecute", "execute", "ENOENT", c.execute, "")
    expect("CannotExecute", "execute", "ENOENT", c.execute, "/etc/broken")
    expect("CannotExecute", "execute", "EACCES", c.execute, "/etc/text")
    expect("CannotExecute", "execute", "EACCES", c.execute, "/etc")
    assert processes(c) == []
    assert c.output("echo", "well") == "well\n"
    c.kill()
    expect("CannotExecute", "execute", "ENOENT", box_fails, ["/bin/nothing"])
    expect("CannotExecute", "execute", "EACCES", box_fails, ["/etc/text"])


def box_fails(arguments: list[str] = INIT, **options: object) -> None:
    """A start that fails leaves nothing."""
    c = box(arguments, start=False, **options)
    try:
        c.start()
    finally:
        c.end()


def hostile(change) -> pathlib.Path:
    """A root like ours, with one thing changed."""
    path = scratch / "hostile"
    if path.exists():
        shutil.rmtree(path)
    shutil.copytree(root, path, symlinks=True)
    change(path)
    return path


def replace(name: str, target: str | None) -> object:
    def change(path: pathlib.Path) -> None:
        (path / name).rmdir()
        if target is None:
            (path / name).write_text("a file\n")
        else:
            (path / name).symlink_to(target)
    return change


def test_hostile_roots() -> None:
    for name in ("dev", "proc", "sys", "run"):
        step = f"open /{name}"
        for target in ("/", "/etc", "../../../../etc", f"/{name}", name, "/proc/self/root", "/nowhere"):
            expect("Failed", step, "ELOOP", box_fails, root=hostile(replace(name, target)))
        expect("Failed", step, "ENOTDIR", box_fails, root=hostile(replace(name, None)))

    def devices(path: pathlib.Path) -> None:
        (path / "dev/null").symlink_to("/etc/target")
        (path / "dev/pts").symlink_to("/etc")
        (path / "proc/sys").symlink_to("/etc")
        (path / "run/lock").symlink_to("/etc")

    c = box(root=hostile(devices))
    assert c.output("sh", "-c", "ls /etc") == c.output("ls", "/etc") and "target" not in c.output("ls", "/etc")
    assert c.output("stat", "-c", "%F", "/dev/null") == "character special file\n"
    c.kill()


def test_writable_layer_that_is_hostile() -> None:
    """What a container has left in its writable layer's own folder, which the next start of it uses."""
    for name in ("tree", "work"):
        c = box(start=False)
        (c.writable / name).symlink_to("/etc")
        expect("Failed", "writable layer", "ELOOP", c.start)
        c.end()
    assert "berth" in pathlib.Path("/etc/passwd").read_text()


def test_layers() -> None:
    """64 of them, uppermost first; writes go into the writable one, owned by 0 on disk."""
    layers = []
    for i in range(63):
        layer = scratch / f"layer{i}"
        (layer / "etc").mkdir(parents=True)
        (layer / f"etc/only{i}").write_text("")
        (layer / "etc/which").write_text(f"{i}\n")
        layers.append(layer)
    base = root / "etc/which"
    base.write_text("base\n")
    c = box(layers=layers)
    assert c.output("cat", "/etc/which") == "base\n"
    assert c.output("sh", "-c", "ls /etc/only* | wc -l") == "63\n"
    c.output("sh", "-c", "echo mine >/etc/which; chown 5:6 /etc/which")
    st = (c.writable / "tree/etc/which").stat()
    assert (st.st_uid, st.st_gid) == (5, 6) and base.read_text() == "base\n"
    assert (c.writable / "tree").stat().st_uid == 0
    c.kill()
    base.unlink()
    try:
        box_fails(layers=layers + layers[:1])
        raise AssertionError("66 descriptors")
    except EOFError:  # more than any call may carry
        pass


def test_states_and_peers() -> None:
    c = box(start=False)
    for method, parameters in (("Execute", {}), ("Signal", {"signal": 1}), ("Halt", {})):
        try:
            c.connect().call(method, parameters)
            raise AssertionError(method)
        except Reply as reply:
            assert reply.name == "WrongState", reply
    plan = {"name": "box", "creationID": testbed.CREATION, "hostname": "h", "arguments": ["/x"], "environment": [],
            "workingDirectory": "/"}
    expect("WrongState", "create", "EALREADY", c.connect().call, "Create", {"plan": plan, "worker": False})
    c.start()
    for uid in (0, 65534, testbed.supervisor_id(0), testbed.base_id(0)):
        stranger = c.connect(uid)
        try:
            stranger.send("GetState")
            stranger.receive()
            raise AssertionError(uid)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            pass
    for text in (b'{"method":1}\0', b'[]\0', b'{"method":"org.berth1.Supervisor.GetState","x":1}\0', b"\0", b'{"a":1,"a":2}\0',
                 b'{"method":"org.berth1.Supervisor.GetState"}\0{"method":"org.berth1.Supervisor.GetState"}\0',
                 b'{"method":"org.berth1.Supervisor.GetState","oneway":true}\0'):
        odd = c.connect()
        odd.socket.sendall(text)
        assert odd.closed(), text
    expect("MethodNotFound", None, None, c.connect().call, "Nothing")
    expect("ExpectedMore", None, None, c.connect().call, "Watch")
    expect("InvalidParameter", None, None, c.connect().call, "Signal", {"signal": 65})
    expect("InvalidParameter", None, None, c.connect().call, "Signal", {"signal": 1, "x": 1})
    expect("InvalidParameter", None, None, c.connect().call, "Signal", {"signal": 1}, [0])
    info, _ = c.connect().call("org.varlink.service.GetInfo")
    assert info["interfaces"] == ["org.berth1.Supervisor", "org.varlink.service"]
    text, _ = c.connect().call("org.varlink.service.GetInterfaceDescription", {"interface": "org.berth1.Supervisor"})
    assert "method Execute(" in text["description"]
    c.kill()


def test_bad_plans() -> None:
    good = {"name": "box", "creationID": testbed.CREATION, "hostname": "h", "arguments": ["/bin/sh"], "environment": [],
            "workingDirectory": "/"}
    bad = {"name": "a/b", "hostname": "", "arguments": "x", "environment": "x", "workingDirectory": 7}
    late = {"creationID": "z" * 32, "arguments": ["bin/sh"], "environment": ["=x"], "workingDirectory": "tmp"}
    testbed.prepare_cgroups(1)
    path = testbed.start_supervisor(PROGRAM, 1, "plans")
    for field, value in bad.items():
        expect("InvalidParameter", None, None, Connection(path).call, "Create", {"plan": {**good, field: value}, "worker": False})
    for field, value in (*late.items(), ("arguments", [])):
        expect("Failed", field, "EINVAL", Connection(path).call, "Create", {"plan": {**good, field: value}, "worker": False})
    c = Connection(path)
    c.call("Create", {"plan": good, "worker": False})
    pid = struct.unpack("iii", c.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    c.close()  # before Start: the supervisor ends
    testbed.wait_for(lambda: not testbed.alive(pid))
    testbed.clear_cgroups(1)


def test_supervisor_killed() -> None:
    c = box()
    _, fds = c.execute("sleep", "1000")
    os.kill(c.supervisor, signal.SIGKILL)
    testbed.wait_for(lambda: not testbed.alive(c.pid), what="init lives on")
    assert read_all(fds["out"]) == b""
    c.end()  # its cgroups can be removed, so they are empty
    c = box(start=False)
    child = int(pathlib.Path(f"/proc/{c.supervisor}/task/{c.supervisor}/children").read_text())
    os.kill(c.supervisor, signal.SIGKILL)
    testbed.wait_for(lambda: not testbed.alive(child), what="the waiting first process lives on")
    c.end()


def test_one_supervisor_a_slot() -> None:
    c = box()
    expect("Failed", "lock", "EBUSY", testbed.start_supervisor, PROGRAM, 0, "second")
    c.kill()
    testbed.wait_for(lambda: not testbed.reap())


def test_bad_prefaces() -> None:
    path = pathlib.Path("/run/berth/containers/bad/supervisor")
    expect("Failed", "slot", "ERANGE", testbed.start_supervisor, PROGRAM, testbed.SLOTS, "bad")
    expect("Failed", "slot", "ERANGE", testbed.start_supervisor, PROGRAM, 0xFFFFFFFF, "bad")
    expect("Failed", "cgroup", "ENOENT", testbed.start_supervisor, PROGRAM, 2, "bad")
    for data, fds in ((b"\0\0\0", 1), (b"\0\0\0\0", 0), (b"\0\0\0\0", 2), (b"", 0)):
        connection = testbed.preface(PROGRAM, 0, path, data=data, copies=fds)
        said = connection.recv(4096)
        assert b'"step":"preface","errnoName":"EBADMSG"' in said, (data, fds, said)
    stranger = testbed.preface(PROGRAM, 0, path, uid=65534)
    try:
        assert stranger.recv(100) == b""
    except ConnectionResetError:
        pass
    testbed.wait_for(lambda: not testbed.reap())


def test_halt() -> None:
    for init, number in ((["/bin/sh", "-c", "trap 'exit 5' PWR; while :; do sleep 0.01; done"], 30),
                         (["/bin/sh", "-c", "trap 'exit 5' USR2; while :; do sleep 0.01; done"], 12),
                         (["/bin/sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.01; done"], 15),
                         (["/bin/sleep", "1000"], 9)):
        c = box(init)
        mask = 1 << (number - 1) if number != 9 else 0
        testbed.wait_for(lambda: int(testbed.status_of(c.pid)["SigCgt"], 16) & mask == mask)
        w = watch(c)
        assert c.connect().call("Halt")[0] == {"signal": number}
        assert w.receive()[0] == {"process": "", "status": -1 if number == 9 else 5, "signal": 9 if number == 9 else 0}
        c.end()


def work(c: Container, operation: str, folder: pathlib.Path, archive: int | None = None) -> tuple[dict, int]:
    """The last reply, and how many came before it."""
    fds = [testbed.layer_mount(folder, c.userns, False), *([archive] if archive is not None else [])]
    parameters = {"operation": operation, "folderFileDescriptor": 0}
    if archive is not None:
        parameters["archiveFileDescriptor"] = 1
    c.main.send("Work", parameters, fds, more=True)
    os.close(fds[0])
    progress = 0
    while (answer := c.main.receive())[2]:
        progress += 1
    return answer[0], progress


def worker() -> Container:
    return box(["/unused"], start=False, worker=True)


def test_worker() -> None:
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/usr/libexec")
    pathlib.Path("/usr/libexec/berth").mkdir()
    program = pathlib.Path(shutil.copy(os.environ["BERTH_WORKER"], "/usr/libexec/berth/berth-worker"))
    program.chmod(0o755)
    tar = scratch / "root.tar"
    run("tar", "-C", root, "-cf", tar, ".")
    layer = scratch / "unpacked"
    layer.mkdir()

    c = worker()
    with tar.open("rb") as f:
        done, _ = work(c, "unpack", layer, f.fileno())
    assert done["entries"] > 100 and done["bytes"] > 1000000 and done["skipped"] == 0, done
    c.end()
    st = (layer / "tree/bin/busybox").stat()
    assert st.st_uid == 0 and st.st_size == (root / "bin/busybox").stat().st_size

    c = worker()
    broken = os.memfd_create("archive")
    os.write(broken, os.urandom(100000))
    os.lseek(broken, 0, os.SEEK_SET)
    try:
        (scratch / "noise").mkdir()
        work(c, "unpack", scratch / "noise", broken)
        raise AssertionError("noise was unpacked")
    except Reply as reply:
        assert reply.name == "BadArchive", reply
    c.end()

    c = worker()
    done, _ = work(c, "delete", layer)
    assert done["entries"] > 100 and os.listdir(layer) == [], (done, os.listdir(layer))
    c.end()

    for operation, archive, name in (("format", None, "EOPNOTSUPP"), ("unpack", None, "EBADF"), ("delete", broken, "EBADF")):
        c = worker()
        expect("Failed", "work", name, work, c, operation, layer, archive)
        c.end()
    c = worker()
    expect("WrongState", "start", "EBUSY", c.start)
    c.kill()

    # A caller that goes takes the worker with it, and a worker that another may write is not executed.
    c = worker()
    held, feed = os.pipe()
    c.main.send("Work", {"operation": "unpack", "folderFileDescriptor": 0, "archiveFileDescriptor": 1},
                [testbed.layer_mount(layer, c.userns, False), held], more=True)
    time.sleep(0.2)
    assert testbed.alive(c.supervisor)
    c.main.close()
    c.end()
    os.close(feed)
    program.chmod(0o775)
    c = worker()
    expect("Failed", "work", "EPERM", work, c, "delete", layer)
    c.end()
    run("umount", "/usr/libexec")


def test_limits() -> None:
    conf = pathlib.Path("/etc/berth/limits.conf")
    conf.parent.mkdir()
    try:
        conf.write_text("nofile=512:1000\noom_score_adj=-500\n")
        c = box(["/bin/sleep", "1000"])
        assert c.output("sh", "-c", "ulimit -n; ulimit -Hn; ulimit -c") == "512\n1000\n0\n"
        score = pathlib.Path(f"/proc/{c.supervisor}/oom_score_adj").read_text()
        if score == "0\n":
            print("# no right to lower oom_score_adj here")
        else:
            assert score == "-500\n", score
        assert c.output("cat", "/proc/1/oom_score_adj", "/proc/self/oom_score_adj") == "0\n0\n"
        c.kill()
        conf.write_text("nofile=lots\n")
        testbed.prepare_cgroups(0)
        expect("Failed", "limits", "EUCLEAN", testbed.start_supervisor, PROGRAM, 0, "limits")
        testbed.wait_for(lambda: not testbed.reap())
        testbed.clear_cgroups(0)
    finally:
        shutil.rmtree(conf.parent)


def test_lock_is_free_when_connections_end() -> None:
    for _ in range(20):
        c = box(["/bin/sleep", "1000"])
        second = c.connect()
        os.kill(c.supervisor, signal.SIGKILL)
        assert second.closed()
        with (testbed.SLOT_LOCKS / "0").open("r+b") as f:
            fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        c.end()


def test_many_processes() -> None:
    c = box(["/bin/sleep", "1000"])
    connection = c.connect()
    null = os.open("/dev/null", os.O_RDWR)
    fds = {"in": null, "out": null, "err": null}
    for _ in range(256):
        c.execute("sleep", "1000", fds=fds, connection=connection)
    expect("LimitReached", "process", "EAGAIN", c.execute, "true", fds=fds)
    state, _ = connection.call("GetState")
    assert len(state["processes"]) == 256
    w = watch(c)
    connection.call("SignalProcess", {"process": state["processes"][7]["process"], "signal": 9})
    assert w.receive()[0]["process"] == state["processes"][7]["process"]
    assert c.output("echo", "again") == "again\n"
    os.close(null)
    c.connect().call("Signal", {"signal": 9})
    ends = []
    while (end := w.receive())[2]:
        ends.append(end[0])
    assert end[0] == {"process": "", "status": -1, "signal": 9} and len(ends) == 256, len(ends)
    c.end()


def test_every_end_is_told() -> None:
    """Programs that are over, and their joiners reaped, before the supervisor has read what the joiners said."""
    c = box(["/bin/sleep", "1000"])
    w = watch(c)
    callers = [c.connect() for _ in range(8)]
    call = {"arguments": ["/bin/true"], "environment": [], "workingDirectory": "/", "user": 0, "group": 0,
            "terminal": False, "rows": 0, "columns": 0}
    for turn in range(30):
        for caller in callers:
            caller.send("Execute", call)
        time.sleep(0.0005 * turn)
        os.kill(c.supervisor, signal.SIGSTOP)
        time.sleep(0.02)
        os.kill(c.supervisor, signal.SIGCONT)
        started = set()
        for caller in callers:
            reply, fds, _ = caller.receive()
            started.add(reply["process"])
            for fd in fds:
                os.close(fd)
        assert {w.receive()[0]["process"] for _ in callers} == started
    c.kill()


def test_no_descriptor_leaks() -> None:
    c = box(["/bin/sleep", "1000"])
    w = watch(c)
    before = 0
    for turn in range(4):
        c.output("true")
        w.receive()
        _, fds = c.execute("true", terminal=True, rows=1, columns=1)
        os.close(fds["out"])
        w.receive()
        for bad in ("/bin/nothing", "/etc"):
            expect("CannotExecute", "execute", "ENOENT" if bad == "/bin/nothing" else "EACCES", c.execute, bad)
        # Connections of ours that are closed have to be noticed first.
        count = lambda: len(os.listdir(f"/proc/{c.supervisor}/fd"))
        if turn == 0:
            time.sleep(0.5)
            before = count()
        testbed.wait_for(lambda: count() == before, what=f"{before} descriptors became {count()}")
    text = c.output("ls", "/proc/self/fd").split()
    assert text == ["0", "1", "2", "3"], text
    c.kill()


def test_hostile_devices() -> None:
    """Another file in place of one of the host's devices is not taken for it."""
    for source, target in (("/dev/zero", "/dev/full"), ("/etc/passwd", "/dev/tty")):
        run("mount", "--bind", source, target)
        try:
            expect("Failed", "device node", "ENODEV", box_fails)
        finally:
            run("umount", target)


def test_controllers_enabled_inside() -> None:
    """Where init has enabled a controller, its cgroup takes no process: Execute finds another place in the payload."""
    v2 = [testbed.CGROUPS / name for name, v2 in testbed.hierarchies() if v2]
    if not v2 or "pids" not in (v2[0] / "cgroup.controllers").read_text():
        print("# no controller on v2 here: the place beside init's is not tried")
        return
    inside = "/" + "/".join(v2[0].parts[1:])
    c = box(["/bin/sh", "-c", f"cd {inside} && mkdir init && echo 1 >init/cgroup.procs && echo +pids >cgroup.subtree_control && "
             "exec sleep 1000"])
    testbed.wait_for(lambda: "/init" in pathlib.Path(f"/proc/{c.pid}/cgroup").read_text())
    testbed.wait_for(lambda: "pids" in (v2[0] / "berth/0/payload/cgroup.subtree_control").read_text())
    assert "0::/.berth\n" in c.output("cat", "/proc/self/cgroup")
    c.kill()


def test_start_is_fast() -> None:
    best = min(timed_start() for _ in range(10))
    print(f"# Create and Start together: {best * 1000:.2f} ms at best")
    assert best < 0.1  # a wait for a grace period a hierarchy would be more


def timed_start() -> float:
    c = box(["/bin/sleep", "1000"])
    c.kill()
    return c.seconds


def main() -> None:
    global scratch, root
    testbed.enter()
    testbed.furnish()
    wanted = sys.argv[2:]
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="berth-supervisor-", dir="/var/tmp"))
    try:
        root = scratch / "root"
        testbed.busybox_root(root)
        for name, test in list(globals().items()):
            if not name.startswith("test_") or (wanted and name[5:] not in wanted):
                continue
            test()
            print(f"ok - {name[5:].replace('_', ' ')}", flush=True)
    finally:
        shutil.rmtree(scratch)


main()
