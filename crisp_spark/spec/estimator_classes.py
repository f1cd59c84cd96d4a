"""MLlib's classifiers, as data."""

from __future__ import annotations

from crisp_spark.spec.estimator_info import (
    BLOCKS,
    BOOST,
    FACTORS,
    FOREST,
    LINEAR,
    TREE,
    EstimatorInfo,
    Kinds,
    served_by,
)

_IMPURITY: Kinds = {"impurity": ("gini", "entropy")}
_LEAVES: Kinds = {"keepLeafProbabilities": "bool"}
"""Not MLlib's own: leaves of one class keep their different probabilities (binary problems)."""
_CLASSES = ("binary", "multiclass")

CLASSIFIERS: tuple[EstimatorInfo, ...] = (
    EstimatorInfo(
        "logistic_regression",
        "Logistic regression",
        "classification",
        served_by("LogisticRegression", *_CLASSES),
        LINEAR
        | BLOCKS
        | {"elasticNetParam": "float", "family": ("auto", "binomial", "multinomial")},
        complexity=2,
    ),
    EstimatorInfo(
        "linear_svc",
        "Linear support vector machine",
        "classification",
        served_by("LinearSVC", "binary"),
        LINEAR | BLOCKS,
        complexity=2,
        probabilities=False,
    ),
    EstimatorInfo(
        "naive_bayes",
        "Naive Bayes",
        "classification",
        served_by("NaiveBayes", *_CLASSES),
        {
            "smoothing": "float",
            "modelType": ("multinomial", "complement", "bernoulli", "gaussian"),
        },
        complexity=1,
    ),
    EstimatorInfo(
        "decision_tree",
        "Decision tree",
        "classification",
        served_by("DecisionTreeClassifier", *_CLASSES),
        TREE | _IMPURITY | _LEAVES,
        complexity=3,
    ),
    EstimatorInfo(
        "random_forest",
        "Random forest",
        "classification",
        served_by("RandomForestClassifier", *_CLASSES),
        FOREST | _IMPURITY | _LEAVES,
        complexity=5,
    ),
    EstimatorInfo(
        "gradient_boosting",
        "Gradient-boosted trees",
        "classification",
        served_by("GBTClassifier", "binary"),
        BOOST,
        complexity=6,
    ),
    EstimatorInfo(
        "multilayer_perceptron",
        "Multilayer perceptron",
        "classification",
        served_by("MultilayerPerceptronClassifier", *_CLASSES),
        {
            "hidden": "ints",
            "maxIter": "int",
            "tol": "float",
            "blockSize": "int",
            "stepSize": "float",
            "solver": ("l-bfgs", "gd"),
            "seed": "int",
        },
        complexity=7,
        weighted=False,
        standardized=True,
    ),
    EstimatorInfo(
        "factorization_machine",
        "Factorization machine",
        "classification",
        served_by("FMClassifier", "binary"),
        FACTORS,
        complexity=4,
        weighted=False,
        standardized=True,
    ),
    EstimatorInfo(
        "one_vs_rest",
        "One against the rest",
        "classification",
        served_by("OneVsRest", "multiclass"),
        {},
        complexity=6,
        probabilities=False,
    ),
)
