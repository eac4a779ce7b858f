# SPDX-License-Identifier: MIT
# The expressions of front matter and contracts: the grammar of host/include/vkzoo/env.h,
# checked here while building and evaluated in C while running.
"""Recursive-descent parser of zoo expressions."""

import math
import re

FUNCTIONS = {
    "ceildiv": (2, 2), "floordiv": (2, 2), "min": (2, 2), "max": (2, 2), "abs": (1, 1),
    "sqrt": (1, 1), "ln": (1, 1), "log2": (1, 1), "exp": (1, 1), "exp2": (1, 1),
    "pow": (2, 2), "floor": (1, 1), "ceil": (1, 1), "round": (1, 1),
    "next_pow2": (1, 1), "prev_pow2": (1, 1),
}
DEVICE_NAMES = ("subgroup_size", "max_invocations", "max_shared_bytes", "compute_units",
                "is_cpu", "CM_M", "CM_N", "CM_K")

_TOKEN = re.compile(r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
                    r"|(?P<name>[A-Za-z_][A-Za-z0-9_.]*)"
                    r"|(?P<op>==|!=|<=|>=|&&|\|\||[-+*/%()<>!?:,]))")

# Binary operators, weakest first.
_LEVELS = (("||",), ("&&",), ("==", "!="), ("<", "<=", ">", ">="), ("+", "-"),
           ("*", "/", "%"))


class BadExpression(Exception):
    """`column` counts from 1 in the expression's text."""

    def __init__(self, message, column):
        super().__init__(message)
        self.message = message
        self.column = column


class _Parser:
    def __init__(self, text):
        self.text = text
        self.pos = 0
        self.advance()

    def advance(self):
        self.end_of_last = self.pos
        match = _TOKEN.match(self.text, self.pos)
        if match:
            self.kind = match.lastgroup
            self.value = match.group(match.lastgroup)
            self.start = match.start(match.lastgroup)
            self.pos = match.end()
        else:
            rest = self.text[self.pos:]
            self.kind = "end" if not rest.strip() else "other"
            self.start = self.pos + len(rest) - len(rest.lstrip())
            self.value = rest.strip()[:1]

    def fail(self, expected):
        found = "the end" if self.kind == "end" else f"'{self.value}'"
        raise BadExpression(f"expected {expected}, found {found}", self.start + 1)

    def accept(self, *ops):
        if self.kind == "op" and self.value in ops:
            value = self.value
            self.advance()
            return value
        return None

    def need(self, op):
        if not self.accept(op):
            self.fail(f"'{op}'")

    def ternary(self):
        condition = self.binary(0)
        if not self.accept("?"):
            return condition
        yes = self.ternary()
        self.need(":")
        return ("?", condition, yes, self.ternary())

    def binary(self, level):
        if level == len(_LEVELS):
            return self.unary()
        left = self.binary(level + 1)
        while True:
            op = self.accept(*_LEVELS[level])
            if not op:
                return left
            left = (op, left, self.binary(level + 1))

    def unary(self):
        op = self.accept("-", "!", "+")
        return ("u" + op, self.unary()) if op else self.primary()

    def primary(self):
        if self.kind == "number":
            value = float(self.value)
            self.advance()
            return ("number", value)
        if self.kind == "name":
            name, start = self.value, self.start
            self.advance()
            if not self.accept("("):
                return ("name", name)
            return self.call(name, start)
        if self.accept("("):
            inner = self.ternary()
            self.need(")")
            return inner
        return self.fail("a number, a name or '('")

    def call(self, name, start):
        if name not in FUNCTIONS:
            raise BadExpression(f"unknown function '{name}'; expected one of "
                                + " ".join(FUNCTIONS), start + 1)
        arguments = [self.ternary()]
        while self.accept(","):
            arguments.append(self.ternary())
        self.need(")")
        least, most = FUNCTIONS[name]
        if not least <= len(arguments) <= most:
            raise BadExpression(f"{name}() takes {least} argument(s), not "
                                f"{len(arguments)}", start + 1)
        return ("call", name, *arguments)


def parse(text):
    """The tree of a whole text; BadExpression when it is none."""
    parser = _Parser(text)
    tree = parser.ternary()
    if parser.kind != "end":
        parser.fail("an operator or the end")
    return tree


def parse_prefix(text):
    """The tree of the longest expression that `text` starts with, and what follows it."""
    parser = _Parser(text)
    tree = parser.ternary()
    return tree, text[parser.end_of_last:].strip()


def names(tree):
    """The set of names a tree uses."""
    if tree[0] == "number":
        return set()
    if tree[0] == "name":
        return {tree[1]}
    return set().union(*(names(part) for part in tree[1:] if isinstance(part, tuple)))


def split(text, separator):
    """Splits at `separator` (',' or ' ') outside parentheses; strips, drops no part."""
    parts, depth, current = [], 0, ""
    for c in text:
        depth += (c in "([") - (c in ")]")
        if c == separator and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += c
    parts.append(current.strip())
    return parts


def evaluate(tree, env):
    """The value, in double as in C; KeyError names the unknown name."""
    kind = tree[0]
    if kind == "number":
        return tree[1]
    if kind == "name":
        return float(env[tree[1]])
    if kind == "call":
        return _call(tree[1], [evaluate(a, env) for a in tree[2:]])
    if kind == "?":
        return evaluate(tree[2] if evaluate(tree[1], env) else tree[3], env)
    if kind == "&&":
        return float(bool(evaluate(tree[1], env)) and bool(evaluate(tree[2], env)))
    if kind == "||":
        return float(bool(evaluate(tree[1], env)) or bool(evaluate(tree[2], env)))
    values = [evaluate(part, env) for part in tree[1:]]
    return float(_OPERATORS[kind](*values))


_OPERATORS = {
    "u-": lambda a: -a, "u+": lambda a: a, "u!": lambda a: not a,
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
    "/": lambda a, b: a / b, "%": math.fmod,
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}


def _call(name, a):
    if name in ("next_pow2", "prev_pow2"):
        power = 1
        while power < a[0]:
            power *= 2
        above = name == "prev_pow2" and power > a[0]
        return float(max(power // 2, 1) if above else power)
    return float({
        "ceildiv": lambda: math.ceil(a[0] / a[1]),
        "floordiv": lambda: math.floor(a[0] / a[1]),
        "min": lambda: min(a), "max": lambda: max(a), "abs": lambda: abs(a[0]),
        "sqrt": lambda: math.sqrt(a[0]), "ln": lambda: math.log(a[0]),
        "log2": lambda: math.log2(a[0]), "exp": lambda: math.exp(a[0]),
        "exp2": lambda: 2.0 ** a[0], "pow": lambda: a[0] ** a[1],
        "floor": lambda: math.floor(a[0]), "ceil": lambda: math.ceil(a[0]),
        "round": lambda: math.floor(abs(a[0]) + 0.5) * math.copysign(1, a[0]),
    }[name]())
