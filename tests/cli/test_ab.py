# SPDX-License-Identifier: MIT
# bench --ab: two ordinary result files whose lines hold the samples of all blocks, and a
# verdict a case; each side has its own settings and environment.
"""Two settings in turns."""

import json

import cli_run

CASE = "gemm@m=33,n=20,k=40"
FAST = ("--no-ceilings", "--no-canary", "--budget", "20", "--out", "ab.jsonl")


class Ab(cli_run.Case):
    def test_sides(self):
        _, out, _ = self.expect(0, self.run_vkzoo(
            "bench", CASE, "--ab", "kernel=gemm_naive;variant=f32",
            "kernel=gemm_tile;variant=f32", *FAST))
        self.assertIn("gemm_naive.f32", out)
        self.assertIn("A  kernel=gemm_naive;variant=f32", out)
        self.assertRegex(out, r"geometric mean [0-9.]+ of 1")
        ids = set()
        for side, kernel in (("a", "gemm_naive"), ("b", "gemm_tile")):
            lines = self.work.lines(f"ab-{side}.jsonl")
            self.assertEqual([v["type"] for v in lines], ["header", "case", "end"])
            case, hot = lines[1], lines[1]["time"]["hot"]
            self.assertEqual((case["kernel"], case["status"]), (kernel, "ok"))
            self.assertTrue(case["check"]["passed"])
            # Eight blocks, each of a sample at least.
            self.assertGreaterEqual(hot["n"], 8)
            blocks = hot["blocks"]
            self.assertEqual(len(blocks["medians_ns"]), 8)
            self.assertRegex(blocks["order"], "^(ABBA|BAAB){4}$")
            ids.add(blocks["id"])
            self.assertEqual(len(hot["samples_ns"]), hot["n"])
            self.assertLessEqual(hot["min_ns"], hot["median_ns"])
            self.assertIn(hot["min_ns"], hot["samples_ns"])
            self.assertEqual((lines[2]["status"], lines[2]["ok"]), ("complete", 1))
        self.assertEqual(len(ids), 1)
        self.expect(0, self.run_vkzoo("lint", "ab-a.jsonl", "ab-b.jsonl"))
        # The two files belong together, though they were asked for different kernels.
        _, compared, _ = self.expect(0, self.run_vkzoo("compare", "ab-a.jsonl", "ab-b.jsonl",
                                                       "--json"))
        pairs = json.loads(compared)["cases"]
        self.assertEqual([(p["kernel_a"], p["kernel_b"]) for p in pairs],
                         [("gemm_naive", "gemm_tile")])
        self.assertIn(pairs[0]["verdict"], out)

    def test_environment(self):
        _, out, _ = self.expect(0, self.run_vkzoo("info", "--json"))
        if "llvmpipe" not in out:
            self.skipTest("no llvmpipe, whose width an environment variable sets")
        self.expect(0, self.run_vkzoo(
            "bench", CASE, "--variant", "f32", "--kernel", "gemm_naive", "--ab",
            "LP_NATIVE_VECTOR_WIDTH=128", "LP_NATIVE_VECTOR_WIDTH=256", *FAST))
        widths = [self.work.lines(f"ab-{s}.jsonl")[0]["device"]["subgroup_size"]
                  for s in "ab"]
        self.assertEqual(widths, [4, 8])
        told = [self.work.lines(f"ab-{s}.jsonl")[0]["run"]["environment"] for s in "ab"]
        self.assertEqual([e["LP_NATIVE_VECTOR_WIDTH"] for e in told], ["128", "256"])

    def test_mistakes(self):
        for words, said in ((("colour=red", ""), "found colour=red"),
                            (("kernel=nothing", ""), "nothing"),
                            (("variant=f32", "variant=f99"), "f99"),
                            (("variant=f32",), "expected two words")):
            with self.subTest(words=words):
                _, _, errors = self.expect(2, self.run_vkzoo(
                    "bench", CASE, "--no-ceilings", "--ab", *words))
                self.assertIn(said, errors)
        _, _, errors = self.expect(2, self.run_vkzoo("check", CASE, "--ab", "a", "b"))
        self.assertIn("check has no option --ab", errors)


if __name__ == "__main__":
    cli_run.main()
