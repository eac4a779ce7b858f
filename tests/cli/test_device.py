# SPDX-License-Identifier: MIT
# Machines without a driver, without a loader, and devices that are not there: a sentence
# that says what to do, and 77.
"""Devices, drivers and the loader."""

import json
import os

import cli_run

NO_DRIVER = {"VK_DRIVER_FILES": "/nonexistent", "VK_ICD_FILENAMES": "/nonexistent"}
NEEDS_DEVICE = (("info",), ("info", "--json"), ("check", "copy@n=3"),
                ("bench", "copy@n=3"), ("peak",))


class NoDevice(cli_run.Case):
    def test_no_driver(self):
        for arguments in NEEDS_DEVICE:
            with self.subTest(arguments=arguments):
                self.expect_line(77, ["no Vulkan driver", "install", "mesa-vulkan"],
                                 self.run_vkzoo(*arguments, env=NO_DRIVER))
        self.assertEqual(os.listdir(self.work.folder), [])

    def test_no_loader(self):
        library = os.environ.get("NO_LOADER")
        if not library:
            self.skipTest("needs the library of the build")
        for arguments in NEEDS_DEVICE:
            with self.subTest(arguments=arguments):
                self.expect_line(77, ["no Vulkan loader", "install", "libvulkan1"],
                                 self.run_vkzoo(*arguments, env={"LD_PRELOAD": library}))
        # What needs no device still works.
        self.expect(0, self.run_vkzoo("list", env={"LD_PRELOAD": library}))

    def test_catalogue_without_driver(self):
        for arguments in (("help",), ("list",), ("list", "--json"), ("where", "copy")):
            self.expect(0, self.run_vkzoo(*arguments, env=NO_DRIVER))


class Device(cli_run.Case):
    def setUp(self):
        super().setUp()
        status, out, errors = self.run_vkzoo("info", "--json")
        if status == 77:
            self.skipTest(errors.strip())
        self.devices = json.loads(out)

    def test_unknown(self):
        # llvmpipe's name has every digit in it.
        count = len(self.devices)
        for name in ("nonsense", str(count + 8), str(count + 1000)):
            for verb in (("info",), ("check", "copy@n=3"), ("peak",)):
                _, _, errors = self.expect_line(77, f"`{name}`",
                                                self.run_vkzoo(*verb, "--device", name))
                for device in self.devices:
                    self.assertIn(f"{device['index']}: {device['name'][:20]}", errors)

    def test_by_index_and_name(self):
        for device in self.devices:
            name = device["name"][:12].swapcase()
            for which in (str(device["index"]), name):
                _, out, _ = self.expect(0, self.run_vkzoo("info", "--json", "--device",
                                                          which))
                names = [d["name"] for d in json.loads(out)]
                self.assertEqual(len(names), 1)
                if which != name:
                    self.assertEqual(names, [device["name"]])

    def test_info(self):
        _, out, errors = self.expect(0, self.run_vkzoo("info"))
        self.assertEqual(errors, "")
        for device in self.devices:
            self.assertIn(device["name"], out)
            self.assertGreater(device["variants_can_run"], 0)
            self.assertEqual(device["variants_can_run"] +
                             sum(c["count"] for c in device["cannot_run"]),
                             device["variants_total"])
            for lack in device["cannot_run"]:
                self.assertTrue(lack["reason"])
                self.assertIn(lack["reason"], out)

    def test_core_only(self):
        """Without optional features f32 kernels still run, the rest says why not."""
        _, out, _ = self.expect(0, self.run_vkzoo("info", "--json", "--core-only"))
        for device in json.loads(out):
            self.assertGreater(device["variants_can_run"], 0)
            self.assertTrue(device["cannot_run"])


if __name__ == "__main__":
    cli_run.main(driver=False)
