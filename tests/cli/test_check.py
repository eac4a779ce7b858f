# SPDX-License-Identifier: MIT
# check: a case by its id and by --set, the repro line, --json, exit statuses.
"""check on small cases."""

import json
import shlex

import cli_run


class Check(cli_run.Case):
    def results(self, *arguments):
        _, out, _ = self.expect(0, self.run_vkzoo("check", *arguments, "--json",
                                                  "--no-canary"))
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([v["type"] for v in lines],
                         ["header", *["case"] * (len(lines) - 2), "end"])
        return lines[1:-1]

    def test_both_paths(self):
        by_id = self.results("copy@n=77")
        by_set = self.results("--op", "copy", "--set", "n=77")
        by_both = self.results("copy", "--set", "n = 70 + 7".replace(" ", ""))
        for found in (by_id, by_set, by_both):
            self.assertEqual([(v["case"], v["status"]) for v in found],
                             [("copy@n=77", "ok")])
            check = found[0]["check"]
            for key in ("passed", "all_written", "guards_intact", "nan_map_equal",
                        "repeatable"):
                self.assertIs(check[key], True, key)
            self.assertEqual(check["units"], check["units_total"])

    def test_repro(self):
        first = self.results("copy", "--tag", "smoke", "--kernel", "copy_stream",
                             "--tuning", "words", "--seed", "7")
        for value in first:
            words = shlex.split(value["repro"])
            self.assertEqual(words[:2], ["vkzoo", "check"])
            again = self.results(*words[2:])
            self.assertEqual(len(again), 1)
            for key in ("case", "kernel", "variant", "tuning", "specialization", "seed",
                        "spirv_sha256", "check"):
                self.assertEqual(value[key], again[0][key], key)
            self.assertEqual(value["seed"], 7)

    def test_constants_by_hand(self):
        found = self.results("copy@n=1000", "--kernel", "copy_stream", "--spec",
                             "WG_SIZE=32 VEC=1")
        self.assertIn("WG_SIZE=32,VEC=1", found[0]["specialization"])
        again = self.results(*shlex.split(found[0]["repro"])[2:])
        self.assertEqual(found[0]["specialization"], again[0]["specialization"])

    def test_table(self):
        _, out, errors = self.expect(0, self.run_vkzoo("check", *cli_run.SMALL))
        self.assertEqual(errors, "")
        self.assertIn("copy_stream", out)
        self.assertRegex(out, r"(?m)^3 ok ")
        self.assertIn("device ", out)

    def test_workers(self):
        found = self.results("copy", "--tag", "smoke,check", "--jobs", "2")
        alone = self.results("copy", "--tag", "smoke,check", "--jobs", "1")
        self.assertEqual(sorted(v["repro"] for v in found),
                         sorted(v["repro"] for v in alone))

    def test_limits(self):
        for option in ("--floor-limits", "--core-only"):
            found = self.results("copy@n=77", option)
            self.assertEqual([v["status"] for v in found], ["ok"])

    def test_nothing_can_run(self):
        _, out, _ = self.expect(77, self.run_vkzoo("check", "fma_f16@lanes=2,iters=1",
                                                   "--core-only", "--no-canary"))
        self.assertRegex(out, r"(?m)^0 ok, 1 skipped|^1 skipped")
        self.assertIn("Float16", out)


if __name__ == "__main__":
    cli_run.main()
