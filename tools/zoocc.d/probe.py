# SPDX-License-Identifier: MIT
# What the installed glslang and spirv-val can do. Debian's releases differ in it, so a
# variant that needs more than they know is left out with a reason, never silently.
"""Configure-time probe of shader tool features."""

import os
import re
import tempfile

from common import run

TARGET = "vulkan1.3"  # the newest that any tier compiles for

_START = "#version 450\n#extension GL_KHR_memory_scope_semantics : require\n"
_MATRIX = """#extension GL_KHR_cooperative_matrix : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
"""
_BUFFER = "layout(set = 0, binding = 0, std430) buffer B { %s b[]; };\n"
_USE_MATRIX = """
void main() {
    coopmat<%s, gl_ScopeSubgroup, 16, 16, gl_MatrixUseA> a;
    coopMatLoad(a, b, 0, 16, gl_CooperativeMatrixLayoutRowMajor);
    coopMatStore(a, b, 0, 16, gl_CooperativeMatrixLayoutRowMajor);
}
"""

# GLSL extension -> (what it is for, a shader that uses it).
PROBES = {
    "GL_EXT_bfloat16": ("bfloat16 arithmetic", _START + """
#extension GL_EXT_bfloat16 : require
#extension GL_EXT_shader_16bit_storage : require
""" + _BUFFER % "bfloat16_t" + "void main() { b[0] = bfloat16_t(float(b[1]) * 2.0); }\n"),
    "GL_KHR_cooperative_matrix": ("cooperative matrix", _START + _MATRIX
                                  + _BUFFER % "float16_t" + _USE_MATRIX % "float16_t"),
    "GL_NV_cooperative_matrix2": ("cooperative matrix 2", _START + _MATRIX + """
#extension GL_NV_cooperative_matrix2 : require
""" + _BUFFER % "float16_t" + """
float16_t larger(const in float16_t x, const in float16_t y) { return max(x, y); }
void main() {
    coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator> a, r;
    coopMatLoad(a, b, 0, 16, gl_CooperativeMatrixLayoutRowMajor);
    coopMatReduceNV(r, a, gl_CooperativeMatrixReduceRowNV, larger);
    coopMatStore(r, b, 0, 16, gl_CooperativeMatrixLayoutRowMajor);
}
"""),
    "GL_EXT_integer_dot_product": ("integer dot product", _START + """
#extension GL_EXT_integer_dot_product : require
""" + _BUFFER % "int" + "void main() { b[0] = dotPacked4x8EXT(b[1], b[2]); }\n"),
}


def missing(tools):
    """The probed extensions that do not work here."""
    found = []
    with tempfile.TemporaryDirectory(prefix="zoocc.") as folder:
        source, binary = os.path.join(folder, "p.comp"), os.path.join(folder, "p.spv")
        for extension, (_what, text) in PROBES.items():
            with open(source, "w", encoding="utf-8") as f:
                f.write(text)
            status, _ = run(tools.compile_argv(source, binary, [], TARGET))
            if status == 0:
                status, _ = run(tools.validate_argv(binary, TARGET))
            if status != 0:
                found.append(extension)
    return found


def reason(tools, extension):
    """Why a variant that requires a missing extension is left out."""
    return f"{tools.version()} has no {PROBES[extension][0]} ({extension})"


def active_extensions(tools, path, defines):
    """The extensions a variant requires, after the preprocessor."""
    status, output = run(tools.preprocess_argv(path, defines))
    if status != 0:
        return set()
    return set(re.findall(r"^\s*#\s*extension\s+(\w+)\s*:\s*require", output, re.M))


