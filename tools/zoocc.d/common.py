# SPDX-License-Identifier: MIT
# What every part of zoocc shares: the list of complaints, the types of the front matter
# and running another program.
"""Complaints with a place, storage types, subprocesses."""

import re
import subprocess
import sys

# Storage types of tensors: bytes, and the C enumerator.
TYPES = {
    "f32": (4, "VKZ_F32"),
    "f16": (2, "VKZ_F16"),
    "bf16": (2, "VKZ_BF16"),
    "i32": (4, "VKZ_I32"),
    "u32": (4, "VKZ_U32"),
    "i8": (1, "VKZ_I8"),
    "u8": (1, "VKZ_U8"),
}
SCALARS = ("u32", "i32", "f32")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Refused(Exception):
    """Raised when the complaints collected so far make going on pointless."""


class Complaints:
    """Collects `file:line: message`; a build shows all of them at once."""

    def __init__(self, path):
        self.path = path
        self.found = []

    def at(self, line, message, path=None, column=None):
        entry = (path or self.path, line, column or 0, message)
        if entry not in self.found:
            self.found.append(entry)

    def stop_if_any(self):
        if self.found:
            raise Refused()

    def print(self):
        for path, line, column, message in sorted(self.found):
            place = f"{path}:{line}:{column}" if column else f"{path}:{line}"
            print(f"{place}: {message}", file=sys.stderr)


def read_text(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def run(argv, stdin=None):
    """Runs a program; (exit status, stdout and stderr together)."""
    try:
        done = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace",
                              check=False)
    except OSError as e:
        return 127, f"cannot run {argv[0]}: {e.strerror}"
    return done.returncode, done.stdout
