from __future__ import annotations

import math

import pytest
from pydantic import TypeAdapter
from pyspark.ml import PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F

from crisp_spark.errors import DataError, MissingColumnsError, ModelError, SpecError
from crisp_spark.modeling.features import FeaturePlan, fit_features
from crisp_spark.modeling.fitting import FeatureContext
from crisp_spark.modeling.statistics import Targets
from crisp_spark.spec.features import FeatureOp

SCHEMA = (
    "id int, x double, `y.z` double, n int, `größe (m²)` double, city string, `a'b` string, "
    "flag boolean, day date, words array<string>, _crisp_fold int, _crisp_label double"
)
CITIES = ["Zürich", "O'Brien ${x} __THIS__", "", "Ωmega", None]


def rows():
    found = []
    for n in range(60):
        x = None if n % 10 == 3 else math.nan if n % 10 == 7 else float(n % 9)
        found.append(
            (
                n,
                x,
                None if n % 12 == 0 else n / 4,
                n % 4,
                float(n * n % 31) + 1,
                CITIES[n % 5],
                f"k{n % 3}",
                None if n % 20 == 0 else n % 2 == 0,
                None,
                ["alpha", "beta"] if n % 2 else ["beta"],
                n % 3,
                float(n % 4 == 0),
            )
        )
    return found


@pytest.fixture(scope="module")
def frame(spark_session):
    return spark_session.createDataFrame(rows(), SCHEMA).coalesce(1).cache()


@pytest.fixture(autouse=True)
def _session(spark):
    """Clean up after each test."""


def context(problem="binary", **changes):
    supervised = problem != "clustering"
    targets = Targets(("_crisp_label",), "_crisp_fold", (0, 1, 2)) if supervised else Targets()
    fields = {
        "label": "_crisp_label" if supervised else "",
        "classes": ("false", "true"),
        **changes,
    }
    return FeatureContext(problem, targets, **fields)


def plan(*ops, **fields):
    parsed = TypeAdapter(list[FeatureOp]).validate_python(list(ops))
    return FeaturePlan(ops=parsed, **{"excluded": {"id": "names a row"}, **fields})


def only(*names):
    """Exclude every column but these."""
    every = ["id", "x", "y.z", "n", "größe (m²)", "city", "a'b", "flag", "day", "words"]
    return {name: "not looked at" for name in every if name not in names}


def fit(frame, *ops, of=(), problem="binary", **fields):
    chosen = {"patterns": only(*of), **fields} if of else fields
    return fit_features(frame, plan(*ops, **chosen), context(problem))


def vectors(fitted, frame):
    found = fitted.transform(frame).orderBy("id").select(vector_to_array("features").alias("v"))
    return [list(row["v"]) for row in found.collect()]


def training_vectors(fitted):
    found = fitted.training_frame().orderBy("id").select(vector_to_array("features").alias("v"))
    return [list(row["v"]) for row in found.collect()]


def new_rows(spark, *tuples):
    return spark.createDataFrame([(at, *each, 0, 0.0) for at, each in enumerate(tuples)], SCHEMA)


UNSEEN = (None, None, 99, math.inf, "Atlantis", None, None, None, None)
SEEN = (2.0, 1.5, 2, 7.0, "Ωmega", "k1", True, None, ["beta"])


# --- what becomes a feature ----------------------------------------------------------------------


def test_without_operations_every_usable_column_becomes_a_feature_by_itself(spark, frame):
    fitted = fit(frame)
    by_name = {feature.name: feature for feature in fitted.features}
    assert set(by_name) == {
        "x",
        "x__missing",
        "y.z",
        "y.z__missing",
        "n",
        "größe (m²)",
        "city",
        "a'b",
        "flag",
        "flag__missing",
    }
    assert by_name["x"].transforms == ("impute(median)",)
    assert by_name["x"].automatic
    assert (by_name["x"].missing, by_name["x"].not_numbers) == (6, 6)
    assert by_name["n"].transforms == ()
    assert by_name["city"].slots == ("", "O'Brien ${x} __THIS__", "Zürich", "Ωmega", "(missing)")
    assert fitted.excluded["id"] == "names a row"
    assert "type date (derive date parts)" in fitted.excluded["day"]
    assert "text operation" in fitted.excluded["words"]
    assert fitted.model_columns == ("x", "y.z", "n", "größe (m²)", "city", "a'b", "flag")


def test_unseen_categories_nulls_and_infinities_are_scored(spark, frame):
    fitted = fit(frame)
    scored = vectors(fitted, new_rows(spark, UNSEEN, SEEN))
    assert len(scored[0]) == fitted.width == len(scored[1])
    assert all(math.isfinite(value) for row in scored for value in row)
    start = next(at for at, (_, slot) in enumerate(fitted.slot_names()) if slot.startswith("city="))
    assert scored[0][start : start + 5] == [0.0] * 5
    assert scored[1][start : start + 5] == [0.0, 0.0, 0.0, 1.0, 0.0]


def test_the_stages_are_stock_and_survive_saving(spark, frame, tmp_path):
    fitted = fit(
        frame,
        {"op": "impute", "columns": "x", "method": "group", "by": ["city", "n"]},
        {"op": "encode", "columns": "city", "method": "target"},
        {"op": "scale", "columns": "größe (m²)"},
        derived=[("twice", "`y.z` * 2"), ("thrice", "twice + `y.z`")],
    )
    assert all(type(stage).__module__ == "pyspark.ml.feature" for stage in fitted.stages)
    path = str(tmp_path / "model")
    PipelineModel(list(fitted.stages)).write().save(path)
    again = PipelineModel.load(path)
    inputs = frame.select("id", *(f"`{name}`" for name in fitted.model_columns))
    before = vectors(fitted, frame)
    after = again.transform(inputs).orderBy("id").select(vector_to_array("features")).collect()
    assert [list(row[0]) for row in after] == before


def test_only_needed_columns_are_read_by_the_model(spark, frame):
    fitted = fit(
        frame,
        {"op": "impute", "columns": "x", "method": "group", "by": "city"},
        of=("x", "twice"),
        derived=[("twice", "`y.z` * 2"), ("unused", "length(`a'b`)")],
    )
    assert fitted.model_columns == ("x", "y.z", "city")


def test_derived_columns_are_computed_again_even_where_the_frame_has_them(spark, frame):
    derived = [("twice", "n * 2"), ("more", "twice + 1")]
    there = frame.withColumn("twice", F.lit(-1)).withColumn("more", F.lit(-1))
    plain, again = (fit(each, of=("twice", "more"), derived=derived) for each in (frame, there))
    assert (
        vectors(plain, frame)[:3]
        == vectors(again, there)[:3]
        == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    )
    assert [f.sources for f in plain.features] == [("n",), ("n",)]
    assert plain.model_columns == again.model_columns == ("n",)


def test_what_is_derived_from_the_outcome_is_no_feature_and_says_why(spark, frame):
    fitted = fit(
        frame.drop("n"),  # a sweep never sees it
        excluded={"id": "names a row", "n": "known only after the outcome"},
        derived=[("late", "n > 1"), ("later", "CAST(late AS INT)"), ("fine", "x + 1")],
    )
    assert "n" not in {source for f in fitted.features for source in f.sources}
    assert fitted.excluded["late"] == "derived from 'n': known only after the outcome"
    assert fitted.excluded["later"].startswith("derived from 'late'")
    assert "fine" in {feature.name for feature in fitted.features}


def test_parts_of_the_key_come_in_only_when_they_are_named(spark, frame):
    optional = {"city": "part of the key", "n": "part of the key"}
    fitted = fit(frame, {"op": "encode", "columns": "city"}, optional=optional)
    names = {feature.name for feature in fitted.features}
    assert "city" in names
    assert "n" not in names
    assert fitted.excluded["n"] == "part of the key"


def test_constants_identifiers_and_empty_columns_are_left_out_with_reasons(spark, frame):
    odd = (
        frame.withColumn("one", F.lit(1))
        .withColumn("name", F.concat(F.lit("p"), F.col("id")))
        .withColumn("void", F.lit(None).cast("double"))
        .withColumn("same", F.lit("x"))
    )
    many = odd.unionAll(odd.withColumn("name", F.concat("name", F.lit("b")))).unionAll(
        odd.withColumn("name", F.concat("name", F.lit("c")))
    )
    fitted = fit(many)
    assert fitted.excluded["one"] == "constant on the training rows"
    assert fitted.excluded["same"] == "constant on the training rows"
    assert fitted.excluded["void"] == "no value in the training rows"
    assert fitted.excluded["name"] == "looks like an identifier: 180 values in 180 rows"


def test_a_model_without_any_feature_is_an_error_with_the_reasons(spark, frame):
    with pytest.raises(ModelError, match="no feature is left") as caught:
        fit(frame, of=("day",))
    assert "type date" in caught.value.hint


def test_a_name_that_is_no_column_and_one_that_must_not_be_used_are_told_apart(spark, frame):
    with pytest.raises(MissingColumnsError, match="'citty'") as caught:
        fit(frame, {"op": "encode", "columns": "citty"})
    assert "did you mean 'city'" in caught.value.hint
    with pytest.raises(SpecError, match="'id' is no feature: names a row"):
        fit(frame, {"op": "encode", "columns": "id"})
    with pytest.raises(MissingColumnsError, match="'cty'"):
        fit(frame, {"op": "impute", "columns": "x", "method": "group", "by": "cty"})
    with pytest.raises(SpecError, match="'city' is categorical, numeric or flag is needed"):
        fit(frame, {"op": "scale", "columns": "city"})


# --- imputation ----------------------------------------------------------------------------------

KNOWN_X = [float(n % 9) for n in range(60) if n % 10 not in (3, 7)]


def middle(values):
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


@pytest.mark.parametrize(
    ("op", "filled"),
    [
        ({"method": "mean"}, sum(KNOWN_X) / len(KNOWN_X)),
        ({"method": "median"}, middle(KNOWN_X)),
        ({"method": "mode"}, max(sorted(set(KNOWN_X)), key=KNOWN_X.count)),
        ({"method": "constant", "value": -1}, -1.0),
    ],
)
def test_missing_numbers_take_the_statistic_of_the_training_rows(spark, frame, op, filled):
    fitted = fit(frame, {"op": "impute", "columns": "x", **op}, of=("x",))
    found = vectors(fitted, frame)
    assert [feature.name for feature in fitted.features] == ["x", "x__missing"]
    assert found[3] == [pytest.approx(filled), 1.0]
    assert found[7] == [pytest.approx(filled), 1.0]  # NaN is no number either
    assert found[4] == [4.0, 0.0]


def test_missing_numbers_take_the_median_of_their_group_or_of_all(spark, frame):
    op = {
        "op": "impute",
        "columns": "x",
        "method": "group",
        "by": ["a'b"],
        "indicator": False,
    }
    fitted = fit(frame, op, of=("x",))
    group = [
        row[1]
        for row in rows()
        if row[6] == f"k{13 % 3}" and row[1] is not None and not math.isnan(row[1])
    ]
    assert vectors(fitted, frame)[13] == [middle(group)]
    unknown = new_rows(spark, (None, 1.0, 77, 1.0, "Nowhere", None, None, None, None))
    assert vectors(fitted, unknown) == [[middle(KNOWN_X)]]


def test_missing_numbers_are_predicted_from_others_within_the_range_seen(spark):
    points = [
        (n, None if n == 5 else 2.0 * n + 1, float(n), n % 2, float(n % 2)) for n in range(20)
    ]
    line = spark.createDataFrame(
        points, "id int, y double, x double, _crisp_fold int, _crisp_label double"
    )
    op = {"op": "impute", "columns": "y", "method": "regression", "using": "x"}
    fitted = fit_features(line, plan(op), context())
    assert vectors(fitted, line)[5][0] == pytest.approx(11.0, abs=1e-3)
    far = spark.createDataFrame([(0, None, 1e9, 0, 0.0)], line.schema)
    assert vectors(fitted, far)[0][0] == pytest.approx(39.0)


def test_missing_categories_take_the_most_frequent_one_or_a_constant(spark, frame):
    keep = ("city", "a'b")
    fitted = fit(
        frame,
        {"op": "impute", "columns": "city", "method": "constant", "value": "O'Hare ${y}"},
        {"op": "encode", "columns": "city", "method": "one_hot"},
        of=keep,
    )
    assert "O'Hare ${y}" in next(f for f in fitted.features if f.name == "city").slots
    assert "city__missing" in [f.name for f in fitted.features]
    with pytest.raises(SpecError, match="holds categories"):
        fit(frame, {"op": "impute", "columns": "city", "method": "median"})


# --- outliers, scales, shapes --------------------------------------------------------------------


def quantile(values, share):
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    return ordered[low] + (at - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


SIZES = [row[4] for row in rows()]


@pytest.mark.parametrize("method", ["iqr", "zscore", "mad", "percentile"])
def test_outliers_are_clipped_to_fitted_bounds(spark, frame, method):
    op = {"op": "outliers", "columns": "größe (m²)", "method": method, "lower": 0.1, "upper": 0.9}
    if method != "percentile":
        op = {"op": "outliers", "columns": "größe (m²)", "method": method, "k": 0.5}
    mean = sum(SIZES) / 60
    std = math.sqrt(sum((v - mean) ** 2 for v in SIZES) / 59)
    mid = middle(SIZES)
    spread = 0.5 * 1.482602218505602 * middle([abs(v - mid) for v in SIZES])
    q1, q3 = quantile(SIZES, 0.25), quantile(SIZES, 0.75)
    low, high = {
        "iqr": (q1 - 0.5 * (q3 - q1), q3 + 0.5 * (q3 - q1)),
        "zscore": (mean - 0.5 * std, mean + 0.5 * std),
        "mad": (mid - spread, mid + spread),
        "percentile": (quantile(SIZES, 0.1), quantile(SIZES, 0.9)),
    }[method]
    found = vectors(fit(frame, op, of=("größe (m²)",)), frame)
    assert [row[0] for row in found] == pytest.approx([min(max(v, low), high) for v in SIZES])


def test_outliers_are_blanked_or_flagged(spark, frame):
    of = ("größe (m²)",)
    bounds = {
        "op": "outliers",
        "columns": "größe (m²)",
        "method": "percentile",
        "lower": 0.1,
        "upper": 0.9,
    }
    flagged = fit(frame, {**bounds, "action": "flag"}, of=of)
    assert [f.name for f in flagged.features] == ["größe (m²)", "größe (m²)__outlier"]
    outside = [float(not quantile(SIZES, 0.1) <= v <= quantile(SIZES, 0.9)) for v in SIZES]
    assert [row[1] for row in vectors(flagged, frame)] == outside
    blanked = fit(frame, {**bounds, "action": "null"}, of=of)
    assert [f.name for f in blanked.features] == ["größe (m²)", "größe (m²)__missing"]
    assert [row[1] for row in vectors(blanked, frame)] == outside


@pytest.mark.parametrize(
    ("method", "scaled"),
    [
        (
            "standard",
            lambda v: (
                (v - sum(SIZES) / 60)
                / math.sqrt(sum((w - sum(SIZES) / 60) ** 2 for w in SIZES) / 59)
            ),
        ),
        ("min_max", lambda v: (v - min(SIZES)) / (max(SIZES) - min(SIZES))),
        ("max_abs", lambda v: v / max(SIZES)),
        ("robust", lambda v: (v - middle(SIZES)) / (quantile(SIZES, 0.75) - quantile(SIZES, 0.25))),
    ],
)
def test_numbers_are_brought_to_a_scale(spark, frame, method, scaled):
    fitted = fit(
        frame, {"op": "scale", "columns": "all_numeric", "method": method}, of=("größe (m²)",)
    )
    assert [row[0] for row in vectors(fitted, frame)] == pytest.approx([scaled(v) for v in SIZES])


def test_shapes_are_changed_and_missing_values_stay_missing_until_they_are_filled(spark, frame):
    found = {}
    for method in ("log", "sqrt", "power", "box_cox"):
        fitted = fit(
            frame,
            {"op": "transform", "columns": "größe (m²)", "method": method},
            of=("größe (m²)",),
        )
        found[method] = [row[0] for row in vectors(fitted, frame)]
    assert found["log"] == pytest.approx([math.log1p(v) for v in SIZES])
    assert found["sqrt"] == pytest.approx([math.sqrt(v) for v in SIZES])
    for method in ("power", "box_cox"):
        order = sorted(range(60), key=lambda at: SIZES[at])
        values = [found[method][at] for at in order]
        assert values == sorted(values)
    with pytest.raises(DataError, match="box_cox needs values above 0"):
        fit(frame, {"op": "transform", "columns": "n", "method": "box_cox"}, of=("n",))
    fitted = fit(frame, {"op": "transform", "columns": "x", "method": "power"}, of=("x",))
    assert vectors(fitted, frame)[3][1] == 1.0


def test_neighbouring_operations_share_their_jobs(spark, frame):
    def jobs(*ops):
        group = f"count-{len(ops)}-{ops[0]['op']}"
        spark.sparkContext.setJobGroup(group, "")
        fit(frame, *ops, of=("x", "y.z", "größe (m²)"))
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)
        return len(spark.sparkContext.statusTracker().getJobIdsForGroup(group))

    one = jobs({"op": "impute", "columns": "x"})
    three = jobs(
        {"op": "impute", "columns": "x"},
        {"op": "impute", "columns": "y.z", "method": "mean"},
        {"op": "outliers", "columns": "größe (m²)"},
    )
    assert three == one


def test_select_bears_categories_that_an_operation_left_as_texts(spark, frame):
    rare = {"op": "encode", "columns": ["city"], "method": "rare", "max_categories": 2}
    filled = {"op": "impute", "columns": ["a'b"], "method": "constant", "value": "none"}
    for method in ("variance", "importance", "chi_squared"):
        fitted = fit(
            frame, rare, filled, {"op": "select", "method": method}, of=("x", "city", "a'b")
        )
        assert len(vectors(fitted, frame)) == 60
