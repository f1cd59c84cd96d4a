"""Gradient boosting of ``mode: exact`` on bins, as far as its trees are certainly MLlib's.

One model and fold per Spark task, as in ``mode: fast``, but grown by
:mod:`crisp_spark.modeling.engines.proved`, which stops where MLlib might choose another split.
What is certain is measured at once; the rest is left to the engines of MLlib, which say why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crisp_spark.modeling.engines.boosted import boost_proved
from crisp_spark.modeling.engines.histogram import HistogramEngine
from crisp_spark.modeling.groups import Label
from crisp_spark.modeling.trials import FittedTrial, TrialTask, fit_trial

if TYPE_CHECKING:
    from crisp_spark.modeling.preparing import Prepared
    from crisp_spark.modeling.search import PlannedTrial


class ProvedEngine(HistogramEngine):
    """Serves the same as the engine of ``mode: fast``, and declines what is uncertain."""

    name = "histogram-proved"
    mode = "exact"
    label: Label = "exact"
    _how = ", as long as every split is certainly MLlib's; else by MLlib"
    _boost = staticmethod(boost_proved)

    def fit(self, trial: PlannedTrial, prepared: Prepared, task: TrialTask) -> FittedTrial:
        """Fit a trial by MLlib. Jobs: those of the learner."""
        return fit_trial(trial, prepared, task)
