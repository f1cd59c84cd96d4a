"""Spark SQL with and without Spark: rows of every kind of value, and expressions over them.

``element_at`` of the smallest int is left out: Spark reads memory that is not its own there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
from hypothesis import strategies as st

from crisp_spark.deployment.portable_sql import NotPortableError, expression_tree
from crisp_spark.deployment.refusals import attempted
from crisp_spark.serving.casting import cast
from crisp_spark.serving.columns import Frame, GiveUpError
from crisp_spark.serving.expressions import FUNCTIONS, compile_expression
from crisp_spark.serving.intake import Field, Intake
from crisp_spark.serving.refusal import RowError, UnsupportedError
from crisp_spark.serving.vectorized import compile_columns

COLUMNS = {
    "d": "double",
    "e": "double",
    "f": "float",
    "i": "int",
    "j": "int",
    "l": "bigint",
    "s": "string",
    "t": "string",
    "o": "boolean",
    "y": "date",
    "z": "date",
    "m": "timestamp",
    "c": "decimal(10,2)",
    "k": "decimal(5,0)",
}
NAN, INF = math.nan, math.inf
DAY, NIGHT = date(2024, 2, 29), date(1969, 12, 31)
NOON = datetime(2024, 3, 10, 6, 59, 59, 500_000, UTC)
OLD = datetime(1901, 1, 1, 23, 0, 0, 1, UTC)


def moment(hour, minute=0):
    return datetime(2023, 11, 5, hour, minute, 0, 0, UTC)


ROWS: list[tuple] = [
    (1.5, 2.0, 0.5, 7, 2, 10, "Hello", "l", True, DAY, NIGHT, NOON, Decimal("12.34"), Decimal(3)),
    (None,) * 14,
    (NAN, 1.0, NAN, 0, 0, 0, "", "", False, NIGHT, DAY, OLD, Decimal("0.00"), Decimal(0)),
    (INF, -INF, INF, 2**31 - 1, 1, 2**63 - 1, " a b ", "a", None, DAY, DAY, moment(5, 30), Decimal("99999999.99"), Decimal(99999)),
    (-INF, NAN, -INF, -(2**31), -1, -(2**63), "12", "1", True, None, DAY, moment(6, 30), Decimal("-12.35"), Decimal(-7)),
    (-0.0, 0.0, -0.0, -7, 3, -10, "1.5", "%", False, date(1, 1, 1), date(9999, 12, 31), None, Decimal("2.50"), Decimal(2)),
    (1e300, -1e300, 3.25, 100, -3, 2**40, "Ünï ☃ß", "ï", None, date(2000, 12, 31), date(1999, 1, 1), moment(7), Decimal("-0.01"), None),
    (-2.5, 0.1, 1.1, 3, None, 5, "2024-01-31", "-", True, date(2021, 1, 3), date(2020, 12, 28), datetime(2024, 12, 31, 23, 59, 59, 999_999, UTC), None, Decimal(1)),
    (2.5, 3.0, 2.0, -1, 31, 7, "a.b,c", ".", False, date(2023, 7, 31), date(2023, 2, 28), datetime(2024, 1, 1, tzinfo=UTC), Decimal("7.00"), Decimal(7)),
    (1234567.891, 1e-5, 1e10, 12, 12, 12, "TRUE", "true", True, date(2024, 12, 30), date(2024, 3, 31), datetime(2024, 2, 29, 12, 30, 15, tzinfo=UTC), Decimal("1.05"), Decimal(5)),
    (0.1, 0.2, 0.3, 1, 1, 1, "aaa", "aa", False, date(1970, 1, 1), None, datetime(1970, 1, 1, tzinfo=UTC), Decimal("0.10"), Decimal(10)),
    (1e16, 123456789.0, 16777217.0, 1000, 7, -1, "x_y%z\\", "_", None, date(2024, 1, 31), date(2024, 2, 29), datetime(1969, 12, 31, 23, 59, 59, 1, UTC), Decimal("33.33"), Decimal(-1)),
]  # fmt: skip


def frame_of(spark):
    schema = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    rows = [(*row, at) for at, row in enumerate(ROWS)]
    plain = spark.createDataFrame(rows, f"{schema}, row int")
    # One partition, values that no optimiser knows.
    return plain.coalesce(1)


def differences(frame, expressions: Sequence[str]) -> list[str]:
    """Say where an expression gives something else than in Spark, or raises only on one side."""
    plain = frame.drop("row")
    carried, refused = {}, []
    for sql in expressions:
        try:
            carried[sql] = expression_tree(sql, plain, FUNCTIONS)
            compile_expression(carried[sql], {name: at for at, name in enumerate(COLUMNS)})
        except (NotPortableError, UnsupportedError) as error:
            refused.append(f"{sql}: {error}")
            carried.pop(sql, None)
        except RowError:
            pass  # a constant that raises in every row; the rows tell
    if refused:
        return refused
    asked = [attempted(sql).alias(f"x{at}") for at, sql in enumerate(carried)]
    theirs = frame.select("row", *asked).orderBy("row").collect()
    intake = Intake([Field(name, kind) for name, kind in COLUMNS.items()])
    rows = [intake.row(dict(zip(COLUMNS, row, strict=True)))[0] for row in ROWS]
    found = []
    for at, (sql, tree) in enumerate(carried.items()):
        together = _together(tree, rows)
        for place, (row, answer) in enumerate(zip(rows, theirs, strict=True)):
            ours = _own(tree, row)
            if not _equal(answer[at + 1], ours, tree["t"]):
                found.append(f"{sql} of row {answer[0]}: Spark {answer[at + 1]!r}, ours {ours!r}")
            if together is not None and together[place] != ours:
                found.append(f"{sql} of row {place}: alone {ours!r}, together {together[place]!r}")
    return found


def _together(tree, rows) -> list[str | None] | None:
    """All rows on columns; None where that gives up, which only a refused row may bring about.

    Where some rows are refused, the others are evaluated together once more.
    """
    slots = {name: at for at, name in enumerate(COLUMNS)}
    run = compile_columns(tree, slots)
    frame = Frame([list(row) for row in rows])
    try:
        with np.errstate(all="ignore"):
            values = run(frame, np.ones(len(rows), dtype=np.bool_)).listed()
    except (GiveUpError, RowError):
        return _others_together(tree, rows)
    return [_shown(value, tree["t"]) for value in values]


def _others_together(tree, rows) -> list[str | None] | None:
    alone = [_own(tree, row) for row in rows]
    sound = [row for row, answer in zip(rows, alone, strict=True) if answer is not None]
    if len(sound) in (0, len(rows)):
        return None
    found = iter(_together(tree, sound) or [answer for answer in alone if answer is not None])
    return [None if answer is None else next(found) for answer in alone]


def _own(tree, row) -> str | None:
    try:
        run = compile_expression(tree, {name: at for at, name in enumerate(COLUMNS)})
        return _shown(run(row), tree["t"])
    except RowError:
        return None


def _shown(value, kind) -> str:
    if value is None:
        return "n"
    return f"={value}" if kind == "string" else f"={cast(kind, 'string', strict=True)(value)}"


def _equal(theirs: str | None, ours: str | None, kind: str) -> bool:
    if theirs == ours:
        return True
    if kind not in ("double", "float") or None in (theirs, ours) or "n" in (theirs, ours):
        return False
    a, b = float(theirs[1:]), float(ours[1:])
    return math.isclose(a, b, rel_tol=1e-12 if kind == "double" else 1e-6, abs_tol=1e-300)


# A grammar of expressions, by the type that they have.


def _calls(*patterns: str, **parts) -> st.SearchStrategy[str]:
    made = [
        st.fixed_dictionaries(
            {name: part for name, part in parts.items() if f"{{{name}}}" in pattern}
        ).map(lambda values, pattern=pattern: pattern.format(**values))
        for pattern in patterns
    ]
    return st.one_of(made)


def expressions(depth: int = 2) -> st.SearchStrategy[str]:
    """Expressions of every type, nested up to a depth."""
    kinds = {name: st.sampled_from(leaves) for name, leaves in LEAVES.items()}
    for _ in range(depth):
        kinds = {name: st.one_of(part, _grown(name, kinds)) for name, part in kinds.items()}
    return st.one_of(*kinds.values())


LEAVES = {
    "D": ("d", "e", "0.0D", "1.5D", "-2D", "double('NaN')", "CAST(NULL AS DOUBLE)", "1e-3D"),
    "F": ("f", "CAST(1.1 AS FLOAT)"),
    "I": ("i", "j", "0", "1", "-3", "31", "2147483647", "CAST(NULL AS INT)"),
    "L": ("l", "5L", "9223372036854775807L"),
    "C": ("c", "k", "1.25", "-0.5"),
    "S": ("s", "t", "''", "'a'", "'12'", "' x '", "'2024-02-30'", "CAST(NULL AS STRING)", "'ß☃'"),
    "B": ("o", "true", "CAST(NULL AS BOOLEAN)"),
    "Y": ("y", "z", "DATE'2024-02-29'"),
    "M": ("m", "TIMESTAMP'2024-03-10 07:00:00'"),
}


PATTERNS = {
    "D": (
        "({D} + {D})", "({D} - {D})", "({D} * {D})", "({D} / {D})", "({D} % {D})", "pmod({D}, {D})",
        "(- {D})", "abs({D})", "({I} / {I})", "sqrt({D})", "ln({D})", "log10({D})", "log2({D})", "log1p({D})",
        "exp({D})", "expm1({D})", "power({D}, {D})", "sin({D})", "cos({D})", "atan2({D}, {D})", "tanh({D})",
        "signum({D})", "rint({D})", "round({D}, 2)", "round({D})", "bround({D}, 1)", "cbrt({D})", "degrees({D})",
        "greatest({D}, {D}, {I})", "least({D}, {F})", "coalesce({D}, {D})", "nullif({D}, {D})", "nanvl({D}, {D})",
        "CASE WHEN {B} THEN {D} ELSE {D} END", "if({B}, {D}, {D})", "CAST({S} AS DOUBLE)", "TRY_CAST({S} AS DOUBLE)",
        "CAST({C} AS DOUBLE)", "CAST({I} AS DOUBLE)", "CAST({F} AS DOUBLE)", "element_at(array({D}, {D}, {D}), {I} % 5)",
        "try_divide({D}, {D})", "hypot({D}, {D})", "CAST({M} AS DOUBLE)", "sinh({D})", "months_between({M}, {M})",
    ),
    "F": ("({F} + {F})", "({F} * {F})", "CAST({D} AS FLOAT)", "(- {F})", "round({F}, 1)", "coalesce({F}, {F})"),
    "I": (
        "({I} + {I})", "({I} - {I})", "({I} * {I})", "({I} % {I})", "pmod({I}, {I})", "(- {I})", "abs({I})",
        "CAST({D} AS INT)", "CAST({S} AS INT)", "TRY_CAST({S} AS INT)", "CAST({L} AS INT)", "CAST({C} AS INT)",
        "CAST({B} AS INT)", "length({S})", "instr({S}, {S})", "locate({S}, {S})", "year({Y})", "month({Y})", "day({Y})",
        "quarter({Y})", "weekday({Y})", "dayofweek({Y})", "dayofyear({Y})", "weekofyear({Y})", "hour({M})", "minute({M})",
        "second({M})", "datediff({Y}, {Y})", "ascii({S})", "coalesce({I}, {I})", "nullif({I}, {I})", "least({I}, {I})",
        "CASE {I} WHEN 1 THEN {I} WHEN {I} THEN 5 END", "size(split({S}, ','))", "array_position(array({S}, {S}), {S})",
        "({I} & {I})", "({I} | {I})", "({I} ^ {I})", "~{I}", "try_add({I}, {I})", "hash({S}, {I})", "extract(year FROM {M})",
        "nvl2({S}, {I}, {I})", "octet_length({S})", "CAST({L} AS SMALLINT)",
    ),
    "L": (
        "({L} + {I})", "({I} div {I})", "({L} * {L})", "CAST({I} AS BIGINT)", "floor({D})", "ceil({D})", "CAST({S} AS BIGINT)",
        "CAST({M} AS BIGINT)", "unix_timestamp({M})", "CAST({D} AS BIGINT)", "unix_seconds({M})", "({L} % {L})",
    ),
    "C": (
        "({C} + {C})", "({C} - {C})", "({C} * {C})", "({C} / {C})", "({C} % {C})", "CAST({I} AS DECIMAL(12, 2))",
        "CAST({S} AS DECIMAL(8, 3))", "CAST({D} AS DECIMAL(20, 4))", "round({C}, 1)", "abs({C})", "(- {C})", "coalesce({C}, {C})",
        "greatest({C}, {C})", "TRY_CAST({S} AS DECIMAL(5, 1))", "floor({C})", "ceil({C})",
    ),
    "S": (
        "lower({S})", "upper({S})", "trim({S})", "ltrim({S})", "rtrim({S})", "concat({S}, {S})", "({S} || {S})",
        "substring({S}, {I}, {I})", "substring({S}, {I})", "left({S}, {I})", "right({S}, {I})", "reverse({S})",
        "lpad({S}, 4, {S})", "rpad({S}, 4, '*')", "repeat({S}, 2)", "replace({S}, {S}, 'q')", "initcap({S})",
        "concat_ws('-', {S}, {S})", "translate({S}, 'al', 'x')", "substring_index({S}, '.', {I} % 4)", "regexp_replace({S}, '[a-z]+', '<$0>')",
        "regexp_extract({S}, '([A-Za-z])(.)', 2)", "CAST({I} AS STRING)", "CAST({L} AS STRING)", "CAST({C} AS STRING)",
        "CAST({B} AS STRING)", "CAST({Y} AS STRING)", "CAST({M} AS STRING)", "coalesce({S}, {S})", "nullif({S}, {S})",
        "CASE WHEN {B} THEN {S} WHEN {B} THEN {S} END", "element_at(split({S}, '[.,]'), 1)", "greatest({S}, {S})", "trim(BOTH 'a' FROM {S})",
        "concat_ws('|', filter(split(lower({S}), '[^\\\\p{{L}}\\\\p{{N}}]+'), w -> length(w) >= 2 AND w NOT IN ('the')))",
        "ifnull({S}, {S})", "CAST({D} AS INT) || 'x'",
    ),
    "B": (
        "({D} = {D})", "({D} < {D})", "({D} >= {D})", "({D} <=> {D})", "({I} <> {I})", "({I} <= {D})", "({S} = {S})", "({S} < {S})",
        "({B} AND {B})", "({B} OR {B})", "(NOT {B})", "({D} IS NULL)", "({S} IS NOT NULL)", "isnan({D})", "({I} IN ({I}, {I}))",
        "({S} IN ({S}, 'a', {S}))", "({D} NOT IN ({D}, 1D))", "({D} BETWEEN {D} AND {D})", "({S} LIKE 'a%')", "({S} LIKE '%_b%')",
        "({S} RLIKE '^[a-z]+$')", "startswith({S}, {S})", "contains({S}, {S})", "endswith({S}, {S})", "({Y} < {Y})", "({M} > {M})",
        "({C} = {C})", "({C} < {I})", "CAST({S} AS BOOLEAN)", "TRY_CAST({S} AS BOOLEAN)", "CAST({I} AS BOOLEAN)", "CAST({D} AS BOOLEAN)",
        "array_contains(array({S}, {S}), {S})", "({F} = {D})", "coalesce({B}, {B})", "exists(array({I}, {I}), x -> x > 1)",
    ),
    "Y": (
        "CAST({M} AS DATE)", "date_add({Y}, 3)", "date_sub({Y}, {I} % 100)", "last_day({Y})", "next_day({Y}, 'Mon')", "add_months({Y}, 1)",
        "trunc({Y}, 'month')", "trunc({Y}, 'week')", "TRY_CAST({S} AS DATE)", "CAST({S} AS DATE)", "make_date(2020, 2, {I})",
        "({Y} + INTERVAL 1 MONTH)", "to_date({S})", "coalesce({Y}, {Y})", "CAST(from_utc_timestamp({M}, 'America/New_York') AS DATE)",
    ),
    "M": (
        "CAST({Y} AS TIMESTAMP)", "({M} + INTERVAL 90 MINUTES)", "({M} - INTERVAL 1 DAY)", "date_trunc('hour', {M})", "date_trunc('month', {M})",
        "from_utc_timestamp({M}, 'America/New_York')", "to_utc_timestamp({M}, 'Europe/Berlin')", "TRY_CAST({S} AS TIMESTAMP)",
        "coalesce({M}, {M})", "({M} + INTERVAL 1 MONTH)",
    ),
}  # fmt: skip


def _grown(kind, kinds):
    return _calls(*PATTERNS[kind], **kinds)


ALL_PATTERNS = tuple(pattern for patterns in PATTERNS.values() for pattern in patterns)
PLAIN = {"D": "d", "F": "f", "I": "i", "L": "l", "C": "c", "S": "s", "B": "o", "Y": "y", "M": "m"}
OTHERS = {"D": "e", "F": "f", "I": "j", "L": "l", "C": "k", "S": "t", "B": "o", "Y": "z", "M": "m"}


def each_once() -> list[str]:
    """Every pattern of the grammar, over plain columns: first one, then another of the type."""

    def fill(pattern: str) -> str:
        pattern = pattern.replace("{{", "\x00").replace("}}", "\x01")
        for name, column in PLAIN.items():
            pattern = pattern.replace(f"{{{name}}}", column, 1)
            pattern = pattern.replace(f"{{{name}}}", OTHERS[name])
        return pattern.replace("\x00", "{").replace("\x01", "}")

    return [fill(pattern) for pattern in ALL_PATTERNS]
