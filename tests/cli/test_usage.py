# SPDX-License-Identifier: MIT
# Wrong command lines: exit status 2 and one line that names the mistake and what to do.
"""Help and usage errors; needs no device."""

import re

import cli_run

VERBS = ("info", "list", "where", "check", "bench", "peak", "lint")

# Arguments; what the line must have.
WRONG = (
    (("nonsense",), ["no verb nonsense", "vkzoo help"]),
    (("help", "nonsense"), ["no verb nonsense", "vkzoo help"]),
    (("check", "--nonsense"), ["unknown option --nonsense", "vkzoo help check"]),
    (("check", "-x"), ["unknown option -x", "vkzoo help check"]),
    (("list", "--seed", "3"), ["list has no option --seed", "vkzoo help list"]),
    (("bench", "--jobs", "2"), ["bench has no option --jobs", "vkzoo help bench"]),
    (("check", "--json=yes"), ["--json takes no value", "yes"]),
    (("check", "copy", "--set"), ["--set needs a value", "vkzoo help check"]),
    (("check", "copy", "--tag", ""), ["--tag needs a value"]),
    (("check", "--out", "--json"), ["--out needs a value"]),
    (("check", "--op"), ["--op needs a value", "an op"]),
    (("check", "--seed", "x"), ["--seed", "whole number", "found x"]),
    (("check", "--seed", "-1"), ["--seed", "whole number", "found -1"]),
    (("check", "--jobs", "0"), ["--jobs", "1 to 16", "found 0"]),
    (("check", "--jobs", "17"), ["--jobs", "1 to 16", "found 17"]),
    (("check", "--timeout", "0"), ["--timeout", "above 0", "found 0"]),
    (("bench", "--budget", "nan"), ["--budget", "above 0", "found nan"]),
    (("bench", "--budget", "1e99"), ["--budget", "above 0", "found 1e99"]),
    (("check", "nonsense"), ["nonsense is no suite, op, case or file", "vkzoo list"]),
    (("list", "nonsense"), ["nonsense is no suite, op, case or file", "vkzoo list"]),
    (("check", "copy", *["copy"] * 1024), ["more than 1024 selectors"]),
    (("where",), ["where needs an op or kernel", "vkzoo where attention"]),
    (("where", "nonsense"), ["nonsense is no op and no kernel", "vkzoo list"]),
    (("lint",), ["lint needs result files", "vkzoo lint results/"]),
    (("check", "copy", "--resume", "none.jsonl"), ["none.jsonl", "No such file"]),
    (("check", "copy", "--resume", "a", "--out", "b"), ["leave --out out"]),
)

# Mistakes in a case made on the command line, with what is known instead.
WRONG_SET = (
    (("--set", "n=3"), ["name the op", "--op gemm --set"]),
    (("copy", "--set", "q=3"), ["unknown name 'q'", "copy has n"]),
    (("copy", "--set", "n"), ["expected name=value", "'n'"]),
    (("copy", "--set", "n=0"), ["n is 0", "integer >= 1"]),
    (("copy", "--set", "n=1.5"), ["n is 1.5", "integer >= 1"]),
    (("copy", "--set", "n=many"), ["unknown name 'many'", "column 1"]),
    (("copy", "--set", "n=3,n=4"), ["n is given twice"]),
    (("read", "--set", "parts=3"), ["read needs a value for n", "n=64"]),
    (("copy@n=0",), ["n is 0", "integer >= 1"]),
    (("copy@",), ["copy needs a value for n", "n=64"]),
    (("nonsense@n=3",), ["nonsense@n=3 is no suite, op, case or file"]),
    (("copy", "--kernel", "nonsense"), ["no kernel nonsense", "there are: copy_stream"]),
    (("copy", "--variant", "nonsense"), ["no variant nonsense", "there are: i32"]),
    (("copy", "--kernel", "copy_stream", "--variant", "f99"),
     ["copy_stream has no variant f99", "there are: i32"]),
    (("copy", "--tuning", "nonsense"), ["no tuning nonsense", "default", "words"]),
    (("copy", "--tag", "nonsense"), ["`nonsense`", "tags are:", "smoke", "--tag all"]),
    (("copy", "--spec", "VEC=1"), ["--spec", "--kernel"]),
    (("copy", "--kernel", "copy_stream", "--spec", "NONSENSE=1"),
     ["copy_stream has no constant NONSENSE", "WG_SIZE", "VEC"]),
)


class Usage(cli_run.Case):
    def setUp(self):
        super().setUp()
        # What is wrongly taken for right ends here, with 77.
        self.work.env["VK_DRIVER_FILES"] = "/nonexistent"

    def test_help(self):
        _, out, errors = self.expect(0, self.run_vkzoo("help"))
        self.assertEqual(errors, "")
        for verb in VERBS:
            self.assertRegex(out, rf"(?m)^  {verb} +\S")
        for status in ("0 fine", "1 a kernel", "2 usage", "77 nothing", "99 the harness",
                       "130 interrupted"):
            self.assertIn(status, out)
        self.assertNotIn("worker", out)
        self.assertEqual(self.run_vkzoo("--help")[:2], (0, out))
        self.assertEqual(self.run_vkzoo("-h")[:2], (0, out))

    def test_no_verb(self):
        status, out, errors = self.run_vkzoo()
        self.assertEqual((status, out), (2, ""))
        self.assertIn("usage: vkzoo VERB", errors)

    def test_help_of_verbs(self):
        for verb in VERBS:
            with self.subTest(verb=verb):
                _, out, errors = self.expect(0, self.run_vkzoo("help", verb))
                self.assertEqual(errors, "")
                self.assertTrue(out.startswith(f"usage: vkzoo {verb}"), out)
                self.assertTrue(out.endswith("\n"))
                self.assertEqual(self.run_vkzoo(verb, "--help")[:2], (0, out))
                for line in out.splitlines():
                    self.assertLessEqual(len(line), 100, line)

    def test_help_and_options_agree(self):
        """Every option of a help text is taken by that verb."""
        for verb in VERBS:
            _, out, _ = self.run_vkzoo("help", verb)
            for option in sorted(set(re.findall(r"--[a-z][a-z-]+", out))):
                with self.subTest(verb=verb, option=option):
                    # A flag, or an option whose value is missing.
                    _, _, errors = self.run_vkzoo(verb, option, "--nonsense")
                    self.assertRegex(errors, f"option --nonsense;|{option} needs a value")

    def test_version(self):
        _, out, _ = self.expect(0, self.run_vkzoo("--version"))
        self.assertRegex(out, r"^vkzoo \d+\.\d+\.\d+ \(.+\)\n$")

    def test_wrong(self):
        for arguments, words in WRONG:
            with self.subTest(arguments=arguments[:4]):
                self.expect_line(2, words, self.run_vkzoo(*arguments))

    def test_wrong_set(self):
        for verb in ("check", "bench"):
            for arguments, words in WRONG_SET:
                with self.subTest(verb=verb, arguments=arguments):
                    self.expect_line(2, words, self.run_vkzoo(verb, *arguments))


if __name__ == "__main__":
    cli_run.main(driver=False)
