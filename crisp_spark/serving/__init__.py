"""Scoring without Spark: a portable model answers with NumPy and the standard library alone."""

from crisp_spark.serving.bundle import Answers, Bundle, load_bundle

__all__ = ["Answers", "Bundle", "load_bundle"]
