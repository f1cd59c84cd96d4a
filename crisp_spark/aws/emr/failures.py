"""Why a run failed, and whose turn it is: code, data, capacity, node set-up, permission.

What the job itself recorded in the workspace is believed first: it knows its error. Where it could
not record anything, EMR's reasons and the ends of the logs are read.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from crisp_spark.aws.emr.logs import S3Logs, is_telling
from crisp_spark.aws.emr.records import Objects, Submission
from crisp_spark.aws.emr.view import RunView, StepView
from crisp_spark.errors import (
    EX_BUG,
    EX_CANCELLED,
    EX_DATA,
    EX_NODE,
    EX_PERMISSION,
    EX_SPEC,
    EX_TRY_AGAIN,
    EX_USAGE,
    CrispError,
)

Kind = Literal["code", "data", "spec", "capacity", "bootstrap", "permission", "cancelled"]

EXIT_CODES: dict[Kind, int] = {
    "code": EX_BUG,
    "data": EX_DATA,
    "spec": EX_SPEC,
    "capacity": EX_TRY_AGAIN,
    "bootstrap": EX_NODE,
    "permission": EX_PERMISSION,
    "cancelled": EX_CANCELLED,
}
"""Exit code of ``crisp submit`` for each kind of failure."""

_KIND_OF_EXIT: dict[int, Kind] = {
    EX_USAGE: "spec",
    EX_DATA: "data",
    EX_SPEC: "spec",
    EX_TRY_AGAIN: "capacity",
    EX_PERMISSION: "permission",
}
_KIND_OF_RECORD: dict[str, Kind] = {
    "AccessError": "permission",
    "EnvironmentFaultError": "bootstrap",
    # Nobody cancelled the step, so its machine went away.
    "TerminatedBySignal": "capacity",
}
_HINTS: dict[Kind, str] = {
    "code": "the last lines of the driver's log are above; `crisp logs` shows all",
    "data": "correct the data or the project file and submit again; finished steps are kept",
    "spec": "correct the project file and submit again",
    "capacity": "submit again: finished steps and trials are kept; more instance types, zones or "
    "on-demand machines make this rarer",
    "bootstrap": "the node script's error log is above; `crisp package` makes the package anew",
    "permission": "the role of the steps needs the action that was refused; see docs/emr.md",
    "cancelled": "submit again to go on; finished steps are kept",
}
_LOST = (
    r"released on a \*lost\* node|Exit status: -100\b|ExecutorLostFailure|"
    r"decommission(ed|ing) (host|node)|Spot interruption|InsufficientInstanceCapacity"
)
_REFUSED = (
    r"AccessDenied|Access Denied|not authorized to perform|AccessControlException|"
    r"403 Forbidden"
)
_NOT_INSTALLED = r"No module named '?crisp_spark|Cannot run program \"[^\"]*python"
_PATTERNS: tuple[tuple[Kind, str], ...] = (
    ("capacity", _LOST),
    ("permission", _REFUSED),
    ("bootstrap", _NOT_INSTALLED),
)
_EXIT = re.compile(r"(?:exited with status|Step failed with exitCode|exitCode:?) (\d+)")
_CAPACITY_CODES = ("INSTANCE_FLEET_TIMEOUT", "INSTANCE_FAILURE", "INTERNAL_ERROR")
_TELLING = re.compile(r"^\S*(Error|Exception)\b.*: \S|^Caused by: |^crisp: |diagnostics: User")
_ERROR = re.compile(r"Error|Exception|Traceback|exited with status")
_TAIL = 20
_END_LINES = 80
_LONGEST_CAUSE = 600


@dataclass(frozen=True)
class Failure:
    """Why a run failed.

    Attributes:
        kind: Whose turn it is.
        cause: What happened, in a sentence or two.
        hint: What to do.
        stage: Stage that failed; empty when none had begun.
        lines: Last lines of the driver's, or the node script's, log.
        log: Where the whole log is.
    """

    kind: Kind
    cause: str
    hint: str
    stage: str = ""
    lines: tuple[str, ...] = ()
    log: str = ""

    @property
    def exit_code(self) -> int:
        """Exit code that tells the kind."""
        return EXIT_CODES[self.kind]


class RemoteRunError(CrispError):
    """A run at AWS failed; ``failure`` says why."""

    def __init__(self, run_id: str, failure: Failure) -> None:
        stage = f" in {failure.stage}" if failure.stage else ""
        super().__init__(
            f"run {run_id}: failed{stage} ({failure.kind}): {failure.cause}", hint=failure.hint
        )
        self.exit_code = failure.exit_code
        self.retryable = failure.kind == "capacity"
        self.failure = failure


def explain_failure(
    view: RunView,
    submission: Submission,
    *,
    objects: Objects,
    logs: S3Logs | None,
    tail: int = _TAIL,
) -> Failure:
    """Return why a run that ended without success did so.

    Args:
        view: The run at its end.
        submission: Its record.
        objects: The workspace's objects, where jobs record their failures.
        logs: The logs; None where there are none.
        tail: Number of log lines to keep.
    """
    step = view.failed_step
    if step is None:
        return _without_step(view, logs, tail)
    text = _log_texts(step, logs)
    lines = _last_lines(text, tail)
    where = f"{logs.prefix}{logs.place(step.id)}" if logs else step.log_file
    kind, cause = _recorded(objects, submission, since=step.started) or _read_from(step, text)
    return Failure(kind, cause, _HINTS[kind], step.stage, lines, where)


def _without_step(view: RunView, logs: S3Logs | None, tail: int) -> Failure:
    said = "; ".join(filter(None, [view.message, *view.errors])) or f"state {view.state}"
    told = f"{view.code} {said}"
    if "BOOTSTRAP_FAILURE" in told:
        found = logs.bootstrap() if logs else []
        key, text = next(((key, text) for key, text in found if text.strip()), ("", ""))
        where = f"{logs.prefix}{key}.gz" if logs and key else ""
        lines = tuple(text.splitlines()[-tail:])
        return Failure("bootstrap", said, _HINTS["bootstrap"], lines=lines, log=where)
    kind: Kind = "cancelled"
    if view.code == "VALIDATION_ERROR":
        kind = "spec"
    elif view.code in _CAPACITY_CODES or re.search("CAPACITY|SPOT", told):
        kind = "capacity"
    return Failure(kind, said, _HINTS[kind])


def _last_lines(text: dict[str, str], count: int) -> tuple[str, ...]:
    """Return the last lines of the log that tells of an error, else of the one that says anything.

    All that a Python driver says is in ``stdout``, wherever it runs: Spark joins its streams. A
    driver that ends in good order talks on after the error: that is left out.
    """
    found = [
        tuple([line for line in text[name].splitlines() if is_telling(line)][-count:])
        for name in ("stdout", "stderr")
    ]
    erring = [lines for lines in found if any(_ERROR.search(line) for line in lines)]
    return next(filter(None, [*erring, *found]), ())


def _log_texts(step: StepView, logs: S3Logs | None) -> dict[str, str]:
    names = ("stderr", "stdout", "controller")
    if logs is None or not step.id:
        return dict.fromkeys(names, "")
    return {name: logs.step_text(step.id, name) for name in names}


def _recorded(
    objects: Objects, submission: Submission, *, since: datetime | None
) -> tuple[Kind, str] | None:
    """Return what the job recorded last since the step began."""
    found = [
        one.key
        for one in objects.stat(f"runs/{submission.run_id}")
        if one.key.rsplit("/", 1)[1].startswith("failure-")
    ]
    documents: list[dict[str, Any]] = [json.loads(objects.read(key)) for key in found]
    recent = [one for one in documents if _begun(one, since)]
    if not recent:
        return None
    last = max(recent, key=lambda one: str(one["at"]))
    cause = f"{last['step']}: {last['message']}"
    kind = _kind_of_text(f"{last['message']}\n{last.get('traceback', '')}")
    by_kind = _KIND_OF_RECORD.get(last["kind"])
    if by_kind is not None:
        return by_kind, _short(cause)
    by_code = _KIND_OF_EXIT.get(int(last["exit_code"]), "code")
    if by_code != "code":
        return by_code, _short(cause)
    return kind or "code", _short(cause)


def _begun(document: dict[str, Any], since: datetime | None) -> bool:
    return since is None or datetime.fromisoformat(document["at"]) >= since


def _read_from(step: StepView, text: dict[str, str]) -> tuple[Kind, str]:
    """Return what EMR and the logs tell of a step that recorded nothing."""
    # Losses that Spark got over stand further up: only what comes last is why a step failed.
    ends = [text[name].splitlines()[-_END_LINES:] for name in ("stdout", "stderr")]
    whole = "\n".join([*(line for lines in ends for line in lines), step.message])
    exits = [int(code) for code in _EXIT.findall(f"{whole}\n{text['controller']}")]
    by_code = next((_KIND_OF_EXIT[code] for code in exits if code in _KIND_OF_EXIT), None)
    kind: Kind = _kind_of_text(whole) or by_code or "code"
    telling = [line.strip() for line in whole.splitlines() if _TELLING.search(line.strip())]
    said = telling[-1] if telling else ""
    cause = " ".join(filter(None, [said, step.message])) or "the step failed and left no log"
    return kind, _short(cause)


def _kind_of_text(text: str) -> Kind | None:
    return next((kind for kind, pattern in _PATTERNS if re.search(pattern, text)), None)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_CAUSE else f"{text[:_LONGEST_CAUSE]}..."
