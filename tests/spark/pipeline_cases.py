"""Random whole pipelines, fitted the way a sweep fits its winner, and random rows to score.

Everything follows from one seed: the table, the derived columns, the feature operations, the
learner and its hyperparameters, and the rows that are scored.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from pyspark.sql import functions as F

from crisp_spark.deployment.deploy import model_inputs
from crisp_spark.deployment.refusals import attempted
from crisp_spark.deployment.score import ScoringContract
from crisp_spark.errors import CrispError
from crisp_spark.modeling.estimators import CENSOR
from crisp_spark.modeling.features import FeaturePlan
from crisp_spark.modeling.folds import count_folds
from crisp_spark.modeling.labels import class_names, with_label
from crisp_spark.modeling.preparing import Preparation
from crisp_spark.modeling.search import PlannedTrial
from crisp_spark.modeling.trials import TrialTask, fit_trial
from crisp_spark.modeling.vectorizing import PreparationTask
from crisp_spark.modeling.winner import pipeline
from crisp_spark.spec.business import MiningGoal
from crisp_spark.spec.estimators import estimator
from crisp_spark.spec.features import FeatureOp
from crisp_spark.spec.modeling import Family
from tests.spark.sql_cases import LEAVES, PATTERNS

TRAINING_ROWS = 150
SIZE, MAKER, PROSE, WORDS = "größe (m²)", "o'maker", "doc", "words"
COLUMNS = {
    "id": "bigint",
    "d": "double",
    "e": "double",
    "f": "float",
    "i": "int",
    "j": "smallint",
    "l": "bigint",
    "o": "boolean",
    "s": "string",
    "t": "string",
    "y": "date",
    "z": "date",
    "m": "timestamp",
    "c": "decimal(10,2)",
    "k": "decimal(5,0)",
    SIZE: "double",
    MAKER: "string",
    PROSE: "string",
    WORDS: "array<string>",
}
TARGETS = {"two": "boolean", "three": "string", "cost": "double", "event": "double"}
NUMBERS = ["d", "e", "f", "i", "j", "l", "o", "c", "k", SIZE]
CATEGORIES = ["s", "t", MAKER]
PROBLEMS = ("binary", "multiclass", "regression", "clustering", "recommendation")
NAN, INF = math.nan, math.inf

_TEXTS = {
    "s": ["Zürich", "Bern", "", "12", " a b ", "1.5", "Ωmega ☃", "2024-02-29"],
    "t": ["l", "a", "%", "true", "_", "e\u0301", "ß"],
    MAKER: ["O'Brien ${x} __THIS__", "`tick`", '"quoted"', "back\\slash", "日本", "\U0001f600"],
}
_SENTENCES = [
    "the quick brown fox",
    "Łódź, łódź! the",
    "",
    "  ",
    "a b c",
    "naïve café 42",
    "x" * 60,
]
_STRANGE_TEXTS = [
    "",
    " ",
    "never seen ☃",
    "NaN",
    "null",
    "0x1F",
    "a\x00b",
    "\U0001f600",
    "-1e400",
    "=",
    "ﬁ",
]
_STRANGE: dict[str, list[Any]] = {
    "double": [NAN, INF, -INF, 1e300, -1e300, 5e-324, -0.0, 0.0, 1e16, 2.0**53 + 2],
    "float": [NAN, INF, -INF, 3.4e38, -0.0, 16777217.0],
    "int": [0, -1, 2**31 - 1, -(2**31)],
    "smallint": [0, -(2**15), 2**15 - 1],
    "bigint": [0, -1, 2**63 - 1, -(2**63), 2**53 + 1],
    "boolean": [True, False],
    "string": _STRANGE_TEXTS,
    "date": [date(1, 1, 1), date(9999, 12, 31), date(1582, 10, 15), date(2023, 2, 28)],
    "timestamp": [
        datetime(1901, 1, 1, 23, 0, 0, 1, UTC),
        datetime(2262, 4, 12, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
    ],
    "decimal(10,2)": [Decimal("99999999.99"), Decimal("-99999999.99"), Decimal("0.00")],
    "decimal(5,0)": [Decimal(99999), Decimal(-99999), Decimal(0)],
    "array<string>": [[], [""], ["never seen"], ["the", "the", "Łódź"]],
}


@dataclass(frozen=True)
class Fitted:
    """A fitted pipeline, what scoring needs beside it, and rows to score.

    Attributes:
        words: The pipeline in words, for the message of a failing test.
        model: The fitted pipeline.
        contract: Inputs, classes, threshold, fallback rule.
        held: Frame of the training rows' inputs.
        rows: Rows to score.
    """

    words: str
    model: Any
    contract: ScoringContract
    held: Any
    rows: list[dict[str, Any]] = field(repr=False)


class Draw:
    """Draws from one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def one(self, values):
        return values[int(self.rng.integers(len(values)))]

    def some(self, values, least=1, most=None):
        most = len(values) if most is None else min(most, len(values))
        count = int(self.rng.integers(min(least, most), most + 1))
        chosen = sorted(self.rng.choice(len(values), size=count, replace=False).tolist())
        return [values[at] for at in chosen]

    def chance(self, share):
        return bool(self.rng.random() < share)


# --- the table -----------------------------------------------------------------------------------


def _text(draw: Draw, name: str) -> str:
    if name == PROSE:
        return " ".join(draw.some(_SENTENCES, 1, 3))
    texts = _TEXTS[name]
    if draw.chance(0.06):
        return f"rare {int(draw.rng.integers(60))}"
    return texts[min(int(draw.rng.geometric(0.4)) - 1, len(texts) - 1)]


def _moment(draw: Draw) -> datetime:
    micros = int(draw.rng.integers(10**14)) if draw.chance(0.3) else 3_600_000_000 * 7
    return datetime(2021, 3, 1, tzinfo=UTC) + timedelta(microseconds=micros)


_USUAL: dict[str, Callable[[Draw], Any]] = {
    "double": lambda draw: float(np.round(draw.rng.normal(3, 4), 3)),
    "float": lambda draw: float(np.float32(draw.rng.normal(3, 4))),
    **dict.fromkeys(("int", "smallint", "bigint"), lambda draw: int(draw.rng.integers(-3, 40))),
    "decimal(10,2)": lambda draw: Decimal(int(draw.rng.integers(-500, 900))) / 100,
    "decimal(5,0)": lambda draw: Decimal(int(draw.rng.integers(-500, 900))),
    "boolean": lambda draw: draw.chance(0.4),
    "date": lambda draw: date(2020, 1, 1) + timedelta(days=int(draw.rng.integers(2000))),
    "timestamp": _moment,
    "array<string>": lambda draw: draw.some(["alpha", "beta", "the", "Łódź", ""], 0, 4),
}


def _usual(draw: Draw, name: str, kind: str) -> Any:
    if name == SIZE:
        return float(draw.rng.gamma(2, 30)) + 1
    return _text(draw, name) if kind == "string" else _USUAL[kind](draw)


def _table(draw: Draw, count: int) -> list[dict[str, Any]]:
    found = []
    # Each column has its own share of missing values and of odd ones; some have none at all.
    missing = {name: draw.one([0, 0.05, 0.2]) for name in COLUMNS}
    odd = {name: draw.one([0, 0, 0.04]) for name in ("d", "e", "f", SIZE)}
    for at in range(count):
        row: dict[str, Any] = {"id": at}
        for name, kind in list(COLUMNS.items())[1:]:
            value = None if draw.chance(missing[name]) else _usual(draw, name, kind)
            if value is not None and draw.chance(odd.get(name, 0)):
                value = draw.one([NAN, INF, -INF])
            row[name] = value
        found.append(row)
    return found


def _with_targets(draw: Draw, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def known(value):
        return float(value) if value is not None and math.isfinite(value) else 0.0

    for at, row in enumerate(rows):
        signal = (
            known(row["d"]) / 4 + known(row["i"]) / 20 - (row["s"] == "Bern") + draw.rng.normal()
        )
        row["two"] = bool(signal > 1)
        row["three"] = ["low", "mid é", "high"][min(max(int(signal), 0), 2)]
        row["cost"] = abs(signal) + 0.25
        row["event"] = float(at % 3 > 0)
        row["_crisp_fold"] = at % 3
    return rows


def strange_rows(draw: Draw, usual: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Rows that training never saw: unseen, missing, extreme values, several of them in a row."""
    found = [dict.fromkeys(COLUMNS)]
    for at in range(count - 1):
        share = draw.one([0.05, 0.05, 0.2, 0.6])
        row = dict(draw.one(usual))
        for name, kind in COLUMNS.items():
            if draw.chance(share):
                row[name] = None if draw.chance(0.3) else draw.one(_STRANGE[kind])
        row["id"] = at if row["id"] is None or draw.chance(0.9) else row["id"]
        found.append({name: row[name] for name in COLUMNS})
    return found


# --- derived columns -----------------------------------------------------------------------------


def _sql(draw: Draw, kind: str, depth: int, known: dict[str, list[str]]) -> str:
    if depth == 0 or draw.chance(0.1):
        leaf = draw.one([*known.get(kind, []), *LEAVES[kind]])
        return f"({leaf})" if leaf.startswith("-") else leaf  # two signs would be a comment
    pattern = draw.one(PATTERNS[kind]).replace("{{", "\x00").replace("}}", "\x01")
    while "{" in pattern:
        at = pattern.index("{")
        inner = _sql(draw, pattern[at + 1], depth - 1, known)
        pattern = pattern[:at] + inner.replace("{", "\x00").replace("}", "\x01") + pattern[at + 3 :]
    return pattern.replace("\x00", "{").replace("\x01", "}")


def _derived(draw: Draw, frame: Any) -> list[tuple[str, str]]:
    """Derived columns, some of them of others, that every training row can be computed."""
    wanted = [
        (f"derived {at}", draw.one("DDDFILSSB")) for at in range(int(draw.rng.integers(1, 7)))
    ]
    known: dict[str, list[str]] = {}
    found: list[tuple[str, str]] = []
    for name, kind in wanted:
        sql = _sql(draw, kind, int(draw.rng.integers(1, 4)), known)
        whole = sql
        for other, inner in reversed(found):
            whole = whole.replace(f"`{other}`", f"({inner})")
        tried = frame.select(attempted(whole).alias("x"))
        if tried.where(F.col("x").isNull()).limit(1).count():
            continue  # a project whose training rows cannot be derived never comes this far
        found.append((name, sql))
        known.setdefault(kind, []).append(f"`{name}`")
    return found


# --- feature operations --------------------------------------------------------------------------


def _numeric_operations(draw: Draw) -> list[dict[str, Any]]:
    ops: list[dict[str, Any]] = []
    if draw.chance(0.5):
        ops.append(
            {
                "op": "outliers",
                "columns": draw.some(NUMBERS, 1, 3),
                "method": draw.one(["iqr", "zscore", "mad", "percentile"]),
                "action": draw.one(["clip", "null", "flag"]),
            }
        )
    if draw.chance(0.6):
        method = draw.one(["mean", "median", "mode", "constant", "group", "regression"])
        op = {
            "op": "impute",
            "columns": draw.some(NUMBERS, 1, 4),
            "method": method,
            "indicator": draw.one([True, False, "auto"]),
        }
        if method == "group":
            op |= {"by": draw.some(CATEGORIES, 1, 2), "statistic": draw.one(["mean", "median"])}
        if method == "constant":
            op["value"] = draw.one([0, -1.5, 7])
        ops.append(op)
    if draw.chance(0.5):
        method = draw.one(["log", "power", "sqrt", "box_cox"])
        columns = [SIZE] if method == "box_cox" else draw.some(["d", "e", "f", "i", SIZE], 1, 3)
        ops.append({"op": "transform", "columns": columns, "method": method})
    if draw.chance(0.5):
        columns = draw.one(["all_numeric", draw.some(NUMBERS, 1, 4)])
        ops.append(
            {
                "op": "scale",
                "columns": columns,
                "method": draw.one(["standard", "min_max", "robust", "max_abs"]),
            }
        )
    return ops


def _operations(draw: Draw, problem: str) -> list[dict[str, Any]]:
    ops = _numeric_operations(draw)
    if draw.chance(0.3):
        method = draw.one(["mode", "constant"])
        op = {"op": "impute", "columns": draw.some(CATEGORIES, 1, 2), "method": method}
        ops.append(op | ({"value": "it's ${unknown}"} if method == "constant" else {}))
    ops += _encodings(draw, problem)
    if draw.chance(0.4):
        ops.append(
            {
                "op": "text",
                "columns": draw.one([[PROSE], [WORDS], [PROSE, WORDS]]),
                "method": draw.one(["tf_idf", "counts"]),
                "buckets": 16,
                "stop_words": draw.one([[], ["the"]]),
                "min_length": draw.one([1, 2]),
            }
        )
    if draw.chance(0.3):
        ops.append(
            {
                "op": "pca",
                "columns": draw.some(["d", "e", "f", "i", "l"], 2, 5),
                **draw.one([{"k": 2}, {"variance": 0.8}]),
                "keep": draw.chance(0.5),
                "standardize": draw.chance(0.5),
            }
        )
    if draw.chance(0.3):
        methods = ["variance", "correlation"]
        if problem not in ("clustering", "regression"):
            methods.append("chi_squared")
        if problem != "clustering":
            methods.append("importance")
        ops.append({"op": "select", "method": draw.one(methods)})
    return ops


def _encodings(draw: Draw, problem: str) -> list[dict[str, Any]]:
    ops = []
    for name in draw.some(CATEGORIES, 0, 3):
        methods = ["one_hot", "ordinal", "frequency", "rare", "hashing", "target"]
        method = draw.one(methods[:5] if problem == "clustering" else methods)
        op: dict[str, Any] = {"op": "encode", "columns": [name], "method": method}
        if method == "hashing":
            op["buckets"] = draw.one([2, 7, 16])
        elif method == "rare" or draw.chance(0.5):
            op |= draw.one([{"rare_below": 4}, {"rare_below": 0.05}, {"max_categories": 3}])
        if method == "ordinal":
            op |= {"nominal": draw.chance(0.5), "order_by": draw.one(["frequency", "alphabet"])}
            if draw.chance(0.3):
                op["order"] = ["Bern", "nowhere", ""]
        ops.append(op)
    if draw.chance(0.2):
        ops.append(
            {
                "op": "encode",
                "columns": [draw.one(["i", "o", "j"])],
                "method": draw.one(["one_hot", "frequency", "ordinal"]),
            }
        )
    return ops


# --- learners ------------------------------------------------------------------------------------

_TREE = {"maxDepth": [2, 4], "maxBins": [32, 64], "minInstancesPerNode": [1, 5]}
_FOREST = {**_TREE, "numTrees": [3, 6], "subsamplingRate": [0.7, 1.0]}
_BOOST = {**_TREE, "maxIter": [2, 5], "stepSize": [0.1, 0.5]}
_LINEAR = {"maxIter": [4], "regParam": [0.0, 0.1], "fitIntercept": [True, False]}
_BAYES = {
    "modelType": ["multinomial", "complement", "bernoulli", "gaussian"],
    "smoothing": [0.5, 1.0],
}
_FACTORS = {"maxIter": [3], "factorSize": [2, 3], "fitLinear": [True, False]}
_PERCEPTRON = {"hidden": [(3,), (4, 2), ()], "maxIter": [3]}
_LOGISTIC = {**_LINEAR, "elasticNetParam": [0.0, 0.5], "standardization": [True, False]}

LEARNERS: dict[str, list[tuple[str, dict[str, list[Any]]]]] = {
    "binary": [
        ("logistic_regression", {**_LOGISTIC, "family": ["auto", "multinomial"]}),
        ("linear_svc", _LINEAR),
        ("naive_bayes", _BAYES),
        (
            "decision_tree",
            {**_TREE, "impurity": ["gini", "entropy"], "keepLeafProbabilities": [True, False]},
        ),
        ("random_forest", {**_FOREST, "keepLeafProbabilities": [True, False]}),
        ("gradient_boosting", _BOOST),
        ("multilayer_perceptron", _PERCEPTRON),
        ("factorization_machine", _FACTORS),
    ],
    "multiclass": [
        ("logistic_regression", _LOGISTIC),
        ("naive_bayes", _BAYES),
        ("decision_tree", _TREE),
        ("random_forest", _FOREST),
        ("multilayer_perceptron", _PERCEPTRON),
        (
            "one_vs_rest",
            {
                "base": [
                    "logistic_regression",
                    "linear_svc",
                    "decision_tree",
                    "gradient_boosting",
                    "naive_bayes",
                ]
            },
        ),
    ],
    "regression": [
        ("linear_regression", {**_LINEAR, "loss": ["squaredError"], "elasticNetParam": [0.0, 0.5]}),
        ("linear_regression", {"maxIter": [4], "loss": ["huber"], "epsilon": [1.35]}),
        (
            "generalized_linear_regression",
            {
                "family": ["gaussian", "gamma", "poisson"],
                "link": ["log"],
                "regParam": [0.1],
                "maxIter": [4],
            },
        ),
        (
            "generalized_linear_regression",
            {
                "family": ["tweedie"],
                "variancePower": [1.5],
                "linkPower": [0.0, 0.5],
                "regParam": [0.1],
                "maxIter": [3],
            },
        ),
        ("survival_regression", {"maxIter": [3]}),
        ("isotonic_regression", {"isotonic": [True, False], "featureIndex": [0]}),
        ("decision_tree", _TREE),
        ("random_forest", _FOREST),
        ("gradient_boosting", {**_BOOST, "lossType": ["squared", "absolute"]}),
        ("factorization_machine", _FACTORS),
    ],
    "clustering": [
        ("kmeans", {"k": [2, 4], "maxIter": [4], "distanceMeasure": ["euclidean", "cosine"]}),
        ("bisecting_kmeans", {"k": [3, 5], "maxIter": [4]}),
        ("gaussian_mixture", {"k": [2], "maxIter": [3]}),
    ],
    "recommendation": [("als", {"rank": [2, 4], "maxIter": [2], "implicitPrefs": [True, False]})],
}


def _learner(draw: Draw, problem: str) -> tuple[Family, dict[str, Any]]:
    kind, choices = draw.one(LEARNERS[problem])
    params = {name: draw.one(values) for name, values in choices.items()}
    family = Family(kind=kind, base=params.pop("base", "logistic_regression"))
    return family, params


def _goal(draw: Draw, problem: str) -> MiningGoal:
    facts: dict[str, Any] = {"problem": problem, "key": ("id",)}
    if problem == "binary":
        facts |= {"target": "two", "positive": draw.chance(0.7)}
    elif problem == "multiclass":
        facts["target"] = "three"
    elif problem != "clustering":
        facts["target"] = "cost"
    if problem == "recommendation":
        facts |= {"user": draw.one(["i", "s", "l"]), "item": draw.one(["j", MAKER])}
    return MiningGoal(**facts)


def fitted_case(spark: Any, seed: int, *, rows: int) -> Fitted:
    """Return the pipeline of a seed.

    Raises:
        CrispError: The project itself refuses that pipeline, before or while fitting.
    """
    draw = Draw(seed)
    problem = PROBLEMS[seed % len(PROBLEMS)]
    table = _with_targets(draw, _table(draw, TRAINING_ROWS))
    schema = {**COLUMNS, **TARGETS, "_crisp_fold": "int"}
    text = ", ".join(f"`{name}` {kind}" for name, kind in schema.items())
    frame = spark.createDataFrame([tuple(row[name] for name in schema) for row in table], text)
    frame = frame.coalesce(1).cache()
    goal, (family, params) = _goal(draw, problem), _learner(draw, problem)
    derived, ops = (
        _derived(draw, frame.select(*(f"`{n}`" for n in COLUMNS))),
        _operations(draw, problem),
    )
    plan = FeaturePlan(
        ops=TypeAdapter(list[FeatureOp]).validate_python(ops),
        derived=derived,
        excluded=dict.fromkeys(TARGETS, "known later"),
        optional={"id": "key"},
        patterns={
            name: "left out by chance"
            for name in [*NUMBERS, *CATEGORIES]
            if draw.chance(0.15) and not any(name in op.get("columns", ()) for op in ops)
        },
    )
    words = f"{family.kind} {params}, derived {derived}, operations {ops}"
    labelled = with_label(frame, goal, classes := class_names(frame, goal))
    if family.kind == "survival_regression":
        labelled = labelled.withColumn(CENSOR, F.col("event"))
    counts = count_folds(labelled, is_classes=problem in ("binary", "multiclass"))
    weights = draw.one(["none", "balanced"]) if problem in ("binary", "multiclass") else "none"
    task = PreparationTask(
        problem,
        classes,
        plan,
        ("id",),
        seed,
        None,
        weights,
        None,
        goal.user,
        goal.item,
        standardize=problem == "clustering",
    )
    preparation = Preparation(labelled.cache(), counts, task)
    try:
        prepared = preparation.fold(None)
        trial = PlannedTrial("random-001", family, estimator(family.kind, problem), params)
        fitted = fit_trial(trial, prepared, TrialTask(problem, "", max(len(classes), 2), seed))
    except CrispError as error:
        raise type(error)(f"{words}: {error.message}") from error
    finally:
        preparation.release()
    if prepared.fitted is not None:
        columns = list(prepared.fitted.model_columns)
    else:
        columns = [str(goal.user), str(goal.item)]
    inputs = model_inputs(
        labelled.select(*(f"`{name}`" for name in COLUMNS)).schema,
        model_columns=columns,
        required=draw.one([[], [draw.one(columns)]]),
        key=["id"],
        fallback="i > 3" if (ruled := draw.chance(0.5)) else None,
    )
    contract = ScoringContract(
        inputs=tuple(inputs),
        problem=problem,
        model=f"random {seed}",
        classes=classes,
        threshold=float(draw.rng.random()) if problem == "binary" else None,
        fallback="i > 3" if ruled else None,
    )
    usual = [{name: row[name] for name in COLUMNS} for row in table]
    return Fitted(
        words,
        pipeline(prepared, fitted),
        contract,
        frame.select(*(f"`{name}`" for name in COLUMNS)),
        strange_rows(draw, usual, rows),
    )
