# SPDX-License-Identifier: MIT
# compare, report and history from outside: exit statuses, one line a file that cannot be
# used, and nothing lost by a mistake.
"""Result files in, verdicts and reports out."""

import json
import os

import cli_run

TIME = 1e6


def case(length, ns=TIME, status="ok", passed=True, efficiency=0.4, kernel="", flops=1e8):
    samples = [ns * (0.99 + 0.001 * i) for i in range(20)]
    hot = {"median_ns": ns, "low_ns": ns * 0.997, "high_ns": ns * 1.003, "n": 20, "groups": 20,
           "discarded_groups": 0, "stop": "converged", "samples_ns": samples}
    return {"type": "case", "verb": "bench", "op": "gemm", "case": f"gemm@m=8,len={length}",
            "tags": "", "asked_kernel": kernel, "asked_variant": "f32", "asked_tuning": "",
            "kernel": kernel or "gemm_x", "variant": "f32", "tuning": "default",
            "spirv_sha256": ["ab"], "status": status,
            "reason": None if status == "ok" else "because", "check": {"passed": passed},
            "time": {"hot": hot} if status == "ok" else None,
            "work": {"flops": flops, "bytes": 1e6, "metric": "flops", "unit": "fma"},
            "efficiency": efficiency, "floor": {"ns": ns * 0.4, "ceiling": "fma f32"}}


class Reports(cli_run.Case):
    started = 0

    def result(self, name, *cases, device="llvmpipe (256 bits)", driver="llvmpipe"):
        self.started += 1
        header = {"schema": "vkzoo-result/1", "type": "header", "verb": "bench",
                  "tool": {"commit": "abc", "dirty": False},
                  "started": f"2026-01-{self.started:02d}T00:00:00Z",
                  "device": {"name": device, "driver": driver, "driver_info": "1.0"}}
        end = {"type": "end", "status": "complete", "cases": len(cases)}
        return self.work.write(name, "".join(json.dumps(x) + "\n"
                                             for x in (header, *cases, end)))

    def test_fail_on(self):
        a = self.result("a.jsonl", case(1), case(2))
        slower = self.result("slower.jsonl", case(1, 1.05 * TIME), case(2))
        skipped = self.result("skipped.jsonl", case(1, status="skipped"),
                              case(2, status="skipped"))
        unchecked = self.result("unchecked.jsonl", case(1, passed=False))
        for b, limit, status in ((a, "slower", 0), (slower, "slower:3%", 1),
                                 (slower, "slower:10%", 0), (skipped, "slower:3%", 77),
                                 (unchecked, "slower", 77), (a, "slower:3", 2)):
            with self.subTest(b=b, limit=limit):
                _, _, errors = self.expect(status, self.run_vkzoo("compare", a, b,
                                                                  "--fail-on", limit))
                if status == 77:
                    self.assertIn("not judged", errors)

    def test_other_work(self):
        a = self.result("a.jsonl", case(1))
        b = self.result("b.jsonl", case(1, TIME / 2, flops=2e8))
        _, out, _ = self.expect(0, self.run_vkzoo("compare", a, b))
        self.assertIn("not the same work", out)
        _, out, _ = self.expect(0, self.run_vkzoo("report", a, b, "--format", "md"))
        self.assertNotIn("2.000", out)

    def test_devices(self):
        files = [self.result("i.jsonl", case(1), device="Intel(R) UHD Graphics 620"),
                 self.result("j.jsonl", case(1, TIME / 9), device="Intel(R) Arc(TM) A770"),
                 self.result("k.jsonl", case(1), device="AMD RX 6800 (RADV)", driver="radv"),
                 self.result("l.jsonl", case(1), device="AMD RX 6800", driver="amdvlk")]
        self.expect(0, self.run_vkzoo("report", *files, "-o", "r.html"))
        page = self.work.read("r.html").decode()
        self.assertNotIn('id="changes"', page)
        self.assertIn("Intel Arc A770", page)
        _, out, _ = self.expect(0, self.run_vkzoo("history", *files, "--json"))
        self.assertEqual(len({series["device"] for series in json.loads(out)}), 4)

    def test_asked_kernels(self):
        a = self.result("a.jsonl", case(1, kernel="gemm_naive"), case(1, kernel="gemm_tile"))
        b = self.result("b.jsonl", case(1, 2 * TIME, kernel="gemm_naive"),
                        case(1, kernel="gemm_tile"))
        for verb in (("compare", a, b), ("compare", a, b, "--format", "md"),
                     ("report", a, b, "--format", "md"), ("report", a, b, "--format", "csv"),
                     ("history", a, b, "--format", "md")):
            with self.subTest(verb=verb):
                _, out, _ = self.expect(0, self.run_vkzoo(*verb))
                self.assertIn("naive", out)

    def test_part_of_a_run(self):
        whole = self.result("whole.jsonl", case(1), case(2))
        text = self.work.read(whole).decode().splitlines(keepends=True)
        part = self.work.write("part.jsonl", "".join(text[:2]))
        _, out, errors = self.expect(0, self.run_vkzoo("report", part, whole, "--format", "csv"))
        self.assertIn("part.jsonl: a part of the same run as whole.jsonl", errors)
        self.assertEqual(len(out.splitlines()), 3)

    def test_nothing_is_lost(self):
        a = self.result("a.jsonl", case(1))
        before = self.work.read(a)
        self.expect(2, self.run_vkzoo("report", a, "-o", a))
        self.assertEqual(self.work.read(a), before)
        kept = self.work.write("kept.json", "kept")
        self.expect(2, self.run_vkzoo("report", a, "--export", "foo", "-o", kept))
        self.assertEqual(self.work.read(kept), b"kept")
        self.expect(99, self.run_vkzoo("report", a, "-o", "/dev/full"))
        self.assertEqual([f for f in os.listdir(self.work.folder) if "partial" in f], [])

    def test_every_bad_file_is_named(self):
        bad = [self.work.write("empty.jsonl", ""), self.work.write("odd.jsonl", "{}\n"),
               "absent.jsonl"]
        _, _, errors = self.expect(2, self.run_vkzoo("report", *bad))
        for name in bad:
            self.assertEqual(errors.count(name), 1, errors)
        escape = self.result("escape.jsonl", {**case(1), "asked_variant": "\x1b[2J"},
                             {"type": "wat\x1b[31m"})
        for verb in ("compare", "report"):
            _, out, errors = self.run_vkzoo(verb, escape, escape, "--format", "csv")
            self.assertNotIn("\x1b", errors)
        _, out, _ = self.run_vkzoo("compare", self.result("b.jsonl", case(1)), escape)
        self.assertNotIn("\x1b", out)

    def test_formulas(self):
        a = self.result("a.jsonl", {**case(1), "reason": "", "case": "=HYPERLINK(1)"})
        _, out, _ = self.expect(0, self.run_vkzoo("report", a, "--format", "csv"))
        self.assertIn("\"'=HYPERLINK", out)


if __name__ == "__main__":
    cli_run.main()
