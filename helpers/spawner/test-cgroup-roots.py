#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cgroup roots that the spawner makes, and the holder of a delegated one, in child cgroups that stand for a whole machine's.

Usage: test-cgroup-roots.py SPAWNER HOLD LIBEXECDIR"""

import ctypes
import os
import pathlib
import shutil
import signal
import sys
import traceback

import testbed
from testbed import USERS, Spawner, run, wait_for

SPAWNER, HOLD, LIBEXEC = (os.path.abspath(a) for a in sys.argv[1:])
MOUNTS = pathlib.Path("/sys/fs/cgroup")
CLONE_NEWNS, CLONE_NEWCGROUP = 0x00020000, 0x02000000
DELEGATED = "berth.slice/berth-containers.service"
UID = USERS["berth-cgroup"]


def hierarchies() -> dict[str, tuple[pathlib.Path, str, list[str]]]:
    """name of the mount -> where it is, its type, its options without those of every mount."""
    result = {}
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, options, *_ = line.split()
        if kind in ("cgroup", "cgroup2") and pathlib.Path(where).parent == MOUNTS:
            drop = {"rw", "ro", "relatime", "nosuid", "nodev", "noexec"}
            result[pathlib.Path(where).name] = (pathlib.Path(where), kind, [o for o in options.split(",") if o not in drop])
        elif kind == "cgroup2" and pathlib.Path(where) == MOUNTS:
            result[""] = (MOUNTS, kind, [])
    return result


def remove(folder: pathlib.Path) -> None:
    for root, folders, _ in os.walk(folder, topdown=False):
        for name in folders:
            os.rmdir(pathlib.Path(root, name))
    folder.rmdir()


def fill_cpuset(folder: pathlib.Path) -> None:
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (folder / name).exists() and not (folder / name).read_text().strip():
            (folder / name).write_text((folder.parent / name).read_text())


def new_machine(found: dict, name: str) -> None:
    """Joins a child cgroup in each hierarchy, and sees nothing above it from then on."""
    for where, kind, _ in found.values():
        if kind == "cgroup":
            fill_cpuset(where / name)
        (where / name / "cgroup.procs").write_text("0")
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWCGROUP | CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    run("mount", "--make-rprivate", "/")
    if "" in found:
        run("mount", "-t", "cgroup2", "cgroup2", MOUNTS)
        return
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", MOUNTS)
    for mount, (_, kind, options) in found.items():
        (MOUNTS / mount).mkdir()
        given = ["none", *options] if any(o.startswith("name=") for o in options) else options
        given = [o for o in given if o not in ("xattr", "release_agent")]
        run("mount", "-t", kind, *(["-o", ",".join(given)] if kind == "cgroup" else []), kind, MOUNTS / mount)


def owner(path: pathlib.Path) -> int:
    return path.stat().st_uid


def check_root(where: pathlib.Path, kind: str) -> None:
    root = where / "berth"
    assert owner(root) == UID and root.stat().st_mode & 0o777 == 0o755, root
    if kind == "cgroup2":
        assert all(owner(root / f) == UID for f in ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads"))
        return
    assert owner(root / "tasks") == owner(root / "cgroup.procs") == 0, root
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (root / name).exists():
            assert (root / name).read_text() == (where / name).read_text() != "\n", root / name


def can_make_slots(where: pathlib.Path) -> None:
    """Its owner, without a capability, makes a slot there and removes it."""
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setresgid(UID, UID, UID)
        os.setresuid(UID, UID, UID)
        os.mkdir(where / "berth" / "7")
        os.rmdir(where / "berth" / "7")
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, where


def as_berth_cgroup() -> None:
    os.setgroups([])
    os.setresgid(UID, UID, UID)
    os.setresuid(UID, UID, UID)


def test_roots(found: dict) -> None:
    for mount in found:
        os.chmod(MOUNTS / mount, 0o555)  # as the kernel makes the first of all
    spawner = Spawner(SPAWNER)
    for mount, (_, kind, _) in found.items():
        check_root(MOUNTS / mount, kind)
        assert os.stat(MOUNTS / mount).st_mode & 0o777 == 0o555, mount
        can_make_slots(MOUNTS / mount)
    spawner.end()
    # Again: nothing changes. A start that was broken off after the folder was made is made good.
    if (MOUNTS / "cpuset").exists():
        (MOUNTS / "cpuset/berth").rmdir()
        (MOUNTS / "cpuset/berth").mkdir()
    Spawner(SPAWNER).end()
    for mount, (_, kind, _) in found.items():
        check_root(MOUNTS / mount, kind)
        (MOUNTS / mount / "berth").rmdir()


def test_delegated(found: dict) -> None:
    """As systemd leaves it: the unit's cgroup in v2 and name=systemd is berth-cgroup's."""
    delegated = [m for m, (_, kind, _) in found.items() if kind == "cgroup2" or m == "systemd"]
    for mount in delegated:
        unit = MOUNTS / mount / DELEGATED
        unit.mkdir(parents=True)
        for path in (unit, unit / "cgroup.procs", unit / ("cgroup.subtree_control" if mount != "systemd" else "tasks")):
            os.chown(path, UID, UID)

    def enter_unit() -> None:
        for mount in delegated:
            (MOUNTS / mount / DELEGATED / "cgroup.procs").write_text("0")
        as_berth_cgroup()

    # The holder is told of as ready only when it has moved, so Spawner's wait will do for it.
    hold = Spawner(HOLD, preexec_fn=enter_unit)
    for mount in delegated:
        unit = MOUNTS / mount / DELEGATED
        assert (unit / "hold/cgroup.procs").read_text() == f"{hold.process.pid}\n"
        assert (unit / "cgroup.procs").read_text() == ""

    spawner = Spawner(SPAWNER)
    for mount, (_, kind, _) in found.items():
        if mount in delegated:
            assert not (MOUNTS / mount / "berth").exists(), mount
        else:
            check_root(MOUNTS / mount, kind)
    spawner.end()
    hold.process.send_signal(signal.SIGTERM)
    assert hold.process.wait(timeout=20) == -signal.SIGTERM

    # Started anywhere else it does not come up: it may not move what is not in the unit.
    Spawner(HOLD, preexec_fn=as_berth_cgroup, fails=True)


def inside(found: dict, name: str) -> None:
    new_machine(found, name)
    testbed.furnish(pathlib.Path(LIBEXEC), {"berth-idmap": shutil.which("true")}, cgroups=True)
    test_roots(found)
    test_delegated(found)


def main() -> int:
    testbed.enter()
    found = hierarchies()
    if not found:
        print("skipped: no cgroup hierarchy below /sys/fs/cgroup", file=sys.stderr)
        return 77
    name = f"berth-test-{os.environ[testbed.INSIDE]}"
    made = []
    try:
        for where, _, _ in found.values():
            (where / name).mkdir()
            made.append(where / name)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                inside(found, name)
                status = 0
            finally:
                sys.stderr.flush()
                if status:
                    traceback.print_exc()
                os._exit(status)
        status = os.waitpid(pid, 0)[1]
    finally:
        for folder in made:
            wait_for(lambda folder=folder: not any(p.read_text() for p in folder.rglob("cgroup.procs")))
            remove(folder)
    return 0 if status == 0 else 1


sys.exit(main())
