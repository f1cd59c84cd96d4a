"""The flights model asked in four ways, on every row of its test split.

Takes a project whose flow has run (make demo), exports its newest candidate, and scores the rows by
Spark, by the bundle in this process, by `crisp serve` over HTTP, and by Lambda's runtime client
behind AWS's own emulator of the runtime interface. Compares predictions, decisions, who answered
and scores with Spark's, and ends with one JSON line.

    .venv/bin/python benchmarks/four_ways.py [CRISP_YML]
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx
import numpy as np
from candidate import newest
from serving_load import HOST, served

from crisp_spark.aws.rollout.zips import function_zip
from crisp_spark.deployment.portable_parity import ROW, held_rows, spark_frame
from crisp_spark.deployment.score import score_frame
from crisp_spark.engine.session import build_session
from crisp_spark.modeling.labels import score_columns
from crisp_spark.run.portable import make_portable
from crisp_spark.serving import load_bundle
from tests.serving.emulator import running

BATCH = 500
COMPARED = 2000
Answer = tuple[Any, float | None, Any, str]
"""Prediction, score, decision, and who answered."""


def by_spark(project_file: Path) -> tuple[bytes, list[dict[str, Any]], list[Answer]]:
    """Export the model and score the test split by Spark."""
    session = build_session("four-ways", master="local[2]")
    _, pipeline, contract, held = newest(project_file, session)
    bundle = make_portable(pipeline, contract, held, rows=COMPARED).packed("flights", "1")
    rows = held_rows(held, contract.inputs, most=10**9)
    begun = time.perf_counter()
    scored = score_frame(
        spark_frame(rows, held, contract.inputs), pipeline, contract, score_columns
    )
    found: dict[int, Answer] = {}
    for row in scored.scored.collect():
        answer = row["_crisp_prediction"], row["_crisp_score"], row["_crisp_decision"], "model"
        found[row[ROW]] = answer
    for row in scored.rejected.collect():
        found[row[ROW]] = (None, None, row["_crisp_decision"], "fallback")
    told("Spark", len(found), time.perf_counter() - begun)
    session.stop()
    plain = [json.loads(json.dumps(row, default=str)) for row in rows]
    return bundle, plain, [found[at] for at in range(len(rows))]


def by_bundle(bundle: bytes, rows: Sequence[dict[str, Any]]) -> list[Answer]:
    """Score in this process."""
    model = load_bundle(bundle)

    def ask(some: Sequence[dict[str, Any]]) -> list[Answer]:
        got = model.score(list(some))
        columns = (got.prediction, got.score, got.decision, got.answered_by)
        return list(zip(*columns, strict=True))

    return in_batches("bundle", rows, ask)


def by_http(bundle: Path, rows: Sequence[dict[str, Any]]) -> list[Answer]:
    """Score by `crisp serve`."""
    with served(bundle) as port, httpx.Client(timeout=60) as client:

        def ask(some: Sequence[dict[str, Any]]) -> list[Answer]:
            reply = client.post(
                f"http://{HOST}:{port}/invocations", json={"dataframe_records": list(some)}
            )
            reply.raise_for_status()
            return answers(reply.json())

        return in_batches("HTTP", rows, ask)


def by_lambda(bundle: bytes, folder: Path, rows: Sequence[dict[str, Any]]) -> list[Answer]:
    """Score by a function behind the emulator."""
    with zipfile.ZipFile(io.BytesIO(function_zip([], bundle).content)) as package:
        package.extractall(folder / "task")
    path = [folder / "task", Path(np.__file__).parents[1]]
    with running("app.handler", path=path, environ={}, folder=folder, seconds=60) as function:

        def ask(some: Sequence[dict[str, Any]]) -> list[Answer]:
            status, body = function.call({"dataframe_records": list(some)})
            if status != httpx.codes.OK:
                sys.exit(f"the function answers {status}: {body}")
            return answers(body)

        return in_batches("Lambda", rows, ask)


def answers(body: Any) -> list[Answer]:
    """Unpack what an endpoint answers, in the order of the rows."""
    return [
        (one["prediction"], one.get("score"), one.get("decision"), one["answered_by"])
        for one in body["predictions"]
    ]


def in_batches(
    name: str, rows: Sequence[dict[str, Any]], ask: Callable[[Sequence[dict[str, Any]]], Any]
) -> list[Answer]:
    """Ask about rows, some at a time, and say how long it took."""
    begun, found = time.perf_counter(), list[Answer]()
    for at in range(0, len(rows), BATCH):
        found += ask(rows[at : at + BATCH])
    told(name, len(found), time.perf_counter() - begun)
    return found


def told(name: str, rows: int, seconds: float) -> None:
    print(f"{name:<8} {rows:,} rows in {seconds:.1f} s", flush=True)


def compared(expected: Sequence[Answer], found: Sequence[Answer]) -> dict[str, float]:
    """Count answers that differ, and return the largest difference of a score."""
    different, largest = abs(len(expected) - len(found)), 0.0
    for one, other in zip(expected, found, strict=False):
        different += (one[0], *one[2:]) != (other[0], *other[2:])
        if one[1] is not None and other[1] is not None:
            largest = max(largest, abs(one[1] - other[1]))
        else:
            different += one[1] is not other[1]
    return {"different_answers": different, "max_abs_difference": largest}


def main() -> None:
    """Ask and compare."""
    project = Path(sys.argv[1] if len(sys.argv) > 1 else "demo/crisp.yml")
    if not project.exists():
        sys.exit(f"{project}: run the flow first (make demo), or name the file of a project")
    bundle, rows, expected = by_spark(project)
    with tempfile.TemporaryDirectory(prefix="crisp-four-ways-") as name:
        folder = Path(name)
        (folder / "model.crisp.zip").write_bytes(bundle)
        found = {
            "bundle": by_bundle(bundle, rows),
            "http": by_http(folder / "model.crisp.zip", rows),
            "lambda": by_lambda(bundle, folder, rows),
        }
    line = {way: compared(expected, answer) for way, answer in found.items()}
    print(json.dumps({"rows": len(rows), **line}))


if __name__ == "__main__":
    main()
