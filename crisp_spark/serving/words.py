"""Stages of words: tokens, counts, hashed places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from crisp_spark.serving import javaregex
from crisp_spark.serving.batch import Arrays, Batch, Build, Layout, Spec, Stage
from crisp_spark.serving.casting import cast
from crisp_spark.serving.hashing import bucket
from crisp_spark.serving.refusal import RowsRefusedError

Words = list[str]


def _changing(make: Callable[[Spec], Callable[[Any], Any]]) -> Build:
    def build(spec: Spec, _arrays: Arrays, layout: Layout) -> Stage:
        source, change = layout.slots[spec["input"]], make(spec)
        target = layout.value(spec["output"])

        def checked(value: Any) -> Any:
            if value is None:
                raise ValueError(f"{spec['input']}: null")
            return change(value)

        return lambda batch: batch.set_values(target, checked, source)

    return build


def _tokens(spec: Spec) -> Callable[[str], Words]:
    least, lower = int(spec["min_length"]), spec["lower"]
    if spec["gaps"]:
        split = javaregex.splitter(spec["pattern"], keep_empty_end=False)
    else:
        split = javaregex.compiled(spec["pattern"]).findall
    return lambda text: [
        word for word in split(text.lower() if lower else text) if len(word) >= least
    ]


def _stop_words(spec: Spec) -> Callable[[Words], Words]:
    if spec["case_sensitive"]:
        exact = set(spec["words"])
        return lambda words: [word for word in words if word not in exact]
    stop = {word.lower() for word in spec["words"]}
    return lambda words: [word for word in words if word is not None and word.lower() not in stop]


def _n_grams(spec: Spec) -> Callable[[Words], Words]:
    n = int(spec["n"])
    return lambda words: [" ".join(words[at : at + n]) for at in range(len(words) - n + 1)]


def _counting(make: Callable[[Spec], tuple[int, Callable[[Words], dict[int, float]]]]) -> Build:
    """A stage from words to a vector of counts."""

    def build(spec: Spec, _arrays: Arrays, layout: Layout) -> Stage:
        source, target = layout.slots[spec["input"]], spec["output"]
        width, count = make(spec)
        layout.vector(target, width)

        def apply(batch: Batch) -> None:
            matrix = np.zeros((len(batch.rows), width))
            refused: dict[int, str] = {}
            for at, row in enumerate(batch.rows):
                if row[source] is None:
                    refused[at] = f"{spec['input']}: null"
                    continue
                for place, number in count(row[source]).items():
                    matrix[at, place] = number
            if refused:
                raise RowsRefusedError(refused)
            batch.put(target, matrix)

        return apply

    return build


def _hashed(spec: Spec) -> tuple[int, Callable[[Words], dict[int, float]]]:
    buckets, binary = int(spec["buckets"]), spec["binary"]

    def count(words: Words) -> dict[int, float]:
        found: dict[int, float] = {}
        for word in words:
            place = bucket(word, buckets)
            found[place] = 1.0 if binary else found.get(place, 0.0) + 1.0
        return found

    return buckets, count


def _counted(spec: Spec) -> tuple[int, Callable[[Words], dict[int, float]]]:
    places = {word: at for at, word in enumerate(spec["words"])}
    least, binary = float(spec["min_tf"]), spec["binary"]

    def count(words: Words) -> dict[int, float]:
        found: dict[int, float] = {}
        for word in words:
            place = places.get(word)
            if place is not None:
                found[place] = found.get(place, 0.0) + 1.0
        limit = least if least >= 1 else least * len(words)
        return {at: 1.0 if binary else n for at, n in found.items() if n >= limit}

    return len(places), count


def _hash_features(spec: Spec, _arrays: Arrays, layout: Layout) -> Stage:
    """The feature hasher: numbers keep their value, categories count 1; nulls are left out."""
    buckets, target = int(spec["buckets"]), spec["output"]
    columns = []
    for name, kind in zip(spec["inputs"], spec["types"], strict=True):
        category = kind in ("string", "boolean") or name in spec["categorical"]
        text = cast(kind, "string", strict=True) if kind != "string" else None
        columns.append((layout.slots[name], name, category, text, bucket(name, buckets)))
    layout.vector(target, buckets)

    def apply(batch: Batch) -> None:
        matrix = np.zeros((len(batch.rows), buckets))
        for at, row in enumerate(batch.rows):
            for slot, name, category, text, place in columns:
                value = row[slot]
                if value is None:
                    continue
                if category:
                    shown = value if text is None else text(value)
                    matrix[at, bucket(f"{name}={shown}", buckets)] += 1.0
                else:
                    matrix[at, place] += float(value)
        batch.put(target, matrix)

    return apply


WORDS: dict[str, Build] = {
    "tokens": _changing(_tokens),
    "stop_words": _changing(_stop_words),
    "n_grams": _changing(_n_grams),
    "hashed_counts": _counting(_hashed),
    "counts": _counting(_counted),
    "hash_features": _hash_features,
}
