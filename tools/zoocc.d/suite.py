# SPDX-License-Identifier: MIT
# The build's view of suites: which ops and kernels exist, and where their files are. Case
# lines belong to the program (host/zoo), which reads the same text.
"""Reader of `op` and `kernel` lines."""

import os
import re

from common import read_text


class Entry:
    """An op or a kernel that a suite names; `path` is relative to the project's root."""

    def __init__(self, kind, name, family, path, file, line, column):
        self.kind, self.name, self.family, self.path = kind, name, family, path
        self.file, self.line, self.column = file, line, column


def read(root, files, complaints):
    """Every op and kernel of the suites, in order. Complaints carry file:line:column."""
    entries, seen = [], {}
    for file in files:
        _read_one(root, file, entries, seen, complaints)
    return entries


def _read_one(root, file, entries, seen, complaints):
    family = os.path.splitext(os.path.basename(file))[0]
    op = None
    for number, raw in enumerate(read_text(file).split("\n"), 1):
        line = raw.split("#", 1)[0]
        words = [(m.group(0), m.start() + 1) for m in re.finditer(r"\S+", line)]
        if not words:
            continue

        def bad(column, message, number=number):
            complaints.at(number, message, file, column)
        word, column = words[0]
        if word not in ("op", "kernel", "case"):
            bad(column, f"expected op, kernel or case, found '{word}'")
        elif word == "case":
            if op is None:
                bad(column, "a case before any `op` line; expected the op first")
        elif len(words) != 2:
            bad(column, f"expected `{word} NAME`, found {len(words) - 1} words after "
                f"'{word}'")
        elif not re.match(r"[a-z][a-z0-9_]*\Z", words[1][0]):
            bad(words[1][1], f"expected a name of lower-case letters, digits and _, "
                f"found '{words[1][0]}'")
        elif word == "kernel" and op is None:
            bad(column, "a kernel before any `op` line; expected the op first")
        else:
            name, column = words[1]
            op = name if word == "op" else op
            entry = _entry(root, word, name, family, file, number, column, bad)
            first = seen.get((word, name))
            if first and (word == "op" and first.file != file):
                continue  # another family's op gets more cases here
            if first:
                bad(column, f"{word} '{name}' is listed on "
                    f"{os.path.basename(first.file)}:{first.line} already; expected it "
                    "once")
            elif entry:
                seen[(word, name)] = entry
                entries.append(entry)


def _entry(root, kind, name, family, file, line, column, bad):
    """Finds the file of an op or kernel: its own family's folder, then any other."""
    folder, suffix, what = (("host/ops", ".c", "contract") if kind == "op"
                            else ("shaders", ".comp", "shader"))
    expected = f"{folder}/{family}/{name}{suffix}"
    if os.path.exists(os.path.join(root, expected)):
        return Entry(kind, name, family, expected, file, line, column)
    for other in sorted(os.listdir(os.path.join(root, folder))):
        path = f"{folder}/{other}/{name}{suffix}"
        if os.path.exists(os.path.join(root, path)):
            return Entry(kind, name, other, path, file, line, column)
    bad(column, f"{kind} '{name}' has no {what}; expected the file {expected}")
    return None
