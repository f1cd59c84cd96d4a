"""What the ``spark-submit`` entry points below ``jobs/`` call: no terminal, no colours, no AWS."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from crisp_spark import flow
from crisp_spark.errors import EX_BUG, CrispError, UsageError
from crisp_spark.results.monitor import MonitorResult
from crisp_spark.run.ending import terminated_as_error

if TYPE_CHECKING:
    from crisp_spark.run.runner import StepEvent
    from crisp_spark.spec.load import LoadedProject

_NOISY = ("py4j", "great_expectations", "alembic", "botocore", "urllib3")
"""Packages whose everyday talk would bury a step's own lines."""


def run_job(step: str | None, arguments: Sequence[str] | None = None) -> int:
    """Run one step, or several, of a project and return the exit code.

    Args:
        step: The step; None lets ``--steps`` choose.
        arguments: Command line; ``sys.argv[1:]`` when None.
    """
    options = _parser(step).parse_args(arguments)
    return _ended(step or options.steps, partial(_run, step, options))


def run_score_job(arguments: Sequence[str] | None = None) -> int:
    """Score a batch with the model of a project and return the exit code.

    Args:
        arguments: Command line; ``sys.argv[1:]`` when None.
    """
    parser = _common("crisp_spark: scores a batch of merged rows")
    parser.add_argument("--input", required=True, help="file, folder or glob of rows")
    parser.add_argument("--output", required=True, help="folder for the scores")
    parser.add_argument("--kind", default="parquet", help="parquet, orc, csv or json")
    parser.add_argument("--model", default="decided", help="decided or candidate")
    parser.add_argument(
        "--incremental", action="store_true", help="only files that --output does not hold yet"
    )
    return _ended("score", partial(_score, parser.parse_args(arguments)))


def _ended(name: str, work: Callable[[], int]) -> int:
    """Do the work of a job; what goes wrong becomes a line and an exit code."""
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        with terminated_as_error():
            return work()
    except CrispError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    except Exception:
        logging.getLogger(__name__).exception("unexpected failure of job %s", name)
        return EX_BUG


def _load(options: argparse.Namespace) -> LoadedProject:
    from crisp_spark.run.places import local_project
    from crisp_spark.spec.load import load_project

    return load_project(
        local_project(options.project),
        target=options.target,
        variables=dict(_pair(item) for item in options.var),
        overrides=options.set,
        environ=os.environ,
    )


def _score(options: argparse.Namespace) -> int:
    from crisp_spark.run.score import score_batch
    from crisp_spark.run.score_new import score_new

    call: dict[str, Any] = {"input_path": options.input, "output_path": options.output}
    call |= {"kind": options.kind, "model": options.model}
    project = _load(options)
    if options.incremental:
        found = asdict(score_new(project, **call))
    else:
        found = {"summary": asdict(score_batch(project, **call))}
    sys.stdout.write(json.dumps(found, ensure_ascii=False, default=dict) + "\n")
    return 0


def _run(step: str | None, options: argparse.Namespace) -> int:
    from crisp_spark.run.outcome import with_outcome
    from crisp_spark.run.runner import run_flow
    from crisp_spark.run.workspace import new_run_id

    project = _load(options)
    names = [step] if step else options.steps.split(",")
    steps = flow.select_steps(only=names)
    run_id = options.run_id or new_run_id()
    tell = partial(_tell_signals, project)
    run = partial(run_flow, project, steps, run_id=run_id, force=options.force, on_event=tell)
    summary = with_outcome(project, run_id, options.outcome, run) if options.outcome else run()
    lines = {
        event.step: {"state": event.state, "seconds": event.seconds} for event in summary.events
    }
    sys.stdout.write(json.dumps({"run_id": summary.run_id, "steps": lines}) + "\n")
    return 0


def _tell_signals(project: LoadedProject, event: StepEvent) -> None:
    """Write what was monitored as metrics: where the output is a log of CloudWatch, it reads them.

    A monitoring that was skipped is told again, because the model has grown older.
    """
    deployment = project.spec.deployment
    told = event.step == MonitorResult.step and event.result is not None
    if not told or not deployment.monitoring.cloudwatch:
        return
    from crisp_spark.deployment.signals import monitoring_line

    name = project.spec.project.name
    line = monitoring_line(
        MonitorResult.model_validate(event.result),
        project=name,
        model=deployment.model_name or name,
        at=datetime.now(UTC),
    )
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _pair(item: str) -> tuple[str, str]:
    name, separator, value = item.partition("=")
    if not separator or not name:
        raise UsageError(f"--var: expected NAME=VALUE, got {item!r}")
    return name, value


def _parser(step: str | None) -> argparse.ArgumentParser:
    what = f"step {step}" if step else "several steps in one Spark application"
    parser = _common(f"crisp_spark: {what}")
    parser.add_argument("--run-id", default=None, help="id that the jobs of one run share")
    parser.add_argument(
        "--outcome", default=None, metavar="NAME", help="leave a last word of this name behind"
    )
    parser.add_argument("--force", action="store_true", help="run even where nothing changed")
    if step is None:
        every = ",".join(flow.STEP_NAMES)
        parser.add_argument("--steps", default=every, help=f"comma-separated, out of {every}")
    return parser


def _common(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--project", required=True, help="project file: path, file: or s3: URI")
    parser.add_argument("--target", default=None, help="target of the project file")
    parser.add_argument("--var", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE")
    return parser
