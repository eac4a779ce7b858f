# SPDX-License-Identifier: MIT
# Ctrl-C and kill of the parent in the middle of a run: the file is whole, no worker stays
# behind, and --resume does the rest.
"""Signals to the parent."""

import os
import signal
import time

import cli_run

RUN = ("check", "copy", "--tag", "smoke", "--no-canary", "--jobs", "1", "--out",
       "r.jsonl")


class Signals(cli_run.Case):
    def start_and_hold(self):
        """A run whose worker holds the second case for ever; (parent, its worker)."""
        child = self.work.start(*RUN, env={"VKZOO_FAULT": "hang@2"})
        self.addCleanup(cli_run.end, child)
        cli_run.wait_for(lambda: os.path.exists(self.work.path("r.jsonl")) and
                         self.work.read("r.jsonl").count(b"\n") == 2, "the first case")
        return child, cli_run.children(child.pid)

    def gone(self, pids):
        for pid in pids:
            cli_run.wait_for(lambda pid=pid: not cli_run.alive(pid),
                             "the worker to be gone", 20)

    def resume(self):
        self.expect(0, self.run_vkzoo("check", "--resume", "r.jsonl", "--no-canary"))
        found = cli_run.outcomes(self.work.lines("r.jsonl"))
        self.assertEqual((len(found), set(found.values())), (3, {"ok"}))

    def test_interrupt(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                child, workers = self.start_and_hold()
                child.send_signal(number)
                out, errors = child.communicate(timeout=20)
                self.expect(130, (child.returncode, out, errors))
                self.gone(workers)
                lines = self.work.lines("r.jsonl")
                self.assertEqual([v["type"] for v in lines], ["header", "case", "end"])
                self.assertEqual((lines[-1]["status"], lines[-1]["cases"]),
                                 ("interrupted", 1))
                self.assertIn("vkzoo check --resume r.jsonl", out)
                self.resume()
                os.remove(self.work.path("r.jsonl"))

    def test_interrupt_group(self):
        """As a terminal does it: the signal reaches the worker too."""
        child = self.work.start(*RUN, env={"VKZOO_FAULT": "hang@2"},
                                start_new_session=True)
        self.addCleanup(cli_run.end, child)
        cli_run.wait_for(lambda: os.path.exists(self.work.path("r.jsonl")) and
                         self.work.read("r.jsonl").count(b"\n") == 2, "the first case")
        os.killpg(child.pid, signal.SIGINT)
        out, errors = child.communicate(timeout=20)
        self.expect(130, (child.returncode, out, errors))
        lines = self.work.lines("r.jsonl")
        self.assertEqual([v["type"] for v in lines], ["header", "case", "end"])
        self.assertEqual(lines[1]["status"], "ok")

    def test_interrupt_at_once(self):
        """Before the first case, at any moment: 130, and no file without a header."""
        for delay in (0.005, 0.02, 0.05, 0.1, 0.2, 0.4):
            child = self.work.start(*RUN)
            self.addCleanup(cli_run.end, child)
            time.sleep(delay)
            child.send_signal(signal.SIGINT)
            out, errors = child.communicate(timeout=20)
            # Until the handler is in place a signal just ends it; a run may be over, too.
            self.assertIn(child.returncode, (130, -signal.SIGINT, 0), (out, errors))
            if os.path.exists(self.work.path("r.jsonl")):
                lines = self.work.lines("r.jsonl")
                self.assertEqual([lines[0]["type"], lines[-1]["type"]], ["header", "end"])
                os.remove(self.work.path("r.jsonl"))

    def test_parent_killed(self):
        child, workers = self.start_and_hold()
        child.kill()
        child.communicate()
        self.gone(workers)  # even one that hangs
        self.assertEqual(len(workers), 1)
        lines = self.work.lines("r.jsonl")
        self.assertEqual([v["type"] for v in lines], ["header", "case"])
        self.resume()

    def test_ceilings_interrupted(self):
        """No header without the ceilings that were asked for: the file goes."""
        child = self.work.start("bench", "copy@n=3", "--out", "r.jsonl")
        self.addCleanup(cli_run.end, child)
        cli_run.wait_for(lambda: os.path.exists(self.work.path("r.jsonl")), "the file")
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        out, errors = child.communicate(timeout=20)
        self.expect_line(130, ["interrupted", "nothing is kept"],
                         (child.returncode, out, errors))
        self.assertFalse(os.path.exists(self.work.path("r.jsonl")))


if __name__ == "__main__":
    cli_run.main()
