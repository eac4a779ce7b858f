#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The index of a results folder has a line a file, and --check knows when it is stale.

test_index.py INDEX PROGRAM   tools/results-index and the program
"""
import os
import shutil
import subprocess
import sys
import tempfile

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")


def main(index, program):
    with tempfile.TemporaryDirectory() as folder:
        readme = os.path.join(folder, "README.md")
        device = os.path.join(folder, "sample")
        os.mkdir(device)
        with open(readme, "w", encoding="utf-8") as f:
            f.write("# Mine\n")
        command = [index, program, folder]
        assert subprocess.run(command, check=False, capture_output=True).returncode == 1
        with open(readme, "w", encoding="utf-8") as f:
            f.write("# Mine\n<!-- index: made by tools/results-index from the files beside "
                    "-->\nold\n<!-- end of index -->\nmore\n")
        for name in ("good", "check"):
            shutil.copy(os.path.join(DATA, f"{name}.jsonl"), device)
        check = [index, "--check", program, folder]
        assert subprocess.run(check, check=False, capture_output=True).returncode == 1
        subprocess.run(command, check=True)
        subprocess.run(check, check=True)
        with open(readme, encoding="utf-8") as f:
            text = f.read()
        assert text.startswith("# Mine\n") and text.endswith("more\n") and "old" not in text
        rows = [line for line in text.splitlines() if line.startswith("| llvmpipe")]
        assert len(rows) == 2, text
        assert "[good.jsonl](sample/good.jsonl)" in rows[1] and "gemm" in rows[1], rows[1]


if __name__ == "__main__":
    main(*map(os.path.abspath, sys.argv[1:3]))
