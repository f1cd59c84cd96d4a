"""Champion against challenger: what an endpoint logged about both, and what turned out true."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crisp_spark.errors import DataError
from crisp_spark.results.sweep import SweepResult
from crisp_spark.run.workspace import Workspace
from crisp_spark.serving.endpoint.shadow import CONTINUOUS, EVENT, Difference, key_digest
from crisp_spark.spec.columns import quoted

if TYPE_CHECKING:
    from crisp_spark.spec.load import LoadedProject

LABEL = "_crisp_label"
"""Column of the predictions with the outcome; null where it is not known yet."""

_MOST_EXACT = 1000

Label = str | float
"""What turned out true: name of a class, or a number."""


@dataclass
class Logged:
    """What was logged about two models.

    Attributes:
        champion: Name and version of the model that answered.
        challenger: Name and version of the one in the shadow.
        problem: Class of the problem.
        difference: How far the answers are apart.
        said: Digest of a row's key to prediction, decision and score of the champion, then of the
            challenger; the last answer where a row was asked for several times.
        key: Columns of the key.
    """

    champion: str
    challenger: str
    problem: str
    difference: Difference = field(default_factory=Difference)
    said: dict[str, Sequence[Any]] = field(default_factory=dict)
    key: Sequence[str] = ()


@dataclass(frozen=True)
class Outcomes:
    """How both models did on rows whose outcome is known.

    Attributes:
        rows: Such rows that both models answered, each once.
        champion: Share of rows (0 to 1) that the champion was right about; mean absolute error
            where a number is predicted.
        challenger: The same of the challenger.
        only_champion: Rows that only the champion was right about.
        only_challenger: The same of the challenger.
        p_value: Of McNemar's test that both are right equally often; None for numbers.
    """

    rows: int
    champion: float
    challenger: float
    only_champion: int = 0
    only_challenger: int = 0
    p_value: float | None = None


@dataclass(frozen=True)
class Comparison:
    """A pair of models, compared.

    Attributes:
        champion: Name and version of the model that answered.
        challenger: Name and version of the one in the shadow.
        problem: Class of the problem.
        difference: How far the answers are apart.
        mean_abs_score_difference: Mean absolute difference of scores; None without scores.
        keyed_rows: Rows, each once, that came with a key and so can have an outcome.
        outcomes: How both did; None where no outcome is known.
    """

    champion: str
    challenger: str
    problem: str
    difference: Difference
    mean_abs_score_difference: float | None
    keyed_rows: int
    outcomes: Outcomes | None

    def lines(self) -> list[tuple[str, str]]:
        """Return what was found, in words and figures."""
        found = self.difference
        lines = [
            ("rows compared", f"{found.rows:,}"),
            ("of another class", _share(found.class_changes, found.rows)),
            ("answered by another (rule, nobody)", _share(found.answerer_changes, found.rows)),
        ]
        if self.mean_abs_score_difference is not None:
            mean, most = self.mean_abs_score_difference, found.max_abs
            lines.append(("difference of scores", f"mean {mean:.4g}, largest {most:.4g}"))
        if self.outcomes is None:
            return [*lines, ("outcome known", f"of none of {self.keyed_rows:,} rows with a key")]
        one = self.outcomes
        what = "mean absolute error" if self.problem in CONTINUOUS else "right"
        lines += [
            ("outcome known", f"of {one.rows:,} of {self.keyed_rows:,} rows with a key"),
            (f"champion, {what}", f"{one.champion:.4f}"),
            (f"challenger, {what}", f"{one.challenger:.4f}"),
        ]
        if one.p_value is not None:
            lines += [
                ("only one is right", f"{one.only_champion:,} and {one.only_challenger:,} rows"),
                ("p, equally often right", f"{one.p_value:.3g}"),
            ]
        return lines


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.2%})" if whole else "0"


def read_comparisons(logs: Iterable[Path]) -> list[Logged]:
    """Read what endpoints logged about two models; all other lines are left out.

    Args:
        logs: Files of lines, each a comparison or something else, maybe behind a time.

    Raises:
        DataError: A file cannot be read, or a line of a comparison is damaged.
    """
    found: dict[tuple[str, str], Logged] = {}
    for file in logs:
        for number, line in _lines(file):
            try:
                content = json.loads(line)
                if content.get("event") == EVENT and "outcomes" in content:
                    _take(found, content)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DataError(
                    f"{file}:{number}: a line of a comparison is damaged ({type(error).__name__})",
                    hint="was the log cut off in the middle of a line?",
                ) from error
    return list(found.values())


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    wanted = f'"event":"{EVENT}"'
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                if wanted in line:
                    yield number, line[line.index("{") :]
    except OSError as error:
        raise DataError(f"challenger: cannot read {file} ({error.strerror})") from error


def _take(found: dict[tuple[str, str], Logged], line: Mapping[str, Any]) -> None:
    ours, theirs = (f"{line[one]['name']} {line[one]['version']}" for one in ("champion", EVENT))
    logged = found.setdefault((ours, theirs), Logged(ours, theirs, line["problem"]))
    scored = line["scored_rows"]
    logged.difference.merge(
        Difference(
            rows=line["rows"],
            class_changes=line["class_changes"],
            answerer_changes=line["answerer_changes"],
            scored_rows=scored,
            sum_abs=line["mean_abs_score_difference"] * scored if scored else 0.0,
            max_abs=line["max_abs_score_difference"] if scored else 0.0,
        )
    )
    logged.key = line["key"]
    for digest, *said in line["outcomes"]:
        prediction, decision, score, *other = said
        logged.said[digest] = (prediction, decision, score, *other)


def compare_logged(
    project: LoadedProject, logged: Sequence[Logged], *, labels: bool = True
) -> list[Comparison]:
    """Compare pairs of models, with the outcomes that the project knows.

    Args:
        project: The project; its published predictions have the outcomes of rows that evaluation
            and monitoring have judged.
        logged: What was logged.
        labels: Whether to look outcomes up; that takes Spark.

    Raises:
        DataError: The published predictions do not have the key.
    """
    key = set(project.spec.business.mining_goal.key)
    # Part of a key, which bundles of earlier versions have, does not tell rows apart.
    whole = [one for one in logged if labels and set(one.key) == key]
    wanted = {digest for one in whole for digest in one.said}
    known, positive = known_outcomes(project, wanted) if wanted else ({}, None)
    return [
        Comparison(
            champion=one.champion,
            challenger=one.challenger,
            problem=one.problem,
            difference=one.difference,
            mean_abs_score_difference=one.difference.mean_abs,
            keyed_rows=len(one.said),
            outcomes=judged(one, known, positive),
        )
        for one in logged
    ]


def known_outcomes(project: LoadedProject, wanted: set[str]) -> tuple[dict[str, Label], str | None]:
    """Return digest of a row's key to its outcome, and the name of the positive class.

    Rows are read one after the other; only those that are wanted are kept. Nothing is known where
    nothing has been evaluated yet.

    Raises:
        DataError: The published predictions do not have the key.
    """
    from pyspark.sql import functions as F

    from crisp_spark.engine import tables
    from crisp_spark.run.places import open_session_for

    workspace = Workspace(project)
    evaluated, swept = (workspace.commits.current(name) for name in ("evaluate", "sweep"))
    if evaluated is None or swept is None:
        return {}, None
    goal = SweepResult.model_validate(swept.result)
    key = project.spec.business.mining_goal.key
    spark = open_session_for(project, "challenger")
    frame = tables.read_table(workspace.objects, spark, evaluated.tables["predictions"])
    missing = {*key, LABEL} - set(frame.columns)
    if missing or not key:
        raise DataError(
            f"challenger: the predictions have no {', '.join(sorted(missing)) or 'key'}",
            hint="business.mining_goal.key names the columns that tell rows apart",
        )
    rows = frame.where(F.col(LABEL).isNotNull()).select(*map(quoted, (*key, LABEL)))
    found: dict[str, Label] = {}
    for row in rows.toLocalIterator():
        *values, label = row
        digest = key_digest(dict(zip(key, map(_as_sent, values), strict=True)))
        if digest in wanted:
            found[digest] = goal.classes[int(label)] if goal.classes else float(label)
    return found, goal.classes[1] if goal.problem == "binary" else None


def _as_sent(value: Any) -> Any:
    """A value as an endpoint has it: Spark hands moments over in the time of this machine."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def judged(logged: Logged, known: Mapping[str, Label], positive: str | None) -> Outcomes | None:
    """Hold the answers of two models against outcomes; None where none is known.

    Args:
        logged: What both said.
        known: Digest of a row's key to its outcome.
        positive: Name of the positive class (binary).
    """
    pairs = [(said, known[digest]) for digest, said in logged.said.items() if digest in known]
    if logged.problem in CONTINUOUS:
        scored = [
            (said[2], said[5], label) for said, label in pairs if None not in (said[2], said[5])
        ]
        if not scored:
            return None
        ours = math.fsum(abs(one - float(label)) for one, _, label in scored)
        theirs = math.fsum(abs(other - float(label)) for _, other, label in scored)
        return Outcomes(len(scored), ours / len(scored), theirs / len(scored))
    if not pairs:
        return None
    right = [
        (_right(a[:2], label, positive), _right(a[3:5], label, positive)) for a, label in pairs
    ]
    champion, challenger = (sum(column) for column in zip(*right, strict=True))
    only_champion = sum(one and not other for one, other in right)
    only_challenger = sum(other and not one for one, other in right)
    return Outcomes(
        rows=len(right),
        champion=champion / len(right),
        challenger=challenger / len(right),
        only_champion=only_champion,
        only_challenger=only_challenger,
        p_value=mcnemar_p(only_champion, only_challenger),
    )


def _right(said: Sequence[Any], label: Label, positive: str | None) -> bool:
    prediction, decision = said
    if decision is not None and positive is not None:
        return bool(decision) == (label == positive)
    return bool(prediction == label)


def mcnemar_p(only_one: int, only_other: int) -> float:
    """Return the two-sided p-value of McNemar's test (1947), 0 to 1.

    Exact by the binomial distribution up to 1,000 discordant pairs, above by its normal
    approximation with continuity correction (Edwards 1948).

    Args:
        only_one: Pairs in which only the first is right.
        only_other: Pairs in which only the second is right.
    """
    total, less = only_one + only_other, min(only_one, only_other)
    if not total:
        return 1.0
    if total <= _MOST_EXACT:
        tail = sum(math.comb(total, k) for k in range(less + 1))
        return min(1.0, float(Fraction(2 * tail, 2**total)))
    distance = max(abs(only_one - only_other) - 1, 0) / math.sqrt(total)
    return math.erfc(distance / math.sqrt(2))
