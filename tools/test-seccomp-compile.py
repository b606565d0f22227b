#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tables that must be refused, and why; sections; defaults. Usage: test-seccomp-compile.py SECCOMP-COMPILE"""

import pathlib
import subprocess
import sys
import tempfile

REFUSED = [
    ("read\n", "no default line"),
    ("default kill\ndefault kill\n", "not the one default line"),
    ("default errno 0\n", "not an errno"),
    ("default errno\n", "a value is missing"),
    ("default kill now\n", "not the one default line"),
    ("default kill\nraed\n", "2: no such system call: raed"),
    ("default kill\nread arg6 == 0\n", "not argN or intN: arg6"),
    ("default kill\nread argument0 == 0\n", "not argN or intN"),
    ("default kill\nread arg0\n", "an operator is missing"),
    ("default kill\nread arg0 ==\n", "a value is missing"),
    ("default kill\nread arg0 == O_NONSENSE\n", "neither a number nor a known constant"),
    ("default kill\nread arg0 == 12x\n", "not a number"),
    ("default kill\nread arg0 = 12\n", "not an operator"),
    ("default kill\nread int0 < 12\n", "intN goes with == and masked only"),
    ("default kill\nread arg0 masked 3 != 0\n", "only == goes with masked"),
    ("default kill\nread arg0 masked 3 == 4\n", "can never be true"),
    ("default kill\nread arg0 == @\n", "not a placeholder's name"),
    ("default kill\nread int0 == @a\n", "a placeholder needs argN =="),
    ("default kill\nread arg0 == @a\nread arg0 == 3\n", "needs the placeholder"),
    ("arch x86_64 i386\ndefault kill\nread arg0 == @a\n", "native architecture"),
    ("arch pdp11\ndefault kill\n", "no such architecture"),
    ("default kill\nread\nread int0 == 1\n", "the condition is void"),
    ("default kill\nread int0 == 1\nread\n", "the condition is void"),
    ("default kill\ninclude base\nwrite int0 == 2\n", "the condition is void"),
    ("default kill\nread\nread errno EPERM\n", "two actions"),
    ("default kill\nread\nread errno EPERM int0 == 1\n", "another action"),
    ("default allow\nread\n", "the default says that already"),
    ("default kill\ninclude missing\n", "No such file"),
    ("include self\n", "too many includes"),
    ("default kill\n[debug]\n", "not [all], [asan] or [coverage]"),
    ("default kill\nread " + "x" * 600 + "\n", "line too long"),
]


def main(tool: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table, header = pathlib.Path(folder, "self"), pathlib.Path(folder, "header.h")
        pathlib.Path(folder, "base").write_text("write\n")

        def run(text: str, *options: str) -> subprocess.CompletedProcess:
            table.write_text(text)
            header.unlink(missing_ok=True)
            return subprocess.run([tool, *options, table, header], capture_output=True, text=True, check=False)

        def compiled(text: str, *options: str) -> str:
            done = run(text, *options)
            assert done.returncode == 0, done.stderr
            return header.read_text()

        for text, why in REFUSED:
            done = run(text)
            assert done.returncode == 1 and why in done.stderr, (text, done.stderr)
            assert not header.exists(), text

        plain = compiled("default kill\nread\n[asan]\nread\nopenat\n")
        assert compiled("default kill\nread\n[all]\n") == plain
        assert compiled("default kill\nread\n?no_such_call\n") == plain
        assert compiled("default kill\nread\nread\n") == plain
        asan = compiled("default kill\nread int0 == 0\n[asan]\nread\nopenat\n", "--instrument", "asan")
        assert asan == compiled("default kill\nread\nopenat\n") != plain
        # A section that is not asked for does not count, whatever the names share.
        assert compiled("default kill\nread\n[coverage]\nopenat\n", "--instrument", "asan") == plain

        assert "0x80000000" in plain and "0x7ffc0000" not in plain
        # With log, wrong architectures still kill.
        assert "0x7ffc0000" in compiled("default kill\nread\n", "--default", "log")
        # Only a killing default is replaced.
        refusing = "default errno EPERM\nread\n"
        assert compiled(refusing, "--default", "log") == compiled(refusing)
        assert run(refusing.replace("errno EPERM", "kill"), "--default", "allow").returncode == 1


main(*sys.argv[1:])
