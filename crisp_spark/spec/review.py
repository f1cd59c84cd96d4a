"""What people add once they have read the results: notes, waivers and lessons."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from crisp_spark.spec.base import SpecModel
from crisp_spark.spec.business import Authored
from crisp_spark.spec.modelcard import ModelCardSpec

TASKS: Mapping[str, str] = MappingProxyType(
    {
        "1.1": "Find out what the business wants",
        "1.2": "Take stock of the situation",
        "1.3": "State the data-mining goals",
        "1.4": "Plan the project",
        "2.1": "Collect the data",
        "2.2": "Describe the data",
        "2.3": "Explore the data",
        "2.4": "Check the quality of the data",
        "3.1": "Select data",
        "3.2": "Clean data",
        "3.3": "Construct data",
        "3.4": "Integrate data",
        "3.5": "Format data",
        "4.1": "Choose the modelling technique",
        "4.2": "Design the test",
        "4.3": "Build models",
        "4.4": "Assess models",
        "5.1": "Evaluate the results",
        "5.2": "Review the process",
        "5.3": "Decide what comes next",
        "6.1": "Plan the deployment",
        "6.2": "Plan monitoring and maintenance",
        "6.3": "Report on the project",
        "6.4": "Look back on the project",
    }
)
"""The 24 generic tasks of CRISP-DM."""

OUTPUTS: Mapping[str, str] = MappingProxyType(
    {
        "1.1.1": "Background",
        "1.1.2": "Business objectives",
        "1.1.3": "Business success criteria",
        "1.2.1": "Inventory of resources",
        "1.2.2": "Requirements, assumptions and constraints",
        "1.2.3": "Risks and contingencies",
        "1.2.4": "Terminology",
        "1.2.5": "Costs and benefits",
        "1.3.1": "Data-mining goals",
        "1.3.2": "Data-mining success criteria",
        "1.4.1": "Project plan",
        "1.4.2": "First assessment of tools and techniques",
        "2.1.1": "Collection report",
        "2.2.1": "Description report",
        "2.3.1": "Exploration report",
        "2.4.1": "Quality report",
        "3.0.1": "Data set",
        "3.0.2": "Description of the data set",
        "3.1.1": "Reasons for what is in and what is out",
        "3.2.1": "Cleaning report",
        "3.3.1": "Derived attributes",
        "3.3.2": "Generated records",
        "3.4.1": "Merged data",
        "3.5.1": "Reformatted data",
        "4.1.1": "Modelling technique",
        "4.1.2": "Modelling assumptions",
        "4.2.1": "Test design",
        "4.3.1": "Parameter settings",
        "4.3.2": "Models",
        "4.3.3": "Descriptions of the models",
        "4.4.1": "Assessment of the models",
        "4.4.2": "Revised parameter settings",
        "5.1.1": "Results held against the success criteria",
        "5.1.2": "Approved models",
        "5.2.1": "Review of the process",
        "5.3.1": "Possible next actions",
        "5.3.2": "Decision",
        "6.1.1": "Deployment plan",
        "6.2.1": "Monitoring and maintenance plan",
        "6.3.1": "Final report",
        "6.3.2": "Final presentation",
        "6.4.1": "Record of experience",
    }
)
"""The 42 outputs of these tasks; 3.0 belongs to the third phase as a whole."""


def _is_output(value: str) -> str:
    if value not in OUTPUTS:
        near = [number for number in OUTPUTS if number.startswith(value.rpartition(".")[0] + ".")]
        hint = f"near it: {', '.join(near)}" if near else "`crisp review` lists all 42"
        raise ValueError(f"no output {value!r}; {hint}")
    return value


OutputNumber = Annotated[
    str, AfterValidator(_is_output), Field(json_schema_extra={"enum": list(OUTPUTS)})
]
"""Number of an output, as ``crisp review`` shows it: ``2.3.1``."""


class OutputNote(Authored):
    """A person's reading of one CRISP-DM output."""

    output: OutputNumber
    """Number of the output, as ``crisp review`` shows it (``2.3.1``)."""
    text: str = Field(min_length=1)
    """The reading."""


class Waiver(SpecModel):
    """An output that is left out on purpose."""

    output: OutputNumber
    """Number of the output."""
    reason: str = Field(min_length=1)
    """Why it is not needed."""
    owner: str = Field(min_length=1)
    """Who decided that."""


class Lesson(Authored):
    """Something learned, for the next project."""

    text: str = Field(min_length=1)
    """What was learned."""
    kind: Literal["keep", "change", "pitfall", "hint"] = "hint"
    """What to do with it next time."""
    phase: str = ""
    """Phase it belongs to."""


class ReviewSpec(SpecModel):
    """What people add once they have read the results."""

    notes: tuple[OutputNote, ...] = ()
    """Readings of outputs that the program drafted."""
    waivers: tuple[Waiver, ...] = ()
    """Outputs left out on purpose."""
    process: str = ""
    """Review of the process: what was overlooked, what should be repeated."""
    conclusion: str = ""
    """Conclusion of the final report."""
    lessons: tuple[Lesson, ...] = ()
    """What the next project should know."""
    card: ModelCardSpec = ModelCardSpec()
    """The part of the model card that only a person can write."""

    @model_validator(mode="after")
    def _each_waived_once(self) -> ReviewSpec:
        numbers = [waiver.output for waiver in self.waivers]
        twice = sorted({number for number in numbers if numbers.count(number) > 1})
        if twice:
            raise ValueError(f"waivers: {', '.join(twice)} is given twice")
        return self
