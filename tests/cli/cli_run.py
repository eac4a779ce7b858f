# SPDX-License-Identifier: MIT
# How the tests run vkzoo: each run in a folder of its own, which is home and cache too,
# so that nothing is written anywhere else. The environment's VKZOO names the program.
"""Helpers of the vkzoo tests."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

VKZOO = os.environ.get("VKZOO", "vkzoo")
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIMIT = 150.0  # seconds that no single run of a test takes, on a busy machine either

# The smallest run: three cases of a kernel that does next to nothing.
SMALL = ("copy", "--tag", "smoke", "--no-canary")
BENCH = (*SMALL, "--kernel", "copy_stream", "--tuning", "default", "--no-cold",
         "--no-ceilings", "--budget", "5")


class Work:
    """A folder of its own and what vkzoo does in it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="vkzoo-test.")
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("VKZOO_", "XDG_"))}
        self.env.update(HOME=self.folder, LC_ALL="C.UTF-8",
                        XDG_CACHE_HOME=os.path.join(self.folder, "cache"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return name

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def lines(self, name):
        """A result file's lines as JSON; a line that is not whole fails the test."""
        text = self.read(name)
        if text and not text.endswith(b"\n"):
            raise AssertionError(f"{name} ends in the middle of a line: {text[-80:]}")
        return [json.loads(line) for line in text.splitlines()]

    def start(self, *arguments, env=None, **options):
        return subprocess.Popen([VKZOO, *arguments], cwd=self.folder,
                                env={**self.env, **(env or {})}, text=True,
                                stdin=subprocess.DEVNULL,
                                **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                                   **options})

    def run(self, *arguments, env=None, **options):
        """(exit status, stdout, stderr)."""
        child = self.start(*arguments, env=env, **options)
        try:
            out, errors = child.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise AssertionError(f"vkzoo {' '.join(arguments)} hangs") from None
        return child.returncode, out, errors

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Case(unittest.TestCase):
    """A test case with a Work."""

    def setUp(self):
        self.work = Work()
        self.addCleanup(self.work.remove)
        self.run_vkzoo = self.work.run

    def need_driver(self):
        reason = no_driver()
        if reason:
            self.skipTest(reason)

    def expect(self, status, done):
        self.assertEqual(done[0], status, f"stdout: {done[1]}\nstderr: {done[2]}")
        return done

    def expect_line(self, status, words, done):
        """Exit status, nothing on stdout, and one line on stderr that has the words."""
        self.expect(status, done)
        self.assertEqual(done[1], "")
        self.assertTrue(done[2].startswith("vkzoo: "), done[2])
        self.assertEqual(done[2].count("\n"), 1, done[2])
        for word in [words] if isinstance(words, str) else words:
            self.assertIn(word, done[2])
        return done


def outcomes(lines):
    """What counts in a result file: (case, kernel, variant, tuning) -> status."""
    return {(v["case"], v["asked_kernel"], v["asked_variant"], v["asked_tuning"]):
            v["status"] for v in lines if v["type"] == "case"}


def children(pid):
    """Processes whose parent is pid."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as f:
                # pid (name, which may have spaces) state parent ...
                if name.isdigit() and int(f.read().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(name))
        except OSError:
            pass
    return found


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, what, limit=LIMIT):
    """Waits until the condition gives something true, and returns that."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {limit:.0f} s for {what}")


def end(child, signal_number=signal.SIGKILL):
    """Makes sure that a child is gone; for addCleanup."""
    if child.poll() is None:
        child.send_signal(signal_number)
    child.communicate()


def no_driver():
    """Why no Vulkan device is there, or None."""
    work = Work()
    try:
        status, _, errors = work.run("check", "empty@n=1", "--no-canary")
    finally:
        work.remove()
    return errors.strip() if status == 77 else None


def main(driver=True):
    """Runs a file's tests; ends with 77 when they need a device and there is none."""
    reason = no_driver() if driver else None
    if reason:
        print("skipped: " + reason)
        sys.exit(77)
    unittest.main(verbosity=2)
