"""The schedule of a sweep, before anything runs."""

from __future__ import annotations

import json

import pytest

from crisp_spark.cli.main import main
from crisp_spark.errors import SpecError
from crisp_spark.modeling.engines import histogram
from crisp_spark.modeling.engines.choice import engines_for
from crisp_spark.modeling.groups import SweepData
from crisp_spark.modeling.schedule import schedule
from crisp_spark.modeling.search import plan_trials
from crisp_spark.results.sweep import TrialResult
from crisp_spark.spec.estimators import estimator
from crisp_spark.spec.modeling import Family, ModelingSpec, Search

BOOSTED = {"maxIter": [5, 10, 20, 40], "maxDepth": [3, 5], "stepSize": [0.1, 0.2]}


def planned(kind="gradient_boosting", params=BOOSTED):
    family = Family(kind=kind, params=params)
    return plan_trials([(family, estimator(kind, "binary"))], Search(), seed=1)


def told(mode, trials=None, **more):
    data = SweepData("binary", 2, 1000, 10, 0, False, 3, mode=mode)
    spec = ModelingSpec(search=Search(mode=mode))
    return schedule(trials or planned(), data, engines_for(spec), **more)


def test_one_fit_serves_all_numbers_of_iterations():
    found = told("exact", planned(params=BOOSTED | {"subsamplingRate": 0.8}))
    assert (found.fits_asked, found.fits, found.label) == (48, 12, "exact")
    assert {group.engine for group in found.groups} == {"mllib-shared"}
    assert found.jobs * 1.8 < found.jobs_asked


def test_exact_boosting_on_numbers_needs_few_jobs_where_splits_are_certain():
    found = told("exact")
    assert (found.fits, found.label) == (12, "exact")
    assert {group.engine for group in found.groups} == {"histogram-proved"}
    assert "as long as every split is certainly MLlib's" in found.groups[0].why
    assert found.jobs < 60


def test_fast_mode_says_equivalent_and_needs_few_jobs():
    found = told("fast")
    assert (found.fits, found.label) == (12, "equivalent")
    assert {group.engine for group in found.groups} == {"histogram"}
    assert found.jobs < 60


def test_time_and_money_come_from_like_trials_of_an_earlier_run():
    def earlier(engine):
        return TrialResult(
            name="t",
            family="gradient_boosting",
            params={},
            status="finished",
            seconds=10.0,
            engine=engine,
        )

    assert told("exact").seconds is None
    drawn = planned(params=BOOSTED | {"subsamplingRate": 0.8})
    assert told("exact", drawn, history=[earlier("mllib-shared")]).seconds == 160
    found = told("exact", history=[earlier("mllib")], usd_per_hour=9.0)
    assert (found.seconds, found.usd) == (40, 0.1)


def test_fast_mode_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(histogram, "find_spec", lambda _: None)
    with pytest.raises(SpecError, match="needs the package lightgbm") as caught:
        engines_for(ModelingSpec(search=Search(mode="fast")))
    assert "crisp-spark[fast]" in caught.value.hint
    linear = [{"kind": "linear_regression"}]
    assert engines_for(
        ModelingSpec.model_validate({"search": {"mode": "fast"}, "families": linear})
    )


def test_the_command_explains_a_project_that_has_never_run(tmp_path, capsys):
    assert main(["example", "wine", str(tmp_path)]) == 0
    capsys.readouterr()
    project = str(tmp_path / "crisp.yml")
    assert main(["sweep", "explain", "--project", project, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fits_asked"] == found["trials"] * found["folds"]
    assert sum(len(group["trials"]) for group in found["groups"]) == found["trials"]
    assert any("assumed" in words for words in found["assumptions"])
    assert main(["sweep", "explain", "--project", project]) == 0
    assert "fits asked for" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "rounds"),
    [
        ({"validation": "k_fold"}, 4),
        ({"validation": "repeated", "repeats": 3}, 12),
        ({"validation": "sliding", "window": 2}, 2),
        ({"validation": "expanding"}, 3),
    ],
)
def test_the_rounds_are_those_that_the_sweep_plans(tmp_path, capsys, settings, rounds):
    assert main(["example", "wine", str(tmp_path)]) == 0
    capsys.readouterr()
    words = ["sweep", "explain", "--project", str(tmp_path / "crisp.yml"), "--json"]
    words += ["--set", "preparation.split.folds=4"]
    for name, value in settings.items():
        words += ["--set", f"modeling.{name}={value}"]
    assert main([*words, "--set", "modeling.search.kind=halving"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["folds"] == rounds
    assert any(words.startswith("halving decides on the way") for words in found["assumptions"])
