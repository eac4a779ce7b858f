# SPDX-License-Identifier: MIT
# The catalogue: `list` and its JSON have every op and kernel, `where` leads to lines that
# are there.
"""list and where; needs no device."""

import glob
import json
import os
import re

import cli_run


def named(word):
    """{name: [file:line]} of the `op` or `kernel` lines of the suites."""
    found = {}
    for path in sorted(glob.glob(os.path.join(cli_run.ROOT, "suites", "*.suite"))):
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                words = line.split("#")[0].split()
                if words[:1] == [word]:
                    place = f"suites/{os.path.basename(path)}:{number}"
                    found.setdefault(words[1], []).append(place)
    return found


class List(cli_run.Case):
    def setUp(self):
        super().setUp()
        _, out, _ = self.expect(0, self.run_vkzoo("list", "--json"))
        self.catalogue = json.loads(out)
        # A build may have some families only.
        families = {op["family"] for op in self.catalogue}
        self.ops = {name for name, places in named("op").items()
                    if places[0][7:].partition(".")[0] in families}
        self.kernels = {name for name, places in named("kernel").items()
                        if places[0][7:].partition(".")[0] in families}

    def test_everything_is_there(self):
        self.assertEqual({op["op"] for op in self.catalogue}, self.ops)
        self.assertEqual({k["kernel"] for op in self.catalogue for k in op["kernels"]},
                         self.kernels)

    def test_interfaces(self):
        for op in self.catalogue:
            tensors = {t["name"] for t in op["tensors"]}
            self.assertTrue(op["title"] and op["doc"] and op["dims"] and op["kernels"])
            for kernel in op["kernels"]:
                with self.subTest(kernel=kernel["kernel"]):
                    self.assertTrue(os.path.exists(os.path.join(cli_run.ROOT,
                                                                kernel["file"])))
                    self.assertTrue(kernel["variants"])
                    for bind in kernel["bindings"]:
                        if bind["io"] != "scratch":
                            self.assertIn(bind["name"], tensors)
                    self.assertEqual([p["offset"] for p in kernel["push"]],
                                     list(range(0, 4 * len(kernel["push"]), 4)))
                    for variant in kernel["variants"]:
                        self.assertEqual(len(variant["modules"]), len(kernel["passes"]))
                        for module in variant["modules"]:
                            self.assertRegex(module["sha256"], r"^[0-9a-f]{64}$")

    def test_table(self):
        _, out, _ = self.expect(0, self.run_vkzoo("list"))
        words = set(out.split())
        self.assertLessEqual(self.ops | self.kernels, words)

    def test_selectors(self):
        _, out, _ = self.expect(0, self.run_vkzoo("list", "copy", "--json"))
        self.assertEqual([op["op"] for op in json.loads(out)], ["copy"])
        _, out, _ = self.expect(0, self.run_vkzoo("list", "peak", "--json"))
        self.assertEqual({op["family"] for op in json.loads(out)}, {"peak"})

    def test_where(self):
        for op in self.catalogue:
            _, out, _ = self.expect(0, self.run_vkzoo("where", op["op"]))
            places = re.findall(r"(?m)^([^:]+):(\d+): ", out)
            self.assertEqual(len(places), len(out.splitlines()), out)
            with self.subTest(op=op["op"]):
                self.check_places(places)
                self.assertIn(named("op")[op["op"]][0], out)
                for kernel in op["kernels"]:
                    self.assertIn(f"{kernel['file']}:1: kernel {kernel['kernel']}", out)
                    self.assertIn(named("kernel")[kernel["kernel"]][0], out)

    def check_places(self, places):
        for path, number in places:
            with open(os.path.join(cli_run.ROOT, path), encoding="utf-8") as f:
                self.assertLessEqual(int(number), len(f.readlines()), path)

    def test_where_kernel(self):
        self.assertEqual(self.run_vkzoo("where", "copy_stream"),
                         self.run_vkzoo("where", "copy"))


if __name__ == "__main__":
    cli_run.main(driver=False)
