# SPDX-License-Identifier: MIT
# Writes a checked kernel down: a manifest in JSON and the C99 table of
# host/include/vkzoo/kernel.h. Nothing in here decides anything.
"""Manifest, C table and catalogue."""

import json

from common import TYPES

IO = {"in": "VKZ_IN", "out": "VKZ_OUT", "inout": "VKZ_INOUT", "scratch": "VKZ_SCRATCH"}
HEADER = "// SPDX-License-Identifier: MIT\n// Made by tools/zoocc from {}; do not edit.\n"


def manifest(front, file, modules, left_out):
    """The manifest as a dictionary; `modules[variant][pass]` are compiled modules."""
    return {
        "schema": "vkzoo-kernel/1",
        "name": front.name, "op": front.op, "abi": front.abi, "title": front.title,
        "file": file, "tier": front.tier,
        "baseline": front.baseline, "when": front.when,
        "when_reason": front.when_reason, "shared": front.shared,
        "binds": [{"name": b.name, "binding": b.binding, "io": b.io, "type": b.type,
                   "shape": b.shape, "when": b.when} for b in front.binds],
        "push": [{"name": p.name, "type": p.type, "offset": 4 * i}
                 for i, p in enumerate(front.push)],
        "specs": [{"name": s.name, "id": s.id, "type": s.type, "default": s.default,
                   "value": s.value, "doc": s.doc} for s in front.specs],
        "lets": [{"name": l.name, "value": l.value} for l in front.lets],
        "tunings": [{"name": t.name, "settings": t.settings} for t in front.tunings],
        "passes": [{"name": p.name, "groups": p.groups, "indirect": p.indirect}
                   for p in front.passes],
        "variants": [{
            "name": v.name, "tier": v.tier, "types": dict(v.roles),
            "accumulate": v.accumulate, "coopmat": v.coopmat, "defines": dict(v.defines),
            "modules": [_module(m) for m in modules[v.name]],
        } for v in front.variants if v.name in modules],
        "left_out": [{"variant": v, "reason": reason} for v, reason in left_out],
    }


def _module(m):
    return {"sha256": m.sha256, "bytes": 4 * len(m.words), "capabilities": m.capabilities,
            "extensions": m.extensions, "local_size": m.local_size,
            "local_size_id": m.local_size_id, "shared_bytes": m.shared_bytes()}


def manifest_text(data):
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def c_string(text):
    """A C string literal, or NULL."""
    if text is None:
        return "NULL"
    out = []
    for byte in text.encode("utf-8"):
        c = chr(byte)
        if c in '"\\':
            out.append("\\" + c)
        elif 32 <= byte < 127 and c != "?":
            out.append(c)
        else:
            out.append(f"\\{byte:03o}")
    return '"' + "".join(out) + '"'


def _c_number(value):
    return repr(float(value)) if isinstance(value, float) else str(value)


def _array(kind, name, rows, end="{0}"):
    lines = [f"static const struct {kind} {name}[] = {{"]
    lines += [f"    {row}," for row in rows]
    lines += [f"    {end},", "};", ""]
    return lines


def c_table(front, file, modules):
    """The kernel's C file."""
    s = c_string
    out = [HEADER.format(file), '#include "vkzoo/kernel.h"', ""]
    variants = [v for v in front.variants if v.name in modules]
    out += _array("vkz_bind", "binds", [
        f"{{{s(b.name)}, {b.binding}, {IO[b.io]}, {s(b.type)}, {s(b.shape)}, "
        f"{s(b.when)}}}"
        for b in front.binds], "{NULL, 0, VKZ_IN, NULL, NULL, NULL}")
    out += _array("vkz_push", "push", [
        f"{{{s(p.name)}, {TYPES[p.type][1]}}}" for p in front.push],
        "{NULL, VKZ_TYPE_NONE}")
    out += _array("vkz_spec", "specs", [
        f"{{{s(c.name)}, {c.id}, {TYPES[c.type][1]}, {_c_number(c.default)}, "
        f"{s(c.value)}, {s(c.doc)}}}" for c in front.specs],
        "{NULL, 0, VKZ_TYPE_NONE, 0, NULL, NULL}")
    out += _array("vkz_let", "lets", [
        f"{{{s(l.name)}, {s(l.value)}}}" for l in front.lets], "{NULL, NULL}")
    out += _array("vkz_tuning", "tunings", [
        f"{{{s(t.name)}, {s(t.settings)}}}" for t in front.tunings], "{NULL, NULL}")
    out += _array("vkz_pass", "passes", [
        f"{{{s(p.name)}, {{{', '.join(s(g) for g in (p.groups + [None] * 3)[:3])}}}, "
        f"{s(p.indirect)}}}" for p in front.passes],
        "{NULL, {NULL, NULL, NULL}, NULL}")
    words = {}  # the same words under several variants are written once
    for v in variants:
        for module in modules[v.name]:
            if module.sha256 not in words:
                words[module.sha256] = f"words_{len(words)}"
                out += _words(words[module.sha256], module.words)
    for v in variants:
        out += _array("vkz_module", f"modules_{v.name}", [
            f"{{{words[m.sha256]}, {len(m.words)}, {s(m.sha256)},\n"
            f"     {s(','.join(m.capabilities))}, {s(','.join(m.extensions))},\n"
            f"     {{{', '.join(map(str, m.local_size))}}}, "
            f"{{{', '.join(map(str, m.local_size_id))}}}}}" for m in modules[v.name]],
            "{NULL, 0, NULL, NULL, NULL, {0, 0, 0}, {0, 0, 0}}")
    out += _array("vkz_variant", "variants", [
        f"{{{s(v.name)}, {s(' '.join(f'{k}={t}' for k, t in v.roles))}, "
        f"{s(v.accumulate)}, {s(v.coopmat)}, modules_{v.name}}}" for v in variants],
        "{NULL, NULL, NULL, NULL, NULL}")
    fields = (("name", s(front.name)), ("op", s(front.op)), ("abi", str(front.abi)),
              ("title", s(front.title)), ("file", s(file)), ("tier", s(front.tier)),
              ("baseline", str(front.baseline).lower()),
              ("when", s(front.when)), ("when_reason", s(front.when_reason)),
              ("shared", s(front.shared)), ("binds", "binds"), ("push", "push"),
              ("specs", "specs"), ("lets", "lets"), ("tunings", "tunings"),
              ("passes", "passes"), ("variants", "variants"))
    out += [f"extern const struct vkz_kernel vkz_kernel_{front.name};",
            f"const struct vkz_kernel vkz_kernel_{front.name} = {{"]
    out += [f"    .{name} = {value}," for name, value in fields] + ["};", ""]
    return "\n".join(out)


def _words(name, words):
    lines = [f"static const uint32_t {name}[] = {{"]
    for at in range(0, len(words), 8):
        lines.append("    " + " ".join(f"{w:#010x}," for w in words[at:at + 8]))
    return lines + ["};", ""]


def kernel_catalogue(kernels):
    """vkz_kernels[]: what a program that only runs kernels links."""
    out = [HEADER.format("suites/*.suite"), '#include "vkzoo/kernel.h"', ""]
    out += [f"extern const struct vkz_kernel vkz_kernel_{k};" for k in kernels]
    out += ["", "const struct vkz_kernel *const vkz_kernels[] = {"]
    out += [f"    &vkz_kernel_{k}," for k in kernels] + ["    NULL,", "};", ""]
    return "\n".join(out)


def op_catalogue(ops, suites):
    """vkz_ops[], vkz_ops_naive[] and the suites' texts."""
    out = [HEADER.format("suites/*.suite"), '#include "zoo/op.h"',
           '#include "zoo/suite.h"', ""]
    for twin in ("", "_naive"):
        out += [f"extern const struct vkz_op vkz_op_{op}{twin};" for op in ops]
        out += ["", f"const struct vkz_op *const vkz_ops{twin}[] = {{"]
        out += [f"    &vkz_op_{op}{twin}," for op in ops] + ["    NULL,", "};", ""]
    for index, (_name, text) in enumerate(suites):
        out += [f"static const char text_{index}[] =", *_lines(text), ""]
    out += ["const struct vkz_suite_text vkz_suite_texts[] = {"]
    out += [f"    {{{c_string(name)}, text_{i}, sizeof text_{i} - 1}},"
            for i, (name, _) in enumerate(suites)]
    out += ["    {NULL, NULL, 0},", "};", ""]
    return "\n".join(out)


def _lines(text):
    """A text as an initialiser. Numbers, because C99 bounds the length of a string."""
    data = text.encode("utf-8") + b"\0"
    rows = ["    {"]
    for at in range(0, len(data), 16):
        rows.append("        " + " ".join(
            f"{b}," if b < 128 else f"'\\x{b:02x}'," for b in data[at:at + 16]))
    return rows + ["    };"]
