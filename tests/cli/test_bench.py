# SPDX-License-Identifier: MIT
# bench leaves a result file that the schema and lint accept, and never one on top of
# another.
"""bench and its result file."""

import json
import os
import unittest

import cli_run

try:
    import jsonschema
except ImportError:
    jsonschema = None


def schema():
    path = os.path.join(cli_run.ROOT, "results", "schema.json")
    with open(path, encoding="utf-8") as f:
        return json.load(f)


class Bench(cli_run.Case):
    def test_file(self):
        _, out, errors = self.expect(0, self.run_vkzoo("bench", *cli_run.BENCH, "--out",
                                                       "r.jsonl"))
        self.assertEqual(errors, "")
        self.assertIn("results r.jsonl", out)
        self.assertRegex(out, r"(?m)^3 ok")
        lines = self.work.lines("r.jsonl")
        self.assertEqual([v["type"] for v in lines], ["header", "case", "case", "case",
                                                      "end"])
        header, end = lines[0], lines[-1]
        self.assertEqual(header["run"]["suite"], ["copy"])
        self.assertEqual(header["run"]["tags"], "smoke")
        self.assertEqual((end["status"], end["cases"], end["ok"]), ("complete", 3, 3))
        for value in lines[1:-1]:
            hot = value["time"]["hot"]
            self.assertIs(value["check"]["passed"], True)
            self.assertEqual(hot["n"], len(hot["samples_ns"]))
            self.assertGreater(hot["median_ns"], 0)
            self.assertNotIn("cold", value["time"])
        self.assertNotIn(os.uname().nodename, json.dumps(header["host"]))
        self.expect(0, self.run_vkzoo("lint", "r.jsonl"))
        self.validate(lines)

    def validate(self, lines):
        if not jsonschema:
            self.skipTest("no python3-jsonschema")
        validator = jsonschema.Draft202012Validator(schema())
        for number, value in enumerate(lines, 1):
            wrong = [f"{e.json_path}: {e.message[:200]}"
                     for e in validator.iter_errors(value)]
            self.assertEqual(wrong, [], f"line {number}")

    def test_never_overwritten(self):
        self.work.write("r.jsonl", "something\n")
        self.expect_line(2, ["r.jsonl", "never overwritten", "--out", "--resume"],
                         self.run_vkzoo("bench", *cli_run.BENCH, "--out", "r.jsonl"))
        self.assertEqual(self.work.read("r.jsonl"), b"something\n")
        self.expect_line(2, ["no/r.jsonl", "--out"],
                         self.run_vkzoo("bench", *cli_run.BENCH, "--out", "no/r.jsonl"))
        # What mktemp made holds nothing to lose.
        self.work.write("empty.jsonl", "")
        self.expect(0, self.run_vkzoo("bench", "copy@n=3", *cli_run.BENCH[3:], "--out",
                                      "empty.jsonl"))
        self.assertEqual(len(self.work.lines("empty.jsonl")), 3)

    def test_default_place(self):
        done = self.run_vkzoo("bench", "copy@n=3", *cli_run.BENCH[3:])
        _, out, _ = self.expect(0, done)
        found = [os.path.join(folder, name) for folder, _, names
                 in os.walk(self.work.path("results")) for name in names]
        self.assertEqual(len(found), 1)
        self.assertRegex(found[0], r"/results/[a-z0-9.-]+/\d{8}T\d{6}Z\.jsonl$")
        self.assertIn(os.path.relpath(found[0], self.work.folder), out)

    def test_nothing_kept_of_nothing(self):
        """A run that could not begin leaves no file behind."""
        self.expect(77, self.run_vkzoo("bench", *cli_run.BENCH, "--out", "r.jsonl",
                                       env={"VK_DRIVER_FILES": "/nonexistent"}))
        self.expect(2, self.run_vkzoo("bench", *cli_run.BENCH, "--out", "r.jsonl",
                                      "--spirv", "copy_stream.i32=none.spv"))
        self.assertEqual([n for n in os.listdir(self.work.folder) if "jsonl" in n], [])

    def test_json(self):
        _, out, _ = self.expect(0, self.run_vkzoo("bench", "copy@n=3", *cli_run.BENCH[3:],
                                                  "--json", "--out", "r.jsonl"))
        self.assertEqual(out.encode(), self.work.read("r.jsonl"))

    def test_all_kernels(self):
        self.expect(0, self.run_vkzoo("bench", "copy@n=3", *cli_run.BENCH[3:],
                                      "--all-kernels", "--out", "r.jsonl"))
        case = self.work.lines("r.jsonl")[1]
        self.assertEqual((case["asked_kernel"], case["kernel"]), ("copy_stream",) * 2)


if __name__ == "__main__":
    cli_run.main()
