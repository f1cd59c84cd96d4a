from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import TypeAdapter, ValidationError

from crisp_spark.spec.estimators import ESTIMATORS, KINDS, estimator
from crisp_spark.spec.evaluation import METRICS
from crisp_spark.spec.features import FeatureOp, is_pattern, matches
from crisp_spark.spec.modeling import DEFAULT_FAMILIES, SWEEP_METRICS, Between, Family, ModelingSpec


def modeling(**fields) -> ModelingSpec:
    return ModelingSpec.model_validate(fields)


def fault_of(**fields) -> str:
    with pytest.raises(ValidationError) as caught:
        modeling(**fields)
    return str(caught.value)


def op(**fields):
    return TypeAdapter(FeatureOp).validate_python(fields)


def test_an_empty_spec_tries_the_default_families_of_every_problem():
    for problem, kinds in DEFAULT_FAMILIES.items():
        spec = modeling()
        assert tuple(family.kind for family, _ in spec.families_for(problem)) == kinds
        assert spec.metric_info(problem).name == SWEEP_METRICS[problem][0]
        assert spec.faults(problem) == ()


def test_sweep_metrics_are_metrics_of_the_evaluation():
    for problem, names in SWEEP_METRICS.items():
        assert set(names) <= set(METRICS[problem])


def test_what_is_measured_in_money_needs_outcome_values():
    assert modeling(metric="value_per_row").needs_values("binary") == ("metric",)
    assert modeling(metric="cost_per_row").needs_values("regression") == ("metric",)
    assert modeling(class_weights="outcome_values").needs_values("binary") == ("class_weights",)
    assert modeling().needs_values("binary") == ()
    assert "binary decision" in modeling(class_weights="outcome_values").faults("multiclass")[0]


def test_a_misspelled_family_names_the_nearest_one():
    assert "did you mean 'random_forest'?" in fault_of(families=[{"kind": "randm_forest"}])


def test_a_misspelled_hyperparameter_names_the_nearest_one():
    said = fault_of(families=[{"kind": "random_forest", "params": {"numTree": [10]}}])
    assert "random_forest has no hyperparameter 'numTree'; did you mean 'numTrees'?" in said


@pytest.mark.parametrize(
    ("kind", "params", "words"),
    [
        ("random_forest", {"numTrees": ["ten"]}, "a whole number is expected, got 'ten'"),
        ("random_forest", {"numTrees": [1.5]}, "a whole number is expected, got 1.5"),
        ("random_forest", {"numTrees": [True]}, "a whole number is expected"),
        ("random_forest", {"numTrees": []}, "the list of values is empty"),
        ("random_forest", {"impurity": "ginny"}, "did you mean 'gini'?"),
        ("logistic_regression", {"regParam": ["small"]}, "a number is expected"),
        ("logistic_regression", {"fitIntercept": [1]}, "true or false is expected"),
        ("multilayer_perceptron", {"hidden": [[4, 2.5]]}, "valid integer"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(kind, params, words):
    assert words in fault_of(families=[{"kind": kind, "params": params}])


def test_one_value_stands_for_a_list_of_one():
    family = Family.model_validate({"kind": "random_forest", "params": {"maxDepth": 5}})
    assert family.params == {"maxDepth": (5,)}


def test_widths_of_hidden_layers_may_be_one_list_or_several():
    one = Family.model_validate({"kind": "multilayer_perceptron", "params": {"hidden": [8, 4]}})
    more = Family.model_validate(
        {"kind": "multilayer_perceptron", "params": {"hidden": [[8], [4, 2]]}}
    )
    assert one.params == {"hidden": (8, 4)}
    assert more.params == {"hidden": ((8,), (4, 2))}


def test_a_range_needs_random_search_and_whole_numbers_say_so():
    ranged = {"kind": "random_forest", "params": {"maxDepth": {"low": 2, "high": 8, "whole": True}}}
    assert "a range needs search.kind: random" in fault_of(families=[ranged])
    assert modeling(families=[ranged], search={"kind": "random"}).families[0].params[
        "maxDepth"
    ] == Between(low=2, high=8, whole=True)
    loose = {"kind": "random_forest", "params": {"maxDepth": {"low": 2, "high": 8}}}
    assert "add whole: true" in fault_of(families=[loose], search={"kind": "random"})


def test_a_range_must_be_in_order_and_above_zero_for_logarithms():
    for wrong, words in (
        ({"low": 3, "high": 1}, "below high"),
        ({"low": 0, "high": 1, "log": True}, "above 0"),
    ):
        family = {"kind": "logistic_regression", "params": {"regParam": wrong}}
        assert words in fault_of(families=[family], search={"kind": "random"})


def test_two_families_of_one_kind_need_names():
    same = [{"kind": "random_forest"}, {"kind": "random_forest"}]
    assert "give it a name" in fault_of(families=same)
    assert modeling(families=[same[0], {**same[1], "name": "deep"}]).families[1].label == "deep"


@pytest.mark.parametrize(
    ("fields", "problem", "words"),
    [
        ({"metric": "rocauc"}, "binary", "did you mean 'roc_auc'?"),
        ({"metric": "rmse"}, "binary", "no metric of binary trials"),
        ({"families": [{"kind": "kmeans"}]}, "binary", "does not serve binary problems"),
        ({"families": [{"kind": "gradient_boosting"}]}, "multiclass", "does not serve multiclass"),
        (
            {"families": [{"kind": "survival_regression"}]},
            "regression",
            "modeling.censor is needed",
        ),
        ({"class_weights": "balanced"}, "regression", "has no classes"),
        (
            {"families": [{"kind": "random_forest", "params": {"impurity": "gini"}}]},
            "regression",
            "'impurity' is no hyperparameter of Random forest for regression",
        ),
    ],
)
def test_faults_that_depend_on_the_problem_are_told(fields, problem, words):
    faults = modeling(**fields).faults(problem)
    assert len(faults) == 1
    assert words in faults[0]


def test_one_vs_rest_takes_the_hyperparameters_of_its_base():
    fitting = {"kind": "one_vs_rest", "base": "linear_svc", "params": {"regParam": [0.1]}}
    assert modeling(families=[fitting]).faults("multiclass") == ()
    assert "base must be one of" in fault_of(families=[{"kind": "one_vs_rest", "base": "kmeans"}])


def test_every_family_serves_a_problem_and_is_found_by_it():
    assert {kind for kind, _ in ESTIMATORS} == set(KINDS)
    for kind, problem in ESTIMATORS:
        assert problem in estimator(kind, problem).problems


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"op": "impute", "columns": "a", "method": "group"}, "needs by"),
        ({"op": "impute", "columns": "a", "by": "b"}, "by belongs to method 'group'"),
        ({"op": "impute", "columns": "a", "method": "constant"}, "needs a value"),
        ({"op": "impute", "columns": "a", "value": 1}, "value belongs to method 'constant'"),
        ({"op": "impute", "columns": "a", "using": "b"}, "using belongs to method 'regression'"),
        ({"op": "impute", "columns": []}, "at least 1 item"),
        (
            {"op": "outliers", "columns": "a", "lower": 0.9, "upper": 0.1},
            "lower must be below upper",
        ),
        ({"op": "outliers", "columns": "a", "method": "percentile", "k": 2}, "k does not belong"),
        ({"op": "encode", "columns": "a", "method": "rare"}, "rare_below or max_categories"),
        ({"op": "encode", "columns": "a", "order": ["x"]}, "belong to 'ordinal'"),
        ({"op": "encode", "columns": "a", "method": "hashing", "rare_below": 5}, "do not belong"),
        ({"op": "pca", "columns": "a"}, "give k or variance"),
        ({"op": "pca", "columns": "a", "k": 2, "variance": 0.9}, "one of the two"),
        ({"op": "select", "method": "variance", "top": 3}, "top belongs to"),
        ({"op": "scael", "columns": "a"}, "scael"),
        ({"op": "scale", "columns": "a", "methd": "standard"}, "methd"),
    ],
)
def test_a_feature_operation_that_makes_no_sense_is_refused(fields, words):
    with pytest.raises(ValidationError, match=words):
        op(**fields)


def test_defaults_of_methods_are_filled_in():
    assert op(op="outliers", columns="a", method="zscore").width == 3.0
    assert op(op="outliers", columns="a", method="mad").width == 3.5
    assert op(op="select", method="correlation").limit == 0.95
    assert op(op="scale").columns == ("all_numeric",)
    assert op(op="encode", columns="a").columns == ("a",)


def test_selectors_are_names_patterns_and_words():
    assert is_pattern("all_numeric")
    assert is_pattern("temp_*")
    assert not is_pattern("größe (m²)")
    assert matches("temp_max", ("temp_*",))
    assert matches("a[0]", ("a[0]",))
    assert not matches("Temp_max", ("temp_*",))


def test_the_declared_part_needs_no_spark():
    code = (
        "import sys, crisp_spark.spec.modeling, crisp_spark.spec.features, crisp_spark.results.sweep\n"
        "print([n for n in ('pyspark', 'numpy', 'pandas') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
