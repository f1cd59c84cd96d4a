"""Draws from the space of hyperparameters: by chance, or spread evenly."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from crisp_spark.spec.base import canonical_json
from crisp_spark.spec.modeling import Between, Family, ParamValue
from crisp_spark.spec.search import Search

_DRAWS_PER_TRIAL = 20
"""A small space runs out of new points; this many repeated draws end the search."""

Shares = Callable[[int, int], Sequence[float]]
"""Family and draw to one number from 0 to below 1 for each hyperparameter."""


def choices_of(name: str, choices: ParamValue) -> tuple[Any, ...]:
    """Return the values to choose from.

    Raises:
        TypeError: The choices are a range.
    """
    if isinstance(choices, Between):
        raise TypeError(f"{name} is a range; a grid needs values")
    # The widths of hidden layers are one value, not several.
    if name == "hidden" and isinstance(choices[0], int):
        return (tuple(choices),)
    return choices


def draws(
    families: Sequence[Family], search: Search, seed: int, *, most: int | None = None
) -> list[list[dict[str, Any]]]:
    """Draw points for the families by turns; no point is drawn twice.

    Args:
        families: Families.
        search: Kind of search, and the number of points where ``most`` is None.
        seed: Seed.
        most: Number of points over all families.
    """
    even = search.kind != "random"
    shares = _even_shares(families, seed) if even else _chance_shares(families, seed)
    trials = most or search.trials
    found: list[list[dict[str, Any]]] = [[] for _ in families]
    seen: set[str] = set()
    for draw in range(trials * _DRAWS_PER_TRIAL):
        if sum(map(len, found)) >= trials:
            break
        # The family with the fewest points is next, so that small spaces do not eat the draws.
        order = sorted(range(len(families)), key=lambda n: (len(found[n]), n))
        at = order[draw % len(order)] if draw >= trials else order[0]
        params = point_at(families[at], shares(at, draw))
        key = f"{at}:{canonical_json(params)}"
        if key not in seen:
            seen.add(key)
            found[at].append(params)
    return found


def point_at(family: Family, shares: Sequence[float]) -> dict[str, Any]:
    """Return the point that lies at a share (0 to below 1) of each hyperparameter's choices."""
    drawn = {
        name: value_at(name, choices, share)
        for (name, choices), share in zip(family.params.items(), shares, strict=True)
    }
    return {name: value for name, value in drawn.items() if family.exists(name, drawn)}


def value_at(name: str, choices: ParamValue, share: float) -> Any:
    """Return the value at a share (0 to below 1) of the choices."""
    if not isinstance(choices, Between):
        values = choices_of(name, choices)
        return values[int(share * len(values))]
    if choices.log:
        low, high = math.log(choices.low), math.log(choices.high)
        value = math.exp(low + share * (high - low))
    else:
        value = choices.low + share * (choices.high - choices.low)
    return rounded(choices, value)


def rounded(choices: Between, value: float) -> float:
    """Return a drawn value as it is used: whole where asked, and inside the range."""
    if choices.whole:
        return min(max(round(value), math.ceil(choices.low)), math.floor(choices.high))
    # Six digits are enough for a draw, and print the same everywhere.
    return min(max(float(f"{value:.6g}"), choices.low), choices.high)


def _chance_shares(families: Sequence[Family], seed: int) -> Shares:
    def shares(at: int, draw: int) -> list[float]:
        chance = random.Random(f"{seed}:{families[at].label}:{draw}")  # noqa: S311
        return [chance.random() for _ in families[at].params]

    return shares


def _even_shares(families: Sequence[Family], seed: int) -> Shares:
    """Give each family a scrambled Halton sequence of its own.

    Source: A. B. Owen, "A randomized Halton algorithm in R" (2017), as SciPy carries it out.
    """
    sequences: Mapping[int, Any] = {
        at: _halton(len(family.params), f"{seed}:{family.label}")
        for at, family in enumerate(families)
        if family.params
    }

    def shares(at: int, _draw: int) -> Sequence[float]:
        return sequences[at].random(1)[0].tolist() if at in sequences else ()

    return shares


def _halton(width: int, seed: str) -> Any:
    import numpy as np
    from scipy.stats import qmc

    number = int.from_bytes(sha256(seed.encode()).digest()[:8], "big")
    return qmc.Halton(width, scramble=True, rng=np.random.default_rng(number))
