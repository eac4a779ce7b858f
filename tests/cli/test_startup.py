# SPDX-License-Identifier: MIT
# What needs no device opens no Vulkan: the dynamic linker says what it was asked for.
"""Start-up of the verbs."""

import glob
import os
import unittest

import cli_run


class Startup(cli_run.Case):
    def opened(self, *arguments, status=0):
        """Names of the shared libraries that any process of the run looked for."""
        log = self.work.path("linker")
        self.expect(status, self.run_vkzoo(*arguments,
                                           env={"LD_DEBUG": "files",
                                                "LD_DEBUG_OUTPUT": log}))
        text = ""
        for path in glob.glob(log + ".*"):
            with open(path, encoding="utf-8", errors="replace") as f:
                text += f.read()
            os.remove(path)
        if "libc.so" not in text:
            raise unittest.SkipTest("this system's dynamic linker keeps no log")
        return text

    def test_without_vulkan(self):
        self.work.write("mine.suite", "op copy\ncase mine n=3\n")
        self.work.write("r.jsonl", "{}\n")
        for arguments, status in ((("help",), 0), (("help", "bench"), 0),
                                  (("--version",), 0), (("list",), 0),
                                  (("list", "--json"), 0), (("where", "copy"), 0),
                                  (("list", "mine.suite"), 0), (("lint", "r.jsonl"), 1),
                                  (("check", "nonsense"), 2)):
            with self.subTest(arguments=arguments):
                self.assertNotIn("libvulkan", self.opened(*arguments, status=status))

    def test_worker_only(self):
        """The parent of a run never opens it; the worker does, which shows that the log
        would tell."""
        self.need_driver()
        log = self.work.path("linker")
        child = self.work.start("check", *cli_run.SMALL,
                                env={"LD_DEBUG": "files", "LD_DEBUG_OUTPUT": log})
        self.addCleanup(cli_run.end, child)
        out, errors = child.communicate(timeout=cli_run.LIMIT)
        self.expect(0, (child.returncode, out, errors))
        found = {}
        for path in glob.glob(log + ".*"):
            with open(path, encoding="utf-8", errors="replace") as f:
                found[path == f"{log}.{child.pid}"] = "libvulkan" in f.read()
        if not found:
            self.skipTest("this system's dynamic linker keeps no log")
        self.assertEqual(found, {True: False, False: True})


if __name__ == "__main__":
    cli_run.main(driver=False)
