"""Searches as rounds of trials: what is tried next depends on what came of the rounds before."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from crisp_spark.modeling.search import PlannedTrial, at_rung
from crisp_spark.results.sweep import RungResult, TrialResult
from crisp_spark.spec.search import Search

Results = Mapping[str, TrialResult]
"""Records by the key of their trial."""

_TOP = 1.0


class Rounds(Protocol):
    """A search under way. The same results give the same rounds."""

    @property
    def planned(self) -> int:
        """Trials of the whole search, as far as that is known beforehand."""
        ...

    def next(self, results: Results) -> tuple[PlannedTrial, ...]:
        """Return the next trials to try; none when the search is over.

        Args:
            results: What came of all trials so far.
        """
        ...

    def rungs(self, results: Results) -> list[RungResult]:
        """Return how trials were sifted; empty for a search without rungs."""
        ...


@dataclass
class OneRound:
    """A search that knows all its trials beforehand.

    Attributes:
        trials: Trials in order.
    """

    trials: tuple[PlannedTrial, ...]
    _given: bool = False

    @property
    def planned(self) -> int:
        """Trials of the whole search."""
        return len(self.trials)

    def next(self, results: Results) -> tuple[PlannedTrial, ...]:
        """Return all trials, once."""
        del results
        given, self._given = self._given, True
        return () if given else self.trials

    def rungs(self, results: Results) -> list[RungResult]:
        """Return nothing: no trial is cut short."""
        del results
        return []


@dataclass(frozen=True)
class Bracket:
    """Trials that are sifted together.

    Attributes:
        trials: Trials in full.
        shares: Share of the resource at each rung, rising to 1.
    """

    trials: tuple[PlannedTrial, ...]
    shares: tuple[float, ...]


@dataclass
class Sifting:
    """Successive halving, bracket by bracket.

    Every rung fits what is left with ``eta`` times as much as the rung before, and the best
    1/``eta`` go on. Sources: K. Jamieson and A. Talwalkar, "Non-stochastic best arm
    identification and hyperparameter optimization" (2016); L. Li et al., "Hyperband" (2018).

    Attributes:
        brackets: Brackets in order.
        search: Resource and ``eta``.
        sign: 1 where a higher metric is better, else -1.
        total: Training rows of a full fit, where rows are the resource.
    """

    brackets: Sequence[Bracket]
    search: Search
    sign: float
    total: int
    _bracket: int = 0
    _rung: int = -1
    _left: tuple[PlannedTrial, ...] = ()
    _seen: list[tuple[int, float, tuple[PlannedTrial, ...]]] = field(default_factory=list)

    @property
    def planned(self) -> int:
        """Fits of the whole search, reused ones included."""
        found = 0
        for bracket in self.brackets:
            left = len(bracket.trials)
            for _ in bracket.shares:
                found += left
                left = kept(left, self.search.eta)
        return found

    def next(self, results: Results) -> tuple[PlannedTrial, ...]:
        """Return the trials of the next rung."""
        while self._bracket < len(self.brackets):
            bracket = self.brackets[self._bracket]
            self._left = self._best(results) if self._rung >= 0 else bracket.trials
            self._rung += 1
            if self._rung < len(bracket.shares) and self._left:
                share = bracket.shares[self._rung]
                self._seen.append((self._bracket, share, self._left))
                return tuple(self._at(trial, share) for trial in self._left)
            self._bracket, self._rung = self._bracket + 1, -1
        return ()

    def rungs(self, results: Results) -> list[RungResult]:
        """Return how trials were sifted, rung by rung."""
        found = []
        for at, (bracket, share, trials) in enumerate(self._seen):
            after = self._seen[at + 1] if at + 1 < len(self._seen) else None
            goes_on = after[2] if after is not None and after[0] == bracket else ()
            known = self._metrics(trials, share, results)
            found.append(
                RungResult(
                    bracket=bracket + 1,
                    share=share,
                    resource=self.search.resource,
                    trials=len(trials),
                    kept=len(goes_on),
                    best=max(known.values(), key=lambda v: self.sign * v) if known else None,
                    cut=self._cut(goes_on, known),
                    agreement=self._agreement(goes_on, known, after[1], results)
                    if after is not None
                    else None,
                )
            )
        return found

    def _at(self, trial: PlannedTrial, share: float) -> PlannedTrial:
        if self.search.resource == "iterations" or share >= _TOP:
            return at_rung(trial, share, None)
        return at_rung(trial, share, max(2, round(share * self.total)))

    def _metrics(
        self, trials: Sequence[PlannedTrial], share: float, results: Results
    ) -> dict[str, float]:
        found = {}
        for trial in trials:
            result = results.get(self._at(trial, share).key)
            if result is not None and result.metric is not None:
                found[trial.name] = result.metric
        return found

    def _best(self, results: Results) -> tuple[PlannedTrial, ...]:
        share = self.brackets[self._bracket].shares[self._rung]
        known = self._metrics(self._left, share, results)
        # Stable: of equals the earlier one goes on.
        ranked = sorted(
            (trial for trial in self._left if trial.name in known),
            key=lambda trial: -self.sign * known[trial.name],
        )
        return tuple(ranked[: kept(len(self._left), self.search.eta)])

    def _cut(self, goes_on: Sequence[PlannedTrial], known: Mapping[str, float]) -> float | None:
        values = [known[trial.name] for trial in goes_on if trial.name in known]
        return min(values, key=lambda v: self.sign * v) if values else None

    def _agreement(
        self,
        goes_on: Sequence[PlannedTrial],
        known: Mapping[str, float],
        share: float,
        results: Results,
    ) -> float | None:
        later = self._metrics(goes_on, share, results)
        both = [name for name in later if name in known]
        return rank_correlation([known[n] for n in both], [later[n] for n in both])


def kept(trials: int, eta: int) -> int:
    """Return how many of some trials go on to the next rung: at least one."""
    return max(1, trials // eta)


def shares_from(smallest: float, eta: int) -> tuple[float, ...]:
    """Return the shares of the rungs from ``smallest`` up to 1."""
    steps = max(1, math.ceil(round(-math.log(smallest, eta), 9)))
    return (*(max(smallest, eta**-step) for step in range(steps, 0, -1)), 1.0)


def brackets_of(trials: Sequence[PlannedTrial], search: Search) -> tuple[Bracket, ...]:
    """Return the brackets: one for halving; for Hyperband one for each length of the ladder.

    Hyperband's brackets start with fewer trials the more each gets at first, so that every
    bracket costs about the same.
    """
    shares = shares_from(search.smallest, search.eta)
    if search.kind == "halving":
        return (Bracket(tuple(trials), shares),)
    ladders = [shares[at:] for at in range(len(shares))]
    weights = [search.eta ** (len(ladder) - 1) / len(ladder) for ladder in ladders]
    found, start, done = [], 0, 0.0
    for ladder, weight in zip(ladders, weights, strict=True):
        done += weight
        end = round(len(trials) * done / sum(weights))
        if end > start:
            found.append(Bracket(tuple(trials[start:end]), ladder))
        start = end
    return tuple(found)


def regret_words(rungs: Sequence[RungResult]) -> str:
    """Say what is risked by cutting trials short; empty where none was."""
    cut = [rung for rung in rungs if rung.kept and rung.kept < rung.trials]
    if not cut:
        return ""
    dropped = sum(rung.trials - rung.kept for rung in cut)
    words = f"{dropped} trials were dropped on {cut[0].share:.0%} or more of the {cut[0].resource}"
    known = [rung.agreement for rung in cut if rung.agreement is not None]
    if known:
        words += f"; the order of those that went on agreed by {min(known):.2f} (1: the same order)"
    risk = (
        "a sample of rows favours small models: one that needs all rows may be among the dropped"
        if cut[0].resource == "rows"
        else "one that improves late may be among the dropped"
    )
    return f"{words}; {risk}"


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation, ties shared; None for fewer than three pairs."""
    if len(first) < 3:  # noqa: PLR2004
        return None
    a, b = _ranks(first), _ranks(second)
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    top = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    bottom = math.sqrt(sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b))
    return round(top / bottom, 6) if bottom else None


def _ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]
