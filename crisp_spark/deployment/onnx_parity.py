"""The gate of an ONNX graph: the same rows answered by the bundle and by it, and compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crisp_spark.deployment.onnx_trees import Arrays, Trees

Floats = NDArray[np.float64]

TOLERANCE = 1e-9
"""Largest difference of a score or share, absolute, and relative to numbers above 1."""
_EDGE = 1e-12
_SHOWN = 5
_MOST_NODES = 500
_STRANGE = (np.nan, 0.0, -1.0, 100.0)
_STRANGE_FRACTIONS: Mapping[str, tuple[float, ...]] = {
    "float": (np.inf, -np.inf),
    "double": (np.inf, -np.inf, 1e300, -1e300),
}


@dataclass
class OnnxParity:
    """Comparison of a graph with its bundle.

    Attributes:
        rows: Held-out rows compared.
        edge_rows: Rows made from them: missing, infinite and extreme values, and values at and
            beside the thresholds of trees.
        refused: Rows that both refuse.
        prediction_mismatches: Rows whose prediction, decision or refusal differs.
        score_mismatches: Rows whose score or shares differ by more than the tolerance.
        max_abs_difference: Largest difference of a score or share.
        tolerance: What was allowed.
        examples: The first differences, in words.
    """

    rows: int = 0
    edge_rows: int = 0
    refused: int = 0
    prediction_mismatches: int = 0
    score_mismatches: int = 0
    max_abs_difference: float = 0.0
    tolerance: float = TOLERANCE
    examples: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether none differs."""
        return not (self.prediction_mismatches or self.score_mismatches)


@dataclass(frozen=True)
class Expected:
    """Answers of the bundle, one a row.

    Attributes:
        prediction: Class number or number; NaN where there is none.
        score: Score; NaN where there is none.
        decision: Whether the score reaches the threshold; None where nothing is decided.
        shares: Chances of several classes.
        taken: Whether the row was not refused.
    """

    prediction: Floats
    score: Floats
    decision: Sequence[bool | None]
    shares: Sequence[Sequence[float] | None]
    taken: NDArray[np.bool_]


def compare(
    found: OnnxParity, bundle: Expected, graph: Mapping[str, NDArray[Any]], threshold: float | None
) -> None:
    """Compare answers row by row and add to the report.

    Args:
        found: The report.
        bundle: What the bundle answers.
        graph: Outputs of the graph for the same rows.
        threshold: Threshold of the decision; a score on its very edge may fall to either side.
    """
    valid = graph.get("valid", np.ones(len(bundle.score), dtype=np.bool_))
    found.refused += int((~valid & ~bundle.taken).sum())
    is_class = graph["prediction"].dtype == np.int64
    for at in range(len(bundle.score)):
        if not bundle.taken[at]:
            if valid[at]:
                found.prediction_mismatches += 1
                _show(found, at, "refused by the bundle, not by the graph")
            continue
        theirs = [float(graph["score"][at]), *_shares_at(graph, at)]
        ours = [float(bundle.score[at]), *(bundle.shares[at] or ())]
        same = bool(valid[at]) and _same(bundle, graph, at, threshold, is_class=is_class)
        close = len(ours) == len(theirs) and all(map(_near, ours, theirs))
        gaps = [abs(a - b) for a, b in zip(ours, theirs, strict=False) if np.isfinite([a, b]).all()]
        found.max_abs_difference = max(found.max_abs_difference, *gaps, 0.0)
        found.prediction_mismatches += not same
        found.score_mismatches += not close
        if not (same and close):
            _show(
                found,
                at,
                f"bundle {bundle.prediction[at]} {ours}, graph {graph['prediction'][at]} {theirs}",
            )


def _show(found: OnnxParity, at: int, text: str) -> None:
    if len(found.examples) < _SHOWN:
        found.examples.append(f"row {at}: {text}")


def _shares_at(graph: Mapping[str, NDArray[Any]], at: int) -> list[float]:
    shares: list[float] = graph["probabilities"][at].tolist() if "probabilities" in graph else []
    return shares


def _near(a: float, b: float) -> bool:
    if np.isnan(a) or np.isnan(b):
        return bool(np.isnan(a) and np.isnan(b))
    return a == b or abs(a - b) <= TOLERANCE * max(1.0, abs(a), abs(b))


def _same(
    bundle: Expected,
    graph: Mapping[str, NDArray[Any]],
    at: int,
    threshold: float | None,
    *,
    is_class: bool,
) -> bool:
    ours, theirs = float(bundle.prediction[at]), float(graph["prediction"][at])
    if ours != theirs if is_class else not _near(ours, theirs):
        return False
    if "decision" not in graph or bundle.decision[at] is None:
        # A score that is not a number decides nothing; in the graph it never reaches a threshold.
        return "decision" not in graph or not graph["decision"][at]
    edge = threshold is not None and abs(float(bundle.score[at]) - threshold) <= _EDGE
    return edge or bool(graph["decision"][at]) == bundle.decision[at]


def edge_rows(
    held: Mapping[str, Floats],
    kinds: Mapping[str, str],
    spec: Mapping[str, Any],
    arrays: Arrays,
) -> dict[str, Floats]:
    """Make rows like held-out ones, each with one strange value of its column's type.

    Args:
        held: Inputs of the graph on held-out rows.
        kinds: Spark type of inputs; ``double`` where it is not told.
        spec: The learner's stage.
        arrays: Numbers of the bundle.
    """
    changes = [
        (name, place, value)
        for name, matrix in held.items()
        for place in range(matrix.shape[1])
        for value in (*_STRANGE, *_STRANGE_FRACTIONS.get(kinds.get(name, "double"), ()))
    ]
    vector = spec.get("input")
    if spec.get("trees") and vector in held:
        changes += [(str(vector), place, value) for place, value in _tested(Trees(spec, arrays))]
    count = len(next(iter(held.values())))
    chosen = np.arange(len(changes)) % count
    made = {name: matrix[chosen].copy() for name, matrix in held.items()}
    for at, (name, place, value) in enumerate(changes):
        made[name][at, place] = value
    return made


def _tested(trees: Trees) -> Iterable[tuple[int, float]]:
    """Values at and beside what nodes test, of nodes spread over all trees."""
    inner = np.flatnonzero(~trees.is_leaf)
    for node in inner[:: max(1, -(-len(inner) // _MOST_NODES))].tolist():
        place, members = int(trees.feature[node]), trees.members(node)
        cut = float(trees.threshold[node])
        beside = (cut, np.nextafter(cut, -np.inf), np.nextafter(cut, np.inf))
        for value in (*members, max(members) + 1.0, -1.0) if members else beside:
            yield place, float(value)
