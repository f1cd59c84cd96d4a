"""Columns that a scored frame has beside its own."""

from __future__ import annotations

LABEL = "_crisp_label"
SCORE = "_crisp_score"
PREDICTION = "_crisp_prediction"
PROBABILITIES = "_crisp_probabilities"
BASELINE = "_crisp_baseline_"
"""Followed by the name of the baseline."""
IN_USE = "_in_use"
"""Name among the baselines under which the model in use answers; no baseline may be called so."""
FEATURES = "features"
"""The feature vector (clustering)."""
FOLD = "_crisp_fold"
"""Validation fold; models of different folds share neither clusters nor lists."""
