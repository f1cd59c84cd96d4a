"""What is tried in the sweep: learners, search, validation, baselines and budget."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from crisp_spark.errors import suggest
from crisp_spark.spec.base import SpecModel
from crisp_spark.spec.estimators import BASES, EstimatorInfo, estimator, infos, value_fault
from crisp_spark.spec.evaluation import METRICS, MetricInfo
from crisp_spark.spec.search import Budget, Search

SWEEP_METRICS: Mapping[str, tuple[str, ...]] = {
    "binary": (
        "pr_auc",
        "roc_auc",
        "log_loss",
        "brier",
        "f1",
        "accuracy",
        "precision",
        "recall",
        "value_per_row",
    ),
    "multiclass": ("macro_f1", "accuracy", "macro_precision", "macro_recall", "log_loss"),
    "regression": ("rmse", "mae", "r2", "mape", "bias", "cost_per_row"),
    "clustering": ("silhouette", "within_ss"),
    "recommendation": ("rmse", "mae", "precision_at_k", "ndcg_at_k"),
}
"""Metrics of a trial by problem; the first is the default."""

DEFAULT_FAMILIES: Mapping[str, tuple[str, ...]] = {
    "binary": ("logistic_regression", "random_forest", "gradient_boosting"),
    "multiclass": ("logistic_regression", "random_forest"),
    "regression": ("linear_regression", "random_forest", "gradient_boosting"),
    "clustering": ("kmeans", "bisecting_kmeans", "gaussian_mixture"),
    "recommendation": ("als",),
}
"""Families tried when the project names none."""

Scalar = bool | int | float | str


class Between(SpecModel):
    """A range that random search draws from."""

    low: float
    """Smallest value."""
    high: float
    """Largest value."""
    log: bool = False
    """Whether equal ratios are equally likely, not equal differences."""
    whole: bool = False
    """Whether only whole numbers are drawn."""

    @model_validator(mode="after")
    def _in_order(self) -> Between:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range must start above 0, got {self.low}")
        return self


ParamValue = Between | tuple[Scalar | tuple[int, ...], ...]


def _as_choices(value: Any) -> Any:
    """Let one value stand for a list of one."""
    if isinstance(value, Mapping | Between):
        return value
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Choices = Annotated[
    ParamValue,
    BeforeValidator(_as_choices, json_schema_input_type=Scalar | list[Any] | Between),
]
"""Values to try: one value, a list, or a range (random search)."""


class Family(SpecModel):
    """A learner and the hyperparameters to try with it."""

    kind: str
    """Name of the learner: logistic_regression, random_forest, gradient_boosting, lightgbm, ..."""
    name: str = ""
    """Name in reports; needed when one kind is listed twice."""
    params: dict[str, Choices] = Field(default_factory=dict)
    """Hyperparameters, named as in MLlib (``lightgbm`` and ``xgboost``: as there, in camel case):
    a value, a list of values, or a range."""
    only_if: dict[str, dict[str, Choices]] = Field(default_factory=dict)
    """Hyperparameters that exist only where others have certain values, as in
    ``{elasticNetParam: {solver: [l-bfgs]}}``; elsewhere the learner's default holds."""
    base: str = "logistic_regression"
    """``one_vs_rest`` only: the binary learner, which ``params`` belong to."""
    standardize: Literal["auto", "yes", "no"] = "auto"
    """Whether features are brought to one scale first; ``auto`` does so for learners that need
    it and do not see to it themselves."""

    @property
    def label(self) -> str:
        """Name in reports."""
        return self.name or self.kind

    @field_validator("kind")
    @classmethod
    def _known(cls, value: str) -> str:
        infos(value)
        return value

    @model_validator(mode="after")
    def _params_exist(self) -> Family:
        if self.kind == "one_vs_rest" and self.base not in BASES:
            raise ValueError(f"base must be one of {', '.join(BASES)}, got {self.base!r}")
        owner = self.base if self.kind == "one_vs_rest" else self.kind
        valid = {name: kind for info in infos(owner) for name, kind in info.params.items()}
        for name, choices in self.params.items():
            if name not in valid:
                near = suggest(name, valid)
                hint = f"did you mean {near!r}?" if near else f"valid: {', '.join(sorted(valid))}"
                raise ValueError(f"{owner} has no hyperparameter {name!r}; {hint}")
            _check_choices(name, choices, valid[name])
        _check_conditions(self.only_if, self.params)
        return self

    def exists(self, name: str, params: Mapping[str, Any]) -> bool:
        """Say whether a hyperparameter exists beside the values of the others."""
        return all(
            self.exists(other, params) and params.get(other) in values
            for other, values in self.only_if.get(name, {}).items()
            if not isinstance(values, Between)
        )


def _check_choices(name: str, choices: ParamValue, kind: str | tuple[str, ...]) -> None:
    if isinstance(choices, Between):
        if kind not in ("int", "float"):
            raise ValueError(f"params.{name}: a range needs a number, this is none")
        if kind == "int" and not choices.whole:
            raise ValueError(f"params.{name}: whole numbers only; add whole: true to the range")
        return
    if not choices:
        raise ValueError(f"params.{name}: the list of values is empty")
    # A list of whole numbers is one value where the hyperparameter itself is such a list.
    values = [choices] if kind == "ints" and isinstance(choices[0], int) else list(choices)
    for value in values:
        fault = value_fault(kind, value)
        if fault:
            raise ValueError(f"params.{name}: {fault}, got {value!r}")


def _check_conditions(
    conditions: Mapping[str, Mapping[str, ParamValue]], params: Mapping[str, ParamValue]
) -> None:
    for name, others in conditions.items():
        for other, values in others.items():
            for known in (name, other):
                if known not in params:
                    raise ValueError(f"only_if.{name}: {known!r} is not among params")
            valid = params[other]
            if isinstance(values, Between) or isinstance(valid, Between):
                raise ValueError(f"only_if.{name}.{other}: lists of values are needed, no range")  # noqa: TRY004
            strange = [value for value in values if value not in valid]
            if strange:
                raise ValueError(f"only_if.{name}.{other}: {strange[0]!r} is never tried")
    try:
        TopologicalSorter({name: set(others) for name, others in conditions.items()}).prepare()
    except CycleError as error:
        raise ValueError(f"only_if: {' needs '.join(error.args[1])}, in a circle") from error


class BaselineRule(SpecModel):
    """A rule that the model has to beat."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    """Short name."""
    rule: str = Field(min_length=1)
    """Spark SQL over the columns of a row: true or false or a score (binary), the class
    (multiclass), the value (regression, recommendation)."""
    doc: str = ""
    """What it stands for."""


class ModelingSpec(SpecModel):
    """The fourth phase: what is tried, and how the winner is chosen."""

    metric: str | None = None
    """Metric that decides; pr_auc, macro_f1, rmse or silhouette by default."""
    families: tuple[Family, ...] = ()
    """Learners to try; a sensible set for the problem when empty."""
    search: Search = Search()
    """How hyperparameters are searched."""
    validation: Literal["auto", "k_fold", "repeated", "expanding", "sliding"] = "auto"
    """``k_fold`` scores each fold by a model of the others; ``repeated`` does so again on folds
    drawn anew; ``expanding`` trains on earlier folds only, ``sliding`` on a window of them;
    ``auto`` is ``expanding`` where the split is by time, else ``k_fold``."""
    repeats: int = Field(default=3, ge=2, le=20)
    """``repeated``: times that the folds are drawn."""
    window: int = Field(default=1, ge=1)
    """``sliding``: folds before the scored one that are trained on."""
    class_weights: Literal["none", "balanced", "outcome_values"] | dict[str, float] = "none"
    """Row weights by class: ``balanced``, class to weight, or ``outcome_values``: what a mistake
    on a row of the class costs by ``business.outcome_values`` (binary)."""
    baselines: tuple[BaselineRule, ...] = ()
    """Rules to beat; the mean, prior or most frequent class is always among them."""
    selection: Literal["best", "one_standard_error"] = "best"
    """``one_standard_error`` takes the simplest model within one standard error of the best."""
    budget: Budget = Budget()
    """When the sweep stops."""
    refit_folds: bool = False
    """With ``search.rows``: fit the winner on all rows of each fold again for its out-of-fold
    predictions (slower; otherwise those come from the models of the trials)."""
    leakage_limit: float = Field(default=0.98, gt=0.5, le=1)
    """A single feature this good (AUC or R2) is named as a leak."""
    censor: str | None = None
    """``survival_regression``: column that is 1 where the event happened, 0 where censored."""
    top_k: int = Field(default=10, ge=1)
    """k of precision_at_k and ndcg_at_k."""
    relevant_from: float | None = None
    """A rating of at least this is relevant (recommendation); the mean rating by default."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> ModelingSpec:
        for place, names in (
            ("families", [family.label for family in self.families]),
            ("baselines", [baseline.name for baseline in self.baselines]),
        ):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{place}: {', '.join(twice)} is there twice; give it a name")
        return self

    @model_validator(mode="after")
    def _ranges_need_random_search(self) -> ModelingSpec:
        for family in self.families:
            for name, choices in family.params.items():
                if self.search.kind == "grid" and isinstance(choices, Between):
                    raise ValueError(
                        f"families.{family.label}.params.{name}: a range needs search.kind: "
                        "random, or another kind that draws"
                    )
        return self

    def needs_values(self, problem: str) -> tuple[str, ...]:
        """Return the fields that ask for ``business.outcome_values``."""
        metric = METRICS.get(problem, {}).get(self.metric or "")
        asked = {
            "metric": metric is not None and metric.needs == "values",
            "class_weights": self.class_weights == "outcome_values",
        }
        return tuple(name for name, needed in asked.items() if needed)

    def metric_info(self, problem: str) -> MetricInfo:
        """Return the deciding metric for a problem.

        Raises:
            ValueError: The metric does not fit the problem.
        """
        valid = SWEEP_METRICS[problem]
        name = self.metric or valid[0]
        if name not in valid:
            near = suggest(name, valid)
            raise ValueError(
                f"modeling.metric: {name!r} is no metric of {problem} trials; "
                + (f"did you mean {near!r}? " if near else "")
                + f"valid: {', '.join(valid)}"
            )
        return METRICS[problem][name]

    def families_for(self, problem: str) -> tuple[tuple[Family, EstimatorInfo], ...]:
        """Return the families with what is known of them for a problem.

        Raises:
            ValueError: A family does not serve the problem, or has no such hyperparameter there.
        """
        families = self.families or tuple(Family(kind=kind) for kind in DEFAULT_FAMILIES[problem])
        found = []
        for family in families:
            info = estimator(family.kind, problem)
            if family.kind != "one_vs_rest":
                for name in family.params:
                    if name not in info.params:
                        raise ValueError(
                            f"families.{family.label}: {name!r} is no hyperparameter of "
                            f"{info.title} for {problem} problems"
                        )
            if family.kind == "survival_regression" and self.censor is None:
                raise ValueError(f"families.{family.label}: modeling.censor is needed")
            found.append((family, info))
        return tuple(found)

    def faults(self, problem: str) -> tuple[str, ...]:
        """Return what is wrong with this sweep for a problem; empty when all is well."""
        found = []
        for check in (self.metric_info, self.families_for):
            try:
                check(problem)
            except ValueError as error:
                found.append(str(error))
        if self.class_weights != "none" and problem not in ("binary", "multiclass"):
            found.append(f"modeling.class_weights: a {problem} problem has no classes")
        if self.class_weights == "outcome_values" and problem == "multiclass":
            found.append("modeling.class_weights: outcome_values are those of a binary decision")
        return tuple(found)
