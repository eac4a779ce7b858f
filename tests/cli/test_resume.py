# SPDX-License-Identifier: MIT
# --resume after the file was cut off at many bytes: nothing of it is lost, only what is
# missing runs again, and files that would mix are refused.
"""Resuming result files."""

import json

import cli_run

RUN = ("check", "copy", "empty", "--tag", "smoke", "--no-canary")


class Resume(cli_run.Case):
    whole = None

    def setUp(self):
        super().setUp()
        if Resume.whole is None:
            self.expect(0, self.run_vkzoo(*RUN, "--out", "whole.jsonl"))
            Resume.whole = self.work.read("whole.jsonl")
        self.ends = [i + 1 for i, c in enumerate(Resume.whole) if c == ord("\n")]
        self.outcomes = cli_run.outcomes(map(json.loads, Resume.whole.splitlines()))

    def cut(self, size, name="cut.jsonl"):
        with open(self.work.path(name), "wb") as f:
            f.write(Resume.whole[:size])

    def resumes(self, size):
        """Resumes the first `size` bytes and checks all that is promised."""
        self.cut(size)
        whole_lines = sum(1 for end in self.ends if end <= size)
        kept = Resume.whole[:self.ends[whole_lines - 1]]
        there = cli_run.outcomes(map(json.loads, kept.splitlines()))
        _, _, errors = self.expect(0, self.run_vkzoo("check", "--resume", "cut.jsonl",
                                                     "--no-canary"))
        self.assertIn(f"{len(there)} of {len(self.outcomes)} cases", errors)
        after = self.work.read("cut.jsonl")
        self.assertTrue(after.startswith(kept))
        lines = self.work.lines("cut.jsonl")
        new = lines[whole_lines:]
        self.assertEqual([new[0]["type"], new[-1]["type"]], ["resume", "end"])
        again = cli_run.outcomes(new)
        self.assertEqual(set(again) & set(there), set())
        self.assertEqual({**there, **again}, self.outcomes)
        self.assertEqual((new[-1]["status"], new[-1]["cases"]), ("complete", len(again)))
        self.expect(0, self.run_vkzoo("lint", "cut.jsonl"))

    def test_cut_anywhere(self):
        sizes = {len(Resume.whole)}  # nothing missing
        for begin, end in zip(self.ends, self.ends[1:]):
            # A line missing, its first byte there, half of it, all but its newline.
            sizes |= {begin, begin + 1, (begin + end) // 2, end - 1}
        for size in sorted(sizes):
            with self.subTest(size=size):
                self.resumes(size)

    def test_cut_header(self):
        for size in (0, 1, self.ends[0] // 2, self.ends[0] - 1):
            with self.subTest(size=size):
                self.cut(size)
                self.expect_line(2, ["cut.jsonl", "header", "new file"],
                                 self.run_vkzoo("check", "--resume", "cut.jsonl"))
                self.assertEqual(self.work.read("cut.jsonl"), Resume.whole[:size])

    def refused(self, change, words, *arguments):
        """A header changed by `change` is refused, and the file is left as it is."""
        header = json.loads(Resume.whole[:self.ends[0]])
        change(header)
        text = json.dumps(header).encode() + b"\n"
        text += Resume.whole[self.ends[0]:self.ends[1]] + b'{"type":'
        with open(self.work.path("other.jsonl"), "wb") as f:
            f.write(text)
        self.expect_line(2, ["other.jsonl", *words],
                         self.run_vkzoo("check", "--resume", "other.jsonl", *arguments))
        self.assertEqual(self.work.read("other.jsonl"), text)

    def test_refused(self):
        self.refused(lambda h: h["device"].update(name="Other GPU"),
                     ["another device or driver (Other GPU)", "--device", "new file"])
        self.refused(lambda h: h["device"].update(driver_info="Mesa 1.2.3"),
                     ["another device or driver", "new file"])
        self.refused(lambda h: h["tool"].update(commit="000000000000"),
                     ["another build", "000000000000", "new file"])
        self.refused(lambda h: h.update(schema="vkzoo-result/0"), ["vkzoo-result/1"])
        self.refused(lambda h: h.update(verb="bench"), ["vkzoo bench"])
        for option in (("--seed", "5"), ("--floor-limits",), ("--core-only",)):
            self.refused(lambda h: None, [option[0], "leave it out"], *option)

    def test_broken_line(self):
        text = Resume.whole[:self.ends[0]] + b"{nonsense}\n" + Resume.whole[self.ends[0]:]
        with open(self.work.path("broken.jsonl"), "wb") as f:
            f.write(text)
        self.expect_line(2, ["broken.jsonl:2:", "not a JSON line"],
                         self.run_vkzoo("check", "--resume", "broken.jsonl"))
        self.assertEqual(self.work.read("broken.jsonl"), text)

    def test_wrong_kernel_stays_wrong(self):
        """Exit status 1 when the part that was there found a wrong kernel."""
        lines = [json.loads(line) for line in Resume.whole.splitlines()]
        lines[1].update(status="failed", reason="y[0] is off")
        with open(self.work.path("failed.jsonl"), "w", encoding="utf-8") as f:
            f.writelines(json.dumps(v) + "\n" for v in lines[:3])
        self.expect(1, self.run_vkzoo("check", "--resume", "failed.jsonl", "--no-canary"))

    def test_more(self):
        """Another selection on the command line adds to the file."""
        self.cut(len(Resume.whole))
        self.expect(0, self.run_vkzoo("check", "copy@n=77", "--resume", "cut.jsonl",
                                      "--no-canary"))
        found = cli_run.outcomes(self.work.lines("cut.jsonl"))
        self.assertEqual(len(found), len(self.outcomes) + 1)

    def test_bench(self):
        self.expect(0, self.run_vkzoo("bench", *cli_run.BENCH, "--out", "b.jsonl"))
        lines = self.work.read("b.jsonl").splitlines(keepends=True)
        with open(self.work.path("b.jsonl"), "wb") as f:
            f.writelines(lines[:2])
        self.expect(0, self.run_vkzoo("bench", "--resume", "b.jsonl"))
        found = self.work.lines("b.jsonl")
        self.assertEqual([v["type"] for v in found], ["header", "case", "resume", "case",
                                                      "case", "end"])
        self.assertNotIn("cold", found[3]["time"])  # as it was asked the first time


if __name__ == "__main__":
    cli_run.main()
