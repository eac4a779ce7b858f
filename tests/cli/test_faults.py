# SPDX-License-Identifier: MIT
# A worker that crashes, hangs or loses the device costs one line, never a case.
"""Faults injected into the worker, and real kills from outside."""

import os
import signal
import time

import cli_run

RUN = ("check", "copy", "empty", "--tag", "smoke", "--no-canary", "--jobs", "1", "--out",
       "r.jsonl")
CASES = ["empty@n=1", "empty@n=5", "copy@n=1", "copy@n=127", "copy@n=4096"]

FAULTS = (
    ("kill", "crashed", "signal 9"),
    ("hang", "timed out", "no answer for 5 s"),
    ("lost", "device lost", "VK_ERROR_DEVICE_LOST"),
)


class Faults(cli_run.Case):
    def check_file(self, expected):
        """`expected`: the status of every case that is not ok."""
        lines = self.work.lines("r.jsonl")
        self.assertEqual([v["type"] for v in lines], ["header", *["case"] * 5, "end"])
        found = {v["case"]: v["status"] for v in lines[1:-1]}
        self.assertEqual(found, {case: expected.get(case, "ok") for case in found})
        self.assertEqual(sorted(found), sorted(CASES))
        end = lines[-1]
        self.assertEqual((end["status"], end["cases"], end["errors"]),
                         ("complete", 5, len(expected)))
        return lines

    def order(self):
        """The cases in the order in which they run."""
        self.expect(0, self.run_vkzoo(*RUN[:-1], "order.jsonl"))
        return [v["case"] for v in self.work.lines("order.jsonl") if v["type"] == "case"]

    def inject(self, fault, status, reason, number, order):
        _, out, errors = self.expect(99, self.run_vkzoo(
            *RUN, "--timeout", "5", env={"VKZOO_FAULT": f"{fault}@{number}"}))
        # Each worker breaks at its own N-th job.
        broken = order[number - 1::number]
        lines = self.check_file({case: status for case in broken})
        for value in lines[1:-1]:
            if value["status"] != "ok":
                self.assertIn(reason, value["reason"])
                self.assertIn(f"vkzoo check '{value['case']}'", value["repro"])
                self.assertIn(value["repro"], errors)
                self.assertIsNotNone(value["kernel"])
        self.assertEqual(errors.count(f"{status}: "), len(broken), errors)
        self.assertIn("--resume r.jsonl", out)
        self.resume()

    def resume(self):
        self.expect(0, self.run_vkzoo("check", "--resume", "r.jsonl", "--no-canary"))
        found = cli_run.outcomes(self.work.lines("r.jsonl"))
        self.assertEqual(set(found.values()), {"ok"})
        self.assertEqual(len(found), 5)
        self.expect(0, self.run_vkzoo("lint", "r.jsonl"))
        os.remove(self.work.path("r.jsonl"))

    def test_faults(self):
        order = self.order()
        for fault, status, reason in FAULTS:
            for number in (2, 3) if fault != "hang" else (3,):
                with self.subTest(fault=fault, number=number):
                    self.inject(fault, status, reason, number, order)

    def test_every_worker_dies(self):
        """Each case is its worker's last one: all have a line, and it ends."""
        self.expect(99, self.run_vkzoo(*RUN, env={"VKZOO_FAULT": "kill@1"}))
        self.check_file({case: "crashed" for case in CASES})

    def test_side_by_side(self):
        self.expect(99, self.run_vkzoo(*RUN, "--jobs", "2",
                                       env={"VKZOO_FAULT": "kill@2"}))
        lines = self.work.lines("r.jsonl")
        found = {v["case"]: v["status"] for v in lines if v["type"] == "case"}
        self.assertEqual(sorted(found), sorted(CASES))
        self.assertIn("crashed", found.values())
        self.resume()

    def test_killed_from_outside(self):
        for number, words in ((signal.SIGKILL, "signal 9"), (signal.SIGABRT, "signal 6")):
            with self.subTest(signal=number):
                self.kill_worker(number, words)

    def kill_worker(self, number, words):
        """Kills the worker while it holds a case; the hang gives the time to."""
        child = self.work.start(*RUN, env={"VKZOO_FAULT": "hang@2"})
        self.addCleanup(cli_run.end, child)
        first = cli_run.wait_for(
            lambda: os.path.exists(self.work.path("r.jsonl")) and
            self.work.read("r.jsonl").count(b"\n") == 2 and cli_run.children(child.pid),
            "the first case")
        # The second case is with the worker now, or in an instant.
        cli_run.wait_for(lambda: sleeping(first[0]), "the worker to hang")
        os.kill(first[0], number)
        # The next worker hangs too, on its second case.
        cli_run.wait_for(lambda: self.work.read("r.jsonl").count(b"\n") == 4 and
                         cli_run.children(child.pid), "the case after the kill")
        second = cli_run.children(child.pid)
        cli_run.wait_for(lambda: sleeping(second[0]), "the second worker to hang")
        os.kill(second[0], number)
        out, errors = child.communicate(timeout=cli_run.LIMIT)
        self.expect(99, (child.returncode, out, errors))
        lines = self.work.lines("r.jsonl")
        status = [v["status"] for v in lines[1:-1]]
        self.assertEqual(status, ["ok", "crashed", "ok", "crashed", "ok"])
        self.assertIn(words, lines[2]["reason"])
        self.resume()


# The system call that pause() makes.
PAUSE = {"x86_64": "34", "aarch64": "73"}.get(os.uname().machine)


def sleeping(pid):
    """True when the process waits in pause(), where the injected hang leaves it."""
    try:
        with open(f"/proc/{pid}/syscall", encoding="utf-8") as f:
            number = f.read().split()[0]
    except (OSError, IndexError):
        number = None
    if PAUSE and number:
        return number == PAUSE
    time.sleep(1)  # what it does cannot be seen here
    return True


if __name__ == "__main__":
    cli_run.main()
