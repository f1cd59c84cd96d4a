"""Stages that make features: categories, bins, assembled vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import numpy as np

from crisp_spark.serving.batch import Arrays, Batch, Build, Floats, Layout, Spec, Stage
from crisp_spark.serving.casting import cast
from crisp_spark.serving.columns import FEW
from crisp_spark.serving.derived import sql
from crisp_spark.serving.refusal import RowError, RowsRefusedError

_SKIPPED = "left out by a stage that skips invalid values"


def _per_value(layout: Layout, spec: Spec, make: Callable[[int], Callable[[Any], Any]]) -> Stage:
    """Turn pairs of input and output columns into one stage; ``make`` gives each its function."""
    pairs = list(zip(spec["inputs"], spec["outputs"], strict=True))
    sources = [layout.slots[source] for source, _ in pairs]
    steps = [
        (layout.value(target), make(at), source)
        for at, ((_, target), source) in enumerate(zip(pairs, sources, strict=True))
    ]

    def apply(batch: Batch) -> None:
        for slot, function, source in steps:
            batch.set_values(slot, function, source)

    return apply


def _string_index(spec: Spec, _arrays: Arrays, layout: Layout) -> Stage:
    invalid = spec["invalid"]

    def make(at: int) -> Callable[[Any], float]:
        labels, kind = spec["labels"][at], spec["types"][at]
        place = {label: float(index) for index, label in enumerate(labels)}
        rest = float(len(labels))
        text = cast(kind, "string", strict=True) if kind != "string" else None
        name = spec["inputs"][at]

        def index(value: Any) -> float:
            label = text(value) if text is not None and value is not None else value
            found = place.get(label) if label is not None else None
            if found is not None:
                return found
            if invalid == "keep":
                return rest
            if invalid == "skip":
                raise ValueError(_SKIPPED)
            raise ValueError(f"{name}: {'null' if label is None else 'an unknown category'}")

        return index

    return _per_value(layout, spec, make)


def _index_to_string(spec: Spec, _arrays: Arrays, layout: Layout) -> Stage:
    labels, passed = spec["labels"], spec.get("nulls_pass", False)

    def label(value: float | None) -> str | None:
        if passed and (value is None or math.isnan(value)):
            return None if value is None else str(labels[0])  # Java's whole number of NaN is 0
        if value is None or not math.isfinite(value) or not 0 <= int(value) < len(labels):
            raise ValueError(f"{spec['inputs'][0]}: no label at {value}")
        return str(labels[int(value)])

    return _per_value(layout, spec, lambda _at: label)


def _one_hot(spec: Spec, _arrays: Arrays, layout: Layout) -> Stage:
    keep, drop = spec["invalid"] == "keep", spec["drop_last"]
    steps = []
    for source, target, size in zip(spec["inputs"], spec["outputs"], spec["sizes"], strict=True):
        width = size + (1 if keep and not drop else -1 if drop and not keep else 0)
        slot = layout.slots[source]
        layout.vector(target, width)
        steps.append((source, slot, target, size, width))

    def apply(batch: Batch) -> None:
        for source, slot, target, size, width in steps:
            matrix = np.zeros((len(batch), width))
            absent: set[int] = set()
            refused: dict[int, str] = {}
            for at, row in enumerate(batch.frame.settled(slot)):
                value = row[slot]
                if value is None:
                    absent.add(at)
                    continue
                if 0 <= value < size:
                    place = int(value)
                elif keep:
                    place = size
                else:
                    refused[at] = f"{source}: {value} is no category"
                    continue
                if place < width:
                    matrix[at, place] = 1.0
            if refused:
                raise RowsRefusedError(refused)
            batch.put(target, matrix, absent)

    return apply


def _assemble(spec: Spec, _arrays: Arrays, layout: Layout) -> Stage:
    """Numbers and vectors side by side."""
    numbers: list[tuple[str, int, int]] = []
    vectors: list[tuple[str, int, int]] = []
    width = 0
    for name in spec["inputs"]:
        if name in layout.widths:
            vectors.append((name, width, width + layout.widths[name]))
        else:
            numbers.append((name, layout.slots[name], width))
        width += layout.widths.get(name, 1)
    target, keep = spec["output"], spec["invalid"] == "keep"
    layout.vector(target, width)
    names, places = [name for name, _, _ in numbers], np.array([at for _, _, at in numbers], int)
    values_of = _side_by_side([slot for _, slot, _ in numbers])

    def apply(batch: Batch) -> None:
        matrix = np.empty((len(batch), width))
        if numbers:
            values = values_of(batch)
            if not keep:
                _refuse(np.isnan(values), names, spec)
            # No negative zeros, as in Spark.
            matrix[:, places] = values + 0.0
        for name, start, end in vectors:
            matrix[:, start:end] = batch.vectors[name]
            absent = batch.absent.get(name)
            if absent and not keep:
                raise RowsRefusedError(dict.fromkeys(absent, f"{name}: null"))
            for at in absent or ():
                matrix[at, start:end] = math.nan
        batch.put(target, matrix)

    return apply


def _side_by_side(slots: list[int]) -> Callable[[Batch], Floats]:
    """Numbers as a matrix; null becomes NaN, which counts as missing all the same."""
    pick = itemgetter(*slots) if slots else None

    def values_of(batch: Batch) -> Floats:
        if len(batch) >= FEW:
            return np.stack([batch.frame.floats(slot) for slot in slots], axis=1)
        values = np.array([pick(row) for row in batch.rows] if pick else [], dtype=np.float64)
        return values.reshape(len(batch), len(slots))

    return values_of


def _refuse(missing: Any, names: list[str], spec: Spec) -> None:
    if missing.any():
        rows, columns = np.nonzero(missing)
        words = "null or NaN" if spec["invalid"] == "error" else _SKIPPED
        raise RowsRefusedError(
            {int(row): f"{names[int(at)]}: {words}" for row, at in zip(rows, columns, strict=True)}
        )


def _slice(spec: Spec, _arrays: Arrays, layout: Layout) -> Stage:
    places, source, target = np.array(spec["places"], dtype=int), spec["input"], spec["output"]
    layout.vector(target, len(places))

    def apply(batch: Batch) -> None:
        batch.put(target, batch.vectors[source][:, places], batch.absent.get(source))

    return apply


def _is_negative(zero: float, *, above: float) -> bool:
    """Say whether a zero is below another, as in Java's order by which Spark looks for bins."""
    return math.copysign(1.0, zero) < math.copysign(1.0, above)


def _bucketize(spec: Spec, _arrays: Arrays, layout: Layout) -> Stage:
    invalid = spec["invalid"]

    def make(at: int) -> Callable[[Any], float | None]:
        splits = [float(split) for split in spec["splits"][at]]
        name = spec["inputs"][at]

        def bucket(value: Any) -> float | None:
            if value is None:
                if invalid == "skip":
                    raise ValueError(_SKIPPED)
                return None
            number = float(value)
            if number != number:  # noqa: PLR0124
                if invalid == "keep":
                    return float(len(splits) - 1)
                raise ValueError(_SKIPPED if invalid == "skip" else f"{name}: NaN")
            if number == splits[-1]:
                return float(len(splits) - 2)
            place = int(np.searchsorted(splits, number, side="right")) - 1
            if number == splits[place] == 0 and _is_negative(number, above=splits[place]):
                place -= 1
            if not 0 <= place < len(splits) - 1:
                raise ValueError(f"{name}: {number} is outside all bins")
            return float(place)

        return bucket

    return _per_value(layout, spec, make)


def _binarize(spec: Spec, _arrays: Arrays, layout: Layout) -> Stage:
    if spec["inputs"][0] in layout.widths:
        (source,), (target,), (cut,) = spec["inputs"], spec["outputs"], spec["thresholds"]
        layout.vector(target, layout.widths[source])

        def apply(batch: Batch) -> None:
            batch.put(target, (batch.vector(source) > cut).astype(np.float64))

        return apply

    # From Spark 4 on null is not above the threshold.
    null = None if spec.get("nulls_pass", False) else 0.0

    def make(at: int) -> Callable[[Any], float | None]:
        limit = spec["thresholds"][at]
        return lambda value: null if value is None else float(value > limit)

    return _per_value(layout, spec, make)


def _impute(spec: Spec, _arrays: Arrays, layout: Layout) -> Stage:
    missing = float(spec["missing"])

    def make(at: int) -> Callable[[Any], Any]:
        kind, surrogate = spec["types"][at], float(spec["surrogates"][at])
        back = cast("double", kind, strict=True)

        def fill(value: Any) -> Any:
            number = None if value is None else float(value)
            same = number is None or number == missing
            if same or (missing != missing and number != number):  # noqa: PLR0124
                number = surrogate
            try:
                return back(number)
            except RowError as error:
                raise ValueError(str(error)) from error

        return fill

    return _per_value(layout, spec, make)


FEATURES: dict[str, Build] = {
    "sql": sql,
    "string_index": _string_index,
    "index_to_string": _index_to_string,
    "one_hot": _one_hot,
    "assemble": _assemble,
    "slice": _slice,
    "bucketize": _bucketize,
    "binarize": _binarize,
    "impute": _impute,
}
