"""Which class of techniques answers a business question, and which learners belong to it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from crisp_spark.results.charter import Technique
from crisp_spark.spec.business import BusinessSpec, Problem
from crisp_spark.spec.estimators import ESTIMATORS, EstimatorInfo

QUESTION_FORMS: Final[dict[Problem, tuple[str, str]]] = {
    "binary": ("Will it happen to this one, yes or no?", "classification with two classes"),
    "multiclass": ("Which of several kinds is this one?", "classification with several classes"),
    "regression": ("How much, or how long, will it be?", "regression"),
    "clustering": ("Which groups are there?", "segmentation by clustering"),
    "recommendation": ("What will this user like next?", "recommendation by matrix factorisation"),
}
"""Problem type -> form of the business question, class of techniques."""

_STRENGTHS: Final[dict[str, tuple[str, ...]]] = {
    "logistic_regression": ("weights can be read as odds", "quick to fit, a strong first model"),
    "linear_svc": ("draws the widest margin between two classes",),
    "naive_bayes": ("one pass over the data", "works with many rare categories"),
    "decision_tree": ("can be read as a list of rules",),
    "random_forest": ("finds interactions and steps by itself", "little to tune"),
    "gradient_boosting": ("often the most accurate on tables", "finds interactions by itself"),
    "lightgbm": ("often the most accurate on tables", "quick: a fit is one task"),
    "xgboost": ("often the most accurate on tables", "quick: a fit is one task"),
    "multilayer_perceptron": ("learns smooth interactions",),
    "factorization_machine": ("learns interactions between sparse categories",),
    "one_vs_rest": ("lifts a learner for two classes to many",),
    "linear_regression": ("weights can be read", "quick to fit, a strong first model"),
    "generalized_linear_regression": ("fits counts and positive amounts (Poisson, gamma)",),
    "survival_regression": ("takes durations that have not ended yet",),
    "isotonic_regression": ("keeps a rising relation to one feature",),
    "kmeans": ("quick, scales to many rows",),
    "bisecting_kmeans": ("gives a hierarchy of groups",),
    "gaussian_mixture": ("gives every row a probability of each group",),
    "lda": ("groups documents by topics",),
    "als": ("scales to many users and items",),
}

_LIMITS: Final[dict[str, tuple[str, ...]]] = {
    "logistic_regression": ("interactions and steps must be derived by hand",),
    "linear_regression": ("interactions and steps must be derived by hand",),
    "naive_bayes": ("takes features as independent", "counts must not be negative"),
    "decision_tree": ("unstable: a few other rows may give another tree",),
    "random_forest": ("large models", "few words can explain it"),
    "gradient_boosting": ("slow to fit: trees follow one another", "few words can explain it"),
    "lightgbm": ("the table must fit one task", "few words can explain it"),
    "xgboost": ("the table must fit one task", "few words can explain it"),
    "multilayer_perceptron": ("needs many rows", "few words can explain it"),
    "survival_regression": ("durations must be above 0",),
    "isotonic_regression": ("takes one feature only",),
    "kmeans": ("number of groups must be given", "groups come out round"),
    "bisecting_kmeans": ("number of groups must be given",),
    "gaussian_mixture": ("covariances grow with the square of the features",),
    "lda": ("needs counts of words",),
    "als": ("knows nothing of new users and items",),
}


def assess_techniques(business: BusinessSpec, families: Collection[str]) -> list[Technique]:
    """List the learners for the goal's class of problem, simplest first, with reasons.

    Args:
        business: The charter; outcome values and risks make some learners more fitting.
        families: Kinds that the project tries.
    """
    problem = business.mining_goal.problem
    candidates = sorted(
        (info for (_, kind), info in ESTIMATORS.items() if kind == problem),
        key=lambda info: (info.complexity, info.kind),
    )
    return [_technique(info, business, families) for info in candidates]


def suggest_problem(
    *, numeric: bool, distinct: int | None, has_user_and_item: bool = False
) -> tuple[Problem, str]:
    """Suggest the class of problem for a target column, with the reason.

    Args:
        numeric: Whether the target is a number.
        distinct: Distinct values of the target; None where there is no target.
        has_user_and_item: Whether rows say which user rated which item.
    """
    many = 20
    if has_user_and_item:
        return "recommendation", "rows tell which user rated which item"
    if distinct is None:
        return "clustering", "there is no target column"
    if distinct <= 2:  # noqa: PLR2004 - two classes are what binary means
        return "binary", f"the target has {distinct} distinct values"
    if numeric and distinct > many:
        return "regression", f"the target is a number with {distinct} distinct values"
    return "multiclass", f"the target has {distinct} distinct values"


def _technique(info: EstimatorInfo, business: BusinessSpec, families: Collection[str]) -> Technique:
    classes = business.mining_goal.problem in {"binary", "multiclass"}
    reasons = list(_STRENGTHS.get(info.kind, ()))
    limits = list(_LIMITS.get(info.kind, ()))
    if classes and info.probabilities and business.outcome_values is not None:
        reasons.append("gives probabilities, so outcome values can set the threshold")
    if classes and not info.probabilities:
        limits.append("gives an order of rows, no probabilities")
    if info.standardized:
        limits.append("features must be brought to one scale")
    if classes and not info.weighted:
        limits.append("cannot weigh a rare class up")
    return Technique(
        family=info.kind,
        title=info.title,
        reasons=reasons,
        limits=limits,
        chosen=info.kind in families,
    )
