"""Feature stages of Spark ML as data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from crisp_spark.deployment.portable_sql import NotPortableError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Keep = Callable[[str, Any], str]
"""Keeps numbers in the bundle and gives their name."""
Export = Callable[[Any, "DataFrame", Keep], dict[str, Any]]
"""From a stage and the frame before it to the stage's description."""

_FRACTION_LABELS = ("double", "float")


def columns_of(stage: Any) -> tuple[list[str], list[str]]:
    """Return input and output columns, however many there are."""
    if stage.hasParam("inputCols") and stage.isSet("inputCols"):
        inputs, outputs = list(stage.getInputCols()), []
        if stage.hasParam("outputCols") and stage.isSet("outputCols"):
            outputs = list(stage.getOutputCols())
        return inputs, outputs
    return [stage.getInputCol()], [stage.getOutputCol()]


def types_of(frame: DataFrame, names: list[str]) -> list[str]:
    """Return the types of columns.

    Raises:
        NotPortableError: A name that only an SQL parser would find (a field of a struct).
    """
    known = dict(frame.dtypes)
    missing = [name for name in names if name not in known]
    if missing:
        raise NotPortableError(f"column {missing[0]!r} is found by SQL only")
    return [known[name] for name in names]


def _string_indexer(stage: Any, frame: DataFrame, _keep: Keep) -> dict[str, Any]:
    inputs, outputs = columns_of(stage)
    types = types_of(frame, inputs)
    if set(types) & set(_FRACTION_LABELS):
        # The text of a fraction depends on the Java version.
        raise NotPortableError("categories that are fractions; index a whole number or a text")
    labels = [list(each) for each in stage.labelsArray]
    return {
        "kind": "string_index",
        "inputs": inputs,
        "outputs": outputs,
        "types": types,
        "labels": labels,
        "invalid": stage.getHandleInvalid(),
    }


def _one_hot(stage: Any, frame: DataFrame, _keep: Keep) -> dict[str, Any]:
    inputs, outputs = columns_of(stage)
    types_of(frame, inputs)
    return {
        "kind": "one_hot",
        "inputs": inputs,
        "outputs": outputs,
        "sizes": [int(size) for size in stage.categorySizes],
        "drop_last": bool(stage.getDropLast()),
        "invalid": stage.getHandleInvalid(),
    }


def _assembler(stage: Any, frame: DataFrame, _keep: Keep) -> dict[str, Any]:
    inputs = list(stage.getInputCols())
    types_of(frame, inputs)
    return {
        "kind": "assemble",
        "inputs": inputs,
        "output": stage.getOutputCol(),
        "invalid": stage.getHandleInvalid(),
    }


def _pair(stage: Any, kind: str, **facts: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "input": stage.getInputCol()
        if stage.hasParam("inputCol")
        else stage.getOrDefault("featuresCol"),
        "output": stage.getOutputCol(),
        **facts,
    }


def _slicer(stage: Any, _frame: DataFrame, _keep: Keep) -> dict[str, Any]:
    if stage.isSet("names") and stage.getNames():
        raise NotPortableError("places of a vector by name; use indices")
    return _pair(stage, "slice", places=[int(at) for at in stage.getIndices()])


def _selector(stage: Any, _frame: DataFrame, _keep: Keep) -> dict[str, Any]:
    return _pair(stage, "slice", places=[int(at) for at in stage.selectedFeatures])


def _inverse(values: Any) -> Any:
    array = np.asarray(values.toArray())
    return np.where(array == 0, 0.0, 1.0 / np.where(array == 0, 1.0, array))


def _standard(stage: Any, _frame: DataFrame, keep: Keep) -> dict[str, Any]:
    shift = keep("shift", stage.mean.toArray()) if stage.getWithMean() else None
    scale = keep("scale", _inverse(stage.std)) if stage.getWithStd() else None
    return _pair(stage, "linear", shift=shift, scale=scale)


def _robust(stage: Any, _frame: DataFrame, keep: Keep) -> dict[str, Any]:
    shift = keep("shift", stage.median.toArray()) if stage.getWithCentering() else None
    scale = keep("scale", _inverse(stage.range)) if stage.getWithScaling() else None
    return _pair(stage, "linear", shift=shift, scale=scale)


def _max_abs(stage: Any, _frame: DataFrame, keep: Keep) -> dict[str, Any]:
    array = stage.maxAbs.toArray()
    scale = np.where(array == 0, 1.0, 1.0 / np.where(array == 0, 1.0, array))
    return _pair(stage, "linear", scale=keep("scale", scale))


def _min_max(stage: Any, _frame: DataFrame, keep: Keep) -> dict[str, Any]:
    low, high = stage.originalMin.toArray(), stage.originalMax.toArray()
    spread, wanted = high - low, float(stage.getMax()) - float(stage.getMin())
    scale = np.where(spread == 0, 0.0, wanted / np.where(spread == 0, 1.0, spread))
    return _pair(
        stage,
        "min_max",
        low=keep("low", low),
        scale=keep("scale", scale),
        min=float(stage.getMin()),
        max=float(stage.getMax()),
    )


def _weights(stage: Any, _frame: DataFrame, keep: Keep) -> dict[str, Any]:
    return _pair(stage, "linear", scale=keep("scale", stage.idf.toArray()))


def _factors(stage: Any, _frame: DataFrame, keep: Keep) -> dict[str, Any]:
    return _pair(stage, "linear", scale=keep("scale", stage.getScalingVec().toArray()))


def _components(stage: Any, _frame: DataFrame, keep: Keep) -> dict[str, Any]:
    return _pair(stage, "project", matrix=keep("matrix", stage.pc.toArray()))


def _bucketizer(stage: Any, frame: DataFrame, _keep: Keep) -> dict[str, Any]:
    inputs, outputs = columns_of(stage)
    types_of(frame, inputs)
    splits = stage.getSplitsArray() if stage.isSet("splitsArray") else [stage.getSplits()]
    return {
        "kind": "bucketize",
        "inputs": inputs,
        "outputs": outputs,
        # Infinite ends are no JSON numbers.
        "splits": [[str(float(split)) for split in each] for each in splits],
        "invalid": stage.getHandleInvalid(),
    }


def _binarizer(stage: Any, frame: DataFrame, _keep: Keep) -> dict[str, Any]:
    inputs, outputs = columns_of(stage)
    types_of(frame, inputs)
    several = stage.isSet("thresholds")
    cuts = stage.getThresholds() if several else [stage.getThreshold()] * len(inputs)
    return {
        "kind": "binarize",
        "inputs": inputs,
        "outputs": outputs,
        "thresholds": [float(cut) for cut in cuts],
        "nulls_pass": _before_spark_4(frame),
    }


def _before_spark_4(frame: DataFrame) -> bool:
    """Say whether stages of one number give null for null, as they did up to Spark 3.5."""
    return int(frame.sparkSession.version.split(".")[0]) < 4  # noqa: PLR2004


def _imputer(stage: Any, frame: DataFrame, _keep: Keep) -> dict[str, Any]:
    inputs, outputs = columns_of(stage)
    (row,) = stage.surrogateDF.collect()
    return {
        "kind": "impute",
        "inputs": inputs,
        "outputs": outputs or inputs,
        "types": types_of(frame, inputs),
        "surrogates": [str(float(row[name])) for name in inputs],
        "missing": str(float(stage.getMissingValue())),
    }


def _index_to_string(stage: Any, frame: DataFrame, _keep: Keep) -> dict[str, Any]:
    name = stage.getInputCol()
    labels = list(stage.getLabels()) if stage.isSet("labels") else []
    if not labels:
        labels = frame.schema[name].metadata.get("ml_attr", {}).get("vals", [])
    if not labels:
        raise NotPortableError("labels that come from the data")
    return {
        "kind": "index_to_string",
        "inputs": [name],
        "outputs": [stage.getOutputCol()],
        "labels": labels,
        "nulls_pass": _before_spark_4(frame),
    }


def _vector_indexer(stage: Any, _frame: DataFrame, _keep: Keep) -> dict[str, Any]:
    maps = [
        [int(at), [[float(value), int(code)] for value, code in codes.items()]]
        for at, codes in stage.categoryMaps.items()
    ]
    return _pair(stage, "vector_index", maps=maps, invalid=stage.getHandleInvalid())


def _tokenizer(stage: Any, _frame: DataFrame, _keep: Keep) -> dict[str, Any]:
    return _pair(stage, "tokens", min_length=0, lower=True, gaps=True, pattern="\\s")


def _regex_tokenizer(stage: Any, _frame: DataFrame, _keep: Keep) -> dict[str, Any]:
    return _pair(
        stage,
        "tokens",
        min_length=int(stage.getMinTokenLength()),
        lower=bool(stage.getToLowercase()),
        gaps=bool(stage.getGaps()),
        pattern=stage.getPattern(),
    )


def _stop_words(stage: Any, _frame: DataFrame, _keep: Keep) -> dict[str, Any]:
    if stage.isSet("inputCols"):
        raise NotPortableError("stop words of several columns in one stage")
    if not str(stage.getLocale()).startswith("en"):
        raise NotPortableError(f"stop words of locale {stage.getLocale()}")
    return _pair(
        stage,
        "stop_words",
        words=list(stage.getStopWords()),
        case_sensitive=bool(stage.getCaseSensitive()),
    )


def _count_words(stage: Any, _frame: DataFrame, _keep: Keep) -> dict[str, Any]:
    return _pair(
        stage,
        "counts",
        words=list(stage.vocabulary),
        min_tf=float(stage.getMinTF()),
        binary=bool(stage.getBinary()),
    )


def _feature_hasher(stage: Any, frame: DataFrame, _keep: Keep) -> dict[str, Any]:
    inputs = list(stage.getInputCols())
    types = types_of(frame, inputs)
    listed = list(stage.getCategoricalCols()) if stage.isSet("categoricalCols") else []
    if any(
        kind in _FRACTION_LABELS for kind, name in zip(types, inputs, strict=True) if name in listed
    ):
        raise NotPortableError("categories that are fractions")
    return {
        "kind": "hash_features",
        "inputs": inputs,
        "output": stage.getOutputCol(),
        "types": types,
        "categorical": listed,
        "buckets": int(stage.getNumFeatures()),
    }


STAGES: dict[str, Export] = {
    "StringIndexerModel": _string_indexer,
    "IndexToString": _index_to_string,
    "OneHotEncoderModel": _one_hot,
    "VectorAssembler": _assembler,
    "VectorSlicer": _slicer,
    "ChiSqSelectorModel": _selector,
    "UnivariateFeatureSelectorModel": _selector,
    "VarianceThresholdSelectorModel": _selector,
    "StandardScalerModel": _standard,
    "RobustScalerModel": _robust,
    "MaxAbsScalerModel": _max_abs,
    "MinMaxScalerModel": _min_max,
    "IDFModel": _weights,
    "ElementwiseProduct": _factors,
    "PCAModel": _components,
    "Normalizer": lambda stage, _f, _k: _pair(stage, "normalize", p=str(float(stage.getP()))),
    "PolynomialExpansion": lambda stage, _f, _k: _pair(
        stage, "polynomial", degree=int(stage.getDegree())
    ),
    "DCT": lambda stage, _f, _k: _pair(stage, "cosines", inverse=bool(stage.getInverse())),
    "Bucketizer": _bucketizer,
    "Binarizer": _binarizer,
    "ImputerModel": _imputer,
    "VectorIndexerModel": _vector_indexer,
    "Tokenizer": _tokenizer,
    "RegexTokenizer": _regex_tokenizer,
    "StopWordsRemover": _stop_words,
    "NGram": lambda stage, _f, _k: _pair(stage, "n_grams", n=int(stage.getN())),
    "HashingTF": lambda stage, _f, _k: _pair(
        stage,
        "hashed_counts",
        buckets=int(stage.getNumFeatures()),
        binary=bool(stage.getBinary()),
    ),
    "CountVectorizerModel": _count_words,
    "FeatureHasher": _feature_hasher,
}
"""Exports by the class of the stage."""
