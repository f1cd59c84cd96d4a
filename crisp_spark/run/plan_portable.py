"""What of a project could not score without Spark, named before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from crisp_spark.errors import CrispError
from crisp_spark.spec.features import Text
from crisp_spark.spec.lineage import row_local_expressions
from crisp_spark.spec.sqltext import names_in

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from crisp_spark.run.plan import Rehearsal

_FAMILIES = frozenset({"lda"})
"""Families whose fitted model has no counterpart outside Spark."""


def check_portable(plan: Rehearsal, derived: DataFrame) -> None:
    """Name what cannot be carried: a fault where the project requires a portable model."""
    wanted = plan.project.spec.deployment.portable
    if wanted == "off":
        return
    for text in _obstacles(plan, derived):
        if wanted == "required":
            plan.fault(f"{text}; deployment.portable is 'required'")
        else:
            plan.report.warnings.append(f"{text}; the model will score with Spark only")


def _obstacles(plan: Rehearsal, derived: DataFrame) -> Iterator[str]:
    spec = plan.project.spec
    for name, sql in _needed(plan):
        found = _obstacle(derived, sql)
        if found:
            yield f"preparation.derive {name!r} cannot be carried out of Spark: {found}"
    rule = spec.business.fallback
    found = _obstacle(derived, rule.expression) if rule else ""
    if found:
        yield f"business.fallback cannot be carried out of Spark: {found}"
    for at, family in enumerate(spec.modeling.families):
        if family.kind in _FAMILIES:
            yield f"modeling.families[{at}] {family.kind!r} cannot be carried out of Spark"
    for number, op in enumerate(spec.preparation.features):
        found = _of_words(op) if isinstance(op, Text) else ""
        if found:
            yield f"preparation.features[{number}] text cannot be carried out of Spark: {found}"


def _needed(plan: Rehearsal) -> list[tuple[str, str]]:
    """Row-local columns that may be a feature, and those that such columns use."""
    spec, goal = plan.project.spec, plan.project.spec.business.mining_goal
    columns = row_local_expressions(spec.preparation, goal)
    excluded = {name.lower() for name in spec.preparation.exclude}
    used: set[str] = set()
    found = []
    for name, sql in reversed(columns):
        if name.lower() in used or name.lower() not in excluded:
            found.append((name, sql))
            used |= names_in(sql)
    return found[::-1]


def _obstacle(derived: DataFrame, sql: str) -> str:
    """Return what stands in the way of an expression, or an empty text."""
    from pyspark.errors import PySparkException

    from crisp_spark.deployment.portable_sql import expression_tree
    from crisp_spark.serving.expressions import FUNCTIONS, compile_expression
    from crisp_spark.serving.refusal import RowError

    try:
        tree = expression_tree(sql, derived, FUNCTIONS)
        compile_expression(tree, {name: at for at, name in enumerate(derived.columns)})
    except CrispError as error:
        return error.message
    except (PySparkException, RowError):
        return ""  # told by the rehearsal of the derivation itself, or in every row
    return ""


def _of_words(op: Text) -> str:
    from crisp_spark.serving.javaregex import splitter

    try:
        splitter(op.pattern, keep_empty_end=False)
    except CrispError as error:
        return error.message
    return ""
