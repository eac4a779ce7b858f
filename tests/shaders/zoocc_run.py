# SPDX-License-Identifier: MIT
# How the tests call zoocc: on texts, in a folder of their own.
"""Helpers of the zoocc tests."""

import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ZOOCC = os.path.join(ROOT, "tools", "zoocc")
sys.path.insert(0, os.path.join(ROOT, "tools", "zoocc.d"))


def zoocc(*arguments):
    """(exit status, stdout, stderr)."""
    tools = ["--glslang", os.environ.get("GLSLANG", "glslangValidator"),
             "--spirv-val", os.environ.get("SPIRV_VAL", "spirv-val")]
    done = subprocess.run([sys.executable, ZOOCC, *tools, *arguments], text=True,
                          capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr


def compile_text(text, name="thing_plain", files=(), missing=""):
    """Compiles a kernel of that text: (status, manifest or None, C text, depfile,
    stderr). `files` are (path under shaders/, text) pairs to include, `missing` the
    extensions that glslang is said to lack."""
    with tempfile.TemporaryDirectory(prefix="zoocc-test.") as root:
        for path, content in [(f"thing/{name}.comp", text), *files]:
            path = os.path.join(root, "shaders", path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(content)
        out = {kind: os.path.join(root, "k." + kind) for kind in ("c", "json", "d")}
        status, _, errors = zoocc(os.path.join(root, "shaders/thing", name + ".comp"),
                                  "--root", root, "--c", out["c"], "--json", out["json"],
                                  "--depfile", out["d"], "--missing", missing)
        texts = {}
        for kind, path in out.items():
            if os.path.exists(path):
                with open(path, encoding="utf-8") as f:
                    texts[kind] = f.read()
        manifest = json.loads(texts["json"]) if "json" in texts else None
        return (status, manifest, texts.get("c"), texts.get("d"),
                errors.replace(root + os.sep, ""))
