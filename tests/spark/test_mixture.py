"""The Gaussian mixture beside MLlib's, and where MLlib's would never end."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.errors import IllegalArgumentException
from pyspark.ml.clustering import GaussianMixture
from pyspark.ml.linalg import Vectors

from crisp_spark.errors import ModelError
from crisp_spark.modeling import mixture
from crisp_spark.modeling.mixture import BoundedGaussianMixture

OPTIONS = {"featuresCol": "x", "k": 3, "maxIter": 7, "tol": 1e-6, "seed": 11}


@pytest.fixture
def clouds(spark):
    random = np.random.default_rng(3)
    centres = np.array([[0.0, 0, 0], [4, 4, 0], [-4, 5, 1]])
    rows = [centres[at % 3] + random.normal(size=3) for at in range(300)]
    vectors = [
        (Vectors.sparse(3, {0: row[0], 1: row[1]}) if at % 7 == 0 else Vectors.dense(row),)
        for at, row in enumerate(rows)
    ]
    return spark.createDataFrame(vectors, ["x"]).repartition(3).cache()


@pytest.mark.parametrize("most_bytes", [mixture._ONE_TASK_BYTES, 0], ids=["one task", "passes"])
def test_it_finds_what_mllib_finds(clouds, most_bytes, monkeypatch):
    monkeypatch.setattr(mixture, "_ONE_TASK_BYTES", most_bytes)
    theirs = GaussianMixture(**OPTIONS).fit(clouds)
    ours = BoundedGaussianMixture(**OPTIONS).fit(clouds)
    assert type(ours) is type(theirs)
    assert ours.getMaxIter() == 7
    assert ours.weights == pytest.approx(theirs.weights, rel=1e-9)
    for one, other in zip(ours.gaussians, theirs.gaussians, strict=True):
        assert one.mean.toArray() == pytest.approx(other.mean.toArray(), rel=1e-9)
        assert one.cov.toArray() == pytest.approx(other.cov.toArray(), rel=1e-8, abs=1e-12)
    found = ours.transform(clouds).select("prediction", "probability").collect()
    expected = theirs.transform(clouds).select("prediction", "probability").collect()
    assert [row[0] for row in found] == [row[0] for row in expected]
    probabilities = [[row[1].toArray() for row in rows] for rows in (found, expected)]
    assert np.allclose(*probabilities, rtol=1e-8, atol=1e-12)


def test_it_ends_when_the_likelihood_rests(clouds):
    options = OPTIONS | {"tol": 1e6}
    few, many = (
        BoundedGaussianMixture(**options | {"maxIter": most}).fit(clouds) for most in (2, 50)
    )
    assert few.weights == many.weights


def test_what_mllib_refuses_is_refused(clouds):
    with pytest.raises(IllegalArgumentException, match="k given invalid value 1"):
        BoundedGaussianMixture(**OPTIONS | {"k": 1}).fit(clouds)
    weighted = BoundedGaussianMixture(**OPTIONS, weightCol="w")
    with pytest.raises(ModelError, match="cannot be weighted"):
        weighted.fit(clouds)


@pytest.mark.parametrize("most_bytes", [mixture._ONE_TASK_BYTES, 0], ids=["one task", "passes"])
def test_more_components_than_kinds_of_rows_are_an_error(spark, most_bytes, monkeypatch):
    """MLlib's own fit of these rows fails in LAPACK, or never ends, depending on the seed."""
    monkeypatch.setattr(mixture, "_ONE_TASK_BYTES", most_bytes)
    rows = [(Vectors.dense(np.eye(3)[at % 3]),) for at in range(20)]
    flags = spark.createDataFrame(rows, ["x"]).repartition(2)
    faults = []
    for seed in range(5):  # some draws of the start end well
        learner = BoundedGaussianMixture(featuresCol="x", k=4, maxIter=100, seed=seed)
        try:
            assert np.isfinite(learner.fit(flags).weights).all()
        except ModelError as error:
            faults.append(str(error))
    assert faults
    assert all("of 4 has shrunk to rows that are all alike" in fault for fault in faults)


def test_no_rows_are_an_error(spark):
    none = spark.createDataFrame([(Vectors.dense([1.0]),)], ["x"]).limit(0)
    with pytest.raises(ModelError, match="no rows"):
        BoundedGaussianMixture(featuresCol="x").fit(none)
