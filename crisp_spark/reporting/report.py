"""The report of a run: one self-contained page, the verdict first, then phase by phase."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources

from jinja2 import Environment, Template

import crisp_spark
from crisp_spark.flow import FLOW, Phase
from crisp_spark.reporting.facts import RunFacts
from crisp_spark.reporting.html import Html
from crisp_spark.reporting.kit import Section as Part
from crisp_spark.reporting.kit import absent, badge
from crisp_spark.reporting.numbers import moment
from crisp_spark.reporting.pages import (
    charter,
    clean,
    decide,
    deploy,
    derive,
    evaluate,
    ingest,
    merge,
    monitor,
    profile,
    project,
    quality,
    split,
    summary,
    sweep,
)
from crisp_spark.reporting.results_at_hand import Results
from crisp_spark.results.base import StepResult
from crisp_spark.results.review import ReviewReport

Page = Callable[[Results], Part | None]

PAGES: Mapping[str, tuple[str, Page]] = {
    "charter": (charter.TITLE, charter.section),
    "ingest": (ingest.TITLE, ingest.section),
    "profile": (profile.TITLE, profile.section),
    "quality": (quality.TITLE, quality.section),
    "clean": (clean.TITLE, clean.section),
    "merge": (merge.TITLE, merge.section),
    "derive": (derive.TITLE, derive.section),
    "split": (split.TITLE, split.section),
    "sweep": (sweep.TITLE, sweep.section),
    "evaluate": (evaluate.TITLE, evaluate.section),
    "decide": (decide.TITLE, decide.section),
    "deploy": (deploy.TITLE, deploy.section),
    "monitor": (monitor.TITLE, monitor.section),
}
"""Title and page of every step that the report shows."""

_INTROS: Mapping[Phase, str] = {
    Phase.BUSINESS: "What is wanted, and when it counts as reached.",
    Phase.UNDERSTANDING: "What came in, and what can be trusted.",
    Phase.PREPARATION: "From sources to rows that a model can learn from.",
    Phase.MODELING: "What was tried, and what won.",
    Phase.EVALUATION: "How good it is, for whom, and whether that is enough.",
    Phase.DEPLOYMENT: "How it is put to use and watched.",
}

_NOTHING = Html("")


@dataclass(frozen=True)
class Shown:
    """A section as the template takes it."""

    id: str
    title: str
    body: Html
    mark: Html | None = None
    present: bool = True


@dataclass(frozen=True)
class Group:
    """A chapter with its sections."""

    id: str
    title: str
    intro: str = ""
    body: Html = _NOTHING
    sections: tuple[Shown, ...] = field(default=())


def render_report(
    results: Mapping[str, StepResult], *, facts: RunFacts, review: ReviewReport | None = None
) -> str:
    """Render the report.

    Args:
        results: Result by step; a step that has not run is left out and said to be absent.
        facts: What is known about the run.
        review: The review of the process, where it was made.

    Returns:
        A whole HTML page that needs no network and no scripts.
    """
    at_hand = Results(results)
    short = [
        Group("criteria", "Success criteria", body=decide.criteria_list(at_hand) or Html("")),
        Group("short", "The project in short", body=summary.in_short(at_hand, facts)),
    ]
    groups = [group for group in short if group.body] + [
        *(_phase(phase, at_hand) for phase in _INTROS),
        _project(at_hand, facts, review),
    ]
    contents = [Group("verdict", "Verdict"), *groups]
    return page(
        title=f"{facts.project}: report of the project",
        subtitle=facts.description,
        eyebrow=_eyebrow(facts),
        opening=decide.banner(at_hand),
        groups=groups,
        contents=contents,
        brand=facts.project,
        footer=_footer(facts),
    )


def sections_of(results: Mapping[str, StepResult]) -> list[tuple[str, str, bool]]:
    """Step, title and presence of every section, in the order of the flow."""
    return [(step, title, step in results) for step, (title, _) in PAGES.items()]


def page(
    *,
    title: str,
    subtitle: str,
    eyebrow: str,
    opening: Html,
    groups: list[Group],
    contents: list[Group],
    brand: str,
    footer: str,
) -> str:
    """Fill the page's template; everything that is not markup is escaped."""
    return _template().render(
        title=title,
        subtitle=subtitle,
        eyebrow=eyebrow,
        opening=opening,
        groups=groups,
        contents=contents,
        brand=brand,
        footer=footer,
        style=Html(_text("page.css")),
        generator=f"crisp_spark {crisp_spark.__version__}",
    )


@cache
def _template() -> Template:
    return Environment(autoescape=True).from_string(_text("page.html.j2"))


def _text(file: str) -> str:
    folder = resources.files("crisp_spark.reporting") / "templates"
    return (folder / file).read_text(encoding="utf-8")


def _shown(part: Part) -> Shown:
    return Shown(
        id=part.id,
        title=part.title,
        body=part.body,
        mark=badge(part.badge) if part.badge else None,
        present=part.present,
    )


def _phase(phase: Phase, results: Results) -> Group:
    title, intro = project.PHASES[phase.value], _INTROS[phase]
    steps = [step.name for step in FLOW if step.phase is phase and step.name in PAGES]
    sections = []
    for step in steps:
        heading, build = PAGES[step]
        part = build(results) or Part(step, heading, absent(step), present=False)
        sections.append(_shown(replace(part, id=step)))
    return Group(f"phase-{phase.value}", title, intro, sections=tuple(sections))


def _project(results: Results, facts: RunFacts, review: ReviewReport | None) -> Group:
    parts = [
        project.course(results, facts),
        project.review_section(review),
        project.reproduction(results, facts),
        project.glossary(results),
    ]
    intro = "How it went, what is open, and how to get it again."
    return Group("project", "About the project", intro, sections=tuple(map(_shown, parts)))


def _eyebrow(facts: RunFacts) -> str:
    words = [
        f"Run {facts.run_id}" if facts.run_id else "",
        moment(facts.rendered) if facts.rendered else "",
        facts.owner,
    ]
    return " · ".join(word for word in words if word)


def _footer(facts: RunFacts) -> str:
    made = f" on {moment(facts.rendered)}" if facts.rendered else ""
    return f"Made by crisp_spark {crisp_spark.__version__}{made}. Needs no network and no scripts."


def plain_page(
    *, title: str, subtitle: str, eyebrow: str, opening: Html, groups: list[Group]
) -> str:
    """A page without contents beside it: the model card."""
    return page(
        title=title,
        subtitle=subtitle,
        eyebrow=eyebrow,
        opening=opening,
        groups=groups,
        contents=[],
        brand="",
        footer=f"Made by crisp_spark {crisp_spark.__version__}.",
    )
