# SPDX-License-Identifier: MIT
# Kernels that cheat must be rejected, each for what it does: the tester's own test.
"""Cheat kernels in the place of triad_stream."""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cli"))
import cli_run  # noqa: E402

# The file, and what the reason must say.
CHEATS = (
    ("zeros", r"^y\[0\] is off by more than allowed: got 0, expected "),
    ("replay", r"^y\[0\] was never written$"),
    ("some_unwritten", r"^y\[3\] was never written$"),
    ("half_groups", r"^y\[1024\] was never written$"),
    ("nan_fill", r"^y\[0\] NaN or infinity differs: got -?nan, expected "),
    ("past_end", r"^wrote 4 bytes past the end of y$"),
    ("spoils_input", r"^changed its input b$"),
)
CASE = "triad@n=4099"


class Cheats(cli_run.Case):
    def check(self, name):
        """The result line of `vkzoo check` with that shader in the kernel's place."""
        binary = self.work.path(name + ".spv")
        done = subprocess.run([os.environ.get("GLSLANG", "glslangValidator"), "-V",
                               "--target-env", "vulkan1.1", "-o", binary,
                               os.path.join(HERE, name + ".comp")],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        status, out, errors = self.run_vkzoo(
            "check", CASE, "--kernel", "triad_stream", "--no-canary", "--out",
            name + ".jsonl", "--spirv", f"triad_stream.f32={binary}")
        values = [v for v in self.work.lines(name + ".jsonl") if v["type"] == "case"]
        self.assertEqual(len(values), 1, errors)
        return status, values[0], out + errors

    def test_honest(self):
        status, value, output = self.check("honest")
        self.assertEqual((status, value["status"]), (0, "ok"), output)
        # Other SPIR-V never passes for the kernel's own.
        self.assertEqual(value["spirv_sha256"], ["overridden"])
        _, out, _ = self.expect(0, self.run_vkzoo("lint", "honest.jsonl"))
        self.assertIn("ran SPIR-V given with --spirv", out)

    def test_cheats(self):
        caught = 0
        for name, reason in CHEATS:
            with self.subTest(cheat=name):
                status, value, output = self.check(name)
                self.assertEqual((status, value["status"]), (1, "failed"), output)
                self.assertIs(value["check"]["passed"], False)
                self.assertRegex(value["reason"], reason)
                self.assertIn(value["reason"], output)
                self.assertIn(f"vkzoo check '{CASE}'", output)
                caught += 1
        print(f"{caught} of {len(CHEATS)} cheats caught", file=sys.stderr)

    def test_every_cheat_is_tried(self):
        files = {f[:-5] for f in os.listdir(HERE) if f.endswith(".comp")}
        self.assertEqual(files, {name for name, _ in CHEATS} | {"honest"})


if __name__ == "__main__":
    cli_run.main()
