#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Units, users and folders against the spawner's table; the units against systemd's own judgement where that is installed.

Usage: test-units.py PRINT-TABLE UNIT... SYSUSERS TMPFILES"""

import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

CAPABILITIES = ("CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
                "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT "
                "SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL "
                "SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE").split()

# What makes a seccomp list or a mount namespace, which the containers would inherit.
NOT_FOR_THE_SPAWNER = re.compile(
    "SystemCall|Restrict|MemoryDeny|LockPersonality|Protect|Private|ReadOnly|ReadWrite|Inaccessible|ExecPaths|TemporaryFile|Bind|"
    "RootDirectory|RootImage|MountFlags|MountAPIVFS|DynamicUser|ProcSubset|StateDirectory|RuntimeDirectory|SecureBits")


def parse(path: pathlib.Path) -> dict[str, list[str]]:
    result: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            result.setdefault(key, []).append(value)
    return result


def verify(units: list[pathlib.Path]) -> bool:
    """In a root of its own, where the programs stand for those that other folders of the tree build."""
    if not shutil.which("systemd-analyze"):
        print("no systemd-analyze: units not verified", file=sys.stderr)
        return False
    with tempfile.TemporaryDirectory() as root:
        system = pathlib.Path(root, "usr/lib/systemd/system")
        system.mkdir(parents=True)
        for name in ("sysinit.target", "basic.target", "shutdown.target", "sockets.target", "dbus.socket", "-.mount", "tmp.mount",
                     "system.slice", "-.slice", "dbus.service", "systemd-tmpfiles-setup.service"):
            real = pathlib.Path("/usr/lib/systemd/system", name)
            if real.exists():
                shutil.copy(real, system / name)
        for unit in units:
            shutil.copy(unit, system / unit.name)
            for command in parse(unit).get("ExecStart", []):
                program = pathlib.Path(root, command.lstrip("/"))
                program.parent.mkdir(parents=True, exist_ok=True)
                program.write_text("#!/bin/true\n")
                program.chmod(0o755)
        done = subprocess.run(["systemd-analyze", "verify", f"--root={root}", "--man=no", "--recursive-errors=no",
                               *(u.name for u in units)], capture_output=True, text=True, check=False)
        ours = [line for line in done.stderr.splitlines() if "berth" in line]
        assert done.returncode == 0 and not ours, done.stderr
        # It must be able to fail, or the line above means nothing.
        broken = system / units[-1].name
        broken.write_text(broken.read_text().replace("[Service]", "[Service]\nNoSuchDirective=yes\nUser=root:"))
        done = subprocess.run(["systemd-analyze", "verify", f"--root={root}", "--man=no", broken.name], capture_output=True,
                              text=True, check=False)
        assert "NoSuchDirective" in done.stderr, done.stderr
    return True


def main(print_table: str, *arguments: str) -> None:
    *unit_paths, sysusers, tmpfiles = map(pathlib.Path, arguments)
    units = {p.name: parse(p) for p in unit_paths}
    table = [line.split() for line in subprocess.run([print_table], capture_output=True, text=True, check=True).stdout.splitlines()]
    rows = [line[1:] for line in table if line[0] == "row"]
    assert len(rows) >= 5

    assert units["berth-spawner.socket"]["ListenStream"] == [f"/run/berth/helpers/{r[0]}" for r in rows]
    union = int(table[0][1], 16)
    for row in rows:
        union |= int(row[4], 16)
    spawner = units["berth-spawner.service"]
    have = sorted(spawner["CapabilityBoundingSet"][0].split())
    assert have == sorted(f"CAP_{c}" for i, c in enumerate(CAPABILITIES) if union >> i & 1), have
    assert len(spawner["CapabilityBoundingSet"]) == 1 and spawner["NoNewPrivileges"] == ["no"]
    assert not [k for k in spawner if NOT_FOR_THE_SPAWNER.match(k)], spawner
    assert spawner["KillMode"] == ["process"] and "User" not in spawner
    for name in ("berth-containers.service", "berthd.service"):
        assert units[name]["CapabilityBoundingSet"] == [""] and units[name]["NoNewPrivileges"] == ["yes"], name

    users = {w[1] for w in map(shlex.split, sysusers.read_text().splitlines()) if w and w[0] == "u"}
    needed = {u for r in rows for u in r[2:4]} | {u["User"][0] for u in units.values() if "User" in u} | {"berth-grant"}
    assert needed - {"root"} <= users, needed - users

    places = [(w[1], w[2], w[3], w[4]) for w in table if w[0] == "place"]
    lines = [line.split() for line in tmpfiles.read_text().splitlines() if line.startswith("d ")]
    assert [(w[1], w[2], w[3], w[4]) for w in lines] == places, (lines, places)
    # An age would let systemd clean up what containers need.
    assert all(w[5:] == ["-"] for w in lines)

    verify(unit_paths)


main(*sys.argv[1:])
