# SPDX-License-Identifier: MIT
# A disk that is full: one message, exit status 99, and every whole line is kept.
"""Result files on a full disk."""

import ctypes
import os
import resource
import signal

import cli_run

RUN = ("check", "copy", "--tag", "smoke,check", "--no-canary", "--jobs", "1")
CASES = 12

MS_REMOUNT, MNT_DETACH = 32, 2
LIBC = ctypes.CDLL(None, use_errno=True)


def mount(path, size, flags=0):
    """A disk of that size; the reason why not, or None."""
    done = LIBC.mount(b"tmpfs", path.encode(), b"tmpfs", flags, f"size={size}".encode())
    return os.strerror(ctypes.get_errno()) if done else None


class Disk(cli_run.Case):
    def check_kept(self, done, name, reason):
        """What a run that met a full disk leaves and says."""
        self.expect(99, done)
        lines = self.work.lines(name)  # whole ones only
        kept = sum(v["type"] == "case" for v in lines)
        self.assertEqual(lines[0]["type"], "header")
        self.assertLess(kept, CASES)
        errors = done[2].splitlines()
        self.assertEqual(len(errors), 1, done[2])
        for word in (name, reason, f"--resume {name}"):
            self.assertIn(word, errors[0])
        return kept

    def resume(self, name, kept):
        _, _, errors = self.expect(0, self.run_vkzoo("check", "--resume", name,
                                                     "--no-canary"))
        self.assertIn(f"{kept} of ", errors)
        self.assertEqual(set(cli_run.outcomes(self.work.lines(name)).values()), {"ok"})

    def run_limited(self, size):
        """A limit on the size of files stops a write in the middle, as a full disk does.
        It is set once the worker runs: a driver needs files of its own."""
        child = self.work.start(
            *RUN, "--out", "r.jsonl", restore_signals=False,
            preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN))
        self.addCleanup(cli_run.end, child)
        cli_run.wait_for(lambda: cli_run.children(child.pid), "the worker")
        resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (size, size))
        out, errors = child.communicate(timeout=cli_run.LIMIT)
        return child.returncode, out, errors

    def test_file_too_large(self):
        self.expect(0, self.run_vkzoo(*RUN, "--out", "whole.jsonl"))
        whole = self.work.read("whole.jsonl")
        third = len(b"".join(whole.splitlines(keepends=True)[:3]))
        kept = self.check_kept(self.run_limited(third + 100), "r.jsonl", "File too large")
        self.assertEqual(kept, 2)
        self.resume("r.jsonl", kept)

    def test_no_room_for_the_header(self):
        self.expect_line(99, ["r.jsonl", "File too large"], self.run_limited(100))
        self.assertFalse(os.path.exists(self.work.path("r.jsonl")))

    def test_full_disk(self):
        """A real one, where this user may make one."""
        os.mkdir(self.work.path("disk"))
        why_not = mount(self.work.path("disk"), "8k")
        if why_not:
            self.skipTest("no disk to fill: " + why_not)
        try:
            done = self.run_vkzoo(*RUN, "--out", "disk/r.jsonl")
            kept = self.check_kept(done, "disk/r.jsonl", "No space left")
            self.assertIsNone(mount(self.work.path("disk"), "1m", MS_REMOUNT))
            self.resume("disk/r.jsonl", kept)
        finally:
            LIBC.umount2(self.work.path("disk").encode(), MNT_DETACH)


if __name__ == "__main__":
    cli_run.main()
