# SPDX-License-Identifier: MIT
# The build's reading of suites: what they name, what is refused and where, the catalogue.
"""Suites and catalogue."""

import os
import tempfile
import unittest

from zoocc_run import zoocc

FILES = ("host/ops/thing/thing.c", "host/ops/thing/other.c", "shaders/thing/thing_a.comp",
         "shaders/thing/thing_b.comp", "shaders/lib/num.glsl")

GOOD = """# things
op thing        # a thing
kernel thing_a
kernel thing_b
case smoke  n=1
op other
"""

BAD = (
    ("opp thing\n", "1:1: expected op, kernel or case, found 'opp'"),
    ("op\n", "1:1: expected `op NAME`, found 0 words"),
    ("op thing more\n", "1:1: expected `op NAME`, found 2 words"),
    ("op Thing\n", "1:4: expected a name of lower-case"),
    ("kernel thing_a\n", "1:1: a kernel before any `op` line"),
    ("case smoke n=1\n", "1:1: a case before any `op` line"),
    ("op thing\n  kernel   thing_c\n", "2:12: kernel 'thing_c' has no shader; expected "
     "the file shaders/thing/thing_c.comp"),
    ("op missing\n", "1:4: op 'missing' has no contract; expected the file "
     "host/ops/thing/missing.c"),
    ("op thing\nop thing\n", "2:4: op 'thing' is listed on thing.suite:1 already"),
    ("op thing\nkernel thing_a\nkernel thing_a\n", "3:8: kernel 'thing_a' is listed"),
)


class Suites(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="zoocc-test.")
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        for path in FILES:
            self.write(path, "")

    def write(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def test_list(self):
        suite = self.write("suites/thing.suite", GOOD)
        status, out, errors = zoocc("--list-suites", "--root", self.root, suite)
        self.assertEqual((status, errors), (0, ""))
        self.assertEqual(out.split("\n")[:4], [
            "op thing thing host/ops/thing/thing.c",
            "kernel thing thing_a shaders/thing/thing_a.comp",
            "kernel thing thing_b shaders/thing/thing_b.comp",
            "op thing other host/ops/thing/other.c"])

    def test_more_cases_of_another_family(self):
        first = self.write("suites/thing.suite", GOOD)
        second = self.write("suites/apps.suite", "op thing\ncase apps n=7\n")
        status, out, _ = zoocc("--list-suites", "--root", self.root, second, first)
        self.assertEqual(status, 0)
        self.assertEqual(out.count("op thing thing "), 1)

    def test_refused(self):
        for text, message in BAD:
            suite = self.write("suites/thing.suite", text)
            status, _, errors = zoocc("--list-suites", "--root", self.root, suite)
            self.assertEqual(status, 1, text)
            self.assertIn(f"{suite}:{message}", errors)

    def catalogue(self, *suites):
        out = [os.path.join(self.root, name) for name in ("kernels.c", "ops.c", "c.d")]
        status, _, errors = zoocc("--catalogue", "--root", self.root, *suites,
                                  "--kernels", out[0], "--ops", out[1],
                                  "--depfile", out[2])
        texts = []
        for path in out if status == 0 else ():
            with open(path, encoding="utf-8") as f:
                texts.append(f.read())
        return status, errors, texts

    def test_catalogue(self):
        suite = self.write("suites/thing.suite", GOOD)
        status, _, (kernels, ops, depfile) = self.catalogue(suite)
        self.assertEqual(status, 0)
        self.assertIn("    &vkz_kernel_thing_a,\n    &vkz_kernel_thing_b,\n    NULL,",
                      kernels)
        self.assertIn("    &vkz_op_thing,\n    &vkz_op_other,\n    NULL,", ops)
        self.assertIn("    &vkz_op_thing_naive,", ops)
        self.assertIn('{"thing.suite", text_0, sizeof text_0 - 1}', ops)
        self.assertIn("/suites ", depfile)

    def test_forgotten_suite(self):
        suite = self.write("suites/thing.suite", GOOD)
        self.write("suites/new.suite", "op other\n")
        status, errors, _ = self.catalogue(suite)
        self.assertEqual(status, 1)
        self.assertIn("suites/new.suite:1: this suite is not in the build folder", errors)


if __name__ == "__main__":
    unittest.main()
