"""Many rows at once give what each row gives alone, or the rows are evaluated alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crisp_spark.serving.columns import FEW, Frame, GiveUpError, column_of, constant
from crisp_spark.serving.expressions import compile_expression
from crisp_spark.serving.refusal import RowError
from crisp_spark.serving.vectorized import compile_columns

SLOTS = {"a": 0, "b": 1, "i": 2, "j": 3, "s": 4, "o": 5, "y": 6, "m": 7, "l": 8}
KINDS = {"a": "double", "b": "double", "i": "int", "j": "int", "s": "string", "o": "boolean"}
KINDS |= {"y": "date", "m": "timestamp", "l": "bigint"}
NAN, INF = math.nan, math.inf
POOL = {
    "a": [None, NAN, INF, -INF, 0.0, -0.0, 1.5, -2.5, 1e300, 3.0, 2.0**63, -(2.0**63)],
    "b": [None, NAN, INF, 0.0, 2.0, -1.0, 1e-300, 7.25],
    "i": [None, 0, 1, -1, 2, 5, 2**31 - 1, -(2**31)],
    "j": [None, 0, 1, 2, 3, -1, -2, 31],
    "s": [None, "", "x", "ß☃", "12", "true"],
    "o": [None, True, False],
    "y": [None, 0, -1, 19_782, 19_783, -719_162, 2_932_896],
    "m": [None, 0, -1, 1_700_000_000_123_456, -3_600_000_001],
    "l": [None, 0, -1, 2**63 - 1, -(2**63), 2**40, 5],
}


def c(name):
    return {"c": name, "t": KINDS[name]}


def v(value, kind):
    return {"v": value, "t": kind}


def f(name, kind, *arguments, **more):
    return {"f": name, "t": kind, "a": list(arguments), **more}


def case(kind, test, then, otherwise):
    return f("CaseWhen", kind, test, then, otherwise)


TWO = {"double": ("a", "b"), "int": ("i", "j"), "bigint": ("l", "l")}
TREES = {
    **{f"{name} of {kind}": f(name, kind, c(x), c(y)) for kind, (x, y) in TWO.items() for name in ("Add", "Subtract", "Multiply", "Greatest", "Least", "Remainder", "Pmod")},
    **{f"{name} of {kind}": f(name, "boolean", c(x), c(y)) for kind, (x, y) in TWO.items() for name in ("EqualTo", "LessThan", "LessThanOrEqual", "GreaterThan", "GreaterThanOrEqual", "EqualNullSafe")},
    **{f"{name} of {kind}": f(name, kind, c(x)) for kind, (x, _) in TWO.items() for name in ("UnaryMinus", "Abs")},
    **{f"{name}": f(name, "bigint", c("a")) for name in ("Floor", "Ceil")},
    **{f"{name}": f(name, "double", c("a")) for name in ("Sqrt", "Exp", "Log", "Log1p", "Signum", "Sin", "Rint")},
    **{f"{name}": f(name, "int", c("y")) for name in ("Year", "Quarter", "Month", "DayOfMonth", "DayOfWeek", "WeekDay", "DayOfYear", "WeekOfYear")},
    **{f"{name}": f(name, "int", c("m")) for name in ("Hour", "Minute", "Second")},
    **{f"cast {source} to {target}": f("Cast", target, c(source)) for source, target in [("a", "int"), ("a", "bigint"), ("i", "double"), ("l", "int"), ("i", "bigint"), ("o", "double"), ("o", "int"), ("a", "boolean"), ("i", "boolean"), ("m", "date"), ("a", "string"), ("s", "double"), ("y", "string"), ("l", "smallint")]},
    "try_cast": f("Cast", "int", c("a"), mode="TRY"),
    "try_add": f("Add", "int", c("i"), c("j"), mode="TRY"),
    "divide": f("Divide", "double", c("a"), c("b")),
    "guarded divide": case("double", f("EqualTo", "boolean", c("b"), v(0.0, "double")), v(None, "double"), f("Divide", "double", c("a"), c("b"))),
    "and": f("And", "boolean", c("o"), f("IsNull", "boolean", c("a"))),
    "or": f("Or", "boolean", f("LessThan", "boolean", c("a"), c("b")), c("o")),
    "short and": f("And", "boolean", c("o"), f("EqualTo", "boolean", f("Cast", "int", c("s")), v(12, "int"))),
    "not": f("Not", "boolean", c("o")),
    "case without else": f("CaseWhen", "string", c("o"), c("s"), f("IsNull", "boolean", c("s")), v("none", "string")),
    "if": f("If", "int", c("o"), c("i"), c("j")),
    "coalesce": f("Coalesce", "double", c("a"), c("b"), v(1.0, "double")),
    "coalesce of texts": f("Coalesce", "string", c("s"), v("none", "string")),
    "concat": f("Concat", "string", v("=", "string"), c("s")),
    "texts equal": f("EqualTo", "boolean", c("s"), v("x", "string")),
    "in": f("In", "boolean", c("a"), v(1.5, "double"), c("b"), v("NaN", "double")),
    "in texts": f("In", "boolean", c("s"), v("x", "string"), v(None, "string")),
    "nanvl": f("NaNvl", "double", c("a"), c("b")),
    "isnan": f("IsNaN", "boolean", c("a")),
    "not null": f("IsNotNull", "boolean", c("s")),
    "element": f("ElementAt", "double", v([1.0, None, 3.0], "array<double>"), f("Add", "int", c("j"), v(1, "int"))),
    "lenient element": f("ElementAt", "double", v([1.0, None, 3.0], "array<double>"), c("j"), fail=False),
    "element of texts": f("ElementAt", "string", f("CreateArray", "array<string>", v("p", "string"), v("q", "string")), c("j")),
    "a constant that refuses": case("int", c("o"), f("Cast", "int", v("x", "string")), c("i")),
    "days": f("DateDiff", "int", f("DateAdd", "date", c("y"), v(3, "int")), c("y")),
    "with": f("With", "double", f("Add", "double", f("CommonExpressionRef", "double", id="w"), f("CommonExpressionRef", "double", id="w")), c("a"), id="w"),
}  # fmt: skip


def rows():
    rng = np.random.default_rng(7)
    return [
        [POOL[name][int(rng.integers(len(POOL[name])))] for name in SLOTS] for _ in range(3 * FEW)
    ]


def alone(tree, data):
    run, found = compile_expression(tree, SLOTS), []
    for row in data:
        try:
            found.append(repr(run(row)))
        except RowError:
            found.append(None)
    return found


@pytest.mark.parametrize("name", TREES)
def test_together_is_what_each_row_is_alone(name):
    """The very same values and types, bit by bit; what is refused alone is never made together."""
    tree, data = TREES[name], rows()
    expected = alone(tree, data)
    sound = [row for row, answer in zip(data, expected, strict=True) if answer is not None]
    everywhere = np.ones(len(sound), dtype=np.bool_)
    assert sound
    with np.errstate(all="ignore"):
        run = compile_columns(tree, SLOTS)
        try:
            made = run(Frame(sound), everywhere).listed()
        except GiveUpError:
            # Only these give up where no row is refused: products and remainders of 64 bits.
            assert name in {"Multiply of bigint", "Remainder of int", "Pmod of int", "Remainder of bigint", "Pmod of bigint"}  # fmt: skip
        else:
            assert [*map(repr, made)] == [answer for answer in expected if answer is not None]
        if None in expected:
            with pytest.raises((GiveUpError, RowError)):
                run(Frame(data), np.ones(len(data), dtype=np.bool_))


def test_columns_become_part_of_the_rows_when_asked_for():
    data = [[1.0, None], [2.0, None]]
    frame = Frame(data)
    frame.write(1, column_of([None, 5], "int"))
    assert data[1][1] is None
    assert frame.read(1, "int").listed() == [None, 5]
    assert frame.settled(0)[1][1] is None
    assert frame.settled(1) == [[1.0, None], [2.0, 5]]
    assert frame.rows is data


def test_whole_numbers_of_more_than_64_bits_have_no_column():
    with pytest.raises(GiveUpError):
        column_of([2**63], "bigint")
    assert constant(None, "string", 2).listed() == [None, None]
