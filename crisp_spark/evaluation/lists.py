"""How good the top of each user's list is (recommendation)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crisp_spark.evaluation.estimates import Estimate, Floats, mean_of, undefined


def _ranks(user: NDArray[np.intp], by: Floats) -> NDArray[np.intp]:
    """Rank of each row in its user's list, 0 first, by falling ``by``; ties by row order."""
    order = np.lexsort((np.arange(by.size), -by, user))
    sorted_user = user[order]
    starts = np.flatnonzero(np.r_[True, sorted_user[1:] != sorted_user[:-1]])
    lengths = np.diff(np.r_[starts, by.size])
    ranks = np.empty(by.size, dtype=np.intp)
    ranks[order] = np.arange(by.size) - np.repeat(starts, lengths)
    return ranks


def _shared(user: NDArray[np.intp], by: Floats, gains: Floats) -> Floats:
    """Gains, shared evenly among a user's rows of equal ``by``: their order would be chance."""
    order = np.lexsort((by, user))
    differs = (np.diff(user[order]) != 0) | (np.diff(by[order]) != 0)
    tie = np.cumsum(np.r_[0, differs])
    means = np.bincount(tie, weights=gains[order]) / np.bincount(tie)
    shared = np.empty(gains.size)
    shared[order] = means[tie]
    return shared


def _per_user(user: NDArray[np.intp], values: Floats, users: int) -> Floats:
    return np.bincount(user, weights=values, minlength=users).astype(np.float64)


def precision_at_k(
    user: NDArray[np.intp] | None, label: Floats, score: Floats, *, k: int, relevant_from: float
) -> Estimate:
    """Share of the k best-scored rows of a user that are relevant, averaged over users.

    Only rows with a known rating are ranked; users without a relevant row are left out. Where a
    user has fewer than k rows, the share is of those; rows of equal score count as in the mean of
    all their orders. (Herlocker et al., ACM TOIS 22, 2004.)

    Args:
        user: Code of the user, 0..; shape (rows,).
        label: Known rating; shape (rows,).
        score: Predicted rating; shape (rows,).
        k: Length of the list.
        relevant_from: A rating of at least this is relevant.
    """
    if user is None or user.size == 0:
        return undefined("no users")
    users = int(user.max()) + 1
    relevant = (label >= relevant_from).astype(np.float64)
    on_list = (_ranks(user, score) < k).astype(np.float64)
    hits = _per_user(user, _shared(user, score, relevant) * on_list, users)
    length = _per_user(user, on_list, users)
    judged = _per_user(user, relevant, users) > 0
    if not judged.any():
        return undefined("no user has a relevant row")
    return mean_of(hits[judged] / length[judged])


def ndcg_at_k(
    user: NDArray[np.intp] | None, label: Floats, score: Floats, *, k: int, relevant_from: float
) -> Estimate:
    """Discounted cumulative gain of the k best-scored rows over that of the best order.

    Gain 1 for a relevant row, discount 1 / log2(rank + 1), averaged over users with a relevant
    row (Jarvelin and Kekalainen, ACM TOIS 20, 2002); rows of equal score count as in the mean of
    all their orders (McSherry and Najork, ECIR 2008).

    Args:
        user: Code of the user, 0..; shape (rows,).
        label: Known rating; shape (rows,).
        score: Predicted rating; shape (rows,).
        k: Length of the list.
        relevant_from: A rating of at least this is relevant.
    """
    if user is None or user.size == 0:
        return undefined("no users")
    users = int(user.max()) + 1
    relevant = (label >= relevant_from).astype(np.float64)

    def gain(by: Floats) -> Floats:
        rank = _ranks(user, by)
        gains = _shared(user, by, relevant)
        return _per_user(user, np.where(rank < k, gains / np.log2(rank + 2.0), 0.0), users)

    best = gain(relevant)
    judged = best > 0
    if not judged.any():
        return undefined("no user has a relevant row")
    return mean_of(gain(score)[judged] / best[judged])
