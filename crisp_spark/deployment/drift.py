"""How far two distributions over the same bins lie apart, and how far chance alone drives them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

SMALLEST_SHARE = 1e-4
"""An empty bin counts as this share, so that one empty bin does not make the index infinite."""


def shares(counts: Sequence[int]) -> list[float]:
    """Return counts as shares of their sum; all zero where there is nothing to count."""
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]


def population_stability_index(reference: Sequence[int], current: Sequence[int]) -> float:
    """Population stability index: sum of (q - p) ln(q / p) over the bins.

    It is the symmetrised Kullback-Leibler divergence in nats (Jeffreys 1946), as used in credit
    scoring (Siddiqi, Credit Risk Scorecards, 2006). Shares below ``SMALLEST_SHARE`` are raised to
    it.

    Args:
        reference: Counts per bin, shape (bins,).
        current: Counts per bin, shape (bins,).
    """
    pairs = zip(shares(reference), shares(current), strict=True)
    floored = ((max(p, SMALLEST_SHARE), max(q, SMALLEST_SHARE)) for p, q in pairs)
    return sum((q - p) * math.log(q / p) for p, q in floored)


def jensen_shannon_divergence(reference: Sequence[int], current: Sequence[int]) -> float:
    """Jensen-Shannon divergence in bits, 0 (equal) to 1 (disjoint); Lin 1991.

    Args:
        reference: Counts per bin, shape (bins,).
        current: Counts per bin, shape (bins,).
    """
    total = 0.0
    for p, q in zip(shares(reference), shares(current), strict=True):
        middle = (p + q) / 2
        total += sum(x * math.log2(x / middle) for x in (p, q) if x > 0) / 2
    return min(max(total, 0.0), 1.0)


def kolmogorov_smirnov_distance(reference: Sequence[int], current: Sequence[int]) -> float:
    """Largest distance of the two cumulated distributions, on the edges of the bins.

    Args:
        reference: Counts per bin in rising order of the values, shape (bins,).
        current: Counts per bin in the same order, shape (bins,).
    """
    gap = largest = 0.0
    for p, q in zip(shares(reference), shares(current), strict=True):
        gap += q - p
        largest = max(largest, abs(gap))
    return largest


def wasserstein_distance(
    reference: Sequence[int],
    current: Sequence[int],
    *,
    places: tuple[Sequence[float], Sequence[float]],
) -> float | None:
    """Mean way that a row has moved, in standard deviations of the reference.

    First Wasserstein distance, the area between the two cumulated distributions (Vallender 1974),
    with each bin's rows at their mean: tails count with what is really in them, and the distance is
    never below the shift of the mean. The standard deviation is that of the bins' means too. None
    where the reference does not vary.

    Args:
        reference: Counts per bin, shape (bins,).
        current: Counts per bin, shape (bins,).
        places: Mean of the values in each bin, of the reference and now, each of shape (bins,).
    """
    before = list(zip(places[0], shares(reference), strict=True))
    now = list(zip(places[1], shares(current), strict=True))
    middle = sum(place * share for place, share in before)
    spread = math.sqrt(sum(share * (place - middle) ** 2 for place, share in before))
    if not spread:
        return None
    steps = sorted([*before, *((place, -share) for place, share in now)])
    area = gap = 0.0
    for (place, share), (following, _) in pairwise(steps):
        gap += share
        area += abs(gap) * (following - place)
    return area / spread


def psi_noise(bins: int, reference_rows: int, current_rows: int) -> float | None:
    """Return the index that two samples of one population exceed in 1 case of 20.

    For equal populations the index is about (1/n + 1/m) times a chi-squared variable with
    ``bins - 1`` degrees of freedom (Yurdakul and Naranjo 2020). None where it is not defined.
    """
    if bins < 2 or not reference_rows or not current_rows:  # noqa: PLR2004 - one bin cannot move
        return None
    return _chi_squared_95(bins - 1) * (1 / reference_rows + 1 / current_rows)


def ks_noise(reference_rows: int, current_rows: int) -> float | None:
    """Return the distance that equal populations exceed in 1 case of 20 (Smirnov 1948)."""
    if not reference_rows or not current_rows:
        return None
    return 1.3581 * math.sqrt(1 / reference_rows + 1 / current_rows)


def _chi_squared_95(degrees: int) -> float:
    """95th percentile of chi-squared by Wilson and Hilferty (1931); within 1 % from 1 degree on."""
    part = 2 / (9 * degrees)
    return float(degrees * (1 - part + 1.6448536 * math.sqrt(part)) ** 3)
