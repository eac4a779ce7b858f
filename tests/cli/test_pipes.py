# SPDX-License-Identifier: MIT
# Standard output that is closed, full, or read only in part: no hang, nothing in the
# wrong place, and what was lost is said.
"""Odd standard streams."""

import os
import subprocess

import cli_run


class Pipes(cli_run.Case):
    def shell(self, command, status):
        """A shell line with vkzoo as $V; (stdout, stderr)."""
        done = subprocess.run(["/bin/sh", "-c", command], cwd=self.work.folder, text=True,
                              env={**self.work.env, "V": cli_run.VKZOO,
                                   "SMALL": " ".join(cli_run.SMALL)},
                              stdin=subprocess.DEVNULL, capture_output=True, check=False,
                              timeout=cli_run.LIMIT)
        self.assertEqual(done.returncode, status, (command, done.stdout, done.stderr))
        return done.stdout, done.stderr

    def test_closed(self):
        """Closed streams do not lend their numbers to the result file or the worker."""
        for closed in (">&-", "<&- >&-", "<&- >&- 2>&-", "2>&-"):
            for json in ("", "--json"):
                with self.subTest(closed=closed, json=json):
                    self.shell(f"\"$V\" check $SMALL {json} --out r.jsonl {closed}", 0)
                    lines = self.work.lines("r.jsonl")
                    self.assertEqual([v["type"] for v in lines],
                                     ["header", "case", "case", "case", "end"])
                    os.remove(self.work.path("r.jsonl"))

    def test_head(self):
        for command in ("list --json", "help", "check $SMALL", "check $SMALL --json",
                        "info", "where copy"):
            with self.subTest(command=command):
                out, _ = self.shell(f"\"$V\" {command} | head -1", 0)
                self.assertEqual(out.count("\n"), 1)

    def test_head_keeps_the_file(self):
        out, _ = self.shell("\"$V\" check $SMALL --out r.jsonl | head -1", 0)
        self.assertEqual(out.count("\n"), 1)
        self.assertEqual(self.work.lines("r.jsonl")[-1]["status"], "complete")

    def test_full(self):
        for command in ("list", "list --json", "help", "help check", "--version",
                        "where copy", "check $SMALL", "check $SMALL --json", "info"):
            with self.subTest(command=command):
                _, errors = self.shell(f"\"$V\" {command} >/dev/full", 99)
                self.assertRegex(errors, "^vkzoo: cannot write to standard output: .+\n$")

    def test_full_keeps_the_file(self):
        self.shell("\"$V\" check $SMALL --out r.jsonl >/dev/full", 99)
        self.assertEqual(self.work.lines("r.jsonl")[-1]["status"], "complete")


if __name__ == "__main__":
    cli_run.main()
