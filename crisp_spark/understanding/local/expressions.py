"""Conditions in Spark SQL as DuckDB's, where both mean the same.

Only comparisons, logic, simple arithmetic and a few functions are taken, over columns whose types
say that no silent cast happens; everything else is left to Spark.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crisp_spark.errors import SpecError
from crisp_spark.understanding.local.columns import named, text
from crisp_spark.understanding.local.patterns import CannotError
from crisp_spark.understanding.profile_columns import ColumnPlan, Family

Typed = tuple[str, str]
"""SQL, and its class: whole, float, decimal, text, truth, moment or null."""

_NUMBERS = ("whole", "float", "decimal")
_COMPARISONS = {"EQ": "=", "NEQ": "<>", "GT": ">", "GTE": ">=", "LT": "<", "LTE": "<="}
_ARITHMETIC = {"Add": "+", "Sub": "-", "Mul": "*"}
_LONGEST_INT = 2**31 - 1


def condition_of(sql: str, plans: Mapping[str, ColumnPlan]) -> str:
    """Translate a condition.

    Raises:
        CannotError: It holds something that is left to Spark.
        SpecError: sqlglot is not installed.
    """
    try:
        import sqlglot
        from sqlglot.errors import SqlglotError
    except ImportError as error:
        raise SpecError(
            "local engine: conditions in SQL need sqlglot, which is not installed",
            hint="pip install 'crisp-spark[local-engine]', or set data.engine to spark",
        ) from error
    try:
        tree = sqlglot.parse_one(sql, read="spark")
    except SqlglotError as error:
        raise CannotError("SQL that cannot be read") from error
    said, kind = _Renderer({name.lower(): plan for name, plan in plans.items()}).render(tree)
    if kind != "truth":
        raise CannotError("SQL that is no condition")
    return f"({said})"


class _Renderer:
    def __init__(self, plans: Mapping[str, ColumnPlan]) -> None:
        self.plans = plans

    def render(self, node: Any) -> Typed:
        name = type(node).__name__
        if name in _COMPARISONS:
            return self._comparison(node, _COMPARISONS[name])
        if name in _ARITHMETIC:
            return self._arithmetic(node, _ARITHMETIC[name])
        method = getattr(self, f"_{name.lower()}", None)
        if method is None:
            raise CannotError(f"{name} in SQL")
        found: Typed = method(node)
        return found

    def _column(self, node: Any) -> Typed:
        plan = self.plans.get(str(node.name).lower())
        if plan is None or node.table:
            raise CannotError(f"the name {node.sql()} in SQL")
        kind = _class_of(plan)
        said = named(plan.name)
        if plan.type in {"tinyint", "smallint"}:
            said = f"CAST({said} AS INTEGER)"
        return (f"CAST({said} AS DOUBLE)" if plan.type == "float" else said), kind

    def _literal(self, node: Any) -> Typed:
        shown = str(node.this)
        if node.is_string:
            return text(shown), "text"
        if shown.isdigit():
            return shown, "whole"
        if shown.replace(".", "", 1).isdigit():
            return shown, "decimal"
        raise CannotError(f"the number {shown} in SQL")

    def _boolean(self, node: Any) -> Typed:
        return ("true" if node.this else "false"), "truth"

    def _null(self, _: Any) -> Typed:
        return "NULL", "null"

    def _paren(self, node: Any) -> Typed:
        said, kind = self.render(node.this)
        return f"({said})", kind

    def _neg(self, node: Any) -> Typed:
        said, kind = self.render(node.this)
        _must(kind, *_NUMBERS)
        return f"(-{said})", kind

    def _not(self, node: Any) -> Typed:
        return f"(NOT {self._truth(node.this)})", "truth"

    def _and(self, node: Any) -> Typed:
        return f"({self._truth(node.left)} AND {self._truth(node.right)})", "truth"

    def _or(self, node: Any) -> Typed:
        return f"({self._truth(node.left)} OR {self._truth(node.right)})", "truth"

    def _is(self, node: Any) -> Typed:
        if type(node.expression).__name__ != "Null":
            raise CannotError("IS with something else than NULL")
        return f"({self.render(node.this)[0]} IS NULL)", "truth"

    def _in(self, node: Any) -> Typed:
        if not node.expressions or node.args.get("query") is not None:
            raise CannotError("IN with a query")
        said, kind = self.render(node.this)
        values = [self.render(one) for one in node.expressions]
        for _, other in values:
            _alike(kind, other)
        return f"({said} IN ({', '.join(one for one, _ in values)}))", "truth"

    def _between(self, node: Any) -> Typed:
        said, kind = self.render(node.this)
        low, high = self.render(node.args["low"]), self.render(node.args["high"])
        for _, other in (low, high):
            _alike(kind, other)
        return f"({said} >= {low[0]} AND {said} <= {high[0]})", "truth"

    def _length(self, node: Any) -> Typed:
        said, kind = self.render(node.this)
        _must(kind, "text")
        return f"CAST(length({said}) AS INTEGER)", "whole"

    def _abs(self, node: Any) -> Typed:
        said, kind = self.render(node.this)
        _must(kind, "float")
        return f"abs({said})", kind

    def _coalesce(self, node: Any) -> Typed:
        parts = [self.render(one) for one in (node.this, *node.expressions)]
        for _, other in parts:
            _alike(parts[0][1], other)
        return f"coalesce({', '.join(said for said, _ in parts)})", parts[0][1]

    def _isnan(self, node: Any) -> Typed:
        said, kind = self.render(node.this)
        _must(kind, "float")
        return f"coalesce(isnan({said}), false)", "truth"

    def _truth(self, node: Any) -> str:
        said, kind = self.render(node)
        _must(kind, "truth")
        return said

    def _comparison(self, node: Any, sign: str) -> Typed:
        left, right = self.render(node.left), self.render(node.right)
        _alike(left[1], right[1])
        return f"({left[0]} {sign} {right[0]})", "truth"

    def _arithmetic(self, node: Any, sign: str) -> Typed:
        (left, one), (right, other) = self.render(node.left), self.render(node.right)
        _must(one, "whole", "float")
        _must(other, "whole", "float")
        kind = "float" if "float" in {one, other} else "whole"
        if kind == "float":
            left, right = (f"CAST({side} AS DOUBLE)" for side in (left, right))
        return f"({left} {sign} {right})", kind


def _class_of(plan: ColumnPlan) -> str:
    if plan.family is Family.NUMBER:
        return "float" if plan.fractional else "decimal" if "decimal" in plan.type else "whole"
    return {
        Family.TEXT: "text",
        Family.BOOLEAN: "truth",
        Family.MOMENT: plan.type,
    }.get(plan.family, "other")


def _must(kind: str, *wanted: str) -> None:
    if kind not in wanted:
        raise CannotError(f"{kind} where SQL needs {' or '.join(wanted)}")


def _alike(one: str, other: str) -> None:
    """Refuse comparisons that need a cast which Spark and DuckDB do not share."""
    if one in _NUMBERS and other in _NUMBERS:
        return
    if one != other or one in {"null", "other"}:
        raise CannotError(f"{one} compared with {other}")
