"""The model card: what the model is, what it is for, how good it is, what is still open.

The fields follow the model card schema of Amazon SageMaker, so that the JSON can be imported
there. Each field is marked as filled by the program or by a person; a field that only a person
can fill stays visible as open until somebody does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from crisp_spark.reporting.facts import RunFacts
from crisp_spark.reporting.numbers import interval
from crisp_spark.reporting.pages.evaluate import SPLIT_ORDER
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.reporting.words import capital, listed, metric_title, split_title
from crisp_spark.results.base import StepResult
from crisp_spark.results.charter import CharterResult
from crisp_spark.results.decide import DecideResult
from crisp_spark.results.deploy import DeployResult
from crisp_spark.results.evaluate import EvaluateResult
from crisp_spark.results.sweep import SweepResult
from crisp_spark.spec.modelcard import ModelCardSpec

Author = Literal["program", "person", "open"]

_FACETS = {
    "accuracy": "Accuracy",
    "roc_auc": "AUC",
    "pr_auc": "AUC",
    "rmse": "RMSE",
    "mae": "MAE",
}
_LONGEST = 1024
"""Characters that SageMaker takes in one text field."""


@dataclass(frozen=True)
class Field:
    """One field of the card.

    Attributes:
        section: Section in SageMaker's schema.
        key: Name of the field there.
        title: Name for readers.
        text: Content; empty when open.
        author: Who filled it; ``open`` when nobody has.
    """

    section: str
    key: str
    title: str
    text: str
    author: Author


def card_fields(
    results: Mapping[str, StepResult], *, facts: RunFacts, card: ModelCardSpec
) -> list[Field]:
    """The text fields of the card, in the order they are read."""
    at_hand = Results(results)
    return [
        *_overview(at_hand, facts),
        *_business(at_hand, card),
        *_uses(at_hand, card),
        *_training(at_hand),
        *_caveats(at_hand, card),
    ]


def _field(section: str, key: str, title: str, text: str, *, human: bool = False) -> Field:
    filled = text.strip()
    author: Author = "person" if human else "program"
    return Field(section, key, title, filled, author if filled or not human else "open")


def _overview(results: Results, facts: RunFacts) -> list[Field]:
    sweep, deploy = results.get(SweepResult), results.get(DeployResult)
    charter = results.get(CharterResult)
    model = deploy.model if deploy else None
    section = "model_overview"
    question = charter.goal.question if charter else ""
    return [
        _field(section, "model_name", "Name", model.name if model else facts.project),
        _field(section, "model_version", "Version", model.version if model else ""),
        _field(section, "model_id", "Address", model.uri if model else ""),
        _field(section, "model_description", "Description", facts.description, human=True),
        _field(section, "model_owner", "Owner", facts.owner, human=True),
        _field(section, "problem_type", "Problem", sweep.problem if sweep else ""),
        _field(section, "algorithm_type", "Learner", sweep.winner.title if sweep else ""),
        _field("custom", "question", "Question", question, human=True),
    ]


def _business(results: Results, card: ModelCardSpec) -> list[Field]:
    charter = results.get(CharterResult)
    section = "business_details"
    problem = charter.background.text if charter and charter.background else ""
    people = (
        [f"{s.name} ({s.role})" if s.role else s.name for s in charter.stakeholders]
        if charter
        else []
    )
    return [
        _field(section, "business_problem", "Business problem", problem, human=True),
        _field(section, "business_stakeholders", "Stakeholders", listed(people, 20), human=True),
        _field(section, "line_of_business", "Line of business", card.line_of_business, human=True),
    ]


def _uses(results: Results, card: ModelCardSpec) -> list[Field]:
    charter = results.get(CharterResult)
    section = "intended_uses"
    goals = [objective.statement for objective in charter.objectives] if charter else []
    rating = card.risk_rating.capitalize() if card.risk_rating else ""
    return [
        _field(section, "purpose_of_model", "Purpose", _listing(goals), human=True),
        _field(section, "intended_uses", "Intended uses", card.intended_uses, human=True),
        _field("custom", "out_of_scope_uses", "Not meant for", card.out_of_scope_uses, human=True),
        _field(
            section,
            "factors_affecting_model_efficiency",
            "What makes it better or worse",
            card.factors,
            human=True,
        ),
        _field(section, "risk_rating", "Risk rating", rating, human=True),
        _field(section, "explanations_for_risk_rating", "Why", card.risk_explanation, human=True),
    ]


def _listing(sentences: list[str]) -> str:
    return "; ".join(sentence.rstrip(". ") for sentence in sentences)


def _training(results: Results) -> list[Field]:
    sweep = results.get(SweepResult)
    said = ""
    if sweep is not None:
        said = (
            f"{capital(sweep.winner.reason.rstrip('.'))}. Fitted on {sweep.winner.rows:,} rows "
            f"with {len(sweep.features)} features; {len(sweep.trials)} trials over "
            f"{len(sweep.folds)} folds."
        )
    return [_field("training_details", "training_observations", "Training", said)]


def _caveats(results: Results, card: ModelCardSpec) -> list[Field]:
    decide, evaluated = results.get(DecideResult), results.get(EvaluateResult)
    section = "additional_information"
    found = [*decide.leakage, *decide.caveats] if decide else []
    if evaluated is not None and evaluated.slices is not None:
        weak = [found_.name for found_ in evaluated.slices.slices if found_.weak]
        found += [f"Weak for {listed(weak)}"] if weak else []
    ethics = card.ethical_considerations
    decision = decide.summary if decide else ""
    return [
        _field("custom", "decision", "Decision", decision),
        _field(section, "ethical_considerations", "Ethical considerations", ethics, human=True),
        _field("custom", "found_caveats", "Caveats found", _listing(found) or "none found"),
        _field(section, "caveats_and_recommendations", "Caveats", card.caveats, human=True),
    ]


def open_fields(fields: list[Field]) -> list[str]:
    """Names of the fields that nobody has filled."""
    return [field.key for field in fields if field.author == "open"]


def card_json(
    results: Mapping[str, StepResult], *, facts: RunFacts, card: ModelCardSpec
) -> dict[str, Any]:
    """The card as SageMaker takes it; what has no place there stands in ``custom_details``.

    Open fields are left out of their section, as the schema wants, and named in
    ``custom_details``.
    """
    fields = card_fields(results, facts=facts, card=card)
    at_hand = Results(results)
    sections: dict[str, dict[str, Any]] = {
        "model_overview": {},
        "business_details": {},
        "intended_uses": {},
        "training_details": {},
        "additional_information": {},
    }
    custom: dict[str, str] = {}
    for field in fields:
        custom[f"{field.key} written by"] = field.author
        if not field.text:
            continue
        if field.section == "custom" or (field.key == "model_version" and not field.text.isdigit()):
            custom[field.key] = _cut(field.text)
        else:
            sections[field.section][field.key] = _typed(field)
    sections["intended_uses"].setdefault("risk_rating", "Unknown")
    custom["open fields"] = ", ".join(open_fields(fields)) or "none"
    custom["run"] = facts.run_id
    custom |= {key: _cut(value) for key, value in facts.versions.items()}
    sections["training_details"] |= _training_details(at_hand)
    sections["additional_information"]["custom_details"] = custom
    return {**sections, "evaluation_details": _evaluation_details(at_hand)}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _typed(field: Field) -> str | int:
    """SageMaker counts versions as numbers."""
    return int(field.text) if field.key == "model_version" else _cut(field.text)


def _training_details(results: Results) -> dict[str, Any]:
    sweep = results.get(SweepResult)
    if sweep is None:
        return {}
    aim = "Maximize" if sweep.higher_is_better else "Minimize"
    return {
        "objective_function": {"function": {"function": aim, "facet": _facet(sweep.metric)}},
        "training_job_details": {
            "user_provided_training_metrics": [
                {
                    "name": sweep.metric,
                    "value": sweep.winner.metric,
                    "notes": f"mean of {len(sweep.folds)} folds",
                }
            ],
            "user_provided_hyper_parameters": [
                {"name": key, "value": _cut(str(value))}
                for key, value in sorted(sweep.winner.params.items())
            ],
        },
    }


def _facet(metric: str) -> str:
    """SageMaker knows five facets; what is none of them counts as a loss."""
    return _FACETS.get(metric, "Loss")


def _evaluation_details(results: Results) -> list[dict[str, Any]]:
    evaluated = results.get(EvaluateResult)
    if evaluated is None:
        return []
    details = []
    for split in (s for s in SPLIT_ORDER if s in evaluated.splits):
        part = evaluated.splits[split]
        data = [
            {
                "name": metric,
                "type": "number",
                "value": value.value,
                "notes": interval(value.low, value.high, 4)
                if value.low is not None
                else metric_title(metric),
            }
            for metric, value in part.metrics.items()
            if value.value is not None
        ]
        said = f"{part.labelled_rows:,} rows with a label, confidence {evaluated.confidence:g}"
        details.append(
            {
                "name": split_title(split),
                "evaluation_observation": said,
                "metric_groups": [{"name": evaluated.problem, "metric_data": data}],
            }
        )
    return details
