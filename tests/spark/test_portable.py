"""The portable model against Spark: the same rows, the same answers, or both refuse."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest
from pyspark.ml import PipelineModel
from pyspark.ml import classification as C
from pyspark.ml import clustering as K
from pyspark.ml import feature as X
from pyspark.ml import regression as R
from pyspark.ml.recommendation import ALS
from pyspark.sql import functions as F

from crisp_spark.deployment.portable import NotPortableError, export_pipeline
from crisp_spark.deployment.score import ScoringContract
from crisp_spark.modeling.engines.converting import fit_by_library
from crisp_spark.modeling.estimators import BuildContext
from crisp_spark.results.deploy import ModelInput
from crisp_spark.run.portable import make_portable
from crisp_spark.run.portable_onnx import make_onnx
from crisp_spark.serving import load_bundle
from crisp_spark.serving.expressions import FUNCTIONS
from crisp_spark.spec.estimators import estimator

ROWS = 160


@pytest.fixture(scope="module")
def rows(spark_session):
    """Numbers with nulls and a text; three labels, one of each kind."""
    values = []
    for n in range(ROWS):
        a = None if n % 17 == 3 else float(n * 37 % 101) / 10 - 3
        b = n * 13 % 29
        city = None if n % 23 == 5 else f"c{n * n % 7}"
        y = (a or 0.0) * 2 - b / 3 + math.sin(n)
        values.append((n, a, b, city, float(y > -4), float(n * 7 % 3), y))
    schema = "n int, a double, b int, city string, two double, three double, y double"
    frame = spark_session.createDataFrame(values, schema).coalesce(1).cache()
    frame.count()
    return frame


@pytest.fixture(scope="module")
def prepared(rows):
    """The features that the learners see, made the way this package makes them."""
    statement = X.SQLTransformer(
        statement="SELECT *, CASE WHEN abs(`a`) < 1000D THEN `a` ELSE 0.25D END AS `_crisp_x1`, "
        "CAST(`a` IS NULL AS DOUBLE) AS `_crisp_x2`, "
        "coalesce(concat('=', CAST(`city` AS STRING)), 'null') AS `_crisp_k1`, "
        "CAST(coalesce(greatest(`b`, 0), 3) AS DOUBLE) AS `_crisp_x3`, "
        "CASE WHEN abs(`a`) < 1000D THEN abs(`a`) ELSE 1D END AS `_crisp_x4` FROM __THIS__"
    )
    made = statement.transform(rows)
    indexer = X.StringIndexer(inputCol="_crisp_k1", outputCol="_crisp_i1", handleInvalid="keep")
    index = indexer.fit(made)
    made = index.transform(made)
    encoder = X.OneHotEncoder(inputCols=["_crisp_i1"], outputCols=["_crisp_v1"], dropLast=True)
    hot = encoder.fit(made)
    made = hot.transform(made)
    columns = {
        "signed": ["_crisp_x1", "_crisp_x2", "_crisp_x3", "_crisp_v1"],
        "coded": ["_crisp_x1", "_crisp_i1", "_crisp_x3"],
        "counts": ["_crisp_x4", "_crisp_x3", "_crisp_v1"],
        "flags": ["_crisp_x2", "_crisp_v1"],
    }
    found = {}
    for name, inputs in columns.items():
        assembler = X.VectorAssembler(inputCols=inputs, outputCol="features")
        found[name] = ([statement, index, hot, assembler], assembler.transform(made).cache())
    return found


@dataclass(frozen=True)
class Case:
    learner: Any
    problem: str
    features: str = "signed"
    classes: tuple[str, ...] = ()


def binary(learner, features="signed"):
    return Case(learner.setLabelCol("two"), "binary", features, ("no", "yes"))


def several(learner, features="signed"):
    return Case(learner.setLabelCol("three"), "multiclass", features, ("x", "y", "z"))


def number(learner, label="y", features="signed"):
    return Case(learner.setLabelCol(label), "regression", features)


def clusters(learner):
    return Case(learner, "clustering")


@dataclass(frozen=True)
class Boosted:
    """Fits by LightGBM, as a sweep does."""

    problem: str
    label: str = ""

    def setLabelCol(self, label):  # noqa: N802 - as in pyspark
        return Boosted(self.problem, label)

    def fit(self, frame):
        made = frame.withColumn("_crisp_label", F.col(self.label))
        width = len(made.first()["features"])
        context = BuildContext(self.problem, "features", width, 3, seed=3)
        params = {"numIterations": 6, "numLeaves": 6, "minDataInLeaf": 5}
        info = estimator("lightgbm", self.problem)
        return fit_by_library(info, params, context, made, ROWS)


TREE = {"maxDepth": 4, "seed": 3}
FOREST = {**TREE, "numTrees": 4}
BOOST = {**TREE, "maxIter": 4}

CASES = {
    "logistic": lambda: binary(C.LogisticRegression(regParam=0.01)),
    "logistic with a threshold": lambda: binary(C.LogisticRegression(threshold=0.31)),
    "logistic with thresholds": lambda: binary(C.LogisticRegression(thresholds=[0.2, 0.6])),
    "multinomial": lambda: several(C.LogisticRegression(maxIter=10)),
    "multinomial with thresholds": lambda: several(
        C.LogisticRegression(maxIter=10, thresholds=[0.5, 0.2, 0.9])
    ),
    "two classes as multinomial": lambda: binary(
        C.LogisticRegression(family="multinomial", maxIter=10)
    ),
    "support vectors": lambda: binary(C.LinearSVC(maxIter=10, threshold=0.2)),
    "tree": lambda: binary(C.DecisionTreeClassifier(**TREE)),
    "tree of codes": lambda: several(C.DecisionTreeClassifier(**TREE), "coded"),
    "forest": lambda: several(C.RandomForestClassifier(**FOREST)),
    "forest of codes": lambda: binary(C.RandomForestClassifier(**FOREST), "coded"),
    "boosting": lambda: binary(C.GBTClassifier(**BOOST)),
    "lightgbm": lambda: binary(Boosted("binary")),
    "lightgbm one against the rest": lambda: several(Boosted("multiclass"), "coded"),
    "lightgbm regression": lambda: number(Boosted("regression")),
    "boosting of codes": lambda: binary(C.GBTClassifier(**BOOST), "coded"),
    "naive bayes": lambda: several(C.NaiveBayes(), "counts"),
    "complement": lambda: several(C.NaiveBayes(modelType="complement"), "counts"),
    "bernoulli": lambda: binary(C.NaiveBayes(modelType="bernoulli"), "flags"),
    "gaussian": lambda: several(C.NaiveBayes(modelType="gaussian"), "coded"),
    "perceptron": lambda: several(
        C.MultilayerPerceptronClassifier(layers=[8, 4, 3], maxIter=5, seed=1)
    ),
    "factor machine": lambda: binary(C.FMClassifier(factorSize=3, maxIter=5, seed=1)),
    "one against the rest": lambda: several(
        C.OneVsRest(classifier=C.LogisticRegression(maxIter=5))
    ),
    "linear": lambda: number(R.LinearRegression(regParam=0.1)),
    "poisson": lambda: number(
        R.GeneralizedLinearRegression(family="poisson", link="log", maxIter=5), "three"
    ),
    "gamma": lambda: number(
        R.GeneralizedLinearRegression(family="tweedie", variancePower=1.5, maxIter=5), "three"
    ),
    "probit": lambda: number(
        R.GeneralizedLinearRegression(family="binomial", link="probit", maxIter=5), "two", "flags"
    ),
    "survival": lambda: number(
        R.AFTSurvivalRegression(censorCol="two", maxIter=3), "positive", "coded"
    ),
    "isotonic": lambda: number(R.IsotonicRegression(featureIndex=0), features="coded"),
    "regression tree": lambda: number(R.DecisionTreeRegressor(**TREE), features="coded"),
    "regression forest": lambda: number(R.RandomForestRegressor(**FOREST)),
    "regression boosting": lambda: number(R.GBTRegressor(**BOOST), features="coded"),
    "factor regression": lambda: number(R.FMRegressor(factorSize=2, maxIter=5, seed=1)),
    "k-means": lambda: clusters(K.KMeans(k=4, seed=1)),
    "k-means by angle": lambda: clusters(K.KMeans(k=3, seed=1, distanceMeasure="cosine")),
    "bisecting": lambda: clusters(K.BisectingKMeans(k=4, seed=1)),
    "mixture": lambda: Case(K.GaussianMixture(k=2, seed=1, maxIter=5), "clustering", "coded"),
}

INPUTS = tuple(
    ModelInput(name=name, type=kind)
    for name, kind in (("a", "double"), ("b", "int"), ("city", "string"))
)


def contract(problem, classes=(), **more):
    threshold = 0.4 if problem == "binary" else None
    facts = {"inputs": INPUTS, "problem": problem, "model": "m 1", "classes": classes}
    return ScoringContract(**{**facts, "threshold": threshold, **more})


def portable(stages, rows, facts):
    made = make_portable(PipelineModel(stages), facts, rows)
    return made, load_bundle(made.packed("m", "1"))


CORE = (
    "logistic with a threshold",
    "multinomial",
    "tree of codes",
    "forest",
    "boosting",
    "lightgbm",
    "naive bayes",
    "linear",
    "poisson",
    "regression boosting",
    "k-means",
)
"""One family of each kind; the others are slow to fit, all of them together."""

WITHOUT_ONNX = (
    *("naive bayes", "complement", "bernoulli", "gaussian", "perceptron", "factor machine"),
    *("one against the rest", "lightgbm one against the rest"),
    *("gamma", "probit", "survival", "isotonic", "factor regression"),
    *("k-means", "k-means by angle", "bisecting", "mixture"),
)
"""Families that no graph is written for."""


def marked(names):
    return [name if name in CORE else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.fixture(scope="module")
def exported(prepared, rows):
    """Give the portable model of a case; each is fitted once."""
    found = {}

    def export(name):
        if name not in found:
            case = CASES[name]()
            stages, frame = prepared[case.features]
            model = case.learner.fit(frame.withColumn("positive", F.abs("y") + 0.5))
            facts = contract(case.problem, case.classes)
            found[name] = portable([*stages, model], rows, facts)
        return found[name]

    return export


@pytest.mark.parametrize("name", marked(CASES))
def test_every_family_answers_as_spark_does(name, exported):
    made, bundle = exported(name)
    assert made.parity.passed
    assert made.parity.rows > ROWS
    assert len(bundle.score([{"a": 1.0, "b": 2, "city": "c1"}])) == 1


@pytest.mark.parametrize("name", marked([name for name in CASES if name not in WITHOUT_ONNX]))
def test_every_family_of_onnx_answers_as_the_bundle_does(name, exported, rows):
    pytest.importorskip("onnxruntime")
    made, _ = exported(name)
    held = [row.asDict() for row in rows.select("a", "b", "city").collect()]
    for start in ("estimator", "numeric"):
        graph = make_onnx(made.packed("m", "1"), held, start=start)
        assert graph.parity.rows - graph.parity.refused > 100
        assert graph.parity.edge_rows > 10


@pytest.mark.parametrize("name", marked(WITHOUT_ONNX))
def test_other_families_are_refused_by_name(name, exported):
    pytest.importorskip("onnxruntime")
    made, _ = exported(name)
    with pytest.raises(NotPortableError, match=r"export onnx: a .* cannot be carried"):
        make_onnx(made.packed("m", "1"), [{"a": 1.0, "b": 2, "city": "c1"}])


def test_a_recommender_knows_its_users_and_gives_others_the_mean(spark, rows):
    frame = rows.select((F.col("n") % 20).alias("u"), (F.col("n") % 7).alias("i"), "y")
    model = ALS(rank=3, maxIter=2, userCol="_crisp_user", itemCol="_crisp_item", ratingCol="y")
    model.setPredictionCol("_crisp_als").setColdStartStrategy("nan")
    codes = [
        X.SQLTransformer(
            statement=f"SELECT *, coalesce(CAST(`{name}` AS INT), -1) AS `{out}` FROM __THIS__"
        )
        for name, out in (("u", "_crisp_user"), ("i", "_crisp_item"))
    ]
    made = codes[1].transform(codes[0].transform(frame))
    after = X.SQLTransformer(
        statement="SELECT *, coalesce(nanvl(CAST(_crisp_als AS DOUBLE), CAST(NULL AS DOUBLE)), 1.5D)"
        " AS `prediction` FROM __THIS__"
    )
    inputs = tuple(ModelInput(name=name, type="int") for name in ("u", "i"))
    facts = contract("recommendation", inputs=inputs)
    done, bundle = portable([*codes, model.fit(made), after], frame, facts)
    assert done.parity.passed
    assert bundle.score([{"u": 999, "i": 1}]).prediction == [1.5]


FAR = [
    (sign * base * 10.0**exponent, other)
    for exponent in (-300, -150, -9, 0, 7, 12, 15, 16, 17, 150, 160, 300)
    for base, sign in ((1.0, 1), (2.4936649253, 1), (3.7, -1))
    for other in (0.0, -2.5, 1e9)
]


@pytest.mark.parametrize(
    "learner",
    [
        lambda: K.KMeans(k=4, seed=1),
        lambda: K.KMeans(k=3, seed=2, distanceMeasure="cosine"),
        lambda: K.BisectingKMeans(k=5, seed=1),
    ],
    ids=["k-means", "k-means by angle", "bisecting"],
)
@pytest.mark.parametrize("zeros", [0, 9], ids=["dense", "sparse"])
def test_clusters_of_rows_far_from_all_centres_and_of_rows_without_direction(spark, learner, zeros):
    """Where only rounding decides, it must be Spark's; an angle needs a length."""
    near = [(n * 37 % 101 / 10 - 4.05, n * 13 % 29 - 13.5) for n in range(ROWS)]
    frame = spark.createDataFrame(near, "p double, q double").coalesce(1)
    nothing = X.SQLTransformer(statement="SELECT *, 0D AS z FROM __THIS__")
    assembler = X.VectorAssembler(inputCols=["p", *["z"] * zeros, "q"], outputCol="features")
    model = learner().fit(assembler.transform(nothing.transform(frame)))
    inputs = tuple(ModelInput(name=name, type="double") for name in ("p", "q"))
    held = frame.union(spark.createDataFrame(FAR, "p double, q double")).coalesce(1)
    made, bundle = portable(
        [nothing, assembler, model], held, contract("clustering", inputs=inputs)
    )
    assert made.parity.rows > ROWS + len(FAR)
    refused = bundle.score([{"p": 0.0, "q": 0.0}]).reasons[0]
    assert bool(refused) == (model.getDistanceMeasure() == "cosine")


def test_a_stage_that_cannot_be_carried_is_named(spark, prepared):
    stages, frame = prepared["counts"]
    model = PipelineModel([*stages, K.LDA(k=2, maxIter=1).fit(frame)])
    empty = frame.select("a", "b", "city").limit(0)
    with pytest.raises(NotPortableError, match=r"stage 5 \(DistributedLDAModel|LocalLDAModel\)"):
        export_pipeline(model, empty, functions=FUNCTIONS, spark=spark.version)
    with pytest.raises(NotPortableError, match=r"Spark 9\.1\.0"):
        export_pipeline(model, empty, functions=FUNCTIONS, spark="9.1.0")
