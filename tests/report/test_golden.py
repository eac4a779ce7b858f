#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tables and findings of the sample files in data/ are what golden/ has.

test_golden.py TOOL [--write]   TOOL is the built report_tool; --write makes golden/ anew.
"""
import difflib
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# File in golden/: what to print, width and characters, sample files.
GOLDEN = {
    "trouble-80.txt": ("table", "80u", "trouble"),
    "trouble-160.txt": ("table", "160u", "trouble"),
    "trouble-120-ascii.txt": ("rows", "120", "trouble"),
    "good-80-ascii.txt": ("table", "80", "good"),
    "good-100-color.txt": ("rows", "100uc", "good"),
    "good-160.txt": ("table", "160u", "good"),
    "check-80.txt": ("table", "80u", "check"),
    "check-160.txt": ("table", "160u", "check"),
    "ceilings-80-ascii.txt": ("ceilings", "80", "good"),
    "ceilings-160.txt": ("ceilings", "160u", "good"),
    "lint-good.txt": ("lint", "80u", "good"),
    "lint-trouble.txt": ("lint", "80u", "trouble"),
    "lint-several.txt": ("lint", "80u", "good", "check", "other"),
    "lint-other.json": ("lint-json", "80", "other"),
    "compare-80.txt": ("compare-text", "80u", "good", "trouble"),
    "compare.md": ("compare-md", "80u", "good", "trouble"),
    "compare.csv": ("compare-csv", "80u", "good", "trouble"),
    "compare.json": ("compare-json", "80u", "good", "trouble"),
    "report.md": ("md", "80u", "good", "trouble", "other"),
    "report.csv": ("csv", "80u", "good", "trouble", "other"),
    "history-80.txt": ("history-text", "80u", "good", "trouble", "other"),
    "history.csv": ("history-csv", "80u", "good", "other"),
}
WIDTHS = range(60, 201, 5)


def output(tool, what, style, *samples):
    files = [f"{s}.jsonl" for s in samples]
    # Paths in the output are relative, so that they are the same on every machine.
    done = subprocess.run([tool, what, style, *files], cwd=os.path.join(HERE, "data"),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    if done.returncode not in (0, 1):
        sys.exit(f"{what} {samples}: status {done.returncode}\n{done.stdout.decode()}")
    return done.stdout.decode()


def check_golden(tool, write):
    bad = 0
    for name, command in GOLDEN.items():
        path = os.path.join(HERE, "golden", name)
        found = output(tool, *command)
        if write:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(found)
            continue
        with open(path, encoding="utf-8") as f:
            wanted = f.read()
        if found != wanted:
            bad += 1
            sys.stdout.writelines(difflib.unified_diff(
                wanted.splitlines(True), found.splitlines(True), name, "now"))
    if bad:
        print(f"{bad} differ; where the change is wanted: test_golden.py TOOL --write")
    return bad


def check_widths(tool):
    """A row never wraps, nor ends in blanks, at any width."""
    bad = 0
    for width in WIDTHS:
        for sample in ("good", "trouble", "check"):
            for what in ("rows", "ceilings"):
                for line in output(tool, what, f"{width}u", sample).splitlines():
                    if len(line) > width or line != line.rstrip():
                        bad += 1
                        print(f"{sample} at {width}: {len(line)} columns: {line!r}")
    return bad


def check_ascii(tool):
    bad = 0
    for sample in ("good", "trouble", "check"):
        for what in ("table", "ceilings"):
            strange = re.findall(r"[^\n -~]", output(tool, what, "90", sample))
            if strange:
                bad += 1
                print(f"{sample}: {set(strange)} in ASCII output")
    return bad


if __name__ == "__main__":
    tool = os.path.abspath(sys.argv[1])
    sys.exit(1 if check_golden(tool, "--write" in sys.argv) + check_widths(tool) +
             check_ascii(tool) else 0)
