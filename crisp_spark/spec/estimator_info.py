"""What is known of an estimator without Spark, and hyperparameters that several share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Values = str | tuple[str, ...]
"""Kind of a hyperparameter: ``int``, ``float``, ``bool``, ``ints``, or the texts it may take."""

Kinds = dict[str, Values]


@dataclass(frozen=True)
class EstimatorInfo:
    """What is known of an estimator without Spark.

    Attributes:
        kind: Name in the project file.
        title: Name in reports.
        module: Module of ``pyspark.ml``.
        classes: Class per problem; a sweep can use it for exactly these problems.
        params: Hyperparameters, named as in MLlib or the library, with the kind of their values.
        complexity: Rank of the family; of two equally good models the lower one wins.
        weighted: Whether it takes row weights (class weights).
        probabilities: Whether it gives class probabilities.
        standardized: Whether it needs features on one scale and does not see to it itself.
        library: Package other than Spark that fits it, named as the extra that installs it.
    """

    kind: str
    title: str
    module: str
    classes: Mapping[str, str]
    params: Mapping[str, Values]
    complexity: int
    weighted: bool = True
    probabilities: bool = True
    standardized: bool = False
    required: tuple[str, ...] = field(default=())
    library: str = ""

    @property
    def problems(self) -> tuple[str, ...]:
        """Problems it can be used for."""
        return tuple(self.classes)


LINEAR: Kinds = {
    "regParam": "float",
    "maxIter": "int",
    "tol": "float",
    "fitIntercept": "bool",
    "aggregationDepth": "int",
}
BLOCKS: Kinds = {"standardization": "bool", "maxBlockSizeInMB": "float"}
TREE: Kinds = {
    "maxDepth": "int",
    "maxBins": "int",
    "minInstancesPerNode": "int",
    "minWeightFractionPerNode": "float",
    "minInfoGain": "float",
    "maxMemoryInMB": "int",
    "cacheNodeIds": "bool",
    "checkpointInterval": "int",
    "seed": "int",
}
FOREST: Kinds = TREE | {
    "numTrees": "int",
    "subsamplingRate": "float",
    "featureSubsetStrategy": "text",
    "bootstrap": "bool",
}
BOOST: Kinds = TREE | {
    "maxIter": "int",
    "stepSize": "float",
    "subsamplingRate": "float",
    "featureSubsetStrategy": "text",
}
FACTORS: Kinds = {
    "factorSize": "int",
    "fitIntercept": "bool",
    "fitLinear": "bool",
    "regParam": "float",
    "miniBatchFraction": "float",
    "initStd": "float",
    "maxIter": "int",
    "stepSize": "float",
    "tol": "float",
    "solver": ("gd", "adamW"),
    "seed": "int",
}


def served_by(name: str, *problems: str) -> dict[str, str]:
    """Return the class per problem, where one class serves them all."""
    return dict.fromkeys(problems, name)
