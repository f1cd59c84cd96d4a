from __future__ import annotations

import math

import pytest
from pyspark.ml.functions import vector_to_array

from crisp_spark.errors import SpecError
from crisp_spark.modeling.features import fit_features
from crisp_spark.modeling.fitting import FeatureContext
from crisp_spark.modeling.statistics import Targets
from tests.spark.test_features import (
    CITIES,
    SCHEMA,
    SEEN,
    UNSEEN,
    context,
    fit,
    frame,
    new_rows,
    only,
    plan,
    rows,
    training_vectors,
    vectors,
)

pytestmark = pytest.mark.slow

__all__ = ["frame"]

LABELS = [row[-1] for row in rows()]
FOLDS = [row[-2] for row in rows()]


@pytest.fixture(autouse=True)
def _session(spark):
    """Clean up after each test."""


def smoothed(n, total, prior, weight=20.0):
    return (total + weight * prior) / (n + weight)


def test_one_hot_keeps_frequent_categories_and_merges_the_rest_with_unseen_ones(spark, frame):
    fitted = fit(
        frame, {"op": "encode", "columns": "n", "method": "one_hot", "max_categories": 2}, of=("n",)
    )
    (feature,) = fitted.features
    assert feature.slots == ("0.0", "1.0", "(other)")
    assert vectors(fitted, frame)[:4] == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert vectors(fitted, new_rows(spark, UNSEEN)) == [[0, 0, 1]]


def test_rare_categories_are_counted_in_rows_or_as_a_share(spark, frame):
    for limit in (0.26, 16):
        fitted = fit(
            frame, {"op": "encode", "columns": ["n", "a'b"], "rare_below": limit}, of=("n", "a'b")
        )
        assert [f.name for f in fitted.features] == ["a'b"]
        assert fitted.excluded["n"] == "no category is frequent enough to be told apart"


def test_ordinal_codes_follow_frequency_alphabet_target_or_a_declared_order(spark, frame):
    def codes(**more):
        fitted = fit(
            frame, {"op": "encode", "columns": "city", "method": "ordinal", **more}, of=("city",)
        )
        return dict(zip(CITIES, (row[0] for row in vectors(fitted, frame)[:5]), strict=True))

    assert codes(order_by="alphabet") == {
        "": 0,
        "O'Brien ${x} __THIS__": 1,
        "Zürich": 2,
        "Ωmega": 3,
        None: 4,
    }
    declared = codes(order=["Ωmega", "Zürich"])
    assert (declared["Ωmega"], declared["Zürich"], declared[""], declared[None]) == (0, 1, 2, 2)
    by_target = codes(order_by="target")
    assert sorted(by_target.values()) == [0, 1, 2, 3, 4]


def test_nominal_codes_tell_trees_how_many_categories_there_are(spark, frame):
    op = {"op": "encode", "columns": "city", "method": "ordinal", "nominal": True}
    fitted = fit(frame, op, of=("city",))
    assert fitted.features[0].arity == 6
    meta = fitted.training_frame().schema["features"].metadata["ml_attr"]["attrs"]
    assert len(meta["nominal"][0]["vals"]) == 6
    plain = fit(frame, {**op, "nominal": False}, of=("city",))
    assert "nominal" not in plain.training_frame().schema["features"].metadata["ml_attr"]["attrs"]


def test_target_means_are_out_of_fold_on_training_rows_and_whole_when_scoring(spark, frame):
    fitted = fit(frame, {"op": "encode", "columns": "a'b", "method": "target"}, of=("a'b",))
    keys = [row[6] for row in rows()]
    prior = sum(LABELS) / 60

    def whole(key):
        own = [label for label, k in zip(LABELS, keys, strict=True) if k == key]
        return smoothed(len(own), sum(own), prior)

    def apart(at):
        rest = [n for n in range(60) if FOLDS[n] != FOLDS[at]]
        own = [LABELS[n] for n in rest if keys[n] == keys[at]]
        return smoothed(len(own), sum(own), sum(LABELS[n] for n in rest) / len(rest))

    assert [r[0] for r in vectors(fitted, frame)] == pytest.approx([whole(key) for key in keys])
    assert [r[0] for r in training_vectors(fitted)] == pytest.approx(
        [apart(at) for at in range(60)]
    )
    unseen = new_rows(spark, (None, None, 1, 1.0, None, "never", None, None, None))
    assert vectors(fitted, unseen) == [[pytest.approx(prior)]]


def test_rows_in_a_single_fold_are_halved_for_target_means(spark, frame):
    halves = Targets(("_crisp_label",), "CAST(pmod(xxhash64(1, id), 2) AS INT)", (0, 1))
    own = FeatureContext("binary", halves, "_crisp_label", ("false", "true"))
    op = {"op": "encode", "columns": "a'b", "method": "target"}
    fitted = fit_features(frame, plan(op, patterns=only("a'b")), own)
    half = [row["h"] for row in frame.selectExpr(f"{halves.part} AS h").collect()]
    values = {}
    for number, (row, part) in enumerate(zip(training_vectors(fitted), half, strict=True)):
        values.setdefault((number % 3, part), set()).add(round(row[0], 9))
    assert sorted(values) == [(category, part) for category in range(3) for part in range(2)]
    assert all(len(found) == 1 for found in values.values())
    assert any(values[category, 0] != values[category, 1] for category in range(3))


def test_target_means_of_several_classes_are_one_feature_per_class(spark, frame):
    sqls = tuple(f"CAST(n = {at} AS DOUBLE)" for at in range(4))
    own = FeatureContext(
        "multiclass", Targets(sqls, "_crisp_fold", (0, 1, 2)), "_crisp_label", tuple("abcd")
    )
    op = {"op": "encode", "columns": "city", "method": "target"}
    fitted = fit_features(frame, plan(op, patterns=only("city")), own)
    assert {f.name for f in fitted.features} == {f"city__{name}" for name in "abcd"}
    assert [sum(row) for row in vectors(fitted, frame)] == pytest.approx([1.0] * 60)


def test_target_means_need_a_label(spark, frame):
    with pytest.raises(SpecError, match="needs a label"):
        fit(
            frame,
            {"op": "encode", "columns": "city", "method": "target"},
            of=("city",),
            problem="clustering",
        )


def test_frequencies_are_shares_of_the_training_rows(spark, frame):
    fitted = fit(frame, {"op": "encode", "columns": "flag", "method": "frequency"}, of=("flag",))
    assert [row[0] for row in vectors(fitted, frame)[:3]] == pytest.approx(
        [3 / 60, 30 / 60, 27 / 60]
    )
    limited = fit(
        frame,
        {"op": "encode", "columns": "n", "method": "frequency", "max_categories": 3},
        of=("n",),
    )
    assert vectors(limited, new_rows(spark, UNSEEN)) == [[pytest.approx(15 / 60)]]


def test_merging_rare_categories_leaves_a_category_for_later_operations(spark, frame):
    fitted = fit(
        frame,
        {"op": "encode", "columns": "city", "method": "rare", "max_categories": 3},
        {"op": "encode", "columns": "city", "method": "one_hot"},
        of=("city",),
    )
    (feature,) = fitted.features
    assert "(other)" in feature.slots
    assert len(feature.slots) == 4
    assert sum(vectors(fitted, new_rows(spark, UNSEEN))[0]) == 1.0


def test_hashing_puts_columns_into_one_vector_of_fixed_length(spark, frame):
    op = {"op": "encode", "columns": ["city", "a'b"], "method": "hashing", "buckets": 16}
    fitted = fit(frame, op, of=("city", "a'b"))
    assert [(f.name, f.width) for f in fitted.features] == [("hash of city, a'b", 16)]
    assert [sum(row) for row in vectors(fitted, new_rows(spark, UNSEEN, SEEN))] == [2.0, 2.0]
    assert vectors(fitted, frame)[0] == vectors(fitted, frame)[15]


def test_principal_components_replace_numbers(spark, frame):
    numbers = ("y.z", "größe (m²)", "n")
    fitted = fit(frame, {"op": "pca", "k": 2}, of=numbers)
    assert [(f.name, f.width, f.kind) for f in fitted.features if f.name == "pca"] == [
        ("pca", 2, "vector")
    ]
    assert "y.z__missing" in [f.name for f in fitted.features]
    kept = fit(frame, {"op": "pca", "variance": 0.6, "keep": True, "name": "axes"}, of=numbers)
    names = {f.name: f for f in kept.features}
    assert set(numbers) | {"axes"} <= set(names)
    assert 1 <= names["axes"].width < 3
    assert names["y.z"].transforms == ("impute(median)",)
    assert all(math.isfinite(v) for v in vectors(kept, new_rows(spark, UNSEEN))[0])
    with pytest.raises(SpecError, match="9 components need as many features"):
        fit(frame, {"op": "pca", "k": 9}, of=numbers)


def test_words_are_counted_and_weighted(spark, frame):
    op = {"op": "text", "columns": ["city", "words"], "buckets": 32, "min_documents": 1}
    fitted = fit(frame, op, of=("city", "words"))
    assert [(f.name, f.width) for f in fitted.features] == [("city", 32), ("words", 32)]
    counted = fit(frame, {**op, "method": "counts", "stop_words": ["beta"]}, of=("city", "words"))
    by_row = vectors(counted, frame)
    assert sum(by_row[0][32:]) == 0  # ["beta"] is a stop word
    assert sum(by_row[1][32:]) == 1
    assert sum(vectors(counted, new_rows(spark, UNSEEN))[0]) == 1.0  # "Atlantis"


# --- selection -----------------------------------------------------------------------------------


def test_selection_names_the_reason_of_every_feature_it_drops(spark, frame):
    doubled = frame.withColumn("double", frame["größe (m²)"] * 2)
    of = ("größe (m²)", "n")
    patterns = {k: v for k, v in only(*of).items() if k != "double"}
    fitted = fit(doubled, {"op": "select", "method": "correlation"}, patterns=patterns)
    assert fitted.excluded["double"] == "select(correlation): correlation 1.000 with größe (m²)"
    low = fit(doubled, {"op": "select", "method": "variance", "threshold": 2.0}, patterns=patterns)
    assert low.excluded["n"].startswith("select(variance): variance 1.27 is not above 2")


def test_selection_by_class_keeps_what_depends_on_it(spark, frame):
    for op in (
        {"method": "chi_squared"},
        {"method": "chi_squared", "top": 1},
        {"method": "importance", "top": 1},
    ):
        fitted = fit(frame, {"op": "select", **op}, of=("n", "größe (m²)"))
        assert [f.name for f in fitted.features] == ["n"]  # the label is n = 0
        assert fitted.excluded["größe (m²)"].startswith(f"select({op['method']}): ")
    with pytest.raises(SpecError, match="chi_squared needs classes"):
        fit(frame, {"op": "select", "method": "chi_squared"}, of=("n",), problem="regression")


def test_selection_cuts_places_out_of_a_vector(spark, frame):
    fitted = fit(
        frame,
        {"op": "encode", "columns": "n", "method": "one_hot"},
        {"op": "select", "method": "importance", "top": 1},
        of=("n",),
    )
    (feature,) = fitted.features
    assert feature.slots == ("0.0",)
    assert feature.transforms[-1] == "select(1 of 4 places; importance)"
    assert vectors(fitted, frame)[:2] == [[1.0], [0.0]]


def test_selection_that_would_leave_nothing_is_not_applied(spark, frame):
    fitted = fit(frame, {"op": "select", "method": "variance", "threshold": 1e9}, of=("n",))
    assert [f.name for f in fitted.features] == ["n"]
    assert "would drop every feature" in fitted.notes[0]


def test_regression_targets_are_encoded_and_selected_as_well(spark, frame):
    numeric = FeatureContext(
        "regression", Targets(("n",), "_crisp_fold", (0, 1, 2)), "_crisp_label"
    )
    ops = [
        {"op": "encode", "columns": "a'b", "method": "target"},
        {"op": "select", "method": "importance"},
    ]
    fitted = fit_features(frame, plan(*ops, patterns=only("a'b", "n")), numeric)
    assert "n" in [f.name for f in fitted.features]


def test_fitting_is_the_same_whatever_the_partitions(spark, frame):
    ops = [{"op": "encode", "columns": "city", "method": "target"}, {"op": "scale"}]
    one, many = (
        fit_features(f, plan(*ops), context()) for f in (frame.coalesce(1), frame.repartition(7))
    )
    for left, right in zip(vectors(one, frame), vectors(many, frame), strict=True):
        assert left == pytest.approx(right)
    assert (
        spark.createDataFrame([], SCHEMA)
        .transform(one.transform)
        .select(vector_to_array("features"))
        .count()
        == 0
    )
