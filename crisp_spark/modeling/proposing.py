"""Proposals by what was seen: a tree-structured Parzen estimator, carried out by Optuna.

The study is over fit groups: where a list of numbers of boosting rounds is declared, one fit serves
them all, so a proposal takes the whole list and is judged by its best member.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crisp_spark.errors import SpecError
from crisp_spark.modeling.drawing import choices_of, draws, rounded
from crisp_spark.modeling.rounds import Results
from crisp_spark.modeling.search import PlannedTrial, named
from crisp_spark.results.sweep import RungResult
from crisp_spark.spec.base import canonical_json
from crisp_spark.spec.estimators import EstimatorInfo
from crisp_spark.spec.modeling import Between, Family
from crisp_spark.spec.search import Search

_FREE = {"gradient_boosting": "maxIter", "lightgbm": "numIterations", "xgboost": "numRound"}
"""Hyperparameter whose smaller values come out of the fit of its largest."""

_FAMILY = "family"
_MOST_ASKED = 8
"""A small space runs out of new points; this many repeated proposals end the search."""

Point = tuple[int, dict[str, Any]]
"""Place of the family, and the hyperparameters that the study chooses."""


@dataclass
class Proposing:
    """A study under way.

    Every round is asked of a sampler that is seeded anew and has been told all results before, so
    the points depend on nothing but those; ``remembered`` holds the rounds of an earlier attempt,
    which are not asked again.

    Attributes:
        families: Families and what is known of them.
        search: Number of points, size of a round.
        seed: Seed.
        sign: 1 where a higher metric is better, else -1.
        remembered: Rounds of an interrupted attempt, by name.
        remember: Told of every new round (name, points) before its trials start.
    """

    families: Sequence[tuple[Family, EstimatorInfo]]
    search: Search
    seed: int
    sign: float
    remembered: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    remember: Callable[[str, Mapping[str, Any]], None] = lambda _name, _entry: None
    _asked: list[Point] = field(default_factory=list)
    _members: list[tuple[PlannedTrial, ...]] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=dict)
    _rounds: int = 0

    @property
    def planned(self) -> int:
        """Trials of the whole search: every member of every point."""
        largest = max(len(_members(family, {})) for family, _ in self.families)
        given = sum(map(len, self._members))
        return given + (self.search.trials - len(self._asked)) * largest

    def next(self, results: Results) -> tuple[PlannedTrial, ...]:
        """Return the trials of the next points."""
        left = self.search.trials - len(self._asked)
        if left <= 0:
            return ()
        name = f"search-round-{self._rounds + 1:04d}"
        entry = self.remembered.get(name)
        if entry is not None:
            points = [(int(at), dict(params)) for at, params in entry["points"]]
        else:
            points = self._even(left) if not self._rounds else self._propose(left, results)
            self.remember(name, {"points": [[at, params] for at, params in points]})
        self._rounds += 1
        return tuple(trial for point in points for trial in self._take(point))

    def _take(self, point: Point) -> tuple[PlannedTrial, ...]:
        family, params = self.families[point[0]], point[1]
        found = named([family], [_members(family[0], params)], self._counts)
        label = family[0].label
        self._counts[label] = self._counts.get(label, 0) + len(found)
        self._asked.append(point)
        self._members.append(found)
        return found

    def rungs(self, results: Results) -> list[RungResult]:
        """Return nothing: no trial is cut short."""
        del results
        return []

    def _even(self, left: int) -> list[Point]:
        spaces = [_chosen(family) for family, _ in self.families]
        found = draws(spaces, self.search, self.seed, most=min(left, self.search.startup))
        return [(at, params) for at, each in enumerate(found) for params in each]

    def _propose(self, left: int, results: Results) -> list[Point]:
        study = self._study(results)
        seen = {canonical_json([at, params]) for at, params in self._asked}
        found: list[Point] = []
        for _ in range(self.search.batch * _MOST_ASKED):
            if len(found) >= min(self.search.batch, left):
                break
            point = self._ask(study.ask())
            if (key := canonical_json(list(point))) not in seen:
                seen.add(key)
                found.append(point)
        return found

    def _ask(self, trial: Any) -> Point:
        at = trial.suggest_categorical(_FAMILY, list(range(len(self.families))))
        space, params = _chosen(self.families[at][0]), dict[str, Any]()
        for name in _in_order(space):
            if space.exists(name, params):
                label, choices = f"{at}.{name}", space.params[name]
                if isinstance(choices, Between):
                    params[name] = _suggest(trial, label, choices)
                else:
                    values = choices_of(name, choices)
                    params[name] = values[trial.suggest_int(label, 0, len(values) - 1)]
        return at, {name: params[name] for name in space.params if name in params}

    def _study(self, results: Results) -> Any:
        optuna = load_optuna()
        with warnings.catch_warnings():
            # One of its settings is called experimental by some versions.
            warnings.simplefilter("ignore")
            sampler = optuna.samplers.TPESampler(
                seed=(self.seed + len(self._asked)) % 2**32,
                n_startup_trials=1,
                constant_liar=True,
            )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        state = optuna.trial.TrialState
        for (at, params), members in zip(self._asked, self._members, strict=True):
            metrics = [r.metric for m in members if (r := results.get(m.key)) is not None]
            values = [self.sign * metric for metric in metrics if metric is not None]
            told, kinds = self._told(at, params, optuna)
            study.add_trial(
                optuna.trial.create_trial(
                    state=state.COMPLETE if values else state.FAIL,
                    value=max(values) if values else None,
                    params=told,
                    distributions=kinds,
                )
            )
        return study

    def _told(
        self, at: int, params: Mapping[str, Any], optuna: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        kinds = optuna.distributions
        every = list(range(len(self.families)))
        told: dict[str, Any] = {_FAMILY: at}
        found: dict[str, Any] = {_FAMILY: kinds.CategoricalDistribution(every)}
        for name, value in params.items():
            label, choices = f"{at}.{name}", self.families[at][0].params[name]
            if isinstance(choices, Between):
                told[label], found[label] = value, _distribution(choices, kinds)
            else:
                values = [_plain(each) for each in choices_of(name, choices)]
                told[label] = values.index(_plain(value))
                found[label] = kinds.IntDistribution(0, len(values) - 1)
        return told, found


def load_optuna() -> Any:
    """Import Optuna.

    Raises:
        SpecError: It is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise SpecError(
            "modeling.search.kind: tpe needs Optuna, which is not installed",
            hint="pip install 'crisp-spark[search]', or take quasi_random",
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _chosen(family: Family) -> Family:
    """Return the family without the hyperparameter that one fit serves in all its values."""
    free = _free(family)
    if free is None:
        return family
    kept = {name: choices for name, choices in family.params.items() if name != free}
    return family.model_copy(update={"params": kept})


def _free(family: Family) -> str | None:
    name = _FREE.get(family.kind)
    tied = set(family.only_if) | {other for others in family.only_if.values() for other in others}
    if name is None or name in tied or isinstance(family.params.get(name, ()), Between):
        return None
    return name if len(family.params.get(name, ())) > 1 else None  # type: ignore[arg-type]


def _members(family: Family, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    free = _free(family)
    if free is None:
        return [dict(params)]
    return [{**params, free: value} for value in choices_of(free, family.params[free])]


def _in_order(family: Family) -> list[str]:
    """Return the hyperparameters, each behind those that it depends on."""
    found: list[str] = []

    def visit(name: str) -> None:
        for other in family.only_if.get(name, {}):
            visit(other)
        if name not in found:
            found.append(name)

    for name in family.params:
        visit(name)
    return found


def _suggest(trial: Any, label: str, choices: Between) -> float:
    if choices.whole:
        low, high = round(rounded(choices, choices.low)), round(rounded(choices, choices.high))
        return int(trial.suggest_int(label, low, high, log=choices.log))
    return rounded(choices, trial.suggest_float(label, choices.low, choices.high, log=choices.log))


def _distribution(choices: Between, kinds: Any) -> Any:
    if choices.whole:
        low, high = round(rounded(choices, choices.low)), round(rounded(choices, choices.high))
        return kinds.IntDistribution(low, high, log=choices.log)
    return kinds.FloatDistribution(choices.low, choices.high, log=choices.log)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
