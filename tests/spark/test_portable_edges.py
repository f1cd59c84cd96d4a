"""Edge cases, stage by stage: a value, null or a refusal, whichever Spark gives that row."""

from __future__ import annotations

import math

import numpy as np
import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.ml import feature as X
from pyspark.sql import functions as F

from crisp_spark.deployment.portable_stages import STAGES as EXPORTS
from crisp_spark.serving.batch import Batch, Layout
from crisp_spark.serving.bundle import STAGES
from crisp_spark.serving.columns import Frame
from crisp_spark.serving.refusal import RowsRefusedError

NAN, INF = math.nan, math.inf
TEXTS = ["b", "unseen", "", " ", "B", None]
NUMBERS = [None, NAN, INF, -INF, -0.0, 0.0, 1.0, 2.0, 2.5, -1e300, 1e300]
CODES = [None, NAN, INF, -1.0, 0.0, 1.0, 1.5, 2.0, 3.0, 1e10]
WHOLES = [None, -1, 0, 7, 2**31 - 1, -(2**31)]
TRAINING = {
    "string": ["a", "b", "b", "c"],
    "double": [0.0, 1.0, 2.0, 3.0],
    "int": [1, 2, 4, -1],
}


def stage(kind, values, make):
    return kind, values, make


CASES = {
    **{
        f"indexer of {kind}, {invalid}": stage(kind, values, lambda invalid=invalid: X.StringIndexer(inputCol="x", outputCol="out", handleInvalid=invalid))
        for kind, values in (("string", TEXTS), ("int", WHOLES))
        for invalid in ("error", "keep", "skip")
    },
    **{
        f"one-hot {invalid}, drop last {drop}": stage("double", CODES, lambda invalid=invalid, drop=drop: X.OneHotEncoder(inputCols=["x"], outputCols=["out"], handleInvalid=invalid, dropLast=drop))
        for invalid in ("error", "keep") for drop in (True, False)
    },
    **{
        f"bins {invalid}, to {end}": stage("double", NUMBERS, lambda invalid=invalid, end=end: X.Bucketizer(inputCol="x", outputCol="out", splits=[-end if end == INF else 0.0, *([0.0] if end == INF else []), 1.0, end], handleInvalid=invalid))
        for invalid in ("error", "keep", "skip") for end in (2.0, INF)
    },
    **{
        f"quantiles {invalid}": stage("double", NUMBERS, lambda invalid=invalid: X.QuantileDiscretizer(inputCol="x", outputCol="out", numBuckets=2, handleInvalid=invalid))
        for invalid in ("error", "keep", "skip")
    },
    **{
        f"imputer {strategy} of {kind}, missing {missing}": stage(kind, values, lambda strategy=strategy, missing=missing: X.Imputer(inputCols=["x"], outputCols=["out"], strategy=strategy, missingValue=missing))
        for kind, values in (("double", [*NUMBERS, -1.0]), ("int", WHOLES))
        for strategy in ("mean", "median", "mode") for missing in (NAN, -1.0)
    },
    **{
        f"assembler {invalid}": stage("double", NUMBERS, lambda invalid=invalid: X.VectorAssembler(inputCols=["x", "x"], outputCol="out", handleInvalid=invalid))
        for invalid in ("error", "keep", "skip")
    },
    "binarizer": stage("double", NUMBERS, lambda: X.Binarizer(inputCol="x", outputCol="out", threshold=1.0)),
    "index to string": stage("double", CODES, lambda: X.IndexToString(inputCol="x", outputCol="out", labels=["p", "q"])),
    "tokenizer": stage("string", ["a  B", "", " ", None], lambda: X.Tokenizer(inputCol="x", outputCol="out")),
}  # fmt: skip


def by_spark(model, frame):
    """The value that Spark gives the one row; ``refused`` where it leaves it out or stops."""
    try:
        found = model.transform(frame).select("out").collect()
    except (PySparkException, Py4JJavaError):
        return "refused"
    return shown(found[0][0]) if found else "refused"


def shown(value):
    if hasattr(value, "toArray"):
        value = value.toArray().tolist()
    return repr(value)


def own(build, value):
    layout = Layout()
    layout.value("x")
    apply = build(layout)
    batch = Batch(Frame([[value, *[None] * 3]]))
    try:
        with np.errstate(all="ignore"):
            apply(batch)
    except RowsRefusedError:
        return "refused"
    if "out" in layout.widths:
        return repr(None) if batch.absent.get("out") else shown(batch.vectors["out"][0].tolist())
    return shown(batch.rows[0][layout.slots["out"]])


SLOW = ("indexer of int", "imputer", "quantiles", "tokenizer")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name.startswith(SLOW) else name
        for name in CASES
    ],
)
def test_an_edge_of_a_stage_is_what_it_is_in_spark(spark, name):
    kind, values, make = CASES[name]
    training = spark.createDataFrame([(x,) for x in TRAINING[kind]], f"x {kind}").coalesce(1)
    if name.startswith("one-hot"):
        training = training.where(F.col("x") < 3)
    made = make()
    model = made.fit(training) if hasattr(made, "fit") else made
    arrays = {}

    def keep(at, numbers):
        arrays[at] = np.asarray(numbers)
        return at

    spec = EXPORTS[type(model).__name__](model, training, keep)
    rows = spark.createDataFrame([(at, x) for at, x in enumerate(values)], f"at int, x {kind}")
    # A local relation answers without a job of its own for each row.
    rows = rows.coalesce(1).cache()
    found = []
    for at, value in enumerate(values):
        theirs = by_spark(model, rows.where(F.col("at") == at))
        ours = own(lambda layout: STAGES[spec["kind"]](spec, arrays, layout), value)
        if ours != theirs:
            found.append(f"{value!r}: Spark {theirs}, ours {ours}")
    assert found == []
