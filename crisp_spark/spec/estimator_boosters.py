"""Boosters of LightGBM and XGBoost, as data; their trees become MLlib's own models."""

from __future__ import annotations

from crisp_spark.spec.estimator_info import EstimatorInfo, Kinds

_LIGHTGBM: Kinds = {
    "numIterations": "int",
    "numLeaves": "int",
    "learningRate": "float",
    "maxDepth": "int",
    "minDataInLeaf": "int",
    "minSumHessianInLeaf": "float",
    "minGainToSplit": "float",
    "lambdaL1": "float",
    "lambdaL2": "float",
    "featureFraction": "float",
    "baggingFraction": "float",
    "baggingFreq": "int",
    "maxBin": "int",
    "pathSmooth": "float",
    "extraTrees": "bool",
    "seed": "int",
}
_XGBOOST: Kinds = {
    "numRound": "int",
    "eta": "float",
    "maxDepth": "int",
    "maxLeaves": "int",
    "growPolicy": ("depthwise", "lossguide"),
    "minChildWeight": "float",
    "maxDeltaStep": "float",
    "gamma": "float",
    "regLambda": "float",
    "regAlpha": "float",
    "subsample": "float",
    "colsampleBytree": "float",
    "colsampleBylevel": "float",
    "colsampleBynode": "float",
    "maxBin": "int",
    "treeMethod": ("hist", "approx", "exact"),
    "seed": "int",
}
_LIGHTGBM_NUMBERS: Kinds = {
    "objective": ("regression", "regression_l1", "huber", "quantile"),
    "alpha": "float",
}
_XGBOOST_NUMBERS: Kinds = {
    "objective": ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror"),
}


def _booster(kind: str, title: str, params: Kinds, numbers: Kinds) -> tuple[EstimatorInfo, ...]:
    """Return the entries of a library: two classes, several (one against the rest), numbers."""
    return tuple(
        EstimatorInfo(
            kind,
            title,
            "regression" if problem == "regression" else "classification",
            {problem: learner},
            params | numbers if problem == "regression" else params,
            complexity=6,
            probabilities=problem != "multiclass",
            library=kind,
        )
        for problem, learner in (
            ("binary", "GBTClassifier"),
            ("multiclass", "OneVsRest"),
            ("regression", "GBTRegressor"),
        )
    )


BOOSTERS: tuple[EstimatorInfo, ...] = (
    *_booster("lightgbm", "LightGBM", _LIGHTGBM, _LIGHTGBM_NUMBERS),
    *_booster("xgboost", "XGBoost", _XGBOOST, _XGBOOST_NUMBERS),
)
