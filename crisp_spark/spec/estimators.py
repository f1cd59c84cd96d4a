"""Every estimator a sweep can try, as data: no Spark is needed to check a project file."""

from __future__ import annotations

from collections.abc import Mapping

from crisp_spark.errors import suggest
from crisp_spark.spec.estimator_boosters import BOOSTERS
from crisp_spark.spec.estimator_classes import CLASSIFIERS
from crisp_spark.spec.estimator_info import EstimatorInfo, Values
from crisp_spark.spec.estimator_numbers import OTHERS

__all__ = [
    "BASES",
    "ESTIMATORS",
    "KINDS",
    "EstimatorInfo",
    "estimator",
    "infos",
    "value_fault",
]

_TABLE: tuple[EstimatorInfo, ...] = (*CLASSIFIERS, *OTHERS, *BOOSTERS)

ESTIMATORS: Mapping[tuple[str, str], EstimatorInfo] = {
    (info.kind, problem): info for info in _TABLE for problem in info.problems
}
"""Estimators by name and problem."""

KINDS: tuple[str, ...] = tuple(dict.fromkeys(info.kind for info in _TABLE))
"""Names of all families."""

BASES: tuple[str, ...] = tuple(
    info.kind
    for info in _TABLE
    if "binary" in info.problems and info.kind != "multilayer_perceptron" and not info.library
)
"""Binary classifiers that ``one_vs_rest`` can build on."""


def infos(kind: str) -> tuple[EstimatorInfo, ...]:
    """Return the table's entries of a family: one, or one for classes and one for numbers.

    Raises:
        ValueError: No family has that name; the message names the nearest one.
    """
    found = tuple(info for info in _TABLE if info.kind == kind)
    if not found:
        near = suggest(kind, KINDS)
        hint = f"did you mean {near!r}?" if near else f"families: {', '.join(KINDS)}"
        raise ValueError(f"no such family {kind!r}; {hint}")
    return found


def estimator(kind: str, problem: str) -> EstimatorInfo:
    """Return the entry of a family for a problem.

    Raises:
        ValueError: Unknown family, or one that does not serve the problem.
    """
    infos(kind)
    found = ESTIMATORS.get((kind, problem))
    if found is None:
        valid = sorted(name for name, served in ESTIMATORS if served == problem)
        raise ValueError(
            f"family {kind!r} does not serve {problem} problems; these do: {', '.join(valid)}"
        )
    return found


def value_fault(values: Values, value: object) -> str | None:
    """Return why ``value`` cannot be a hyperparameter of that kind, or None when it can."""
    if isinstance(values, tuple):
        if value in values:
            return None
        near = suggest(str(value), values)
        return f"one of {', '.join(values)} is expected" + (
            f"; did you mean {near!r}?" if near else ""
        )
    number = isinstance(value, int | float) and not isinstance(value, bool)
    valid = {
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": number,
        "bool": isinstance(value, bool),
        "text": isinstance(value, str | int | float) and not isinstance(value, bool),
        "ints": isinstance(value, list | tuple)
        and all(isinstance(part, int) and not isinstance(part, bool) for part in value),
    }
    words = {
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "text": "a text",
        "ints": "a list of whole numbers",
    }
    return None if valid[values] else f"{words[values]} is expected"
