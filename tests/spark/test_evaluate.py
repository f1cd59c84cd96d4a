from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pyspark.ml import Pipeline
from pyspark.ml.clustering import KMeans
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.feature import SQLTransformer, VectorAssembler
from pyspark.ml.functions import vector_to_array
from pyspark.sql import functions as F
from sklearn import metrics as sk

from crisp_spark.errors import DataError, MissingColumnsError, ModelError
from crisp_spark.evaluation.collecting import Wanted, collect_rows, with_exact_counts
from crisp_spark.evaluation.evaluate import evaluate_model, judge_for
from crisp_spark.evaluation.task import Split, Task, needed_columns
from crisp_spark.evaluation.what_if import Probe, altered_copies, ask, take_sample
from crisp_spark.results.evaluate import EvaluateResult
from crisp_spark.spec.business import BusinessSpec, Criterion, MiningGoal, OutcomeValues
from crisp_spark.spec.evaluation import EvaluationSpec, ImportanceSpec, RobustnessSpec

ROWS = 3000
GOAL = MiningGoal(
    problem="binary", target="bought", positive=True, key=("key",), unit_of_prediction="one visit"
)
VALUES = OutcomeValues(tp=10, fp=-4, currency="EUR")
SPEC = EvaluationSpec(
    bootstrap=20,
    slices=["city.name"],
    importance=ImportanceSpec(rows=400, repeats=2),
    robustness=RobustnessSpec(shares=[0.5]),
    partial_dependence=["size (m²)", "city.name", "unused"],
    partial_dependence_points=4,
)


def make(spark, first, last):
    """``size (m²)`` and ``city.name`` drive the label, ``other`` does nothing."""
    spun = F.pmod(F.xxhash64(F.lit(3), "key"), F.lit(1000)) / 1000
    size = F.pmod(F.xxhash64(F.lit(1), "key"), F.lit(100)).cast("double")
    city = F.pmod(F.xxhash64(F.lit(2), "key"), F.lit(3))
    other = F.pmod(F.xxhash64(F.lit(4), "key"), F.lit(7)).cast("int")
    frame = spark.range(first, last, numPartitions=2).select(F.col("id").alias("key"))
    frame = frame.select(
        "key",
        size.alias("size (m²)"),
        F.when(city == 0, "Köln").when(city == 1, "O'Hare").alias("city.name"),
        other.alias("other"),
        spun.alias("spun"),
    )
    return frame.withColumn("_crisp_label", (F.col("spun") < chance()).cast("double")).drop("spun")


def chance():
    effect = F.when(F.col("`city.name`") == "Köln", 0.3).otherwise(0.0)
    return F.least(F.lit(0.99), F.col("`size (m²)`") / 150 + effect)


def predict(frame):
    return frame.withColumn("_crisp_score", F.coalesce(chance(), F.lit(0.1))).withColumn(
        "_crisp_prediction", (F.col("_crisp_score") >= 0.5).cast("double")
    )


def scored(frame):
    return (
        predict(frame)
        .withColumn("_crisp_baseline_prior", F.lit(0.4))
        .withColumn("_crisp_baseline_rule", (F.col("`size (m²)`") > 70).cast("double"))
    )


def task(problem_goal=GOAL, spec=SPEC, **changes):
    criteria = (
        Criterion(id="M1", metric="roc_auc", target=0.6),
        Criterion(id="M2", metric="net_value", target=1, on="later", slice="city.name=O'Hare"),
        Criterion(id="M3", metric="pr_auc_gain", target=0, slice="other=3"),
    )
    business = BusinessSpec(mining_goal=problem_goal, outcome_values=VALUES, criteria=criteria)
    columns = ["size (m²)", "city.name", "other"]
    return replace(Task(business, spec, "roc_auc", columns=columns, seed=5), **changes)


@pytest.fixture(scope="module")
def frames(spark_session):
    parts = {
        "train": (0, ROWS),
        "validation": (0, ROWS),
        "test": (5000, 7000),
        "later": (8000, 8500),
    }
    return {
        name: Split(scored(make(spark_session, *ends)), ends[1] - ends[0])
        for name, ends in parts.items()
    }


@pytest.fixture(scope="module")
def result(frames) -> EvaluateResult:
    return evaluate_model(frames, task(), predict)


@pytest.fixture(scope="module")
def test_rows(frames):
    return frames["test"].frame.toPandas()


def test_metrics_of_a_split_equal_those_of_scikit_learn(result, test_rows):
    found = result.splits["test"].metrics
    label, score = test_rows["_crisp_label"], test_rows["_crisp_score"]
    assert found["roc_auc"].value == pytest.approx(sk.roc_auc_score(label, score))
    assert found["pr_auc"].value == pytest.approx(sk.average_precision_score(label, score))
    assert found["log_loss"].value == pytest.approx(sk.log_loss(label, score))


def test_the_confusion_matrix_is_that_of_the_chosen_threshold(result, test_rows):
    threshold = result.threshold.value
    tn, fp, fn, tp = sk.confusion_matrix(
        test_rows["_crisp_label"], test_rows["_crisp_score"] >= threshold
    ).ravel()
    counts = result.splits["test"].confusion
    assert (counts.tp, counts.fp, counts.fn, counts.tn) == (tp, fp, fn, tn)
    assert result.threshold.chosen_on == "validation"


def test_every_split_is_there_with_all_its_rows(result):
    rows = {name: (part.rows, part.labelled_rows) for name, part in result.splits.items()}
    assert rows == {
        "train": (3000, 3000),
        "validation": (3000, 3000),
        "test": (2000, 2000),
        "later": (500, 500),
    }


def test_the_result_survives_json(result):
    assert EvaluateResult.model_validate_json(result.model_dump_json()) == result
    assert "NaN" not in result.model_dump_json()


def test_criteria_are_measured_on_their_rows(result, frames):
    found = {m.criterion_id: m for m in result.measured}
    later = frames["later"].frame.where(F.col("`city.name`") == "O'Hare").toPandas()
    alert = later["_crisp_score"] >= result.threshold.value
    money = np.where(alert, np.where(later["_crisp_label"] == 1, 10, -4), 0).sum()
    assert found["M2"].value == pytest.approx(money)
    assert found["M2"].rows == len(later)
    assert found["M3"].rows == frames["test"].frame.where("other = 3").count()
    assert found["M1"].value == result.splits["test"].metrics["roc_auc"].value


def test_slices_name_unicode_and_missing_values(result):
    names = {item.name for item in result.slices.slices}
    assert {"city.name=Köln", "city.name=O'Hare", "city.name=(missing)"} <= names
    assert (
        sum(item.rows for item in result.slices.slices if item.columns == ["city.name"])
        == result.splits["test"].rows
    )


def test_important_columns_are_told_from_useless_ones(result):
    drops = {item.column: item for item in result.importance.items}
    assert result.importance.items[0].column == "size (m²)"
    assert drops["size (m²)"].low > 0
    assert drops["city.name"].low > 0
    assert drops["other"].drop == pytest.approx(0, abs=1e-12)
    assert result.importance.rows == 400


def test_dependence_follows_the_model(result):
    curves = {curve.column: curve for curve in result.partial_dependence}
    size = curves["size (m²)"]
    means = [point.mean for point in size.points]
    assert means == sorted(means)
    first, last = size.points[0], size.points[-1]
    assert last.mean - first.mean == pytest.approx((last.value - first.value) / 150, abs=0.05)
    cities = {point.value: point.mean for point in curves["city.name"].points}
    assert cities["Köln"] - cities["O'Hare"] == pytest.approx(0.3, abs=0.03)
    assert any("unused" in note for note in result.notes)


def test_damage_costs_quality(result):
    found = {point.damage: point for point in result.robustness}
    assert found["swapped"].value < found["swapped"].base - 0.03
    assert found["missing"].value < found["missing"].base - 0.03
    assert found["missing"].error == ""


def test_the_model_beats_its_baselines(result):
    gains = {
        item.other: item
        for item in result.comparisons
        if (item.metric, item.split) == ("roc_auc", "test")
    }
    assert gains["baseline prior"].other_value == 0.5
    assert gains["baseline rule"].better is True


def test_figures_do_not_depend_on_partitions_or_order(result, frames):
    shuffled = {
        name: replace(part, frame=part.frame.repartition(5, "other").sortWithinPartitions("key"))
        for name, part in frames.items()
    }
    assert evaluate_model(shuffled, task(), predict) == result


def test_the_number_of_jobs_does_not_depend_on_the_number_of_columns(spark, frames):
    def jobs(columns):
        group = f"count-{len(columns)}"
        spark.sparkContext.setJobGroup(group, "count")
        spec = SPEC.model_copy(update={"partial_dependence": []})
        wide = {"test": frames["test"], "validation": frames["validation"]}
        for number in range(8):
            wide["test"] = replace(
                wide["test"], frame=wide["test"].frame.withColumn(f"c{number}", F.lit(number))
            )
        evaluate_model(wide, task(spec=spec, columns=columns), predict)
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)
        return len(spark.sparkContext.statusTracker().getJobIdsForGroup(group))

    few = ["size (m²)", "city.name"]
    assert jobs([*few, *(f"c{n}" for n in range(8))]) == jobs(few)


def test_rows_without_a_label_are_counted_and_left_out(spark, frames):
    part = make(spark, 5000, 5100)
    blank = part.withColumn("_crisp_label", F.expr("if(key % 4 = 0, null, _crisp_label)"))
    found = evaluate_model({**frames, "test": Split(scored(blank), 100)}, task())
    assert found.splits["test"].labelled_rows == 75
    assert "test: 25 rows without a label or a score are left out." in found.notes
    assert found.importance is None


def test_an_empty_later_period_leaves_its_criteria_unknown(frames):
    empty = Split(frames["later"].frame.where("false"), 0)
    found = evaluate_model({**frames, "later": empty}, task())
    measured = {m.criterion_id: m for m in found.measured}
    assert measured["M2"].value is None
    assert measured["M2"].rows == 0
    assert measured["M2"].reason
    without = evaluate_model({k: v for k, v in frames.items() if k != "later"}, task())
    assert {m.criterion_id: m for m in without.measured}["M2"].reason == (
        "the project has no later rows"
    )


def test_no_rows_to_choose_a_threshold_on_is_an_error(frames):
    empty = Split(frames["validation"].frame.where("false"), 0)
    with pytest.raises(DataError, match="no labelled validation or training rows"):
        evaluate_model({"validation": empty, "test": frames["test"]}, task())


def test_a_missing_label_column_is_named(frames):
    frame = frames["test"].frame.drop("_crisp_label")
    with pytest.raises(MissingColumnsError, match="evaluate test: no such column '_crisp_label'"):
        evaluate_model({**frames, "test": Split(frame, 2000)}, task())


def test_private_columns_are_neither_sliced_nor_drawn(frames):
    found = evaluate_model(frames, task(private=frozenset({"city.name"})), predict)
    shown = found.model_dump_json(exclude={"measured"})
    assert "Köln" not in shown
    assert {curve.column for curve in found.partial_dependence} == {"size (m²)"}


def test_a_large_split_is_sampled_but_counted_exactly(frames, test_rows):
    wanted = Wanted("test", 2000, "binary", key=["key"], max_rows=500)
    rows = collect_rows(frames["test"].frame, wanted)
    assert 400 < rows.read_rows < 600
    assert rows.total_rows == 2000
    again = collect_rows(frames["test"].frame.repartition(7), wanted)
    assert np.array_equal(rows.score, again.score)
    counted = with_exact_counts(rows, frames["test"].frame, 0.5)
    tn, fp, fn, tp = sk.confusion_matrix(
        test_rows["_crisp_label"], test_rows["_crisp_score"] >= 0.5
    ).ravel()
    assert counted.counts == (tp, fp, fn, tn)


def test_copies_take_exactly_the_cells_they_are_told_to(spark):
    frame = spark.createDataFrame(
        [(k, f"v{k}", None if k == 2 else k * 10, 1.0) for k in range(5)],
        "key int, `a.b` string, n int, _crisp_label double",
    )
    sample = take_sample(frame, ["a.b", "n"], rows=5, total_rows=5, key=["key"], seed=1)
    order = [row["a.b"] for row in sample.frame.orderBy("_crisp_index").collect()]
    numbers = {f"v{k}": None if k == 2 else k * 10 for k in range(5)}
    probes = [
        Probe(),
        Probe(target=0, offset=2),
        Probe(target=1, donor=3),
        Probe(share=1.0, blank=True),
    ]
    found = altered_copies(sample, probes).orderBy("_crisp_copy", "_crisp_index").collect()
    told = [(row["a.b"], row["n"]) for row in found]
    assert told[:5] == [(name, numbers[name]) for name in order]
    assert told[5:10] == [(order[(i + 2) % 5], numbers[order[i]]) for i in range(5)]
    assert told[10:15] == [(name, numbers[order[3]]) for name in order]
    assert told[15:] == [(None, None)] * 5


def test_a_model_that_drops_rows_cannot_be_explained(spark, frames):
    sample = take_sample(
        frames["test"].frame, ["other"], rows=50, total_rows=2000, key=["key"], seed=1
    )

    def drops(frame):
        return predict(frame.withColumns({"size (m²)": F.lit(1.0), "city.name": F.lit("")})).where(
            "other > 0"
        )

    with pytest.raises(ModelError, match="answered for"):
        ask(sample, [Probe()], drops)


def test_a_model_that_cannot_take_nulls_is_a_finding(frames):
    stages = [
        SQLTransformer(statement="SELECT *, `size (m²)` AS size FROM __THIS__"),
        VectorAssembler(inputCols=["size"], outputCol="v", handleInvalid="error"),
    ]
    frame = frames["test"].frame
    assembler = Pipeline(stages=stages).fit(frame)

    def picky(rows):
        first = vector_to_array(F.col("v"))[0] / 150
        return (
            assembler.transform(rows)
            .withColumn("_crisp_score", first)
            .withColumn("_crisp_prediction", F.lit(0.0))
        )

    spec = SPEC.model_copy(update={"partial_dependence": []})
    found = evaluate_model(frames, task(spec=spec, columns=["size (m²)"]), picky)
    missing = next(point for point in found.robustness if point.damage == "missing")
    assert missing.value is None
    assert "cannot score rows with missing values" in missing.error
    assert found.importance.items[0].drop > 0


def test_regression_is_judged_by_its_errors(frames):
    goal = GOAL.model_copy(update={"problem": "regression"})
    found = evaluate_model(frames, task(goal, metric="rmse"), predict)
    test = found.splits["test"]
    assert found.threshold is None
    assert test.metrics["rmse"].value > 0
    assert sum(part.rows for part in test.residuals.histogram) == 2000
    assert found.importance.metric == "rmse"
    assert found.importance.items[0].column == "size (m²)"
    assert {m.criterion_id: m for m in found.measured}["M1"].reason.startswith("no metric roc_auc")


def test_classes_are_judged_with_the_probability_of_the_true_one(frames):
    goal = GOAL.model_copy(update={"problem": "multiclass"})
    score = F.col("_crisp_score")
    both = {
        name: replace(
            part, frame=part.frame.withColumn("_crisp_probabilities", F.array(1 - score, score))
        )
        for name, part in frames.items()
    }
    found = evaluate_model(both, task(goal, metric="macro_f1", classes=["no", "yes"]), predict)
    binary = evaluate_model({k: frames[k] for k in ("validation", "test")}, task())
    test = found.splits["test"]
    assert test.metrics["log_loss"].value == pytest.approx(
        binary.splits["test"].metrics["log_loss"].value
    )
    assert [part.label for part in test.classes] == ["no", "yes"]
    assert found.partial_dependence == []


def test_clusters_are_judged_as_mllib_judges_them(spark):
    frame = make(spark, 0, 600).withColumn("x", F.col("other") * 10.0 + F.col("`size (m²)`") / 100)
    assembled = VectorAssembler(inputCols=["x", "size (m²)"], outputCol="features").transform(frame)
    model = KMeans(k=4, seed=1).fit(assembled)
    said = model.transform(assembled).withColumn("_crisp_prediction", F.col("prediction"))
    goal = MiningGoal(problem="clustering", key=("key",))
    business = BusinessSpec(mining_goal=goal)
    found = evaluate_model(
        {"test": Split(said, 600)}, Task(business, EvaluationSpec(), "silhouette", width=2)
    )
    expected = ClusteringEvaluator().evaluate(model.transform(assembled))
    metrics = found.splits["test"].metrics
    assert metrics["silhouette"].value == pytest.approx(expected, rel=1e-6)
    assert metrics["within_ss"].value == pytest.approx(model.summary.trainingCost, rel=1e-3)
    assert sum(part.rows for part in found.clusters) == 600


def test_folds_are_judged_apart_where_their_models_name_things_differently(spark):
    """Two folds, in which the same two groups carry each other's numbers."""
    frame = make(spark, 0, 400).withColumn("_crisp_fold", F.col("key") % 2)
    group = F.floor(F.col("key") / 2) % 2
    named = F.when(F.col("_crisp_fold") == 0, group).otherwise(1 - group)
    placed = VectorAssembler(inputCols=["x"], outputCol="features").transform(
        frame.withColumn("x", group * 10 + F.col("other"))
    )
    said = placed.withColumn("_crisp_prediction", named.cast("double"))
    business = BusinessSpec(mining_goal=MiningGoal(problem="clustering", key=("key",)))
    job = Task(business, EvaluationSpec(), "silhouette", width=1)
    kept = said.select(*needed_columns(said.columns, job, "validation"))
    found = evaluate_model({"validation": Split(kept, 400)}, job)
    assert found.splits["validation"].metrics["silhouette"].value > 0.9


def test_lists_are_judged_by_user(spark):
    goal = GOAL.model_copy(
        update={"problem": "recommendation", "user": "user id", "item": "key", "positive": None}
    )
    frame = make(spark, 0, 400).withColumn("user id", F.col("key") % 20)
    rated = frame.withColumn("_crisp_label", F.pmod(F.xxhash64("key"), F.lit(5)) + F.lit(1.0))
    said = rated.withColumn("_crisp_score", F.col("_crisp_label") + 0.1).withColumn(
        "_crisp_prediction", F.col("_crisp_score")
    )
    found = evaluate_model(
        {"train": Split(said, 400), "test": Split(said, 400)},
        Task(BusinessSpec(mining_goal=goal), EvaluationSpec(top_k=3), "rmse"),
    )
    metrics = found.splits["test"].metrics
    assert metrics["ndcg_at_k"].value == pytest.approx(1.0)
    assert metrics["rmse"].value == pytest.approx(0.1)
    assert found.ranking.k == 3
    assert found.ranking.users == 20


def test_baselines_get_a_threshold_as_fairly_chosen_as_the_models(frames):
    from crisp_spark.evaluation.evaluate import collect_splits

    rows = collect_splits({"validation": frames["validation"]}, task())
    judge, _ = judge_for(rows, task())
    assert judge.baseline_thresholds["rule"] == 0.5
    # At 40 % positives an alert for everybody pays: 0.4 * 10 - 0.6 * 4 > 0.
    assert judge.baseline_thresholds["prior"] <= 0.4
