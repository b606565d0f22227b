#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real spawner with its real table and a probe in place of each helper: what a helper is when it starts, and who gets one.

Usage: test-spawner.py SPAWNER SPAWNER-WITH-TEST-TABLE PROBE LIBEXECDIR"""

import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

import testbed
from testbed import HELPERS, OUTSIDER, USERS, Connection, Spawner, wait_for

SPAWNER, SHORT, PROBE, LIBEXEC = (os.path.abspath(a) for a in sys.argv[1:])
NAMES = ("supervisor", "idmap", "mount", "cgroup", "storage")

CAPABILITIES = {"CHOWN": 0, "DAC_READ_SEARCH": 2, "SETGID": 6, "SETUID": 7, "NET_ADMIN": 12, "SYS_ADMIN": 21, "SYS_RESOURCE": 24, "BPF": 39}

# By hand, from the design: user, capabilities, no_new_privs, deadline, open files.
ROWS = {
    "supervisor": (0, "SETUID SETGID SYS_ADMIN SYS_RESOURCE", 0, 0),
    "idmap": (0, "SETUID SETGID", 1, 30),
    "mount": (USERS["berth-mount"], "SYS_ADMIN DAC_READ_SEARCH", 1, 30),
    "cgroup": (USERS["berth-cgroup"], "CHOWN DAC_READ_SEARCH BPF NET_ADMIN SYS_ADMIN", 1, 30),
    "storage": (USERS["berth-storage"], "", 1, 60),
}


def own_capabilities(which: str = "CapPrm") -> int:
    """A machine's root may have less than all."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(which + r":\s*(\w+)", status).group(1), 16)


def bits(names: str) -> int:
    return sum(1 << CAPABILITIES[n] for n in names.split())


def disturbed() -> None:
    """A starter with odd habits, none of which a helper may see."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGALRM, signal.SIGTERM})
    for number in (signal.SIGUSR2, signal.SIGALRM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0)
    os.dup2(os.open("/etc/passwd", os.O_RDONLY), 20)
    os.close(0)


def test_what_a_helper_is() -> None:
    spawner = Spawner(SPAWNER, preexec_fn=disturbed, close_fds=False, cwd="/usr")
    own, own_bounding = own_capabilities(), own_capabilities("CapBnd")
    for name in NAMES:
        uid, capabilities, nnp, deadline = ROWS[name]
        connection = Connection(name)
        report = connection.report()
        have = f"{bits(capabilities) & own:016x}"
        none = f"{0:016x}"
        gid = USERS["berth"] if uid == 0 else uid

        assert report["Uid"] == [str(uid)] * 4, (name, report["Uid"])
        assert report["Gid"] == [str(gid)] * 4, (name, report["Gid"])
        assert report["Groups"] == [str(USERS["berth"])], (name, report["Groups"])
        assert report["CapBnd"] == [f"{bits(capabilities) & own_bounding:016x}"], (name, report["CapBnd"])
        assert report["CapPrm"] == report["CapEff"] == [have], (name, report["CapPrm"])
        assert report["CapAmb"] == report["CapInh"] == [have if uid else none], (name, report["CapAmb"])
        assert report["NoNewPrivs"] == [str(nnp)], name
        assert report["securebits"] == report["keepcaps"] == "0", name
        assert report["Seccomp"] == ["0"], name
        for key in ("SigBlk", "SigIgn"):
            assert report[key] == [none], (name, key, report[key])
        assert report["Umask"] == ["0077"], name
        assert report["cwd"] == "/" and report["sid"] == int(report["pid"]), name
        assert report["argc"] == "1" and report["argv0"] == f"berth-{name}", name
        assert report["environment"] == ["LISTEN_FDNAMES=varlink", "LISTEN_FDS=1", f"LISTEN_PID={report['pid']}"], name
        assert sorted(report["fds"]) == [0, 1, 2, 3], (name, report["fds"])
        assert report["fds"][0] == report["fds"][1] == "/dev/null", name
        assert report["fds"][2] == str(spawner.log) and report["fds"][3].startswith("socket:"), name
        assert deadline - 3 <= int(report["alarm"]) <= deadline, (name, report["alarm"])
        if name == "supervisor":
            hard = 1048576 if own & bits("SYS_RESOURCE") else resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            assert report["limits"]["Max open files"] == ["1024", str(min(hard, 1048576))], report["limits"]
        else:
            assert report["limits"]["Max open files"] == ["512", "512"], (name, report["limits"])
            assert report["limits"]["Max core file size"] == ["0", "0"], name
        assert connection.echoes()
        connection.close()
        wait_for(lambda pid=report["pid"]: not pathlib.Path("/proc", pid).exists())

    status = pathlib.Path("/proc", str(spawner.process.pid), "status").read_text()
    union = bits("SETUID SETGID SYS_ADMIN SYS_RESOURCE DAC_READ_SEARCH CHOWN BPF NET_ADMIN") | 1 << 8  # SETPCAP
    assert f"CapBnd:\t{union & own_bounding:016x}" in status and f"CapPrm:\t{union & own:016x}" in status, status
    assert "Seccomp:\t0" in status
    spawner.end()


def test_places() -> None:
    for path, uid, gid, mode in (
        ("/run/berth", 0, 0, 0o755), ("/run/berth/helpers", 0, 0, 0o755),
        ("/run/berth/slots", 0, USERS["berth"], 0o750), ("/run/berth/containers", USERS["berth"], USERS["berth"], 0o755),
        ("/run/berth/slots/0", 0, USERS["berth"], 0o640), (f"/run/berth/slots/{testbed.SLOTS - 1}", 0, USERS["berth"], 0o640),
        ("/var/lib/berth", 0, 0, 0o755), ("/var/lib/berth/store", USERS["berth-storage"], USERS["berth-storage"], 0o700),
        ("/var/lib/berth/slots", USERS["berth-storage"], USERS["berth-storage"], 0o755),
        ("/var/lib/berth/containers", USERS["berth"], USERS["berth"], 0o700),
        ("/var/lib/berth/grants", USERS["berth-grant"], USERS["berth-grant"], 0o755),
    ):
        st = os.stat(path)
        assert (st.st_uid, st.st_gid, st.st_mode & 0o7777) == (uid, gid, mode), (path, st)
    assert len(os.listdir("/run/berth/slots")) == testbed.SLOTS

    os.chown("/run/berth/helpers", USERS["berth"], 0)
    assert "/run/berth/helpers: must be a folder of root" in Spawner(SPAWNER, fails=True).text()
    os.chown("/run/berth/helpers", 0, 0)
    os.chmod("/run/berth/slots", 0o777)
    assert "/run/berth/slots: must be a folder" in Spawner(SPAWNER, fails=True).text()
    os.chmod("/run/berth/slots", 0o750)


def test_peers() -> None:
    spawner = Spawner(SPAWNER)
    st = os.stat(HELPERS / "idmap")
    assert (st.st_uid, st.st_mode & 0o777) == (USERS["berth"], 0o600), st
    for uid in (OUTSIDER, USERS["berth-mount"]):
        try:
            Connection("idmap", uid)
            raise AssertionError("a socket that others may connect to")
        except PermissionError:
            pass
    os.chmod(HELPERS / "idmap", 0o666)
    assert Connection("idmap", OUTSIDER).ended(10)
    assert Connection("idmap", USERS["berth-mount"]).ended(10)
    assert "idmap: a connection of user 9100, closed" in spawner.text()
    root = Connection("idmap", 0)
    root.report()
    root.close()
    spawner.end()
    assert not (HELPERS / "idmap").exists()


def cpu_seconds(pid: int) -> float:
    fields = pathlib.Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_concurrency() -> None:
    spawner = Spawner(SPAWNER)
    busy = [Connection("storage") for _ in range(8)]
    for connection in busy:
        connection.report()
    waiting = [Connection("storage") for _ in range(3)]
    before = cpu_seconds(spawner.process.pid)
    assert not waiting[0].answers(0.5), "one more than the table allows"
    assert cpu_seconds(spawner.process.pid) - before < 0.2, "it spins while it waits"
    idmap = Connection("idmap")
    idmap.report()  # another row is not affected
    busy[0].close()
    waiting[0].report()
    assert not waiting[1].answers(0.2)
    waiting[0].close()
    waiting[2].close()
    waiting[1].report()
    spawner.end()


def test_deadline_and_failures() -> None:
    pathlib.Path(LIBEXEC, "berth-broken").write_text("no program\n")
    pathlib.Path(LIBEXEC, "berth-broken").chmod(0o755)
    spawner = Spawner(SHORT)
    connection = Connection("short")
    report = connection.report()
    start = time.monotonic()
    assert connection.ended(10), "the deadline did not end it"
    assert time.monotonic() - start < 3
    wait_for(lambda: f"short ({report['pid']}) ended by signal 14, its deadline" in spawner.text())
    # What cannot be executed is a closed connection and a line in the log, and so for the next.
    for _ in range(5):
        assert Connection("broken").ended(10)
    assert spawner.text().count("broken: execute: ") == 5, spawner.text()
    spawner.end()


def test_programs() -> None:
    program = pathlib.Path(LIBEXEC, "berth-mount")

    def restore() -> None:
        if program.is_dir() and not program.is_symlink():
            program.rmdir()
        program.unlink(missing_ok=True)
        shutil.copy(PROBE, program)
        program.chmod(0o755)

    def replace(make) -> None:
        program.unlink()
        make()

    for spoil in (lambda: program.chmod(0o775), lambda: program.chmod(0o757), lambda: program.chmod(0o4755),
                  lambda: program.chmod(0o644), lambda: os.chown(program, 9002, 0), lambda: replace(program.mkdir),
                  lambda: replace(lambda: program.symlink_to("berth-idmap")), program.unlink):
        spoil()
        spawner = Spawner(SPAWNER)
        assert f"mount: {program}: " in spawner.text() and "not served" in spawner.text(), spawner.text()
        assert not (HELPERS / "mount").exists() and (HELPERS / "idmap").exists()
        spawner.end()
        restore()

    # By descriptor: what stands at the path later is another matter.
    spawner = Spawner(SPAWNER)
    program.unlink()
    Connection("mount").report()
    spawner.end()
    restore()


def test_restart() -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        spawner = Spawner(SPAWNER)
        alive = [Connection("supervisor") for _ in range(3)]
        pids = [c.report()["pid"] for c in alive]
        assert "another spawner serves it" in Spawner(SPAWNER, fails=True).text()
        spawner.end(number)
        assert all(c.echoes() for c in alive)
        spawner = Spawner(SPAWNER)
        more = Connection("supervisor")
        more.report()
        assert all(c.echoes() for c in alive)
        for connection in (*alive, more):
            connection.close()
        wait_for(lambda: not any(pathlib.Path("/proc", pid, "fd").exists() for pid in pids))
        spawner.end()


def listeners(names: tuple[str, ...]) -> list[socket.socket]:
    result = []
    for name in names:
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path = HELPERS / name
        path.unlink(missing_ok=True)
        one.bind(str(path))
        os.chown(path, USERS["berth"], USERS["berth"])
        one.listen(16)
        result.append(one)
    return result


def handed_over(program: str, sockets: list[socket.socket], fails: bool = False) -> Spawner:
    """Starts it as a service manager does: the sockets from 3 on, LISTEN_PID its own."""
    fds = [s.fileno() for s in sockets]

    def place() -> None:
        high = [os.dup(fd) for fd in fds]
        high = [os.dup2(fd, 100 + i) for i, fd in enumerate(high)]
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i)

    script = f'export LISTEN_PID=$$ LISTEN_FDS={len(fds)}; exec "$0"'
    return Spawner(program, before=("sh", "-c", script), preexec_fn=place, close_fds=False, fails=fails)


def test_handed_over() -> None:
    order = ("storage", "supervisor", "cgroup", "idmap", "mount")
    sockets = listeners(order)
    spawner = handed_over(SPAWNER, sockets)
    for name in NAMES:
        connection = Connection(name)
        report = connection.report()
        assert report["argv0"] == f"berth-{name}" and sorted(report["fds"]) == [0, 1, 2, 3], report
        connection.close()
    spawner.end()
    assert (HELPERS / "idmap").exists(), "the service manager's sockets are not ours to remove"
    # The next one gets the same sockets, and what waited in them.
    waiting = Connection("idmap")
    spawner = handed_over(SPAWNER, sockets[:4])
    waiting.report()
    assert "mount: its socket was not handed over" in spawner.text()
    spawner.end()

    assert "is no row's" in handed_over(SPAWNER, listeners(("idmap", "other")), fails=True).text()
    datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    (HELPERS / "idmap").unlink()
    datagram.bind(str(HELPERS / "idmap"))
    assert "is no row's" in handed_over(SPAWNER, [datagram], fails=True).text()
    for path in HELPERS.iterdir():
        path.unlink()


def test_out_of_descriptors() -> None:
    spawner = Spawner(SPAWNER)
    pid = spawner.process.pid
    old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    time.sleep(0.2)  # READY=1 was sent by a descriptor that is then closed
    used = {int(p) for p in os.listdir(f"/proc/{pid}/fd")}
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(set(range(100)) - used), old[1]))
    connection = Connection("idmap")
    before = cpu_seconds(pid)
    assert not connection.answers(1)
    assert cpu_seconds(pid) - before < 0.3, "it spins"
    resource.prlimit(pid, resource.RLIMIT_NOFILE, old)
    connection.report()
    spawner.end()


def test_calls() -> None:
    """What it does with connections, seen by strace: neither the spawner nor a child before its exec reads."""
    trace = pathlib.Path("/run/trace")
    spawner = Spawner(SPAWNER, before=("strace", "-f", "-qq", "-o", str(trace)))
    for i in range(25):
        connection = Connection(NAMES[i % len(NAMES)])
        connection.socket.sendall(b"x")  # there is something to be read
        connection.report()
        connection.close()
    outsider = HELPERS / "idmap"
    os.chmod(outsider, 0o666)
    assert Connection("idmap", OUTSIDER).ended(10)
    children = pathlib.Path(f"/proc/{spawner.process.pid}/task/{spawner.process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGTERM)
    assert spawner.process.wait(timeout=20) == 0

    main, served, executed, resumed = "", False, set(), 0
    seen: dict[str, set[str]] = {"spawner": set(), "child": set()}
    for line in trace.read_text().splitlines():
        pid, _, rest = line.partition(" ")
        call = re.match(r"\s*(?:<\.\.\. )?(\w+)", rest)
        main = main or pid
        if not call or "+++" in rest or "---" in rest:
            continue
        if pid == main:
            served = served or call.group(1) == "ppoll"
            if served and call.group(1) in ("unlink", "exit_group"):
                break
            if served:
                seen["spawner"].add(call.group(1))
                resumed += call.group(1) == "accept4"
        elif pid not in executed:
            seen["child"].add(call.group(1))
            if call.group(1) == "execveat":
                executed.add(pid)
    assert resumed >= 26 and len(executed) == 25, (resumed, len(executed))
    permitted = {"ppoll", "accept4", "getsockopt", "vfork", "close", "wait4", "rt_sigreturn", "write", "restart_syscall",
                 "rt_sigprocmask"}
    assert seen["spawner"] <= permitted, seen["spawner"] - permitted
    permitted = {"set_robust_list", "setsid", "fcntl", "dup2", "dup3", "close_range", "rt_sigprocmask", "umask", "prlimit64",
                 "setrlimit", "rt_sigaction", "alarm", "prctl", "setgroups", "setresgid", "setresuid", "capset", "getpid", "execveat", "rseq"}
    assert seen["child"] <= permitted, seen["child"] - permitted


def main() -> int:
    testbed.enter()
    testbed.furnish(pathlib.Path(LIBEXEC), {f"berth-{name}": PROBE for name in NAMES})
    imports = subprocess.run(["nm", "-D", "--undefined-only", SPAWNER], capture_output=True, text=True, check=True).stdout
    assert "recv" not in imports, imports
    instrumented = "__asan_init" in imports or "__gcov" in imports

    test_what_a_helper_is()
    test_places()
    test_peers()
    test_concurrency()
    test_deadline_and_failures()
    test_programs()
    test_restart()
    test_handed_over()
    test_out_of_descriptors()
    if not instrumented:
        test_calls()
    return 0


sys.exit(main())
