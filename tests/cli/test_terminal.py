# SPDX-License-Identifier: MIT
# On a terminal there is progress, and tables fit its width; a pipe gets neither progress
# nor colours.
"""Terminals, through a pty."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

import cli_run

RUN = ("check", "peak", "--tag", "smoke", "--no-canary")


class Terminal(cli_run.Case):
    def on_terminal(self, *arguments, columns=80, stderr_only=False):
        """(exit status, what the terminal got, what stdout got when it is a pipe)."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 40, columns, 0, 0))
        child = subprocess.Popen(
            [cli_run.VKZOO, *arguments], cwd=self.work.folder, stdin=slave, stderr=slave,
            stdout=subprocess.PIPE if stderr_only else slave,
            env={**self.work.env, "TERM": "xterm"})
        os.close(slave)
        self.addCleanup(cli_run.end, child)
        seen, end = b"", time.monotonic() + cli_run.LIMIT
        while time.monotonic() < end:
            if not select.select([master], [], [], 1)[0]:
                continue
            try:
                some = os.read(master, 65536)
            except OSError:
                break  # the other side is closed
            if not some:
                break
            seen += some
        os.close(master)
        out = child.stdout.read() if stderr_only else b""
        return child.wait(timeout=cli_run.LIMIT), seen.decode(), out.decode()

    def screen(self, text):
        """The lines that stay: progress was erased, colours are gone."""
        lines = []
        for line in text.replace("\r\n", "\n").split("\n"):
            line = re.split("\r\x1b\\[K", line)[-1]
            lines.append(re.sub("\x1b\\[[0-9;]*m", "", line))
        return lines

    def test_progress(self):
        status, seen, _ = self.on_terminal(*RUN)
        self.assertEqual(status, 0, seen)
        progress = re.findall(r"\r\x1b\[K\[(\d+)/(\d+) \d+s\] ([^\r\n]+)", seen)
        self.assertGreater(len(progress), 5)
        self.assertEqual(len({total for _, total, _ in progress}), 1)
        self.assertTrue(any("copy_stream.i32" in what for _, _, what in progress))
        done = [int(n) for n, _, _ in progress]
        self.assertEqual(done, sorted(done))
        # Nothing of it stays.
        for line in self.screen(seen):
            self.assertNotRegex(line, r"^\[\d+/")

    def test_progress_fits(self):
        """A line of progress that wraps could not be erased."""
        _, seen, _ = self.on_terminal(*RUN, columns=60)
        for line in re.findall(r"\r\x1b\[K(\[\d+/\d+ \d+s\] [^\r\n]*)", seen):
            self.assertLess(len(line), 60, line)

    def test_progress_beside_a_pipe(self):
        status, seen, out = self.on_terminal(*RUN, stderr_only=True)
        self.assertEqual(status, 0)
        self.assertIn("\x1b[K[", seen)
        self.assertNotIn("\x1b", out)
        self.assertIn("copy_stream", out)

    def test_quiet_in_a_pipe(self):
        _, out, errors = self.expect(0, self.run_vkzoo(*RUN))
        self.assertEqual(errors, "")
        self.assertNotIn("\x1b", out)
        self.assertNotIn("\r", out)

    def test_widths(self):
        plain = self.expect(0, self.run_vkzoo(*RUN))[1]
        kernels = set(re.findall(r"(?m)^  ([a-z0-9_]+_[a-z0-9_]+)", plain))
        self.assertGreater(len(kernels), 5)
        for columns in (80, 160):
            with self.subTest(columns=columns):
                status, seen, _ = self.on_terminal(*RUN, columns=columns)
                self.assertEqual(status, 0)
                lines = self.screen(seen)
                for line in lines:
                    if not line.startswith(("device ", "next: ", "  vkzoo ")):
                        self.assertLessEqual(len(line), columns, line)
                words = set(re.findall(r"[a-z0-9_]+", "\n".join(lines)))
                self.assertLessEqual(kernels, words)

    def test_trouble_on_a_terminal(self):
        """A failure is a line of its own, not glued to the progress."""
        self.work.env["VKZOO_FAULT"] = "kill@2"
        status, seen, _ = self.on_terminal("check", *cli_run.SMALL)
        self.assertEqual(status, 99)
        self.assertRegex("\n".join(self.screen(seen)), "(?m)^crashed: copy_stream.i32")


if __name__ == "__main__":
    cli_run.main()
