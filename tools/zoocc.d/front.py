# SPDX-License-Identifier: MIT
# The front matter of a kernel: its //! lines, read and checked one by one. What can be
# judged without compiling is judged here; check.py compares the rest with the SPIR-V.
"""Parser of the //! block and of the GLSL text around it.

Every line may end in ` // comment`; that of a spec line is its documentation. E is an
expression of host/include/vkzoo/env.h.

    kernel   NAME                               the file's name
    op       OP/ABI                             the contract, and its interface's number
    tier     T0|T1|T2|T2b|T2c                   what the kernel asks of a device
    baseline                                    others are held against it; never chosen
    bind     NUMBER NAME in|out|inout TYPE[E, ...] [when E]
    scratch  NUMBER NAME TYPE[E, ...] [when E]  memory between passes
    push     NAME:u32|i32|f32 ...               in std430 order; several lines add up
    spec     ID NAME u32|i32|f32 DEFAULT [= E]  E sets it for a case
    let      NAME E                             a name for an intermediate value
    when     E : REASON                         the cases it serves, and why no others
    shared   E                                  bytes of shared memory
    tuning   NAME CONSTANT=NUMBER ...           a setting worth trying on some devices
    pass     NAME groups E [E [E]]              with PASS_<NAME> defined
    pass     NAME indirect BUFFER               group counts from a u32[3] buffer
    variant  NAME [ROLE=TYPE] [acc=f32|f16] [coopmat=A,B,C,R] [tier=T1] [DEFINE=VALUE] ...

TYPE is f32 f16 bf16 i32 u32 i8 u8, or a ROLE (such as T) that every variant sets. T=f16
defines T_F16, acc=f16 ACC_F16, coopmat= COOPMAT and CM_TYPE_A, _B, _C, _R.
"""

import os
import re

import expr
from common import NAME, SCALARS, TYPES, read_text

TIERS = ("T0", "T1", "T2", "T2b", "T2c")
DIRECTIVES = ("kernel", "op", "tier", "baseline", "bind", "scratch", "push", "spec",
              "let", "when", "shared", "tuning", "pass", "variant")
MAX_PUSH_BYTES = 128


class Record:
    """A directive's fields and the line it stands on."""

    def __init__(self, line, **fields):
        self.line = line
        self.__dict__.update(fields)


class Front:
    """Everything one kernel file says about itself."""

    def __init__(self, path):
        self.path = path
        self.name = self.op = self.tier = None
        self.abi = 0
        self.baseline = False
        self.title = ""
        self.line = 1  # of `//! kernel`, for what has no better place
        self.when = self.when_reason = self.shared = None
        self.shared_line = 0
        self.binds, self.push, self.specs, self.lets = [], [], [], []
        self.tunings, self.passes, self.variants = [], [], []
        self.glsl = ""  # without comments, same line numbers
        self.texts = {}  # the same of this file and of all it includes, by path

    def dims(self):
        """Names of problem sizes: pushed, or used in a shape and no constant or let."""
        own = {s.name for s in self.specs} | {l.name for l in self.lets}
        found = {p.name for p in self.push}
        for bind in self.binds:
            for tree in bind.trees:
                found |= expr.names(tree)
        return found - own


def strip_comments(text):
    """GLSL without comments; every line stays where it was."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r"//[^\n]*|/\*.*?\*/", blank, text, flags=re.S)


def place_of(front, pattern):
    """(line, path) where `pattern` first occurs in the kernel or what it includes; the
    `//! kernel` line when nowhere."""
    for path, text in front.texts.items():
        match = re.search(pattern, text)
        if match:
            return text.count("\n", 0, match.start()) + 1, path
    return front.line, front.path


def parse(path, text, complaints):
    """Reads the file's text into a Front; complaints carry every mistake found."""
    front = Front(path)
    front.glsl = front.texts[path] = strip_comments(text)
    reader = _Reader(front, complaints)
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r"\s*//!(.*)$", line)
        if match:
            reader.directive(number, match.group(1).strip())
        elif not front.title and line.startswith("//"):
            words = line.lstrip("/").strip()
            if words and not words.startswith("SPDX-"):
                front.title = words
    reader.whole()
    return front


def read_includes(front, folders):
    """Fills front.texts with everything the kernel may include, whatever its macros."""
    waiting = [front.path]
    while waiting:
        path = waiting.pop()
        for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', front.texts[path], re.M):
            for folder in [os.path.dirname(path), *folders]:
                found = os.path.normpath(os.path.join(folder, name))
                if os.path.exists(found):
                    if found not in front.texts:
                        front.texts[found] = strip_comments(read_text(found))
                        waiting.append(found)
                    break


class _Reader:
    def __init__(self, front, complaints):
        self.front = front
        self.complaints = complaints
        self.seen = {}

    def bad(self, line, message):
        self.complaints.at(line, message)

    def directive(self, line, text):
        body, _, doc = (text + " ").partition(" // ")
        words = body.split(None, 1)
        if not words:
            return
        keyword, rest = words[0], words[1].strip() if len(words) > 1 else ""
        if keyword not in DIRECTIVES:
            self.bad(line, f"unknown directive '{keyword}'; expected one of "
                     + " ".join(DIRECTIVES))
            return
        if keyword in ("kernel", "op", "tier", "baseline", "when", "shared"):
            if keyword in self.seen:
                self.bad(line, f"second '{keyword}' line; the first is line "
                         f"{self.seen[keyword]}, expected one")
                return
            self.seen[keyword] = line
        if bool(rest) == (keyword == "baseline"):
            self.bad(line, f"expected {'nothing' if rest else 'something'} after "
                     f"'{keyword}'")
            return
        getattr(self, "read_" + keyword)(line, rest, doc.strip())

    # --- small helpers ------------------------------------------------------------------

    def expression(self, line, text, what):
        """Parses; returns the tree, or None after a complaint."""
        try:
            return expr.parse(text)
        except expr.BadExpression as e:
            self.bad(line, f"{what} '{text}', character {e.column}: {e.message}")
            return None

    def name(self, line, text, what):
        if NAME.match(text):
            return True
        self.bad(line, f"expected {what} (letters, digits, _), found '{text}'")
        return False

    def fresh(self, line, name, records, what):
        """Complains about a name that is there already."""
        for record in records:
            if record.name == name:
                self.bad(line, f"duplicate {what} '{name}'; the first is line "
                         f"{record.line}, expected another name")
                return False
        return True

    def tensor(self, line, text):
        """`T[m, k]` -> type, shape, trees; None after a complaint."""
        match = re.match(r"(\w+)\s*\[(.*)\]\Z", text)
        if not match:
            self.bad(line, f"expected type[shape] such as T[m, k], found '{text}'")
            return None
        kind, shape = match.group(1), match.group(2).strip()
        parts = expr.split(shape, ",") if shape else []
        if len(parts) > 8:
            self.bad(line, f"expected at most 8 dimensions, found {len(parts)}")
        trees = [self.expression(line, part, "shape") for part in parts]
        return kind, ", ".join(parts), [tree for tree in trees if tree]

    def assignments(self, line, words):
        """`A=1 B=2` -> pairs."""
        pairs = []
        for word in words:
            key, equals, value = word.partition("=")
            if not equals or not value or not NAME.match(key):
                self.bad(line, f"expected NAME=VALUE, found '{word}'")
                continue
            if key in (k for k, _ in pairs):
                self.bad(line, f"'{key}' is set twice, expected once")
                continue
            pairs.append((key, value))
        return pairs

    # --- directives, in the order of the documentation ----------------------------------

    def read_kernel(self, line, rest, _doc):
        self.front.line = line
        stem = os.path.splitext(os.path.basename(self.front.path))[0]
        if rest != stem:
            self.bad(line, f"expected the file's name '{stem}', found '{rest}'")
        if not re.match(r"[a-z][a-z0-9_]*\Z", stem):
            self.bad(line, f"expected a kernel name of lower-case letters, digits and _, "
                     f"found '{stem}'")
        self.front.name = stem

    def read_op(self, line, rest, _doc):
        match = re.match(r"([a-z][a-z0-9_]*)/([1-9]\d*)\Z", rest)
        if not match:
            self.bad(line, f"expected op/abi such as gemm/1, found '{rest}'")
            return
        self.front.op, self.front.abi = match.group(1), int(match.group(2))

    def read_tier(self, line, rest, _doc):
        if rest not in TIERS:
            self.bad(line, f"expected one of {' '.join(TIERS)}, found '{rest}'")
            return
        self.front.tier = rest

    def read_baseline(self, _line, _rest, _doc):
        self.front.baseline = True

    def add_bind(self, line, binding, name, io, rest, when):
        if not binding.isdigit():
            self.bad(line, f"expected a binding number, found '{binding}'")
            return
        if not self.name(line, name, "a buffer name"):
            return
        tensor = self.tensor(line, rest)
        self.fresh(line, name, self.front.binds, "buffer")
        for other in self.front.binds:
            if other.binding == int(binding):
                self.bad(line, f"duplicate binding {binding}; '{other.name}' on line "
                         f"{other.line} has it, expected another number")
        if when is not None:
            self.expression(line, when, "condition")
        if tensor:
            self.front.binds.append(Record(line, name=name, binding=int(binding), io=io,
                                           type=tensor[0], shape=tensor[1],
                                           trees=tensor[2], when=when))

    def read_bind(self, line, rest, _doc):
        body, has_when, when = rest.partition(" when ")
        words = body.split(None, 3)
        if len(words) != 4 or words[2] not in ("in", "out", "inout"):
            self.bad(line, "expected `bind NUMBER NAME in|out|inout TYPE[SHAPE] "
                     f"[when CONDITION]`, found '{rest}'")
            return
        self.add_bind(line, words[0], words[1], words[2], words[3].strip(),
                      when.strip() if has_when else None)

    def read_scratch(self, line, rest, _doc):
        body, has_when, when = rest.partition(" when ")
        words = body.split(None, 2)
        if len(words) != 3:
            self.bad(line, f"expected `scratch NUMBER NAME TYPE[SHAPE]`, found '{rest}'")
            return
        self.add_bind(line, words[0], words[1], "scratch", words[2].strip(),
                      when.strip() if has_when else None)

    def read_push(self, line, rest, _doc):
        for word in rest.split():
            name, colon, kind = word.partition(":")
            if not colon or kind not in SCALARS:
                self.bad(line, f"expected NAME:TYPE with a 4-byte scalar type "
                         f"({' '.join(SCALARS)}), found '{word}'")
            elif self.name(line, name, "a push field") and self.fresh(
                    line, name, self.front.push, "push field"):
                self.front.push.append(Record(line, name=name, type=kind))
        if 4 * len(self.front.push) > MAX_PUSH_BYTES:
            self.bad(line, f"{4 * len(self.front.push)} bytes of push constants, "
                     f"expected at most {MAX_PUSH_BYTES}: every Vulkan device has those")

    def read_spec(self, line, rest, doc):
        body, has_value, value = rest.partition(" = ")
        words = body.split()
        if len(words) != 4 or not words[0].isdigit() or words[2] not in SCALARS:
            self.bad(line, "expected `spec ID NAME u32|i32|f32 DEFAULT [= EXPRESSION] "
                     f"[// meaning]`, found '{rest}'")
            return
        number, name, kind, text = words
        try:
            default = float(text) if kind == "f32" else int(text, 0)
        except ValueError:
            self.bad(line, f"expected a {kind} default, found '{text}'")
            return
        if kind == "u32" and default < 0:
            self.bad(line, f"expected a u32 default, found '{text}'")
        if not self.name(line, name, "a constant name"):
            return
        self.fresh(line, name, self.front.specs, "constant")
        for other in self.front.specs:
            if other.id == int(number):
                self.bad(line, f"duplicate spec id {number}; '{other.name}' on line "
                         f"{other.line} has it, expected another id")
        value = value.strip() if has_value else None
        if value is not None:
            self.expression(line, value, "value")
        self.front.specs.append(Record(line, name=name, id=int(number), type=kind,
                                       default=default, value=value, doc=doc))

    def read_let(self, line, rest, _doc):
        words = rest.split(None, 1)
        if len(words) != 2:
            self.bad(line, f"expected `let NAME EXPRESSION`, found '{rest}'")
            return
        name, value = words
        if not self.name(line, name, "a name"):
            return
        tree = self.expression(line, value, "value")
        self.fresh(line, name, self.front.lets + self.front.specs, "name")
        self.front.lets.append(Record(line, name=name, value=value, tree=tree))

    def read_when(self, line, rest, _doc):
        try:
            _tree, tail = expr.parse_prefix(rest)
        except expr.BadExpression as e:
            self.bad(line, f"condition '{rest}', character {e.column}: {e.message}")
            return
        if not tail.startswith(":") or not tail[1:].strip():
            self.bad(line, "expected `when CONDITION : the reason shown when it does not "
                     f"hold`, found '{rest}'")
            return
        self.front.when = rest[:len(rest) - len(tail)].strip()
        self.front.when_reason = tail[1:].strip()

    def read_shared(self, line, rest, _doc):
        self.expression(line, rest, "bytes")
        self.front.shared, self.front.shared_line = rest, line

    def read_tuning(self, line, rest, _doc):
        words = rest.split()
        if words[0] == "default":
            self.bad(line, "expected another name than 'default': that one is implied")
        self.name(line, words[0], "a tuning name")
        self.fresh(line, words[0], self.front.tunings, "tuning")
        pairs = self.assignments(line, words[1:])
        if not pairs:
            self.bad(line, "expected `tuning NAME CONSTANT=VALUE ...`")
        self.front.tunings.append(Record(line, name=words[0], pairs=pairs,
                                         settings=" ".join(words[1:])))

    def read_pass(self, line, rest, _doc):
        words = expr.split(" ".join(rest.split()), " ")
        name, form, rest = words[0], words[1] if len(words) > 1 else "", words[2:]
        self.name(line, name, "a pass name")
        self.fresh(line, name, self.front.passes, "pass")
        record = Record(line, name=name, groups=[], indirect=None)
        if form == "groups" and 1 <= len(rest) <= 3:
            for part in rest:
                self.expression(line, part, "group count")
            record.groups = rest
        elif form == "indirect" and len(rest) == 1:
            record.indirect = rest[0]
        else:
            self.bad(line, "expected `pass NAME groups X [Y [Z]]` (an expression with "
                     "spaces is in parentheses) or `pass NAME indirect BUFFER`, found "
                     f"'{' '.join(words)}'")
        self.front.passes.append(record)

    def read_variant(self, line, rest, _doc):
        words = rest.split()
        record = Record(line, name=words[0], roles=[], accumulate="f32", coopmat=None,
                        defines=[], tier=None)
        self.name(line, words[0], "a variant name")
        self.fresh(line, words[0], self.front.variants, "variant")
        for key, value in self.assignments(line, words[1:]):
            if key == "acc":
                if value not in ("f32", "f16"):
                    self.bad(line, f"expected acc=f32 or acc=f16, found '{value}'")
                record.accumulate = value
            elif key == "tier":
                if value not in TIERS:
                    self.bad(line, f"expected one of {' '.join(TIERS)}, found '{value}'")
                record.tier = value
            elif key == "coopmat":
                types = value.split(",")
                if len(types) != 4 or any(t not in TYPES for t in types):
                    self.bad(line, "expected coopmat=A,B,C,RESULT element types such as "
                             f"f16,f16,f32,f32, found '{value}'")
                record.coopmat = value
            elif value in TYPES:
                record.roles.append((key, value))
            else:
                record.defines.append((key, value))
        self.front.variants.append(record)

    # --- the file as a whole ------------------------------------------------------------

    def whole(self):
        front = self.front
        for keyword in ("kernel", "op", "tier"):
            if keyword not in self.seen:
                self.bad(front.line, f"expected a `//! {keyword}` line")
        for keyword, found in (("bind", front.binds), ("pass", front.passes),
                               ("variant", front.variants)):
            if not found:
                self.bad(front.line, f"expected at least one `//! {keyword}` line")
        if not front.title:
            self.bad(1, "expected a title: a comment that says what the kernel computes")
        for variant in front.variants:
            variant.tier = variant.tier or front.tier
        self.cross_references()
        self.glsl_text()

    def cross_references(self):
        front = self.front
        constants = {s.name for s in front.specs}
        buffers = {b.name: b for b in front.binds}
        for tuning in front.tunings:
            for key, value in tuning.pairs:
                if key not in constants:
                    self.bad(tuning.line, f"'{key}' is no constant of this kernel, "
                             f"expected one of {' '.join(sorted(constants))}")
                try:
                    float(value)
                except ValueError:
                    self.bad(tuning.line, f"expected a number for {key}, found '{value}'")
        for p in front.passes:
            if p.indirect is not None and p.indirect not in buffers:
                self.bad(p.line, f"'{p.indirect}' is no buffer of this kernel, expected "
                         f"one of {' '.join(sorted(buffers))}")
            elif p.indirect is not None and buffers[p.indirect].type != "u32":
                self.bad(p.line, f"'{p.indirect}' holds group counts; expected u32[3], "
                         f"not {buffers[p.indirect].type}")
        for bind in front.binds:
            for variant in front.variants:
                if bind.type not in TYPES and bind.type not in dict(variant.roles):
                    self.bad(bind.line, f"type '{bind.type}' of '{bind.name}' is no "
                             f"storage type and variant '{variant.name}' does not set "
                             f"it: expected {' '.join(TYPES)} or {bind.type}= on line "
                             f"{variant.line}")
        dims = front.dims()
        for variant in front.variants:
            for key, value in variant.defines:
                if key in dims:
                    self.bad(variant.line, f"{key}={value} makes a problem size a macro; "
                             "expected it in the push constants only")

    def glsl_text(self):
        front = self.front
        if not re.search(r"^\s*#\s*version\s+\d+", front.glsl, re.M):
            self.bad(front.line, "expected a #version line, such as #version 450")
        glsl_habits(front.path, front.glsl, front.dims(), self.complaints)
        self.local_size_trap()

    def local_size_trap(self):
        """A local_size id that a constant has as well makes two constants of one id, and
        the real workgroup size is 1."""
        ids = {}
        for match in re.finditer(r"local_size_[xyz]_id\s*=\s*(\d+)", self.front.glsl):
            ids[match.group(1)] = self.front.glsl.count("\n", 0, match.start()) + 1
        for match in re.finditer(r"constant_id\s*=\s*(\d+)", self.front.glsl):
            if match.group(1) in ids:
                line = self.front.glsl.count("\n", 0, match.start()) + 1
                self.bad(line, f"constant_id = {match.group(1)} is the local_size id of "
                         f"line {ids[match.group(1)]} as well: expected "
                         f"`layout(local_size_x = 128, local_size_x_id = "
                         f"{match.group(1)}) in;` alone, and "
                         "gl_WorkGroupSize.x where the number is used")


def glsl_habits(path, glsl, dims, complaints):
    """Rules for any GLSL text of the zoo: kernels and what they include."""
    for number, line in enumerate(glsl.split("\n"), 1):
        match = re.match(r"\s*#\s*extension\s+(\w+)\s*:\s*(\w+)", line)
        if match and match.group(2) not in ("require", "disable"):
            complaints.at(number, f"expected `#extension {match.group(1)} : require`, "
                          f"found '{match.group(2)}': a missing extension must stop "
                          "the build",
                          path)
        match = re.match(r"\s*#\s*define\s+(\w+)", line)
        if match and match.group(1) in dims:
            complaints.at(number, f"'{match.group(1)}' is a problem size and a macro "
                          "here; expected it in the push constants only", path)


def library_habits(path, glsl, complaints):
    """Files of shaders/lib leave the interface to the kernel that includes them."""
    for pattern, what in ((r"\bbinding\s*=", "a binding"),
                          (r"\bpush_constant\b", "a push block"),
                          (r"^\s*shared\s", "shared memory")):
        for number, line in enumerate(glsl.split("\n"), 1):
            if re.search(pattern, line):
                complaints.at(number, f"a file of shaders/lib declares {what}; expected "
                              "that in the kernel, which a hook can hand over", path)
