# SPDX-License-Identifier: MIT
# Compares what a kernel says (its //! lines) with what its SPIR-V is. Every difference,
# in either direction, is a complaint at the line that should change.
"""Agreement of front matter and SPIR-V."""

import re

import expr
import front as fronts

# The GLSL scalar types a buffer of a storage type may be seen through: itself, its bits,
# or words that pack several elements.
VIEWS = {
    "f32": {"f32", "u32", "i32"},
    "f16": {"f16", "u16", "i16", "u32"},
    "bf16": {"bf16", "u16", "i16", "u32"},
    "i32": {"i32", "u32"},
    "u32": {"u32", "i32"},
    "i8": {"i8", "u8", "i32", "u32"},
    "u8": {"u8", "i8", "i32", "u32"},
}

# What a tier may ask of a device. T0 is core Vulkan 1.1; its f16 and bf16 variants may
# ask for 16-bit storage as well, its 8-bit ones hold words.
T0 = {"Shader", "GroupNonUniform"}
T1 = T0 | {
    "StorageBuffer16BitAccess", "StorageBuffer8BitAccess",
    "UniformAndStorageBuffer16BitAccess", "UniformAndStorageBuffer8BitAccess",
    "Float16", "Int16", "Int8", "GroupNonUniformVote", "GroupNonUniformArithmetic",
    "GroupNonUniformBallot", "GroupNonUniformShuffle", "GroupNonUniformShuffleRelative",
    "GroupNonUniformClustered", "GroupNonUniformQuad", "GroupNonUniformRotateKHR",
    "DotProduct", "DotProductInputAll", "DotProductInput4x8Bit",
    "DotProductInput4x8BitPacked", "VulkanMemoryModel", "BFloat16TypeKHR",
    "BFloat16DotProductKHR", "FloatControls2", "DenormPreserve", "RoundingModeRTE",
    "SignedZeroInfNanPreserve"}
T2 = T1 | {"CooperativeMatrixKHR", "BFloat16CooperativeMatrixKHR",
           "Float8CooperativeMatrixEXT", "Float8EXT", "WorkgroupMemoryExplicitLayoutKHR",
           "WorkgroupMemoryExplicitLayout16BitAccessKHR",
           "WorkgroupMemoryExplicitLayout8BitAccessKHR"}
T2B = T2 | {"CooperativeMatrixReductionsNV", "CooperativeMatrixConversionsNV",
            "CooperativeMatrixPerElementOperationsNV",
            "CooperativeMatrixTensorAddressingNV", "TensorAddressingNV",
            "CooperativeMatrixBlockLoadsNV"}
TIER_CAPABILITIES = {"T0": T0, "T1": T1, "T2": T2, "T2b": T2B, "T2c": T2B}

T0_INVOCATIONS = 128
T0_SHARED_BYTES = 16 * 1024


class Compiled:
    """One variant of one pass."""

    def __init__(self, variant, pass_, module):
        self.variant, self.pass_, self.module = variant, pass_, module


def check(front, compiled, complaints):
    """Compares every module with the front matter; `compiled` may lack variants that were
    left out."""
    for c in compiled:
        _Checker(front, c, complaints).all()
    if compiled:
        _presence(front, compiled, complaints)
        _shared(front, compiled, complaints)


class _Checker:
    def __init__(self, front, compiled, complaints):
        self.front = front
        self.c = compiled
        self.module = compiled.module
        self.complaints = complaints

    def bad(self, place, message):
        """Complains at a //! line, or at a place of glsl_place(); names variant and pass
        where a kernel has several."""
        several = len(self.front.variants) > 1 or len(self.front.passes) > 1
        where = f" ({self.c.variant.name}, pass {self.c.pass_.name})" if several else ""
        line, path = place if isinstance(place, tuple) else (place, None)
        self.complaints.at(line, message + where, path)

    def glsl_place(self, pattern):
        return fronts.place_of(self.front, pattern)

    def all(self):
        self.entry()
        self.buffers()
        self.push()
        self.specs()
        self.local_size()
        self.capabilities()

    def entry(self):
        entries = [(model, name) for model, _, name in self.module.entries]
        if entries != [(5, "main")]:
            names = ", ".join(name for _, name in entries) or "none"
            self.bad(self.front.line, "expected one compute entry point called main, "
                     f"found {names}")

    def buffers(self):
        for name in self.module.other_resources():
            self.bad(self.glsl_place(rf"\b{re.escape(name)}\b"),
                     f"'{name}' is no storage buffer; expected only storage buffers "
                     "and push constants")
        declared = {b.binding: b for b in self.front.binds}
        for buffer in self.module.buffers():
            name = buffer.names[0] if buffer.names else "?"
            line = self.glsl_place(rf"\b{re.escape(name)}\b\s*(\[|;)")
            if buffer.set != 0:
                self.bad(line, f"buffer '{name}' is in descriptor set {buffer.set}, "
                         "expected set 0")
            bind = declared.get(buffer.binding)
            if not bind:
                self.bad(line, f"buffer '{name}' has binding {buffer.binding}; expected "
                         f"a `//! bind {buffer.binding} {name} ...` line")
                continue
            self.buffer(bind, buffer)

    def buffer(self, bind, buffer):
        roles = dict(self.c.variant.roles)
        kind = roles.get(bind.type, bind.type)
        if buffer.element not in VIEWS.get(kind, set()):
            self.bad(bind.line, f"'{bind.name}' is {kind} here, but the GLSL block holds "
                     f"{buffer.element}; expected one of "
                     f"{' '.join(sorted(VIEWS.get(kind, set())))}")
        if bind.io == "in" and not buffer.readonly:
            self.bad(bind.line, f"'{bind.name}' is an input; expected `readonly` on its "
                     "GLSL block")
        if bind.io in ("out", "inout", "scratch") and buffer.readonly:
            others = [b for b in self.module.buffers()
                      if b.binding == bind.binding and not b.readonly]
            if bind.io != "scratch" and not others and len(self.front.passes) == 1:
                self.bad(bind.line, f"'{bind.name}' is {bind.io}, but its GLSL block is "
                         "readonly; expected a block that can be written")

    def push(self):
        found = self.module.push()
        if found is None:
            return
        if not self.front.push:
            self.bad(self.glsl_place(r"\bpush_constant\b"), "the GLSL has push "
                     "constants; expected a `//! push` line with "
                     + " ".join(f"{n}:{t}" for n, _, t in found))
            return
        for index, (name, offset, kind) in enumerate(found):
            line = self.glsl_place(rf"\b{re.escape(name)}\b\s*;")
            if index >= len(self.front.push):
                self.bad(line, f"push field '{name}' at offset {offset} is in no `//! "
                         f"push` line; expected {name}:{kind} there")
                continue
            said = self.front.push[index]
            if (said.name, 4 * index, said.type) != (name, offset, kind):
                self.bad(said.line, f"push field {index} is {kind} {name} at offset "
                         f"{offset} in the GLSL; expected {said.name}:{said.type} at "
                         f"offset {4 * index} there")
        for said in self.front.push[len(found):]:
            self.bad(said.line, f"push field '{said.name}' is not in the GLSL block; "
                     f"expected it after '{found[-1][0]}'" if found else
                     f"push field '{said.name}' is not in the GLSL block")

    def specs(self):
        seen = {}
        said = {s.id: s for s in self.front.specs}
        for spec in self.module.specs():
            name = spec.name or "the workgroup size"
            line = self.glsl_place(rf"(constant_id|local_size_\w_id)\s*=\s*{spec.id}\b")
            first = seen.setdefault(spec.id, spec)
            if first is not spec:
                # For SPIR-V 1.6 glslang writes a workgroup size twice, both unnamed.
                if not (first.name or spec.name) and first.default == spec.default:
                    continue
                self.bad(line, f"two constants have id {spec.id}: an id serves one "
                         "constant only, and a workgroup-size id none")
                continue
            declared = said.get(spec.id)
            if not declared:
                self.bad(line, f"constant id {spec.id} ({name}) is in no `//! spec` "
                         f"line; expected `//! spec {spec.id} {spec.name or 'WG_SIZE'} "
                         f"{'u32' if spec.type == 'bool' else spec.type} "
                         f"{_number(spec.default)}`")
                continue
            self.spec(declared, spec)

    def spec(self, declared, spec):
        if spec.name and spec.name != declared.name:
            self.bad(declared.line, f"constant id {spec.id} is called {spec.name} in the "
                     f"GLSL; expected '{declared.name}' there")
        kind = "u32" if spec.type == "bool" else spec.type
        if kind != declared.type:
            self.bad(declared.line, f"{declared.name} is {spec.type} in the GLSL; "
                     f"expected {declared.type} there")
        default = declared.default
        if declared.type == "f32":
            same = abs(default - spec.default) <= 1e-6 * max(abs(default), 1e-30)
        else:
            same = default == spec.default
        if same:
            return
        if spec.id in self.module.local_size_id and spec.default == 1:
            self.bad(declared.line, f"the default workgroup size is 1 in the GLSL; "
                     f"expected {_number(default)}: write `layout(local_size_x = "
                     f"{_number(default)}, local_size_x_id = {spec.id}) in;`")
        else:
            self.bad(declared.line, f"{declared.name} is {_number(spec.default)} by "
                     f"default in the GLSL; expected {_number(default)} there")

    def local_size(self):
        line = self.glsl_place(r"\blocal_size_x")
        if self.module.local_size_by_id and self.c.variant.tier in ("T0", "T1", "T2"):
            self.bad(line, "the module uses LocalSizeId, which needs maintenance4; "
                     "expected LocalSize: compile for vulkan1.1")
        size = 1
        for extent in self.module.local_size:
            size *= extent if isinstance(extent, int) else 1
        if self.front.tier == "T0" and size > T0_INVOCATIONS:
            self.bad(line, f"the default workgroup has {size} invocations; expected at "
                     f"most {T0_INVOCATIONS} in tier T0")

    def capabilities(self):
        tier, variant = self.c.variant.tier, self.c.variant
        allowed = set(TIER_CAPABILITIES[tier])
        what = f"tier {tier}"
        if tier == "T0":
            if {kind for _, kind in variant.roles} & {"f16", "bf16"}:
                allowed |= {"StorageBuffer16BitAccess"}
                what = "tier T0 with 16-bit storage"
            if variant.accumulate == "f16":
                allowed |= {"Float16"}
        for name in self.module.capabilities:
            if name in allowed:
                continue
            need = [t for t in fronts.TIERS if name in TIER_CAPABILITIES[t]]
            more = (f"; that is tier {need[0]}, which the variant can say with "
                    f"tier={need[0]}" if need else "; no tier has that")
            those = " ".join(sorted(allowed)) if tier == "T0" else "those"
            self.bad(variant.line, f"variant '{variant.name}' needs capability {name}; "
                     f"expected only {those} of {what}{more}")
        if variant.coopmat and "CooperativeMatrixKHR" not in self.module.capabilities:
            self.bad(variant.line, f"variant '{variant.name}' has coopmat= but its code "
                     "uses no cooperative matrix; expected one")
        if "CooperativeMatrixKHR" in self.module.capabilities and not variant.coopmat:
            self.bad(variant.line, f"variant '{variant.name}' uses cooperative matrices; "
                     "expected coopmat=A,B,C,RESULT element types on its line")


def _number(value):
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return repr(value) if isinstance(value, float) else str(value)


def _presence(front, compiled, complaints):
    """What the //! lines declare must exist in some pass of some variant."""
    names, bindings, ids, pushed = set(), set(), set(), False
    for c in compiled:
        for buffer in c.module.buffers():
            bindings.add(buffer.binding)
            names |= {(buffer.binding, name) for name in buffer.names}
        ids |= {s.id for s in c.module.specs()}
        pushed = pushed or c.module.push() is not None
    for bind in front.binds:
        if bind.binding not in bindings:
            complaints.at(bind.line, f"no GLSL buffer has binding {bind.binding}; "
                          f"expected one with a member called {bind.name}")
        elif not names & {(bind.binding, bind.name), (bind.binding, bind.name + "_")}:
            # A gradient may be called `do`, which GLSL keeps for itself: there do_ it is.
            found = " ".join(sorted(n for b, n in names if b == bind.binding))
            complaints.at(bind.line, f"the GLSL buffer of binding {bind.binding} has "
                          f"names {found}; expected a member or instance called "
                          f"{bind.name}")
    for spec in front.specs:
        if spec.id not in ids:
            complaints.at(spec.line, f"no GLSL constant has id {spec.id}; expected "
                          f"`layout(constant_id = {spec.id}) const ... {spec.name}`")
    if front.push and not pushed:
        complaints.at(front.push[0].line, "the GLSL has no push constants; expected a "
                      "block with " + " ".join(p.name for p in front.push))


def _shared(front, compiled, complaints):
    """The `shared` expression at the defaults is what the largest module uses."""
    line, path = front.shared_line, front.path
    if not line:
        line, path = fronts.place_of(front, r"(?m)^\s*shared\s")
    found = [c.module.shared_bytes() for c in compiled]
    if None in found:
        complaints.at(line, "the size of shared memory depends on something zoocc cannot "
                      "compute; expected sizes made of constants with + - * / % << >> ?:",
                      path)
        return
    real = max(found)
    if front.tier == "T0" and real > T0_SHARED_BYTES:
        complaints.at(line, f"{real} bytes of shared memory by default; expected at most "
                      f"{T0_SHARED_BYTES} in tier T0", path)
    if front.shared is None:
        if real:
            complaints.at(line, f"the GLSL uses {real} bytes of shared memory; expected "
                          "a `//! shared` line with their number as an expression", path)
        return
    try:
        said = expr.evaluate(expr.parse(front.shared), default_env(front))
    except KeyError as e:
        complaints.at(line, f"'{e.args[0]}' is no constant or let of constants; expected "
                      "shared memory to depend on those only", path)
        return
    except (ArithmeticError, ValueError):
        said = -1
    if said != real:
        complaints.at(line, f"the GLSL uses {real} bytes of shared memory by default; "
                      f"expected {_number(said)}, which `{front.shared}` says", path)


def default_env(front):
    """Constants at their defaults, and the lets that follow from those alone."""
    env = {s.name: s.default for s in front.specs}
    for let in front.lets:
        try:
            env[let.name] = expr.evaluate(let.tree, env)
        except (KeyError, ArithmeticError, ValueError):
            pass
    return env
