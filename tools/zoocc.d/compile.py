# SPDX-License-Identifier: MIT
# One kernel from GLSL text to checked tables: every variant of every pass through glslang
# and spirv-val, then the comparison, then the files.
"""Compiles one kernel."""

import os
import re
import tempfile

import check
import emit
import front as fronts
import probe
import spirv
from common import Complaints, Refused, read_text, run, write

GLSL_TYPES = {"f32": "float", "f16": "float16_t", "bf16": "bfloat16_t", "i32": "int",
              "u32": "uint", "i8": "int8_t", "u8": "uint8_t"}


class Tools:
    """How the shader compiler and the validator are called."""

    def __init__(self, glslang, spirv_val, include=()):
        self.glslang, self.spirv_val = glslang, spirv_val
        self.include = include
        self._version = None

    def compile_argv(self, source, binary, defines, target, depfile=None):
        return ([self.glslang, "--target-env", target, "-V", "-S", "comp",
                 *(f"-I{i}" for i in self.include), *(f"-D{d}" for d in defines)]
                + (["--depfile", depfile] if depfile else []) + ["-o", binary, source])

    def preprocess_argv(self, source, defines):
        return [self.glslang, "-E", "-S", "comp", *(f"-I{i}" for i in self.include),
                *(f"-D{d}" for d in defines), source]

    def validate_argv(self, binary, target):
        return [self.spirv_val, "--target-env", target, binary]

    def version(self):
        if self._version is None:
            match = re.search(r"Glslang Version: \S*?(\d+\.\d+\.\d+)",
                              run([self.glslang, "--version"])[1])
            self._version = f"glslang {match.group(1) if match else '(unknown version)'}"
        return self._version


def target_of(tier):
    """What a tier's variants are compiled for: the oldest that has what the tier is for.
    glslang wants SPIR-V 1.6 for NV cooperative matrix 2."""
    return "vulkan1.3" if tier in ("T2b", "T2c") else "vulkan1.1"


def defines_of(variant, pass_):
    """The macros of a variant and pass: the only ones that GLSL text sees."""
    found = [f"{role}_{kind.upper()}=1" for role, kind in variant.roles]
    found.append(f"ACC_{variant.accumulate.upper()}=1")
    if variant.coopmat:
        found.append("COOPMAT=1")
        for role, kind in zip("ABCR", variant.coopmat.split(",")):
            found.append(f"CM_TYPE_{role}={GLSL_TYPES[kind]}")
    found += [f"{key}={value}" for key, value in variant.defines]
    if pass_:
        found.append(f"PASS_{pass_.name.upper()}=1")
    return found


def left_out(tools, front, missing):
    """Variants this glslang cannot compile, with the reason: [(name, reason)]."""
    if not any(extension in text for extension in missing
               for text in front.texts.values()):
        return []
    found = []
    for variant in front.variants:
        pass_ = front.passes[0] if front.passes else None
        needs = probe.active_extensions(tools, front.path, defines_of(variant, pass_))
        gone = sorted(needs & set(missing))
        if gone:
            found.append((variant.name, probe.reason(tools, gone[0])))
    return found


def kernel(path, root, tools, missing, outputs):
    """Compiles the kernel at `path` and writes outputs (c, json, depfile). Returns the
    Complaints, empty when all is well."""
    path = os.path.normpath(path)
    complaints = Complaints(path)
    try:
        _kernel(path, root, tools, missing, outputs, complaints)
    except Refused:
        pass
    return complaints


def _kernel(path, root, tools, missing, outputs, complaints):
    front = fronts.parse(path, read_text(path), complaints)
    fronts.read_includes(front, tools.include)
    library = os.path.normpath(os.path.join(root, "shaders", "lib")) + os.sep
    for include, text in front.texts.items():
        if include != path:
            fronts.glsl_habits(include, text, front.dims(), complaints)
        if os.path.abspath(include).startswith(os.path.abspath(library)):
            fronts.library_habits(include, text, complaints)
    complaints.stop_if_any()
    out = left_out(tools, front, missing)
    gone = {name for name, _ in out}
    compiled, modules, depends = [], {}, {path}
    with tempfile.TemporaryDirectory(prefix="zoocc.") as folder:
        for variant in front.variants:
            if variant.name in gone:
                continue
            for pass_ in front.passes:
                module = _module(front, variant, pass_, tools, folder, depends,
                                 complaints)
                if module:
                    compiled.append(check.Compiled(variant, pass_, module))
                    modules.setdefault(variant.name, []).append(module)
    complaints.stop_if_any()
    check.check(front, compiled, complaints)
    complaints.stop_if_any()
    _write(front, path, root, modules, out, depends, outputs)


def _module(front, variant, pass_, tools, folder, depends, complaints):
    binary, depfile = os.path.join(folder, "m.spv"), os.path.join(folder, "m.d")
    where = f" ({variant.name}, pass {pass_.name})"
    target = target_of(variant.tier)
    status, output = run(tools.compile_argv(front.path, binary,
                                            defines_of(variant, pass_), target, depfile))
    if status != 0:
        _glslang_errors(front, output, where, complaints)
        return None
    for name in re.split(r"(?<!\\)\s+", read_text(depfile).partition(": ")[2].strip()):
        if name:
            depends.add(os.path.normpath(name.replace("\\ ", " ")))
    status, output = run(tools.validate_argv(binary, target))
    if status != 0:
        complaints.at(front.line, "spirv-val refuses the module; expected valid SPIR-V"
                      f"{where}: {' '.join(output.split())}")
        return None
    try:
        with open(binary, "rb") as f:
            return spirv.Module(f.read())
    except spirv.NotSpirv as e:
        complaints.at(front.line, f"expected SPIR-V{where}: {e}")
        return None


def _glslang_errors(front, output, where, complaints):
    """glslang's own messages, in the form file:line: message; one that several variants
    share is shown for the first."""
    found = re.findall(r"^(?:ERROR|WARNING): (.+?):(\d+): (.*)$", output, re.M)
    for path, line, message in found:
        message = " ".join(message.split())
        known = any((p, n) == (path, int(line)) and m.startswith(message)
                    for p, n, _, m in complaints.found)
        if not known and not re.search("compilation terminated|missing #endif", message):
            complaints.at(int(line), message + where, path)
    if not found:
        complaints.at(front.line, f"glslang refuses the file{where}: "
                      f"{' '.join(output.split())}; expected it to compile")


def _write(front, path, root, modules, out, depends, outputs):
    file = os.path.relpath(path, root)
    data = emit.manifest(front, file, modules, out)
    names = " ".join(d.replace(" ", "\\ ") for d in sorted(depends))
    # Written even when nothing changed: Meson makes ninja look at time stamps anew
    # whenever it reconfigures, and outputs older than their input would be made again.
    for target, text in ((outputs.c, emit.c_table(front, file, modules)),
                         (outputs.json, emit.manifest_text(data)),
                         (outputs.depfile, f"{outputs.c}: {names}\n")):
        if target:
            write(target, text)
