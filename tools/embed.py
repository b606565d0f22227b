#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Turns a text file into a C header that holds it as a string.

org.berth1.IdMap.varlink becomes `static const char idmap_description[]`. Usage: embed.py INPUT OUTPUT
"""

import pathlib
import re
import sys


def main(source: str, target: str) -> None:
    path = pathlib.Path(source)
    stem = path.name.removesuffix(path.suffix)
    name = re.sub(r"[^a-z0-9]", "_", stem.rpartition(".")[2].lower())
    lines = []
    for line in path.read_text(encoding="ascii").splitlines():
        if re.search(r"[^\x20-\x7e]", line):
            sys.exit(f"{source}: a character that is not printable ASCII: {line!r}")
        # A question mark is escaped lest two of them begin a trigraph.
        lines.append('        "' + re.sub(r'(["\\?])', r"\\\1", line) + '\\n"')
    text = "\n".join(lines)
    pathlib.Path(target).write_text(
        "/* SPDX-License-Identifier: LGPL-2.1-or-later */\n"
        f"/* Made by embed.py from {path.name}. */\n"
        "#pragma once\n\n"
        f"static const char {name}_description[] __attribute__((unused)) =\n{text};\n"
    )


main(*sys.argv[1:])
