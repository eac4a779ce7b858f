# SPDX-License-Identifier: MIT
# A user's own .suite file: what is good runs, what is bad is refused with its place.
"""Suite files of users."""

import cli_run

GOOD = """# my shapes
op copy
kernel copy_stream
case mine        n=5,77
case mine,other  n=131
op empty
case other       n=2
"""

# Text; what the one line must begin with after the file's name, and have.
BAD = (
    ("op nonsense\n", "1:4:", "nonsense"),
    ("op copy\nkernel nonsense\n", "2:8:", "nonsense"),
    ("op copy\nkernel gemm_naive\n", "2:8:", "gemm_naive"),
    ("op copy\ncase mine n=\n", "2:", "n"),
    ("op copy\ncase mine n=0\n", "2:11:", "integer >= 1"),
    ("op copy\ncase mine q=1\n", "2:11:", "'q'"),
    ("op copy\ncase mine parts=1\n", "2:11:", "'parts'"),
    ("op copy\ncase Mine n=1\n", "2:6:", "expected tags"),
    ("op copy\ncase mine\n", "2:1:", "needs a value for n"),
    ("case mine n=1\n", "1:1:", "op"),
    ("nonsense\n", "1:1:", "nonsense"),
    ("op copy\n  case  mine  n=1 n=2\n", "2:19:", "n is given twice"),
    ("op read\ncase mine n:parts=1:2,3\n", "2:24:", "expected ':'"),
)


class SuiteFile(cli_run.Case):
    def test_bad(self):
        for text, place, word in BAD:
            with self.subTest(text=text):
                self.work.write("mine.suite", text)
                _, _, errors = self.expect_line(2, word,
                                                self.run_vkzoo("check", "mine.suite"))
                self.assertTrue(errors.startswith(f"vkzoo: mine.suite:{place}"), errors)

    def test_missing(self):
        self.expect_line(2, ["none.suite", "cannot open"],
                         self.run_vkzoo("check", "none.suite"))

    def test_list(self):
        self.work.write("mine.suite", GOOD)
        _, out, _ = self.expect(0, self.run_vkzoo("list", "mine.suite"))
        self.assertEqual(out.split("\n")[0], "mine.suite")
        self.assertRegex(out, r"(?m)^  copy .*\(3 cases\)$")
        self.assertRegex(out, r"(?m)^  empty .*\(1 cases?\)$")
        self.assertNotIn("triad", out)

    def test_good(self):
        self.need_driver()
        self.work.write("mine.suite", GOOD)
        self.expect(0, self.run_vkzoo("check", "mine.suite", "--tag", "mine", "--out",
                                      "mine.jsonl"))
        cases = [v["case"] for v in self.work.lines("mine.jsonl") if v["type"] == "case"]
        self.assertEqual(sorted(cases), ["copy@n=131", "copy@n=5", "copy@n=77"])
        # By a path, and one op of it.
        self.expect(0, self.run_vkzoo("check", "./mine.suite", "--tag", "all", "--out",
                                      "all.jsonl"))
        cases = [v["case"] for v in self.work.lines("all.jsonl") if v["type"] == "case"]
        self.assertIn("empty@n=2", cases)
        self.assertEqual(len(cases), 4)


if __name__ == "__main__":
    cli_run.main(driver=False)
