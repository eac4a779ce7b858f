#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# A second build with clang, AddressSanitizer and UndefinedBehaviorSanitizer: unit and report
# tests, the suite parser's fuzzer for a minute, and the program on a device.
"""usage: test_sanitize.py SOURCE BUILD WORK"""
import os
import shutil
import subprocess
import sys
import tempfile

SUITES = ["unit", "report", "fuzz"]
# What runs on a device: a kernel of each kind of interface, through worker and journal.
CASES = [
    ["check", "gemm@m=17,n=20,k=33", "--kernel", "gemm_naive", "--variant", "f32"],
    ["check", "attention", "--tag", "smoke", "--kernel", "attention_tile", "--variant", "f32"],
    ["bench", "gemm@m=32,n=32,k=32", "--kernel", "gemm_naive", "--variant", "f32",
     "--no-ceilings", "--budget", "50"],
    ["list", "--json"],
]


def skip(why):
    print("skip:", why)
    sys.exit(77)


def has_sanitizers(clang):
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "a.c")
        with open(source, "w", encoding="ascii") as f:
            f.write("int main(void) { return 0; }\n")
        command = [clang, "-fsanitize=address,undefined", source, "-o", source + ".out"]
        return subprocess.run(command, capture_output=True).returncode == 0


def run(command, **kwargs):
    print("+", " ".join(command), flush=True)
    return subprocess.run(command, **kwargs).returncode


def main(source, build):
    clang = shutil.which("clang")
    if not clang or not has_sanitizers(clang):
        skip("no clang with sanitizers; on Debian: apt install clang libclang-rt-dev")
    env = dict(os.environ, CC=clang)
    # Meson sets these for its own child; the inner Meson has its own build.
    for name in ("MESON_BUILD_ROOT", "MESON_SOURCE_ROOT", "MESONREWRITE", "MESON_SUBDIR"):
        env.pop(name, None)
    if not os.path.exists(os.path.join(build, "build.ninja")):
        if run(["meson", "setup", build, source, "--buildtype=debugoptimized",
                "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dwerror=true"],
               env=env, stdout=subprocess.DEVNULL):
            sys.exit("the sanitizer build could not be configured")
    if run(["meson", "compile", "-C", build], env=env, stdout=subprocess.DEVNULL):
        sys.exit("the sanitizer build failed")
    env["UBSAN_OPTIONS"] = "halt_on_error=1:print_stacktrace=1"
    command = ["meson", "test", "-C", build, "--no-rebuild", "--quiet", "--print-errorlogs"]
    for suite in SUITES:
        command += ["--suite", suite]
    if run(command, env=env):
        sys.exit("a test failed under the sanitizers")
    program = os.path.join(build, "vkzoo")
    # Drivers keep memory until the process ends: leaks are looked for in the unit tests.
    env["ASAN_OPTIONS"] = "detect_leaks=0:abort_on_error=1"
    with tempfile.TemporaryDirectory() as folder:
        env.update(HOME=folder, XDG_CACHE_HOME=folder)
        for case in CASES if os.path.exists(program) else []:
            status = run([program, *case], env=env, cwd=folder, stdout=subprocess.DEVNULL)
            if status not in (0, 77):
                sys.exit(f"{' '.join(case)}: status {status} under the sanitizers")


main(*sys.argv[1:3])
