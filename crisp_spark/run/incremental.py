"""Profiles of sources that grow by files: only rows of new files are measured."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from crisp_spark.results.profile import TableProfile
from crisp_spark.results.profile_state import TableState
from crisp_spark.run.steprun import StepRun

if TYPE_CHECKING:
    from crisp_spark.spec.data import Source

_LOG = logging.getLogger(__name__)


def profile_by_parts(run: StepRun, name: str, source: Source) -> TableProfile:
    """Profile a source by its new files, and keep the sums for the next run.

    Where an old file changed or is gone, a column or a type is another one, or the rows of the
    parts do not add up to the rows of the table, everything is measured anew.
    """
    from crisp_spark.understanding.profile_merged import profile_of
    from crisp_spark.understanding.profile_state import estimated, measure_state, merge_states

    files = _files(run, name)
    before = _state_before(run, name, files)
    table = run.read(f"raw.{name}")
    state = None
    if before is not None:
        from pyspark.sql import functions as F

        new = {file: print_ for file, print_ in files.items() if file not in before.files}
        parts = [before]
        if new:
            rows = table.where(F.col("_crisp_file").isin(list(new)))
            parts.append(measure_state(rows, name, new))
        try:
            state = merge_states(parts)
        except ValueError as error:
            _LOG.info("%s is measured anew: %s", name, error)
    if state is None or before is None or state.rows != run.rows(f"raw.{name}"):
        state = measure_state(table, name, files)
        note = f"merged from parts: {len(files):,} files, all measured in this run"
    else:
        added = len(files) - len(before.files)
        note = f"merged from parts: {len(before.files):,} files measured before, {added:,} new"
    state = estimated(state, run.spark)
    run.write_file(_place(name), state.model_dump_json().encode())
    return profile_of(state, source.columns, note=note)


def _place(name: str) -> str:
    return f"state/{name}.json"


def _files(run: StepRun, name: str) -> dict[str, str]:
    """The source's files with what tells their content; nothing where not all are known."""
    ingest = run.lineage().get("ingest")
    for commit in run.commits("ingest"):
        if commit["stage_key"] == ingest:
            receipt: Mapping[str, Any] = commit["result"].get("sources", {}).get(name, {})
            told = receipt.get("file_receipts", ())
            known = {one["file"]: one.get("sha256") for one in told if not one.get("left_out")}
            whole = len(told) == receipt.get("files", 0) and None not in known.values()
            return {file: str(print_) for file, print_ in known.items()} if whole else {}
    return {}


def _state_before(run: StepRun, name: str, files: Mapping[str, str]) -> TableState | None:
    """The newest kept sums whose files are all still there, unchanged."""
    for commit in reversed(run.commits("profile")):
        content = run.earlier_file("profile", str(commit["stage_key"]), _place(name))
        if content is None:
            continue
        try:
            state = TableState.model_validate_json(content)
        except ValidationError:
            return None  # of another version of this package
        same = all(files.get(file) == print_ for file, print_ in state.files.items())
        return state if state.files and same else None
    return None
