"""Hyperparameter sweeps: this project against CrossValidator, on the same folds and configurations.

The alternatives run one after the other in one Spark application, each on the same table: Spark's
CrossValidator with the features inside its pipeline (and, with ``--outside``, outside of it; both
with parallelism 2), this project exact and fast, and, as the floor, single-node LightGBM growing
the same trees; 24 configurations each, 144 with ``--full`` (but for forests). Writes one JSON line
per alternative and one at the end; figures and machine belong into ``benchmarks/RESULTS.md``.

    .venv/bin/python benchmarks/sweep.py [--rows 6000] [--only gbt,forest] [--repeats 1] [--full]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from measuring import cpu_seconds
from pyspark.ml import Pipeline
from pyspark.ml.evaluation import BinaryClassificationEvaluator, RegressionEvaluator
from pyspark.ml.feature import Imputer, VectorAssembler
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder

from crisp_spark.engine.session import build_session
from crisp_spark.modeling.estimators import BuildContext, build_estimator
from crisp_spark.modeling.features import FeaturePlan
from crisp_spark.modeling.planning import SweepTask
from crisp_spark.modeling.sweep import run_sweep
from crisp_spark.spec.business import MiningGoal
from crisp_spark.spec.estimators import estimator
from crisp_spark.spec.modeling import ModelingSpec

SLOTS, FOLDS, SEED = 12, 3, 42
EQUAL = 1e-9
COLUMNS = [f"x{at}" for at in range(SLOTS)]


@dataclass(frozen=True)
class Case:
    """A sweep to measure."""

    kind: str
    problem: str
    grid: dict[str, list[Any]]
    modes: tuple[str, ...]
    higher: bool = True


CASES = {
    "gbt": Case(
        "gradient_boosting",
        "binary",
        {
            "maxIter": [2, 4, 8],
            "maxDepth": [3, 5],
            "stepSize": [0.1, 0.3],
            "minInstancesPerNode": [10, 50],
        },
        ("exact", "fast"),
    ),
    "forest": Case(
        "random_forest",
        "binary",
        {"maxDepth": [3, 4, 6, 8], "numTrees": [5, 10, 20], "minInstancesPerNode": [1, 20]},
        ("exact", "fast"),
    ),
    "logistic": Case(
        "logistic_regression",
        "binary",
        {
            "regParam": [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1],
            "elasticNetParam": [0.0, 0.3, 0.7, 1.0],
        },
        ("exact", "fast"),
    ),
    "linear": Case(
        "linear_regression",
        "regression",
        {
            "regParam": [round(0.001 * 1.5**step, 6) for step in range(24)],
            "elasticNetParam": [0.0],
            "solver": ["normal"],
        },
        ("exact",),
        higher=False,
    ),
}
FULL = {
    "gbt": {
        "maxIter": [2, 4, 8],
        "maxDepth": [3, 5],
        "stepSize": [0.05, 0.1, 0.2, 0.3],
        "minInstancesPerNode": [1, 10, 20, 50, 100, 200],
    },
    "logistic": {
        "regParam": [round(0.0001 * 1.5**step, 6) for step in range(18)],
        "elasticNetParam": [0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0],
    },
    "linear": {
        "regParam": [round(0.001 * 1.08**step, 6) for step in range(144)],
        "elasticNetParam": [0.0],
        "solver": ["normal"],
    },
}


def table(spark: Any, rows: int) -> Any:
    """Return numbers with a class and a value, and a fold."""
    chance = np.random.default_rng(SEED)
    x = chance.normal(size=(rows, SLOTS))
    pull = x[:, 0] + x[:, 1] * x[:, 2] + 0.5 * x[:, 3] ** 2 + chance.normal(size=rows)
    import pandas as pd

    frame = pd.DataFrame(x, columns=COLUMNS)
    frame["late"] = (pull > 1).astype(int)
    frame["cost"] = pull
    frame["id"] = np.arange(rows)
    frame["_crisp_fold"] = (frame["id"] * 7919 % FOLDS).astype("int32")
    found = spark.createDataFrame(frame).repartition(2, "id").cache()
    found.count()
    return found


def jobs_so_far(spark: Any) -> int:
    return int(spark.sparkContext._jsc.sc().dagScheduler().numTotalJobs())  # noqa: SLF001


def learner(case: Case) -> Any:
    info = estimator(case.kind, case.problem)
    return build_estimator(info, {}, BuildContext(case.problem, seed=SEED))


def points(case: Case) -> list[dict[str, Any]]:
    builder = [{}]
    for name, values in case.grid.items():
        builder = [{**point, name: value} for point in builder for value in values]
    return builder


def cross_validator(spark: Any, frame: Any, case: Case, *, inside: bool) -> dict[str, Any]:
    """Fit Spark's CrossValidator; the metric of each configuration, by its settings."""
    label = "late" if case.problem == "binary" else "cost"
    own = learner(case)
    rows = frame.withColumn("_crisp_label", frame[label].cast("double"))
    features = [
        Imputer(inputCols=COLUMNS, outputCols=[f"f_{c}" for c in COLUMNS], strategy="median"),
        VectorAssembler(inputCols=[f"f_{c}" for c in COLUMNS], outputCol="features"),
    ]
    stages = [*features, own]
    if not inside:
        rows = Pipeline(stages=features).fit(rows).transform(rows).cache()
        rows.count()
        stages = [own]
    builder = ParamGridBuilder()
    for name, values in case.grid.items():
        builder = builder.addGrid(own.getParam(name), values)
    maps = builder.build()
    judge = (
        BinaryClassificationEvaluator(labelCol="_crisp_label", numBins=0)
        if case.problem == "binary"
        else RegressionEvaluator(labelCol="_crisp_label", metricName="rmse")
    )
    found = CrossValidator(
        estimator=Pipeline(stages=stages),
        estimatorParamMaps=maps,
        evaluator=judge,
        numFolds=FOLDS,
        foldCol="_crisp_fold",
        parallelism=2,
    ).fit(rows)
    if not inside:
        rows.unpersist()
    del spark
    named = [{param.name: value for param, value in point.items()} for point in maps]
    return dict(zip(map(key_of, named), found.avgMetrics, strict=True))


def key_of(point: dict[str, Any]) -> str:
    return json.dumps(point, sort_keys=True)


def ours(spark: Any, frame: Any, case: Case, mode: str) -> dict[str, Any]:
    """Run the sweep of this project; the metric of each configuration, by its settings."""
    del spark
    binary = case.problem == "binary"
    spec = ModelingSpec.model_validate(
        {
            "families": [{"kind": case.kind, "params": case.grid}],
            "metric": "roc_auc" if binary else "rmse",
            "search": {"mode": mode},
        }
    )
    target = {"target": "late", "positive": 1} if binary else {"target": "cost"}
    goal = MiningGoal(problem=case.problem, key=("id",), **target)
    excluded = {"late": "a target", "cost": "a target"}
    plan = FeaturePlan(excluded=excluded, optional={"id": "key"})
    outcome = run_sweep(frame, SweepTask(spec, goal, plan, key=("id",), partitions=2, seed=SEED))
    outcome.release()
    engines = sorted({trial.engine for trial in outcome.result.trials})
    found = {key_of(trial.params): trial.metric for trial in outcome.result.trials}
    return {**found, "engines": engines, "winner": key_of(outcome.result.winner.params)}


def floor(frame: Any, case: Case) -> dict[str, Any]:
    """Grow the same boosted trees by LightGBM in this process, binning included."""
    import lightgbm

    data = frame.select(*COLUMNS, "late", "_crisp_fold").toPandas()
    for fold in range(FOLDS):
        chosen = data[data["_crisp_fold"] != fold]
        other = data[data["_crisp_fold"] == fold]
        held = lightgbm.Dataset(
            chosen[COLUMNS], chosen["late"], params={"max_bin": 32, "verbosity": -1}
        )
        for point in points(case):
            if point["maxIter"] != max(case.grid["maxIter"]):
                continue
            own = {
                "objective": "binary",
                "max_bin": 32,
                "verbosity": -1,
                "num_threads": 2,
                "num_leaves": 2 ** point["maxDepth"],
                "max_depth": point["maxDepth"],
                "min_data_in_leaf": point["minInstancesPerNode"],
                "learning_rate": point["stepSize"],
                "feature_pre_filter": False,
            }
            model = lightgbm.train(own, held, point["maxIter"])
            for count in case.grid["maxIter"]:
                model.predict(other[COLUMNS], num_iteration=count)
    return {}


def measured(spark: Any, name: str, work: Any) -> dict[str, Any]:
    """Run one alternative and print what it took."""
    jobs, cpu, begun = jobs_so_far(spark), cpu_seconds(), time.monotonic()
    found = work()
    told = {
        "alternative": name,
        "wall_s": round(time.monotonic() - begun, 2),
        "cpu_s": round(cpu_seconds() - cpu, 2),
        "jobs": jobs_so_far(spark) - jobs,
        "load": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(told | {"engines": found.get("engines", [])}), flush=True)
    return {**told, "metrics": found}


def compare(spark: Any, frame: Any, name: str, case: Case, *, outside: bool) -> dict[str, Any]:
    """Measure all alternatives of one sweep; ``outside``: features before CrossValidator too."""
    found = {
        "cv": measured(
            spark,
            f"{name} CrossValidator, pipeline inside, 2 at once",
            lambda: cross_validator(spark, frame, case, inside=True),
        )
    }
    for mode in case.modes:
        found[mode] = measured(
            spark, f"{name} crisp_spark {mode}", lambda mode=mode: ours(spark, frame, case, mode)
        )
    if outside:
        found["outside"] = measured(
            spark,
            f"{name} CrossValidator, pipeline outside, 2 at once",
            lambda: cross_validator(spark, frame, case, inside=False),
        )
    if name == "gbt":
        found["floor"] = measured(spark, "gbt LightGBM alone", lambda: floor(frame, case))
    return found


def warm_up(spark: Any, frame: Any, case: Case) -> None:
    """Run every alternative once on a few rows and a tenth of the grid.

    What the JVM compiles in its first minute must not count against whoever comes first.
    """
    small = {
        name: values[: 2 if at == 0 else 1] for at, (name, values) in enumerate(case.grid.items())
    }
    tried = Case(case.kind, case.problem, small, case.modes, case.higher)
    cross_validator(spark, frame, tried, inside=True)
    for mode in case.modes:
        ours(spark, frame, tried, mode)


def agreement(case: Case, found: dict[str, Any], mode: str) -> tuple[float, bool]:
    """Return the largest difference of a metric, and whether the winner is the same."""
    theirs, own = found["cv"]["metrics"], found[mode]["metrics"]
    gaps = [abs(theirs[key] - own[key]) for key in theirs if own.get(key) is not None]
    pick = max if case.higher else min
    best = theirs[own["winner"]]
    # Configurations that tie for the best place are equally good winners.
    return max(gaps), abs(best - pick(theirs.values())) < EQUAL


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--rows", type=int, default=6000)
    asked.add_argument("--only", default=",".join(CASES))
    asked.add_argument("--repeats", type=int, default=1)
    asked.add_argument("--outside", action="store_true")
    asked.add_argument("--full", action="store_true")
    options = asked.parse_args()
    spark = build_session(
        "bench-sweep",
        master="local[2]",
        conf={"spark.sql.shuffle.partitions": "2", "spark.driver.memory": "4g"},
    )
    frame = table(spark, options.rows)
    machine = {
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "spark": spark.version,
        "rows": options.rows,
        "load": round(os.getloadavg()[0], 1),
    }
    print(json.dumps({"machine": machine}), flush=True)
    cases = dict(CASES)
    if options.full:
        cases |= {name: replace(cases[name], grid=grid) for name, grid in FULL.items()}
    chosen = {name: cases[name] for name in options.only.split(",")}
    for case in chosen.values():
        warm_up(spark, frame.limit(400).cache(), case)
    summary = summarise(
        {
            name: [
                compare(spark, frame, name, case, outside=options.outside or options.full)
                for _ in range(options.repeats)
            ]
            for name, case in chosen.items()
        },
        cases,
    )
    spark.stop()
    sys.stdout.write(json.dumps(summary) + "\n")


def summarise(found: dict[str, list[dict[str, Any]]], cases: dict[str, Case]) -> dict[str, Any]:
    """Return ratios of wall time, medians over the repeats."""
    told: dict[str, Any] = {}
    gaps, same, jobs, jobs_cv = [], [], 0, 0
    for name, runs in found.items():
        for mode in cases[name].modes:
            ratios = [run["cv"]["wall_s"] / run[mode]["wall_s"] for run in runs]
            cpu = [run["cv"]["cpu_s"] / run[mode]["cpu_s"] for run in runs]
            label = name if name != "gbt" and mode == cases[name].modes[-1] else f"{name}_{mode}"
            told[f"{label}_vs_cv"] = round(statistics.median(ratios), 2)
            told[f"{label}_cpu_vs_cv"] = round(statistics.median(cpu), 2)
            gap, winner = agreement(cases[name], runs[0], mode)
            if name != "forest":
                # Forests of mode fast are other draws, as good and not the same.
                gaps.append(gap)
                same.append(winner)
            told[f"{label}_difference"] = gap
        last = cases[name].modes[-1]
        jobs += runs[0][last]["jobs"]
        jobs_cv += runs[0]["cv"]["jobs"]
        if "floor" in runs[0]:
            told["gbt_fast_vs_lightgbm"] = round(
                statistics.median(run["fast"]["wall_s"] / run["floor"]["wall_s"] for run in runs), 2
            )
    told["same_winner"] = int(all(same)) if same else None
    told["max_metric_difference"] = max(gaps) if gaps else None
    return told | {"jobs": jobs, "jobs_cv": jobs_cv}


if __name__ == "__main__":
    main()
