# SPDX-License-Identifier: MIT
# Touching a file rebuilds the kernels that use it and no other. The real
# shaders/meson.build is set up on a small project of three kernels.
"""What is rebuilt when."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest

from test_refuse import GOOD, LIBRARY
from zoocc_run import ROOT

PROJECT = """
project('small', 'c', meson_version: '>=1.1.0', default_options: ['c_std=c11'])
fs = import('fs')
python = find_program('python3')
zoocc = find_program('tools/zoocc')
subdir('suites')
subdir('shaders')
"""
COPIED = ("suites/meson.build", "shaders/meson.build", "meson.options", "tools/zoocc",
          "tools/zoocc.d", "host/include")


def run(*argv, cwd):
    done = subprocess.run(argv, cwd=cwd, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


@unittest.skipUnless(shutil.which("meson") and shutil.which("ninja"), "no meson, ninja")
class Rebuild(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="zoocc-test.")
        self.addCleanup(folder.cleanup)
        self.root = os.path.join(folder.name, "source")
        self.build = os.path.join(folder.name, "build")
        for path in COPIED:
            source, target = os.path.join(ROOT, path), os.path.join(self.root, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            copy = shutil.copytree if os.path.isdir(source) else shutil.copy2
            copy(source, target)
        self.write("meson.build", PROJECT)
        self.write("host/ops/thing/thing.c", "")
        self.write("shaders/" + LIBRARY[0], LIBRARY[1])
        self.write("shaders/lib/less.glsl", LIBRARY[1].replace("MORE", "LESS"))
        for name, include in (("thing_a", "more"), ("thing_b", "more"),
                              ("thing_c", "less")):
            self.write(f"shaders/thing/{name}.comp", self.kernel(name, include))
        self.suite = "op thing\nkernel thing_a\nkernel thing_b\nkernel thing_c\n"
        self.write("suites/thing.suite", self.suite)
        self.must("meson", "setup", self.build, self.root)
        self.ninja()

    def kernel(self, name, include):
        return GOOD.replace("thing_plain", name).replace("lib/more", "lib/" + include)

    def write(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)

    def must(self, *argv, cwd="/"):
        status, output = run(*argv, cwd=cwd)
        self.assertEqual(status, 0, output)
        return output

    def ninja(self):
        """Builds; the kernels that were compiled."""
        output = self.must("ninja", "-v", "-j1", cwd=self.build)
        return sorted(set(re.findall(r"shaders/thing/(\w+)\.comp --c", output)))

    def touch(self, path):
        with open(os.path.join(self.root, path), "a", encoding="utf-8") as f:
            f.write("\n// changed\n")

    def test_rebuild(self):
        self.assertEqual(self.ninja(), [], "a second build does nothing")
        self.touch("shaders/lib/more.glsl")
        self.assertEqual(self.ninja(), ["thing_a", "thing_b"])
        self.touch("shaders/lib/less.glsl")
        self.assertEqual(self.ninja(), ["thing_c"])
        self.touch("shaders/thing/thing_b.comp")
        self.assertEqual(self.ninja(), ["thing_b"])
        self.assertEqual(self.ninja(), [])

        # A new kernel is one file and one suite line.
        self.write("shaders/thing/thing_d.comp", self.kernel("thing_d", "less"))
        self.write("suites/thing.suite", self.suite + "kernel thing_d\n")
        self.assertEqual(self.ninja(), ["thing_d"])
        self.touch("shaders/lib/less.glsl")
        self.assertEqual(self.ninja(), ["thing_c", "thing_d"])

        # A case line compiles no kernel.
        self.write("suites/thing.suite", self.suite + "kernel thing_d\ncase smoke n=1\n")
        self.assertEqual(self.ninja(), [])

        # A new suite is not silently left out.
        self.write("suites/more.suite", "op thing\n")
        status, output = run("ninja", cwd=self.build)
        self.assertNotEqual(status, 0)
        self.assertIn("more.suite:1: this suite is not in the build folder yet", output)
        os.remove(os.path.join(self.root, "suites/more.suite"))
        self.assertEqual(self.ninja(), [])

        # A wrong one stops the build, and mending it is enough.
        self.write("shaders/thing/thing_a.comp",
                   self.kernel("thing_a", "more").replace("T0", "T9"))
        status, output = run("ninja", cwd=self.build)
        self.assertNotEqual(status, 0)
        self.assertIn("shaders/thing/thing_a.comp:7: expected one of T0", output)
        self.write("shaders/thing/thing_a.comp", self.kernel("thing_a", "more"))
        self.assertEqual(self.ninja(), ["thing_a"])


if __name__ == "__main__":
    unittest.main()
