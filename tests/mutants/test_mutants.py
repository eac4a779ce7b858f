# SPDX-License-Identifier: MIT
# Makes every mutant of mutants.py, compiles it as the build does, and runs it in the
# kernel's place: `vkzoo check` must find each one wrong, and the unchanged kernel right.
"""Mutation test of the check."""

import concurrent.futures
import glob
import json
import os
import re
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cli"))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "..", "tools", "zoocc.d"))
import compile as compiler  # noqa: E402
import front as fronts  # noqa: E402
from common import Complaints, read_text, run, write  # noqa: E402
import cli_run  # noqa: E402
from mutants import MUTANTS  # noqa: E402


class Stale(Exception):
    """The list does not fit the shaders any more."""


def pattern(text):
    """A piece of GLSL, whatever the white space between its words."""
    return re.compile(r"\s*".join(re.escape(word) for word
                                  in re.findall(r"\w+|[^\w\s]", text)))


def mutate(shaders, mutant):
    """Makes the mutant's edits in the tree `shaders`."""
    for name, text, replacement in mutant.edits:
        path = os.path.join(shaders, name)
        if not os.path.exists(path):
            raise Stale(f"shaders/{name} is gone")
        glsl = read_text(path)
        count = len(pattern(text).findall(glsl))
        if count != 1:
            raise Stale(f"shaders/{name} has {count} times `{text}`; expected it once")
        write(path, pattern(text).sub(lambda _: replacement, glsl))


class Trial:
    """Compiles a tree's kernel for a mutant and checks it."""

    def __init__(self, work, kernels, device):
        self.work, self.kernels, self.device = work, kernels, device

    def tree(self, name):
        shaders = self.work.path(name)
        shutil.copytree(os.path.join(cli_run.ROOT, "shaders"), shaders)
        return shaders

    def compile(self, shaders, mutant):
        """The SPIR-V file, compiled with the build's flags."""
        file = os.path.relpath(self.kernels[mutant.kernel], "shaders")
        path = os.path.join(shaders, file)
        glslang = os.environ.get("GLSLANG", "glslangValidator")
        tools = compiler.Tools(glslang, "", [shaders])
        front = fronts.parse(path, read_text(path), Complaints(path))
        variants = [v for v in front.variants if v.name == mutant.variant]
        passes = [p for p in front.passes if p.name == (mutant.pass_ or "main")]
        if not variants or not passes:
            raise Stale(f"{mutant.kernel} has no variant {mutant.variant} or no pass "
                        f"{mutant.pass_ or 'main'}")
        binary = os.path.join(shaders, "out.spv")
        status, output = run(tools.compile_argv(
            path, binary, compiler.defines_of(variants[0], passes[0]),
            compiler.target_of(variants[0].tier)))
        if status != 0:
            raise Stale(f"the mutant does not compile: {' '.join(output.split())[:400]}")
        return binary

    def check(self, mutant, binary):
        """(status of the case, reason)."""
        place = f"{mutant.kernel}.{mutant.variant}"
        place += f".{mutant.pass_}" if mutant.pass_ else ""
        _, out, errors = self.work.run(
            "check", mutant.case, "--kernel", mutant.kernel, "--variant", mutant.variant,
            "--no-canary", "--json", "--timeout", "60", "--device", self.device,
            *(["--tuning", mutant.tuning] if mutant.tuning != "default" else []),
            *(["--spec", mutant.spec] if mutant.spec else []),
            "--spirv", f"{place}={binary}")
        found = [json.loads(line) for line in out.splitlines()]
        cases = [v for v in found if v["type"] == "case"]
        if len(cases) != 1:
            return "no case", errors.strip()
        return cases[0]["status"], cases[0]["reason"] or ""

    def unchanged(self, mutant):
        """What is wrong with the kernel itself, or None."""
        shaders = self.tree(f"honest.{hash(key(mutant))}")
        status, reason = self.check(mutant, self.compile(shaders, mutant))
        return None if status == "ok" else f"the kernel itself: {status}: {reason}"

    def killed(self, mutant):
        """(True when the mutant was found wrong, what was said)."""
        shaders = self.tree(f"mutant.{MUTANTS.index(mutant)}")
        mutate(shaders, mutant)
        status, reason = self.check(mutant, self.compile(shaders, mutant))
        return status == "failed", f"{status}: {reason}"


def key(mutant):
    return (mutant.kernel, mutant.variant, mutant.tuning, mutant.spec, mutant.pass_,
            mutant.case)


def choose_device(work):
    """(index, is_cpu), a CPU where there is one: it does the same every time."""
    status, out, errors = work.run("info", "--json")
    if status == 77:
        print("skipped: " + errors.strip())
        sys.exit(77)
    device = sorted(json.loads(out), key=lambda d: not d["is_cpu"])[0]
    return str(device["index"]), device["is_cpu"]


def kernels_of_build(work):
    _, out, _ = work.run("list", "--json")
    return {k["kernel"]: k["file"] for op in json.loads(out) for k in op["kernels"]}


def attempt(function, mutant):
    try:
        return function(mutant)
    except Stale as e:
        return e


def main():
    work = cli_run.Work()
    try:
        return try_all(work)
    finally:
        work.remove()


def try_all(work):
    device, is_cpu = choose_device(work)
    kernels = kernels_of_build(work)
    gone = [m for m in MUTANTS if not glob.glob(os.path.join(cli_run.ROOT, "shaders", "*",
                                                             m.kernel + ".comp"))]
    for m in gone:
        print(f"stale    {m.kernel}: {m.name}: there is no such kernel any more")
    # A build may lack a family, and a GPU may hide a race.
    wanted = [m for m in MUTANTS if m.kernel in kernels and (is_cpu or not m.cpu)]
    if not wanted and not gone:
        print("skipped: this build has none of the mutated kernels")
        return 77
    trial = Trial(work, kernels, device)
    honest = {key(m): m for m in wanted}
    with concurrent.futures.ThreadPoolExecutor(max(2, os.cpu_count() // 2)) as pool:
        wrong = dict(zip(honest, pool.map(lambda m: attempt(trial.unchanged, m),
                                          honest.values())))
        outcomes = list(pool.map(lambda m: attempt(trial.killed, m), wanted))
    kills, failures = 0, len(gone)
    for mutant, outcome in zip(wanted, outcomes):
        trouble = wrong[key(mutant)]
        if isinstance(outcome, Stale) or trouble:
            word, what = "stale", str(outcome) if isinstance(outcome, Stale) else trouble
        else:
            word, what = "killed" if outcome[0] else "survived", outcome[1]
        kills += word == "killed"
        failures += word != "killed"
        print(f"{word:8} {mutant.kernel}: {mutant.name}: {what}")
    left = len(MUTANTS) - len(wanted)
    print(f"{kills} of {len(wanted)} killed" + (f", {left} not tried" if left else ""))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
