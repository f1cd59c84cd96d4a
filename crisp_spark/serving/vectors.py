"""Stages from vector to vector: scales, projections, combinations."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations_with_replacement
from math import cos, pi, sqrt

import numpy as np

from crisp_spark.serving.batch import Arrays, Batch, Build, Floats, Layout, Spec, Stage
from crisp_spark.serving.refusal import RowsRefusedError

Change = Callable[[Floats], Floats]


def _changing(make: Callable[[Spec, Arrays, int], tuple[Change, int]]) -> Build:
    """Turn a change of matrices into a stage; ``make`` gives the change and the new length."""

    def build(spec: Spec, arrays: Arrays, layout: Layout) -> Stage:
        source, target = spec["input"], spec["output"]
        change, width = make(spec, arrays, layout.widths[source])
        layout.vector(target, width)

        def apply(batch: Batch) -> None:
            batch.put(target, change(batch.vector(source)))

        return apply

    return build


def _linear(spec: Spec, arrays: Arrays, width: int) -> tuple[Change, int]:
    """Shift, then scale: standard, robust, max-abs, IDF and element-wise factors."""
    shift = arrays[spec["shift"]] if spec.get("shift") else None
    scale = arrays[spec["scale"]] if spec.get("scale") else None

    def change(x: Floats) -> Floats:
        moved = x if shift is None else x - shift
        return moved if scale is None else moved * scale

    return change, width


def _min_max(spec: Spec, arrays: Arrays, width: int) -> tuple[Change, int]:
    low, scale = arrays[spec["low"]], arrays[spec["scale"]]
    start, middle = float(spec["min"]), (float(spec["min"]) + float(spec["max"])) / 2.0
    flat = scale == 0

    def change(x: Floats) -> Floats:
        return np.where(np.isnan(x), x, np.where(flat, middle, (x - low) * scale + start))

    return change, width


def _normalize(spec: Spec, _arrays: Arrays, width: int) -> tuple[Change, int]:
    power = float(spec["p"])

    def change(x: Floats) -> Floats:
        size = np.abs(x)
        if power == 1:
            norm = size.sum(axis=1)
        elif power == 2:  # noqa: PLR2004
            norm = np.sqrt((x * x).sum(axis=1))
        elif np.isinf(power):
            norm = size.max(axis=1, initial=0.0)
        else:
            norm = (size**power).sum(axis=1) ** (1.0 / power)
        factor = np.where(norm == 0, 1.0, 1.0 / np.where(norm == 0, 1.0, norm))
        return np.asarray(x * factor[:, None])

    return change, width


def _project(spec: Spec, arrays: Arrays, _width: int) -> tuple[Change, int]:
    matrix = arrays[spec["matrix"]]
    return lambda x: x @ matrix, int(matrix.shape[1])


def _polynomial(spec: Spec, _arrays: Arrays, width: int) -> tuple[Change, int]:
    """Products up to a degree, in Spark's order: a place, then all before it combined with it."""
    places = [list(term) for term in _terms(width, int(spec["degree"]))]

    def change(x: Floats) -> Floats:
        return np.stack([np.prod(x[:, term], axis=1) for term in places], axis=1)

    return change, len(places)


def _terms(width: int, degree: int) -> list[tuple[int, ...]]:
    """Order terms by the highest place, its power rising, then by the rest; none is empty."""

    def expand(last: int, left: int) -> list[tuple[int, ...]]:
        if left == 0 or last < 0:
            return [()]
        found = []
        for power in range(left + 1):
            rest = expand(last - 1, left - power)
            found += [(*term, *([last] * power)) for term in rest]
        return found

    terms = expand(width - 1, degree)[1:]
    expected = sum(
        1 for d in range(1, degree + 1) for _ in combinations_with_replacement(range(width), d)
    )
    assert len(terms) == expected
    return terms


def _cosines(spec: Spec, _arrays: Arrays, width: int) -> tuple[Change, int]:
    """The scaled DCT-II, or its inverse."""
    scale = [sqrt((1 if k == 0 else 2) / width) for k in range(width)]
    matrix = np.array(
        [
            [scale[k] * cos(pi * (2 * n + 1) * k / (2 * width)) for k in range(width)]
            for n in range(width)
        ]
    )
    if spec["inverse"]:
        matrix = matrix.T
    return lambda x: x @ matrix, width


def _vector_index(spec: Spec, _arrays: Arrays, layout: Layout) -> Stage:
    """Codes in place of the values of categorical places."""
    source, target, invalid = spec["input"], spec["output"], spec["invalid"]
    maps = {int(at): {float(v): int(c) for v, c in pairs} for at, pairs in spec["maps"]}
    layout.vector(target, layout.widths[source])

    def apply(batch: Batch) -> None:
        matrix = batch.vector(source).copy()
        refused: dict[int, str] = {}
        for place, codes in maps.items():
            for at, value in enumerate(matrix[:, place].tolist()):
                code = codes.get(value)
                if code is None and invalid != "keep":
                    refused[at] = f"{source}: {value} is no category of place {place}"
                matrix[at, place] = len(codes) if code is None else code
        if refused:
            raise RowsRefusedError(refused)
        batch.put(target, matrix)

    return apply


def _size_hint(spec: Spec, _arrays: Arrays, layout: Layout) -> Stage:
    layout.vector(spec["input"], int(spec["size"]))
    return lambda batch: batch.put(spec["input"], batch.vector(spec["input"]))


VECTORS: dict[str, Build] = {
    "linear": _changing(_linear),
    "min_max": _changing(_min_max),
    "normalize": _changing(_normalize),
    "project": _changing(_project),
    "polynomial": _changing(_polynomial),
    "cosines": _changing(_cosines),
    "vector_index": _vector_index,
    "size_hint": _size_hint,
}
