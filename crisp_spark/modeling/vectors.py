"""Fitted operations that make vectors: principal components and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from pyspark.ml.feature import (
    IDF,
    PCA,
    HashingTF,
    RegexTokenizer,
    StopWordsRemover,
    VectorAssembler,
    VectorSlicer,
)

from crisp_spark.errors import SpecError
from crisp_spark.modeling.automatic import complete_features
from crisp_spark.modeling.fitting import Feature, Fitting
from crisp_spark.modeling.shaping import plan_scale
from crisp_spark.modeling.statistics import Requests
from crisp_spark.spec.features import Pca, Scale, Text

if TYPE_CHECKING:
    from pyspark.ml.base import Transformer


def assemble(fitting: Fitting, columns: Sequence[str]) -> str:
    """Add a vector of columns for scoring and return its name."""
    output = fitting.fresh("v")
    stage = VectorAssembler(inputCols=list(columns), outputCol=output, handleInvalid="error")
    fitting.add_stage(stage, columns, [output])
    return output


def reduce_by_pca(fitting: Fitting, op: Pca, chosen: list[Feature]) -> None:
    """Replace numbers by principal components. Jobs: statistics and one fit."""
    for feature in chosen:
        fitting.require(feature, "pca", ("numeric", "flag"))
    before = {feature.name: feature for feature in chosen}
    complete_features(fitting, [feature for feature in chosen if not feature.complete])
    names = [name for name in before if name in fitting.features]
    if len(names) < (op.k or 1):
        raise SpecError(
            f"preparation.features.pca: {op.k} components need as many features, got {len(names)}"
        )
    originals = [fitting.features[name] for name in names]
    if op.standardize:
        requests = Requests()
        scale = Scale(op="scale", columns=tuple(names))
        plan_scale(fitting, scale, originals, requests)(fitting.measure(requests))
    inputs = assemble(fitting, [fitting.features[name].column for name in names])
    output, width = fitting.fresh("v"), op.k or len(names)
    model = PCA(k=width, inputCol=inputs, outputCol=output).fit(fitting.frame)
    fitting.add_stage(model, [inputs], [output])
    shares = np.cumsum(model.explainedVariance.toArray())
    if op.variance is not None:
        # Rounding must not ask for one component more than there are.
        width = min(int(np.searchsorted(shares, op.variance - 1e-9)) + 1, width)
        output = _sliced(fitting, output, range(width))
    sources = tuple(dict.fromkeys(source for f in originals for source in f.sources))
    words = f"pca({len(names)} features to {width}, {shares[width - 1]:.3f} of the variance)"
    new = Feature(
        fitting.free_name(op.name),
        output,
        "vector",
        sources,
        (words,),
        complete=True,
        slots=tuple(f"component {n + 1}" for n in range(width)),
        origin="pca",
    )
    fitting.insert_after(names[-1], new)
    for original in originals:
        if op.keep:
            fitting.put(original)
        else:
            del fitting.features[original.name]


def _sliced(fitting: Fitting, column: str, indices: Sequence[int]) -> str:
    output = fitting.fresh("v")
    stage = VectorSlicer(inputCol=column, outputCol=output, indices=list(indices))
    fitting.add_stage(stage, [column], [output])
    return output


def keep_slots(fitting: Fitting, feature: Feature, kept: Sequence[int], reason: str) -> None:
    """Keep some places of a vector feature."""
    output = _sliced(fitting, feature.column, kept)
    words = f"select({len(kept)} of {feature.width} places; {reason})"
    slots = tuple(feature.slots[index] for index in kept)
    fitting.put(replace(feature.then(words, output), slots=slots))


def count_words(fitting: Fitting, op: Text, chosen: list[Feature]) -> None:
    """Turn texts into hashed word counts, weighted by rarity. Jobs: one per text (tf_idf)."""
    for feature in chosen:
        fitting.require(feature, "text", ("categorical", "tokens"))
        column, stages = _words(fitting, op, feature)
        for stage, output in stages:
            fitting.add_stage(stage, [column], [output])
            column = output
        if op.method == "tf_idf":
            output = fitting.fresh("v")
            weights = IDF(inputCol=column, outputCol=output, minDocFreq=op.min_documents)
            fitting.add_stage(weights.fit(fitting.frame), [column], [output])
            column = output
        fitting.put(
            feature.then(
                f"text({op.method}, {op.buckets} buckets)",
                column,
                kind="vector",
                complete=True,
                slots=tuple(f"bucket {n}" for n in range(op.buckets)),
                origin="text",
            )
        )


def _words(
    fitting: Fitting, op: Text, feature: Feature
) -> tuple[str, list[tuple[Transformer, str]]]:
    """Return the start column and the stages up to the hashed counts."""
    stages: list[tuple[Transformer, str]] = []
    if feature.kind == "tokens":
        column = start = fitting.define(f"coalesce({feature.sql}, array())")
    else:
        start = fitting.define(f"coalesce({feature.sql}, '')")
        column = fitting.fresh("t")
        tokenizer = RegexTokenizer(
            inputCol=start,
            outputCol=column,
            pattern=op.pattern,
            minTokenLength=op.min_length,
            gaps=True,
            toLowercase=True,
        )
        stages.append((tokenizer, column))
    if op.stop_words:
        output = fitting.fresh("t")
        # The locale is set, so that the answer does not depend on the machine's.
        remover = StopWordsRemover(
            inputCol=column, outputCol=output, stopWords=list(op.stop_words), locale="en_US"
        )
        stages.append((remover, output))
        column = output
    output = fitting.fresh("v")
    stages.append((HashingTF(inputCol=column, outputCol=output, numFeatures=op.buckets), output))
    return start, stages
