"""Trees of LightGBM and XGBoost as plain arrays: they answer as the libraries do."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import lightgbm
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crisp_spark.cli.main import main
from crisp_spark.errors import ModelError, SpecError
from crisp_spark.modeling import installed
from crisp_spark.modeling.engines import onetask
from crisp_spark.modeling.engines.boosters import (
    Order,
    Table,
    boost,
    last_below,
    lightgbm_trees,
    native,
    xgboost_trees,
)
from crisp_spark.modeling.engines.choice import engines_for
from crisp_spark.modeling.engines.converting import check_room, nodes_of
from crisp_spark.modeling.groups import SweepData, plan_groups
from crisp_spark.modeling.search import at_rung, plan_trials
from crisp_spark.spec.estimators import BASES, estimator, infos
from crisp_spark.spec.modeling import Family, ModelingSpec, Search


def table(seed=1, rows=600):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4)).round(2)
    x[:, 3] = rng.integers(0, 3, rows)
    pull = x[:, 0] + x[:, 1] ** 2 + x[:, 3] + rng.normal(size=rows) * 0.5
    return x, pull


def walk(nodes, row):
    """Answer of a tree as MLlib saves it, by MLlib's question."""
    node = nodes[0]
    while node["leftChild"] >= 0:
        slot, (threshold,) = (
            node["split"]["featureIndex"],
            node["split"]["leftCategoriesOrThreshold"],
        )
        node = nodes[node["leftChild" if row[slot] <= threshold else "rightChild"]]
    return node["prediction"]


def answers(trees, rows):
    made = [nodes_of(tree) for tree in trees]
    return [sum(walk(nodes, row) for nodes in made) for row in rows]


def edges(trees, base):
    """Rows at and beside every threshold."""
    found = []
    for tree in trees:
        for slot, threshold in zip(tree.slot, tree.threshold, strict=True):
            if slot >= 0:
                for value in (threshold, *np.nextafter(threshold, [-np.inf, np.inf])):
                    row = base.copy()
                    row[slot] = value
                    found.append(row)
    return found


# --- the trees ------------------------------------------------------------------------------------


@pytest.mark.parametrize("problem", ["binary", "regression"])
def test_trees_of_lightgbm_answer_as_lightgbm_does(problem):
    x, pull = table()
    y = (pull > 1).astype(float) if problem == "binary" else 1e4 + 50 * pull
    params = {"objective": problem, "num_leaves": 9, "verbosity": -1, "use_missing": False}
    booster = lightgbm.train(params, lightgbm.Dataset(x, y), 12)
    trees = lightgbm_trees(booster.model_to_string())
    rows = np.array([*x, *edges(trees, x[0]), [1e300, -1e300, -0.0, 1e-40], [np.inf, 0, 0, 0]])
    assert len(rows) > 800
    assert answers(trees, rows) == pytest.approx(
        booster.predict(rows, raw_score=True), abs=1e-9, rel=1e-12
    )


def test_trees_of_xgboost_answer_as_xgboost_does():
    """Recorded from XGBoost, with values that float32 rounds to either side of a threshold."""
    kept = json.loads((Path(__file__).parent / "xgboost_model.json").read_text())
    trees = xgboost_trees(json.dumps(kept["model"]))
    base = np.log(kept["base_score"] / (1 - kept["base_score"]))
    found = base + np.array(answers(trees, kept["rows"]))
    assert found == pytest.approx(kept["margins"], abs=1e-6)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
@example(-float(np.finfo(np.float32).max))
@example(float(np.finfo(np.float32).max))
@example(0.0)
def test_the_threshold_is_the_last_double_that_float32_keeps_below(cut):
    single = np.array([cut], dtype=np.float32)
    (last,) = last_below(single)
    with np.errstate(over="ignore"):
        assert np.float32(last) < single[0]
        assert np.float32(np.nextafter(last, np.inf)) >= single[0]


def test_live_xgboost_and_its_trees():
    xgboost = pytest.importorskip("xgboost")
    x, pull = table()
    rows = x
    for problem, y in (
        ("binary", (pull > 1).astype(float)),
        ("regression", 100 + 5 * pull),
        ("multiclass", np.digitize(pull, [0.5, 2]).astype(float)),
    ):
        weights = 1.0 + x[:, 3]
        params = {"numRound": 8, "maxDepth": 3, "eta": 0.3}
        parts = boost(Order("xgboost", problem, params, 3, seed=7), Table(x, y, weights))
        assert len(parts) == (3 if problem == "multiclass" else 1)
        for at, trees in enumerate(parts):
            label = (y == at).astype(float) if problem == "multiclass" else y
            told = "reg:squarederror" if problem == "regression" else "binary:logistic"
            data = xgboost.DMatrix(x, label=label, weight=weights)
            own = {"objective": told, "max_depth": 3, "eta": 0.3, "seed": 7, "nthread": 1}
            own["base_score"] = float(np.float32(np.average(label, weights=weights)))
            expected = xgboost.train(own, data, 8).predict(
                xgboost.DMatrix(rows), output_margin=True
            )
            assert answers(trees, rows) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("objective", ["reg:absoluteerror", "reg:pseudohubererror"])
def test_live_xgboost_by_other_objectives(objective):
    xgboost = pytest.importorskip("xgboost")
    x, pull = table()
    params = {"numRound": 8, "maxDepth": 3, "objective": objective, "treeMethod": "exact"}
    params |= {"minChildWeight": 2.0, "gamma": 0.1, "regAlpha": 0.1, "regLambda": 2.0}
    if objective.endswith("absoluteerror"):
        params["treeMethod"] = "approx"
    (trees,) = boost(Order("xgboost", "regression", params, 0, seed=7), Table(x, pull, None))
    own = {**native(params), "seed": 7, "nthread": 1, "base_score": float(np.median(pull))}
    own.pop("num_round")
    expected = xgboost.train(own, xgboost.DMatrix(x, label=pull), 8).predict(xgboost.DMatrix(x))
    assert answers(trees, x) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_several_classes_are_each_boosted_against_the_rest():
    x, pull = table()
    y = np.digitize(pull, [0.5, 2]).astype(float)
    order = Order("lightgbm", "multiclass", {"numIterations": 3}, 3, seed=7)
    together = boost(order, Table(x, y, None))
    for at, trees in enumerate(together):
        alone = Order("lightgbm", "binary", order.params, 2, seed=7)
        (own,) = boost(alone, Table(x, (y == at).astype(float), None))
        assert answers(trees, x[:50]) == answers(own, x[:50])


@pytest.mark.parametrize(
    "more",
    [
        {"objective": "regression_l1"},
        {"objective": "huber", "alpha": 0.7},
        {"objective": "quantile", "alpha": 0.2},
        {"maxDepth": 2, "lambdaL1": 0.1, "lambdaL2": 2.0, "minGainToSplit": 0.1},
        {"minDataInLeaf": 3, "minSumHessianInLeaf": 5.0, "maxBin": 15, "pathSmooth": 1.0},
        {"extraTrees": True, "featureFraction": 0.5, "seed": 11},
    ],
)
def test_every_setting_of_lightgbm_is_told_to_it(more):
    x, pull = table()
    params = {"numIterations": 6, "numLeaves": 6, "learningRate": 0.3, **more}
    order = Order("lightgbm", "regression", params, 0, seed=7)
    (trees,) = boost(order, Table(x, pull, None))
    own = {"objective": "regression", "seed": 7, **native(params), "verbosity": -1}
    own |= {"deterministic": True, "force_col_wise": True, "num_threads": 1}
    own.pop("num_iterations")
    expected = lightgbm.train(own, lightgbm.Dataset(x, pull), 6).predict(x)
    assert answers(trees, x) == pytest.approx(expected, abs=1e-9)
    plain = Order("lightgbm", "regression", {"numIterations": 6}, 0, seed=7)
    (other,) = boost(plain, Table(x, pull, None))
    assert answers(other, x) != pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_a_class_that_a_fold_lacks_gets_the_smallest_score(kind):
    pytest.importorskip(kind)
    x, pull = table()
    rounds = {"lightgbm": "numIterations", "xgboost": "numRound"}[kind]
    order = Order(kind, "multiclass", {rounds: 3}, 3, seed=7)
    y = (pull > 1).astype(float)
    first, second, lacking = (answers(t, x) for t in boost(order, Table(x, y, None)))
    assert np.isfinite(lacking).all()
    assert max(lacking) < min(*first, *second)


def test_a_tree_without_a_split_is_a_leaf_and_importances_are_the_librarys_gains():
    x, pull = table()
    order = Order("lightgbm", "regression", {"numIterations": 4}, 0, seed=7)
    ((constant,),) = boost(order, Table(x, np.full(len(x), 3.0), None))
    assert answers([constant], x[:1]) == [3.0]
    booster = lightgbm.train(
        {"objective": "regression", "verbosity": -1, "seed": 7, "num_threads": 1},
        lightgbm.Dataset(x, pull),
        5,
    )
    gains = np.zeros(4)
    for tree in lightgbm_trees(booster.model_to_string()):
        for node in nodes_of(tree):
            if node["leftChild"] >= 0:
                gains[node["split"]["featureIndex"]] += node["gain"] * node["impurityStats"][0]
    assert gains == pytest.approx(booster.feature_importance("gain"), rel=1e-4)


def test_splits_by_categories_are_refused():
    x, pull = table()
    data = lightgbm.Dataset(x, pull, categorical_feature=[3])
    booster = lightgbm.train({"verbosity": -1, "min_data_per_group": 1, "cat_smooth": 0}, data, 2)
    with pytest.raises(ValueError, match="categories"):
        lightgbm_trees(booster.model_to_string())


def test_names_become_the_librarys_own():
    assert native({"numLeaves": 1, "lambdaL1": 2, "colsampleBytree": 3, "eta": 4}) == {
        "num_leaves": 1,
        "lambda_l1": 2,
        "colsample_bytree": 3,
        "eta": 4,
    }


@pytest.mark.parametrize("problem", ["binary", "regression"])
def test_every_hyperparameter_is_one_that_lightgbm_knows(problem):
    aliases = lightgbm.basic._ConfigAliases._get_all_param_aliases()
    assert set(native(dict.fromkeys(estimator("lightgbm", problem).params))) <= set(aliases)


# --- the rows -------------------------------------------------------------------------------------


def block(part, at, x, y):
    return {
        "part": part,
        "at": at,
        "x": np.array(x, dtype=float).tobytes(),
        "y": np.array(y, dtype=float).tobytes(),
        "w": np.ones(len(y)).tobytes(),
    }


def test_blocks_come_in_the_order_of_their_partitions():
    rows = [block(1, 0, [[5, 6]], [2]), block(0, 1, [[3, 4]], [1]), block(0, 0, [[1, 2]], [0])]
    found = onetask._table(rows, weighted=True)
    assert found.x.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert (found.y.tolist(), found.w.tolist()) == ([0, 1, 2], [1, 1, 1])


def test_a_refusal_comes_back_in_words(monkeypatch):
    order = Order("lightgbm", "binary", {"numLeaves": 1}, 2, seed=1)

    def words(rows):
        ((found, why),) = onetask._boosting(order, weighted=False)(rows)
        assert found == []
        return why

    assert "num_leaves" in words([block(0, 0, [[1.0]] * 4, [0, 1, 0, 1])])
    assert "not numbers" in words([block(0, 0, [[np.nan]], [0])])
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    assert "lightgbm is not installed on the executors" in words([block(0, 0, [[1.0]], [0])])


def test_a_table_too_large_for_a_task_is_refused_with_numbers():
    light, extreme = estimator("lightgbm", "binary"), estimator("xgboost", "binary")
    check_room(light, 5000, 10, 1.7)
    with pytest.raises(ModelError, match=r"5000 rows of 10 features need 2 MiB, got 1 MiB a task"):
        check_room(light, 5000, 10, 1.0)
    with pytest.raises(ModelError, match="XGBoost fits in one task"):
        check_room(extreme, 5000, 10, 1.7)


# --- the project file -----------------------------------------------------------------------------


def spec_of(kind="lightgbm", **params):
    return ModelingSpec.model_validate({"families": [{"kind": kind, "params": params}]})


@pytest.mark.parametrize(
    ("kind", "wrong", "near"),
    [
        ("lightgbm", {"numLeafs": [31]}, "did you mean 'numLeaves'?"),
        ("lightgbm", {"learning_rate": [0.1]}, "did you mean 'learningRate'?"),
        ("xgboost", {"numRounds": [10]}, "did you mean 'numRound'?"),
        ("xgboost", {"treeMethod": ["hists"]}, "did you mean 'hist'?"),
        ("lightgbm", {"numLeaves": [3.5]}, "a whole number is expected, got 3.5"),
        ("lightgmb", {}, "did you mean 'lightgbm'?"),
    ],
)
def test_a_wrong_name_is_told_the_nearest_one(kind, wrong, near):
    with pytest.raises(ValueError, match=r"lightg|xgboost|params") as caught:
        spec_of(kind, **wrong)
    assert near in str(caught.value)


def test_objectives_belong_to_numbers_and_boosters_are_no_base_of_one_against_the_rest():
    assert spec_of(objective=["huber"]).faults("regression") == ()
    assert "no hyperparameter of LightGBM" in spec_of(objective=["huber"]).faults("binary")[0]
    assert not {"lightgbm", "xgboost"} & set(BASES)


def planned(kind, **params):
    family = Family(kind=kind, params=params)
    return plan_trials([(family, estimator(kind, "binary"))], Search(), seed=1)


def test_one_fit_serves_every_number_of_rounds():
    data = SweepData("binary", 2, 500, 4, 0, False, 3, cores=8)
    trials = planned("lightgbm", numIterations=[10, 40], numLeaves=[7, 15])
    for mode in ("exact", "fast"):
        spec = ModelingSpec(families=[Family(kind="lightgbm")], search=Search(mode=mode))
        engines = engines_for(spec)
        groups = plan_groups(trials, data, engines)
        assert [(group.engine, len(group.trials)) for group in groups] == [("library", 2)] * 2
        assert "numIterations 40" in groups[0].why
        assert next(e for e in engines if e.name == "library").at_once == 3
    bad = plan_groups(planned("lightgbm", numIterations=[0, -1, 5]), data, engines)
    assert [len(group.trials) for group in bad] == [1, 1, 1]


def test_a_rung_cuts_rounds_and_more_leaves_are_more_complex():
    (trial,) = planned("xgboost", maxDepth=[3])
    assert at_rung(trial, 0.25, None).params["numRound"] == 25
    small, large = planned("lightgbm", numLeaves=[7, 31], numIterations=[10])
    assert small.complexity < large.complexity


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost"])
def test_a_missing_package_is_told_with_its_extra(monkeypatch, kind):
    monkeypatch.setattr(installed, "find_spec", lambda _: None)
    with pytest.raises(SpecError, match=rf"modeling\.families\[0\].*crisp-spark\[{kind}\]"):
        engines_for(spec_of(kind))
    assert engines_for(spec_of("random_forest"))
    assert all(info.library == kind for info in infos(kind))


def test_validate_and_plan_name_the_missing_package_where_the_sweep_runs(
    monkeypatch, tmp_path, capsys
):
    assert main(["example", "wine", str(tmp_path)]) == 0
    capsys.readouterr()
    words = ["--project", str(tmp_path / "crisp.yml")]
    words += ["--set", 'modeling.families=[{"kind": "lightgbm"}]']
    assert main(["validate", *words]) == 0
    monkeypatch.setattr(installed, "find_spec", lambda _: None)
    monkeypatch.setattr("crisp_spark.run.plan.plan_project", lambda _: NOTHING)
    for command in ("validate", "plan"):
        capsys.readouterr()
        assert main([command, *words]) == 78
        told = capsys.readouterr().err
        assert "families[0].kind: the package lightgbm is not installed" in told
        assert "crisp-spark[lightgbm]" in told


NOTHING = SimpleNamespace(faults=[], warnings=[], tables={})
