"""Searches of several rounds, on a made-up metric: no learner, no Spark."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from crisp_spark.modeling import searching
from crisp_spark.modeling.executing import Executed
from crisp_spark.modeling.features import FeaturePlan
from crisp_spark.modeling.groups import Work
from crisp_spark.modeling.planning import SweepTask, plan_sweep
from crisp_spark.modeling.proposing import Proposing
from crisp_spark.modeling.rounds import kept, rank_correlation, shares_from
from crisp_spark.modeling.search import plan_trials
from crisp_spark.modeling.searching import search_through
from crisp_spark.modeling.winner import choose_winner
from crisp_spark.results.sweep import TrialResult
from crisp_spark.spec.business import MiningGoal
from crisp_spark.spec.modeling import ModelingSpec

GOAL = MiningGoal(problem="binary", target="y", positive=1)
BOOST = {
    "kind": "gradient_boosting",
    "params": {
        "maxDepth": {"low": 2, "high": 9, "whole": True},
        "stepSize": {"low": 0.01, "high": 1.0, "log": True},
        "maxIter": [10, 40],
    },
}
LINEAR = {
    "kind": "logistic_regression",
    "params": {"regParam": {"low": 1e-4, "high": 1, "log": True}},
}


def worth(trial):
    """A metric with its best value at depth 6 and step 0.1; more rounds are better."""
    params = trial.params
    if trial.family.kind == "logistic_regression":
        return 0.6 - 0.01 * abs(math.log10(params["regParam"]) + 2)
    far = abs(params["maxDepth"] - 6) / 8 + abs(math.log10(params["stepSize"]) + 1) / 4
    rows = 0.0 if trial.rows is None else 1 / trial.rows
    return 0.8 - 0.1 * far - 0.02 / params["maxIter"] - rows


@pytest.fixture
def run(monkeypatch):
    """Carry out a search on the made-up metric."""

    def carried(plan, _work, task, _engines):
        executed = Executed([], {})
        for trial in plan.trials:
            reason = task.must_stop() if executed.trials else ""
            if reason:
                executed.stopped = reason
                break
            known = task.finished.get(trial.key)
            fields = known or {"status": "finished", "metric": worth(trial), "fold_metrics": [0.1]}
            result = TrialResult(
                name=trial.name,
                family=trial.family.label,
                params=dict(trial.params),
                resumed=known is not None,
                **fields,
            )
            executed.trials.append(result)
            task.on_trial(trial.key, result)
        return executed

    monkeypatch.setattr(searching, "carry_out", carried)

    def go(spec, **more):
        task = SweepTask(ModelingSpec.model_validate(spec), GOAL, FeaturePlan(), seed=5, **more)
        work = Work(None, (), None)
        sampled = []

        def sample(rows):
            sampled.append(rows)
            return SimpleNamespace(release=lambda: None)

        plan = plan_sweep(task, (0, 1, 2), rows=1000)
        plan, executed = search_through(plan, work, task, (), sample)
        return plan, executed, sampled

    return go


def test_quasi_random_draws_cover_a_range_evenly_and_are_seeded():
    def points(kind, seed=3):
        fields = {"families": [LINEAR], "search": {"kind": kind, "trials": 32}}
        spec = ModelingSpec.model_validate(fields)
        found = plan_trials(spec.families_for("binary"), spec.search, seed=seed)
        return [math.log10(t.params["regParam"]) for t in found]

    even = points("quasi_random")
    assert even == points("quasi_random")
    assert even != points("quasi_random", seed=4)
    # 32 points in 8 equal parts: the sequence puts 4 into each; chance does not.
    assert {[int((p + 4) * 2) for p in even].count(part) for part in range(8)} == {4}
    by_chance = [[int((p + 4) * 2) for p in points("random")].count(part) for part in range(8)]
    assert max(by_chance) > 4


def test_a_parameter_exists_only_under_its_condition():
    family = {
        "kind": "linear_regression",
        "params": {
            "solver": ["normal", "l-bfgs"],
            "elasticNetParam": [0.0, 0.5, 1.0],
            "regParam": [0.1],
        },
        "only_if": {"elasticNetParam": {"solver": ["l-bfgs"]}},
    }
    for search in ({}, {"search": {"kind": "random", "trials": 50}}):
        spec = ModelingSpec.model_validate({"families": [family], **search})
        found = plan_trials(spec.families_for("regression"), spec.search, seed=1)
        assert len(found) == 4  # one normal, three l-bfgs
        assert all(
            ("elasticNetParam" in t.params) == (t.params["solver"] == "l-bfgs") for t in found
        )


@pytest.mark.parametrize(
    ("only_if", "words"),
    [
        ({"gone": {"solver": ["normal"]}}, "'gone' is not among params"),
        ({"regParam": {"solver": ["adam"]}}, "'adam' is never tried"),
        ({"regParam": {"solver": ["normal"]}, "solver": {"regParam": [0.1]}}, "in a circle"),
    ],
)
def test_a_condition_that_cannot_hold_is_refused(only_if, words):
    params = {"solver": ["normal"], "regParam": [0.1]}
    with pytest.raises(ValidationError, match=words):
        ModelingSpec.model_validate(
            {"families": [{"kind": "linear_regression", "params": params, "only_if": only_if}]}
        )


def test_halving_takes_the_best_quarter_further_and_others_cannot_win(run):
    search = {"kind": "halving", "trials": 16}
    plan, executed, _ = run({"families": [BOOST], "search": search})
    small = [t for t in executed.trials if t.share < 1]
    full = [t for t in executed.trials if t.share == 1]
    assert (len(small), len(full)) == (16, 4)
    assert {t.params["maxIter"] for t in small} <= {2, 10}
    assert all(t.name.endswith("@0.25") for t in small)
    best, _ = choose_winner(executed.trials, higher_is_better=True, one_standard_error=False)
    assert best.share == 1
    (first, last) = plan.search.rungs(
        {t.key: r for t, r in zip(plan.trials, executed.trials, strict=True)}
    )
    assert (first.trials, first.kept, last.trials, last.kept) == (16, 4, 4, 0)
    assert first.agreement is not None
    assert first.best >= first.cut


def test_halving_on_rows_samples_them_and_families_without_iterations_are_fitted_once(run):
    search = {"kind": "halving", "trials": 8, "resource": "rows", "eta": 2, "smallest": 0.25}
    _, executed, sampled = run({"families": [BOOST], "search": search})
    assert sampled == [250, 500]
    assert [t.share for t in executed.trials] == [0.25] * 8 + [0.5] * 4 + [1.0] * 2
    search = {"kind": "halving", "trials": 8}
    plan, executed, _ = run({"families": [LINEAR], "search": search})
    assert len(executed.trials) == len(plan.trials) == 8
    assert {t.share for t in executed.trials} == {1.0}


def test_hyperband_hedges_between_many_small_and_few_full(run):
    search = {"kind": "hyperband", "trials": 24, "eta": 2, "smallest": 0.25}
    plan, executed, _ = run({"families": [BOOST], "search": search})
    rungs = plan.search.rungs({t.key: r for t, r in zip(plan.trials, executed.trials, strict=True)})
    assert [(r.bracket, r.share) for r in rungs] == [
        (1, 0.25),
        (1, 0.5),
        (1, 1.0),
        (2, 0.5),
        (2, 1.0),
        (3, 1.0),
    ]
    assert (
        sum(r.trials for r in rungs if (r.bracket, r.share) in {(1, 0.25), (2, 0.5), (3, 1.0)})
        == 24
    )
    assert rungs[0].trials > rungs[3].trials >= rungs[5].trials > 0
    assert executed.stopped == ""


def test_proposals_gather_where_it_is_good_and_one_fit_serves_all_rounds(run):
    search = {"kind": "tpe", "trials": 30, "startup": 10, "batch": 4}
    rounds = {}
    keep = {"on_round": lambda name, entry: rounds.update({name: entry})}
    plan, executed, _ = run({"families": [BOOST, LINEAR], "search": search}, **keep)
    groups = {
        (t.params.get("maxDepth"), t.params.get("stepSize"), t.params.get("regParam"))
        for t in executed.trials
    }
    assert len(groups) == 30
    assert {t.params["maxIter"] for t in executed.trials if "maxIter" in t.params} == {10, 40}
    assert len({t.name for t in plan.trials}) == len(plan.trials)
    late = [t for t in executed.trials[-16:] if t.family == "gradient_boosting"]
    assert len(late) >= 12  # the better family is proposed more often
    assert len(rounds) == 1 + 5
    best = max(t.metric for t in executed.trials)
    assert best > 0.78


def test_a_restarted_study_goes_on_with_the_same_points(run):
    search = {"kind": "tpe", "trials": 12, "startup": 6, "batch": 3}
    spec = {"families": [BOOST, LINEAR], "search": search}
    journal = {}
    keep = {
        "on_round": lambda name, entry: journal.update({name: entry}),
        "on_trial": lambda key, t: journal.update(
            {key: t.model_dump(include={"status", "metric", "fold_metrics"})}
        ),
    }
    whole_plan, whole, _ = run(spec, **keep)
    for cut in range(0, len(journal), 3):
        part = dict(list(journal.items())[:cut])
        plan, executed, _ = run(spec, finished=part)
        assert [t.key for t in plan.trials] == [t.key for t in whole_plan.trials]
        assert [t.metric for t in executed.trials] == [t.metric for t in whole.trials]
        assert sum(t.resumed for t in executed.trials) == sum(k.startswith("trial") for k in part)


def test_a_small_space_ends_a_study(run):
    tiny = {"kind": "random_forest", "params": {"maxDepth": [2, 3]}}
    spec = ModelingSpec.model_validate({"families": [tiny], "search": {"kind": "tpe"}})
    study = Proposing(spec.families_for("binary"), spec.search, 1, 1.0)
    first = study.next({})
    assert len(first) == 2
    results = {
        t.key: TrialResult(name=t.name, family="f", params={}, status="finished", metric=0.5)
        for t in first
    }
    assert study.next(results) == ()


@pytest.mark.parametrize("kind", ["halving", "hyperband", "tpe", "grid"])
def test_a_budget_of_trials_holds_over_all_rounds(run, kind):
    ranged = BOOST if kind != "grid" else {**BOOST, "params": {"maxIter": [1, 2, 3, 4, 5, 6, 7, 8]}}
    if kind == "grid":
        ranged["params"] |= {"maxDepth": [6], "stepSize": [0.1]}
    spec = {
        "families": [ranged],
        "search": {"kind": kind, "trials": 16},
        "budget": {"max_trials": 5},
    }
    plan, executed, _ = run(spec)
    assert len(executed.trials) == 5
    assert plan.left_out > 0


def test_the_words_of_a_watcher_stop_the_search_and_progress_is_told(run):
    told = []
    search = {"kind": "halving", "trials": 8, "eta": 2}
    _, executed, _ = run(
        {"families": [BOOST], "search": search, "budget": {"max_trials": 100}},
        must_stop=lambda: "cap reached" if len(told) >= 3 else "",
        on_progress=told.append,
    )
    assert len(executed.trials) == len(told) == 3
    assert executed.stopped == "cap reached"
    assert [p.done for p in told] == [1, 2, 3]
    assert told[0].planned == 8 + 4 + 2
    assert told[-1].best is None  # none was fitted in full yet


def test_shares_of_rungs_rise_to_all():
    assert shares_from(0.25, 4) == (0.25, 1.0)
    assert shares_from(0.1, 3) == pytest.approx((0.1, 1 / 9, 1 / 3, 1.0))
    assert shares_from(0.5, 4) == (0.5, 1.0)
    assert [kept(n, 4) for n in (1, 3, 4, 9)] == [1, 1, 1, 2]


def test_rank_correlation_shares_ties():
    assert rank_correlation([1, 2, 3], [10, 20, 30]) == 1
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == -1
    assert rank_correlation([1, 1, 2], [1, 1, 2]) == 1
    assert rank_correlation([1, 2], [1, 2]) is None
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None
