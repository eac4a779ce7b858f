# SPDX-License-Identifier: MIT
# Every way in which a kernel file can be wrong that zoocc knows, each refused at the
# right line; and one right file, whose tables say what it is.
"""Front matters that must be refused."""

import os
import tempfile
import unittest

from zoocc_run import compile_text
import check
import common
import compile
import front
import spirv

GOOD = """// SPDX-License-Identifier: MIT
//
// Adds a row to every row of a matrix
//
//! kernel   thing_plain
//! op       thing/1
//! tier     T0
//! bind     0 x    in   T[m, n]
//! bind     1 row  in   f32[n]  when ROWS != 0
//! bind     2 y    out  T[m, n]
//! scratch  3 part f32[ceildiv(m, WG_SIZE), n]
//! push     m:u32 n:u32 scale:f32
//! spec     0 WG_SIZE u32 64   // 32..1024, a power of two
//! spec     3 TILE    u32 4    = n % 4 == 0 ? 4 : 1
//! spec     16 ROWS   u32 0
//! spec     17 EPS    f32 0.5
//! let      tiles ceildiv(n, TILE)
//! when     n <= 8 * TILE : serves rows of at most 8 tiles
//! shared   4 * (WG_SIZE + TILE)
//! tuning   cpu WG_SIZE=8 TILE=2
//! pass     first groups tiles (m + 1)
//! pass     last  groups tiles m 1
//! variant  f32  T=f32
//! variant  f16  T=f16
#version 450
#extension GL_GOOGLE_include_directive : require
#ifdef T_F16
#extension GL_EXT_shader_16bit_storage : require
#define T float16_t
#else
#define T float
#endif
#include "lib/more.glsl"
layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 3) const uint TILE = 4;
layout(constant_id = 16) const uint ROWS = 0;
layout(constant_id = 17) const float EPS = 0.5;
layout(set = 0, binding = 0, std430) restrict readonly buffer X { T x[]; };
layout(set = 0, binding = 1, std430) restrict readonly buffer Row { float row[]; };
layout(set = 0, binding = 2, std430) restrict writeonly buffer Y { T y[]; };
layout(set = 0, binding = 3, std430) restrict buffer Part { float part[]; };
layout(set = 0, binding = 3, std430) restrict buffer Part4 { vec4 part4[]; };
layout(push_constant) uniform Push { uint m; uint n; float scale; } p;
shared float tile[gl_WorkGroupSize.x + TILE];
void main()
{
    const uint i = gl_GlobalInvocationID.x;
    tile[gl_LocalInvocationIndex] = EPS;
#ifdef PASS_FIRST
    part[i] = more(float(x[i]));
#else
    y[i] = T(part[i] + p.scale * (ROWS != 0 ? row[i % p.n] : 0.0));
#endif
}
"""
LIBRARY = ("lib/more.glsl", """#ifndef MORE
#define MORE
float more(const float x)
{
    return x + 1.0;
}
#endif
""")

# name, old text, new text, text on the line of the complaint, part of the complaint
BAD = (
    ("unknown directive", "//! tuning ", "//! tunings ", "tunings", "unknown directive"),
    ("second kernel line", "//! op ", "//! kernel thing_plain\n//! op ",
     "//! kernel thing_plain", "second 'kernel'"),
    ("other kernel name", "kernel   thing_plain", "kernel   thing_tile", "thing_tile",
     "expected the file's name"),
    ("op without abi", "thing/1", "thing", "//! op", "expected op/abi"),
    ("no op", "//! op       thing/1\n", "", "//! kernel", "expected a `//! op` line"),
    ("unknown tier", "tier     T0", "tier     T9", "tier", "expected one of T0"),
    ("no pass", "//! pass     first groups tiles (m + 1)\n//! pass     last  groups "
     "tiles m 1\n", "", "//! kernel", "at least one `//! pass`"),
    ("no version", "#version 450\n", "", "//! kernel", "#version"),
    ("no title", "// Adds a row to every row of a matrix\n", "//\n", "SPDX", "a title"),
    ("baseline of something", "//! tier ", "//! baseline yes\n//! tier ",
     "//! baseline", "expected nothing after 'baseline'"),
    ("directive without text", "//! let      tiles ceildiv(n, TILE)", "//! let",
     "//! let", "expected something after 'let'"),
    # expressions
    ("expression cut off", "ceildiv(n, TILE)", "ceildiv(n, ", "//! let", "found the end"),
    ("unknown function", "ceildiv(n, TILE)", "divup(n, TILE)", "//! let",
     "unknown function 'divup'"),
    ("argument missing", "ceildiv(n, TILE)", "ceildiv(n)", "//! let", "takes 2"),
    ("stray operator in a shape", "in   T[m, n]", "in   T[m, * n]", "0 x", "found '*'"),
    ("group count with a space", "groups tiles (m + 1)", "groups tiles m + 1", "first",
     "expected `pass NAME groups"),
    ("when without a reason", " : serves rows of at most 8 tiles", "", "//! when",
     "expected `when CONDITION : the reason"),
    ("indirect counts of no buffer", "groups tiles m 1", "indirect counts", "last",
     "'counts' is no buffer"),
    ("indirect counts of another type", "groups tiles m 1", "indirect part", "last",
     "expected u32[3], not f32"),
    ("ternary cut off", "? 4 : 1", "? 4", "TILE    u32", "expected ':'"),
    # buffers
    ("duplicate binding", "bind     1 row", "bind     0 row", "0 row",
     "duplicate binding 0"),
    ("duplicate buffer name", "bind     1 row", "bind     1 x", "1 x",
     "duplicate buffer"),
    ("binding not in GLSL", "//! scratch", "//! bind 5 z out T[m]\n//! scratch", "5 z",
     "no GLSL buffer has binding 5"),
    ("binding not declared", "//! bind     1 row  in   f32[n]  when ROWS != 0\n", "",
     "float row[]", "has binding 1; expected a `//! bind 1 row"),
    ("buffer of another name", "1 row ", "1 col ", "1 col", "expected a member or "
     "instance called col"),
    ("type without a role", "1 row  in   f32", "1 row  in   W", "1 row", "type 'W'"),
    ("another element type", "1 row  in   f32", "1 row  in   f16", "1 row",
     "the GLSL block holds f32"),
    ("input that can be written", "readonly buffer Row", "buffer Row", "1 row",
     "expected `readonly`"),
    ("descriptor set 1", "set = 0, binding = 1", "set = 1, binding = 1", "buffer Row",
     "expected set 0"),
    ("a uniform buffer", "buffer Row { float row[]; }", "buffer Row { float row[]; };\n"
     "layout(set = 0, binding = 9) uniform U { float u; }", "uniform U",
     "no storage buffer"),
    # push constants
    ("push field not in GLSL", "scale:f32", "scale:f32 bias:f32", "//! push",
     "'bias' is not in the GLSL"),
    ("push field not declared", " scale:f32", "", "float scale",
     "'scale' at offset 8 is in no"),
    ("push fields swapped", "m:u32 n:u32", "n:u32 m:u32", "//! push",
     "expected n:u32 at offset 0"),
    ("push field of another type", "scale:f32", "scale:u32", "//! push",
     "expected scale:u32"),
    ("push field of 2 bytes", "scale:f32", "scale:f16", "//! push", "4-byte scalar"),
    ("push of a vector", "float scale; }", "vec4 scale; }", "//! push",
     "expected scale:f32"),
    ("duplicate push field", "m:u32 n:u32", "m:u32 m:u32", "//! push", "duplicate push"),
    ("132 bytes of push", "m:u32 n:u32", " ".join(f"s{i}:u32" for i in range(32)),
     "//! push", "expected at most 128"),
    ("push block missing", "layout(push_constant) uniform Push { uint m; uint n; float "
     "scale; } p;", "struct Push { uint m; uint n; float scale; };\n"
     "const Push p = Push(1, 1, 1.0);", "//! push", "the GLSL has no push constants"),
    # specialization constants
    ("duplicate spec id", "spec     16 ROWS", "spec     3 ROWS", "3 ROWS",
     "duplicate spec id 3"),
    ("duplicate constant", "spec     16 ROWS", "spec     16 TILE", "16 TILE",
     "duplicate constant"),
    ("constant not in GLSL", "//! let", "//! spec 40 MORE u32 1\n//! let", "40 MORE",
     "no GLSL constant has id 40"),
    ("constant not declared", "//! spec     17 EPS    f32 0.5\n", "", "constant_id = 17",
     "in no `//! spec` line"),
    ("another default", "TILE    u32 4 ", "TILE    u32 2 ", "TILE    u32",
     "is 4 by default in the GLSL; expected 2"),
    ("another constant type", "EPS    f32 0.5", "EPS    u32 0", "17 EPS",
     "is f32 in the GLSL"),
    ("another constant name", "spec     17 EPS", "spec     17 EPSILON", "17 EPSILON",
     "is called EPS"),
    ("another local size", "local_size_x = 64", "local_size_x = 32", "0 WG_SIZE",
     "is 32 by default in the GLSL; expected 64"),
    ("local size forgotten", "local_size_x = 64, ", "", "0 WG_SIZE",
     "the default workgroup size is 1"),
    ("the double constant", "layout(constant_id = 3)",
     "layout(constant_id = 0) const uint WG_SIZE = 64;\nlayout(constant_id = 3)",
     "constant_id = 0)", "local_size id of line"),
    ("negative u32 default", "ROWS   u32 0", "ROWS   u32 -1", "16 ROWS", "u32 default"),
    ("tuning of no constant", "TILE=2", "TILES=2", "//! tuning",
     "'TILES' is no constant"),
    # macros that are problem sizes
    ("a push field as a macro", "#define T float\n", "#define T float\n#define n 64\n",
     "#define n", "a problem size and a macro"),
    ("a push field as a variant's macro", "T=f16", "T=f16 n=64", "variant  f16",
     "makes a problem size a macro"),
    # GLSL habits
    ("extension by enable", "include_directive : require", "include_directive : enable",
     "include_directive", "expected `#extension GL_GOOGLE_include_directive : require`"),
    ("GLSL that does not compile", "const uint i = gl", "const uint i = 0.5 * gl",
     "const uint i", "float"),
    # tiers
    ("16-bit storage in a T0 f32 variant", "#ifdef T_F16", "#if 1", "variant  f32",
     "StorageBuffer16BitAccess"),
    ("a big T0 workgroup", "u32 64 ", "u32 256 ", "0 WG_SIZE", "expected 256"),
    ("shared memory not declared", "//! shared   4 * (WG_SIZE + TILE)\n", "",
     "shared float tile", "272 bytes of shared memory; expected a `//! shared`"),
    ("another size of shared memory", "4 * (WG_SIZE + TILE)", "4 * WG_SIZE", "//! shared",
     "272 bytes of shared memory by default; expected 256"),
    ("shared memory of a dim", "4 * (WG_SIZE + TILE)", "4 * (WG_SIZE + m)", "//! shared",
     "'m' is no constant"),
    ("too much shared memory", "tile[gl_WorkGroupSize.x + TILE]", "tile[5000]",
     "//! shared", "20000 bytes of shared memory by default; expected at most 16384"),
    ("cooperative matrix without one", "variant  f16  T=f16",
     "variant  f16  T=f16 coopmat=f16,f16,f32,f32", "variant  f16",
     "uses no cooperative matrix"),
    ("unknown accumulator", "variant  f16  T=f16", "variant  f16  T=f16 acc=f64",
     "variant  f16", "expected acc=f32"),
    ("duplicate variant", "variant  f16  T=f16", "variant  f32  T=f16",
     "variant  f32  T=f16", "duplicate variant"),
)


def compile_good(old="", new="", library=LIBRARY):
    text = GOOD.replace(old, new, 1) if old else GOOD
    assert not old or text != GOOD, f"'{old}' is not in the good file"
    return text, compile_text(text, files=[library])


class Refuse(unittest.TestCase):
    def check(self, name, text, errors, marker, message):
        lines = [n for n, line in enumerate(text.split("\n"), 1) if marker in line]
        found = [e for e in errors.split("\n") if message in e]
        self.assertTrue(found, f"{name}: no complaint with '{message}' in:\n{errors}")
        places = [f"shaders/thing/thing_plain.comp:{n}: " for n in lines]
        self.assertTrue(any(p in found[0] for p in places),
                        f"{name}: expected line {lines} in: {found[0]}")

    def test_bad_files(self):
        for name, old, new, marker, message in BAD:
            with self.subTest(name):
                text, (status, _, c, _, errors) = compile_good(old, new)
                self.assertEqual(status, 1, f"{name} was accepted")
                self.assertIsNone(c, f"{name}: a table was written")
                self.check(name, text, errors, marker, message)
        print(f"{len(BAD)} bad kernel files refused")

    def test_subgroup_arithmetic(self):
        text = GOOD.replace("#include", "#extension GL_KHR_shader_subgroup_arithmetic : "
                            "require\n#include").replace("= EPS;", "= subgroupAdd(EPS);")
        status, _, _, _, errors = compile_text(text, files=[LIBRARY])
        self.assertEqual(status, 1)
        self.check("subgroup arithmetic in T0", text, errors, "variant  f32",
                   "needs capability GroupNonUniformArithmetic")
        self.assertIn("that is tier T1", errors)
        text = text.replace("T=f32\n", "T=f32 tier=T1\n").replace("T=f16\n",
                                                                  "T=f16 tier=T1\n")
        status, manifest, _, _, errors = compile_text(text, files=[LIBRARY])
        self.assertEqual(status, 0, errors)
        self.assertEqual(manifest["tier"], "T0")
        self.assertEqual(manifest["variants"][0]["tier"], "T1")

    def test_big_workgroup(self):
        text = GOOD.replace("u32 64 ", "u32 256 ").replace("local_size_x = 64",
                                                           "local_size_x = 256")
        status, _, _, _, errors = compile_text(text, files=[LIBRARY])
        self.assertEqual(status, 1)
        self.check("256 invocations", text, errors, "local_size_x = 256", "at most 128")

    def test_library_keeps_out_of_interfaces(self):
        for line, what in (("layout(set = 0, binding = 7) buffer Z { float z[]; };",
                            "declares a binding"),
                           ("shared float more_tile[4];", "declares shared memory")):
            path, text = LIBRARY
            text = text.replace("float more", line + "\nfloat more")
            _, (status, _, _, _, errors) = compile_good(library=(path, text))
            self.assertEqual(status, 1)
            self.assertIn(f"shaders/lib/more.glsl:3: a file of shaders/lib {what}",
                          errors)

    def test_double_constant_in_library(self):
        path, text = LIBRARY
        text = text.replace("float more", "layout(constant_id = 0) const uint W = 64;\n"
                            "float more").replace("x + 1.0", "x + float(W)")
        _, (status, _, _, _, errors) = compile_good(library=(path, text))
        self.assertEqual(status, 1)
        self.assertIn("two constants have id 0", errors)

    def test_local_size_id(self):
        """A module made for a newer Vulkan than the tier's."""
        with tempfile.TemporaryDirectory(prefix="zoocc-test.") as folder:
            path = os.path.join(folder, "thing_plain.comp")
            os.makedirs(os.path.join(folder, "lib"))
            for name, text in (("thing_plain.comp", GOOD), LIBRARY):
                with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                    f.write(text)
            complaints = common.Complaints(path)
            kernel = front.parse(path, GOOD, complaints)
            tools = compile.Tools(os.environ.get("GLSLANG", "glslangValidator"), "",
                                  [folder])
            binary = os.path.join(folder, "m.spv")
            defines = compile.defines_of(kernel.variants[0], kernel.passes[0])
            status, output = common.run(tools.compile_argv(path, binary, defines,
                                                           "vulkan1.3"))
            self.assertEqual(status, 0, output)
            with open(binary, "rb") as f:
                module = spirv.Module(f.read())
            check.check(kernel, [check.Compiled(kernel.variants[0], kernel.passes[0],
                                                module)], complaints)
        self.assertEqual(module.local_size, [64, 1, 1])
        self.assertEqual(module.local_size_id, [0, -1, -1])
        self.assertIn("LocalSizeId", " ".join(c[3] for c in complaints.found))

    def test_problem_size_as_macro_in_library(self):
        path, text = LIBRARY
        _, (status, _, _, _, errors) = compile_good(
            library=(path, text.replace("#define MORE\n", "#define MORE\n#define m 3\n")))
        self.assertEqual(status, 1)
        self.assertIn("shaders/lib/more.glsl:3: 'm' is a problem size", errors)


class Accept(unittest.TestCase):
    def setUp(self):
        _, (status, self.manifest, self.c, self.depfile, errors) = compile_good()
        self.assertEqual(status, 0, errors)

    def test_manifest(self):
        m = self.manifest
        self.assertEqual((m["name"], m["op"], m["abi"], m["tier"]),
                         ("thing_plain", "thing", 1, "T0"))
        self.assertEqual(m["title"], "Adds a row to every row of a matrix")
        self.assertEqual(m["file"], "shaders/thing/thing_plain.comp")
        self.assertEqual(m["when"], "n <= 8 * TILE")
        self.assertEqual(m["when_reason"], "serves rows of at most 8 tiles")
        self.assertEqual([b["io"] for b in m["binds"]], ["in", "in", "out", "scratch"])
        self.assertEqual(m["binds"][1]["when"], "ROWS != 0")
        self.assertEqual(m["binds"][3]["shape"], "ceildiv(m, WG_SIZE), n")
        self.assertEqual([p["offset"] for p in m["push"]], [0, 4, 8])
        self.assertEqual(m["specs"][0]["doc"], "32..1024, a power of two")
        self.assertEqual(m["specs"][1]["value"], "n % 4 == 0 ? 4 : 1")
        self.assertEqual(m["passes"][0]["groups"], ["tiles", "(m + 1)"])
        self.assertEqual(m["tunings"], [{"name": "cpu", "settings": "WG_SIZE=8 TILE=2"}])

    def test_modules(self):
        f32, f16 = self.manifest["variants"]
        self.assertEqual(len(f32["modules"]), 2)
        module = f32["modules"][0]
        self.assertEqual(module["capabilities"], ["Shader"])
        self.assertEqual(module["local_size"], [64, 1, 1])
        self.assertEqual(module["local_size_id"], [0, -1, -1])
        self.assertEqual(module["shared_bytes"], 272)
        self.assertEqual(f16["modules"][0]["capabilities"],
                         ["Shader", "StorageBuffer16BitAccess"])
        hashes = [m["sha256"] for v in self.manifest["variants"] for m in v["modules"]]
        self.assertEqual(len(set(hashes)), 4)

    def test_files(self):
        self.assertIn("const struct vkz_kernel vkz_kernel_thing_plain = {", self.c)
        self.assertIn("0x07230203,", self.c)
        self.assertIn("shaders/lib/more.glsl", self.depfile)
        self.assertIn("shaders/thing/thing_plain.comp", self.depfile)

    def test_left_out(self):
        """A variant whose extension glslang lacks is left out with the reason."""
        text = GOOD.replace("#ifdef T_F16\n", "#ifdef T_F16\n"
                            "#extension GL_EXT_integer_dot_product : require\n")
        for missing, names in (("GL_EXT_integer_dot_product", ["f32"]),
                               ("GL_EXT_bfloat16", ["f32", "f16"])):
            status, manifest, _, _, errors = compile_text(text, files=[LIBRARY],
                                                          missing=missing)
            self.assertEqual(status, 0, errors)
            self.assertEqual([v["name"] for v in manifest["variants"]], names)
            self.assertEqual(len(manifest["left_out"]), 2 - len(names))
        status, manifest, _, _, _ = compile_text(text, files=[LIBRARY],
                                                 missing="GL_EXT_integer_dot_product")
        self.assertEqual(manifest["left_out"][0]["variant"], "f16")
        self.assertIn("has no integer dot product", manifest["left_out"][0]["reason"])

    def test_baseline(self):
        self.assertFalse(self.manifest["baseline"])
        _, (_, manifest, c, _, _) = compile_good("//! tier ", "//! baseline // slow\n"
                                                 "//! tier ")
        self.assertTrue(manifest["baseline"])
        self.assertIn(".baseline = true,", c)

    def test_same_every_time(self):
        _, (_, manifest, c, _, _) = compile_good()
        self.assertEqual((manifest, c), (self.manifest, self.c))


if __name__ == "__main__":
    unittest.main()
