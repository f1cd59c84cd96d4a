from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from crisp_spark.evaluation.clusters import describe_clusters, silhouettes, squared_distances
from crisp_spark.evaluation.comparing import (
    compare_baselines,
    compare_splits,
    measure_criteria,
)
from crisp_spark.evaluation.curves import curves_of, residuals_of
from crisp_spark.evaluation.describing import describe_split
from crisp_spark.evaluation.estimates import independent_difference
from crisp_spark.evaluation.judging import Judge
from crisp_spark.evaluation.metrics import measure
from crisp_spark.evaluation.rows import ScoredRows, SliceColumn
from crisp_spark.results.evaluate import MetricValue
from crisp_spark.spec.business import Criterion, Reading

JUDGE = Judge("binary", threshold=0.5)


@pytest.fixture(scope="module")
def rows() -> ScoredRows:
    random = np.random.default_rng(0)
    score = random.random(5000)
    label = (random.random(5000) < score).astype(float)
    place = SliceColumn("place", (np.arange(5000) % 2).astype(np.intp), ("Aix", "Metz"))
    baselines = {"prior": np.full(5000, 0.5), "coin": random.random(5000)}
    return ScoredRows(
        "test", 5000, 5000, label, score, score, baselines=baselines, columns={"place": place}
    )


def test_curves_have_the_areas_of_the_metrics(rows):
    curves = curves_of(rows, points=200, confidence=0.95)
    area = sk.auc([p.x for p in curves.roc], [p.y for p in curves.roc])
    assert area == pytest.approx(sk.roc_auc_score(rows.label, rows.score), abs=1e-3)
    below = sk.auc([p.x for p in curves.pr], [p.y for p in curves.pr])
    assert below == pytest.approx(sk.average_precision_score(rows.label, rows.score), abs=5e-3)


def test_curves_are_bounded_and_reach_both_ends(rows):
    curves = curves_of(rows, points=50, confidence=0.95)
    assert len(curves.roc) <= 50
    assert len(curves.pr) <= 50
    assert (curves.roc[0].x, curves.roc[0].y) == (0, 0)
    assert (curves.roc[-1].x, curves.roc[-1].y) == (1, 1)
    assert curves.pr[-1].x == 1


def test_true_probabilities_are_calibrated(rows):
    curves = curves_of(rows, points=50, confidence=0.95)
    assert sum(part.rows for part in curves.calibration) == 5000
    assert curves.calibration_error < 0.03
    inside = [part.low <= part.mean_score <= part.high for part in curves.calibration]
    assert sum(inside) >= 8
    halved = curves_of(replace(rows, score=rows.score / 2), points=50, confidence=0.95)
    assert halved.calibration_error == pytest.approx(0.25, abs=0.02)


def test_equal_scores_stay_in_one_calibration_bin():
    label, score = np.array([0.0, 1] * 50), np.repeat([0.2, 0.7], 50)
    rows = ScoredRows("test", 100, 100, label, score, score)
    curves = curves_of(rows, points=10, confidence=0.95)
    assert [part.rows for part in curves.calibration] == [50, 50]


def test_gain_and_lift_by_hand():
    label, score = np.array([1.0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), np.arange(10, 0, -1) / 10
    curves = curves_of(ScoredRows("test", 10, 10, label, score, score), points=10, confidence=0.95)
    tenth = next(point for point in curves.gains if point.share == 0.1)
    assert (tenth.gain, tenth.lift) == (0.5, pytest.approx(5.0))
    assert curves.gains[-1].gain == 1.0


def test_one_class_alone_has_no_curves(rows):
    assert curves_of(replace(rows, label=np.ones(5000)), points=50, confidence=0.95) is None


def test_residuals_count_every_row():
    random = np.random.default_rng(1)
    label = random.normal(0, 5, 1000)
    rows = ScoredRows("test", 1000, 1000, label, label + 1, label + 1)
    found = residuals_of(rows)
    assert sum(part.rows for part in found.histogram) == 1000
    assert found.quantiles["0.5"] == pytest.approx(1.0)
    assert [part.decile for part in found.deciles] == list(range(1, 11))
    assert all(part.bias == pytest.approx(1.0) for part in found.deciles)


def test_a_split_of_one_class_is_described_without_curves(rows):
    found = describe_split(replace(rows, label=np.zeros(5000)), JUDGE, classes=(), points=50)
    assert found.curves is None
    assert found.metrics["roc_auc"].value is None
    assert found.confusion.tp == 0


def test_an_empty_split_is_described_without_numbers(rows):
    found = describe_split(rows.where(np.zeros(5000, bool)), JUDGE, classes=(), points=50)
    assert found.labelled_rows == 0
    assert {value.reason for value in found.metrics.values()} >= {"no labelled rows"}


def test_classes_are_described_one_by_one():
    label, said = np.array([0.0, 0, 1, 1, 2]), np.array([0.0, 1, 1, 1, 0])
    rows = ScoredRows("test", 5, 5, label, said, said)
    found = describe_split(rows, Judge("multiclass", class_count=3), classes=list("abc"), points=9)
    assert found.class_matrix == sk.confusion_matrix(label, said).tolist()
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        label, said, zero_division=0
    )
    assert [part.support for part in found.classes] == support.tolist()
    assert [part.recall.value for part in found.classes] == pytest.approx(recall.tolist())
    assert [part.precision.value for part in found.classes[:2]] == pytest.approx(precision[:2])
    assert found.classes[2].precision.reason == "never predicted"
    assert [part.f1 for part in found.classes] == pytest.approx(f1.tolist())


def test_baselines_are_compared_with_paired_intervals(rows):
    found = {(c.other, c.metric): c for c in compare_baselines(rows, JUDGE)}
    against = found["baseline coin", "roc_auc"]
    assert against.better is True
    assert against.gain.value == pytest.approx(against.model - against.other_value)
    same = replace(rows, baselines={"itself": rows.score})
    tie = next(c for c in compare_baselines(same, JUDGE) if c.metric == "roc_auc")
    assert (tie.gain.value, tie.better) == (0.0, None)


def test_the_model_in_use_is_compared_by_its_own_threshold_and_is_no_baseline(rows):
    both = replace(rows, baselines={"prior": np.full(5000, 0.5), "_in_use": rows.score * 0.1})
    judge = replace(JUDGE, baseline_thresholds={"_in_use": 0.05})
    found = {(c.other, c.metric): c for c in compare_baselines(both, judge)}
    assert {other for other, _ in found} == {"baseline prior", "champion"}
    assert (found["champion", "roc_auc"].gain.value, found["champion", "roc_auc"].better) == (
        0,
        None,
    )
    assert found["champion", "accuracy"].gain.value == 0
    assert found["champion", "brier"].better is True
    # A gain over the best baseline stays one over baselines.
    assert measure(both, judge, "roc_auc_gain").value > 0.2


def test_the_interval_of_two_separate_samples_by_hand():
    first = MetricValue(name="m", value=0.6, low=0.5, high=0.68, support=10)
    second = MetricValue(name="m", value=0.4, low=0.34, high=0.5, support=20)
    found = independent_difference("m", first, second)
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.2 - (0.1**2 + 0.1**2) ** 0.5)
    assert found.high == pytest.approx(0.2 + (0.08**2 + 0.06**2) ** 0.5)
    assert found.support == 10


def test_splits_are_laid_side_by_side_with_gaps(rows):
    train = describe_split(replace(rows, split="train"), JUDGE, classes=(), points=50)
    test = describe_split(rows, JUDGE, classes=(), points=50)
    found = {row.metric: row for row in compare_splits({"train": train, "test": test})}
    assert "net_value" not in found
    assert list(found["roc_auc"].gaps) == ["train_test"]
    assert found["roc_auc"].gaps["train_test"].value == 0
    assert found["roc_auc"].values.keys() == {"train", "test"}


def test_each_criterion_is_measured_where_it_says(rows):
    criteria = [
        Criterion(id="A", metric="roc_auc", target=0.5),
        Criterion(id="B", metric="roc_auc_gain", target=0.5, slice="place = Metz"),
        Criterion(id="C", metric="roc_auc", target=0.5, on="later"),
        Criterion(id="D", metric="roc_auc", target=0.5, slice="town=Metz"),
        Criterion(id="E", metric="rmse", target=0.5),
        Criterion(id="F", metric="roc_auc", target=0.5, slice="place=Brest"),
        Criterion(
            id="G",
            metric="joy",
            target=1,
            measured_by="person",
            reading=Reading(value=1, by="me", date="2026-01-01"),
        ),
    ]
    found = {m.criterion_id: m for m in measure_criteria(criteria, {"test": rows}, JUDGE)}
    assert set(found) == set("ABCDEF")
    assert found["A"].value == pytest.approx(sk.roc_auc_score(rows.label, rows.score))
    assert (found["A"].rows, found["A"].method) == (5000, "delong")
    half = rows.columns["place"].codes == 1
    coin = sk.roc_auc_score(rows.label[half], rows.baselines["coin"][half])
    ours = sk.roc_auc_score(rows.label[half], rows.score[half])
    assert found["B"].value == pytest.approx(ours - max(coin, 0.5))
    assert found["B"].rows == 2500
    assert found["C"].reason == "the project has no later rows"
    assert found["D"].reason == "test rows have no column town"
    assert found["E"].reason.startswith("no metric rmse for a binary problem")
    assert found["F"].reason == "no labelled rows where place=Brest"
    assert all(found[name].value is None for name in "CDEF")


def test_silhouettes_equal_those_of_scikit_learn_on_squared_distances():
    random = np.random.default_rng(5)
    points = random.normal(size=(120, 4)) + np.repeat([[0] * 4, [3] * 4, [9] * 4], 40, axis=0)
    cluster = np.repeat([0, 1, 2], 40)
    expected = sk.silhouette_samples(points, cluster, metric="sqeuclidean")
    assert silhouettes(points, cluster) == pytest.approx(expected)


def test_lonely_points_and_single_clusters_have_no_silhouette():
    points = np.array([[0.0], [1.0], [9.0]])
    assert silhouettes(points, np.array([0, 0, 1]))[2] == 0
    assert silhouettes(points, np.zeros(3, dtype=np.intp)).tolist() == [0, 0, 0]
    assert silhouettes(points[:0], np.zeros(0, dtype=np.intp)).size == 0


def test_clusters_are_described_largest_first():
    points, cluster = np.array([[0.0], [2.0], [9.0]]), np.array([0, 0, 2])
    said = cluster.astype(float)
    rows = ScoredRows(
        "test",
        3,
        3,
        said,
        said,
        said,
        row_loss=squared_distances(points, cluster),
        silhouette=silhouettes(points, cluster),
    )
    found = describe_clusters(rows)
    assert [(part.cluster, part.rows, part.within_ss) for part in found] == [(0, 2, 2.0), (2, 1, 0)]
