"""Makes the ONNX graph of a portable model, and holds it against the model's own answers."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crisp_spark.errors import DataError, StorageError

if TYPE_CHECKING:
    from crisp_spark.deployment.onnx_export import Cut
    from crisp_spark.deployment.onnx_graph import Session
    from crisp_spark.deployment.onnx_parity import Expected, OnnxParity
    from crisp_spark.serving import Bundle
    from crisp_spark.spec.load import LoadedProject

MOST_ROWS = 1000
"""Held-out rows that are answered both ways before a graph is written."""


@dataclass(frozen=True)
class OnnxModel:
    """A graph that passed the comparison.

    Attributes:
        content: The file.
        model: Name and version of the portable model.
        inputs: Columns that it takes, and their width.
        outputs: What it gives.
        stages: Stages of the pipeline in it.
        before: Stages before it, which the bundle makes.
        parity: The comparison.
    """

    content: bytes
    model: str
    inputs: Mapping[str, int]
    outputs: Sequence[str]
    stages: Sequence[str]
    before: Sequence[str]
    parity: OnnxParity


def make_onnx(
    bundle: bytes, rows: Sequence[Mapping[str, Any]], *, start: str = "estimator"
) -> OnnxModel:
    """Export a portable model as ONNX and compare the answers.

    Args:
        bundle: File of the portable model.
        rows: Rows that it was not fitted on.
        start: Where the graph starts: ``estimator``, ``numeric`` or ``inputs``.

    Raises:
        EnvironmentFaultError: onnx or onnxruntime is missing.
        NotPortableError: A stage or a family has no counterpart, or the answers differ.
        DataError: No row can be compared.
    """
    from crisp_spark.deployment.onnx_export import cut_of, export_onnx
    from crisp_spark.deployment.onnx_graph import Session, check_installed
    from crisp_spark.deployment.portable_sql import NotPortableError
    from crisp_spark.serving import Bundle, files, load_bundle

    check_installed()
    whole = load_bundle(bundle)
    description, arrays, _ = files.unpack(bundle)
    cut = cut_of(description, start)
    stages = description["stages"]
    head = Bundle({**description, "stages": stages[: cut.first]}, arrays)
    facts = {
        "model": whole.label,
        "bundle_sha256": whole.digest,
        "problem": whole.problem,
        "classes": whole.classes,
        "threshold": "" if whole.threshold is None else repr(whole.threshold),
        "inputs": list(cut.inputs),
    }
    widths = {name: head.width(name) for name in cut.inputs}
    content = export_onnx(description, arrays, cut, widths, facts)
    session = Session(content)
    gate = _Gate(whole, head, Bundle(_tail(description, cut, widths), arrays), session, cut)
    report = gate.compared(rows, arrays)
    if not report.passed:
        raise NotPortableError(
            f"export onnx: the graph answers {report.prediction_mismatches} predictions and "
            f"{report.score_mismatches} scores of {report.rows + report.edge_rows} rows otherwise "
            "than the portable model",
            hint="; ".join(report.examples[:2]),
        )
    told = {**facts, "parity": asdict(report)}
    return OnnxModel(
        content=export_onnx(description, arrays, cut, widths, told),
        model=whole.label,
        inputs={name: width or 1 for name, width in widths.items()},
        outputs=session.outputs,
        stages=[spec["kind"] for spec in stages[cut.first :]],
        before=[spec["kind"] for spec in stages[: cut.first]],
        parity=report,
    )


def _tail(
    description: Mapping[str, Any], cut: Cut, widths: Mapping[str, int | None]
) -> dict[str, Any]:
    """Describe the graph's part of a bundle as a bundle whose inputs are plain numbers."""
    fields, vectors = list[str](), list[dict[str, Any]]()
    for name in cut.inputs:
        width = widths[name]
        cells = [name] if width is None else [f"{name}[{at}]" for at in range(width)]
        fields += cells
        if width is not None:
            vectors.append({"kind": "assemble", "inputs": cells, "output": name, "invalid": "keep"})
    signature = [
        {"name": name, "type": "double", "use": "model", "required": False} for name in fields
    ]
    stages = [*vectors, *description["stages"][cut.first :]]
    return {**description, "signature": signature, "stages": stages, "fallback": None}


@dataclass(frozen=True)
class _Gate:
    """What is compared.

    Attributes:
        whole: The portable model.
        head: Its stages before the graph.
        tail: Its stages in the graph, on plain numbers.
        session: The graph.
        cut: Where it starts.
    """

    whole: Bundle
    head: Bundle
    tail: Bundle
    session: Session
    cut: Cut

    def compared(self, rows: Sequence[Mapping[str, Any]], arrays: Mapping[str, Any]) -> OnnxParity:
        """Compare held-out rows, and rows made from them at the graph's inputs."""
        import numpy as np

        from crisp_spark.deployment.onnx_parity import OnnxParity, compare, edge_rows

        places, held = self.head.columns(rows, self.cut.inputs)
        threshold = self.whole.threshold
        report = OnnxParity(rows=len(places))
        expected = _expected(self.whole, [rows[at] for at in places])
        compare(report, expected, self.session.run(held), threshold)
        if report.refused == report.rows:
            raise DataError("export onnx: the portable model takes none of the rows to compare")
        learner = self.whole.description["stages"][self.cut.learner]
        edges = edge_rows(held, self.cut.kinds, learner, arrays)
        cells = np.concatenate([edges[name] for name in self.cut.inputs], axis=1)
        report.edge_rows = len(cells)
        names = [one.name for one in self.tail.signature]
        # NaN is null in the graph.
        given = [
            {name: None if v != v else v for name, v in zip(names, row, strict=True)}  # noqa: PLR0124
            for row in cells.tolist()
        ]
        compare(report, _expected(self.tail, given), self.session.run(edges), threshold)
        return report


def _expected(bundle: Bundle, rows: Sequence[Mapping[str, Any]]) -> Expected:
    """Return a bundle's answers in the form in which they are compared."""
    import numpy as np

    from crisp_spark.deployment.onnx_parity import Expected

    found = bundle.score(rows)
    place = {name: float(at) for at, name in enumerate(bundle.classes)}
    numbers = [None if p is None else float(place.get(p, p)) for p in found.prediction]
    return Expected(
        prediction=np.array(numbers, dtype=np.float64),  # None becomes NaN
        score=np.array(found.score, dtype=np.float64),
        decision=found.decision,
        shares=found.probabilities,
        taken=np.array([not reasons for reasons in found.reasons], dtype=np.bool_),
    )


def held_out_rows(project: LoadedProject, names: Sequence[str]) -> list[dict[str, Any]]:
    """Read held-out rows of a project: the table ``test`` of its split, without Spark.

    Raises:
        StorageError: The split has not run.
    """
    from pyarrow import parquet

    from crisp_spark.run.workspace import Workspace

    workspace = Workspace(project)
    commit = workspace.commits.current("split")
    if commit is None:
        raise StorageError("export onnx: there are no held-out rows", hint="`crisp run`")
    rows: list[dict[str, Any]] = []
    for file in commit.tables["test"].files:
        if len(rows) < MOST_ROWS and file.rows:
            with workspace.objects.open(file.key) as stored:
                rows += _parquet_rows(parquet.ParquetFile(stored), names)
    return rows[:MOST_ROWS]


def _parquet_rows(file: Any, names: Sequence[str]) -> list[dict[str, Any]]:
    """Read the first rows of a file; moments are rounded to microseconds, as Spark holds them."""
    import pyarrow as pa

    known = [name for name in names if name in file.schema_arrow.names]
    batch = next(file.iter_batches(batch_size=MOST_ROWS, columns=known), None)
    if batch is None:
        return []
    table = pa.Table.from_batches([batch])
    for at, one in enumerate(table.schema):
        if pa.types.is_timestamp(one.type):
            moments = table.column(at).cast(pa.timestamp("us", tz="UTC"), safe=False)
            table = table.set_column(at, one.name, moments)
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def rows_of_file(file: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """Read rows from a file: Parquet, CSV with a header, or a JSON object a line.

    Raises:
        DataError: It cannot be read.
    """
    from pyarrow import ArrowException, parquet

    try:
        if file.suffix == ".parquet":
            return _parquet_rows(parquet.ParquetFile(file), names)
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".csv":
            return list(csv.DictReader(text.splitlines()))[:MOST_ROWS]
        return [json.loads(line) for line in text.splitlines() if line.strip()][:MOST_ROWS]
    except (OSError, ValueError, ArrowException) as error:
        raise DataError(f"export onnx: {file}: cannot be read ({error})") from error
