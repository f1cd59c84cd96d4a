"""The last word of a job, for whoever started it and cannot see more than an exit code."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from crisp_spark.errors import EX_BUG, EX_OK, CrispError

if TYPE_CHECKING:
    from crisp_spark.run.runner import RunSummary
    from crisp_spark.spec.load import LoadedProject

logger = logging.getLogger(__name__)

_LOST = (
    "executorlostfailure",
    "lost node",
    "decommission",
    "fetchfailed",
    "metadatafetchfailed",
    "sparkcontext was shut down",
    "sparkcontext has been shutdown",
    "py4jnetworkerror",
    "exit status: -100",
)
_OWN_FAULT = ("outofmemory", "memory limits", "physical memory", "exit code: 52")


def with_outcome(
    project: LoadedProject, run_id: str, name: str, work: Callable[[], RunSummary]
) -> RunSummary:
    """Do the work and leave ``runs/<run_id>/outcomes/<name>.json`` in the workspace.

    The document says whether the work was lost together with its machines (``lost``), so that
    trying it again can help, and what was decided (``decision``), where the step decide was run.

    Args:
        project: The project.
        run_id: Id of the run.
        name: Name of the outcome; the first one of a name stays.
        work: What is done.
    """
    try:
        summary = work()
    except BaseException as error:
        _leave(project, run_id, name, _failure(error))
        raise
    decided = [event.result or {} for event in summary.events if event.step == "decide"]
    decision = decided[-1].get("decision") if decided else None
    _leave(
        project, run_id, name, {"exit_code": EX_OK, "lost": False, "decision": decision or "none"}
    )
    return summary


def was_lost(error: BaseException) -> bool:
    """Say whether an error came from machines that disappeared, and not from the work itself."""
    if isinstance(error, CrispError) and error.retryable:
        return True
    if not isinstance(error, Exception):
        return True  # told to stop from outside: SIGTERM comes before a machine is taken away
    words = _words(error)
    return any(sign in words for sign in _LOST) and not any(sign in words for sign in _OWN_FAULT)


def _words(error: BaseException) -> str:
    chain: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(chain) < 10:  # noqa: PLR2004  # chains may be circular
        chain.append(f"{type(cause).__name__}: {cause}")
        cause = cause.__cause__ or cause.__context__
    return " ".join(chain).lower()


def _failure(error: BaseException) -> dict[str, Any]:
    known = error if isinstance(error, CrispError) else None
    return {
        "exit_code": known.exit_code if known else EX_BUG,
        "lost": was_lost(error),
        "kind": type(error).__name__,
        "message": str(error)[:2000],
    }


def _leave(project: LoadedProject, run_id: str, name: str, word: dict[str, Any]) -> None:
    from crisp_spark.run.workspace import Workspace

    try:
        Workspace(project).put(f"runs/{run_id}/outcomes/{name}.json", word)
    except CrispError:
        # The job's own end must not be covered up; without a word it counts as lost.
        logger.exception("the outcome %s of run %s could not be written", name, run_id)
