# SPDX-License-Identifier: MIT
# zoocc's expressions: the grammar of vkzoo/env.h, read the way the C evaluator reads it.
"""Expressions."""

import unittest

import zoocc_run  # noqa: F401  (puts tools/zoocc.d on the path)
import expr


class Expressions(unittest.TestCase):
    def test_values(self):
        env = {"n": 10, "m": 3, "MASK": 1, "MASK.causal": 1}
        for text, value in (
                ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("10 / 4", 2.5), ("-2 * -3", 6),
                ("n % 4 == 0 ? 4 : 1", 1), ("1 ? 2 : 0 ? 3 : 4", 2),
                ("0 ? 2 : 0 ? 3 : 4", 4),
                ("ceildiv(n, m)", 4), ("floordiv(-1, 4)", -1), ("min(n, m)", 3),
                ("max(n, m)", 10), ("next_pow2(9)", 16), ("next_pow2(8)", 8),
                ("prev_pow2(9)", 8), ("prev_pow2(1)", 1), ("sqrt(16)", 4), ("log2(8)", 3),
                ("exp2(10)", 1024), ("pow(2, 3)", 8), ("round(2.5)", 3),
                ("floor(2.5)", 2),
                ("ceil(2.5)", 3), ("abs(-2)", 2), ("exp(0)", 1), ("ln(1)", 0),
                ("MASK == MASK.causal", 1), ("!0 && !(1 > 2) || 0", 1),
                ("1e3 + .5", 1000.5),
                ("8 - 4 - 2", 2), ("16 / 4 / 2", 2), ("1 < 2 == 1", 1), ("3 >= 3", 1),
                ("n != 10 || m <= 3", 1)):
            self.assertEqual(expr.evaluate(expr.parse(text), env), value, text)

    def test_refused(self):
        for text, column in (("", 1), ("1 +", 4), ("1 + * 2", 5), ("(1", 3), ("1)", 2),
                             ("f(1)", 1), ("min(1)", 1), ("min(1,2,3)", 1), ("a b", 3),
                             ("1 ? 2", 6), ("a @ b", 3), ("a = b", 3), ("a & b", 3),
                             ("ceildiv(n, m", 13)):
            with self.assertRaises(expr.BadExpression, msg=text) as caught:
                expr.parse(text)
            self.assertEqual(caught.exception.column, column, text)

    def test_names_and_prefix(self):
        self.assertEqual(expr.names(expr.parse("min(a, MASK.none) + 2 * (b ? c : 1)")),
                         {"a", "MASK.none", "b", "c"})
        tree, tail = expr.parse_prefix("a ? 1 : 2 : the reason")
        self.assertEqual((tree[0], tail), ("?", ": the reason"))
        self.assertEqual(expr.split("a, min(b, c), d", ","), ["a", "min(b, c)", "d"])


if __name__ == "__main__":
    unittest.main()
