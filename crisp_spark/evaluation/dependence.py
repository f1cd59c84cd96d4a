"""Partial dependence: how the score moves with one column, all else as it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pyspark.sql import functions as F

from crisp_spark.evaluation.collecting import collect_table, doubles, kind_of, texts
from crisp_spark.evaluation.estimates import normal_quantile
from crisp_spark.evaluation.what_if import Predict, Probe, Sample, ask
from crisp_spark.results.evaluate import Dependence, DependencePoint
from crisp_spark.spec.columns import quoted

_INDEX = "_crisp_index"


def draw_dependence(
    sample: Sample,
    columns: Sequence[str],
    predict: Predict,
    *,
    points: int,
    confidence: float,
) -> list[Dependence]:
    """Mean score with a column set to values of the sample (Friedman 2001).

    Args:
        sample: Indexed sample of rows.
        columns: Columns to draw.
        predict: The model.
        points: Most values of each column.
        confidence: Confidence of the interval of each mean.

    Rows: the sample's x values. Adds: nothing. Drops: nothing. Jobs: two, or none.
    """
    if not columns:
        return []
    grids = _grids(sample, columns, points)
    probes = [
        Probe(target=sample.columns.index(name), donor=donor)
        for name, _, grid in grids
        for _, donor in grid
    ]
    answers = ask(sample, probes, predict)
    z, copy = normal_quantile(confidence), 0
    curves = []
    for name, is_number, grid in grids:
        drawn = []
        for value, _ in grid:
            scores = answers.score[copy]
            half = z * float(scores.std(ddof=1)) / scores.size**0.5 if scores.size > 1 else 0.0
            mean = float(scores.mean())
            drawn.append(DependencePoint(value=value, mean=mean, low=mean - half, high=mean + half))
            copy += 1
        curves.append(
            Dependence(
                column=name,
                kind="number" if is_number else "category",
                rows=sample.rows,
                points=drawn,
            )
        )
    return curves


_Grid = tuple[str, bool, list[tuple[float | str | None, int]]]


def _grids(sample: Sample, columns: Sequence[str], points: int) -> list[_Grid]:
    """Values of each column, with a row of the sample that has it."""
    kinds = {name: kind_of(sample.frame.schema[name].dataType) for name in columns}
    table = collect_table(
        sample.frame.select(
            _INDEX,
            *(
                F.col(quoted(name))
                .cast("double" if kinds[name] == "number" else "string")
                .alias(f"c{k}")
                for k, name in enumerate(columns)
            ),
        ).orderBy(_INDEX)
    )
    index = table.column(_INDEX).to_numpy()
    grids: list[_Grid] = []
    for k, name in enumerate(columns):
        grid: list[tuple[float | str | None, int]]
        if kinds[name] == "number":
            values = doubles(table, f"c{k}")
            known = np.unique(values[np.isfinite(values)])
            if known.size > points:
                spread = np.quantile(
                    values[np.isfinite(values)], np.linspace(0.02, 0.98, points), method="nearest"
                )
                known = np.unique(spread)
            grid = [(float(v), int(index[np.argmax(values == v)])) for v in known]
        else:
            codes, names = texts(table, f"c{k}")
            counts = np.bincount(codes[codes >= 0], minlength=len(names))
            ranked = np.lexsort((np.arange(counts.size), -counts))[:points]
            grid = [(names[c], int(index[np.argmax(codes == c)])) for c in ranked]
        grids.append((name, kinds[name] == "number", grid))
    return grids
