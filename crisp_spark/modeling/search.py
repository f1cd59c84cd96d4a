"""The points of the search space, and those that a search of one round tries."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crisp_spark.modeling.drawing import choices_of, draws
from crisp_spark.spec.base import canonical_json, digest
from crisp_spark.spec.estimators import EstimatorInfo
from crisp_spark.spec.modeling import Family
from crisp_spark.spec.search import ITERATIONS, Search


@dataclass(frozen=True)
class PlannedTrial:
    """A point to try.

    Attributes:
        name: Short name, unique in the sweep.
        family: The learner as declared.
        info: What is known of the learner.
        params: Hyperparameters set.
        share: Share of the iterations or rows that an early rung gives it; 1 elsewhere.
        rows: Training rows it is fitted on, where a rung samples them.
    """

    name: str
    family: Family
    info: EstimatorInfo
    params: Mapping[str, Any]
    share: float = 1.0
    rows: int | None = None

    @property
    def key(self) -> str:
        """Key in the journal: the same point has the same key in any run."""
        point = {"family": self.family.model_dump(mode="json", exclude={"params", "only_if"})}
        rung = {} if self.rows is None else {"rows": self.rows}
        return f"trial-{digest({**point, **rung, 'params': dict(self.params)})[:16]}"

    @property
    def complexity(self) -> float:
        """Order of simplicity: the family first, then the size of the model within it."""
        # A value that no learner takes must fail its trial, not the plan.
        size = max(0.0, _size(self.params))
        return round(self.info.complexity + 1 - 1 / (1 + math.log2(1 + size)), 6)


def _size(params: Mapping[str, Any]) -> float:
    trees = float(params.get("numTrees", params.get("maxIter", 1) if "maxDepth" in params else 1))
    for name in ("numIterations", "numRound"):
        trees *= float(params.get(name, 1))
    leaves = float(params.get("numLeaves", 2.0 ** float(params.get("maxDepth", 0))))
    size: float = trees * leaves
    for name in ("factorSize", "rank", "k"):
        size *= float(params.get(name, 1))
    for width in params.get("hidden", ()):
        size *= 1 + float(width)
    # A stronger penalty is a simpler model.
    return size / (1 + float(params.get("regParam", 0.0)))


def plan_trials(
    families: Sequence[tuple[Family, EstimatorInfo]], search: Search, *, seed: int
) -> tuple[PlannedTrial, ...]:
    """Return the points of a grid, or as many as are drawn.

    Families take turns, so that a budget cuts none of them off.

    Args:
        families: Families and what is known of them.
        search: Kind of search and number of draws.
        seed: Seed of whatever is drawn.
    """
    kinds = [family for family, _ in families]
    grids = search.kind == "grid" or (
        search.kind in ("halving", "hyperband") and _grid_fits(kinds, search.trials)
    )
    points = [list(_grid(f)) for f in kinds] if grids else draws(kinds, search, seed)
    return named(families, points)


def named(
    families: Sequence[tuple[Family, EstimatorInfo]],
    points: Sequence[Sequence[Mapping[str, Any]]],
    counts: Mapping[str, int] | None = None,
) -> tuple[PlannedTrial, ...]:
    """Name the points of each family, families by turns.

    Args:
        families: Families and what is known of them.
        points: Points by family.
        counts: Points that each family had before.
    """
    before = counts or {}
    planned = []
    for turn in itertools.zip_longest(*(enumerate(each) for each in points)):
        for (family, info), found in zip(families, turn, strict=True):
            if found is not None:
                number = found[0] + 1 + before.get(family.label, 0)
                name = f"{family.label}-{number:03d}"
                planned.append(PlannedTrial(name, family, info, dict(found[1])))
    return tuple(planned)


def at_rung(trial: PlannedTrial, share: float, rows: int | None) -> PlannedTrial:
    """Return a trial with a share of its iterations, or fitted on ``rows`` rows.

    A family that counts no iterations is fitted in full.
    """
    name = f"{trial.name}@{share:.2g}"
    if rows is not None:
        return PlannedTrial(name, trial.family, trial.info, trial.params, share, rows)
    counted = ITERATIONS.get(trial.info.kind)
    if counted is None or share >= 1:
        return trial
    param, default = counted
    whole = int(trial.params.get(param, default))
    params = {**trial.params, param: max(1, round(whole * share))}
    return PlannedTrial(name, trial.family, trial.info, params, share)


def _grid(family: Family) -> Iterator[dict[str, Any]]:
    names, seen = list(family.params), set[str]()
    for values in itertools.product(*(choices_of(name, family.params[name]) for name in names)):
        point = dict(zip(names, values, strict=True))
        point = {name: value for name, value in point.items() if family.exists(name, point)}
        if (key := canonical_json(point)) not in seen:
            seen.add(key)
            yield point


def _grid_fits(families: Sequence[Family], most: int) -> bool:
    """Say whether every combination can be among ``most`` points."""
    try:
        points = itertools.chain.from_iterable(map(_grid, families))
        return sum(1 for _ in itertools.islice(points, most + 1)) <= most
    except TypeError:
        return False
