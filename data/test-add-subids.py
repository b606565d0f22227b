#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Usage: test-add-subids.py BERTH-ADD-SUBIDS"""

import pathlib
import subprocess
import sys
import tempfile

LINE = "berth:1879048192:134283264\n"
LAST = 1879048192 + 134283264


def main(script: str) -> None:
    with tempfile.TemporaryDirectory() as root:
        etc = pathlib.Path(root, "etc")
        etc.mkdir()

        def run(uid: str | None, gid: str | None) -> tuple[int, str]:
            for name, text in (("subuid", uid), ("subgid", gid)):
                (etc / name).unlink(missing_ok=True)
                if text is not None:
                    (etc / name).write_text(text)
            done = subprocess.run([script, root], capture_output=True, text=True, check=False)
            return done.returncode, done.stderr

        def texts() -> list[str]:
            return [(etc / n).read_text() for n in ("subuid", "subgid")]

        assert run(None, None) == (0, "") and texts() == [LINE, LINE]
        assert run(LINE, "") == (0, "") and texts() == [LINE, LINE]
        assert run("a:100000:65536", "a:100000:65536\n") == (0, "")
        assert texts() == ["a:100000:65536\n" + LINE] * 2
        assert run(f"a:{LAST}:1\nb:1879048191:1\n", None) == (0, "")

        for other in (f"a:{LAST - 1}:1\n", "a:1879048191:2\n", "a:1:4294967294\n", "a:1900000000:1\n"):
            for files in ((other, ""), ("", other)):
                code, error = run(*files)
                assert code != 0 and other.strip() in error and texts() == list(files), (other, error)
        code, error = run("berth:100000:65536\n", None)
        assert code != 0 and "other IDs already" in error


main(*sys.argv[1:])
